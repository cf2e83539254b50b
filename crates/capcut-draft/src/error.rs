//! The one error type: what is wrong, with which value, and what to do next.

use std::fmt;

/// What kind of error it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is larger than [`MAX_BYTES`](crate::MAX_BYTES).
    TooLarge,
    /// The text is not valid JSON.
    Syntax,
    /// The app encrypted the document.
    Encrypted,
    /// It is JSON, but not a draft document.
    NotADraft,
    /// A selector, operation or property does not exist.
    NotFound,
    /// A selector matches several clips or tracks.
    Ambiguous,
    /// The track is locked.
    Locked,
    /// The part cannot be edited.
    ReadOnly,
    /// A value is outside its range or of the wrong type.
    Invalid,
    /// The edit would put clips over each other, or use media that does not exist.
    Conflict,
    /// A step does not fit the document that it is applied to.
    Mismatch,
}

/// An error, with the next step for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    /// What is wrong, with the value, its unit and its range.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn read_only(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ReadOnly, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The names nearest to `name`, best first, for messages.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let name = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .into_iter()
        .map(|other| {
            let lower = other.to_lowercase();
            let contains = !name.is_empty() && (lower.contains(&name) || name.contains(&lower));
            let score = strsim::jaro_winkler(&name, &lower);
            (score + if contains { 0.3 } else { 0.0 }, other)
        })
        .filter(|(score, _)| *score > 0.7)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.dedup_by(|a, b| a.1 == b.1);
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// `"a", "b" or "c"`.
pub(crate) fn quoted_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
