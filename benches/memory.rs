//! What the system says of a process's memory.
//!
//! In: the name of a line of its `/proc` status. Out: KB. Never here: a figure where the system keeps none.

/// This process's. `None`: this system has no such account; the bench says so and goes on.
pub fn memory(name: &str) -> Option<u64> {
    memory_of("self", name)
}

/// Of another process, by its id.
pub fn memory_of(process: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().split(' ').next()?.parse().ok()
}
