//! `tools.toml` as types, and what must hold in it.
