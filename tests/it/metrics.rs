//! Metrics over HTTP and in the shell, and secrets that the log must not contain.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::racy::{Manners, Racy};
use crate::support::{Client, Home, NOWHERE, Said, http, media, media_server, until};

/// One line of the text format, parsed independently of the code under test.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(label, value)| self.labels.get(*label).is_some_and(|found| found == value))
    }
}

/// Every line must be a comment or a sample of a family whose type was declared before.
fn parse(text: &str) -> Vec<Sample> {
    let mut types = BTreeMap::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().expect("a word"), words.next().expect("a name"));
            let rest = words.next().expect("help or type");
            match what {
                "TYPE" => assert!(types.insert(name, rest).is_none(), "{name} twice"),
                "HELP" => assert!(rest.ends_with('.') || rest.ends_with(')'), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("series and value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("braces that close");
        let labels = labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (label, value) = label.split_once('=').expect("label and value");
                let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                (label.to_owned(), value.expect("quotes").to_owned())
            })
            .collect();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            name.strip_suffix(end)
                .filter(|family| types.get(family) == Some(&"histogram"))
        });
        let kind = types.get(family.unwrap_or(name));
        assert!(kind.is_some(), "no type before {line}");
        samples.push(Sample {
            name: name.to_owned(),
            labels,
            value: value.parse().expect("a number"),
        });
    }
    samples
}

fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let matching = samples.iter().filter(|sample| sample.is(name, labels));
    matching.map(|sample| sample.value).sum()
}

fn scrape(address: &str) -> Vec<Sample> {
    let (status, text) = http("GET", &format!("http://{address}/metrics"), &[], b"");
    assert_eq!(status, 200, "{text}");
    parse(&text)
}

/// A server over pipes with its metrics address.
fn watched(home: &Home, options: &[&str]) -> (Client, String) {
    let mut line = vec!["serve", "--backend", "embedded", "--metrics", "0"];
    line.extend(options);
    let mut client = home.serve_with(&line);
    client.initialize("2025-06-18");
    let address = announced(&client.said);
    (client, address)
}

/// The metrics address that a process prints.
fn announced(said: &Said) -> String {
    let mut address = None;
    until("the metrics address is printed", || {
        address = said.address("metrics are served at ");
        address.is_some()
    });
    address.expect("an address")
}

/// A draft with texts, a failure of each kind that needs no server, and a query.
fn some_calls(client: &mut Client) {
    let made = client.call("create_draft", json!({})).expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    for start in 0..3 {
        let text = json!({"draft_id": draft, "text": "hello", "start": start, "end": start + 1});
        client.call("add_text", text).expect("a text");
    }
    let lost = json!({"draft_id": "dfd_cat_1_00000000", "text": "x", "start": 0, "end": 1});
    client
        .call("add_text", lost)
        .expect_err("there is no such draft");
    client
        .call("add_text", json!({"draft_id": draft}))
        .expect_err("there is no text");
    client
        .call("query_script", json!({"draft_id": draft}))
        .expect("the draft");
    client.call("list_drafts", json!({})).expect("the drafts");
}

#[test]
fn calls_over_mcp_are_counted_with_their_labels() {
    let home = Home::new();
    let (mut client, address) = watched(&home, &[]);
    assert_eq!(
        sum(&scrape(&address), "mcp_bridge_requests_total", &[]),
        0.0
    );
    some_calls(&mut client);
    let samples = scrape(&address);
    let requests = |labels: &[(&str, &str)]| sum(&samples, "mcp_bridge_requests_total", labels);
    let engine = ("backend", "embedded");
    assert_eq!(
        requests(&[
            ("tool", "add_text"),
            ("status", "ok"),
            ("lane", "draft"),
            engine
        ]),
        3.0
    );
    assert_eq!(
        requests(&[
            ("tool", "create_draft"),
            ("status", "ok"),
            ("lane", "draft"),
            engine
        ]),
        1.0
    );
    assert_eq!(
        requests(&[
            ("tool", "query_script"),
            ("status", "ok"),
            ("lane", "query"),
            engine
        ]),
        1.0
    );
    assert_eq!(
        requests(&[
            ("tool", "list_drafts"),
            ("lane", "none"),
            ("backend", "local")
        ]),
        1.0
    );
    let errors = |kind| {
        sum(
            &samples,
            "mcp_bridge_errors_total",
            &[("tool", "add_text"), ("kind", kind)],
        )
    };
    assert_eq!(errors("not_found"), 1.0);
    assert_eq!(errors("invalid_argument"), 1.0);
    for lane in ["draft", "query", "none"] {
        let active = samples
            .iter()
            .find(|sample| sample.is("mcp_bridge_parallel_tasks_active", &[("lane", lane)]));
        assert_eq!(active.expect(lane).value, 0.0, "{lane}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn histograms_counters_and_errors_agree() {
    let home = Home::new();
    let (mut client, address) = watched(&home, &[]);
    some_calls(&mut client);
    let samples = scrape(&address);
    let counted: Vec<_> = samples
        .iter()
        .filter(|sample| sample.is("mcp_bridge_request_duration_seconds_count", &[]))
        .collect();
    assert!(counted.len() >= 4, "{counted:#?}");
    for count in counted {
        let labels: Vec<_> = count
            .labels
            .iter()
            .map(|(label, value)| (label.as_str(), value.as_str()))
            .collect();
        let of = |name: &str| sum(&samples, name, &labels);
        assert_eq!(count.value, of("mcp_bridge_requests_total"), "{labels:?}");
        let mut buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter(|sample| sample.is("mcp_bridge_request_duration_seconds_bucket", &labels))
            .map(|sample| (sample.labels["le"].parse().expect("a bound"), sample.value))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count.value)));
        let seconds = of("mcp_bridge_request_duration_seconds_sum");
        // The minimum and the maximum that the buckets allow.
        let (mut least, mut before, mut low) = (0.0, 0.0, 0.0);
        for (bound, upto) in &buckets {
            least += (upto - before) * low;
            (before, low) = (*upto, *bound);
        }
        assert!(
            seconds >= least && seconds < 60.0,
            "{seconds} s, {buckets:?}"
        );
    }
    let failed: f64 = samples
        .iter()
        .filter(|s| s.is("mcp_bridge_requests_total", &[]) && s.labels["status"] != "ok")
        .map(|sample| sample.value)
        .sum();
    assert_eq!(failed, 2.0);
    assert_eq!(failed, sum(&samples, "mcp_bridge_errors_total", &[]));
}

