//! What commands print: events on standard output, progress on standard error.

use super::rehearsal::Patients;
use footbridge_core::gate::{Revealed, Structured};
use footbridge_core::phi::Phi;
use footbridge_core::shard::Happening;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, BufWriter, IsTerminal, Write};

/// The CloudEvents `source` of a rehearsal.
pub const SOURCE: &str = "urn:footbridge:simulate";

/// Writes one event a line, by instant, audience, person. `reveal` adds the patient and the whole cause.
pub fn print_lines(happenings: &[Happening], patients: &Patients, reveal: bool) -> io::Result<()> {
    let mut order: Vec<&Happening> = happenings.iter().collect();
    let key = |happening: &Happening| (happening.told.event.effective(), patients.id(&happening.person).to_owned());
    order.sort_by(|a, b| {
        let (a_at, a_patient) = key(a);
        let (b_at, b_patient) = key(b);
        (a_at, a.told.event.audience(), a_patient).cmp(&(b_at, b.told.event.audience(), b_patient))
    });
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    for happening in order {
        let event = &happening.told.event;
        let patient = format!("Patient/{}", patients.id(&happening.person));
        let revealed = reveal.then(|| Revealed { patient: Phi::new(&patient), cause: event.cause() });
        let line = sonic_rs::to_vec(&Structured::new(event, SOURCE, revealed)).map_err(io::Error::other)?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// A progress bar on standard error; nothing where that is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new(what: &'static str) -> Progress {
        let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress { bar }
    }

    /// In bytes; 0 of a total that is not known.
    pub fn at(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Prints something else on standard error, which must not run into the bar.
    pub fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
