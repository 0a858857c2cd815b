//! The shard: one member at a time, from an input to what follows from it.
//!
//! In: a landing record's input, a member's state, the present instant as an argument. Out: the new state, events,
//! messages to other members, claims, the next instant. Never here: I/O, a clock, a failure.

mod adopt;
mod decide;
mod input;
mod member;
mod merge;
mod opt_outs;
mod outcome;
mod owners;
mod partition;
mod pieces;
mod read;
mod release;
mod replay;
mod room;
mod step;
#[cfg(test)]
mod tests;
mod touched;
mod versions;

pub use adopt::{Adopt, Former, Move, moves};
pub use input::{Baseline, ContactPreference, Content, Delete, Input, Preference, Put, Unclear, Watermark};
pub use member::{BadState, Emitted, Member, Suppression, Waiting};
pub use merge::{HandOver, Message, Parts};
pub use opt_outs::{OptOut, OptOuts};
pub use outcome::{Claim, Erased, Fact, Step, Told};
pub use owners::{Owner, Ownership};
pub use partition::{Broadcast, Partition, Shared};
pub use pieces::{Loaded, Piece, Stored};
pub use read::{Origin, Reading, Route};
pub use release::Setting;
pub use replay::{Arrival, What, replay};
pub use room::{Happening, Room};
pub use step::{Moment, step};
pub use versions::Versions;
