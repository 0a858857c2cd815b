//! Load over HTTP: Bundles from four senders.
//!
//! In: Bundles, and how long it goes on. Out: how many were taken. Never here: a sender that waits for another.

use super::live::send;
use footbridge::console::client::Client;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many Bundles were sent while `goes_on`.
pub fn push(address: &str, bundles: &[Vec<u8>], next: &AtomicUsize, goes_on: impl Fn() -> bool + Sync) -> usize {
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = Client::new(address, None);
                while goes_on() {
                    // Where the data ends it comes once more: the same work but for what is stored.
                    send(&client, &bundles[next.fetch_add(1, Ordering::Relaxed) % bundles.len()]);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.load(Ordering::Relaxed)
}
