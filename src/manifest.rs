//! `tools.toml` as types, with its checks: the built-in file, overridden key by key by the user's file.

mod headers;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::access::{JwtSection, Network, RateSection};
use crate::args::located::{self, Misread};
use crate::breaker::BreakerSettings;
use crate::delivery::saved::DeliveryLimits;
use crate::error::{Error, Kind, Result};
use crate::journal::SyncMode;
use crate::media::MediaLimits;
use crate::providers::{GenerateSection, ProviderSection};
use crate::regular_file::{self, SMALL_BYTES};
use crate::settings::ConfigFile;
use crate::sorting;
use crate::storage::StorageSection;
pub(crate) use headers::Headers;

const BUILT_IN: &str = include_str!("../tools.toml");

/// The built-in settings as a file to start from: every setting is a comment.
pub(crate) fn commented() -> String {
    let mut text = String::new();
    for line in BUILT_IN.lines() {
        if line.starts_with("# Each tool: its route") {
            break;
        }
        if !(line.is_empty() || line.starts_with(['#', '['])) {
            text.push_str("# ");
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Everything that an operator can tune.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    // Settings of the process, which `settings` reads from the user's file: here they are only checked.
    #[serde(rename = "backend")]
    _backend: String,
    #[serde(rename = "edition")]
    _edition: String,
    #[serde(rename = "recover")]
    _recover: String,
    #[serde(rename = "data_dir")]
    _data_dir: String,
    #[serde(rename = "drafts_dir")]
    _drafts_dir: String,
    #[serde(rename = "cache_dir")]
    _cache_dir: String,
    #[serde(rename = "log")]
    _log: LogKeys,
    #[serde(rename = "metrics")]
    _metrics: MetricsKeys,
    pub http: HttpSection,
    pub rates: RateSection,
    pub auth: AuthSection,
    pub storage: StorageSection,
    pub providers: BTreeMap<String, ProviderSection>,
    pub generate: GenerateSection,
    pub api: ApiSection,
    pub journal: JournalSection,
    pub lanes: LanesSection,
    pub sync: Sync,
    pub retry: Policies,
    pub breaker: BreakerSection,
    pub limits: Limits,
    pub tools: BTreeMap<String, Route>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogKeys {
    #[serde(rename = "level")]
    _level: String,
    #[serde(rename = "file")]
    _file: String,
    #[serde(rename = "format")]
    _format: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsKeys {
    #[serde(rename = "address")]
    _address: String,
}

/// Listeners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSection {
    #[serde(rename = "audit_log")]
    _audit_log: String,
    /// The proxies whose headers name the client.
    pub trusted_proxies: Vec<Network>,
}

/// How callers are identified, besides tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthSection {
    pub jwt: JwtSection,
}

/// The CapCut API server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiSection {
    /// Where to look for the server if no address was given, in this order.
    pub base_urls: Vec<String>,
    /// Additional headers for every request.
    pub headers: Headers,
    /// Maximum number of concurrent requests.
    pub connections: usize,
    pub connect_timeout_s: f64,
    pub loopback_connect_timeout_s: f64,
    /// Time limit for finding out which server answers.
    pub probe_timeout_s: f64,
    /// How long the result is cached.
    pub known_s: f64,
    /// How long it is cached that no server answered.
    pub absent_s: f64,
    /// The folder where the server keeps saved drafts, if this machine can read it.
    pub drafts_folder: String,
    /// Whether problems of a saved draft are fixed if this machine can access the draft.
    pub mend_saves: bool,
}

/// The journal of drafts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalSection {
    /// Which acknowledged calls survive a power failure.
    pub sync: SyncMode,
}

/// Concurrency limits by kind of call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanesSection {
    pub audio: Lane,
    pub visual: Lane,
    pub draft: Lane,
    pub query: Lane,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lane {
    /// Maximum number of concurrent calls.
    pub slots: usize,
    /// Maximum number of calls that wait for a slot.
    pub waiting: usize,
    /// Time limit for one call, including all tries.
    pub timeout_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LaneName {
    Audio,
    Visual,
    Draft,
    Query,
}

impl LaneName {
    pub(crate) const ALL: [Self; 4] = [Self::Audio, Self::Visual, Self::Draft, Self::Query];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Visual => "visual",
            Self::Draft => "draft",
            Self::Query => "query",
        }
    }
}

/// The point in a video plan where all branches must be complete.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sync {
    pub timeout_s: f64,
    pub on_failure: OnFailure,
}

