//! Three-valued truth as FHIRPath has it: `None` is empty, which keeps a person out and never puts one in.
//!
//! In: what single resources say. Out: what they say together. Never here: resources.

pub type Truth = Option<bool>;

pub fn and(parts: &[Truth]) -> Truth {
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    if parts.contains(&None) { None } else { Some(true) }
}

pub fn or(parts: &[Truth]) -> Truth {
    if parts.contains(&Some(true)) {
        return Some(true);
    }
    if parts.contains(&None) { None } else { Some(false) }
}

pub fn not(part: Truth) -> Truth {
    part.map(|value| !value)
}

/// No part holds, surely.
pub fn none(parts: &[Truth]) -> Truth {
    not(or(parts))
}

pub fn at_least(count: usize, parts: &[Truth]) -> Truth {
    let sure = parts.iter().filter(|part| **part == Some(true)).count();
    let possible = parts.iter().filter(|part| **part != Some(false)).count();
    if sure >= count {
        return Some(true);
    }
    if possible >= count { None } else { Some(false) }
}
