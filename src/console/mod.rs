//! What a running bridge answers to commands: events, quarantine, how it stands.
//!
//! In: requests on the machines' listener. Out: JSON, a line an item. Never here: a change of anything but what `quarantine retry` asks for.

mod api;
pub mod client;

pub use api::routes;
