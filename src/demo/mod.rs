//! The demonstration: an invented hospital, and its story told.
//!
//! In: a seed. Out: resources as they would arrive over two years.
//! Never here: a real person, a clock, a file.

pub mod population;
pub mod shipped;
