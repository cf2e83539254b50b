//! Counts calls, and renders the counters in the Prometheus text format.
//!
//! Labels come from small fixed sets (names of tools, lanes, backends and kinds of errors), never from a caller's
//! input: the number of series is bounded, and labels contain no addresses or secrets.

mod process;
mod snapshot;

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::error::{Kind, Result};
use process::ProcessUse;
pub(crate) use snapshot::Snapshot;

/// The content type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The lane of tools that need no slot.
pub(crate) const NO_LANE: &str = "none";

/// The backend of calls that ended before one was chosen.
pub(crate) const NO_BACKEND: &str = "none";

/// The backend of tools that run in this process, regardless of which backend has the draft.
pub(crate) const LOCAL: &str = "local";

/// The status of a call that succeeded; the others are the names of [`Kind`].
pub(crate) const OK: &str = "ok";

const REQUESTS: &str = "mcp_bridge_requests_total";
const DURATION: &str = "mcp_bridge_request_duration_seconds";
const ACTIVE: &str = "mcp_bridge_parallel_tasks_active";
const ERRORS: &str = "mcp_bridge_errors_total";
const BREAKER: &str = "mcp_bridge_circuit_breaker_state";
const RETRIES: &str = "mcp_bridge_retries_total";
const CONNECTIONS: &str = "mcp_bridge_active_connections";
const WAITING: &str = "mcp_bridge_waiting_calls";

/// From an edit in this process (about 50 µs) to a save that downloads its media (minutes).
const BUCKETS: [f64; 21] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0,
];

/// The state of a backend's circuit breaker; the numbers are the values of the gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

/// The counters of a process.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    active: IntGaugeVec,
    errors: IntCounterVec,
    breaker: IntGaugeVec,
    retries: IntCounterVec,
    connections: IntGauge,
    waiting: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        const SOUND: &str = "the names and labels are fixed and distinct";
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect(SOUND);
            register(&registry, &counter);
            counter
        };
        let gauge = |name, help, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels).expect(SOUND);
            register(&registry, &gauge);
            gauge
        };
        let duration = HistogramVec::new(
            HistogramOpts::new(
                DURATION,
                "How long a call took, including waiting and all tries.",
            )
            .buckets(BUCKETS.to_vec()),
            &["tool", "lane", "backend"],
        )
        .expect(SOUND);
        register(&registry, &duration);
        let connections = IntGauge::new(
            CONNECTIONS,
            "Open connections of clients: over HTTP, and over stdin and stdout.",
        )
        .expect(SOUND);
        register(&registry, &connections);
        Self {
            requests: counter(
                REQUESTS,
                "Calls that ended, by status: `ok` or the kind of error.",
                &["tool", "status", "lane", "backend"],
            ),
            duration,
            active: gauge(ACTIVE, "Calls that hold a slot in a lane now.", &["lane"]),
            errors: counter(ERRORS, "Calls that failed.", &["tool", "kind", "backend"]),
            breaker: gauge(
                BREAKER,
                "Circuit breaker of a backend: 0 closed (calls are sent), 1 open (calls are paused), 2 half-open (a few trial calls).",
                &["backend"],
            ),
            retries: counter(RETRIES, "Tries after the first.", &["tool", "class"]),
            connections,
            waiting: gauge(
                WAITING,
                "Calls that wait for a slot in a lane now.",
                &["lane"],
            ),
            registry,
        }
    }

    /// Starts a call, including its wait. It ends with [`Running::end`], or when the returned guard is dropped.
    pub(crate) fn begin(&self, tool: &'static str, lane: &'static str) -> Running<'_> {
        Running {
            metrics: self,
            tool,
            lane,
            backend: NO_BACKEND,
            status: None,
            since: Instant::now(),
        }
    }

    /// A call holds a slot until the returned guard is dropped.
    pub(crate) fn active(&self, lane: &str) -> Active {
        let gauge = self.active.with_label_values(&[lane]);
        gauge.inc();
        Active(gauge)
    }

    /// A client is connected until the returned guard is dropped.
    pub(crate) fn connection(&self) -> Active {
        let gauge = self.connections.clone();
        gauge.inc();
        Active(gauge)
    }

    /// Sets how many calls wait for a slot in a lane.
    pub(crate) fn waiting(&self, lane: &str, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.waiting.with_label_values(&[lane]).set(calls);
    }

    /// A call is sent again; `class` is the reason: `unsent`, `busy` or `transient`.
    pub(crate) fn retry(&self, tool: &str, class: &str) {
        self.retries.with_label_values(&[tool, class]).inc();
    }

    /// Sets the state of a backend's breaker.
    pub(crate) fn breaker(&self, backend: &str, state: BreakerState) {
        self.breaker.with_label_values(&[backend]).set(state as i64);
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect(
                "writing to a vector cannot fail, and families without series are not gathered",
            );
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if let Some(used) = ProcessUse::now() {
            used.write(&mut text);
        }
        text
    }
}

