//! What styles do to the pixels, with the embedded font: the tests need no fonts of the system.

use capcut_text::{
    Align, Background, FontChoice, Fonts, Rgba, Shadow, Stroke, Text, TextLayout, TextPart,
};
use tiny_skia::{ColorU8, Pixmap, Transform};

fn fonts() -> Fonts {
    Fonts::of_folders(&[])
}

fn text(words: &str) -> Text {
    Text::new(vec![TextPart::new(words, 40.0)])
}

/// Draws it 20 pixels from the left and the top.
fn drawn(layout: &TextLayout) -> Pixmap {
    drawn_part(layout, 1.0, 0..layout.clusters())
}

fn drawn_part(layout: &TextLayout, opacity: f32, shown: std::ops::Range<usize>) -> Pixmap {
    let mut pixmap = Pixmap::new(500, 300).unwrap();
    let at = Transform::from_translate(20.0, 20.0);
    layout.draw(&mut pixmap.as_mut(), at, opacity, shown);
    pixmap
}

/// Columns and rows of what is painted, ends included.
fn painted(pixmap: &Pixmap, is: impl Fn(ColorU8) -> bool) -> Option<(u32, u32, u32, u32)> {
    let mut found: Option<(u32, u32, u32, u32)> = None;
    for (index, pixel) in pixmap.pixels().iter().enumerate() {
        let (x, y) = (index as u32 % pixmap.width(), index as u32 / pixmap.width());
        if pixel.alpha() > 100 && is(pixel.demultiply()) {
            let (left, top, right, bottom) = found.unwrap_or((x, y, x, y));
            found = Some((left.min(x), top.min(y), right.max(x), bottom.max(y)));
        }
    }
    found
}

fn area(pixmap: &Pixmap) -> u64 {
    pixmap
        .pixels()
        .iter()
        .map(|pixel| u64::from(pixel.alpha()))
        .sum::<u64>()
        / 255
}

fn any(_: ColorU8) -> bool {
    true
}

#[test]
fn an_empty_system_draws_latin_and_digits() {
    let layout = fonts().lay_out(&text("Grüße 0–9 → Ł €"));
    assert!(layout.missing().is_empty(), "{:?}", layout.missing());
    assert!(area(&drawn(&layout)) > 1000);
    let missing = fonts().lay_out(&text("a 你好 😀"));
    let scripts: Vec<_> = missing
        .missing()
        .iter()
        .map(|missing| missing.script)
        .collect();
    assert_eq!(scripts, ["Han", "emoji"]);
    assert_eq!(missing.missing()[0].package, "fonts-noto-cjk");
    // Three boxes.
    assert!(area(&drawn(&missing)) > area(&drawn(&fonts().lay_out(&text("a")))) + 300);
}

#[test]
fn lines_are_wrapped_and_aligned() {
    let mut text = text("one two three\nx");
    text.max_width = Some(120.0);
    let edge = |align| {
        let layout = fonts().lay_out(&Text {
            align,
            ..text.clone()
        });
        assert_eq!(layout.lines(), 4, "{layout:?}");
        assert!(layout.width() <= 120.0);
        assert!(
            (layout.height() - 4.0 * 48.0).abs() < 0.1,
            "{}",
            layout.height()
        );
        let pixmap = drawn(&layout);
        // The last line.
        let rows = (20 + 3 * 48)..(20 + 4 * 48);
        let mut row = Pixmap::new(500, 48).unwrap();
        for y in rows.clone() {
            for x in 0..500 {
                let at = ((y - rows.start) * 500 + x) as usize;
                row.pixels_mut()[at] = pixmap.pixel(x, y).unwrap();
            }
        }
        let (left, _, right, _) = painted(&row, any).unwrap();
        (left as f32 - 20.0, right as f32 - 20.0, layout.width())
    };
    let (left, ..) = edge(Align::Left);
    assert!(left < 4.0, "{left}");
    let (left, right, width) = edge(Align::Center);
    assert!(
        (f32::midpoint(left, right) - width / 2.0).abs() < 3.0,
        "{left} {right} {width}"
    );
    let (_, right, width) = edge(Align::Right);
    assert!(right > width - 4.0 && right <= width, "{right} {width}");
}

#[test]
fn a_word_that_is_too_long_is_broken() {
    let mut text = text("incomprehensibilities");
    text.max_width = Some(150.0);
    let layout = fonts().lay_out(&text);
    assert!(
        layout.lines() > 2 && layout.width() <= 150.0,
        "{}",
        layout.width()
    );
    // Not even a letter fits.
    text.max_width = Some(1.0);
    assert_eq!(fonts().lay_out(&text).lines(), 21);
}

