//! The commands and their options.

use std::process::ExitCode;

/// Parses the arguments, runs the command and gives the exit code.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
