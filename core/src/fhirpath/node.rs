//! The compiled tree: names resolved to keys and types, value sets to numbers, patterns to automata.

use super::clock::Clock;
use super::element::Step;
use super::model::TypeId;
use super::moments::Relation;
use super::value::Literal;

type Part = Box<Node>;

#[derive(Debug)]
pub enum Node {
    Empty,
    Literal(Literal),
    This,
    /// The whole resource.
    Resource,
    Element(Part, Step),
    /// `ofType()`, `as`
    Narrow(Part, TypeId),
    Extension(Part, String, TypeId),
    Where(Part, Part),
    Select(Part, Part),
    Slice(Part, Slice),
    Union(Part, Part),
    Combine(Part, Part),
    Distinct(Part),
    Iif(Part, Part, Part),
    Count(Part),
    Negate(Part),
    Arithmetic(Arithmetic, Part, Part),
    Concatenate(Part, Part),
    Text(TextFunction, Part),
    /// Start and, where written, length.
    Substring(Part, Part, Option<Part>),
    /// `resolve()` as a key: the type and id that a reference names.
    ReferenceKey(Part),
    And(Part, Part),
    Or(Part, Part),
    Xor(Part, Part),
    Implies(Part, Part),
    Not(Part),
    Exists(Part, Option<Part>),
    IsEmpty(Part),
    All(Part, Part),
    AllTrue(Part),
    AnyTrue(Part),
    HasValue(Part),
    /// The flag: not equal.
    Equal(Part, Part, bool),
    /// The flag: not equivalent.
    Equivalent(Part, Part, bool),
    /// The flag: see [`Node::Clock`].
    Order(Relation, Part, Part, bool),
    In(Part, Part),
    Is(Part, TypeId),
    /// The number of the value set. The flag: see [`Node::Clock`]; there, a code that is hidden makes the whole unknown.
    MemberOf(Part, u16, bool),
    Match(TextTest, Part, Part),
    Matches(Part, regex::Regex),
    /// A value against `now()` or `today()`. The flag says that the answer goes through a filter, which would
    /// turn an unknown into a yes or a no: there, a value that cannot be compared makes the whole unknown.
    Clock(Part, Relation, Clock, bool),
    /// `x.resolve() is Type`, from the reference itself.
    LeadsTo(Part, &'static str),
    /// The number of a [`super::Remote`]; the flag as above.
    Remote(Part, usize, Fold, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    At(usize),
    First,
    Last,
    Tail,
    Skip(usize),
    Take(usize),
    Single,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Div,
    Mod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFunction {
    Lower,
    Upper,
    Trim,
    Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// How the answers for several references make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// `…exists()`: one is enough.
    Any,
    /// `…empty()`, `…all()`: each must.
    All,
    /// Anything else speaks of one reference only.
    One,
}