/// What a failed item means for the rest of its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum OnFailure {
    PartialContinue,
    Abort,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policies {
    pub unsent: Policy,
    pub busy: Policy,
    pub transient: Policy,
}

/// How often a call is tried, and the wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub tries: u32,
    pub backoff: Backoff,
    pub first_wait_s: f64,
    pub longest_wait_s: f64,
    #[serde(default)]
    pub jitter: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backoff {
    Linear,
    Exponential,
}

/// After which failures a tool's call is retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Retry {
    #[default]
    Never,
    Unsent,
    Transient,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerSection {
    /// Number of consecutive failures that open the breaker.
    pub failures: u32,
    pub cool_down_s: f64,
    /// Number of calls that must succeed before it closes again.
    pub trial_calls: u32,
}

impl BreakerSection {
    pub(crate) fn settings(&self) -> BreakerSettings {
        BreakerSettings {
            failures: self.failures,
            cool_down: seconds(self.cool_down_s),
            trial_calls: self.trial_calls,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Maximum size of an answer of the API.
    pub response_bytes: u64,
    /// How long a call waits for its turn and its slot.
    pub queue_wait_s: f64,
    /// The interval between status requests while a server saves.
    pub status_every_s: f64,
    /// Time limit for querying a draft, after a lost answer or for a draft that is not known here.
    pub look_timeout_s: f64,
    /// Time limit for a look at the picture and the sound of a draft; what takes longer is not checked.
    pub review_timeout_s: f64,
    /// How long to wait for an unreachable server before its drafts are recreated elsewhere.
    pub server_wait_s: f64,
    /// Time limit for recreating a lost draft, all its calls together.
    pub recover_timeout_s: f64,
    /// Time limit for jobs after their client disconnected.
    pub after_client_s: f64,
    /// Maximum size of a request body that the HTTP server accepts.
    pub request_bytes: usize,
    /// Time limit between two parts of a body.
    pub request_pause_s: f64,
    /// Time limit for a whole body.
    pub request_timeout_s: f64,
    /// Maximum size of a message of an MCP client.
    pub message_bytes: usize,
    /// Maximum size of an uploaded file.
    pub upload_bytes: u64,
    /// Maximum size of everything that one tenant of a server has in its data folder.
    pub tenant_bytes: u64,
    /// Maximum number of drafts of one tenant, without those in the trash.
    pub tenant_drafts: usize,
    /// Maximum number of jobs of one tenant that run at the same time.
    pub tenant_jobs: usize,
    /// How long the lease of a running job lasts if its process ends unexpectedly, in seconds.
    pub job_lease_s: f64,
    /// Maximum number of jobs of a tenant that wait or run, where workers take them from a queue.
    pub tenant_queue: usize,
    /// Maximum size of the drafts that the engine keeps in memory.
    pub memory_bytes: usize,
    pub media: MediaLimits,
    pub delivery: DeliverySection,
}

/// Saved drafts that people download.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliverySection {
    /// How long a link is valid, in seconds.
    pub link_s: u64,
    /// How long versions are kept, in seconds, apart from the last one of each draft.
    pub kept_s: u64,
    /// Maximum number of versions of a draft that a server keeps.
    pub versions: usize,
    /// Maximum size of all versions that a server keeps for a tenant.
    pub kept_bytes: u64,
    /// Maximum size of a draft that is pulled.
    pub pull_bytes: u64,
    /// Seconds between two requests of `pull --watch`.
    pub watch_every_s: f64,
}

impl DeliverySection {
    /// The limits of a server.
    pub(crate) fn limits(&self) -> DeliveryLimits {
        DeliveryLimits {
            link: Duration::from_secs(self.link_s),
            age: Duration::from_secs(self.kept_s),
            versions: self.versions,
            bytes: self.kept_bytes,
        }
    }
}

/// One tool: its route and its limits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    #[serde(default)]
    pub post: Option<String>,
    #[serde(default)]
    pub get: Option<String>,
    #[serde(default)]
    pub lane: Option<LaneName>,
    #[serde(default)]
    pub retry: Retry,
    #[serde(default)]
    pub timeout_s: Option<f64>,
    #[serde(default)]
    pub cache_s: Option<f64>,
    /// The path that reports the status of acknowledged work.
    #[serde(default)]
    pub status: Option<String>,
}

const ROUTE_KEYS: [&str; 7] = [
    "post",
    "get",
    "lane",
    "retry",
    "timeout_s",
    "cache_s",
    "status",
];

