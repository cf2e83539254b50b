//! `api.headers`: headers that a server requires in every request, such as a key. The values are never shown.

use std::collections::BTreeMap;
use std::fmt;

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::secrets;
use crate::settings::environment;

/// Headers as written in the file: `${NAME}` in a value stands for an environment variable.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Headers(BTreeMap<String, String>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Headers that the HTTP client sets itself; a different value would break the request.
const OWN: [&str; 7] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
];

impl Headers {
    /// The problems of each header, by its name; the value is not shown.
    pub(super) fn faults(&self) -> Vec<(String, &'static str)> {
        let fault = |name: &str, value: &str| {
            if HeaderName::try_from(name).is_err() {
                Some("is not a header name: use letters, digits and `-`, such as \"X-API-Key\"")
            } else if OWN.contains(&name.to_ascii_lowercase().as_str()) {
                Some("is set by this program itself")
            } else if parts(value).is_none() {
                Some(
                    "has `${` without a variable name or without `}`: write it as \"${CAPCUT_API_KEY}\"",
                )
            } else if HeaderValue::try_from(value).is_err() {
                Some("has a value with characters that are not allowed in headers")
            } else {
                None
            }
        };
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), fault(name, value)?)))
            .collect()
    }

    /// The headers, with environment variables replaced by their values.
    pub(crate) fn values(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        self.with(&|name| environment(name)?.into_string().ok())
    }

    fn with(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let mut headers = Vec::with_capacity(self.0.len());
        for (name, text) in &self.0 {
            let place = format!("`api.headers.{name}` in `tools.toml`");
            let mut value = String::new();
            for part in parts(text).unwrap_or_default() {
                match part {
                    HeaderPart::Text(text) => value.push_str(text),
                    HeaderPart::Variable(variable_name) => {
                        let found = variable(variable_name).filter(|found| !found.is_empty());
                        value.push_str(&found.ok_or_else(|| {
                            Error::invalid(format!("{place}: `{variable_name}` is not set"))
                                .hint("set this environment variable to the value that the server requires")
                        })?);
                    }
                }
            }
            let invalid = || Error::invalid(format!("{place} is not a header that can be sent"));
            let key = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
            // A server may repeat it in an answer, which may then be quoted in an error.
            secrets::know(value.trim());
            let mut value = HeaderValue::try_from(value.trim()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.push((key, value));
        }
        Ok(headers)
    }
}

enum HeaderPart<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Text and variables in turn; `None` if a `${` has no valid name or no `}`.
fn parts(value: &str) -> Option<Vec<HeaderPart<'_>>> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some((text, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !is_name(name) {
            return None;
        }
        parts.extend([HeaderPart::Text(text), HeaderPart::Variable(name)]);
        rest = after;
    }
    parts.push(HeaderPart::Text(rest));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Headers(pairs.iter().map(owned).collect())
    }

    #[test]
    fn values_contain_variables_and_the_error_for_a_missing_one_hides_the_rest_of_the_value() {
        let variable = |name: &str| (name == "KEY").then(|| "s3cret\n".to_owned());
        let two = headers(&[("Authorization", "Bearer ${KEY}"), ("X-Plain", "a$b")]);
        let values = two.with(&variable).unwrap();
        assert_eq!(values[0].1, "Bearer s3cret");
        assert_eq!(values[1].1, "a$b");
        assert!(values[0].1.is_sensitive());
        let missing = headers(&[("X-API-Key", "literal-${OTHER}")]);
        let error = missing.with(&variable).unwrap_err().to_string();
        assert!(error.contains("`OTHER` is not set"), "{error}");
        assert!(!error.contains("literal") && !format!("{missing:?}").contains("literal"));
    }

    #[test]
    fn invalid_headers_are_refused() {
        for (name, value) in [
            ("X Key", "a"),
            ("", "a"),
            ("Host", "a"),
            ("content-LENGTH", "1"),
            ("X-Key", "a\nb"),
            ("X-Key", "${}"),
            ("X-Key", "${A"),
            ("X-Key", "${A B}"),
        ] {
            let faults = headers(&[(name, value)]).faults();
            assert_eq!(faults.len(), 1, "{name:?}: {value:?}");
        }
        assert!(
            headers(&[("X-API-Key", "${CAPCUT_API_KEY}")])
                .faults()
                .is_empty()
        );
    }
}
