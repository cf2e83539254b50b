//! Renders a drawn timeline to a PNG, with the system's fonts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use fontdb::{Database, FaceInfo, Stretch, Style, Weight};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FontResolver, Options, Tree};
use skrifa::FontRef;
use skrifa::charmap::Charmap;
use unicode_script::{Script, UnicodeScript};

use crate::error::{Error, Result};
use crate::sorting;

/// The longer side in pixels, at most: models read this size without downscaling it.
const LONGEST: f32 = 1568.0;

/// Replaces letters that no font has.
const BOX: char = '□';

/// The PNG, and notes on what it does not show.
#[derive(Debug)]
pub(crate) struct Png {
    pub bytes: Vec<u8>,
    pub notes: Vec<String>,
}

/// Renders with the system's fonts.
pub(crate) fn render(svg: &str) -> Result<Png> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| Arc::new(system()));
    render_with(svg, fonts)
}

fn render_with(svg: &str, fonts: &Arc<Database>) -> Result<Png> {
    let svg = single_emoji(svg);
    let missing = missing(&svg, fonts);
    // A character that no font has would stop the renderer from finding fonts for the characters after it.
    let svg: Cow<str> = if missing.is_empty() {
        svg
    } else {
        let shown = |c| match c {
            c if !missing.contains(&c) => Some(c),
            c if is_symbol(c) => None,
            _ => Some(BOX),
        };
        svg.chars().filter_map(shown).collect::<String>().into()
    };
    let named = FontResolver::default_font_selector();
    let options = Options {
        fontdb: Arc::clone(fonts),
        font_resolver: FontResolver {
            select_font: Box::new(move |font, fonts| {
                named(font, fonts).or_else(|| Some(fonts.faces().next()?.id))
            }),
            ..FontResolver::default()
        },
        ..Options::default()
    };
    let tree = Tree::from_str(&svg, &options)
        .map_err(|error| Error::internal("the picture is not valid SVG").source(error))?;
    let size = tree.size();
    let scale = (LONGEST / size.width().max(size.height())).min(1.0);
    let pixels = |length: f32| (length * scale).round().max(1.0) as u32;
    let mut pixmap = Pixmap::new(pixels(size.width()), pixels(size.height()))
        .ok_or_else(|| Error::internal("the picture has no size"))?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    let bytes = pixmap
        .encode_png()
        .map_err(|error| Error::internal("the picture cannot be written as PNG").source(error))?;
    let mut notes = Vec::new();
    if fonts.is_empty() {
        notes.push("this machine has no fonts: the PNG shows no text; the SVG contains it".into());
    } else if !missing.is_empty() {
        notes.push(missing_note(&missing));
    }
    if scale < 0.6 {
        notes.push(format!(
            "the PNG is scaled down to {:.0} %; the SVG has all details",
            scale * 100.0
        ));
    }
    Ok(Png { bytes, notes })
}

/// All fonts of the system, the plainest first: a font for a character is searched for in this order.
fn system() -> Database {
    let mut found = Database::new();
    found.load_system_fonts();
    let mut faces: Vec<FaceInfo> = found.faces().cloned().collect();
    sorting::sort_by_key(&mut faces, |face| {
        let family = face.families.first().map_or("", |(family, _)| family);
        (
            face.style != Style::Normal,
            face.weight.0.abs_diff(Weight::NORMAL.0),
            face.stretch != Stretch::Normal,
            face.monospaced,
            family.contains("Serif"),
        )
    });
    let mut fonts = Database::new();
    for face in faces {
        fonts.push_face_info(face);
    }
    fonts
}

