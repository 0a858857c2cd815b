//! The parser: tokens to a syntax tree (FHIRPath 2.0, grammar).
//!
//! In: text. Out: a tree no deeper than [`DEPTH_MAX`], or the first error with its place.
//! Never here: FHIR's types, or which functions exist.

use super::lexer::{Token, tokens};
use super::quantity::{Field, Unit};
use super::remark::{Remark, Spot};
use super::syntax::{Expr, Kind, Op, TypeName};
use rust_decimal::Decimal;

/// In characters.
pub const LENGTH_MAX: usize = 10_000;
/// Evaluation recurses: neither a nested nor a long chained expression may exhaust the stack.
pub const DEPTH_MAX: u16 = 150;

pub fn parse(text: &str) -> Result<Expr, Remark> {
    let start = Spot { line: 1, column: 1 };
    if text.chars().count() > LENGTH_MAX {
        return Err(Remark::error(start, format!("longer than {LENGTH_MAX} characters")).hint("split it into several criteria"));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, open: 0 };
    let expr = parser.binary(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        other => Err(Remark::error(parser.spot(), format!("expected an operator or the end, found {}", shown(other)))),
    }
}

struct Parser {
    tokens: Vec<(Token, Spot)>,
    next: usize,
    /// Expressions begun and not ended.
    open: u16,
}

/// Operators by how loosely they bind.
fn operator(token: &Token) -> Option<(u8, Op)> {
    Some(match token {
        Token::Word(word) => match word.as_str() {
            "implies" => (1, Op::Implies),
            "or" => (2, Op::Or),
            "xor" => (2, Op::Xor),
            "and" => (3, Op::And),
            "in" => (4, Op::In),
            "contains" => (4, Op::Contains),
            "div" => (10, Op::Div),
            "mod" => (10, Op::Mod),
            _ => return None,
        },
        Token::Symbol(symbol) => match *symbol {
            "=" => (5, Op::Equal),
            "!=" => (5, Op::NotEqual),
            "~" => (5, Op::Equivalent),
            "!~" => (5, Op::NotEquivalent),
            "<" => (6, Op::Less),
            "<=" => (6, Op::LessOrEqual),
            ">" => (6, Op::Greater),
            ">=" => (6, Op::GreaterOrEqual),
            "|" => (7, Op::Union),
            "+" => (9, Op::Add),
            "-" => (9, Op::Subtract),
            "&" => (9, Op::Concatenate),
            "*" => (10, Op::Multiply),
            "/" => (10, Op::Divide),
            _ => return None,
        },
        _ => return None,
    })
}

