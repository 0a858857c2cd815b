//! The real program with a configuration file: sources, TLS, outages, and peers that behave badly.
//!
//! In: files and requests of invented patients. Out: nothing. Never here: a wait that is no wait for something.

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

mod erase;
mod home;
mod outage;
mod peers;
mod sources;
mod tls;
