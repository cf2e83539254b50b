//! MCP over stdin and stdout, both eras.
