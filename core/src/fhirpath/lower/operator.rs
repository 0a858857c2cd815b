//! Operators: logic, comparisons, comparisons with the clock, arithmetic.

use super::{Lower, Position, Scope, Typed, Types, names};
use crate::fhirpath::clock::Clock;
use crate::fhirpath::model::{Class, TypeId};
use crate::fhirpath::moments::Relation;
use crate::fhirpath::node::{Arithmetic, Node};
use crate::fhirpath::quantity::Unit;
use crate::fhirpath::remark::{Remark, Spot};
use crate::fhirpath::syntax::{Expr, Kind, Op};
use crate::time::Period;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// What can be compared with what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Boolean,
    Text,
    Number,
    Moment,
    Time,
    Quantity,
    Complex,
}

fn family(kind: TypeId) -> Family {
    match kind.class() {
        Class::Boolean => Family::Boolean,
        Class::Text => Family::Text,
        Class::Integer | Class::Decimal => Family::Number,
        Class::Date | Class::DateTime | Class::Instant => Family::Moment,
        Class::Time => Family::Time,
        Class::Quantity => Family::Quantity,
        Class::Coding | Class::Concept | Class::Complex => Family::Complex,
    }
}

impl Lower<'_> {
    pub fn binary(&mut self, op: Op, left: &Expr, right: &Expr, at: Spot, scope: &Scope, position: Position) -> Typed {
        if let Some(relation) = relation(op) {
            return self.compare(op, relation, left, right, at, scope, position);
        }
        let logical = matches!(op, Op::And | Op::Or | Op::Xor | Op::Implies);
        let inner = if logical { position } else { Position::Filtered };
        let (a, b) = (self.expr(left, scope, inner), self.expr(right, scope, inner));
        let sides = |a: Typed, b: Typed, node: fn(Box<Node>, Box<Node>) -> Node| node(a.part(), b.part());
        match op {
            Op::And => Typed::boolean(sides(a, b, Node::And)),
            Op::Or => Typed::boolean(sides(a, b, Node::Or)),
            Op::Xor => Typed::boolean(sides(a, b, Node::Xor)),
            Op::Implies => Typed::boolean(sides(a, b, Node::Implies)),
            Op::In | Op::Contains => {
                self.alike(op, &a, &b, at);
                Typed::boolean(if op == Op::In { sides(a, b, Node::In) } else { sides(b, a, Node::In) })
            }
            Op::Equivalent | Op::NotEquivalent => {
                self.alike(op, &a, &b, at);
                Typed::boolean(Node::Equivalent(a.part(), b.part(), op == Op::NotEquivalent))
            }
            Op::Union => {
                let types = both(&a.types, &b.types);
                Typed { types, many: true, node: sides(a, b, Node::Union) }
            }
            Op::Concatenate => {
                for side in [&a, &b] {
                    if !side.any_class(|class| class == Class::Text) {
                        return self.refuse(Remark::error(at, format!("`&` joins texts, not {}", names(&side.types))));
                    }
                }
                Typed::new(sides(a, b, Node::Concatenate), &[TypeId::STRING], false)
            }
            Op::Add => self.arithmetic(Arithmetic::Add, op, a, b, right, at),
            Op::Subtract => self.arithmetic(Arithmetic::Subtract, op, a, b, right, at),
            Op::Multiply => self.arithmetic(Arithmetic::Multiply, op, a, b, right, at),
            Op::Divide => self.arithmetic(Arithmetic::Divide, op, a, b, right, at),
            Op::Div => self.arithmetic(Arithmetic::Div, op, a, b, right, at),
            Op::Mod => self.arithmetic(Arithmetic::Mod, op, a, b, right, at),
            // Handled above: they have a relation.
            Op::Equal | Op::NotEqual | Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => Typed::unknown(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "both sides, the operator twice named, and where all this stands")]
    fn compare(&mut self, op: Op, relation: Relation, left: &Expr, right: &Expr, at: Spot, scope: &Scope, position: Position) -> Typed {
        let filtered = position == Position::Filtered;
        match (is_clock(left), is_clock(right)) {
            (true, true) => {
                let hint = "write an element of the resource on one side";
                return self.refuse(Remark::error(at, "both sides are now() or today()").hint(hint));
            }
            (true, false) => return self.clock(right, relation.turned(), left, scope, filtered),
            (false, true) => return self.clock(left, relation, right, scope, filtered),
            (false, false) => {}
        }
        if let Some(keys) = self.reference_keys(relation, left, right, scope) {
            return keys;
        }
        let (a, b) = (self.expr(left, scope, Position::Filtered), self.expr(right, scope, Position::Filtered));
        self.alike(op, &a, &b, at);
        Typed::boolean(match relation {
            Relation::Equal => Node::Equal(a.part(), b.part(), false),
            Relation::NotEqual => Node::Equal(a.part(), b.part(), true),
            _ => {
                for side in [&a, &b] {
                    if !side.types.is_empty() && side.types.iter().all(|kind| matches!(family(*kind), Family::Boolean | Family::Complex)) {
                        let what = format!("{} has no order", names(&side.types));
                        return self.refuse(Remark::error(at, what).hint("write `=`, or a path to a date, a number, a text or a quantity"));
                    }
                }
                Node::Order(relation, a.part(), b.part(), filtered)
            }
        })
    }

    /// Refuses two sides that can never be compared; warns where one of the left's or right's types cannot.
    fn alike(&mut self, op: Op, a: &Typed, b: &Typed, at: Spot) {
        if a.types.is_empty() || b.types.is_empty() {
            return;
        }
        let fits = |kind: &TypeId, others: &Types| others.iter().any(|other| family(*kind) == family(*other));
        if !a.types.iter().any(|kind| fits(kind, &b.types)) {
            let what = format!("`{}` between {} and {} never holds", op.written(), names(&a.types), names(&b.types));
            let hint = match (family(a.types[0]), family(b.types[0])) {
                (Family::Moment, Family::Text) | (Family::Text, Family::Moment) => "write a date as @2026-01-31",
                (Family::Complex, Family::Text) => "go on to the element that holds the text or code",
                (Family::Quantity, Family::Number) | (Family::Number, Family::Quantity) => {
                    "write a unit beside the number, or `.value` of the quantity"
                }
                _ => "compare values of one kind",
            };
            self.remarks.push(Remark::error(at, what).hint(hint));
            return;
        }
        for (side, other) in [(a, b), (b, a)] {
            self.warn_of_others(side, |kind| fits(&kind, &other.types), at);
        }
    }

    fn warn_of_others(&mut self, side: &Typed, fits: impl Fn(TypeId) -> bool, at: Spot) {
        let others: Types = side.types.iter().copied().filter(|kind| !fits(*kind)).collect();
        if let Some(fit) = side.types.iter().find(|kind| fits(**kind)).filter(|_| !others.is_empty()) {
            let what = format!("this element may be {}, which cannot be compared so: it is unknown then", names(&others));
            self.remarks.push(Remark::warning(at, what).hint(format!("write `.ofType({})` if that is meant", fit.name())));
        }
    }

    fn clock(&mut self, value: &Expr, relation: Relation, clock: &Expr, scope: &Scope, filtered: bool) -> Typed {
        if self.remote {
            let hint = "move the comparison before resolve()";
            return self.refuse(Remark::error(clock.at, "what follows resolve() is free of now() and today()").hint(hint));
        }
        self.timed = true;
        let clock_at = clock.at;
        let value_at = value.at;
        let clock = match read_clock(clock) {
            Ok(clock) => clock,
            Err(remark) => return self.refuse(remark),
        };
        let value = self.expr(value, scope, Position::Filtered);
        if !value.any_class(|class| matches!(class, Class::Date | Class::DateTime | Class::Instant)) {
            let what = format!("{} cannot be compared with now() or today()", names(&value.types));
            let hint = match value.types.iter().any(|kind| kind.name() == "Period") {
                true => "write `.start` or `.end`",
                false => "write a path to a date, dateTime or instant",
            };
            return self.refuse(Remark::error(clock_at, what).hint(hint));
        }
        self.warn_of_others(&value, |kind| family(kind) == Family::Moment, value_at);
        Typed::boolean(Node::Clock(value.part(), relation, clock, filtered))
    }

    fn arithmetic(&mut self, arithmetic: Arithmetic, op: Op, a: Typed, b: Typed, right: &Expr, at: Spot) -> Typed {
        if a.types.is_empty() || b.types.is_empty() {
            return Typed { many: false, types: Types::new(), node: Node::Arithmetic(arithmetic, a.part(), b.part()) };
        }
        let all = |side: &Typed, wanted: Family| side.types.iter().any(|kind| family(*kind) == wanted);
        let sum = matches!(arithmetic, Arithmetic::Add | Arithmetic::Subtract);
        let types: Types = if all(&a, Family::Number) && all(&b, Family::Number) {
            let whole = |side: &Typed| side.types.iter().all(|kind| kind.class() == Class::Integer);
            let integer = whole(&a) && whole(&b) && arithmetic != Arithmetic::Divide;
            Types::from_slice(&[if integer { TypeId::INTEGER } else { TypeId::DECIMAL }])
        } else if sum && all(&a, Family::Moment) && all(&b, Family::Quantity) {
            if let Kind::Quantity(amount, unit) = &right.kind
                && let Err(remark) = amount_of(*amount, unit, right.at)
            {
                return self.refuse(remark);
            }
            a.types.iter().copied().filter(|kind| family(*kind) == Family::Moment).collect()
        } else if arithmetic == Arithmetic::Add && all(&a, Family::Text) && all(&b, Family::Text) {
            Types::from_slice(&[TypeId::STRING])
        } else if sum && all(&a, Family::Quantity) && all(&b, Family::Quantity) {
            Types::from_slice(&[TypeId::QUANTITY])
        } else {
            let what = format!("`{}` between {} and {} has no meaning", op.written(), names(&a.types), names(&b.types));
            return self.refuse(Remark::error(at, what).hint("a date can be moved by an amount with a unit: `period.start + 3 months`"));
        };
        Typed { many: false, types, node: Node::Arithmetic(arithmetic, a.part(), b.part()) }
    }

    pub fn negate(&mut self, inner: &Expr, scope: &Scope) -> Typed {
        let at = inner.at;
        let inner = self.expr(inner, scope, Position::Filtered);
        if !inner.any_class(|class| matches!(class, Class::Integer | Class::Decimal | Class::Quantity)) {
            return self.refuse(Remark::error(at, format!("`-` before {} has no meaning", names(&inner.types))));
        }
        Typed { many: false, types: inner.types.clone(), node: Node::Negate(inner.part()) }
    }
}

