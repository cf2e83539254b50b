//! Texts as PostgreSQL can store them: it has no U+0000.

use std::borrow::Cow;

/// Marks an escape. It is rarer in texts than the backslash, so that what is in the tables can be read.
const MARK: char = '\u{1}';

/// The text for a column. Different texts stay different.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.extend([MARK, '\u{2}']),
            MARK => out.extend([MARK, '\u{3}']),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The text that was stored.
pub(super) fn original(stored: String) -> String {
    if !stored.contains(MARK) {
        return stored;
    }
    let mut out = String::with_capacity(stored.len());
    let mut chars = stored.chars();
    while let Some(c) = chars.next() {
        match c {
            MARK => out.extend(chars.next().map(|next| match next {
                '\u{2}' => '\0',
                _ => MARK,
            })),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_without_control_characters_are_stored_as_they_are() {
        for text in ["", "C:\\Filme\\Küste", "世界 🎬", "a\tb\n"] {
            assert_eq!(stored(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was_stored(text in "[\0-\u{4}a]{0,12}") {
            let stored = stored(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(original(stored.into_owned()), text);
        }
    }
}
