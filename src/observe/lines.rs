//! The log of the process: a line a fact, on standard error.
//!
//! In: the form that the operator asked for. Out: lines. Never here: what a line says; facts do.

use tracing::Level;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Json,
}

/// Begins to write lines of `level` and above. `false`: the process already writes them, and goes on as it does.
pub fn begin(form: Form, level: Level) -> bool {
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_ansi(false).with_writer(std::io::stderr);
    match form {
        Form::Plain => tracing::subscriber::set_global_default(lines.finish()).is_ok(),
        Form::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()).is_ok(),
    }
}
