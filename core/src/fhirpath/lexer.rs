//! The lexer: an expression's text as tokens.
//!
//! In: text. Out: tokens with their places, or the first thing that is no token.
//! Never here: what a word means; `and` and `name` are both words.

use super::remark::{Remark, Spot};
use crate::time::{Moment, Precision};
use jiff::civil;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Word(String),
    /// In backticks: never an operator.
    Quoted(String),
    Text(String),
    /// As written: digits, with a point where it is a decimal.
    Number(String),
    /// The flag says that a `T` was written: a DateTime, whatever its precision.
    Moment(Moment, bool),
    Time(civil::Time, Precision),
    /// `%name`
    External(String),
    /// `$this`, `$index`, `$total`
    Special(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 25] =
    ["!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "=", "~", "<", ">", "%", "$", "@"];

pub fn tokens(text: &str) -> Result<Vec<(Token, Spot)>, Remark> {
    let mut lexer = Lexer { chars: text.chars().collect(), next: 0, line: 1, column: 1 };
    let mut out = Vec::new();
    loop {
        lexer.skip_space()?;
        let at = lexer.spot();
        let token = lexer.token(at)?;
        let end = token == Token::End;
        out.push((token, at));
        if end {
            return Ok(out);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    next: usize,
    line: u32,
    column: u32,
}

impl Lexer {
    fn spot(&self) -> Spot {
        Spot { line: self.line, column: self.column }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.next + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.next += 1;
        match c {
            '\n' => (self.line, self.column) = (self.line + 1, 1),
            _ => self.column += 1,
        }
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek(0).filter(|c| wanted(*c)) {
            out.push(c);
            self.bump();
        }
        out
    }

    fn skip_space(&mut self) -> Result<(), Remark> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => {
                    self.bump();
                }
                (Some('/'), Some('/')) => {
                    self.take_while(|c| c != '\n');
                }
                (Some('/'), Some('*')) => {
                    let at = self.spot();
                    self.bump();
                    self.bump();
                    while (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
                        if self.bump().is_none() {
                            return Err(Remark::error(at, "this comment has no end").hint("close it with `*/`"));
                        }
                    }
                    self.bump();
                    self.bump();
                }
                _ => return Ok(()),
            }
        }
    }

    fn token(&mut self, at: Spot) -> Result<Token, Remark> {
        let Some(c) = self.peek(0) else { return Ok(Token::End) };
        if c.is_ascii_alphabetic() || c == '_' {
            return Ok(Token::Word(self.word()));
        }
        if c.is_ascii_digit() {
            return Ok(Token::Number(self.number()));
        }
        match c {
            '\'' => Ok(Token::Text(self.delimited(at, '\'')?)),
            '`' => Ok(Token::Quoted(self.delimited(at, '`')?)),
            '@' => self.moment(at),
            '%' => {
                self.bump();
                match self.peek(0) {
                    Some(q @ ('`' | '\'')) => Ok(Token::External(self.delimited(at, q)?)),
                    _ => {
                        // Names of value sets are often written with hyphens: `%sensitive-hiv` is one name.
                        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                        if name.is_empty() {
                            Err(Remark::error(at, "`%` without a name").hint("write %NAME"))
                        } else {
                            Ok(Token::External(name))
                        }
                    }
                }
            }
            '$' => {
                self.bump();
                Ok(Token::Special(self.word()))
            }
            '"' => Err(Remark::error(at, "texts stand in single quotes").hint("write '…' instead of \"…\"")),
            _ => {
                for symbol in SYMBOLS {
                    if symbol.chars().enumerate().all(|(n, s)| self.peek(n) == Some(s)) {
                        for _ in symbol.chars() {
                            self.bump();
                        }
                        return Ok(Token::Symbol(symbol));
                    }
                }
                Err(Remark::error(at, format!("`{}` has no meaning in FHIRPath", c.escape_default())))
            }
        }
    }

    fn word(&mut self) -> String {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn number(&mut self) -> String {
        let mut out = self.take_while(|c| c.is_ascii_digit());
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            out.push('.');
            out += &self.take_while(|c| c.is_ascii_digit());
        }
        out
    }

    fn delimited(&mut self, at: Spot, quote: char) -> Result<String, Remark> {
        self.bump();
        let mut out = String::new();
        loop {
            let escape_at = self.spot();
            match self.bump() {
                None => return Err(Remark::error(at, format!("this text has no closing {quote}"))),
                Some(c) if c == quote => return Ok(out),
                Some('\\') => out.push(self.escape().ok_or_else(|| {
                    Remark::error(escape_at, "unknown escape").hint("known are \\' \\\" \\` \\\\ \\/ \\f \\n \\r \\t \\uXXXX")
                })?),
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.bump()? {
            c @ ('\'' | '"' | '`' | '\\' | '/') => c,
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    code = code * 16 + self.bump()?.to_digit(16)?;
                }
                char::from_u32(code)?
            }
            _ => return None,
        })
    }

    /// `@2026`, `@2026-01-31`, `@2026-01-31T08:00:00Z`, `@2026T`, `@T08:00`
    fn moment(&mut self, at: Spot) -> Result<Token, Remark> {
        self.bump();
        if self.peek(0) == Some('T') {
            self.bump();
            let text = self.take_while(|c| c.is_ascii_digit() || c == ':');
            let text = text + &self.fraction();
            return time(&text)
                .map(|(time, precision)| Token::Time(time, precision))
                .ok_or_else(|| Remark::error(at, "not a time").hint("write it as @T08:30 or @T08:30:00"));
        }
        let mut text = self.take_while(|c| c.is_ascii_digit() || c == '-');
        let mut timed = false;
        if self.peek(0) == Some('T') {
            timed = true;
            self.bump();
            let mut clock = self.take_while(|c| c.is_ascii_digit() || c == ':') + &self.fraction();
            match self.peek(0) {
                Some('Z') => clock.extend(self.bump()),
                Some('+' | '-') if !clock.is_empty() && self.peek(3) == Some(':') => {
                    clock.extend(self.bump());
                    clock += &self.take_while(|c| c.is_ascii_digit() || c == ':');
                }
                _ => {}
            }
            if !clock.is_empty() {
                text = text + "T" + &clock;
            }
        }
        let moment = Moment::parse(&text).map_err(|_| {
            Remark::error(at, "not a date or time").hint("write it as @2026, @2026-01, @2026-01-31 or @2026-01-31T08:00:00Z")
        })?;
        Ok(Token::Moment(moment, timed))
    }

    fn fraction(&mut self) -> String {
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            return ".".to_owned() + &self.take_while(|c| c.is_ascii_digit());
        }
        String::new()
    }
}

/// `08:30`, `08:30:00`, `08:30:00.250`
pub fn time(text: &str) -> Option<(civil::Time, Precision)> {
    let moment = Moment::parse(&format!("2000-01-01T{text}")).ok()?;
    (moment.offset.is_none() && moment.has_time()).then(|| (moment.local.time(), moment.precision))
}
