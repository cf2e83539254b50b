//! Writes one log line per call, when the call ends, for all transports.
//!
//! Failures begin with a word that monitoring searches for: `Connection`, `timeout`, `API Error` or `Authentication`.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::{Level, Metadata};

use super::{App, Cost, lane_name};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Origin, Result, shortened};
use crate::manifest::Route;
use crate::metrics::{self, NO_BACKEND, NO_LANE, Running};
use crate::secrets;
use crate::tool::Spec;

/// The log target of these lines, for filters.
pub(crate) const TARGET: &str = "capcut_mcp::calls";

/// A call under way. It is counted and logged when it ends, also if it is dropped before.
pub(super) struct UnderWay<'a> {
    /// `None` once it has ended.
    running: Option<Running<'a>>,
    tool: &'static str,
    draft: Option<&'a DraftId>,
    cost: Option<&'a Cost>,
    /// The call came in through the CapCut API: its failures are labelled as failures of that API.
    of_api: bool,
    backend: &'static str,
    since: Instant,
}

impl<'a> UnderWay<'a> {
    pub(super) fn new(
        app: &'a App,
        spec: &Spec,
        draft: Option<&'a DraftId>,
        caller: &Caller,
        route: &Route,
        cost: Option<&'a Cost>,
    ) -> Self {
        let tool = spec.name;
        Self {
            running: Some(app.metrics.begin(tool, lane_name(route))),
            tool,
            draft,
            cost,
            of_api: !caller.manner.is_strict(),
            backend: NO_BACKEND,
            since: Instant::now(),
        }
    }

    /// The backend is now known: `embedded`, `remote` or [`metrics::LOCAL`].
    pub(super) fn on(&mut self, backend: &'static str) {
        self.backend = backend;
        if let Some(running) = &mut self.running {
            running.on(backend);
        }
    }

    /// Counts and logs the end, and returns how long the call took.
    pub(super) fn end(mut self, ended: &Result<Value>) -> Duration {
        if let Some(running) = self.running.take() {
            running.end(metrics::status(ended));
        }
        self.log(ended.as_ref());
        self.since.elapsed()
    }

    fn log(&self, ended: Result<&Value, &Error>) {
        let made = || ended.ok()?.get("draft_id")?.as_str();
        let tries = self.cost.map_or(0, Cost::tries);
        let line = CallLogLine {
            tool: self.tool,
            draft: self.draft.map(DraftId::as_str).or_else(made),
            // Local tools need no backend and run once.
            tries: if self.backend == metrics::LOCAL {
                1
            } else {
                tries
            },
            backend: self.backend,
            duration: self.since.elapsed(),
        };
        match ended {
            Ok(_) => line.succeeded(),
            Err(error) => line.failed(error, self.of_api),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.running.is_some() {
            let error = if std::thread::panicking() {
                Error::internal("an internal error in capcut-mcp stopped it")
            } else {
                Error::new(Kind::Cancelled, "cancelled")
            };
            self.log(Err(&error));
        }
    }
}

/// Logs a call that was refused before it ran.
pub(crate) fn refused(tool: &str, error: &Error, of_api: bool) {
    let line = CallLogLine {
        tool: &shortened(tool),
        draft: None,
        tries: 0,
        backend: NO_BACKEND,
        duration: Duration::ZERO,
    };
    line.failed(error, of_api);
}

/// Logs a call of a listener endpoint that is not a tool.
pub(crate) fn of_endpoint(name: &str, duration: Duration, error: Option<&Error>) {
    let line = CallLogLine {
        tool: name,
        draft: None,
        tries: 1,
        backend: metrics::LOCAL,
        duration,
    };
    match error {
        None => line.succeeded(),
        Some(error) => line.failed(error, true),
    }
}

impl App {
    /// Counts and logs a call whose arguments were refused, so that it never ran.
    pub(crate) fn refused(&self, tool: &'static str, error: &Error, of_api: bool) {
        let lane = self.manifest.route(tool).map_or(NO_LANE, lane_name);
        self.metrics.begin(tool, lane).end(error.kind.name());
        refused(tool, error, of_api);
    }
}

struct CallLogLine<'a> {
    tool: &'a str,
    draft: Option<&'a str>,
    tries: usize,
    backend: &'static str,
    duration: Duration,
}

