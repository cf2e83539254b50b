//! `capcut-mcp`: CapCut and JianYing drafts for AI clients and for people at a shell.
//!
//! The map of the crate, from the top layer down; a module uses its own layer and those below:
//!
//! | layer | modules | what for |
//! |---|---|---|
//! | 9 | [`cli`], [`door`] | the commands; a small door for benchmarks |
//! | 8 | [`mcp`], [`http`] | the protocols: MCP over stdio, the CapCut API over HTTP |
//! | 7 | [`compose`], [`local`] | whole videos; tools carried out here, whatever the backend |
//! | 6 | [`exec`] | how a call is carried out: turn, slot, breaker, backend, again |
//! | 5 | [`backend`], [`envelope`], [`manifest`] | the engine in this process or a server; `tools.toml` |
//! | 4 | [`tools`] | one file per tool, and the one list of them |
//! | 3 | [`engine`], [`journal`], [`args`], [`lint`] | drafts: edit, read, save; what was acknowledged; arguments; what is wrong with a draft on disk |
//! | 2 | [`draft`], [`catalog`], [`media`], [`picture`] | the document, the names, what is known of a file, a drawn timeline |
//! | 1 | [`caller`], [`encoding`], [`error`], [`regular_file`], [`secrets`], [`printable`], [`units`], [`progress`], [`settings`], [`metrics`], [`memory`] | who calls and what that call may do; what everything else stands on |
//!
//! `ARCHITECTURE.md` tells how a call travels and how a tool is added.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod args;
mod backend;
mod caller;
mod catalog;
#[cfg(test)]
mod checks;
mod cli;
mod compose;
#[doc(hidden)]
pub mod door;
mod draft;
mod encoding;
mod engine;
mod envelope;
mod error;
mod exec;
#[cfg(test)]
mod golden;
mod http;
mod journal;
mod lint;
mod local;
mod manifest;
mod mcp;
mod media;
mod memory;
mod metrics;
mod picture;
mod printable;
mod progress;
mod regular_file;
mod secrets;
mod settings;
mod tools;
mod units;

pub use cli::run;
