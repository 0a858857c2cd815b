//! The oracle: what `simulate` tells about 293 synthetic patients, against a plain and slow recomputation.
//!
//! In: the shared corpus, an overlay invented here, the events that the real binary prints. Out: every disagreement.
//! Never here: a line of the engine. Both sides read the same files; only the words of the design are shared.

#![cfg(feature = "corpus")]

mod audiences;
mod chart;
mod clock;
mod consents;
mod corpus;
mod dice;
mod gate;
mod invent;
mod json;
mod labels;
mod membership;
mod truth;
mod wire;
mod wrappings;
