//! `kill -9` in the middle of a landing, and how long it takes until the next process of the same name has committed.
//!
//! In: the shared data. Out: the longest of some. Never here: what was committed before it was killed.

use super::program::Home;
use super::{landed, table, until};
use std::time::{Duration, Instant};

const KILLS: i64 = 5;
const LONGEST: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);
/// What the broker was told before the kill is done by then.
const SETTLED: Duration = Duration::from_millis(500);

pub fn run(at: &str, records: &[Vec<u8>], partitions: u16) {
    let beside = landed::beside();
    let home = Home::new(at, "kills", partitions, beside);
    let count = landed::fill(&home, records, beside) as i64;
    let group = home.group("landing");
    let committed = || group.committed().iter().sum::<i64>();
    let mut program = home.start();
    let mut times = Vec::new();
    for kill in 1..=KILLS {
        let most = count * kill / (KILLS + 2);
        until("a part of landing to be committed", LONGEST, LOOK, || home.tail(), || (committed() >= most).then_some(()));
        program.kill();
        std::thread::sleep(SETTLED);
        let before = committed();
        assert!(before < count, "landing was at its end before the kill");
        let began = Instant::now();
        program = home.start();
        until("the first commit after a kill", LONGEST, LOOK, || home.tail(), || (committed() > before).then_some(()));
        times.push(began.elapsed());
    }
    let (p50, _, longest) = table::spread(&mut times);
    table::plain(&format!("kill -9, start to the first new commit: the median of {KILLS}"), &format!("{:.2} s", p50 / 1e3));
    table::most("kill -9, start to the first new commit: the longest", longest / 1e3, "s", 5.0);
}
