//! `[providers.NAME]` and `[generate]` of `tools.toml`.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::{Deserialize, Serialize};

/// A service or a local program that makes assets.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProviderSection {
    /// Empty only until it was read.
    pub kind: Option<ProviderKind>,
    /// What it makes; each kind has a default, or makes only one thing.
    pub makes: Option<Makes>,
    /// The start of the service's addresses; empty: that of the kind.
    pub base_url: String,
    /// The environment variable with the key; empty: no key is sent.
    pub key_env: String,
    /// The environment variable with the app id, for services that ask for one.
    pub app_id_env: String,
    pub model: String,
    /// The voice, if an item names none.
    pub voice: String,
    /// Other keys of the request's body, as the service documents them.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The names of environment variables that the program gets.
    pub env: Vec<String>,
    /// Maximum number of requests and of unfinished tasks at the same time.
    pub concurrency: usize,
    /// Maximum number of requests that create something, in a minute; 0: no limit.
    pub calls_per_minute: u32,
    /// Time limit for one asset, in seconds; 0: that of what it makes.
    pub timeout_s: f64,
    /// The interval between two questions for the state of a task, in seconds; 0: that of the kind.
    pub poll_s: f64,
    /// Maximum size of a text in bytes of UTF-8; 0: that of the kind.
    pub text_bytes: usize,
    /// Lengths of films that it makes, in seconds; empty: those of the kind.
    pub seconds: Vec<u32>,
    /// Sizes of pictures or films that it makes, as "WIDTHxHEIGHT"; empty: any.
    pub sizes: Vec<String>,
    /// What a creation costs; `None`: unknown.
    pub price: Option<PriceParts>,
    /// The provider that is used if this one surely did not accept a request.
    pub fallback: String,
    /// Whether it is used where an item names no provider.
    pub default: bool,
    pub breaker: Option<ProviderBreaker>,
}

impl Default for ProviderSection {
    fn default() -> Self {
        Self {
            kind: None,
            makes: None,
            base_url: String::new(),
            key_env: String::new(),
            app_id_env: String::new(),
            model: String::new(),
            voice: String::new(),
            options: serde_json::Map::new(),
            command: Vec::new(),
            env: Vec::new(),
            concurrency: 16,
            calls_per_minute: 0,
            timeout_s: 0.0,
            poll_s: 0.0,
            text_bytes: 0,
            seconds: Vec::new(),
            sizes: Vec::new(),
            price: None,
            fallback: String::new(),
            default: false,
            breaker: None,
        }
    }
}

/// The shape of a provider's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProviderKind {
    /// The API of OpenAI, which many services have, among them Ark's pictures.
    Openai,
    /// Video tasks of Volcengine Ark.
    Ark,
    /// Speech of Volcengine, version 3.
    VolcTts,
    Elevenlabs,
    /// A program on this machine.
    Command,
}

/// What a provider makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Makes {
    /// Speech from words.
    Speech,
    /// A picture from a description.
    Picture,
    /// A film from a description.
    Film,
    /// The words of a sound, with times.
    Transcript,
    /// Text from a request.
    Text,
}

/// A breaker's own numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderBreaker {
    /// Number of consecutive failures that open the breaker.
    pub failures: u32,
    /// Seconds until the provider is tried again.
    pub cool_down_s: f64,
}

/// What a creation costs, in the currency of `[generate]`; the parts are added. A number is the price of each creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub(crate) struct PriceParts {
    pub per_call: f64,
    /// For 1,000 characters of the text.
    pub per_1000_characters: f64,
    /// For a second of film, or of sound that is transcribed.
    pub per_second: f64,
}

impl TryFrom<serde_json::Value> for PriceParts {
    type Error = String;

    fn try_from(written: serde_json::Value) -> Result<Self, String> {
        const EXPECTED: &str = "must be an amount for each creation, or an object of `per_call`, `per_1000_characters` and `per_second`";
        let mut parts = Self::default();
        match &written {
            serde_json::Value::Number(each) => parts.per_call = each.as_f64().unwrap_or(-1.0),
            serde_json::Value::Object(members) if !members.is_empty() => {
                for (key, amount) in members {
                    let part = match key.as_str() {
                        "per_call" => &mut parts.per_call,
                        "per_1000_characters" => &mut parts.per_1000_characters,
                        "per_second" => &mut parts.per_second,
                        other => return Err(format!("has the key {other:?}; it {EXPECTED}")),
                    };
                    *part = amount
                        .as_f64()
                        .ok_or_else(|| format!("has {amount} as `{key}`; it {EXPECTED}"))?;
                }
            }
            other => return Err(format!("is {other}; it {EXPECTED}")),
        }
        Ok(parts)
    }
}