impl Route {
    /// The path at the API, if it has the tool.
    pub(crate) fn path(&self) -> Option<&str> {
        self.post.as_deref().or(self.get.as_deref())
    }
}

impl Manifest {
    /// The built-in manifest.
    pub(crate) fn built_in() -> Self {
        Self::with_overrides("", "tools.toml")
            .expect("the built-in tools.toml is valid: a test reads it")
    }

    /// The built-in manifest, overridden by the user's file.
    pub(crate) fn load(file: Option<&ConfigFile>) -> Result<Self> {
        let Some(file) = file else {
            return Ok(Self::built_in());
        };
        let place = file.path.display().to_string();
        match regular_file::read_named(&file.path, SMALL_BYTES) {
            Ok(read) => Self::with_overrides(&read.text, &place),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.named => {
                Ok(Self::built_in())
            }
            Err(error) => Err(Error::invalid(format!("{place} cannot be read")).source(error)),
        }
    }

    fn with_overrides(text: &str, place: &str) -> Result<Self> {
        let mut merged: toml::Table =
            toml::from_str(BUILT_IN).expect("the built-in tools.toml is TOML: a test reads it");
        let at = |span: Range<usize>, fault: &str| {
            let (line, column) = line_and_column(text, span.start);
            Error::invalid(format!("{place}:{line}:{column}: {fault}"))
        };
        let user = DeTable::parse(text)
            .map_err(|error| at(error.span().unwrap_or(0..0), error.message()))?;
        let values: toml::Table = toml::from_str(text)
            .map_err(|error| at(error.span().unwrap_or(0..0), error.message()))?;
        known_keys(user.get_ref(), &merged, &mut Vec::new(), &at)?;
        merge(&mut merged, values);
        let fault = |path: &str, fault: &str| {
            at(
                span_of(user.get_ref(), path).unwrap_or(0..0),
                &format!("`{path}`: {fault}"),
            )
        };
        let Ok(serde_json::Value::Object(merged)) = serde_json::to_value(merged) else {
            return Err(Error::internal("the settings are not JSON"));
        };
        let manifest: Self =
            located::read(&merged).map_err(|Misread { path, fault: what }| fault(&path, &what))?;
        match manifest.faults().into_iter().next() {
            Some((path, sentence)) => Err(fault(&path, sentence)),
            None => Ok(manifest),
        }
    }

    pub(crate) fn lane(&self, name: LaneName) -> &Lane {
        match name {
            LaneName::Audio => &self.lanes.audio,
            LaneName::Visual => &self.lanes.visual,
            LaneName::Draft => &self.lanes.draft,
            LaneName::Query => &self.lanes.query,
        }
    }

    /// The line of a tool; a test checks that every tool has one.
    pub(crate) fn route(&self, tool: &str) -> Result<&Route> {
        self.tools
            .get(tool)
            .ok_or_else(|| Error::internal(format!("`tools.toml` has no line for `{tool}`")))
    }

    /// The time limit for one call of the tool.
    pub(crate) fn timeout(&self, route: &Route) -> Duration {
        const LOCAL_S: f64 = 60.0;
        let lane = route.lane.map_or(LOCAL_S, |lane| self.lane(lane).timeout_s);
        seconds(route.timeout_s.unwrap_or(lane))
    }

