//! FHIRPath over one resource: parse, check against R4, compile, evaluate at an instant with until-when.
//!
//! In: an expression and the type it starts from; later a parsed resource. Out: truth or values, over all time.
//! Never here: the clock, the store, other resources (they are asked for through [`Env`]).

mod clock;
mod compare;
#[cfg(all(test, feature = "corpus"))]
mod corpus;
mod element;
mod eval;
mod lexer;
mod lower;
mod model;
mod moments;
mod node;
mod parser;
mod program;
mod quantity;
mod remark;
mod required;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use program::{Codes, Env, Form, INSTANTS_MAX, Program, Remote, Required, compile};
pub use remark::Remark;
pub use scalar::Scalar;
