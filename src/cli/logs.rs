//! The log: on stderr, because stdout is the protocol or a command's result, and in a file on request.
//!
//! Every line goes through [`discreet`] on its way out, whichever library wrote it.

mod discreet;
mod rotating;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use clap::ValueEnum;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::{Error, Result};
use discreet::Discreet;
use rotating::Rotating;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// Switches logging on.
pub(super) fn start(levels: &str, format: Format, file: Option<&Path>) -> Result<()> {
    let targets = filter(levels)?;
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
    let file = file.map(|file| lines(format, Mutex::new(Discreet(file))));
    tracing_subscriber::registry()
        .with(targets)
        .with(lines(format, || Discreet(io::stderr())))
        .with(file)
        .try_init()
        .map_err(|e| Error::internal("logging is switched on already").source(e))
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

fn filter(levels: &str) -> Result<Targets> {
    let targets: Targets = levels.parse().map_err(|e| {
        Error::invalid(format!("`--log`: {levels:?} is no level"))
            .source(Box::<dyn std::error::Error + Send + Sync>::from(e))
            .hint("`error`, `warn`, `info`, `debug`, `trace`, or `target=level,…`")
    })?;
    // The SDK warns of every mistake that a client makes; whoever wants that says so.
    Ok(if levels.contains("rmcp") {
        targets
    } else {
        targets.with_target("rmcp", tracing::level_filters::LevelFilter::ERROR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdk_says_of_clients_is_quiet_unless_asked_for() {
        let rmcp = |levels: &str| {
            filter(levels)
                .expect("a level")
                .would_enable("rmcp", &tracing::Level::WARN)
        };
        assert!(!rmcp("info"));
        assert!(rmcp("info,rmcp=debug"));
        assert!(filter("loud=very").is_err());
    }
}
