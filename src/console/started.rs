//! A bridge in a process of its own: for the demonstration, and for tests of the real program.
//!
//! In: a command that runs one. Out: the process, once it listens, and where. Never here: what is asked of it then.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts it, and waits until it says at which address it listens. What it says further is read, so that it never waits for a
/// reader.
///
/// # Errors
/// What it said, where it ended before it listened.
pub fn started(command: &mut Command) -> Result<(Child, String), Vec<String>> {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| vec![error.to_string()])?;
    let mut said = Vec::new();
    let mut lines = process.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines());
    while let Some(Ok(line)) = lines.next() {
        if let Some(address) = line.strip_prefix("footbridge listens on ").and_then(|rest| rest.split(',').next()) {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((process, address.to_owned()));
        }
        said.push(line);
    }
    // It has closed what it speaks through: it is ending.
    match process.wait() {
        Ok(_) => Err(said),
        Err(error) => Err(vec![said.join("; "), error.to_string()]),
    }
}
