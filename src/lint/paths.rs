//! Paths as drafts have them: of this machine or another, inside the draft or elsewhere.

use std::path::{Path, PathBuf};

/// What stands in paths of the timeline for the draft's own folder, in all versions of the app.
pub(crate) const TOKEN: &str = "##_draftpath_placeholder_0E685133-18CE-45ED-8CB8-2904A212EC80_##";

/// A path with `/` only and none at its end.
pub(crate) fn plain(path: &str) -> String {
    path.replace('\\', "/").trim_end_matches('/').to_owned()
}

/// Whether a path in a document means this path of this machine.
pub(crate) fn same(told: &str, path: &Path) -> bool {
    plain(told) == plain(&path.to_string_lossy())
}

/// Windows answers `\\?\C:\…` for a path without links; the app does not know that form.
pub(crate) fn without_verbatim(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix(r"\\?\")) {
        Some(plain) if plain.as_bytes().get(1) == Some(&b':') => PathBuf::from(plain),
        _ => path,
    }
}

/// `C:\…`, `C:/…`, `\\server\share` or `//server/share`.
pub(crate) fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with("\\\\")
        || path.starts_with("//")
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'/' | b'\\'))
}

/// A path that can only be of another system than this one.
pub(crate) fn is_foreign(path: &str) -> bool {
    if cfg!(windows) {
        path.starts_with('/') && !path.starts_with("//")
    } else {
        // Only macOS has its users there.
        is_windows(path)
            || (path.starts_with("/Users/")
                && !cfg!(target_os = "macos")
                && !Path::new("/Users").is_dir())
    }
}

/// The part of `path` below `folder`, both as documents write them.
pub(crate) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return None;
    }
    path.strip_prefix(folder)?
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty() && !rest.split('/').any(|part| part == ".."))
}

/// The last part of a path of any system.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_folder_is_found_whole_parts_only_and_never_upwards() {
        assert_eq!(below("/d/one/a.mp4", "/d/one"), Some("a.mp4"));
        assert_eq!(below("/d/one-more/a.mp4", "/d/one"), None);
        assert_eq!(below("./../x", "."), None);
        assert_eq!(below("/a", ""), None);
    }

    #[test]
    fn paths_of_windows_are_known_by_drive_or_server() {
        assert!(is_windows(r"C:\Users\me") && is_windows("d:/x") && is_windows(r"\\nas\media"));
        assert!(is_windows("//nas/media") && is_foreign("//nas/media") != cfg!(windows));
        assert!(!is_windows("/home/c:/x") && !is_windows("c:x"));
        assert_eq!(file_name(r"C:\a b\图片.png"), "图片.png");
    }
}
