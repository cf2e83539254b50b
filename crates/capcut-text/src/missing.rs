//! What no font has, and what to install for it.

use std::collections::BTreeMap;

use unicode_script::{Script, UnicodeScript};

/// A script, some of whose characters no font has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingScript {
    /// The name of the script, `symbols` or `emoji`.
    pub script: &'static str,
    /// Up to five of its characters.
    pub characters: String,
    /// A package of Debian and Ubuntu that has a font for it.
    pub package: &'static str,
}

/// Groups the characters by script.
pub(crate) fn by_script(characters: impl Iterator<Item = (char, bool)>) -> Vec<MissingScript> {
    let mut found: BTreeMap<&'static str, MissingScript> = BTreeMap::new();
    for (character, is_emoji) in characters {
        let (script, package) = name_and_package(character, is_emoji);
        let entry = found.entry(script).or_insert_with(|| MissingScript {
            script,
            characters: String::new(),
            package,
        });
        if entry.characters.chars().count() < 5 && !entry.characters.contains(character) {
            entry.characters.push(character);
        }
    }
    found.into_values().collect()
}

fn name_and_package(character: char, is_emoji: bool) -> (&'static str, &'static str) {
    if is_emoji {
        return ("emoji", "fonts-noto-color-emoji");
    }
    let script = character.script();
    let package = match script {
        Script::Han
        | Script::Hiragana
        | Script::Katakana
        | Script::Hangul
        | Script::Bopomofo
        | Script::Yi => "fonts-noto-cjk",
        // Fonts of scripts that few texts have are in the second package.
        Script::Common | Script::Inherited | Script::Unknown => {
            // Punctuation of Chinese, Japanese and Korean.
            let is_wide =
                matches!(character as u32, 0x3000..=0x33FF | 0xFE30..=0xFE4F | 0xFF00..=0xFFEF);
            let package = if is_wide {
                "fonts-noto-cjk"
            } else {
                "fonts-noto-core"
            };
            return ("symbols", package);
        }
        Script::Nushu
        | Script::Tangut
        | Script::Khitan_Small_Script
        | Script::Makasar
        | Script::Toto
        | Script::Vithkuqi => "fonts-noto-extra",
        _ => "fonts-noto-core",
    };
    (script.full_name(), package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_named_with_samples_and_a_package() {
        let characters = "你好世界早安سلام😀★".chars().map(|c| (c, c == '😀'));
        let found = by_script(characters);
        let found: Vec<_> = found
            .iter()
            .map(|missing| (missing.script, missing.characters.as_str(), missing.package))
            .collect();
        assert_eq!(
            found,
            [
                ("Arabic", "سلام", "fonts-noto-core"),
                ("Han", "你好世界早", "fonts-noto-cjk"),
                ("emoji", "😀", "fonts-noto-color-emoji"),
                ("symbols", "★", "fonts-noto-core"),
            ]
        );
    }
}
