//! A client's configuration as text: which servers it names, and edits that keep everything else.

use serde_json::{Map, Value};

use super::syntax::SyntaxError;
use super::{json, tables};
use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfigFormat {
    Json,
    Toml,
}

impl ConfigFormat {
    /// The servers below `key`, by name.
    pub(super) fn entries(self, text: &str, key: &str) -> Result<Map<String, Value>, SyntaxError> {
        match self {
            Self::Json => json::entries(text, key),
            Self::Toml => tables::entries(text, key),
        }
    }

    /// The text with a server added. No server of that name exists yet.
    pub(super) fn add(
        self,
        text: &str,
        key: &str,
        name: &str,
        entry: &Value,
    ) -> Result<String, SyntaxError> {
        match self {
            Self::Json => json::add(text, key, name, entry),
            Self::Toml => tables::add(text, key, name, entry),
        }
    }

    /// The text with the server of this name replaced, at the same position where the format allows it.
    pub(super) fn replace(
        self,
        text: &str,
        key: &str,
        name: &str,
        entry: &Value,
    ) -> Result<String, SyntaxError> {
        match self {
            Self::Json => json::replace(text, key, name, None, entry),
            Self::Toml => tables::add(&tables::remove(text, key, name)?, key, name, entry),
        }
    }

    /// The text with these fields of a server set to those of `entry`; its other fields stay.
    pub(super) fn update(
        self,
        text: &str,
        key: &str,
        name: &str,
        fields: &[&str],
        entry: &Value,
    ) -> Result<String, SyntaxError> {
        let mut text = text.to_owned();
        for field in fields {
            text = match self {
                Self::Json => json::replace(&text, key, name, Some(field), &entry[field])?,
                Self::Toml => tables::replace(&text, key, name, field, &entry[field])?,
            };
        }
        Ok(text)
    }

    /// The text without a server.
    pub(super) fn remove(self, text: &str, key: &str, name: &str) -> Result<String, SyntaxError> {
        match self {
            Self::Json => json::remove(text, key, name),
            Self::Toml => tables::remove(text, key, name),
        }
    }

    /// The text of a file with only this server.
    pub(super) fn block(self, key: &str, name: &str, entry: &Value) -> Result<String, SyntaxError> {
        self.add("", key, name, entry)
    }

    /// Fails unless an edit changed nothing but the server `name`: the last check before a file is written.
    pub(super) fn check(
        self,
        (before, after): (&str, &str),
        key: &str,
        name: &str,
        entry: Option<&Value>,
    ) -> Result<(), Error> {
        let wrong = |what: &str| {
            Error::internal(format!("the edited configuration would {what}"))
                .hint("the file was not changed; add the entry by hand, as `--print` shows it")
        };
        let read = |text| {
            let document = match self {
                Self::Json => json::document(text),
                Self::Toml => tables::document(text),
            };
            let mut document = document.map_err(|fault| {
                let (line, column) = (fault.line, fault.column);
                wrong(&format!(
                    "have an error at line {line}, column {column}: {}",
                    fault.message
                ))
            })?;
            let servers = document.shift_remove(key);
            let servers = servers.and_then(|servers| servers.as_object().cloned());
            Ok((document, servers.unwrap_or_default()))
        };
        let (mut expected, mut found) = (read(before)?, read(after)?);
        expected.1.shift_remove(name);
        let edited = found.1.shift_remove(name);
        // A second entry of the same name, which had no effect before, may take effect after the first is removed.
        let is_right = entry.is_none_or(|entry| edited.as_ref() == Some(entry));
        if is_right && expected == found {
            return Ok(());
        }
        Err(wrong("change more than this entry"))
    }
}
