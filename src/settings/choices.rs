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

/// Which tools clients see and can call, in the words of the user; `mcp` reads the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolChoice {
    /// Names of profiles and tools, separated by commas. `None`: clients see the default profile, and can also call the
    /// other tools by name.
    pub tools: Option<String>,
    /// Names of tools and profiles that are left out.
    pub exclude: Option<String>,
    /// Whether tools that change something are left out.
    pub read_only: bool,
}

/// The part of a [`ToolChoice`] that the command line sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolsGiven {
    pub tools: Option<String>,
    pub exclude: Option<String>,
    pub read_only: Option<bool>,
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
