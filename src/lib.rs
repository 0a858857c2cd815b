//! Footbridge: the program around the core.
//!
//! In: files, flags, sockets. Out: what the core decided, on topics, terminals and pages.
//! Never here: a decision about a person; those are the core's.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
pub mod log;
pub mod observe;
pub mod pipeline;
pub mod source;
