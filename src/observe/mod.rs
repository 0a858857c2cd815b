//! What an operator sees of a running bridge: a line of the log and a metric, both from one struct a fact.
//!
//! In: facts. Out: lines on standard error, Prometheus text, the reasons why the bridge is not ready.
//! Never here: a person, an id, or content; every field that can leave is a field of a fact.

mod facts;
mod lines;
mod metrics;
mod ready;

pub use facts::*;
pub use lines::{Form, begin};
pub use metrics::render;
pub use ready::{Ready, Reason};
