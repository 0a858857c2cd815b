//! The compiled form.

#[derive(Debug)]
pub struct Program {}
