//! Names of folders and files that are valid on every system.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::draft::finished::Needed;
use crate::engine::profile::AppOs;
use crate::error::{Error, Result};

/// Maximum length of a name in bytes: file systems allow 255, and the app appends to names for its caches.
pub(super) const LONGEST: usize = 120;

/// Names that Windows reserves for devices, with any extension.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The folder name closest to `name` that is valid on every system.
pub(crate) fn folder(name: &str) -> String {
    safe(name, "draft")
}

fn safe(name: &str, otherwise: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_control() || is_invisible(c) => '_',
            c => c,
        })
        .collect();
    let cut = (0..=LONGEST.min(safe.len()))
        .rev()
        .find(|end| safe.is_char_boundary(*end))
        .unwrap_or_default();
    safe.truncate(cut);
    // Windows removes trailing dots and spaces, and a leading dot hides a folder.
    let trimmed = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let stem = trimmed.split('.').next().unwrap_or_default().trim_end();
    if trimmed.is_empty() {
        otherwise.to_owned()
    } else if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(stem)) {
        format!("_{trimmed}")
    } else {
        trimmed.to_owned()
    }
}

/// Characters that are invisible, end lines or change the text direction: they disguise a name. Those that join
/// letters and emoji (U+200C, U+200D) or select their form are part of words.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0x00AD
            | 0x061C
            | 0x180E
            | 0x200B
            | 0x200E..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0xFEFF
            | 0xFFF0..=0xFFFF
    ) || u32::from(c) & 0xFFFE == 0xFFFE
}

/// The same name with a number, like a copy: `Trip (2)`.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let suffix = format!(" ({number})");
    let mut end = name.len().min(LONGEST - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name[..end].trim_end())
}

/// For each file its folder in `assets` and its name without extension, of at most `longest` UTF-16 units. All
/// names are unique, also among the files in `there`.
pub(super) fn of_media(
    needed: &[Needed],
    there: &[PathBuf],
    longest: usize,
) -> Vec<(&'static str, String)> {
    const KINDS: [&str; 3] = ["audio", "image", "video"];
    let in_assets = there.iter().filter_map(|file| {
        let inside = file.strip_prefix("assets").ok()?;
        let kind = KINDS.into_iter().find(|kind| inside.starts_with(kind))?;
        Some((kind, inside.file_stem()?.to_str()?.to_lowercase()))
    });
    let mut taken: HashSet<(&str, String)> = in_assets.collect();
    needed
        .iter()
        .map(|needed| {
            let kind = match needed.list {
                "audios" => "audio",
                _ if needed.is_picture => "image",
                _ => "video",
            };
            let base = stem(&needed.source, kind);
            let base = if units(&base) > longest {
                // Room for a number.
                within(&base, longest.saturating_sub(4))
            } else {
                base
            };
            let mut stem = base.clone();
            let mut number = 2;
            // Names that differ only in case are equal on Windows and macOS.
            while !taken.insert((kind, stem.to_lowercase())) {
                stem = format!("{base}-{number}");
                number += 1;
            }
            (kind, stem)
        })
        .collect()
}

/// The length of a path as Windows counts it.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The start of a name, at most `most` UTF-16 units long.
fn within(name: &str, most: usize) -> String {
    let mut used = 0;
    let start: String = name
        .chars()
        .take_while(|c| {
            used += c.len_utf16();
            used <= most
        })
        .collect();
    start
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
        .to_owned()
}

/// The last part of a URL or path without its extension.
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

/// Decodes percent-encoding such as `%20`.
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

/// A drafts folder of another machine in the form that the app there writes.
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
            "`target_folder`: \"{folder}\" is not an absolute path of a folder on {}",
            os.name()
        ))
        .hint(format!("give a path such as {example}")));
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
    fn folder_names_are_valid_on_every_system() {
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
            ("ends with a space ", "ends with a space"),
            ("ends with \u{a0}. \u{3000}", "ends with"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("a\u{2066}b\u{200b}c\u{feff}d\u{ffff}", "a_b_c_d_"),
            (
                "👩\u{200d}🚀 می\u{200c}خواهم",
                "👩\u{200d}🚀 می\u{200c}خواهم",
            ),
        ] {
            assert_eq!(folder(name), expected, "{name:?}");
        }
        let long = folder(&"视".repeat(200));
        assert_eq!(long.len(), 120);
        assert_eq!(numbered("Trip", 2), "Trip (2)");
        let long = numbered(&long, 12);
        assert!(long.len() <= 120 && long.ends_with("视 (12)"), "{long}");
    }

    #[test]
    fn media_get_unique_names_after_their_source() {
        let needed = |list, source: &str, is_picture| Needed {
            list,
            id: source.to_owned(),
            source: source.to_owned(),
            is_picture,
            place: String::new(),
            shown: None,
        };
        let all = [
            needed("videos", "https://x.test/a/Clip%20One.mp4?sig=s.mp4", false),
            needed("videos", "https://y.test/clip%20one.MOV", false),
            needed("videos", "/home/me/图 片.png", true),
            needed("audios", "https://x.test/", false),
            needed("audios", r"C:\music\song.v2.final.wav", false),
        ];
        let names = of_media(&all, &[], LONGEST);
        let names: Vec<_> = names
            .iter()
            .map(|(kind, stem)| (*kind, stem.as_str()))
            .collect();
        let there = [PathBuf::from("assets/video/CLIP one.mp4")];
        assert_eq!(of_media(&all, &there, LONGEST)[0].1, "Clip One-2");
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
    fn media_names_respect_the_maximum_length() {
        let source = format!("/home/me/{}.mp4", "a视😀".repeat(30));
        let needed = |id: &str| Needed {
            list: "videos",
            id: id.to_owned(),
            source: source.clone(),
            is_picture: false,
            place: String::new(),
            shown: None,
        };
        for longest in [12, 13, 14, 15, 40] {
            let names = of_media(&[needed("1"), needed("2"), needed("3")], &[], longest);
            for (_, name) in &names {
                assert!(name.starts_with("a视😀a"), "{name}");
                assert!(units(name) <= longest, "{name}: {longest}");
            }
            assert!(names[2].1.ends_with("-3"), "{names:?}");
        }
    }

    #[test]
    fn target_folders_are_normalised_as_in_the_app() {
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
