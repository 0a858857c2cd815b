//! gate
pub mod member;