/// Limits of runs that make assets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerateSection {
    /// The currency of all prices, as a word for replies.
    pub currency: String,
    /// What a run may cost if the call does not say: a number, "unknown" (any price, also unknown ones), or "" (nothing).
    pub max_cost: MaxCost,
    /// What a tenant may spend in `budget_days`; 0: no limit.
    pub budget: f64,
    pub budget_days: u32,
    /// How many voices and transcripts of a run are made at the same time.
    pub voices: usize,
    /// How many pictures and films of a run are made at the same time, with unfinished tasks.
    pub pictures: usize,
    /// Time limit for one asset: speech, a picture, a film, a transcript, a text.
    pub speech_timeout_s: f64,
    pub picture_timeout_s: f64,
    pub film_timeout_s: f64,
    pub transcript_timeout_s: f64,
    pub text_timeout_s: f64,
    /// Time limit for all assets of a run.
    pub run_timeout_s: f64,
    /// Maximum size of one asset.
    pub asset_bytes: u64,
}

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "MaxCostWritten")]
pub(crate) enum MaxCost {
    /// Nothing that has a price, or whose price is not known.
    Nothing,
    /// At most this amount; prices must be known.
    Amount(f64),
    /// Any price, also unknown ones.
    Unknown,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MaxCostWritten {
    Number(f64),
    Word(String),
}

impl TryFrom<MaxCostWritten> for MaxCost {
    type Error = String;

    fn try_from(written: MaxCostWritten) -> Result<Self, String> {
        match written {
            MaxCostWritten::Number(amount) => Self::amount(amount),
            MaxCostWritten::Word(word) => Self::word(&word),
        }
    }
}

impl MaxCost {
    const EXPECTED: &str = "must be an amount such as 2.5, or \"unknown\" for any price";

    fn amount(amount: f64) -> Result<Self, String> {
        if amount.is_finite() && amount >= 0.0 {
            Ok(Self::Amount(amount))
        } else {
            Err(format!("is {amount}; it {}", Self::EXPECTED))
        }
    }

    fn word(word: &str) -> Result<Self, String> {
        match word.trim() {
            "" => Ok(Self::Nothing),
            "unknown" => Ok(Self::Unknown),
            word => match word.parse() {
                Ok(amount) => Self::amount(amount),
                Err(_) => Err(format!("is {word:?}; it {}", Self::EXPECTED)),
            },
        }
    }

    /// For people: what may be spent.
    pub(crate) fn text(self, currency: &str) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Amount(amount) => format!("{amount} {currency}"),
            Self::Unknown => "any amount".to_owned(),
        }
    }

    /// Reads `max_cost` of a call.
    pub(crate) fn read(value: &serde_json::Value) -> Result<Self, String> {
        match value {
            serde_json::Value::Number(number) => Self::amount(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(word) => Self::word(word),
            other => Err(format!("is {other}; it {}", Self::EXPECTED)),
        }
    }
}

impl ProviderKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Ark => "ark",
            Self::VolcTts => "volc-tts",
            Self::Elevenlabs => "elevenlabs",
            Self::Command => "command",
        }
    }

    /// What it makes if `makes` does not say; `None`: that must be said.
    fn makes(self) -> Option<Makes> {
        match self {
            Self::Openai | Self::Command => None,
            Self::Ark => Some(Makes::Film),
            Self::VolcTts | Self::Elevenlabs => Some(Makes::Speech),
        }
    }

    /// The start of its addresses if `base_url` is empty.
    fn base_url(self) -> &'static str {
        match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Ark => "https://ark.cn-beijing.volces.com/api/v3",
            Self::VolcTts => "https://openspeech.bytedance.com/api/v3",
            Self::Elevenlabs => "https://api.elevenlabs.io/v1",
            Self::Command => "",
        }
    }

    /// Maximum size of a text in bytes if `text_bytes` is 0, as the services document it.
    fn text_bytes(self) -> usize {
        match self {
            // 4,096 characters, which may have one byte each.
            Self::Openai => 4096,
            Self::VolcTts => 1024,
            Self::Elevenlabs => 5000,
            Self::Ark | Self::Command => 16 << 10,
        }
    }
}