#[test]
fn calls_over_http_are_counted_too() {
    let home = Home::new();
    let engine = home.engine(&["--metrics", "0"]);
    let address = announced(&engine.said);
    let made = engine.output("/create_draft", &json!({})).expect("a draft");
    let id = made["draft_id"].as_str().expect("an id");
    engine
        .output("/query_script", &json!({"draft_id": id}))
        .expect("the draft");
    let samples = scrape(&address);
    for tool in ["create_draft", "query_script"] {
        let labels = [("tool", tool), ("status", "ok"), ("backend", "embedded")];
        assert_eq!(
            sum(&samples, "mcp_bridge_requests_total", &labels),
            1.0,
            "{tool}"
        );
    }
}

#[test]
fn the_metrics_address_serves_only_metrics() {
    let home = Home::new();
    let (client, address) = watched(&home, &[]);
    for (method, path) in [("GET", "/"), ("GET", "/metrics/x"), ("POST", "/metrics")] {
        let (status, text) = http(method, &format!("http://{address}{path}"), &[], b"");
        assert_eq!(status, 404, "{method} {path}: {text}");
    }
    assert_eq!(
        http("GET", &format!("http://{address}/metrics?x=y"), &[], b"").0,
        200
    );
    assert_eq!(client.end(), 0);
}

#[test]
fn a_metrics_port_in_use_stops_the_engine_but_not_serve() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = home.run(&["engine", "--port", "0", "--metrics", &address]);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(
        ran.stderr.contains("is in use") && ran.stderr.contains("hint:"),
        "{ran:#?}"
    );
    assert_eq!(ran.stdout, "");
    let mut client = home.serve_with(&["serve", "--backend", "embedded", "--metrics", &address]);
    client.initialize("2025-06-18");
    client.call("create_draft", json!({})).expect("a draft");
    until("the log contains the warning", || {
        let log = client.stderr();
        log.lines()
            .any(|line| line.contains("WARN") && line.contains("is in use"))
    });
    assert_eq!(client.end(), 0);
}

#[test]
fn stats_and_documents_name_the_same_metrics_port() {
    let home = Home::new();
    let usual = "127.0.0.1:9464";
    let gone = home.run(&["stats"]);
    // Another process may listen there on the test machine; only the address matters.
    assert!(gone.code == 0 || gone.stderr.contains(usual), "{gone:?}");
    for line in [
        ["stats", "--help"],
        ["engine", "--help"],
        ["serve", "--help"],
    ] {
        let help = home.run(&line).success().stdout;
        assert!(help.contains(usual) && !help.contains("9090"), "{help}");
    }
}

#[test]
fn stats_prints_the_metrics_of_a_running_server() {
    let home = Home::new();
    let (mut client, address) = watched(&home, &[]);
    let url = format!("http://{address}");
    let none = home.run(&["stats", "--url", &url]).success();
    assert!(none.stdout.starts_with("no calls yet"), "{}", none.stdout);
    some_calls(&mut client);
    let told = home.run(&["stats", "--url", &url]).success().stdout;
    let row = told.lines().find(|line| line.starts_with("add_text"));
    let cells: Vec<_> = row.expect("a row").split_whitespace().collect();
    assert_eq!(cells[..3], ["add_text", "5", "2"], "{told}");
    assert!(cells[3].parse::<f64>().is_ok_and(|p50| p50 > 0.0), "{told}");
    assert!(
        told.contains("errors of add_text: 1 invalid_argument, 1 not_found"),
        "{told}"
    );
    assert_eq!(client.end(), 0);
    let gone = home.run(&["stats", "--url", &url]);
    assert_eq!(gone.code, 4, "{gone:#?}");
    assert!(gone.stderr.contains("--metrics"), "{gone:#?}");
}

