//! What the kinds of services have in common: credentials, bodies, and the meaning of answers that are not a success.

use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::error::{Error, Kind, Origin, Result};
use crate::providers::section::Makes;
use crate::providers::service::{
    CreationRefusal, OutgoingBody, ServiceAnswer, ServiceRequest, ServiceSettings,
};
use crate::providers::unquoted::unquoted;
use crate::providers::wanted::Wanted;
use crate::secrets::Hidden;

/// The wait for a busy service that does not say how long.
const WAIT: Duration = Duration::from_secs(1);
const LEAST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// How many characters of a service's own words are repeated.
const SERVICE_WORDS: usize = 240;

/// What a service itself says about a failure.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ServiceFault {
    pub code: String,
    pub message: String,
}

impl ServiceFault {
    /// Reads the shapes that services use: `{error: {code, type, message}}`, `{error: "…"}`, `{detail: {status, message}}`,
    /// `{detail: [{msg}]}`, `{code, message}`, `{header: {code, message}}`, or plain text.
    pub(super) fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::in_json(&value),
            Err(_) => Self {
                code: String::new(),
                message: plain(body),
            },
        }
    }

    pub(super) fn in_json(value: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let part = ["error", "detail", "header"]
            .iter()
            .map(|key| &value[*key])
            .find(|part| !part.is_null())
            .unwrap_or(value);
        if let Value::String(message) = part {
            return Self {
                code: text(&value["code"]),
                message: message.trim().to_owned(),
            };
        }
        if let Value::Array(parts) = part {
            let messages: Vec<String> = parts
                .iter()
                .map(|part| text(&part["msg"]))
                .filter(|message| !message.is_empty())
                .collect();
            return Self {
                code: String::new(),
                message: messages.join("; "),
            };
        }
        let first = |keys: &[&str]| {
            let values = keys.iter().map(|key| text(&part[*key]));
            values
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        Self {
            code: first(&["code", "type", "status"]),
            message: first(&["message", "msg"]),
        }
    }

    /// Whether its code or message has one of these words, whatever their case.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        let text = format!("{} {}", self.code, self.message).to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// ` (CODE): message`, without what is missing.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        if !self.code.is_empty() {
            text.push_str(&format!(" ({})", brief(&self.code)));
        }
        if !self.message.is_empty() {
            text.push_str(": ");
            text.push_str(&brief(&self.message));
        }
        text
    }
}

/// The beginning of a text, on one line.
pub(super) fn brief(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SERVICE_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What a body that is not JSON says; nothing if it is a web page or not text.
fn plain(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return String::new();
    };
    if is_page(body) {
        return "the answer is a web page".to_owned();
    }
    brief(text)
}

/// Whether a body is HTML.
pub(super) fn is_page(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&body[..body.len().min(256)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    ["<!doctype html", "<html", "<head", "<body"]
        .iter()
        .any(|mark| start.starts_with(mark))
}

/// An error of this provider.
pub(super) fn fault(kind: Kind, settings: &ServiceSettings, problem: &str) -> Error {
    Error::new(kind, format!("provider `{}`: {problem}", settings.name))
}

/// An answer that is a success by its status, but not what was asked for: it may have been billed.
pub(super) fn unreadable(settings: &ServiceSettings, problem: &str) -> CreationRefusal {
    CreationRefusal::uncertain(fault(Kind::Unavailable, settings, problem))
}

/// What a body is instead of what it should be.
pub(super) fn instead(body: &[u8]) -> &'static str {
    if body.is_empty() {
        "the answer is empty"
    } else if is_page(body) {
        "the answer is a web page"
    } else {
        "the answer is cut off or has another form"
    }
}

/// The JSON of a successful answer.
pub(super) fn json(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
) -> Result<Value, CreationRefusal> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| unreadable(settings, &format!("{}, not JSON", instead(&answer.body))))
}

