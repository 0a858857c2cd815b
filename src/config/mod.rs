//! Configuration: raw text and places become the rooms' own validated types.
//!
//! In: a mappings folder, `footbridge.yaml`. Out: `Mappings`, `Config`, or every problem with its place and a way out.
//! Never here: the meaning of a key; the room that owns the type reads it from its `Document`.

pub mod bridge;
pub mod data;
pub mod files;
mod included;
pub mod mappings;
pub mod render;
pub mod yaml;