impl Makes {
    /// For sentences: "a provider that makes …".
    pub(crate) fn things(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Picture => "pictures",
            Self::Film => "films",
            Self::Transcript => "transcripts",
            Self::Text => "texts",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Picture => "picture",
            Self::Film => "film",
            Self::Transcript => "transcript",
            Self::Text => "text",
        }
    }
}

impl ProviderSection {
    pub(crate) fn kind(&self) -> ProviderKind {
        self.kind.unwrap_or(ProviderKind::Command)
    }

    pub(crate) fn makes(&self) -> Makes {
        self.makes.or(self.kind().makes()).unwrap_or(Makes::Speech)
    }

    /// The start of its addresses, without a slash at the end.
    pub(crate) fn base_url(&self) -> &str {
        let url = if self.base_url.is_empty() {
            self.kind().base_url()
        } else {
            &self.base_url
        };
        url.trim_end_matches('/')
    }

    /// Maximum size of a text in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        match self.text_bytes {
            0 => self.kind().text_bytes(),
            bytes => bytes,
        }
    }

    /// Values that are not valid, each with its key.
    pub(crate) fn faults(
        &self,
        others: &BTreeMap<String, Self>,
    ) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        let mut check = |good: bool, key, sentence| {
            if !good {
                faults.push((key, sentence));
            }
        };
        let Some(kind) = self.kind else {
            check(
                false,
                "kind",
                "is missing: \"openai\", \"ark\", \"volc-tts\", \"elevenlabs\" or \"command\"",
            );
            return faults;
        };
        let own = kind.makes();
        check(
            own.is_some() || self.makes.is_some(),
            "makes",
            "is missing: \"speech\", \"picture\", \"film\", \"transcript\" or \"text\"",
        );
        check(
            own.is_none() || self.makes.is_none_or(|makes| Some(makes) == own),
            "makes",
            "is not what this kind makes: \"ark\" makes films (its pictures are of kind \"openai\"), \"volc-tts\" and \"elevenlabs\" make speech",
        );
        let is_command = kind == ProviderKind::Command;
        check(
            !is_command
                || self
                    .command
                    .first()
                    .is_some_and(|program| !program.trim().is_empty()),
            "command",
            "is missing: a list of the program and its arguments, such as [\"espeak-ng\", \"-f\", \"{text_file}\", \"-w\", \"{out}\"]",
        );
        check(
            is_command || self.command.is_empty(),
            "command",
            "belongs to providers of kind \"command\"",
        );
        check(
            is_command || self.env.is_empty(),
            "env",
            "belongs to providers of kind \"command\"; the key of a service is named in `key_env`",
        );
        check(
            !is_command || (self.base_url.is_empty() && self.key_env.is_empty()),
            if self.base_url.is_empty() {
                "key_env"
            } else {
                "base_url"
            },
            "belongs to services; a program gets the variables that `env` names",
        );
        check(
            is_command || self.base_url.is_empty() || is_safe(self.base_url()),
            "base_url",
            "must be an https address such as \"https://api.example.com/v1\"; http is allowed only to this machine (127.0.0.1, localhost, ::1)",
        );
        let is_name = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !name
                    .bytes()
                    .next()
                    .is_some_and(|byte| byte.is_ascii_digit())
        };
        check(is_name(&self.key_env), "key_env", VARIABLE);
        check(is_name(&self.app_id_env), "app_id_env", VARIABLE);
        check(
            self.env
                .iter()
                .all(|name| !name.is_empty() && is_name(name)),
            "env",
            "must be a list of names of environment variables",
        );
        check(
            (1..=1024).contains(&self.concurrency),
            "concurrency",
            "must be from 1 to 1024",
        );
        check(
            (0.0..=86_400.0).contains(&self.timeout_s),
            "timeout_s",
            "must be a number of seconds from 0 to 86400",
        );
        check(
            self.poll_s == 0.0 || (0.05..=3600.0).contains(&self.poll_s),
            "poll_s",
            "must be 0 or a number of seconds from 0.05 to 3600",
        );
        check(
            self.text_bytes == 0 || self.text_bytes >= 32,
            "text_bytes",
            "must be 0 or at least 32",
        );
        check(
            self.seconds
                .iter()
                .all(|seconds| (1..=600).contains(seconds)),
            "seconds",
            "must be a list of whole seconds from 1 to 600",
        );
        check(
            self.sizes.iter().all(|size| size_of(size).is_some()),
            "sizes",
            "must be a list of sizes such as \"1024x1792\"",
        );
        let parts = self.price.unwrap_or_default();
        check(
            [parts.per_call, parts.per_1000_characters, parts.per_second]
                .iter()
                .all(|amount| amount.is_finite() && *amount >= 0.0),
            "price",
            "must be amounts of 0 or more",
        );
        if !self.fallback.is_empty() {
            let fallback = others.get(&self.fallback);
            check(
                fallback.is_some(),
                "fallback",
                "is not the name of a provider",
            );
            check(
                fallback.is_none_or(|other| other.makes() == self.makes()),
                "fallback",
                "makes something else",
            );
            check(
                !leads_back(&self.fallback, others),
                "fallback",
                "leads back to itself: end the chain",
            );
        }
        if let Some(breaker) = self.breaker {
            check(
                breaker.failures > 0,
                "breaker.failures",
                "must be more than 0",
            );
            check(
                (0.0..=86_400.0).contains(&breaker.cool_down_s),
                "breaker.cool_down_s",
                "must be a number of seconds from 0 to 86400",
            );
        }
        faults
    }
}