fn both(a: &Types, b: &Types) -> Types {
    let mut types = a.clone();
    types.extend(b.iter().copied().filter(|kind| !a.contains(kind)));
    types
}

fn relation(op: Op) -> Option<Relation> {
    Some(match op {
        Op::Equal => Relation::Equal,
        Op::NotEqual => Relation::NotEqual,
        Op::Less => Relation::Less,
        Op::LessOrEqual => Relation::LessOrEqual,
        Op::Greater => Relation::Greater,
        Op::GreaterOrEqual => Relation::GreaterOrEqual,
        _ => return None,
    })
}

/// `now()` or `today()`, with or without an amount.
fn is_clock(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Call(None, name, arguments) => arguments.is_empty() && (name == "now" || name == "today"),
        Kind::Binary(Op::Add | Op::Subtract, left, _) => is_clock(left),
        _ => false,
    }
}

fn read_clock(expr: &Expr) -> Result<Clock, Remark> {
    let (base, amount) = match &expr.kind {
        Kind::Binary(op, base, amount) => (&**base, Some((*op, &**amount))),
        _ => (expr, None),
    };
    let Kind::Call(_, name, _) = &base.kind else {
        return Err(
            Remark::error(expr.at, "now() and today() can be moved by one amount only").hint("write it as one amount, as 14 months")
        );
    };
    let period = match amount {
        None => Period::default(),
        Some((op, amount)) => {
            let Kind::Quantity(value, unit) = &amount.kind else {
                let hint = "write the element alone on the other side: `birthDate <= today() - 50 years`";
                return Err(Remark::error(amount.at, "now() and today() can be moved by a written amount only").hint(hint));
            };
            let period = amount_of(*value, unit, amount.at)?;
            if op == Op::Subtract { period.negated() } else { period }
        }
    };
    match name.as_str() {
        "now" => Ok(Clock::Now(period)),
        _ if period.micros == 0 => Ok(Clock::Today(period)),
        _ => Err(Remark::error(expr.at, "today() is a day and cannot be moved by a time").hint("write now()")),
    }
}

/// A written amount of time: whole, and of a unit that moves a date.
fn amount_of(value: Decimal, unit: &Unit, at: Spot) -> Result<Period, Remark> {
    let Some(field) = unit.field() else {
        let hint = match unit.written() {
            "a" => "write `years`: UCUM's `a` is 365.25 days",
            "mo" => "write `months`: UCUM's `mo` is 30.4375 days",
            _ => "write years, months, weeks, days, hours, minutes or seconds",
        };
        return Err(Remark::error(at, format!("a date cannot be moved by '{}'", unit.written())).hint(hint));
    };
    if !value.fract().is_zero() {
        return Err(Remark::error(at, "a date is moved by whole amounts").hint("write it in a smaller unit"));
    }
    value.to_i64().and_then(|value| field.period(value)).ok_or_else(|| Remark::error(at, "this amount is too great"))
}
