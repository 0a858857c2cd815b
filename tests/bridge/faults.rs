//! See it fail: each way in which a log could break the protocol is found by the checks of the simulation.
//!
//! In: the faults of the saboteur. Out: nothing; a fault that no seed finds fails the test.
//! Never here: a check of its own.

use super::saboteur::{FAULTS, Fault};
use super::wide;

/// In so many seeds each must be found.
const SEEDS: u64 = 1500;

/// The first seed that finds it, and what was found. That run would have been quiet without the fault.
fn found(fault: Fault) -> Option<(u64, String)> {
    for seed in 0..SEEDS {
        match std::panic::catch_unwind(|| wide::run(seed, Some(fault))) {
            Ok(Ok(_)) => {}
            Ok(Err(why)) if wide::run(seed, None).is_ok() => return Some((seed, format!("{why:#}"))),
            Err(_) if wide::run(seed, None).is_ok() => return Some((seed, "a panic".to_owned())),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    None
}

#[test]
fn each_broken_promise_of_a_log_is_found() {
    let mut missed = Vec::new();
    for fault in FAULTS {
        match found(fault) {
            Some((seed, why)) => eprintln!("| {fault:?} | {seed} | {} |", why.lines().next().unwrap_or_default()),
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "no seed of {SEEDS} finds {missed:?}");
}
