//! The operating system, as a value: paths of each can be tested on all.

use std::fmt::Display;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the name of the system is macOS")]
pub(crate) enum Os {
    Linux,
    MacOs,
    Windows,
}

impl Os {
    /// The system that this process runs on. Other Unix systems count as Linux.
    pub(crate) fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }

    /// The folder of a file.
    pub(crate) fn parent(self, path: &Path) -> PathBuf {
        let separators: &[char] = match self {
            Self::Linux | Self::MacOs => &['/'],
            Self::Windows => &['/', '\\'],
        };
        let text = path.to_string_lossy();
        text.rfind(separators)
            .map_or_else(PathBuf::new, |at| text[..at.max(1)].into())
    }

    /// `base` joined with the names, with this system's separator.
    pub(crate) fn join(self, base: &Path, names: &[&str]) -> PathBuf {
        let separator = match self {
            Self::Linux | Self::MacOs => "/",
            Self::Windows => "\\",
        };
        let mut path = base.as_os_str().to_owned();
        for name in names {
            let end = path.to_string_lossy();
            if !(end.ends_with(separator) || end.ends_with('/')) {
                path.push(separator);
            }
            path.push(name);
        }
        path.into()
    }
}

impl Display for Os {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::MacOs => "macOS",
            Self::Windows => "Windows",
        })
    }
}
