//! What a running bridge answers to commands: events, quarantine, how it stands; and what asks it.
//!
//! In: requests on the machines' listener. Out: JSON, a line an item. Never here: a change that no operator asks for.

mod api;
pub mod client;
mod started;

pub use api::routes;
pub use started::started;