    /// Values that have the right type but are not valid, each with its path.
    fn faults(&self) -> Vec<(String, &'static str)> {
        const POSITIVE: &str = "must be more than 0";
        const WAIT: &str = "must be a number of seconds, 0 or more";
        let mut faults = Vec::new();
        let mut check = |good: bool, path: String, sentence| {
            if !good {
                faults.push((path, sentence));
            }
        };
        let positive = |s: f64| Duration::try_from_secs_f64(s).is_ok_and(|d| !d.is_zero());
        let wait = |s: f64| Duration::try_from_secs_f64(s).is_ok();
        for name in LaneName::ALL {
            let lane = self.lane(name);
            let path = |key| format!("lanes.{}.{key}", name.name());
            check(lane.slots > 0, path("slots"), POSITIVE);
            check(lane.slots <= 4096, path("slots"), "must be 4096 or less");
            check(positive(lane.timeout_s), path("timeout_s"), POSITIVE);
        }
        for (name, policy) in [
            ("unsent", self.retry.unsent),
            ("busy", self.retry.busy),
            ("transient", self.retry.transient),
        ] {
            check(policy.tries > 0, format!("retry.{name}.tries"), POSITIVE);
            let path = |key| format!("retry.{name}.{key}");
            check(wait(policy.first_wait_s), path("first_wait_s"), WAIT);
            check(wait(policy.longest_wait_s), path("longest_wait_s"), WAIT);
        }
        for (name, rate) in self.rates.named() {
            check(
                rate.per_minute == 0.0 || (0.01..=1e6).contains(&rate.per_minute),
                format!("rates.{name}.per_minute"),
                "must be 0 (no limit) or a number from 0.01 to 1000000",
            );
            check(rate.burst > 0, format!("rates.{name}.burst"), POSITIVE);
        }
        for (key, sentence) in self.auth.jwt.faults() {
            check(false, format!("auth.jwt.{key}"), sentence);
        }
        for (key, sentence) in self.storage.faults() {
            check(false, format!("storage.{key}"), sentence);
        }
        for (key, sentence) in self.generate.faults() {
            check(false, format!("generate.{key}"), sentence);
        }
        for (name, section) in &self.providers {
            check(
                is_provider_name(name),
                format!("providers.{name}"),
                "must be 1 to 64 letters, digits, - and _",
            );
            for (key, sentence) in section.faults(&self.providers) {
                check(false, format!("providers.{name}.{key}"), sentence);
            }
        }
        let api = |key: &str| format!("api.{key}");
        check(self.api.connections > 0, api("connections"), POSITIVE);
        check(
            self.api.connections <= 1024,
            api("connections"),
            "must be 1024 or less",
        );
        for (key, s) in [
            ("connect_timeout_s", self.api.connect_timeout_s),
            (
                "loopback_connect_timeout_s",
                self.api.loopback_connect_timeout_s,
            ),
            ("probe_timeout_s", self.api.probe_timeout_s),
        ] {
            check(positive(s), api(key), POSITIVE);
        }
        check(wait(self.api.known_s), api("known_s"), WAIT);
        check(wait(self.api.absent_s), api("absent_s"), WAIT);
        for (name, sentence) in self.api.headers.faults() {
            check(false, format!("api.headers.{name}"), sentence);
        }
        check(
            self.api.base_urls.iter().all(|url| {
                reqwest::Url::parse(url)
                    .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            }),
            api("base_urls"),
            "must be a list of addresses such as \"http://127.0.0.1:9000\"",
        );
        let delivery = |key: &str| format!("limits.delivery.{key}");
        let served = &self.limits.delivery;
        check(
            (1..=86_400).contains(&served.link_s),
            delivery("link_s"),
            "must be a number of seconds from 1 to 86400",
        );
        check(
            served.kept_s >= 3600,
            delivery("kept_s"),
            "must be a number of seconds, at least 3600",
        );
        check(served.versions > 0, delivery("versions"), POSITIVE);
        check(served.pull_bytes > 0, delivery("pull_bytes"), POSITIVE);
        check(
            positive(served.watch_every_s),
            delivery("watch_every_s"),
            POSITIVE,
        );
        check(
            self.breaker.failures > 0,
            "breaker.failures".into(),
            POSITIVE,
        );
        check(
            self.breaker.trial_calls > 0,
            "breaker.trial_calls".into(),
            POSITIVE,
        );
        check(
            wait(self.breaker.cool_down_s),
            "breaker.cool_down_s".into(),
            WAIT,
        );
        check(
            positive(self.sync.timeout_s),
            "sync.timeout_s".into(),
            POSITIVE,
        );
        check(
            self.limits.response_bytes > 0,
            "limits.response_bytes".into(),
            POSITIVE,
        );
        check(
            positive(self.limits.queue_wait_s),
            "limits.queue_wait_s".into(),
            POSITIVE,
        );
        check(
            positive(self.limits.status_every_s),
            "limits.status_every_s".into(),
            POSITIVE,
        );
        check(
            positive(self.limits.look_timeout_s),
            "limits.look_timeout_s".into(),
            POSITIVE,
        );
        check(
            positive(self.limits.review_timeout_s),
            "limits.review_timeout_s".into(),
            POSITIVE,
        );
        check(
            wait(self.limits.server_wait_s),
            "limits.server_wait_s".into(),
            WAIT,
        );
        check(
            positive(self.limits.recover_timeout_s),
            "limits.recover_timeout_s".into(),
            POSITIVE,
        );
        for (key, s) in [
            ("after_client_s", self.limits.after_client_s),
            ("request_pause_s", self.limits.request_pause_s),
            ("request_timeout_s", self.limits.request_timeout_s),
            ("job_lease_s", self.limits.job_lease_s),
        ] {
            check(positive(s), format!("limits.{key}"), POSITIVE);
        }
        for (key, bytes) in [
            ("request_bytes", self.limits.request_bytes),
            ("message_bytes", self.limits.message_bytes),
            ("memory_bytes", self.limits.memory_bytes),
            ("tenant_drafts", self.limits.tenant_drafts),
            ("tenant_jobs", self.limits.tenant_jobs),
            ("tenant_queue", self.limits.tenant_queue),
        ] {
            check(bytes > 0, format!("limits.{key}"), POSITIVE);
        }
        for (key, bytes) in [
            ("upload_bytes", self.limits.upload_bytes),
            ("tenant_bytes", self.limits.tenant_bytes),
        ] {
            check(bytes > 0, format!("limits.{key}"), POSITIVE);
        }
        for (name, route) in &self.tools {
            let path = |key| format!("tools.{name}.{key}");
            check(
                route.timeout_s.is_none_or(positive),
                path("timeout_s"),
                POSITIVE,
            );
            check(route.cache_s.is_none_or(wait), path("cache_s"), WAIT);
            check(
                route.post.is_none() || route.get.is_none(),
                path("get"),
                "a tool must not have both `post` and `get`",
            );
            check(
                route.path().is_none() || route.lane.is_some(),
                path("lane"),
                "a tool with a route needs a lane",
            );
            for (key, value) in [
                ("post", &route.post),
                ("get", &route.get),
                ("status", &route.status),
            ] {
                check(
                    value.as_ref().is_none_or(|path| path.starts_with('/')),
                    path(key),
                    "must start with `/`",
                );
            }
        }
        faults
    }
}

