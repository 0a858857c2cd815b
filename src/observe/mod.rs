//! What an operator sees of a running bridge: a line of the log and a metric, both from one struct a fact.
//!
//! In: facts. Out: lines on standard error, Prometheus text.
//! Never here: a person, an id, or content; every field that can leave is a field of a fact.

mod facts;
mod lines;
mod metrics;

pub use facts::*;
pub use lines::{Form, begin};
pub use metrics::render;
