//! The gate: the one room where a change of release becomes an event.
//!
//! In: a `Transition` and what consent grants. Out: `Permitted`, then `Event`, each made here and nowhere else.
//! Never here: how eligibility or consent came about.

mod cloudevent;
mod event;
mod member;
mod pass;
mod release;
mod transition;

pub use cloudevent::{DATA_SCHEMA, Revealed, Structured};
pub use event::{Address, Event, Identity, Status};
pub use member::{BadMember, MemberKey};
pub use pass::{Denial, Grant, Permitted, gate, project};
pub use release::{Closed, Reach, Release, Shown};
pub use transition::{Change, Enter, Leave, Transition, Update};