fn register(registry: &Registry, collector: &(impl Collector + Clone + 'static)) {
    registry
        .register(Box::new(collector.clone()))
        .expect("each name is registered once");
}

/// The `status` label of a result.
pub(crate) fn status<T>(ended: &Result<T>) -> &'static str {
    ended.as_ref().map_or_else(|e| e.kind.name(), |_| OK)
}

/// A call that holds a slot, or a connection.
#[must_use = "what is dropped immediately is not counted"]
pub(crate) struct Active(IntGauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A call in progress. If it is dropped without `end`, it counts as cancelled, or as an internal error during a
/// panic.
#[must_use = "a call that is dropped immediately counts as cancelled"]
pub(crate) struct Running<'a> {
    metrics: &'a Metrics,
    tool: &'static str,
    lane: &'static str,
    backend: &'static str,
    status: Option<&'static str>,
    since: Instant,
}

impl Running<'_> {
    /// Sets the backend that handles the call: `embedded`, `remote` or [`LOCAL`].
    pub(crate) fn on(&mut self, backend: &'static str) {
        self.backend = backend;
    }

    /// The call ended: `status` is [`OK`] or the name of a [`Kind`].
    pub(crate) fn end(mut self, status: &'static str) {
        self.status = Some(status);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Self {
            metrics,
            tool,
            lane,
            backend,
            ..
        } = *self;
        let status = self.status.unwrap_or_else(|| {
            let given_up = if std::thread::panicking() {
                Kind::Internal
            } else {
                Kind::Cancelled
            };
            given_up.name()
        });
        metrics
            .requests
            .with_label_values(&[tool, status, lane, backend])
            .inc();
        metrics
            .duration
            .with_label_values(&[tool, lane, backend])
            .observe(self.since.elapsed().as_secs_f64());
        if status != OK {
            metrics
                .errors
                .with_label_values(&[tool, status, backend])
                .inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::error::Error;

    fn has(text: &str, line: &str) {
        assert!(
            text.lines().any(|found| found == line),
            "no {line:?} in\n{text}"
        );
    }

    fn ended(metrics: &Metrics, tool: &'static str, status: &'static str, backend: &'static str) {
        let mut running = metrics.begin(tool, "draft");
        running.on(backend);
        running.end(status);
    }

    #[test]
    fn ended_calls_are_counted_with_all_labels() {
        let metrics = Metrics::new();
        let active = metrics.active("draft");
        has(
            &metrics.render(),
            r#"mcp_bridge_parallel_tasks_active{lane="draft"} 1"#,
        );
        drop(active);
        ended(&metrics, "add_text", OK, "embedded");
        ended(&metrics, "add_text", "conflict", "remote");
        let text = metrics.render();
        for line in [
            r#"mcp_bridge_requests_total{backend="embedded",lane="draft",status="ok",tool="add_text"} 1"#,
            r#"mcp_bridge_requests_total{backend="remote",lane="draft",status="conflict",tool="add_text"} 1"#,
            r#"mcp_bridge_errors_total{backend="remote",kind="conflict",tool="add_text"} 1"#,
            r#"mcp_bridge_request_duration_seconds_count{backend="embedded",lane="draft",tool="add_text"} 1"#,
            r#"mcp_bridge_parallel_tasks_active{lane="draft"} 0"#,
            "# TYPE mcp_bridge_request_duration_seconds histogram",
        ] {
            has(&text, line);
        }
        assert!(!text.contains(r#"errors_total{backend="embedded""#));
    }

    #[test]
    fn dropped_calls_count_as_cancelled_and_are_no_longer_active() {
        let metrics = Metrics::new();
        let mut running = metrics.begin("save_draft", "draft");
        running.on("remote");
        drop(running);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _running = metrics.begin("query_script", "query");
            let _active = metrics.active("query");
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panic.is_err());
        let text = metrics.render();
        for line in [
            r#"mcp_bridge_errors_total{backend="remote",kind="cancelled",tool="save_draft"} 1"#,
            r#"mcp_bridge_errors_total{backend="none",kind="internal",tool="query_script"} 1"#,
            r#"mcp_bridge_parallel_tasks_active{lane="query"} 0"#,
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn connections_and_waiting_calls_are_rendered() {
        let metrics = Metrics::new();
        let first = metrics.connection();
        let second = metrics.connection();
        drop(first);
        metrics.waiting("audio", 3);
        let text = metrics.render();
        has(&text, "mcp_bridge_active_connections 1");
        has(&text, r#"mcp_bridge_waiting_calls{lane="audio"} 3"#);
        drop(second);
        has(&metrics.render(), "mcp_bridge_active_connections 0");
    }

    #[test]
    fn breakers_and_retries_are_rendered() {
        let metrics = Metrics::new();
        metrics.retry("query_script", "transient");
        metrics.retry("query_script", "transient");
        for (state, number) in [
            (BreakerState::Open, 1),
            (BreakerState::HalfOpen, 2),
            (BreakerState::Closed, 0),
        ] {
            metrics.breaker("remote", state);
            has(
                &metrics.render(),
                &format!(r#"mcp_bridge_circuit_breaker_state{{backend="remote"}} {number}"#),
            );
        }
        has(
            &metrics.render(),
            r#"mcp_bridge_retries_total{class="transient",tool="query_script"} 2"#,
        );
    }

    #[test]
    fn status_is_the_kind_of_the_error() {
        assert_eq!(status(&Ok(1)), "ok");
        assert_eq!(
            status::<()>(&Err(Error::not_found("no such draft"))),
            "not_found"
        );
    }

    #[test]
    fn calls_of_many_threads_are_all_counted() {
        let metrics = Metrics::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let _active = metrics.active("draft");
                        ended(&metrics, "add_audio", OK, "embedded");
                    }
                });
            }
        });
        let text = metrics.render();
        let labels = r#"backend="embedded",lane="draft""#;
        for line in [
            format!(r#"mcp_bridge_requests_total{{{labels},status="ok",tool="add_audio"}} 2000"#),
            format!(
                r#"mcp_bridge_request_duration_seconds_bucket{{{labels},tool="add_audio",le="+Inf"}} 2000"#
            ),
            r#"mcp_bridge_parallel_tasks_active{lane="draft"} 0"#.to_owned(),
        ] {
            has(&text, &line);
        }
    }

    #[test]
    fn docs_alerts_and_dashboard_name_the_existing_metrics() {
        let metrics = Metrics::new();
        let _active = metrics.active("draft");
        metrics.begin("add_text", "draft").end("timeout");
        metrics.retry("add_text", "unsent");
        metrics.breaker("remote", BreakerState::Open);
        metrics.waiting("draft", 0);
        let text = metrics.render();
        let names = |text: &str| -> BTreeSet<String> {
            text.match_indices("mcp_bridge_")
                .map(|(at, _)| {
                    let name = |c: &char| c.is_ascii_lowercase() || *c == '_';
                    let name: String = text[at..].chars().take_while(name).collect();
                    name.trim_end_matches("_bucket").to_owned()
                })
                .collect()
        };
        let known: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .map(str::to_owned)
            .collect();
        let process: BTreeSet<String> = known
            .iter()
            .filter(|name| name.starts_with("process_"))
            .cloned()
            .collect();
        let known: BTreeSet<String> = known.difference(&process).cloned().collect();
        assert_eq!(known.len(), 8);
        assert_eq!(names(include_str!("../docs/metrics.md")), known);
        assert_eq!(
            names(include_str!("../examples/monitoring/dashboard.json")),
            known
        );
        let alerts = names(include_str!("../examples/monitoring/alerts.yml"));
        assert!(alerts.len() >= 4 && alerts.is_subset(&known), "{alerts:?}");
        let docs = include_str!("../docs/metrics.md");
        for name in &process {
            assert!(docs.contains(&format!("| `{name}` |")), "{name}");
        }
        for label in ["tool", "status", "kind", "lane", "backend", "class"] {
            assert!(docs.contains(&format!("| `{label}` |")), "{label}");
        }
        for kind in Kind::ALL {
            assert!(docs.contains(&format!("`{}`", kind.name())), "{kind:?}");
        }
    }
}
