//! The error type of the whole crate: what is wrong, with which value, and what to do next.
//!
//! The program branches on [`Kind`] only; people and models read the rest. So every text is free of secrets and
//! short enough to read, whatever a caller sent or a server answered.

use std::borrow::Cow;
use std::fmt;

use crate::secrets;

/// How many characters of a value a message repeats.
const VALUE: usize = 80;
/// A line with more characters is reduced to its beginning and its end.
const LINE: usize = 1_000;
const LINE_START: usize = 600;
const LINE_END: usize = 200;
/// Maximum number of lines of a text, and the number of bytes after which no further line is added.
const LINES: usize = 40;
const TEXT: usize = 12_000;
/// A text with more bytes is cut before any other processing.
const LOOKED_AT: usize = 32 << 10;
/// Maximum number of problems in a list; a longer list does not help the reader.
const FAULTS: usize = 500;

/// The words with which the API starts the text of this error: the source of the error, shown only to callers in the
/// API's dialect.
#[derive(Debug)]
pub(crate) struct ApiPhrase(pub String);

/// Nothing: other callers get the error's own text.
impl fmt::Display for ApiPhrase {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for ApiPhrase {}

/// What a failure means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The same call will fail again.
    InvalidArgument,
    /// No such draft, track or name.
    NotFound,
    /// The call conflicts with the draft's content: an overlap, a wrong track.
    Conflict,
    /// The file exists but is not usable, or it certainly does not exist.
    Media,
    /// The call had no effect: there was no connection, or a download broke off.
    Unsent,
    /// The connection broke off, or the server answered 5xx.
    Unavailable,
    /// No answer within the time limit.
    Timeout,
    /// A lane is full or the breaker is open; or the server answered 429 or 503.
    Busy,
    /// The client cancelled the call.
    Cancelled,
    /// A bug in this program.
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

/// A failure, for people and models: [`message`](Self::message) names the location, the value and the problem,
/// [`hint`](Self::hint) says what to do.
#[derive(Debug)]
pub(crate) struct Error {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
    /// A hint that only a person at a shell can follow.
    pub at_shell: Option<Box<str>>,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// The failure persists until someone follows the hint: automatic retries do not help.
    pub lasting: bool,
    pub origin: Option<Origin>,
}

/// Where a failure comes from, if known. Guides for monitoring search the log for these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// There was no connection, or it broke.
    Connection,
    /// A CapCut API answered that the call failed.
    Api,
    /// A server answered 401 or 403.
    Authentication,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A copy of this error, for each of several callers that waited for one answer.
    pub(crate) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            message: match self.source.as_deref().map(|cause| told(&cause.to_string())) {
                Some(cause) if !self.message.contains(&cause) => {
                    format!("{}: {cause}", self.message)
                }
                _ => self.message.clone(),
            },
            hint: self.hint.clone(),
            at_shell: self.at_shell.clone(),
            source: None,
            lasting: self.lasting,
            origin: self.origin,
        }
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: told(&message.into()),
            hint: None,
            at_shell: None,
            source: None,
            lasting: false,
            origin: None,
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
        self.hint = Some(told(&hint.into()));
        self
    }

    /// Adds a hint that a person at a shell can follow, but a client cannot.
    #[must_use]
    pub(crate) fn at_shell(mut self, hint: impl Into<String>) -> Self {
        self.at_shell = Some(told(&hint.into()).into());
        self
    }

    /// The hint for a person at a shell: both hints, joined.
    pub(crate) fn next_step(&self) -> Option<Cow<'_, str>> {
        match (self.hint.as_deref(), self.at_shell.as_deref()) {
            (Some(hint), Some(at_shell)) => {
                let or = if hint.ends_with('?') { " Or" } else { ", or" };
                Some(format!("{hint}{or} {at_shell}").into())
            }
            (hint, at_shell) => hint.or(at_shell).map(Cow::Borrowed),
        }
    }

    /// The text for a client, which cannot restart this program with other options.
    pub(crate) fn for_client(&self) -> String {
        let mut text = self.cause().to_string();
        match (&self.hint, &self.at_shell) {
            (Some(hint), _) => text.push_str(&format!("\nhint: {hint}")),
            (None, Some(at_shell)) => {
                text.push_str(&format!("\nhint: ask the user to do this: {at_shell}"));
            }
            (None, None) => {}
        }
        text
    }

    #[must_use]
    pub(crate) fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The message with its causes, for logs. Hints are left out: they are for the caller, and contain words that
    /// a search of the log must not find.
    pub(crate) fn cause(&self) -> Cause<'_> {
        Cause(self)
    }

    #[must_use]
    pub(crate) fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
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

