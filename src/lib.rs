//! `capcut-mcp`: CapCut and JianYing drafts for AI clients and for people at a shell.
//!
//! The map of the crate, from the top layer down; a module uses its own layer and those below:
//!
//! | layer | modules | purpose |
//! |---|---|---|
//! | 9 | [`cli`], [`bench`] | the commands; entry points for benchmarks |
//! | 8 | [`mcp`], [`http`] | the protocols: MCP over stdio, the CapCut API over HTTP |
//! | 7 | [`compose`], [`local`], [`transfer`] | whole videos; tools that run in this process with every backend; copies and backups of stores |
//! | 6 | [`exec`] | how a call runs: turn, slot, breaker, backend, retry |
//! | 5 | [`backend`], [`manifest`] | the engine in this process or a server; `tools.toml` |
//! | 4 | [`delivery`], [`providers`], [`tool`], [`tools`] | saved drafts on their way to people's computers; services that make voices and pictures; what a tool is; one file per tool, and the one list of them |
//! | 3 | [`engine`], [`journal`], [`args`], [`lint`], [`uploads`] | drafts: edit, read, save; acknowledged calls; arguments; problems of a draft on disk |
//! | 2 | [`draft`], [`catalog`], [`media`], [`picture`], [`access`], [`storage`], [`sound`] | the document, the names, media files, a timeline as a picture, who may use a listener, saved drafts and uploaded files, what is heard in media |
//! | 1 | [`breaker`], [`caller`], [`encoding`], [`error`], [`regular_file`], [`rotating_file`], [`secrets`], [`printable`], [`units`], [`progress`], [`sorting`], [`settings`], [`styles`], [`metrics`], [`memory`] | the caller and its rights; shared basics |
//!
//! `ARCHITECTURE.md` describes how a call is processed and how to add a tool.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod access;
mod args;
mod backend;
#[doc(hidden)]
pub mod bench;
mod breaker;
mod caller;
mod catalog;
#[cfg(test)]
mod checks;
mod cli;
mod compose;
mod delivery;
mod draft;
mod encoding;
mod engine;
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
mod providers;
mod regular_file;
mod rotating_file;
mod secrets;
mod settings;
mod sorting;
mod sound;
mod storage;
mod styles;
mod tool;
mod tools;
mod transfer;
mod units;
mod uploads;

pub use cli::run;
