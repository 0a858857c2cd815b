//! FHIRPath over one resource: parse, check, compile, evaluate at an instant with until-when.

mod program;
pub use program::Program;
