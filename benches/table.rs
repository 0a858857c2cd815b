//! Rows of a table: what was measured, and its limit beside it.
//!
//! In: figures. Out: lines of Markdown, so that they can be copied into `docs/measured`. Never here: a limit that fails the run.

use std::time::Duration;

pub fn head(title: &str) {
    println!("\n{title}\n\n| | measured | limit | |\n|---|---|---|---|");
}

/// A figure without a limit: a yardstick, or what explains another one.
pub fn plain(what: &str, measured: &str) {
    println!("| {what} | {measured} | | |");
}

/// Per second; more is better.
pub fn rate(what: &str, count: usize, took: Duration, unit: &str, least: f64) {
    let measured = count as f64 / took.as_secs_f64();
    println!("| {what} | {measured:.0} {unit}/s | {least:.0} {unit}/s | {} |", verdict(measured >= least, least / measured));
}

/// Less is better.
pub fn most(what: &str, measured: f64, unit: &str, limit: f64) {
    println!("| {what} | {measured:.1} {unit} | {limit:.0} {unit} | {} |", verdict(measured <= limit, measured / limit));
}

fn verdict(met: bool, over: f64) -> String {
    if met { "met".to_owned() } else { format!("missed, {over:.1} times over") }
}

/// p50, p99 and the longest, in milliseconds. Sorts them.
pub fn spread(times: &mut [Duration]) -> (f64, f64, f64) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1].as_secs_f64() * 1e3;
    (at(0.5), at(0.99), at(1.0))
}