/// The visible characters of the picture that no font has.
fn missing(svg: &str, fonts: &Database) -> BTreeSet<char> {
    let mut missing: BTreeSet<char> = svg
        .chars()
        .filter(|c| !c.is_ascii() && is_seen(*c))
        .collect();
    for face in fonts.faces() {
        if missing.is_empty() {
            break;
        }
        fonts.with_face_data(face.id, |data, index| {
            if let Ok(font) = FontRef::from_index(data, index) {
                let characters = Charmap::new(&font);
                missing.retain(|character| characters.map(*character).is_none());
            }
        });
    }
    missing
}

/// The note on missing characters, by script.
fn missing_note(missing: &BTreeSet<char>) -> String {
    let mut scripts: BTreeMap<&str, String> = BTreeMap::new();
    for character in missing {
        let name = if is_symbol(*character) {
            "symbols and emoji"
        } else {
            character.script().full_name()
        };
        let some = scripts.entry(name).or_default();
        match some.chars().count() {
            ..5 => some.push(*character),
            5 => some.push('…'),
            _ => {}
        }
    }
    let scripts: Vec<_> = scripts
        .iter()
        .map(|(name, some)| format!("{name} ({some})"))
        .collect();
    let (instead, font) = if missing.iter().copied().all(is_symbol) {
        ("omits them", "Noto Emoji")
    } else {
        (
            "omits symbols and shows boxes instead of letters",
            "Noto Sans CJK",
        )
    };
    format!(
        "no font on this machine has these characters, so the PNG {instead}: {}; the SVG displays correctly where such a font \
         is installed; install one here, such as {font}, and draw again",
        scripts.join(", ")
    )
}

/// Replaces each emoji sequence with one emoji: fonts rarely have whole sequences, and their parts would be
/// drawn one by one. Of joined emoji the first remains, without its skin tone; a flag is drawn as its two
/// letters.
fn single_emoji(svg: &str) -> Cow<'_, str> {
    const JOINER: char = '\u{200d}';
    let is_in_sequence = |c: char| {
        c == JOINER
            || matches!(c as u32, 0xFE0F | 0x20E3 | 0x1F1E6..=0x1F1FF | 0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F)
    };
    if !svg.contains(is_in_sequence) {
        return svg.into();
    }
    let mut out = String::with_capacity(svg.len());
    let mut characters = svg.chars().peekable();
    let mut last = ' ';
    while let Some(character) = characters.next() {
        match character as u32 {
            0xFE0F | 0x20E3 | 0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F => {}
            code @ 0x1F1E6..=0x1F1FF => {
                last = character;
                out.extend(char::from_u32(code - 0x1F1E6 + u32::from('A')));
            }
            // Joiners of letters, as in Persian and Hindi, stay.
            _ if character == JOINER && is_emoji(last) => {
                characters.next_if(|next| is_emoji(*next));
            }
            _ => {
                last = character;
                out.push(character);
            }
        }
    }
    out.into()
}

/// Whether a character is an emoji that may be part of a sequence.
fn is_emoji(character: char) -> bool {
    matches!(character as u32, 0x203C..=0x2049 | 0x2190..=0x2BFF | 0x3030 | 0x303D | 0x3297 | 0x3299 | 0x1F000..=0x1FAFF)
}

fn is_symbol(character: char) -> bool {
    matches!(
        character.script(),
        Script::Common | Script::Inherited | Script::Unknown
    )
}

