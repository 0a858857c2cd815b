//! Tests of the shard, the gate and audiences together: stories named after their rules, and properties of random feeds.
//!
//! In: definitions and resources as JSON texts. Out: what left, a line an event. Never here: a real patient.

mod adopting;
mod contacts;
mod hidden;
mod kit;
mod merges;
mod naive;
mod properties;
mod stories;
mod told;
mod whose;
mod world;
