//! What the kinds of services have in common: their requests and what their answers mean.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::section::ProviderSection;
use super::wanted::Wanted;
use crate::error::{Error, Result};
use crate::secrets::Hidden;

/// A configured service with its credentials.
#[derive(Clone, Debug)]
pub(crate) struct ServiceSettings {
    /// The name in `[providers.NAME]`.
    pub name: String,
    pub section: ProviderSection,
    /// The key, if `key_env` names a variable.
    pub key: Option<Hidden>,
    /// The app id, if `app_id_env` names a variable.
    pub app_id: Option<Hidden>,
}

/// One request to a service.
#[derive(Debug)]
pub(super) struct ServiceRequest {
    pub method: Method,
    /// Below the service's base address, with a slash at its start.
    pub path: String,
    /// The headers with credentials are sensitive, so that no log shows them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: OutgoingBody,
}

#[derive(Debug)]
pub(super) enum OutgoingBody {
    Nothing,
    Json(serde_json::Value),
    /// A form with one file, whose field is `file`, and other fields.
    Form {
        fields: Vec<(String, String)>,
        file: PathBuf,
    },
}

/// A complete answer with an HTTP status below 300.
#[derive(Debug)]
pub(super) struct ServiceAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What a request to create something led to.
#[derive(Debug)]
pub(super) enum CreatedAsset {
    Made(RawAsset),
    /// A task with this id, to be asked for.
    Task(String),
}

/// An asset as a service gives it, before it was looked at.
#[derive(Debug)]
pub(super) struct RawAsset {
    pub content: AssetContent,
    /// The words of a speech with their times, if the service gives them.
    pub words: Vec<VoicedWord>,
}

#[derive(Debug)]
pub(super) enum AssetContent {
    Bytes(Vec<u8>),
    /// Samples of 16 bits, little endian, one channel, at this rate.
    Pcm {
        rate: u32,
        bytes: Vec<u8>,
    },
    /// To be fetched without credentials.
    Url(Url),
    /// To be fetched from the service itself, with credentials: a path below its base address.
    Own(String),
    /// A file that a program wrote; it is moved.
    File(PathBuf),
    Text(String),
}

/// A word and when it is spoken, in seconds from the start of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct VoicedWord {
    pub word: String,
    pub start: f64,
    pub end: f64,
}

/// The state of a task.
#[derive(Debug)]
pub(super) enum TaskState {
    /// It has not ended; its progress from 0 to 1, if the service says.
    Waiting(Option<f64>),
    Done(RawAsset),
    /// It ended without a result.
    Failed(Error),
}

/// Whether a request may have been accepted, and so may cost money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Surely not: it was not sent, or the service refused it.
    No,
    /// The answer was lost or says nothing about it.
    Maybe,
}

/// A time in seconds for messages: one digit after the point.
pub(super) fn in_seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Why nothing was created.
#[derive(Debug)]
pub(crate) struct CreationRefusal {
    pub accepted: Accepted,
    pub error: Error,
    /// The service is busy: the time after which it can be asked again. Only with [`Accepted::No`].
    pub again: Option<Duration>,
}

impl CreationRefusal {
    /// The service, or this program, refuses the request: it will not be accepted later either.
    pub(super) fn refused(error: Error) -> Self {
        Self {
            accepted: Accepted::No,
            error,
            again: None,
        }
    }

    /// The service is busy and did not accept the request.
    pub(super) fn busy(error: Error, after: Duration) -> Self {
        Self {
            accepted: Accepted::No,
            error,
            again: Some(after),
        }
    }

    /// The request may have been accepted.
    pub(super) fn uncertain(error: Error) -> Self {
        Self {
            accepted: Accepted::Maybe,
            error,
            again: None,
        }
    }
}

/// The requests and answers of a kind of service; it does no I/O.
pub(super) trait ServiceKind: Send + Sync {
    /// The request that creates an asset.
    ///
    /// # Errors
    /// If the service cannot make it; the error names the value and what is possible.
    fn creation(&self, settings: &ServiceSettings, wanted: &Wanted) -> Result<ServiceRequest>;

    /// The length of a film that is sent for a wanted one, in seconds: services make whole seconds of their own lists.
    fn film_seconds(&self, _settings: &ServiceSettings, wanted: f64) -> f64 {
        wanted
    }

    /// Reads the answer to [`Self::creation`]. An answer that cannot be read is [`CreationRefusal::uncertain`].
    fn created(
        &self,
        settings: &ServiceSettings,
        wanted: &Wanted,
        answer: &ServiceAnswer,
    ) -> Result<CreatedAsset, CreationRefusal>;

    /// Reads an answer with an HTTP status of 300 or more. The default: 429 is busy, other 4xx are refusals, the rest is
    /// uncertain; documented busy codes are busy.
    fn refusal(&self, settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal;

    /// Asks for the state of a task.
    fn task(&self, settings: &ServiceSettings, id: &str) -> Result<ServiceRequest>;

    /// Reads the answer to [`Self::task`].
    fn task_state(
        &self,
        settings: &ServiceSettings,
        id: &str,
        answer: &ServiceAnswer,
    ) -> Result<TaskState>;

    /// Ends a task; `None` if the service cannot.
    fn cancellation(&self, settings: &ServiceSettings, id: &str) -> Option<ServiceRequest>;

    /// A request that costs nothing and shows whether the service accepts the key; `None` if there is none.
    fn trial(&self, settings: &ServiceSettings) -> Option<ServiceRequest>;
}
