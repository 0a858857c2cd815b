//! Seeds, many at a time: each core takes the next one.
//!
//! In: a range of seeds, what one of them does. Out: what each came to, in the order of the seeds; a panic is a failure like any other.
//! Never here: anything that one seed leaves to another.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub fn each<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> anyhow::Result<T> + Sync) -> Vec<(u64, anyhow::Result<T>)> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut done = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return done;
            }
            let came = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|_| Err(anyhow::anyhow!("panic")));
            done.push((seed, came));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics are caught within")).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all
}
