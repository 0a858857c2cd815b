use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(footbridge::cli::main() as u8)
}
