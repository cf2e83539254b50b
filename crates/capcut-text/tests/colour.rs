//! Emoji that are coloured shapes, with fonts whose colours are known (`fonts/make.py`).

use std::path::PathBuf;

use capcut_text::{Fonts, Rgba, Text, TextPart};
use tiny_skia::{Pixmap, Transform};

/// Draws the emoji of a font with 100 pixels an em, at the left edge, and gives the colours at places in percent of an em.
fn colours(font: &str, emoji: &str, places: &[(u32, u32)]) -> Vec<(u8, u8, u8, u8)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fonts")
        .join(font);
    let fonts = Fonts::of_folders(&[folder]);
    let mut part = TextPart::new(emoji, 100.0);
    part.fill = Rgba::opaque(10, 20, 30);
    let mut text = Text::new(vec![part]);
    text.line_height = 1.0;
    let layout = fonts.lay_out(&text);
    assert!(layout.missing().is_empty());
    assert_eq!((layout.width(), layout.height()), (100.0, 100.0));
    let mut pixmap = Pixmap::new(100, 100).unwrap();
    layout.draw(&mut pixmap.as_mut(), Transform::identity(), 1.0, 0..1);
    places
        .iter()
        .map(|(x, y)| {
            let colour = pixmap.pixel(*x, *y).unwrap().demultiply();
            (colour.red(), colour.green(), colour.blue(), colour.alpha())
        })
        .collect()
}

#[test]
fn layers_of_version_0_are_on_top_of_each_other() {
    let found = colours("v0", "😀", &[(25, 50), (75, 50)]);
    assert_eq!(found, [(0, 255, 0, 255), (255, 0, 0, 255)]);
    // The colour of the text.
    assert_eq!(colours("v0", "😂", &[(50, 50)]), [(10, 20, 30, 255)]);
}

#[test]
fn gradients_transforms_and_modes_of_version_1_are_painted() {
    let found = colours("v1", "😀", &[(2, 50), (50, 50), (97, 50)]);
    let [left, middle, right] = found[..] else {
        unreachable!("three places")
    };
    assert!(left.0 > 240 && left.2 < 15, "{left:?}");
    assert!(middle.0.abs_diff(middle.2) < 8, "{middle:?}");
    assert!(right.2 > 240 && right.0 < 15, "{right:?}");
    let found = colours("v1", "😂", &[(25, 25), (75, 25), (75, 75), (25, 75)]);
    assert_eq!(
        found,
        [
            (0, 0, 0, 0),
            (255, 0, 0, 255),
            (0, 255, 0, 255),
            (0, 0, 0, 0)
        ]
    );
}
