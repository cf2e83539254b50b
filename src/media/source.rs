//! The three kinds of media source: a web address, a `file://` address, an absolute path.

use std::path::{Path, PathBuf};

use reqwest::Url;

use crate::error::{Error, Result};
use crate::secrets;

/// A usable source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MediaSource {
    Http(Url),
    File(PathBuf),
}

/// Maximum bytes of a web address: signed ones have some thousand.
const LONGEST: usize = 16 << 10;

impl MediaSource {
    pub(crate) fn parse(source: &str) -> Result<Self> {
        let text = source.trim();
        if text.is_empty() {
            return Err(Error::invalid("the media source is empty")
                .hint("give an http(s) or file:// address, or an absolute path"));
        }
        if text.contains('\0') {
            return Err(Error::invalid(format!(
                "{} contains a NUL character",
                shown(text)
            )));
        }
        let path = Path::new(text);
        if path.is_absolute() {
            return Ok(Self::File(path.to_owned()));
        }
        if is_windows_path(text) {
            return Err(Error::invalid(format!(
                "{} is a Windows path, and this machine does not run Windows",
                shown(text)
            ))
            .hint("give a path on this machine, or an http(s) address"));
        }
        match scheme(text).as_deref() {
            Some("http" | "https") => http(text),
            Some("file") => file(text),
            Some(scheme) => Err(Error::invalid(format!(
                "{}: `{scheme}` addresses cannot be read",
                shown(text)
            ))
            .hint("give an http(s) or file:// address, or an absolute path")),
            None => Err(relative(text)),
        }
    }
}

fn http(text: &str) -> Result<MediaSource> {
    if text.len() > LONGEST {
        return Err(Error::invalid(format!(
            "{} is {} bytes long; the limit is {LONGEST} bytes",
            shown(text),
            text.len()
        )));
    }
    // Parsing encodes spaces and non-ASCII characters as browsers do.
    let url = Url::parse(text).map_err(|error| {
        Error::invalid(format!("{} is not a valid address", shown(text))).source(error)
    })?;
    Ok(MediaSource::Http(url))
}

fn file(text: &str) -> Result<MediaSource> {
    let bad = || {
        Error::invalid(format!(
            "{} is not the address of a file on this machine",
            shown(text)
        ))
        .hint("write it as file:///absolute/path")
    };
    let url = Url::parse(text).map_err(|error| bad().source(error))?;
    let raw = &text["file:".len()..];
    let raw = raw.strip_prefix("//").unwrap_or(raw);
    // Many callers put `file://` before a path without encoding it; `#`, `?` and `%` are then part of the path.
    if raw.contains(['#', '?', '%']) && Path::new(raw).is_absolute() {
        let plain = PathBuf::from(raw);
        if plain.exists() {
            return Ok(MediaSource::File(plain));
        }
    }
    let path = url.to_file_path().map_err(|()| bad())?;
    if path.to_string_lossy().contains('\0') {
        return Err(Error::invalid(format!(
            "{} contains a NUL character",
            shown(text)
        )));
    }
    Ok(MediaSource::File(path))
}

fn relative(text: &str) -> Error {
    Error::invalid(format!("{} is not an absolute path", shown(text))).hint(
        match std::env::current_dir() {
            Ok(folder) if folder.join(text).is_file() => {
                format!("did you mean {}?", folder.join(text).display())
            }
            _ => "give an http(s) or file:// address, or an absolute path".to_owned(),
        },
    )
}

/// `C:\…`, `C:/…` or `\\server\share`.
fn is_windows_path(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.starts_with(r"\\")
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'\\' | b'/'))
}

/// The scheme before `:`, in lower case; it has at least two characters.
fn scheme(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once(':')?;
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(usual))
    .then(|| scheme.to_ascii_lowercase())
}

/// A source as shown in messages and logs: an address without query, fragment and user, shortened to 300
/// characters.
pub(crate) fn shown(source: &str) -> String {
    let text = source.trim();
    let mut text = match scheme(text).as_deref() {
        Some("file") | None => secrets::without(text).into_owned(),
        Some(_) => secrets::address(text),
    };
    if text.chars().count() > 300 {
        text = text.chars().take(300).chain("…".chars()).collect();
    }
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn address(source: &str) -> String {
        match MediaSource::parse(source).unwrap() {
            MediaSource::Http(url) => url.to_string(),
            MediaSource::File(path) => path.display().to_string(),
        }
    }

    #[test]
    fn raw_names_are_encoded_as_browsers_do() {
        for (source, expected) in [
            (
                "http://h/视频 素材.mp4",
                "http://h/%E8%A7%86%E9%A2%91%20%E7%B4%A0%E6%9D%90.mp4",
            ),
            ("http://h/%E8%A7%86%20b.mp4", "http://h/%E8%A7%86%20b.mp4"),
            (
                "HTTPS://Host/a b?x=ü y&z=1",
                "https://host/a%20b?x=%C3%BC%20y&z=1",
            ),
            (" http://h/a.mp4\n", "http://h/a.mp4"),
        ] {
            assert_eq!(address(source), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_are_named_by_path_or_address() {
        for (source, expected) in [
            ("/a/视频 1.mp4", "/a/视频 1.mp4"),
            ("file:///a/b%20c.mp4", "/a/b c.mp4"),
            ("file:///a/视 频.mp4", "/a/视 频.mp4"),
            ("file://localhost/a.mp4", "/a.mp4"),
            ("/a/what?#.mp4", "/a/what?#.mp4"),
        ] {
            assert_eq!(address(source), expected);
        }
    }

    #[test]
    fn invalid_sources_are_refused() {
        for source in [
            "",
            "  ",
            "clip.mp4",
            "./clip.mp4",
            "../clip.mp4",
            "~/clip.mp4",
            "ftp://h/a.mp4",
            "data:image/png;base64,AAAA",
            "concat:/etc/passwd",
            "http://",
            "http://[::1/a",
            "file://server/share/a.mp4",
            "/a\0b",
            "file:///a%00b",
            "pipe:0",
        ] {
            let error = MediaSource::parse(source).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument, "{source:?}: {error}");
        }
        #[cfg(unix)]
        for source in [r"C:\clips\a.mp4", "C:/clips/a.mp4", r"\\server\share\a.mp4"] {
            let error = MediaSource::parse(source).unwrap_err();
            assert!(error.message.contains("Windows"), "{error}");
        }
    }

    #[test]
    fn messages_never_contain_queries_or_passwords() {
        for (source, expected) in [
            ("https://me:pw@h:8/a.mp4?token=1#x", "https://h:8/a.mp4"),
            ("https://h/a@b.mp4", "https://h/a@b.mp4"),
            ("/a/b?c#d", "/a/b?c#d"),
            ("http://h?key=1", "http://h"),
        ] {
            assert_eq!(shown(source), expected);
        }
        assert!(shown(&"x".repeat(5000)).chars().count() < 310);
    }
}