/// A text for an error: without secrets, and shortened to a readable length.
pub(crate) fn told(text: &str) -> String {
    let (text, left_out) = match text.get(..text.floor_char_boundary(LOOKED_AT)) {
        Some(start) if text.len() > LOOKED_AT => (start, text[start.len()..].chars().count()),
        _ => (text, 0),
    };
    let mut text = secrets::without(text);
    if text.len() <= LINE {
        return text.into_owned();
    }
    if left_out > 0 {
        text = format!("{text}… ({left_out} characters left out)").into();
    }
    let mut out = String::new();
    let mut lines = text.lines();
    for line in lines.by_ref().take(LINES) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&without_middle(line));
        if out.len() > TEXT {
            break;
        }
    }
    match lines.count() {
        0 => {}
        1 => out.push_str("\nand 1 more line"),
        more => out.push_str(&format!("\nand {more} more lines")),
    }
    out
}

fn without_middle(line: &str) -> Cow<'_, str> {
    let length = if line.len() > LINE {
        line.chars().count()
    } else {
        0
    };
    if length <= LINE {
        return Cow::Borrowed(line);
    }
    let at = |index: usize| {
        line.char_indices()
            .nth(index)
            .map_or(line.len(), |(at, _)| at)
    };
    let left_out = length - LINE_START - LINE_END;
    Cow::Owned(format!(
        "{} … ({left_out} characters left out) … {}",
        &line[..at(LINE_START)],
        &line[at(length - LINE_END)..]
    ))
}

/// A value for a message: its beginning, and its length.
pub(crate) fn shortened(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(VALUE) {
        None => Cow::Borrowed(value),
        Some((cut, _)) => Cow::Owned(format!(
            "{}… ({} characters)",
            &value[..cut],
            value.chars().count()
        )),
    }
}

/// Collects problems, each message once.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub Vec<Error>);

impl Faults {
    /// The value of a success; an error is collected.
    pub(crate) fn of<T>(&mut self, tried: Result<T>) -> Option<T> {
        tried.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn add(&mut self, error: Error) {
        if self.0.len() > FAULTS || self.0.iter().any(|known| known.message == error.message) {
            return;
        }
        if self.0.len() == FAULTS {
            self.0
                .push(Error::invalid("there are more problems of this kind"));
        } else {
            self.0.push(error);
        }
    }
}

/// An error without its hint.
pub(crate) struct Cause<'a>(&'a Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(failed) = self;
        f.write_str(&failed.message)?;
        let mut cause = failed
            .source
            .as_deref()
            .map(|e| e as &dyn std::error::Error);
        while let Some(error) = cause {
            let text = told(&error.to_string());
            if !text.is_empty() && !failed.message.contains(&text) {
                write!(f, ": {text}")?;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause())?;
        match self.next_step() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened() {
        let long = "ä".repeat(1 << 20);
        for text in [
            long.clone(),
            "x y ".repeat(1 << 20),
            "line\n".repeat(1 << 18),
        ] {
            let error = Error::invalid(format!("`name` is \"{text}\", which is wrong"))
                .hint(text.clone())
                .source(text.clone());
            let shown = error.to_string();
            assert!(shown.len() < 60_000, "{}", shown.len());
            assert!(shown.starts_with("`name` is \""));
            assert!(error.again().message.len() < 30_000);
        }
        let long = "ä".repeat(5_000);
        let error = Error::invalid(format!("`name` is \"{long}\", which is wrong"));
        assert!(
            error.message.ends_with("which is wrong"),
            "{}",
            error.message
        );
        assert!(
            error.message.contains("characters left out"),
            "{}",
            error.message
        );
        let lines = Error::invalid("a\n".repeat(2_000));
        assert!(
            lines.message.ends_with("\nand 1960 more lines"),
            "{}",
            lines.message
        );
        let short = "line\n  \nline";
        assert_eq!(Error::invalid(short).message, short);
    }

    #[test]
    fn message_hint_and_causes_contain_no_secrets() {
        let url = "http://me:S3CRET@h/a?key=S3CRET";
        let error = Error::invalid(url).hint(url).source(url);
        for text in [error.to_string(), error.again().to_string()] {
            assert!(
                !text.contains("S3CRET") && text.contains("http://…@h/a?…"),
                "{text}"
            );
        }
    }

    #[test]
    fn long_values_are_shown_by_their_beginning_and_length() {
        assert_eq!(shortened("short"), "short");
        let shown = shortened(&"é".repeat(100)).into_owned();
        assert_eq!(shown, format!("{}… (100 characters)", "é".repeat(80)));
    }
}
