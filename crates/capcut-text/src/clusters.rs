//! What a grapheme cluster is: an emoji, a visible letter, something that is never seen.

/// Whether a colour emoji is preferred for the cluster (UTS #51): it asks for one, or its character is an emoji by default.
pub(crate) fn is_emoji(cluster: &str) -> bool {
    if cluster.contains('\u{fe0e}') {
        return false;
    }
    let Some(first) = cluster.chars().next() else {
        return false;
    };
    cluster
        .chars()
        .any(|character| matches!(character as u32, 0xFE0F | 0x20E3 | 0x1F3FB..=0x1F3FF))
        || is_emoji_by_default(first)
}

/// `Emoji_Presentation` of Unicode 17 below U+1F000; above it, the blocks of emoji as a whole.
fn is_emoji_by_default(character: char) -> bool {
    matches!(character as u32,
        0x231A..=0x231B | 0x23E9..=0x23EC | 0x23F0 | 0x23F3 | 0x25FD..=0x25FE | 0x2614..=0x2615 | 0x2648..=0x2653
        | 0x267F | 0x2693 | 0x26A1 | 0x26AA..=0x26AB | 0x26BD..=0x26BE | 0x26C4..=0x26C5 | 0x26CE | 0x26D4 | 0x26EA
        | 0x26F2..=0x26F3 | 0x26F5 | 0x26FA | 0x26FD | 0x2705 | 0x270A..=0x270B | 0x2728 | 0x274C | 0x274E
        | 0x2753..=0x2755 | 0x2757 | 0x2795..=0x2797 | 0x27B0 | 0x27BF | 0x2B1B..=0x2B1C | 0x2B50 | 0x2B55
        | 0x1F000..=0x1FAFF)
}

/// Whether the character may be without a glyph: fonts rarely have the controls of text, and shapers hide them.
pub(crate) fn is_never_seen(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || matches!(character as u32,
            0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
            | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8 | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// Whether the cluster ends a line.
pub(crate) fn is_line_end(cluster: &str) -> bool {
    matches!(
        cluster,
        "\n" | "\r\n" | "\r" | "\u{b}" | "\u{c}" | "\u{85}" | "\u{2028}" | "\u{2029}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_are_told_from_text() {
        for cluster in ["😀", "❤️", "1️⃣", "👍🏽", "👨‍👩‍👧", "🇩🇪", "✅", "⭐", "🏴‍☠️", "☝🏽"]
        {
            assert!(is_emoji(cluster), "{cluster}");
        }
        for cluster in [
            "a",
            "1",
            "#",
            "❤",
            "☺",
            "✅\u{fe0e}",
            "😀\u{fe0e}",
            "中",
            "©",
            "",
        ] {
            assert!(!is_emoji(cluster), "{cluster}");
        }
    }
}
