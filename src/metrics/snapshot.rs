//! Parses metrics from their text format, to show them to people: calls of each tool and their durations.

use std::collections::BTreeMap;

use super::{ACTIVE, BREAKER, CONNECTIONS, DURATION, ERRORS, REQUESTS, RETRIES, WAITING};
use crate::error::{Error, Result};

/// The counters of one process at one moment.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub tools: BTreeMap<String, ToolCounters>,
    /// Calls that hold a slot, by lane.
    pub lanes: BTreeMap<String, u64>,
    /// Calls that wait for a slot, by lane.
    pub waiting: BTreeMap<String, u64>,
    /// Open connections of clients.
    pub connections: u64,
    /// The state of each backend's breaker, by its name.
    pub breakers: BTreeMap<String, &'static str>,
}

/// All calls of one tool, on all backends.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ToolCounters {
    pub calls: u64,
    /// By kind.
    pub errors: BTreeMap<String, u64>,
    pub retries: u64,
    pub seconds: f64,
    /// Upper bounds in seconds with the number of calls that took at most as long; the last bound is infinite.
    buckets: Vec<(f64, u64)>,
}

impl ToolCounters {
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The time in seconds within which this fraction of the calls ended, interpolated within its bucket as
    /// Prometheus does; the highest finite bound if it is beyond that, `None` if there are no calls.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let total = self.buckets.last()?.1;
        if total == 0 {
            return None;
        }
        let rank = part * total as f64;
        let (mut low, mut before) = (0.0, 0);
        for &(bound, count) in &self.buckets {
            if count as f64 >= rank && count > before {
                if bound.is_infinite() {
                    return Some(low);
                }
                let share = (rank - before as f64) / (count - before) as f64;
                return Some(low + (bound - low) * share.max(0.0));
            }
            (low, before) = (bound, count);
        }
        None
    }
}

impl Snapshot {
    /// Parses the Prometheus text format; other series are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut snapshot = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let sample = MetricSample::parse(line).ok_or_else(|| {
                Error::invalid(format!(
                    "line {} is not in the Prometheus text format: {line:?}",
                    number + 1
                ))
            })?;
            snapshot.add(&sample);
        }
        Ok(snapshot)
    }

    fn add(&mut self, sample: &MetricSample) {
        let count = sample.value.max(0.0) as u64;
        let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
        match sample.name {
            REQUESTS => self.tool(sample).calls += count,
            RETRIES => self.tool(sample).retries += count,
            ERRORS => *self.tool(sample).errors.entry(label("kind")).or_default() += count,
            ACTIVE => *self.lanes.entry(label("lane")).or_default() += count,
            WAITING => *self.waiting.entry(label("lane")).or_default() += count,
            CONNECTIONS => self.connections += count,
            BREAKER => {
                let state = match count {
                    0 => "closed",
                    1 => "open",
                    _ => "half-open",
                };
                self.breakers.insert(label("backend"), state);
            }
            name => match name.strip_prefix(DURATION) {
                Some("_sum") => self.tool(sample).seconds += sample.value,
                Some("_bucket") => {
                    let Ok(bound) = label("le").parse::<f64>() else {
                        return;
                    };
                    let buckets = &mut self.tool(sample).buckets;
                    match buckets.binary_search_by(|(known, _)| known.total_cmp(&bound)) {
                        Ok(at) => buckets[at].1 += count,
                        Err(at) => buckets.insert(at, (bound, count)),
                    }
                }
                _ => {}
            },
        }
    }

    fn tool(&mut self, sample: &MetricSample) -> &mut ToolCounters {
        let name = sample.labels.get("tool").cloned().unwrap_or_default();
        self.tools.entry(name).or_default()
    }
}

/// One line of the text format.
struct MetricSample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

impl<'a> MetricSample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                rest = rest.trim_start_matches([',', ' ']);
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let (label, value) = rest.split_once("=\"")?;
                let (value, after) = unquote(value)?;
                labels.insert(label, value);
                rest = after;
            }
        }
        // A timestamp may follow the value.
        let value = rest.split_whitespace().next()?.parse().ok()?;
        (!name.is_empty()).then_some(Self {
            name,
            labels,
            value,
        })
    }
}

/// A label's value up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{BreakerState, Metrics, OK};

    #[test]
    fn rendered_metrics_are_parsed_back() {
        let metrics = Metrics::new();
        for _ in 0..3 {
            metrics.begin("add_text", "draft").end(OK);
        }
        let mut running = metrics.begin("add_text", "draft");
        running.on("remote");
        running.end("timeout");
        metrics.retry("add_text", "unsent");
        metrics.breaker("remote", BreakerState::HalfOpen);
        drop(metrics.active("draft"));
        let _active = metrics.active("query");
        let running = metrics.begin("query_script", "query");
        let _connection = metrics.connection();
        metrics.waiting("audio", 3);
        let snapshot = Snapshot::parse(&metrics.render()).expect("our own output is valid");
        running.end(OK);
        let tool = &snapshot.tools["add_text"];
        assert_eq!((tool.calls, tool.failed(), tool.retries), (4, 1, 1));
        assert_eq!(tool.errors["timeout"], 1);
        assert_eq!(tool.buckets.last(), Some(&(f64::INFINITY, 4)));
        let half = tool.quantile(0.5).expect("there were calls");
        assert!(half > 0.0 && half < 10.0, "{half}");
        assert_eq!(snapshot.lanes["query"], 1);
        assert_eq!(snapshot.lanes["draft"], 0);
        assert_eq!(snapshot.breakers["remote"], "half-open");
        assert_eq!((snapshot.connections, snapshot.waiting["audio"]), (1, 3));
        assert!(!snapshot.tools.contains_key("query_script"));
    }

    #[test]
    fn quantiles_match_prometheus() {
        let tool = ToolCounters {
            buckets: vec![(0.1, 10), (0.5, 30), (1.0, 40), (f64::INFINITY, 50)],
            ..ToolCounters::default()
        };
        let near = |part: f64, expected: f64| {
            let found = tool.quantile(part).expect("there are calls");
            assert!((found - expected).abs() < 1e-9, "{part}: {found}");
        };
        near(0.1, 0.05);
        near(0.2, 0.1);
        near(0.4, 0.3);
        near(0.7, 0.75);
        near(0.95, 1.0);
        assert_eq!(ToolCounters::default().quantile(0.5), None);
    }

    #[test]
    fn labels_are_unquoted_and_other_text_is_refused() {
        let sample =
            MetricSample::parse(r#"x{a="1,}\"\\",b=""} 2.5e3 1700000000"#).expect("a sample");
        assert_eq!(sample.name, "x");
        assert_eq!(sample.labels["a"], r#"1,}"\"#);
        assert_eq!(sample.labels["b"], "");
        assert_eq!(sample.value, 2500.0);
        let text = "# HELP x y\n\nup 1\nprocess_start_time_seconds 1.7e9\n";
        assert_eq!(
            Snapshot::parse(text).expect("other series are skipped"),
            Snapshot::default()
        );
        let error = Snapshot::parse("up 1\n<html>").expect_err("not metrics");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
