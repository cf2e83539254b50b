//! The names of files and folders that each system accepts, as pure functions: all of them are tested on each system.

use std::collections::HashMap;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::settings::Os;

/// Maximum length of a name: 255 UTF-16 units on Windows and macOS, 255 bytes on Linux.
const NAME: usize = 255;
/// Maximum length of a path that programs on Windows open by default: 260 UTF-16 units including the NUL.
const WINDOWS_PATH: usize = 259;
/// Maximum length of a path on macOS (1,024) and Linux (4,096), in bytes including the NUL.
const MACOS_PATH: usize = 1_023;
const LINUX_PATH: usize = 4_095;
/// Characters that no name may have on Windows, in addition to control characters.
const WINDOWS_FORBIDDEN: &[char] = &['<', '>', ':', '"', '|', '?', '*', '\\'];
/// Names of devices on Windows, with any extension. The superscript digits count as 1, 2 and 3 there.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// Why this system has no file with this path below `folder`; the path has `/` between its parts.
pub(crate) fn fault(os: Os, folder: &str, path: &str) -> Option<String> {
    let part = path.split('/').find_map(|part| fault_of_part(os, part));
    let whole = format!("{folder}/{path}");
    let (length, most, unit) = match os {
        Os::Windows => (whole.encode_utf16().count(), WINDOWS_PATH, "characters"),
        Os::MacOs => (whole.len(), MACOS_PATH, "bytes"),
        Os::Linux => (whole.len(), LINUX_PATH, "bytes"),
    };
    part.or_else(|| {
        (length > most)
            .then(|| format!("its path there has {length} {unit}, but {os} opens at most {most}"))
    })
}

fn fault_of_part(os: Os, part: &str) -> Option<String> {
    if part.is_empty() || part == "." || part == ".." {
        return Some("it has an empty part, `.` or `..`".to_owned());
    }
    if part.contains('\0') {
        return Some("it has a NUL character".to_owned());
    }
    let length = match os {
        Os::Windows | Os::MacOs => part.encode_utf16().count(),
        Os::Linux => part.len(),
    };
    if length > NAME {
        return Some(format!(
            "a name in it is {length} long, but {os} has names of at most {NAME}"
        ));
    }
    match os {
        Os::Windows => fault_on_windows(part),
        // The Finder shows it as `/`, but the file system accepts it only from programs that write `:` for `/`.
        Os::MacOs => part
            .contains(':')
            .then(|| "macOS has no names with `:`".to_owned()),
        Os::Linux => None,
    }
}

fn fault_on_windows(part: &str) -> Option<String> {
    if let Some(c) = part
        .chars()
        .find(|c| WINDOWS_FORBIDDEN.contains(c) || u32::from(*c) < 32)
    {
        return Some(format!("Windows has no names with {c:?}"));
    }
    if part.ends_with(['.', ' ']) {
        return Some("Windows has no names that end with a dot or a space".to_owned());
    }
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    is_device(stem).then(|| format!("Windows reserves the name `{stem}` for a device"))
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_lowercase();
    let numbered = ["com", "lpt"].iter().any(|kind| {
        let number = stem.strip_prefix(kind).unwrap_or_default();
        matches!(
            number,
            "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
        )
    });
    numbered || DEVICES.contains(&&*stem)
}

/// A text that is equal for paths of the same file: Windows and macOS do not distinguish case, and macOS does not
/// distinguish composed and decomposed letters.
pub(crate) fn key(os: Os, path: &str) -> String {
    let composed = || {
        ComposingNormalizerBorrowed::new_nfc()
            .normalize(path)
            .into_owned()
    };
    match os {
        Os::Linux => path.to_owned(),
        Os::Windows => path.to_lowercase(),
        Os::MacOs => composed().to_lowercase(),
    }
}

/// The composed form (NFC) of a name: macOS lists names in the form in which they were written, often decomposed, while
/// documents have the composed form.
pub(crate) fn composed(name: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(name)
        .into_owned()
}

