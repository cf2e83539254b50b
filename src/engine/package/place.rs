//! Where a draft is saved, and for which machine: from what the caller said and what is there.

use std::path::{Path, PathBuf};

use super::Target;
use super::name::target_folder;
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry;
use crate::error::Result;
use crate::units::Edition;

/// What a caller says of the place.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    /// The folder of drafts to write into, as it was given.
    pub draft_folder: Option<&'a str>,
    /// That folder of this machine may be written; over HTTP only what the operator allowed may.
    pub allowed: bool,
    /// Another machine, said outright.
    pub target_os: Option<AppOs>,
    pub target_folder: Option<&'a str>,
    /// Where the app of this machine keeps its drafts, likeliest first (`Settings::drafts_dirs`).
    pub defaults: &'a [PathBuf],
    /// Where drafts go that have no other place.
    pub data_dir: &'a Path,
}

/// Where to write, and what to say about it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub drafts: PathBuf,
    pub target: Option<Target>,
    pub notes: Vec<String>,
}

/// Decides where a draft is written.
pub(crate) fn place(wish: &Wish<'_>) -> Result<Place> {
    let own = wish.data_dir.join("drafts");
    let mut notes = Vec::new();
    if wish.target_os.is_some() || wish.target_folder.is_some() {
        let folder = wish.target_folder.map(str::to_owned);
        let os = wish
            .target_os
            .or_else(|| folder.as_deref().and_then(system_of))
            .unwrap_or(AppOs::Windows);
        if let Some(folder) = &folder {
            target_folder(os, folder)?;
        }
        let drafts = match wish.draft_folder.filter(|_| wish.allowed) {
            Some(folder) if is_here(Path::new(folder)) => PathBuf::from(folder),
            _ => own,
        };
        let target = Some(Target { os, folder });
        return Ok(Place {
            drafts,
            target,
            notes,
        });
    }
    if let Some(given) = wish
        .draft_folder
        .map(str::trim)
        .filter(|given| !given.is_empty())
    {
        let folder = Path::new(given);
        if wish.allowed && folder.is_absolute() && is_here(folder) {
            return Ok(Place {
                drafts: folder.to_owned(),
                target: None,
                notes,
            });
        }
        if let Some(os) = system_of(given).filter(|os| target_folder(*os, given).is_ok()) {
            notes.push(format!(
                "`draft_folder` is no folder of this machine that may be written: the paths in the draft are those of \"{given}\", its files are here"
            ));
            return Ok(Place {
                drafts: own,
                target: Some(Target {
                    os,
                    folder: Some(given.to_owned()),
                }),
                notes,
            });
        }
        notes.push(format!(
            "`draft_folder` \"{given}\" does not exist or may not be written, and is no whole path of a system of the app; the draft is here instead"
        ));
        return Ok(Place {
            drafts: own,
            target: None,
            notes,
        });
    }
    if let Some(drafts) = registry::find(wish.defaults) {
        return Ok(Place {
            drafts,
            target: None,
            notes,
        });
    }
    notes.push(if cfg!(target_os = "linux") {
        "the app does not exist for Linux: the draft is in the data folder".to_owned()
    } else {
        "no drafts folder of the app was found: the draft is in the data folder".to_owned()
    });
    Ok(Place {
        drafts: own,
        target: None,
        notes,
    })
}

/// The profile to write for: the named one, the one of the named version, the one learnt from the
/// drafts that the app saved, or the built-in one.
pub(crate) fn profile(
    edition: Edition,
    named: Option<&str>,
    app_version: Option<&str>,
    place: &Place,
    defaults: &[PathBuf],
) -> Result<Profile> {
    let target_os = place.target.as_ref().map(|target| target.os);
    let os = target_os.unwrap_or(if cfg!(target_os = "macos") {
        AppOs::Macos
    } else {
        AppOs::Windows
    });
    if let Some(name) = named {
        return Profile::named(name, os);
    }
    if let Some(version) = app_version {
        return Profile::for_version(edition, os, version);
    }
    let learnt = std::iter::once(&place.drafts)
        .chain(defaults)
        .find_map(|drafts| Profile::learn(drafts, edition))
        // What is learnt here holds for another machine only if that has the same system.
        .filter(|learnt| target_os.is_none_or(|os| os == learnt.os));
    Ok(learnt.unwrap_or_else(|| Profile::built_in(edition, os)))
}

