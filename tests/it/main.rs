//! Tests of the executable as users run it: over pipes, over HTTP and from a shell.

mod away;
mod batch;
mod check;
mod cli;
mod compose;
mod config;
mod connect;
mod dialects;
#[cfg(unix)]
mod documents;
mod draft_settings;
mod editing;
mod engine;
mod faults;
mod field;
mod front;
mod hostile;
mod http;
mod inputs;
mod jobs;
mod journal;
mod kill;
mod logs;
mod look;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory;
mod metrics;
mod newer;
mod plans;
mod preview;
mod properties;
mod racy;
mod remote;
mod resume;
mod runs;
mod save;
mod save_back;
mod saves;
mod secrets;
mod shells;
mod start;
mod stdio;
mod subtitles;
mod support;
mod templates;
mod trust;