/// `is` and `as` bind between `|` and `+`.
const TYPE_LEVEL: u8 = 8;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn spot(&self) -> Spot {
        self.tokens[self.next].1
    }

    fn bump(&mut self) -> Token {
        let token = self.tokens[self.next].0.clone();
        // The last token is `End` and stays.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Remark> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(Remark::error(self.spot(), format!("expected `{symbol}`, found {}", shown(self.peek()))))
    }

    fn build(&self, kind: Kind, at: Spot, below: u16) -> Result<Expr, Remark> {
        let depth = below + 1;
        if depth > DEPTH_MAX {
            return Err(too_deep(at));
        }
        Ok(Expr { kind, at, depth })
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Result<Expr, Remark> {
        self.open += 1;
        if self.open > DEPTH_MAX {
            return Err(too_deep(self.spot()));
        }
        let mut left = self.unary()?;
        loop {
            let at = self.spot();
            if let Token::Word(word) = self.peek()
                && let is @ ("is" | "as") = word.as_str()
                && least <= TYPE_LEVEL
            {
                let is = is == "is";
                self.bump();
                let name = self.type_name()?;
                let below = left.depth;
                left = self.build(Kind::Typed(Box::new(left), is, name), at, below)?;
                continue;
            }
            let Some((level, op)) = operator(self.peek()).filter(|(level, _)| *level >= least) else { break };
            self.bump();
            let right = self.binary(level + 1)?;
            let below = left.depth.max(right.depth);
            left = self.build(Kind::Binary(op, Box::new(left), Box::new(right)), at, below)?;
        }
        self.open -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Remark> {
        let at = self.spot();
        let mut negative = false;
        let mut signs = 0;
        loop {
            match self.peek() {
                Token::Symbol("-") => negative = !negative,
                Token::Symbol("+") => {}
                _ => break,
            }
            signs += 1;
            self.bump();
        }
        let inner = self.chain()?;
        match (signs, negative) {
            (0, _) | (_, false) => Ok(inner),
            (_, true) => {
                let below = inner.depth;
                self.build(Kind::Negate(Box::new(inner)), at, below)
            }
        }
    }

    /// A term with what follows it: `.name`, `.name(…)`, `[…]`.
    fn chain(&mut self) -> Result<Expr, Remark> {
        let mut expr = self.term()?;
        loop {
            if self.take(".") {
                let at = self.spot();
                expr = match self.bump() {
                    Token::Word(name) | Token::Quoted(name) => self.invocation(Some(expr), name, at)?,
                    other => return Err(Remark::error(at, format!("expected a name after `.`, found {}", shown(&other)))),
                };
            } else if self.peek() == &Token::Symbol("[") {
                let at = self.spot();
                self.bump();
                let index = self.binary(0)?;
                self.expect("]")?;
                let below = expr.depth.max(index.depth);
                expr = self.build(Kind::Index(Box::new(expr), Box::new(index)), at, below)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn invocation(&mut self, input: Option<Expr>, name: String, at: Spot) -> Result<Expr, Remark> {
        let mut below = input.as_ref().map_or(0, |input| input.depth);
        let input = input.map(Box::new);
        if !self.take("(") {
            return self.build(Kind::Member(input, name), at, below);
        }
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                let argument = self.binary(0)?;
                below = below.max(argument.depth);
                arguments.push(argument);
                if !self.take(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        self.build(Kind::Call(input, name, arguments), at, below)
    }

    fn term(&mut self) -> Result<Expr, Remark> {
        let at = self.spot();
        let kind = match self.bump() {
            Token::Symbol("(") => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("{") => {
                self.expect("}")?;
                Kind::Empty
            }
            Token::Word(word) if word == "true" || word == "false" => Kind::Boolean(word == "true"),
            Token::Word(name) | Token::Quoted(name) => return self.invocation(None, name, at),
            Token::Text(text) => Kind::Text(text),
            Token::Number(digits) => self.number(&digits, at)?,
            Token::Moment(moment, timed) => Kind::Moment(moment, timed),
            Token::Time(time, precision) => Kind::Time(time, precision),
            Token::External(name) => Kind::External(name),
            Token::Special(name) if name == "this" => Kind::This,
            Token::Special(name) => {
                return Err(
                    Remark::error(at, format!("`${name}` is not supported")).hint("only `$this` is; write an indexer or first(), last()")
                );
            }
            other => return Err(Remark::error(at, format!("expected a value or a path, found {}", shown(&other)))),
        };
        self.build(kind, at, 0)
    }

    /// A number, or a quantity where a unit follows.
    fn number(&mut self, digits: &str, at: Spot) -> Result<Kind, Remark> {
        let too_long = || Remark::error(at, "this number has too many digits");
        let unit = match self.peek() {
            Token::Word(word) => Field::named(word).map(Unit::Calendar),
            Token::Text(code) => Some(Unit::of_code(code)),
            _ => None,
        };
        if let Some(unit) = unit {
            self.bump();
            return Ok(Kind::Quantity(Decimal::from_str_exact(digits).map_err(|_| too_long())?, unit));
        }
        if digits.contains('.') {
            return Ok(Kind::Decimal(Decimal::from_str_exact(digits).map_err(|_| too_long())?));
        }
        Ok(Kind::Integer(digits.parse().map_err(|_| too_long())?))
    }

    fn type_name(&mut self) -> Result<TypeName, Remark> {
        let at = self.spot();
        let mut name = self.name_of_type()?;
        let mut space = None;
        if self.take(".") {
            space = Some(name);
            name = self.name_of_type()?;
        }
        Ok(TypeName { space, name, at })
    }

    fn name_of_type(&mut self) -> Result<String, Remark> {
        let at = self.spot();
        match self.bump() {
            Token::Word(name) | Token::Quoted(name) => Ok(name),
            other => Err(Remark::error(at, format!("expected the name of a type, found {}", shown(&other)))),
        }
    }
}

fn too_deep(at: Spot) -> Remark {
    Remark::error(at, format!("nested deeper, or chained longer, than {DEPTH_MAX}"))
        .hint("split it into several criteria, or use a value set")
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) | Token::Quoted(word) => format!("`{word}`"),
        Token::Text(_) => "a text".to_owned(),
        Token::Number(digits) => format!("`{digits}`"),
        Token::Moment(..) | Token::Time(..) => "a date or time".to_owned(),
        Token::External(name) => format!("`%{name}`"),
        Token::Special(name) => format!("`${name}`"),
        Token::Symbol(symbol) => format!("`{symbol}`"),
        Token::End => "the end".to_owned(),
    }
}
