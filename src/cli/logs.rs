//! The log: on stderr, because stdout is the protocol or a command's result, and in a file on request.
//!
//! Every line goes through [`discreet`] on its way out, whichever library wrote it.

mod discreet;
mod levels;
mod rotating;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::{Error, Result};
use crate::exec::call_log;
use discreet::Discreet;
use rotating::Rotating;

/// What is logged unless told otherwise.
const DEFAULT: &str = "info";

/// Lines that wait for stderr. A client that does not read it must not stop the server: what does not fit is dropped.
const WAITING_LINES: usize = 2048;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// Which lines about calls go to stderr if `--log` is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Logged,
    /// The command itself prints what became of its calls; the file still has their lines.
    Printed,
}

/// Writes to stderr what waits for it, when it is dropped.
static STDERR: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// The names of levels, for shells.
pub(super) fn levels() -> Vec<&'static str> {
    levels::names()
}

/// Switches logging on.
pub(super) fn start(
    levels: Option<&str>,
    format: Format,
    file: Option<&Path>,
    calls: Calls,
) -> Result<()> {
    let targets = levels::parse(levels.unwrap_or(DEFAULT))?;
    let file = file
        .map(|path| {
            Rotating::open(path).map_err(|error| {
                Error::invalid(format!(
                    "`--log-file`: {} cannot be written",
                    path.display()
                ))
                .source(error)
                .hint("name a file in a folder that you may write")
            })
        })
        .transpose()?;
    let (stderr, guard) = stderr();
    let stderr = lines(format, stderr);
    let stderr = if levels.is_none() && calls == Calls::Printed {
        let others = filter_fn(|metadata| metadata.target() != call_log::TARGET);
        stderr.with_filter(others).boxed()
    } else {
        stderr
    };
    let file = file.map(|file| lines(format, Mutex::new(Discreet(file))));
    tracing_subscriber::registry()
        .with(targets)
        .with(stderr)
        .with(file)
        .try_init()
        .map_err(|e| Error::internal("logging is switched on already").source(e))?;
    *STDERR.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    Ok(())
}

/// Waits a moment for the lines that are not written yet.
pub(super) fn flush() {
    drop(STDERR.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// stderr on a thread of its own.
fn stderr() -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        // Flushed as soon as no line waits.
        .finish(Discreet(io::BufWriter::new(io::stderr())))
}

/// Lines of this format, written there.
fn lines<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    for<'a> <W as MakeWriter<'a>>::Writer: Write,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    match format {
        Format::Plain => lines.with_target(false).boxed(),
        Format::Json => lines.json().boxed(),
    }
}
