//! What the system says of a process: the CPU that it used; and how busy the machine is.
//!
//! In: a process's id. Out: figures. Never here: a figure of another system than Linux.

use std::time::Duration;

/// User and system time of all its threads. In hundredths of a second: that unit is fixed for `/proc`.
pub fn cpu(id: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process of Linux");
    // The name in brackets may hold spaces; behind it user and system time stand in the 12th and 13th place.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// Over one, five and fifteen minutes.
pub fn load() -> String {
    let said = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
