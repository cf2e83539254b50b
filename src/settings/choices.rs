//! Settings with a fixed set of values.

use std::str::FromStr;

/// Which backend runs tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BackendChoice {
    /// Decided when a draft is created: the API if it answers, else the engine.
    #[default]
    Auto,
    /// Only the API.
    Remote,
    /// Only the engine in this process.
    Embedded,
}

/// What to do with a draft that its server lost, by a restart or to free memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Recover {
    /// The call fails and says how to recreate the draft.
    #[default]
    Ask,
    /// The draft is recreated from the journal, and the call is applied to the new one.
    Auto,
}

/// Which tools clients see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    /// All except the long lists of names, for which `search_catalog` is the better tool.
    #[default]
    Default,
    Full,
}

impl BackendChoice {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Remote, Self::Embedded];

    /// `auto`, `remote` or `embedded`, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Remote => "remote",
            Self::Embedded => "embedded",
        }
    }
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.name() == text)
            .ok_or_else(|| format!("{text:?} is not a backend: use `auto`, `remote` or `embedded`"))
    }
}

impl Recover {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Auto => "auto",
        }
    }
}

impl FromStr for Recover {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ask" => Ok(Self::Ask),
            "auto" => Ok(Self::Auto),
            _ => Err(format!(
                "{text:?} is not a recovery mode: use `ask` or `auto`"
            )),
        }
    }
}

impl FromStr for ToolChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "full" => Ok(Self::Full),
            _ => Err(format!(
                "{text:?} is not a set of tools: use `default` or `full`"
            )),
        }
    }
}
