//! Paths in drafts: of this or another machine, inside or outside the draft.

use std::path::{Path, PathBuf};

/// The placeholder for the draft's own folder in paths of the timeline; it is the same in all versions of the app.
pub(crate) const TOKEN: &str = "##_draftpath_placeholder_0E685133-18CE-45ED-8CB8-2904A212EC80_##";

/// The path with `/` as the only separator, and without trailing separators.
pub(crate) fn plain(path: &str) -> String {
    path.replace('\\', "/").trim_end_matches('/').to_owned()
}

/// Whether a path in a document is the same as this path of this machine.
pub(crate) fn same(told: &str, path: &Path) -> bool {
    plain(told) == plain(&path.to_string_lossy())
}

/// Removes `\\?\`: Windows returns canonical paths as `\\?\C:\…`, a form that the app does not know.
pub(crate) fn without_verbatim(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix(r"\\?\")) {
        Some(plain) if plain.as_bytes().get(1) == Some(&b':') => PathBuf::from(plain),
        _ => path,
    }
}

/// Whether it is a Windows path: `C:\…`, `C:/…`, `\\server\share`, or `//server/share` as the app writes it.
pub(crate) fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with("\\\\")
        || path.starts_with("//")
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'/' | b'\\'))
}

/// Whether a path can only belong to another operating system.
pub(crate) fn is_foreign(path: &str) -> bool {
    if cfg!(windows) {
        path.starts_with('/') && !path.starts_with("//")
    } else {
        // Only macOS has user folders there.
        is_windows(path)
            || (path.starts_with("/Users/")
                && !cfg!(target_os = "macos")
                && !Path::new("/Users").is_dir())
    }
}

/// The part of `path` inside `folder`, both in the notation of documents.
pub(crate) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return None;
    }
    path.strip_prefix(folder)?
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty() && !rest.split('/').any(|part| part == ".."))
}

/// The file that a path in a document means on this machine, whether it exists or not; `None` if it is on another
/// machine. `folder` is the draft's own folder.
pub(crate) fn located(path: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let text = plain(path);
    let own = below(&text, TOKEN).or_else(|| below(&text, "."));
    let file = match (own, folder) {
        (Some(inside), Some(folder)) => folder.join(inside),
        (Some(_), None) => return None,
        (None, _) => PathBuf::from(path),
    };
    (file.is_absolute() && !is_foreign(path)).then_some(file)
}

/// The last part of a path of any system.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_matches_whole_components_and_rejects_parent_components() {
        assert_eq!(below("/d/one/a.mp4", "/d/one"), Some("a.mp4"));
        assert_eq!(below("/d/one-more/a.mp4", "/d/one"), None);
        assert_eq!(below("./../x", "."), None);
        assert_eq!(below("/a", ""), None);
    }

    #[test]
    fn windows_paths_are_recognised_by_drive_or_server() {
        assert!(is_windows(r"C:\Users\me") && is_windows("d:/x") && is_windows(r"\\nas\media"));
        assert!(is_windows("//nas/media") && is_foreign("//nas/media") != cfg!(windows));
        assert!(!is_windows("/home/c:/x") && !is_windows("c:x"));
        assert_eq!(file_name(r"C:\a b\图片.png"), "图片.png");
    }
}