/// The meaning of an answer with an HTTP status of 300 or more.
pub(super) fn refusal(settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal {
    refusal_with(settings, answer, &ServiceFault::of(&answer.body))
}

pub(super) fn refusal_with(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
    said: &ServiceFault,
) -> CreationRefusal {
    let status = answer.status;
    let error = |kind| {
        let error = fault(
            kind,
            settings,
            &format!("HTTP {}{}", status.as_u16(), said.shown()),
        );
        match hint(settings, status, said) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    };
    match status.as_u16() {
        300..400 => CreationRefusal::refused(
            fault(
                Kind::InvalidArgument,
                settings,
                &format!(
                    "HTTP {}: the service redirects to another address, which is not followed",
                    status.as_u16()
                ),
            )
            .hint(format!(
                "set `base_url` in `[providers.{}]` to the address that the service documents",
                settings.name
            ))
            .lasting(),
        ),
        429 if is_spent(said) => CreationRefusal::refused(error(Kind::InvalidArgument).lasting()),
        429 => CreationRefusal::busy(error(Kind::Busy), retry_after(&answer.headers)),
        401 | 403 => CreationRefusal::refused(
            error(Kind::InvalidArgument)
                .with_origin(Origin::Authentication)
                .lasting(),
        ),
        408 => CreationRefusal::uncertain(error(Kind::Timeout)),
        409 | 425 => CreationRefusal::uncertain(error(Kind::Unavailable)),
        400..500 => CreationRefusal::refused(error(Kind::InvalidArgument)),
        _ => CreationRefusal::uncertain(error(Kind::Unavailable)),
    }
}

/// Whether an account has no money or quota left: waiting does not help.
fn is_spent(said: &ServiceFault) -> bool {
    said.mentions(&[
        "insufficient_quota",
        "quota_exceeded",
        "quotaexceeded",
        "setlimitexceeded",
        "billing_hard_limit",
        "accountoverdue",
        "insufficient balance",
    ]) && !said.mentions(&["concurren"])
}

fn hint(settings: &ServiceSettings, status: StatusCode, said: &ServiceFault) -> Option<String> {
    if status == StatusCode::PAYMENT_REQUIRED || is_spent(said) {
        return Some("check the balance and the limits of the account at the service".to_owned());
    }
    if matches!(status.as_u16(), 401 | 403) {
        return Some(if settings.section.key_env.is_empty() {
            format!(
                "the service asks for a key: name the environment variable with it as `key_env` in `[providers.{}]`",
                settings.name
            )
        } else {
            format!(
                "check the key in the environment variable `{}`, and that its account may use this model",
                settings.section.key_env
            )
        });
    }
    if said.mentions(&[
        "riskdetection",
        "sensitivecontent",
        "content_policy",
        "moderation_blocked",
    ]) {
        return Some("the service refuses this content: change the words".to_owned());
    }
    if said.mentions(&["modelnotopen", "model_not_found", "invalidendpointormodel"]) {
        return Some(format!(
            "check `model` in `[providers.{}]`, and activate it for the account at the service",
            settings.name
        ));
    }
    match status.as_u16() {
        404 | 405 => Some(format!(
            "check `base_url` and `model` in `[providers.{}]`",
            settings.name
        )),
        413 => Some("use a shorter text or a smaller file".to_owned()),
        _ => None,
    }
}

/// When a busy service can be asked again, from `Retry-After`: seconds, or a date, which counts from the service's own clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let Some(wait) = text(reqwest::header::RETRY_AFTER) else {
        return WAIT;
    };
    let wait = match wait.trim().parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Some(Duration::from_secs_f64(
            seconds.min(LONGEST_WAIT.as_secs_f64()),
        )),
        Ok(_) => None,
        Err(_) => date(wait).map(|until| {
            let now = text(DATE).and_then(date).unwrap_or_else(SystemTime::now);
            until.duration_since(now).unwrap_or_default()
        }),
    };
    wait.unwrap_or(WAIT).clamp(LEAST_WAIT, LONGEST_WAIT)
}

/// A header whose value no log shows.
pub(super) fn secret_header(
    settings: &ServiceSettings,
    variable: &str,
    name: HeaderName,
    value: &str,
) -> Result<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        fault(
            Kind::InvalidArgument,
            settings,
            &format!("the value of the environment variable `{variable}` has characters that a key cannot have"),
        )
        .hint("copy the key again, without line breaks")
        .lasting()
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// `Authorization: Bearer KEY`, if there is a key.
pub(super) fn bearer(settings: &ServiceSettings) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let Some(Hidden(key)) = &settings.key else {
        return Ok(Vec::new());
    };
    let value = format!("Bearer {}", key.trim());
    let header = secret_header(settings, &settings.section.key_env, AUTHORIZATION, &value)?;
    Ok(vec![header])
}

/// A request with a JSON body, into which the section's options are merged.
pub(super) fn post(
    path: impl Into<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Value,
) -> ServiceRequest {
    ServiceRequest {
        method: Method::POST,
        path: path.into(),
        headers,
        body: OutgoingBody::Json(body),
    }
}

