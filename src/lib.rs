//! Footbridge, the program around the core.
//!
//! In: files and arguments. Out: events, reports, exit codes.
//! Never here: a rule of consent or of membership; those live in the core.

#![forbid(unsafe_code)]

pub mod demo;
