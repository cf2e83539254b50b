//! The executable as its users see it: over pipes, over HTTP and from a shell.

mod away;
mod batch;
mod check;
mod cli;
mod compose;
mod engine;
mod faults;
mod front;
mod hostile;
mod http;
mod jobs;
mod journal;
mod kill;
mod metrics;
mod newer;
mod plans;
mod preview;
mod racy;
mod remote;
mod resume;
mod runs;
mod save;
mod secrets;
mod stdio;
mod support;
mod trust;