/// A request without a body.
pub(super) fn bare(
    method: Method,
    path: impl Into<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> ServiceRequest {
    ServiceRequest {
        method,
        path: path.into(),
        headers,
        body: OutgoingBody::Nothing,
    }
}

/// Adds options to a body; objects in both are merged, other values are replaced.
pub(super) fn merge(body: &mut Value, options: &Map<String, Value>) {
    for (key, value) in options {
        match (&mut body[key.as_str()], value) {
            (own @ Value::Object(_), Value::Object(inner)) => merge(own, inner),
            (own, value) => *own = value.clone(),
        }
    }
}

/// The options without those that are not for the body.
pub(super) fn options_without(settings: &ServiceSettings, keys: &[&str]) -> Map<String, Value> {
    let options = settings.section.options.iter();
    options
        .filter(|(key, _)| !keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The model.
///
/// # Errors
/// If the section names none.
pub(super) fn model(settings: &ServiceSettings) -> Result<&str> {
    let model = settings.section.model.trim();
    if model.is_empty() {
        return Err(fault(Kind::InvalidArgument, settings, "it has no model")
            .hint(format!(
                "set `model` in `[providers.{}]`, as the service names it",
                settings.name
            ))
            .lasting());
    }
    Ok(model)
}

/// The error for something that a kind of service cannot make.
pub(super) fn does_not_make(settings: &ServiceSettings, makes: Makes) -> Error {
    fault(
        Kind::InvalidArgument,
        settings,
        &format!(
            "it makes {}, not {}",
            settings.section.makes().name(),
            makes.name()
        ),
    )
}

/// Checks a pace of speech.
pub(super) fn check_speed(
    settings: &ServiceSettings,
    speed: f64,
    (least, most): (f64, f64),
) -> Result<()> {
    if (least..=most).contains(&speed) {
        return Ok(());
    }
    Err(fault(
        Kind::InvalidArgument,
        settings,
        &format!(
            "the voice's speed {speed} is not possible: from {least} to {most}, where 1 is its own pace"
        ),
    ))
}

/// The id of a task as a part of a path.
///
/// # Errors
/// If no path can have it.
pub(super) fn segment(settings: &ServiceSettings, id: &str) -> Result<String> {
    let is_fit = !id.is_empty() && id.len() <= 512 && !matches!(id, "." | "..");
    if !is_fit || id.chars().any(char::is_control) {
        return Err(fault(
            Kind::Unavailable,
            settings,
            "the service gave a task without a usable id",
        ));
    }
    let mut path = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            path.push(byte as char);
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(path)
}

/// The id of a new task in an answer.
pub(super) fn task_id(
    settings: &ServiceSettings,
    value: &Value,
) -> Result<String, CreationRefusal> {
    let id = match &value["id"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => String::new(),
    };
    segment(settings, &id).map_err(CreationRefusal::uncertain)?;
    Ok(id)
}

/// The error of a task that ended without a result. `state` is the service's word for that.
pub(super) fn task_failed(settings: &ServiceSettings, state: &str, value: &Value) -> Error {
    let said = ServiceFault::in_json(&json!({ "error": value["error"] }));
    let error = fault(
        Kind::Unavailable,
        settings,
        &format!(
            "the service ended the task as \"{}\"{}",
            brief(state),
            said.shown()
        ),
    );
    match hint(settings, StatusCode::OK, &said) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The JSON of the answer about a task.
pub(super) fn task_json(settings: &ServiceSettings, answer: &ServiceAnswer) -> Result<Value> {
    json(settings, answer).map_err(|refusal| refusal.error)
}

/// Bytes in Base64, as services write them: in one of its alphabets, with or without padding, perhaps as a `data:` URL.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::alphabet;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let text = match text.split_once(";base64,") {
        Some((start, rest)) if start.starts_with("data:") => rest,
        _ => text,
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) {
        &alphabet::URL_SAFE
    } else {
        &alphabet::STANDARD
    };
    let engine = GeneralPurpose::new(alphabet, config);
    let bytes = if text.contains(char::is_whitespace) {
        let text: String = text.split_whitespace().collect();
        engine.decode(text)
    } else {
        engine.decode(text)
    };
    bytes.ok().filter(|bytes| !bytes.is_empty())
}

/// Whether an answer says that its body is of this type.
pub(super) fn has_type(answer: &ServiceAnswer, name: &str) -> bool {
    answer
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains(name))
}

/// A service's error about this request, without the words that were sent.
pub(super) fn without_words(mut refusal: CreationRefusal, wanted: &Wanted) -> CreationRefusal {
    refusal.error.message = unquoted(&refusal.error.message, [wanted.text()]);
    refusal
}

#[cfg(test)]
pub(super) mod testing {
    //! Settings and answers for the tests of the kinds.

    use super::*;
    use crate::providers::section::ProviderSection;

    pub(in super::super) fn settings(toml: &str) -> ServiceSettings {
        let section: ProviderSection = toml::from_str(toml).unwrap();
        ServiceSettings {
            name: "p".to_owned(),
            key: (!section.key_env.is_empty()).then(|| Hidden("key-1234567890".to_owned())),
            app_id: (!section.app_id_env.is_empty()).then(|| Hidden("app-1".to_owned())),
            section,
        }
    }

    pub(in super::super) fn answer(status: u16, body: impl AsRef<[u8]>) -> ServiceAnswer {
        ServiceAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_ref().to_vec(),
        }
    }

    pub(in super::super) fn body(outgoing: &ServiceRequest) -> &Value {
        match &outgoing.body {
            OutgoingBody::Json(value) => value,
            other => panic!("{other:?}"),
        }
    }

    pub(in super::super) fn header<'a>(
        outgoing: &'a ServiceRequest,
        name: &str,
    ) -> Option<&'a str> {
        let (_, value) = outgoing.headers.iter().find(|(own, _)| own == name)?;
        assert!(value.is_sensitive() || name == "x-api-resource-id");
        value.to_str().ok()
    }
}

#[cfg(test)]
mod tests;