/// Two of these paths that are the same file on a system. A file with the path of a folder of another one counts too.
pub(crate) fn clash<'a>(
    os: Os,
    paths: impl IntoIterator<Item = &'a str>,
) -> Option<(&'a str, &'a str)> {
    let mut files: HashMap<String, &str> = HashMap::new();
    let mut folders: HashMap<String, &str> = HashMap::new();
    for path in paths {
        let own = key(os, path);
        if let Some(other) = folders.get(&own) {
            return Some((other, path));
        }
        for (end, _) in own.match_indices('/') {
            if let Some(other) = files.get(&own[..end]) {
                return Some((other, path));
            }
            folders.insert(own[..end].to_owned(), path);
        }
        if let Some(other) = files.insert(own, path) {
            return Some((other, path));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    use Os::{Linux, MacOs, Windows};

    const ALL: [Os; 3] = [Linux, MacOs, Windows];

    fn accepted(path: &str) -> Vec<Os> {
        let is_accepted = |os: &Os| fault(*os, "/drafts", path).is_none();
        ALL.into_iter().filter(is_accepted).collect()
    }

    #[test]
    fn names_are_accepted_by_the_systems_that_have_them() {
        for path in [
            "assets/video/clip 一.mp4",
            "a/b.c.d/ü",
            ".capcut",
            "console",
            "com10.txt",
            "com",
            "nulls.mp4",
            "日本語/😀.png",
            " leading",
        ] {
            assert_eq!(accepted(path), ALL, "{path}");
        }
        for path in [
            "a?b", "a*b", "a<b", "a>b", "a|b", "a\"b", "a\\b", "a\tb", "ends.", "ends ", "dir./x",
            "CON", "con.txt", "x/NUL", "Com1.mp4", "lpt9", "COM²", "aux .txt", "CONOUT$",
        ] {
            assert_eq!(accepted(path), [Linux, MacOs], "{path}");
        }
        assert_eq!(accepted("a:b"), [Linux]);
        for path in [
            "", "a//b", "a/", "/a", "../a", "a/../b", "./a", "a/.", "a\0b",
        ] {
            assert_eq!(accepted(path), [], "{path:?}");
        }
    }

    #[test]
    fn lengths_are_counted_as_each_system_does() {
        // 3 bytes, 1 unit; 4 bytes, 2 units.
        assert_eq!(accepted(&"视".repeat(85)), ALL);
        assert_eq!(accepted(&"视".repeat(86)), [MacOs, Windows]);
        assert_eq!(accepted(&"a".repeat(256)), []);
        assert_eq!(accepted(&"😀".repeat(63)), ALL);
        // The whole path is too long for Windows.
        assert_eq!(accepted(&"😀".repeat(127)), [MacOs]);
        assert_eq!(accepted(&"😀".repeat(128)), []);
        let deep = vec!["a".repeat(100); 3].join("/");
        assert_eq!(accepted(&deep), [Linux, MacOs]);
        let deep = vec!["a".repeat(100); 12].join("/");
        assert_eq!(accepted(&deep), [Linux]);
        assert!(fault(Windows, &"d".repeat(250), "assets/a.mp4").is_some());
        assert!(fault(Windows, r"C:\d", "assets/a.mp4").is_none());
    }

    #[test]
    fn paths_of_the_same_file_clash() {
        let clashes = |paths: &[&str]| -> Vec<Os> {
            let has = |os: &Os| clash(*os, paths.iter().copied()).is_some();
            ALL.into_iter().filter(has).collect()
        };
        assert_eq!(clashes(&["a", "b", "a/b"]), ALL, "a file and a folder");
        assert_eq!(clashes(&["x/y", "x"]), ALL);
        assert_eq!(clashes(&["a", "a"]), ALL);
        assert_eq!(clashes(&["Clip.mp4", "clip.MP4"]), [MacOs, Windows]);
        assert_eq!(clashes(&["A/x", "a/y"]), []);
        assert_eq!(clashes(&["A/x", "a"]), [MacOs, Windows]);
        assert_eq!(clashes(&["É.mp4", "é.mp4"]), [MacOs, Windows]);
        assert_eq!(clashes(&["\u{e9}.mp4", "e\u{301}.mp4"]), [MacOs]);
        assert_eq!(clashes(&["a.mp4", "b.mp4", "c/a.mp4"]), []);
        assert_eq!(composed("e\u{301}"), "\u{e9}");
    }
}