fn is_provider_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Converts seconds that [`Manifest::faults`] has checked.
pub(crate) fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)
}

/// Refuses keys that the built-in file does not have. A tool accepts all of [`ROUTE_KEYS`], as the built-in lines
/// omit some of them.
fn known_keys(
    user: &DeTable<'_>,
    built_in: &toml::Table,
    path: &mut Vec<String>,
    at: &dyn Fn(Range<usize>, &str) -> Error,
) -> Result<()> {
    let tool = path.len() == 2 && path[0] == "tools";
    let policy = path.len() == 2 && path[0] == "retry";
    // The server defines these names, and the user those of providers.
    if path.join(".") == "api.headers" || path.join(".") == "providers" {
        return Ok(());
    }
    for (key, value) in user {
        let name: &str = key.get_ref();
        let known: Vec<&str> = if tool {
            ROUTE_KEYS.to_vec()
        } else {
            let mut known: Vec<&str> = built_in.keys().map(String::as_str).collect();
            if policy && !known.contains(&"jitter") {
                known.push("jitter");
            }
            known
        };
        if !known.contains(&name) {
            let what = match path.first().map(String::as_str) {
                None => "section".to_owned(),
                Some("lanes") if path.len() == 1 => "lane".to_owned(),
                Some("tools") if path.len() == 1 => "tool".to_owned(),
                Some(_) => format!("key of `{}`", path.join(".")),
            };
            let mut near = known.clone();
            sorting::sort_by_key(&mut near, |known| strsim::osa_distance(known, name));
            let error = at(key.span(), &format!("{name:?} is not a {what}"));
            return Err(error.hint(format!(
                "did you mean `{}`? Available: {}",
                near.first().copied().unwrap_or_default(),
                known.join(", ")
            )));
        }
        if let (Some(below), Some(toml::Value::Table(built_in))) =
            (value.get_ref().as_table(), built_in.get(name))
        {
            path.push(name.to_owned());
            known_keys(below, built_in, path, at)?;
            path.pop();
        }
    }
    Ok(())
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The position of the value at a dotted path, or of its nearest existing parent.
fn span_of(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(table);
    for part in path.split('.') {
        let part = part.split('[').next().unwrap_or(part);
        let Some(value): Option<&Spanned<DeValue<'_>>> = table.and_then(|table| {
            table
                .iter()
                .find(|(key, _)| key.get_ref() == part)
                .map(|(_, value)| value)
        }) else {
            break;
        };
        span = Some(value.span());
        table = value.get_ref().as_table();
    }
    span
}

/// Line and column, both counted from 1; columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

