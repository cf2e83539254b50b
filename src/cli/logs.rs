//! The log: on stderr, because stdout carries the protocol or a command's result, and optionally in a file.
//!
//! Every line passes through [`discreet`], whichever library wrote it.

mod discreet;
mod levels;
mod plain;
mod stderr;

use std::path::Path;
use std::sync::Mutex;

use clap::ValueEnum;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::{Error, Result};
use crate::exec::call_log;
use crate::rotating_file::RotatingFile;
use discreet::Discreet;

/// The default level.
const DEFAULT: &str = "info";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Readable text.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
        }
    }

    /// The format of this name.
    pub(super) fn of(text: &str) -> Result<Self> {
        Self::from_str(text.trim(), true).map_err(|_| {
            Error::invalid(format!(
                "the format of the log is {text:?}; it can be `plain` or `json`"
            ))
            .hint("correct `format` of `[log]` in `tools.toml`, or `CAPCUT_MCP_LOG_FORMAT`")
        })
    }
}

/// Which lines about calls go to stderr if `--log` is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Logged,
    /// The command itself prints the results of its calls. Only the log file has lines for them.
    Printed,
}

/// The names of levels, for completion.
pub(super) fn levels() -> Vec<&'static str> {
    levels::names()
}

/// Starts logging.
pub(super) fn start(
    levels: Option<&str>,
    format: LogFormat,
    file: Option<&Path>,
    calls: Calls,
) -> Result<()> {
    let targets = levels::parse(levels.unwrap_or(DEFAULT))?;
    let file = file
        .map(|path| {
            RotatingFile::open(path).map_err(|error| {
                Error::invalid(format!(
                    "`--log-file`: {} cannot be written",
                    path.display()
                ))
                .source(error)
                .hint("choose a file in a folder that you can write to")
            })
        })
        .transpose()?;
    let stderr = lines(format, stderr::start()?);
    let stderr = if levels.is_none() && calls == Calls::Printed {
        let others = filter_fn(|metadata| metadata.target() != call_log::TARGET);
        stderr.with_filter(others).boxed()
    } else {
        stderr
    };
    let file = file.map(|file| lines(format, Mutex::new(file)));
    tracing_subscriber::registry()
        .with(targets)
        .with(stderr)
        .with(file)
        .try_init()
        .map_err(|e| Error::internal("logging has already been started").source(e))
}

/// Waits briefly for lines that are not written yet.
pub(super) fn flush() {
    stderr::end();
}

/// A layer that writes lines in this format.
fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Discreet(writer))
        .with_timer(plain::Clock::default())
        .with_ansi(false);
    match format {
        LogFormat::Plain => lines.with_target(false).fmt_fields(plain::Fields).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}