/// Exists, or could be made in a folder that does.
fn is_here(folder: &Path) -> bool {
    folder.is_dir()
        || folder
            .parent()
            .is_some_and(|parent| parent != Path::new("/") && parent.is_dir())
}

/// The system that a path looks like.
fn system_of(path: &str) -> Option<AppOs> {
    let bytes = path.trim().as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'/' | b'\\');
    if drive || bytes.starts_with(b"\\\\") || bytes.starts_with(b"//") {
        Some(AppOs::Windows)
    } else if bytes.first() == Some(&b'/') {
        Some(AppOs::Macos)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish<'a>(
        data_dir: &'a Path,
        defaults: &'a [PathBuf],
        draft_folder: Option<&'a str>,
    ) -> Wish<'a> {
        Wish {
            draft_folder,
            allowed: true,
            target_os: None,
            target_folder: None,
            defaults,
            data_dir,
        }
    }

    #[test]
    fn without_a_folder_the_draft_goes_where_the_app_looks_or_into_the_data_folder() {
        let data = tempfile::tempdir().unwrap();
        let app = data.path().join("com.lveditor.draft");
        let defaults = [app.clone()];
        let none = place(&wish(data.path(), &defaults, None)).unwrap();
        assert_eq!(none.drafts, data.path().join("drafts"));
        assert!(none.notes[0].contains("data folder"));
        std::fs::create_dir(&app).unwrap();
        let found = place(&wish(data.path(), &defaults, None)).unwrap();
        assert_eq!((found.drafts, found.notes.len()), (app, 0));
    }

    #[test]
    fn a_folder_of_this_machine_is_written_into_and_any_other_gives_only_the_paths() {
        let data = tempfile::tempdir().unwrap();
        let new = data.path().join("new drafts");
        let new = new.to_str().unwrap();
        let here = place(&wish(data.path(), &[], Some(new))).unwrap();
        assert_eq!(here.drafts, Path::new(new));
        assert!(here.target.is_none());
        let denied = place(&Wish {
            allowed: false,
            ..wish(data.path(), &[], Some(new))
        })
        .unwrap();
        assert_eq!(denied.drafts, data.path().join("drafts"));
        for (given, os) in [
            (r"C:\Users\我\CapCut Drafts", AppOs::Windows),
            (r"\\nas\share\drafts", AppOs::Windows),
            ("/Users/nobody here/Movies/CapCut Drafts", AppOs::Macos),
        ] {
            let other = place(&wish(data.path(), &[], Some(given))).unwrap();
            let target = other.target.unwrap();
            assert_eq!((target.os, target.folder.as_deref()), (os, Some(given)));
            assert_eq!(other.drafts, data.path().join("drafts"));
            assert!(other.notes[0].contains(given), "{:?}", other.notes);
        }
        let odd = place(&wish(data.path(), &[], Some("drafts/here"))).unwrap();
        assert!(odd.target.is_none() && odd.notes[0].contains("drafts/here"));
    }

    #[test]
    fn another_machine_is_told_by_its_system_or_its_folder() {
        let data = tempfile::tempdir().unwrap();
        let check = |os, folder, expected| {
            let wish = Wish {
                target_os: os,
                target_folder: folder,
                ..wish(data.path(), &[], None)
            };
            assert_eq!(place(&wish).unwrap().target.unwrap().os, expected);
        };
        check(Some(AppOs::Macos), None, AppOs::Macos);
        check(None, Some("/Users/me/Movies"), AppOs::Macos);
        check(None, Some("D:/drafts"), AppOs::Windows);
        let wrong = Wish {
            target_os: Some(AppOs::Windows),
            target_folder: Some("/Users/me"),
            ..wish(data.path(), &[], None)
        };
        assert!(place(&wrong).is_err());
    }
}