impl Manifest {
    /// The error for a lane whose queue is full.
    pub(crate) fn full(lane: LaneName, waiting: usize) -> Error {
        Error::new(
            Kind::Busy,
            format!("the queue of lane `{}` is full: {waiting} calls are waiting", lane.name()),
        )
        .hint(format!(
            "call again in a second; `lanes.{}` in `tools.toml` sets how many calls run at the same time and how many may wait",
            lane.name()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        match Manifest::with_overrides(text, "my.toml") {
            Ok(_) => panic!("{text:?} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_default_port_of_the_api_is_tried_first() {
        let urls = Manifest::built_in().api.base_urls;
        assert_eq!(urls, ["http://127.0.0.1:9000", "http://127.0.0.1:9001"]);
    }

    #[test]
    fn the_built_in_file_is_valid() {
        let manifest = Manifest::built_in();
        assert_eq!(manifest.lanes.audio.slots, 3);
        assert_eq!(
            manifest.tools["save_draft"].post.as_deref(),
            Some("/save_draft")
        );
        assert_eq!(manifest.limits.media, MediaLimits::default());
    }

    #[test]
    fn every_tool_has_a_line_and_every_line_a_tool() {
        let manifest = Manifest::built_in();
        let mut tools = 0;
        for spec in crate::local::all() {
            let route = manifest
                .tools
                .get(spec.name)
                .unwrap_or_else(|| panic!("`{}` has no line", spec.name));
            assert_eq!(route.path().is_some(), spec.is_routed(), "`{}`", spec.name);
            tools += 1;
        }
        assert!(tools > 10, "only {tools} tools");
        for name in manifest.tools.keys() {
            assert!(
                crate::local::find(name).is_some(),
                "the line `{name}` has no tool"
            );
        }
    }

    #[test]
    fn single_keys_are_overridden() {
        let manifest = Manifest::with_overrides(
            "[lanes]\naudio.slots = 7\n[tools]\nadd_text = { timeout_s = 5.0 }\n[api]\nbase_urls = [\"http://host:1\"]",
            "my.toml",
        )
        .unwrap();
        assert_eq!(manifest.lanes.audio.slots, 7);
        assert_eq!(manifest.lanes.audio.waiting, 256);
        assert_eq!(manifest.api.base_urls, ["http://host:1"]);
        let route = manifest.route("add_text").unwrap();
        assert_eq!(
            (route.timeout_s, route.path()),
            (Some(5.0), Some("/add_text"))
        );
    }

    #[test]
    fn integers_are_accepted_as_seconds() {
        let manifest = Manifest::with_overrides("[lanes.query]\ntimeout_s = 3", "my.toml").unwrap();
        assert_eq!(manifest.lanes.query.timeout_s, 3.0);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_position_and_the_known_keys() {
        let text = fault("[lanes]\naudio = { slots = 1 }\n vidio = { slots = 2 }");
        assert!(
            text.starts_with("my.toml:3:2: \"vidio\" is not a lane"),
            "{text}"
        );
        assert!(
            text.contains("did you mean `audio`?") && text.contains("query"),
            "{text}"
        );
        let text = fault("[tools]\nadd_txt = { lane = \"draft\" }");
        assert!(
            text.contains("\"add_txt\" is not a tool") && text.contains("`add_text`"),
            "{text}"
        );
        let text = fault("[tools]\nadd_text = { timeout = 3.0 }");
        assert!(
            text.contains("my.toml:2:14: \"timeout\" is not a key of `tools.add_text`"),
            "{text}"
        );
        let text = fault("[limit]");
        assert!(
            text.contains("\"limit\" is not a section") && text.contains("`limits`"),
            "{text}"
        );
    }

    #[test]
    fn wrong_values_are_refused_with_their_position() {
        let text = fault("[lanes]\n\naudio.slots = \"many\"");
        assert!(
            text.starts_with("my.toml:3:15: `lanes.audio.slots`: "),
            "{text}"
        );
        let text = fault("[lanes]\naudio.slots = 0");
        assert!(
            text.starts_with("my.toml:2:15: `lanes.audio.slots`: must be more than 0"),
            "{text}"
        );
        let text = fault("[tools]\nadd_text.lane = \"fast\"");
        assert!(
            text.contains("`tools.add_text.lane`") && text.contains("audio"),
            "{text}"
        );
        let text = fault("[breaker]\ncool_down_s = -1.0");
        assert!(text.contains("breaker.cool_down_s"), "{text}");
        let text = fault("a = ");
        assert!(text.starts_with("my.toml:1:"), "{text}");
    }
}
