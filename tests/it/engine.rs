//! The embedded engine served over HTTP: `capcut-mcp engine`.
