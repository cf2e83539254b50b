//! Values that carry their unit in their type.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A time or a length in whole microseconds, the unit of every time in a draft.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct Micros(pub i64);

impl Micros {
    pub(crate) const ZERO: Self = Self(0);

    /// Seconds to microseconds, rounded half to even as the reference API does (recordings in `tests/golden`).
    pub(crate) fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e6).round_ties_even() as i64)
    }

    /// Seconds to microseconds, truncated: the API reads durations of transitions, animations and materials, and
    /// keyframe times, in this way.
    pub(crate) fn from_seconds_truncated(seconds: f64) -> Self {
        Self((seconds * 1e6) as i64)
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Seconds for people: `1.5 s`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.seconds())
    }
}

impl Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// A time range: start and length, as the draft stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub start: Micros,
    pub duration: Micros,
}

impl Range {
    pub(crate) fn new(start: Micros, duration: Micros) -> Self {
        Self { start, duration }
    }

    pub(crate) fn end(self) -> Micros {
        self.start + self.duration
    }

    /// The API's rule: ranges that touch do not overlap, and neither do two empty ranges at the same time.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        !(self.end() <= other.start || other.end() <= self.start)
    }
}

/// The app that a draft is for: names and ids of effects differ between the two apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Edition {
    #[default]
    Capcut,
    Jianying,
}

impl Edition {
    /// The app whose drafts a path belongs to, if its folder names show this.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        path.split(['/', '\\']).find_map(|part| match part {
            "JianyingPro" | "JianyingPro Drafts" | "com.lemon.lvpro" => Some(Self::Jianying),
            "CapCut" | "CapCut Drafts" | "com.lemon.lvoverseas" => Some(Self::Capcut),
            _ => None,
        })
    }

    pub(crate) const ALL: [Self; 2] = [Self::Capcut, Self::Jianying];

    /// `capcut` or `jianying`, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Capcut => "capcut",
            Self::Jianying => "jianying",
        }
    }

    /// The app's name for users.
    pub(crate) fn app(self) -> &'static str {
        match self {
            Self::Capcut => "CapCut",
            Self::Jianying => "JianYing",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Capcut => Self::Jianying,
            Self::Jianying => Self::Capcut,
        }
    }
}

impl std::str::FromStr for Edition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|edition| edition.name() == text)
            .ok_or_else(|| format!("{text:?} is not an edition: use `capcut` or `jianying`"))
    }
}
