//! The MCP server: list, call; stdio.
