//! The engine as an HTTP server: one route per tool, from the list.