#[test]
fn a_stroke_reaches_its_width_beyond_the_letters() {
    let mut text = text("Hill");
    let plain = painted(&drawn(&fonts().lay_out(&text)), any).unwrap();
    text.parts[0].stroke = Some(Stroke {
        width: 6.0,
        colour: Rgba::opaque(255, 0, 0),
    });
    let layout = fonts().lay_out(&text);
    let pixmap = drawn(&layout);
    let stroked = painted(&pixmap, any).unwrap();
    for (near, far) in [
        (stroked.0, plain.0),
        (stroked.1, plain.1),
        (plain.2, stroked.2),
        (plain.3, stroked.3),
    ] {
        assert!((5..=7).contains(&(far - near)), "{plain:?} {stroked:?}");
    }
    // The letters are on top of it, as wide as without it.
    let white = painted(&pixmap, |colour| colour.green() > 100).unwrap();
    assert_eq!(white, plain);
    let bounds = layout.painted();
    assert!(
        bounds.left <= -2.0 && bounds.right >= stroked.2 as f32 - 20.0,
        "{bounds:?}"
    );
}

#[test]
fn transparent_letters_do_not_show_the_stroke_behind_them() {
    let mut text = text("I");
    text.parts[0].fill = Rgba::new(255, 255, 255, 0);
    text.parts[0].stroke = Some(Stroke {
        width: 5.0,
        colour: Rgba::BLACK,
    });
    let pixmap = drawn(&fonts().lay_out(&text));
    let (left, top, right, bottom) = painted(&pixmap, any).unwrap();
    let middle = pixmap
        .pixel(u32::midpoint(left, right), u32::midpoint(top, bottom))
        .unwrap();
    assert_eq!(middle.alpha(), 0);
}

#[test]
fn bold_italic_and_underline_are_synthesised() {
    let plain = drawn(&fonts().lay_out(&text("Hill")));
    let styled = |font: FontChoice, underline: bool| {
        let mut text = text("Hill");
        text.parts[0].font = font;
        text.parts[0].underline = underline;
        drawn(&fonts().lay_out(&text))
    };
    let bold = FontChoice {
        bold: true,
        ..FontChoice::default()
    };
    assert!(area(&styled(bold, false)) > area(&plain) * 11 / 10);
    let italic = FontChoice {
        italic: true,
        ..FontChoice::default()
    };
    let (_, top, right, _) = painted(&plain, any).unwrap();
    let slanted = painted(&styled(italic, false), any).unwrap();
    assert!(slanted.2 > right + 4 && slanted.1 == top, "{slanted:?}");
    let underlined = painted(&styled(FontChoice::default(), true), any).unwrap();
    let (left, _, right, bottom) = painted(&plain, any).unwrap();
    assert!(underlined.3 >= bottom + 2, "{underlined:?}");
    assert!(
        underlined.0 < left && underlined.2 > right,
        "{underlined:?}"
    );
}

#[test]
fn letter_spacing_widens_each_cluster() {
    let mut text = text("abcd");
    let plain = fonts().lay_out(&text).width();
    text.parts[0].letter_spacing = 10.0;
    let wide = fonts().lay_out(&text).width();
    assert!((wide - plain - 40.0).abs() < 11.0, "{plain} {wide}");
}

#[test]
fn a_typewriter_shows_a_part_of_the_clusters() {
    let layout = fonts().lay_out(&text("abcd"));
    assert_eq!(layout.clusters(), 4);
    let widths: Vec<u32> = (1..=4)
        .map(|shown| painted(&drawn_part(&layout, 1.0, 0..shown), any).unwrap().2)
        .collect();
    assert!(widths.is_sorted_by(|a, b| a + 10 < *b), "{widths:?}");
    assert_eq!(area(&drawn_part(&layout, 1.0, 0..0)), 0);
    // Of a line that is not first, too.
    let layout = fonts().lay_out(&text("ab\ncd"));
    assert_eq!(layout.clusters(), 4);
    let second = painted(&drawn_part(&layout, 1.0, 2..4), any).unwrap();
    assert!(second.1 > 20 + 48, "{second:?}");
}

#[test]
fn opacity_is_that_of_the_whole() {
    let mut text = text("Hill");
    text.parts[0].stroke = Some(Stroke {
        width: 4.0,
        colour: Rgba::WHITE,
    });
    let pixmap = drawn_part(&fonts().lay_out(&text), 0.5, 0..4);
    let most = pixmap
        .pixels()
        .iter()
        .map(|pixel| pixel.alpha())
        .max()
        .unwrap();
    assert!((127..=128).contains(&most), "{most}");
}

