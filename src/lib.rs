//! Footbridge: the program around the core.
//!
//! In: files, arguments, sockets. Out: what the core decided, on topics, terminals and pages.
//! Never here: a rule of consent or of membership; those live in the core.

#![forbid(unsafe_code)]

pub mod config;
pub mod demo;
