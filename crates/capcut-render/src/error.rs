//! What can go wrong, in words for people and models.

use std::fmt;
use std::io;

pub type Result<T, E = RenderError> = std::result::Result<T, E>;

/// The kind of a problem, on which programs branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An argument that cannot be used.
    Invalid,
    /// The target exists, and overwriting was not requested.
    Exists,
    /// `ffmpeg` is needed and is not installed.
    NoTool,
    /// A media file, or `ffmpeg` with it, failed.
    Media,
    /// Writing failed: no permission, no space.
    Storage,
    TimedOut,
    Cancelled,
    Internal,
}

/// What is wrong, with the value; and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    pub problem: Problem,
    pub message: String,
    pub hint: Option<String>,
}

impl RenderError {
    pub(crate) fn new(problem: Problem, message: impl Into<String>) -> Self {
        Self {
            problem,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Problem::Cancelled, "cancelled")
    }

    /// A file that cannot be written.
    pub(crate) fn storage(what: &str, error: &io::Error) -> Self {
        Self::new(
            Problem::Storage,
            format!("{what} cannot be written: {error}"),
        )
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RenderError {}
