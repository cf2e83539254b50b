//! Where the three systems keep fonts.

use std::ffi::OsString;
use std::path::PathBuf;

/// The systems whose folders are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Also the BSDs.
    Linux,
    MacOs,
    Windows,
}

impl OperatingSystem {
    pub const fn current() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

/// The folders that may have fonts, the user's own first. `variable` reads an environment variable.
pub fn font_folders(
    system: OperatingSystem,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<PathBuf> {
    let folder = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let mut folders = Vec::new();
    match system {
        OperatingSystem::Linux => {
            let home = folder("HOME");
            let data = folder("XDG_DATA_HOME")
                .or_else(|| home.as_ref().map(|home| home.join(".local/share")));
            folders.extend(data.map(|data| data.join("fonts")));
            folders.extend(home.map(|home| home.join(".fonts")));
            let shared = variable("XDG_DATA_DIRS").filter(|value| !value.is_empty());
            // Not `split_paths`: the separator is that of the system asked for.
            let shared = shared.map(|value| value.to_string_lossy().into_owned());
            let shared = shared.as_deref().unwrap_or("/usr/local/share:/usr/share");
            let shared = shared.split(':').filter(|path| path.starts_with('/'));
            folders.extend(shared.map(|path| PathBuf::from(path).join("fonts")));
            // The variable may leave them out, as in some containers and on NixOS.
            folders.extend(
                [
                    "/usr/local/share/fonts",
                    "/usr/share/fonts",
                    "/run/current-system/sw/share/X11/fonts",
                ]
                .map(PathBuf::from),
            );
        }
        OperatingSystem::MacOs => {
            folders.extend(folder("HOME").map(|home| home.join("Library/Fonts")));
            folders.extend(
                [
                    "/Library/Fonts",
                    "/System/Library/Fonts",
                    "/System/Library/Fonts/Supplemental",
                    "/Network/Library/Fonts",
                ]
                .map(PathBuf::from),
            );
            // Fonts that the system loads on demand, such as PingFang since macOS 15.
            folders.push("/System/Library/AssetsV2".into());
        }
        OperatingSystem::Windows => {
            let join = |base: PathBuf, parts: &str| {
                let base = base.to_string_lossy().into_owned();
                PathBuf::from(format!("{}\\{parts}", base.trim_end_matches('\\')))
            };
            let own = folder("LOCALAPPDATA");
            folders.extend(own.map(|base| join(base, "Microsoft\\Windows\\Fonts")));
            let windows = folder("WINDIR").or_else(|| folder("SystemRoot"));
            let windows = windows.unwrap_or_else(|| "C:\\Windows".into());
            folders.push(join(windows, "Fonts"));
        }
    }
    let mut seen = Vec::new();
    folders.retain(|folder| {
        let is_new = !seen.contains(folder);
        seen.push(folder.clone());
        is_new
    });
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(system: OperatingSystem, variables: &[(&str, &str)]) -> Vec<String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(found.1))
        };
        font_folders(system, find)
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn linux_has_the_folders_of_the_user_and_of_xdg() {
        let all = folders(OperatingSystem::Linux, &[("HOME", "/home/a")]);
        assert_eq!(
            all,
            [
                "/home/a/.local/share/fonts",
                "/home/a/.fonts",
                "/usr/local/share/fonts",
                "/usr/share/fonts",
                "/run/current-system/sw/share/X11/fonts",
            ]
        );
        let all = folders(
            OperatingSystem::Linux,
            &[
                ("HOME", "/home/a"),
                ("XDG_DATA_HOME", "/d"),
                ("XDG_DATA_DIRS", "/x:relative:/usr/share"),
            ],
        );
        assert_eq!(all[0], "/d/fonts");
        assert!(all.contains(&"/x/fonts".to_owned()));
        assert!(!all.iter().any(|path| path.contains("relative")), "{all:?}");
        let usual = all.iter().filter(|path| *path == "/usr/share/fonts");
        assert_eq!(usual.count(), 1);
        assert!(!folders(OperatingSystem::Linux, &[]).is_empty());
    }

    #[test]
    fn macos_has_supplemental_and_own_fonts() {
        let all = folders(OperatingSystem::MacOs, &[("HOME", "/Users/a")]);
        assert_eq!(all[0], "/Users/a/Library/Fonts");
        for folder in [
            "/System/Library/Fonts",
            "/System/Library/Fonts/Supplemental",
            "/Library/Fonts",
        ] {
            assert!(all.contains(&folder.to_owned()), "{folder}: {all:?}");
        }
    }

    #[test]
    fn windows_has_the_fonts_of_system_and_user() {
        let all = folders(
            OperatingSystem::Windows,
            &[
                ("WINDIR", "D:\\Windows\\"),
                ("LOCALAPPDATA", "D:\\Users\\a\\AppData\\Local"),
            ],
        );
        assert_eq!(
            all,
            [
                "D:\\Users\\a\\AppData\\Local\\Microsoft\\Windows\\Fonts",
                "D:\\Windows\\Fonts"
            ]
        );
        assert_eq!(
            folders(OperatingSystem::Windows, &[]),
            ["C:\\Windows\\Fonts"]
        );
    }
}
