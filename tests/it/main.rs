//! Tests of the executable as users run it: over pipes, over HTTP and from a shell.

mod access;
mod app_keys;
mod away;
mod batch;
mod beats;
mod captions;
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
mod everyday;
mod faults;
mod field;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod flows;
mod front;
mod generating;
mod health;
mod heard;
mod hostile;
mod http;
mod inputs;
mod jobs;
mod journal;
mod kill;
mod logs;
mod look;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod mcp_over_http;
mod memory;
mod metrics;
mod names;
mod newer;
mod object_storage;
mod pauses;
mod plans;
mod preview;
mod properties;

mod pull;
mod racy;
mod remote;
mod rendering;
#[cfg(unix)]
mod replicas;
mod resume;
mod rights;
mod runs;
mod save;
mod save_back;
mod saves;
mod secrets;
mod seen;
mod services;
mod sheets;
mod shells;
mod sign_in;
mod sound;
mod sound_sources;
mod start;
mod stdio;
#[cfg(unix)]
mod store;
mod studio;
mod subtitles;
mod support;
mod templates;
mod texts_and_sound;
mod tokens;
mod trust;
mod unfit;
mod uploads;
mod view;
mod whole;
