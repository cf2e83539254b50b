//! The MCP server: list, call; drafts to read and ways to start; over stdin and stdout.

mod prompts;
mod stdio;
mod transport;
