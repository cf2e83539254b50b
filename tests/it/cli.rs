//! The commands, their output and their exit codes.
