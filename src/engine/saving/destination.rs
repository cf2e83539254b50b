//! Where a draft is saved, and the machine whose paths are written into it.

use std::path::{Path, PathBuf};

use super::SaveWish;
use crate::caller::{Caller, Manner};
use crate::engine::package;
use crate::engine::profile::{AppOs, own_os};
use crate::engine::{Engine, registry};
use crate::error::{Error, Result};
use crate::settings::Os;
use crate::units::Edition;

/// Where the folder is created, and the machine whose paths are written into it.
pub(super) struct SaveDestination {
    pub drafts: PathBuf,
    pub target: Option<package::TargetMachine>,
    pub note: Option<String>,
}

impl Engine {
    pub(super) fn place(
        &self,
        edition: Edition,
        wish: &SaveWish,
        folder: Option<&str>,
        caller: &Caller,
    ) -> Result<SaveDestination> {
        // A caller of the API may give the folder of any machine.
        if let Some(folder) = folder.filter(|_| caller.manner == Manner::Strict) {
            check_parent(folder)?;
        }
        if wish.portable || wish.target_os.is_some() || wish.target_folder.is_some() {
            let os = wish.target_os.unwrap_or_else(|| {
                wish.target_folder
                    .as_deref()
                    .map_or_else(own_os, os_of_folder)
            });
            let (drafts, note) = match folder {
                Some(folder) if may_write(Path::new(folder), caller) => {
                    (PathBuf::from(folder), None)
                }
                Some(folder) => {
                    let own = self.own_folder()?;
                    let note = unwritten(folder, &own);
                    (own, Some(note))
                }
                None => (self.own_folder()?, None),
            };
            return Ok(SaveDestination {
                drafts,
                target: Some(package::TargetMachine {
                    os,
                    folder: wish.target_folder.clone(),
                }),
                note,
            });
        }
        if let Some(folder) = folder {
            let path = Path::new(folder);
            if may_write(path, caller) {
                return Ok(SaveDestination {
                    drafts: path.to_owned(),
                    target: None,
                    note: None,
                });
            }
            let drafts = self.own_folder()?;
            let note = format!(
                "{}; the paths in the draft begin with {folder}",
                unwritten(folder, &drafts)
            );
            return Ok(SaveDestination {
                drafts,
                target: Some(package::TargetMachine {
                    os: os_of_folder(folder),
                    folder: Some(folder.to_owned()),
                }),
                note: Some(note),
            });
        }
        if wish.own_folder {
            return Ok(SaveDestination {
                drafts: self.own_folder()?,
                target: None,
                note: None,
            });
        }
        if let Some(drafts) = registry::find(self.dirs(edition)) {
            return Ok(SaveDestination {
                drafts,
                target: None,
                note: None,
            });
        }
        let drafts = self.own_folder()?;
        let note = format!(
            "{} was not found on this machine, so the draft is in {}; if the app is installed here, save again with its drafts folder as `draft_folder`",
            edition.app(),
            drafts.display()
        );
        Ok(SaveDestination {
            drafts,
            target: Some(package::TargetMachine {
                os: own_os(),
                folder: None,
            }),
            note: Some(note),
        })
    }

    /// Where the app of this edition may have its drafts folder.
    pub(super) fn dirs(&self, edition: Edition) -> &[PathBuf] {
        match edition {
            Edition::Capcut => &self.options.capcut_dirs,
            Edition::Jianying => &self.options.jianying_dirs,
        }
    }

    /// Whether an app on this machine keeps its drafts in this folder.
    pub(crate) fn is_apps_folder(&self, folder: &Path) -> bool {
        let apps = [&self.options.capcut_dirs, &self.options.jianying_dirs];
        let mut found = apps.into_iter().filter_map(|dirs| registry::find(dirs));
        found.any(|drafts| drafts == folder)
    }

    /// The folder for drafts that no app on this machine would find.
    fn own_folder(&self) -> Result<PathBuf> {
        Ok(self.data_dir()?.join("drafts"))
    }

    pub(super) fn data_dir(&self) -> Result<&Path> {
        let data = self.options.data_dir.as_deref();
        data.ok_or_else(crate::settings::no_home)
    }
}

/// Whether a folder is on this machine and this caller may save drafts into it.
pub(super) fn may_write(folder: &Path, caller: &Caller) -> bool {
    folder.is_absolute()
        && (folder.is_dir() || folder.parent().is_some_and(Path::is_dir))
        && caller.access.may_write(folder).is_ok()
}

fn unwritten(folder: &str, drafts: &Path) -> String {
    format!(
        "`draft_folder`: {folder} is not a folder that this program may write to (a server allows folders with `--allow-dir`): the draft is in {}",
        drafts.display()
    )
}

/// The folder itself is created, but not its parents: they may be missing by mistake, or be on a disk that is
/// not mounted. A folder that clearly belongs to another machine is accepted.
fn check_parent(folder: &str) -> Result<()> {
    let path = Path::new(folder);
    let exists = path.is_dir() || path.parent().is_none_or(Path::is_dir);
    if exists || !path.is_absolute() || is_elsewhere(folder, Os::current()) {
        return Ok(());
    }
    let above = path
        .ancestors()
        .skip(1)
        .take_while(|above| !above.is_dir())
        .last()
        .unwrap_or(path);
    Err(Error::invalid(format!(
        "`draft_folder`: {folder} cannot be created, as {} does not exist",
        above.display()
    ))
    .hint("create that folder or correct the path; for a draft to be opened on another machine, give its folder as `target_folder`"))
}

/// Whether a path has the syntax of another system than `here`. Neither app runs on Linux, where the home
/// folders and volumes of macOS do not exist.
fn is_elsewhere(folder: &str, here: Os) -> bool {
    let is_windows = os_of_folder(folder) == AppOs::Windows;
    match here {
        Os::Windows => !is_windows && folder.starts_with('/'),
        Os::MacOs => is_windows,
        Os::Linux => is_windows || folder.starts_with("/Users/") || folder.starts_with("/Volumes/"),
    }
}

/// Drive letters and backslashes mean Windows.
pub(crate) fn os_of_folder(folder: &str) -> AppOs {
    let drive = matches!(folder.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if drive || folder.contains('\\') {
        AppOs::Windows
    } else {
        AppOs::Macos
    }
}