const VARIABLE: &str =
    "must be the name of an environment variable, such as \"OPENAI_API_KEY\", not the key itself";

/// Whether following the fallbacks from a provider never ends.
fn leads_back(first: &str, others: &BTreeMap<String, ProviderSection>) -> bool {
    let mut name = first;
    for _ in 0..=others.len() {
        match others.get(name) {
            Some(section) if !section.fallback.is_empty() => name = &section.fallback,
            _ => return false,
        }
    }
    true
}

/// Whether keys may be sent to this address: it has TLS, or is on this machine.
pub(super) fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    if url.host_str().is_none_or(str::is_empty)
        || !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return false;
    }
    url.scheme() == "https" || (url.scheme() == "http" && is_here(&url))
}

/// Whether an address is on this machine.
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Width and height of "1024x1792", in pixels.
pub(super) fn size_of(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once(['x', 'X', '*'])?;
    let number = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|side| (16..=16_384).contains(side))
    };
    Some((number(width)?, number(height)?))
}

impl GenerateSection {
    /// Values that are not valid, each with its key.
    pub(crate) fn faults(&self) -> Vec<(&'static str, &'static str)> {
        const SECONDS: &str = "must be a number of seconds from 1 to 86400";
        let mut faults = Vec::new();
        let mut check = |good: bool, key, sentence| {
            if !good {
                faults.push((key, sentence));
            }
        };
        check(
            self.budget.is_finite() && self.budget >= 0.0,
            "budget",
            "must be an amount of 0 or more",
        );
        check(
            (1..=366).contains(&self.budget_days),
            "budget_days",
            "must be from 1 to 366",
        );
        check(
            (1..=64).contains(&self.voices),
            "voices",
            "must be from 1 to 64",
        );
        check(
            (1..=64).contains(&self.pictures),
            "pictures",
            "must be from 1 to 64",
        );
        for (key, seconds) in [
            ("speech_timeout_s", self.speech_timeout_s),
            ("picture_timeout_s", self.picture_timeout_s),
            ("film_timeout_s", self.film_timeout_s),
            ("transcript_timeout_s", self.transcript_timeout_s),
            ("text_timeout_s", self.text_timeout_s),
            ("run_timeout_s", self.run_timeout_s),
        ] {
            check((1.0..=86_400.0).contains(&seconds), key, SECONDS);
        }
        check(self.asset_bytes > 0, "asset_bytes", "must be more than 0");
        faults
    }
}
