//! The audit log: who did what, when, and how it ended. It has no contents of drafts and no secrets.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::utc;
use crate::error::{Error, Result};
use crate::rotating_file::RotatingFile;

/// A file with one JSON object per line.
pub(crate) struct AuditLog(Mutex<RotatingFile>);

/// One call or refused request.
#[derive(Debug, Serialize)]
pub(crate) struct AuditEntry<'a> {
    /// The id that the client got in the answer.
    pub request: &'a str,
    /// The tenant; `null` for a refused request.
    pub tenant: Option<&'a str>,
    /// The id of the token, if one was used.
    pub token: Option<&'a str>,
    /// The address of the client.
    pub client: IpAddr,
    /// The tool or the route.
    pub action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<&'a str>,
    /// `ok`, the kind of an error, or why the request was refused.
    pub result: &'a str,
}

/// An entry with its time.
#[derive(Serialize)]
struct AuditLine<'a> {
    time: String,
    #[serde(flatten)]
    entry: &'a AuditEntry<'a>,
}

impl AuditLog {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = RotatingFile::open(path).map_err(|error| {
            Error::invalid(format!(
                "the audit log {} cannot be written",
                path.display()
            ))
            .source(error)
            .hint("choose a file in a folder that you can write to")
        })?;
        Ok(Self(Mutex::new(file)))
    }

    /// Adds an entry. That it cannot be written is an error of the log, not of the call.
    pub(crate) fn write(&self, entry: &AuditEntry<'_>) {
        let line = AuditLine {
            time: utc::text(utc::now_s()),
            entry,
        };
        let written = serde_json::to_vec(&line)
            .map_err(std::io::Error::from)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                file.write_all(&bytes)
            });
        if let Err(error) = written {
            tracing::error!("the audit log cannot be written: {error}");
        }
    }
}
