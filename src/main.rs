//! The executable: everything is in the library.

use std::process::ExitCode;

/// Calls and plans are trees of small parts, made on one thread and often dropped on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    capcut_mcp::run()
}