#[test]
fn retries_and_breaker_states_are_reported() {
    let api = Racy::start(Manners {
        latency: Duration::ZERO,
        steady: true,
    });
    let mut home = Home::new();
    let place = api.server.url.trim_start_matches("http://");
    home.api(&format!("http://me:S3CRET@{place}"));
    let config = home.file(
        "tools.toml",
        "[retry]\ntransient = { tries = 2, first_wait_s = 0.01 }\n[breaker]\nfailures = 2\ncool_down_s = 600.0\n",
    );
    let config = config.to_str().expect("a path").to_owned();
    let line = [
        "serve",
        "--backend",
        "remote",
        "--metrics",
        "0",
        "--config",
        &config,
    ];
    let mut client = home.serve_with(&line);
    client.initialize("2025-06-18");
    let address = announced(&client.said);
    let made = client.call("create_draft", json!({})).expect("a draft");
    let query = json!({"draft_id": made["draft_id"]});
    let breaker = || {
        let samples = scrape(&address);
        let state = samples
            .into_iter()
            .find(|sample| sample.name == "mcp_bridge_circuit_breaker_state");
        let state = state.expect("the breaker of a server that was called");
        (state.labels["backend"].clone(), state.value)
    };
    assert_eq!(breaker(), (api.server.url.clone(), 0.0));
    api.broken.store(true, Ordering::SeqCst);
    client
        .call("query_script", query.clone())
        .expect_err("the server fails");
    assert_eq!(breaker(), (api.server.url.clone(), 1.0));
    client
        .call("query_script", query)
        .expect_err("calls are paused");
    let (_, text) = http("GET", &format!("http://{address}/metrics"), &[], b"");
    assert!(!text.contains("S3CRET"), "{text}");
    let samples = parse(&text);
    let of = |name: &str, labels: &[(&str, &str)]| {
        let query = ("tool", "query_script");
        sum(&samples, name, &[labels, &[query]].concat())
    };
    let class = [("class", "transient")];
    assert_eq!(of("mcp_bridge_retries_total", &class), 1.0, "{text}");
    let remote = ("backend", "remote");
    for kind in ["unavailable", "busy"] {
        let errors = of("mcp_bridge_errors_total", &[("kind", kind), remote]);
        assert_eq!(errors, 1.0, "{kind}\n{text}");
    }
    let told = home.run(&["stats", "--url", &address]).success().stdout;
    let line = format!("breakers: {} open", api.server.url);
    assert!(told.lines().any(|found| found == line), "{told}");
}

#[test]
fn no_log_line_contains_a_secret_at_any_level() {
    let server = media_server();
    let clip = media("clip.mp4");
    let name = clip
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    for format in ["plain", "json"] {
        let home = Home::new();
        let log = home.path().join("logs/bridge.log");
        let file = log.to_str().expect("a path").to_owned();
        let options = [
            "--log",
            "trace,rmcp=trace",
            "--log-format",
            format,
            "--log-file",
            &file,
        ];
        let (mut client, _) = watched(&home, &options);
        let made = client.call("create_draft", json!({})).expect("a draft");
        let draft = made["draft_id"].as_str().expect("an id");
        let add =
            |address: &str| json!({"draft_id": draft, "video_url": address, "start": 0, "end": 1});
        let good = format!(
            "{}/redirect/{name}?token=S3CRET&x=S3CRET#S3CRET",
            server.url
        );
        client.call("add_video", add(&good)).expect("a video");
        let nowhere = NOWHERE.trim_start_matches("http://");
        let refused = format!("http://me:S3CRET@{nowhere}/v.mp4?token=S3CRET");
        for address in [&refused, &format!("{}/missing.mp4?S3CRET", server.url)] {
            let ended = client.call("add_video", add(address));
            assert!(
                !format!("{ended:?}").contains("me:S3CRET"),
                "an answer repeats a password: {ended:?}"
            );
        }
        until("the server's log has the calls", || {
            client.stderr().contains("127.0.0.1")
        });
        client.close();
        client.wait();
        let said = client.stderr();
        let kept = fs::read_to_string(&log).expect("a log file");
        for text in [&said, &kept] {
            assert!(
                text.lines().count() > 20,
                "the log level is not `trace`: {text}"
            );
            let told: Vec<_> = text
                .lines()
                .filter(|line| line.contains("S3CRET"))
                .collect();
            assert!(told.is_empty(), "{format}: {told:#?}");
            if format == "json" {
                for line in text.lines() {
                    serde_json::from_str::<serde_json::Value>(line).expect(line);
                }
            }
        }
        assert!(
            kept.contains(&name),
            "the address without its secrets is logged:\n{kept}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&log).expect("the file").permissions().mode();
            assert_eq!(mode & 0o077, 0, "other users can read the log");
        }
    }
    assert!(
        server.most_connections() > 0,
        "no request reached the server"
    );
}

#[test]
fn an_unwritable_log_file_is_reported_at_the_start() {
    let home = Home::new();
    let folder = home.path().to_str().expect("a path").to_owned();
    let ran = home.run(&["serve", "--log-file", &folder]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("--log-file"), "{ran:#?}");
}