#[test]
fn shadow_and_background_are_where_they_are_asked_for() {
    let mut text = text("Hill");
    let plain = painted(&drawn(&fonts().lay_out(&text)), any).unwrap();
    text.shadow = Some(Shadow {
        offset: (30.0, 50.0),
        blur: 0.0,
        colour: Rgba::opaque(0, 0, 255),
    });
    let red = Rgba::opaque(255, 0, 0);
    let pixmap = drawn(&fonts().lay_out(&text));
    let blue = |colour: ColorU8| colour.blue() > 200 && colour.red() < 50;
    let shadow = painted(&pixmap, blue).unwrap();
    assert_eq!(shadow.2, plain.2 + 30);
    assert_eq!(shadow.3, plain.3 + 50);
    // A blur keeps the amount and spreads it.
    text.shadow = Some(Shadow {
        offset: (0.0, 120.0),
        blur: 4.0,
        colour: Rgba::opaque(0, 0, 255),
    });
    let blurred = drawn(&fonts().lay_out(&text));
    let whole = area(&blurred) as f32 / 2.0;
    let sharp = area(&drawn(&fonts().lay_out(&self::text("Hill")))) as f32;
    assert!((whole / sharp - 1.0).abs() < 0.05, "{whole} {sharp}");
    text.shadow = None;
    text.background = Some(Background {
        colour: red,
        radius: 8.0,
        padding: (10.0, 5.0),
        offset: (3.0, 0.0),
    });
    let layout = fonts().lay_out(&text);
    let pixmap = drawn(&layout);
    let (left, top, right, bottom) = painted(&pixmap, any).unwrap();
    assert_eq!((left, top), (20 - 10 + 3, 20 - 5));
    assert!(
        (right as f32 - (20.0 + layout.width() + 13.0)).abs() <= 1.5,
        "{right}"
    );
    assert!(
        (bottom as f32 - (20.0 + 48.0 + 5.0)).abs() <= 1.5,
        "{bottom}"
    );
    // A corner is round.
    assert_eq!(pixmap.pixel(left, top).unwrap().alpha(), 0);
    assert_eq!(pixmap.pixel(left + 20, top).unwrap().alpha(), 255);
}

#[test]
fn vertical_text_has_columns_from_right_to_left() {
    let mut text = text("ab\nc");
    text.vertical = true;
    let layout = fonts().lay_out(&text);
    assert_eq!(layout.lines(), 2);
    assert_eq!((layout.width(), layout.height()), (96.0, 80.0));
    let first = painted(&drawn_part(&layout, 1.0, 0..1), any).unwrap();
    let second = painted(&drawn_part(&layout, 1.0, 1..2), any).unwrap();
    let third = painted(&drawn_part(&layout, 1.0, 2..3), any).unwrap();
    assert!(
        second.1 > first.1 + 20 && second.0.abs_diff(first.0) < 5,
        "{first:?} {second:?}"
    );
    assert!(
        third.2 < first.0 && third.1.abs_diff(first.1) < 10,
        "{first:?} {third:?}"
    );
    text.max_width = Some(50.0);
    assert_eq!(fonts().lay_out(&text).lines(), 3);
}

#[test]
fn parts_have_their_own_styles() {
    let mut small = TextPart::new("small ", 20.0);
    small.fill = Rgba::opaque(255, 0, 0);
    let mut large = TextPart::new("LARGE", 60.0);
    large.fill = Rgba::opaque(0, 255, 0);
    let layout = fonts().lay_out(&Text::new(vec![small, large]));
    assert_eq!(layout.lines(), 1);
    let pixmap = drawn(&layout);
    let red = painted(&pixmap, |colour| colour.red() > 200).unwrap();
    let green = painted(&pixmap, |colour| colour.green() > 200).unwrap();
    assert!(red.2 < green.0, "{red:?} {green:?}");
    assert!(green.3 - green.1 > 2 * (red.3 - red.1), "{red:?} {green:?}");
}

#[test]
fn a_font_that_is_not_there_is_named() {
    let mut text = text("a");
    text.parts[0].font.family = Some("No Such Sans".into());
    let layout = fonts().lay_out(&text);
    assert_eq!(layout.replaced_fonts(), ["No Such Sans"]);
    text.parts[0].font.family = Some("capcut-mcp embedded SANS".into());
    assert!(fonts().lay_out(&text).replaced_fonts().is_empty());
}

#[test]
fn long_texts_are_cut_and_large_ones_limited() {
    let layout = fonts().lay_out(&text(&"word ".repeat(5_000)));
    assert!(layout.is_cut());
    assert_eq!(layout.clusters(), 10_000);
    let mut huge = text("a");
    huge.parts[0].size = f32::MAX;
    let layout = fonts().lay_out(&huge);
    assert!(layout.width() <= 4096.0 && !layout.is_cut());
    drawn(&layout);
    let combining = format!("a{}", "\u{301}".repeat(20_000));
    let layout = fonts().lay_out(&text(&combining));
    assert!(layout.is_cut());
    assert_eq!(layout.clusters(), 1);
}

#[test]
fn a_font_file_of_a_draft_is_used_by_its_path_or_name() {
    let folder = std::env::temp_dir().join(format!("capcut-text-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("own font.ttf");
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/assets/embedded.ttf"),
        &file,
    )
    .unwrap();
    let with = fonts().with_file(&file).unwrap();
    let mut text = text("a");
    text.parts[0].font.file = Some(file.clone());
    assert!(with.lay_out(&text).replaced_fonts().is_empty());
    assert_eq!(fonts().lay_out(&text).replaced_fonts(), ["own font.ttf"]);
    std::fs::write(&file, "no font").unwrap();
    let error = fonts().with_file(&file).unwrap_err().to_string();
    assert!(error.contains("own font.ttf"), "{error}");
    assert!(
        fonts()
            .with_file(&folder)
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
