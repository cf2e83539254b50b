//! `stats`: shows the metrics of a running process as text.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::{ask, monitor};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::media::shown;
use crate::metrics::Snapshot;

/// Prints statistics of a running server: calls, errors, times, retries, lanes and breakers.
///
/// The server must have been started with `--metrics`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp serve --metrics 127.0.0.1:9464     in the client's configuration
  capcut-mcp stats                              afterwards, in a shell
  capcut-mcp stats --url http://127.0.0.1:9191  for a server on another port")]
pub(super) struct Stats {
    /// The address of the server's metrics.
    #[arg(long, value_name = "URL", default_value_t = format!("http://{}", monitor::USUAL))]
    url: String,
}

impl Stats {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let text = fetch(&ask::page(&self.url, "/metrics")).await?;
        let snapshot = Snapshot::parse(&text).map_err(|error| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "{} does not serve metrics: {}",
                    shown(&self.url),
                    error.message
                ),
            )
            .hint("is it the address given with `--metrics`?")
        })?;
        cli::print(&table(&snapshot))
    }
}

async fn fetch(url: &str) -> Result<String> {
    let hint = format!(
        "start the server with `--metrics {}`, and name another address with `--url`",
        monitor::USUAL
    );
    match ask::get(url).await {
        Ok((status, text)) if status.is_success() => Ok(text),
        Ok((status, _)) => {
            let what = format!("{}: HTTP {status}", shown(url));
            Err(Error::new(Kind::Unavailable, what).hint(hint))
        }
        Err(error) => Err(error.hint(hint)),
    }
}

fn table(snapshot: &Snapshot) -> String {
    let mut rows = vec![["tool", "calls", "errors", "p50", "p95", "retries"].map(str::to_owned)];
    for (name, tool) in &snapshot.tools {
        let time = |part| tool.quantile(part).map_or_else(|| "-".to_owned(), seconds);
        rows.push([
            name.clone(),
            tool.calls.to_string(),
            tool.failed().to_string(),
            time(0.5),
            time(0.95),
            tool.retries.to_string(),
        ]);
    }
    let mut text = String::new();
    if snapshot.tools.is_empty() {
        text.push_str("no calls yet\n");
    } else {
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
        let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
        for row in &rows {
            let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(widths).skip(1) {
                let _ = write!(text, "  {cell:>width$}");
            }
            text.push('\n');
        }
    }
    let failed = snapshot.tools.iter().filter(|(_, tool)| tool.failed() > 0);
    for (name, tool) in failed {
        let kinds: Vec<_> = tool
            .errors
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = write!(text, "\nerrors of {name}: {}", kinds.join(", "));
    }
    let line = |what: &str, parts: Vec<String>| format!("\n{what}: {}", parts.join(", "));
    if !snapshot.lanes.is_empty() {
        let lanes = snapshot.lanes.iter();
        text += &line(
            "active now",
            lanes.map(|(l, n)| format!("{l} {n}")).collect(),
        );
    }
    let waiting: Vec<String> = snapshot
        .waiting
        .iter()
        .filter(|(_, calls)| **calls > 0)
        .map(|(lane, calls)| format!("{lane} {calls}"))
        .collect();
    if !waiting.is_empty() {
        text += &line("waiting for a slot", waiting);
    }
    if snapshot.connections > 0 {
        text += &line("connections", vec![snapshot.connections.to_string()]);
    }
    if !snapshot.breakers.is_empty() {
        let breakers = snapshot.breakers.iter();
        text += &line(
            "breakers",
            breakers.map(|(b, s)| format!("{b} {s}")).collect(),
        );
    }
    text
}

/// A time in a readable unit, with three digits because the value is interpolated.
fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 0.001 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{BreakerState, Metrics, OK};

    #[test]
    fn metrics_are_shown_as_a_table() {
        let metrics = Metrics::new();
        for _ in 0..12 {
            metrics.begin("add_text", "draft").end(OK);
        }
        metrics.begin("add_video", "visual").end("media");
        metrics.begin("add_video", "visual").end("timeout");
        metrics.retry("add_video", "unsent");
        metrics.breaker("http://127.0.0.1:9000", BreakerState::Open);
        let _active = metrics.active("visual");
        let _connection = metrics.connection();
        metrics.waiting("visual", 2);
        metrics.waiting("audio", 0);
        let snapshot = Snapshot::parse(&metrics.render()).expect("our own text");
        let text = table(&snapshot);
        let words = |start: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(start));
            let line = line.unwrap_or_else(|| panic!("no {start:?} in\n{text}"));
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(
            words("tool")[..],
            ["tool", "calls", "errors", "p50", "p95", "retries"]
        );
        assert_eq!(words("add_text")[1..3], ["12", "0"]);
        assert_eq!(words("add_video")[1..3], ["2", "2"]);
        assert_eq!(words("add_video").last().map(String::as_str), Some("1"));
        for line in [
            "errors of add_video: 1 media, 1 timeout",
            "active now: visual 1",
            "waiting for a slot: visual 2",
            "connections: 1",
            "breakers: http://127.0.0.1:9000 open",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(table(&Snapshot::default()), "no calls yet\n");
    }

    #[test]
    fn times_are_shown_in_a_suitable_unit() {
        for (time, expected) in [
            (0.000_062_4, "62.4 µs"),
            (0.000_25, "250 µs"),
            (0.001_5, "1.50 ms"),
            (0.25, "250 ms"),
            (12.34, "12.3 s"),
            (600.0, "600 s"),
        ] {
            assert_eq!(seconds(time), expected);
        }
    }
}