/// Whether such a line cannot contain secrets: names in it are checked when they are written, and a successful call has no
/// other text from outside.
pub(crate) fn is_safe(event: &Metadata<'_>) -> bool {
    event.target() == TARGET && *event.level() == Level::INFO
}

/// A name as the value of a log field, which the formats quote: without secrets.
fn name(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    // Nothing else that is secret is made of such letters alone.
    if text.bytes().all(is_plain) && !secrets::holds_known(text) {
        return Cow::Borrowed(text);
    }
    secrets::without(text)
}

/// Writes the same fields at a given level, which `tracing` requires at compile time.
macro_rules! write_line {
    ($level:ident, $line:expr, $status:expr, $($message:tt)+) => {
        tracing::event!(
            target: TARGET,
            Level::$level,
            tool = &*name($line.tool),
            draft = $line.draft.map(name).as_deref(),
            status = $status,
            duration_ms = milliseconds($line.duration),
            tries = $line.tries,
            backend = $line.backend,
            $($message)+
        )
    };
}

impl CallLogLine<'_> {
    fn succeeded(&self) {
        write_line!(INFO, self, metrics::OK, "call ended");
    }

    fn failed(&self, error: &Error, of_api: bool) {
        let (status, label, cause) = (error.kind.name(), label(error, of_api), error.cause());
        if error.kind == Kind::Internal {
            write_line!(ERROR, self, status, "call failed: {label}{cause}");
        } else {
            write_line!(WARN, self, status, "call failed: {label}{cause}");
        }
    }
}

/// With microsecond precision.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The words by which monitoring finds the failure.
fn label(error: &Error, of_api: bool) -> &'static str {
    match (error.origin, error.kind) {
        (Some(Origin::Authentication), _) => "Authentication failed: ",
        (_, Kind::Timeout) => "timeout: ",
        (Some(Origin::Connection), _) | (_, Kind::Unsent) if timed_out(error) => {
            "Connection timeout: "
        }
        (Some(Origin::Connection), _) | (_, Kind::Unsent) => "Connection failed: ",
        (Some(Origin::Api), _) => "API Error: ",
        (None, _) if of_api => "API Error: ",
        (None, _) => "",
    }
}

/// Whether a connection could not be made in time. The texts are those of the system (Linux and macOS, Windows) and of
/// the HTTP library.
fn timed_out(error: &Error) -> bool {
    let text = error.to_string().to_lowercase();
    [
        "timed out",
        "deadline has elapsed",
        "did not properly respond",
    ]
    .iter()
    .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_value_without_secrets() {
        secrets::know("kn0wn-in-a-name");
        for (name, shown) in [
            ("dfd_cat_1", "dfd_cat_1"),
            ("a tool=b", "a tool=b"),
            ("a\nb", "a\nb"),
            ("", ""),
            ("a_kn0wn-in-a-name", "a_…"),
            ("a?token=S3CRET", "a?…"),
        ] {
            assert_eq!(super::name(name), shown);
        }
    }

    #[test]
    fn each_failure_begins_with_its_search_word() {
        let of = |kind| Error::new(kind, "x");
        for (error, of_api, expected) in [
            (of(Kind::Unsent), false, "Connection failed: "),
            (
                of(Kind::Unavailable).with_origin(Origin::Connection),
                true,
                "Connection failed: ",
            ),
            (
                Error::new(
                    Kind::Unsent,
                    "no answer (Connection timed out (os error 110))",
                ),
                false,
                "Connection timeout: ",
            ),
            (
                Error::new(Kind::Unsent, "no answer (deadline has elapsed)")
                    .with_origin(Origin::Connection),
                true,
                "Connection timeout: ",
            ),
            (of(Kind::Timeout), true, "timeout: "),
            (
                of(Kind::Timeout).with_origin(Origin::Api),
                false,
                "timeout: ",
            ),
            (
                of(Kind::Conflict).with_origin(Origin::Api),
                false,
                "API Error: ",
            ),
            (of(Kind::InvalidArgument), true, "API Error: "),
            (
                of(Kind::Media).with_origin(Origin::Authentication),
                true,
                "Authentication failed: ",
            ),
            (of(Kind::InvalidArgument), false, ""),
            (of(Kind::Unavailable), false, ""),
            (of(Kind::Internal), false, ""),
        ] {
            assert_eq!(label(&error, of_api), expected, "{error:?} {of_api}");
        }
    }
}