/// Whether a character is visible, not a control or formatting character.
fn is_seen(character: char) -> bool {
    let is_hint = matches!(character as u32, 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xE0000..=0xE01EF);
    !is_hint && !character.is_control() && !character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"300\" height=\"60\" font-size=\"30\">\
                         <text x=\"4\" y=\"40\" fill=\"#fff\" font-family=\"'None such'\">";

    fn words(words: &str) -> String {
        format!("{WORDS}{words}</text></svg>")
    }

    fn coloured(png: &[u8]) -> usize {
        let image = Pixmap::decode_png(png).unwrap();
        let pixels = image.pixels().iter();
        pixels.filter(|pixel| pixel.alpha() > 0).count()
    }

    #[test]
    fn without_fonts_a_note_says_that_the_text_is_missing() {
        let png = render_with(&words("Hello"), &Arc::default()).unwrap();
        assert_eq!(coloured(&png.bytes), 0);
        assert!(png.notes[0].contains("no font"), "{:?}", png.notes);
    }

    #[test]
    fn text_in_an_unknown_font_is_drawn_in_a_system_font() {
        let fonts = system();
        if fonts.is_empty() {
            eprintln!("SKIPPED: no fonts on this machine");
            return;
        }
        let png = render_with(&words("Hello"), &Arc::new(fonts)).unwrap();
        assert!(coloured(&png.bytes) > 300, "{}", coloured(&png.bytes));
        assert!(png.notes.is_empty(), "{:?}", png.notes);
    }

    #[test]
    fn an_emoji_sequence_is_drawn_as_its_first_emoji() {
        for (words, expected) in [
            (
                "a \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} b",
                "a \u{1f468} b",
            ),
            ("\u{1f44d}\u{1f3fd}!", "\u{1f44d}!"),
            ("\u{1f469}\u{1f3fd}\u{200d}\u{1f4bb}", "\u{1f469}"),
            ("\u{2764}\u{fe0f}\u{200d}\u{1f525}", "\u{2764}"),
            ("\u{1f1e9}\u{1f1ea} \u{1f1eb}\u{1f1f7}", "DE FR"),
            ("\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}x", "\u{1f3f4}x"),
            ("1\u{fe0f}\u{20e3}", "1"),
            ("\u{1f600}\u{1f601}", "\u{1f600}\u{1f601}"),
            // Joiners of letters.
            (
                "\u{645}\u{200d}\u{6cc} \u{915}\u{94d}\u{200d}\u{937}",
                "\u{645}\u{200d}\u{6cc} \u{915}\u{94d}\u{200d}\u{937}",
            ),
            ("plain 中文", "plain 中文"),
        ] {
            assert_eq!(single_emoji(words), expected, "{words}");
        }
    }

    #[test]
    fn emoji_missing_from_all_fonts_are_omitted() {
        let fonts = system();
        if fonts.is_empty() {
            eprintln!("SKIPPED: no fonts on this machine");
            return;
        }
        let fonts = Arc::new(fonts);
        // No font has this character; a box instead of it would change the picture.
        let without = render_with(&words("ab"), &fonts).unwrap();
        let with = render_with(&words("a\u{FFF00}b"), &fonts).unwrap();
        assert_eq!(with.bytes, without.bytes);
        assert!(with.notes[0].contains("omits them"), "{:?}", with.notes);
    }

    #[test]
    fn missing_characters_are_noted_by_script() {
        let fonts = system();
        if fonts.is_empty() {
            eprintln!("SKIPPED: no fonts on this machine");
            return;
        }
        let fonts = Arc::new(fonts);
        // No font has a private-use character; a joiner is never visible.
        let png = render_with(&words("a\u{FFF00}\u{200d}b"), &fonts).unwrap();
        assert!(coloured(&png.bytes) > 100);
        assert_eq!(png.notes.len(), 1, "{:?}", png.notes);
        assert!(
            png.notes[0].contains("symbols and emoji (\u{FFF00})"),
            "{:?}",
            png.notes
        );
        let note = missing_note(&"你好世界早安سلام".chars().collect());
        assert!(note.contains("Arabic (اسلم), Han (世你好安早…)"), "{note}");
    }

    #[test]
    fn a_large_picture_is_scaled_down_for_models() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"6000\"><rect width=\"9\" height=\"9\"/></svg>";
        let png = render_with(svg, &Arc::default()).unwrap();
        let image = Pixmap::decode_png(&png.bytes).unwrap();
        assert_eq!((image.width(), image.height()), (314, 1568));
        assert!(
            png.notes.iter().any(|note| note.contains("26 %")),
            "{:?}",
            png.notes
        );
    }
}
