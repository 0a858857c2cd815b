//! FHIRPath over one resource: parse, check against R4, compile, evaluate at an instant with until-when.
//!
//! In: an expression and the type it starts from; later a parsed resource. Out: truth or values, over all time.
//! Never here: the clock, the store, other resources (they are asked for through [`Env`]).

mod program;
mod scalar;

pub use program::{Codes, Env, Program, Remark, Remote, Required, compile};
pub use scalar::Scalar;
