//! Names of folders and files that are possible on every system.

use std::collections::HashSet;

use crate::draft::finished::Needed;
use crate::engine::profile::AppOs;
use crate::error::{Error, Result};

/// The longest name, in bytes: file systems allow 255, and paths of the app's caches come behind it.
const LONGEST: usize = 120;

/// Names that Windows keeps for devices, whatever their ending.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A folder's name that is as near to `name` as every system allows.
pub(crate) fn folder(name: &str) -> String {
    safe(name, "draft")
}

fn safe(name: &str, otherwise: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .collect();
    let cut = (0..=LONGEST.min(safe.len()))
        .rev()
        .find(|end| safe.is_char_boundary(*end))
        .unwrap_or_default();
    safe.truncate(cut);
    // Windows drops dots and spaces at the end, and a dot at the start hides a folder.
    let trimmed = safe
        .trim()
        .trim_end_matches(['.', ' '])
        .trim_start_matches(['.', ' ']);
    let stem = trimmed.split('.').next().unwrap_or_default().trim_end();
    if trimmed.is_empty() {
        otherwise.to_owned()
    } else if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(stem)) {
        format!("_{trimmed}")
    } else {
        trimmed.to_owned()
    }
}

/// For each file its folder in `assets` and its name without ending, each once.
pub(super) fn of_media(needed: &[Needed]) -> Vec<(&'static str, String)> {
    let mut taken = HashSet::new();
    needed
        .iter()
        .map(|needed| {
            let kind = match needed.list {
                "audios" => "audio",
                _ if needed.is_picture => "image",
                _ => "video",
            };
            let base = stem(&needed.source, kind);
            let mut stem = base.clone();
            let mut number = 2;
            // Two names that differ in case only are one on Windows and macOS.
            while !taken.insert((kind, stem.to_lowercase())) {
                stem = format!("{base}-{number}");
                number += 1;
            }
            (kind, stem)
        })
        .collect()
}

/// The last part of a URL or path without its ending.
fn stem(source: &str, otherwise: &str) -> String {
    let is_url = source.contains("://");
    let path = if is_url {
        source.split(['?', '#']).next().unwrap_or(source)
    } else {
        source
    };
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let last = if is_url {
        decoded(last)
    } else {
        last.to_owned()
    };
    let stem = match last.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 5 => stem,
        _ => &last,
    };
    safe(stem, otherwise)
}

/// With `%20` and the like as the characters that they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A drafts folder of another machine as the app there writes it.
pub(crate) fn target_folder(os: AppOs, folder: &str) -> Result<String> {
    let folder = folder.trim();
    let plain = match os {
        AppOs::Windows => folder.replace('\\', "/"),
        AppOs::Macos => folder.to_owned(),
    };
    let bytes = plain.as_bytes();
    let drive =
        bytes.len() >= 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'/';
    let right = match os {
        AppOs::Windows => drive || (plain.starts_with("//") && plain[2..].contains('/')),
        AppOs::Macos => plain.starts_with('/') && !plain.starts_with("//"),
    };
    if !right || plain.chars().any(char::is_control) {
        let example = match os {
            AppOs::Windows => {
                r"`C:\Users\me\AppData\Local\CapCut\User Data\Projects\com.lveditor.draft`"
            }
            AppOs::Macos => "`/Users/me/Movies/CapCut/User Data/Projects/com.lveditor.draft`",
        };
        return Err(Error::invalid(format!(
            "`target_folder`: \"{folder}\" is no whole path of a folder on {}",
            os.name()
        ))
        .hint(format!("such as {example}")));
    }
    let root = if drive { &plain[..3] } else { "/" };
    let trimmed = plain.trim_end_matches('/');
    Ok(if trimmed.len() < root.len() {
        root.to_owned()
    } else {
        trimmed.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_name_that_every_system_allows() {
        for (name, expected) in [
            ("Summer trip", "Summer trip"),
            ("我的视频 😀", "我的视频 😀"),
            ("a/b\\c:d*e?f\"g<h>i|j", "a_b_c_d_e_f_g_h_i_j"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("trailing. . .", "trailing"),
            (".hidden", "hidden"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("line\nbreak\0", "line_break_"),
            ("", "draft"),
            (" ... ", "draft"),
        ] {
            assert_eq!(folder(name), expected, "{name:?}");
        }
        let long = folder(&"视".repeat(200));
        assert_eq!(long.len(), 120);
    }

    #[test]
    fn media_are_named_after_their_source_each_once() {
        let needed = |list, source: &str, is_picture| Needed {
            list,
            id: source.to_owned(),
            source: source.to_owned(),
            is_picture,
            place: String::new(),
        };
        let all = [
            needed("videos", "https://x.test/a/Clip%20One.mp4?sig=s.mp4", false),
            needed("videos", "https://y.test/clip%20one.MOV", false),
            needed("videos", "/home/me/图 片.png", true),
            needed("audios", "https://x.test/", false),
            needed("audios", r"C:\music\song.v2.final.wav", false),
        ];
        let names = of_media(&all);
        let names: Vec<_> = names
            .iter()
            .map(|(kind, stem)| (*kind, stem.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("video", "Clip One"),
                ("video", "clip one-2"),
                ("image", "图 片"),
                ("audio", "audio"),
                ("audio", "song.v2.final"),
            ]
        );
    }

    #[test]
    fn a_folder_of_another_machine_is_written_as_its_app_writes_it() {
        for (os, given, expected) in [
            (AppOs::Windows, r"D:\CapCut Drafts\", "D:/CapCut Drafts"),
            (AppOs::Windows, "C:/用户/草稿", "C:/用户/草稿"),
            (
                AppOs::Windows,
                r"\\server\share\drafts",
                "//server/share/drafts",
            ),
            (AppOs::Windows, r"E:\", "E:/"),
            (
                AppOs::Macos,
                "/Users/me/Movies/My Drafts/",
                "/Users/me/Movies/My Drafts",
            ),
        ] {
            assert_eq!(target_folder(os, given).unwrap(), expected);
        }
        for (os, given) in [
            (AppOs::Windows, "/Users/me/Movies"),
            (AppOs::Windows, "drafts"),
            (AppOs::Macos, r"C:\Users"),
            (AppOs::Macos, "~/Movies"),
        ] {
            let error = target_folder(os, given).unwrap_err();
            assert!(error.to_string().contains(given), "{error}");
        }
    }
}
