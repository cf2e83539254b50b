//! The one error type: what was wrong, with which value, and what to do next.
//!
//! The program branches on [`Kind`] only; people and models read the rest.

use std::fmt;

/// What a failure means for whoever called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The same call will fail again.
    InvalidArgument,
    /// No such draft, track or name.
    NotFound,
    /// Does not fit what is there: an overlap, a wrong track.
    Conflict,
    /// The file is there but is not usable, or it is surely not there.
    Media,
    /// Nothing was done yet: no connection, a download broke off.
    Unsent,
    /// It broke off, or the server answered 5xx.
    Unavailable,
    /// No answer within the time limit.
    Timeout,
    /// A lane is full or the breaker open; or the server said 429 or 503.
    Busy,
    /// The client gave up.
    Cancelled,
    /// A bug on our side.
    Internal,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::Conflict,
        Self::Media,
        Self::Unsent,
        Self::Unavailable,
        Self::Timeout,
        Self::Busy,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The name used in logs, metrics and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Media => "media",
            Self::Unsent => "unsent",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The exit code of `capcut-mcp call`.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::InvalidArgument | Self::NotFound | Self::Conflict => 2,
            Self::Media => 3,
            Self::Unsent | Self::Unavailable | Self::Timeout | Self::Busy => 4,
            Self::Cancelled => 130,
            Self::Internal => 70,
        }
    }
}

/// A failure, as a person and a model read it: [`message`](Self::message) names place, value and
/// what is wrong with it, [`hint`](Self::hint) what to do.
#[derive(Debug)]
pub(crate) struct Error {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// It stays until somebody has done what the hint says: trying again by itself is of no use.
    pub lasting: bool,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error like this one, for each of several callers that waited for one answer.
    pub(crate) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            message: match self.source.as_deref() {
                Some(cause) if !self.message.contains(&cause.to_string()) => {
                    format!("{}: {cause}", self.message)
                }
                _ => self.message.clone(),
            },
            hint: self.hint.clone(),
            source: None,
            lasting: self.lasting,
        }
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            source: None,
            lasting: false,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub(crate) fn media(message: impl Into<String>) -> Self {
        Self::new(Kind::Media, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    #[must_use]
    pub(crate) fn source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Faults as they are found, each told once.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub Vec<Error>);

impl Faults {
    /// The value of what succeeded; what failed is kept.
    pub(crate) fn of<T>(&mut self, tried: Result<T>) -> Option<T> {
        tried.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn add(&mut self, error: Error) {
        if self.0.iter().all(|known| known.message != error.message) {
            self.0.push(error);
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !text.is_empty() && !self.message.contains(&text) {
                write!(f, ": {text}")?;
            }
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}
