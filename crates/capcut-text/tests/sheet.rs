//! The sheet of strings that usual captions have, with the fonts of Debian's packages `fonts-noto-core`,
//! `fonts-noto-cjk`, `fonts-noto-color-emoji` and `fonts-dejavu-core`.

use std::path::Path;

use capcut_text::{Fonts, Rgba, Stroke, Text, TextPart};
use tiny_skia::{Color, Pixmap, Transform};

const SHEET: [&str; 24] = [
    "Family 👨‍👩‍👧‍👦 end",
    "Flags 🇩🇪🇨🇳🇧🇷",
    "🏴‍☠️ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "Keycaps 1️⃣ #️⃣ *️⃣",
    "Skin 👍🏽 👩🏾‍💻 🤝🏻",
    "Plain 😀 ❤️ ✅ ⭐",
    "Text style ❤︎ ☺︎ ✔",
    "你好,世界!",
    "繁體中文與「引號」",
    "日本語のテキスト、カタカナ",
    "한국어 텍스트",
    "你好 world 😀 2026",
    "مرحبا بالعالم",
    "العدد 123 و ٤٥٦",
    "שלום עולם 42",
    "नमस्ते दुनिया",
    "বাংলা লেখা",
    "தமிழ் எழுத்து",
    "ภาษาไทย ที่นี่",
    "Привет, мир! Ђ ѐ",
    "Ελληνικά ΰ ή",
    "Tiếng Việt: ữ ẫ ợ",
    "é ñ ß Ł ő ŵ e\u{301} n\u{303}",
    "ქართული Հայերեն አማርኛ",
];

fn sheet_fonts() -> Fonts {
    for folder in [
        "/usr/share/fonts/truetype/noto",
        "/usr/share/fonts/opentype/noto",
        "/usr/share/fonts/truetype/dejavu",
    ] {
        assert!(
            Path::new(folder).is_dir(),
            "this test needs Debian's packages fonts-noto-core, fonts-noto-cjk, fonts-noto-color-emoji and \
             fonts-dejavu-core: {folder} is missing"
        );
    }
    Fonts::of_system()
}

fn coloured(pixmap: &Pixmap) -> usize {
    let pixels = pixmap.pixels().iter();
    pixels
        .filter(|pixel| {
            let colour = pixel.demultiply();
            let (red, green, blue) = (colour.red(), colour.green(), colour.blue());
            red.abs_diff(green).max(green.abs_diff(blue)) > 20
        })
        .count()
}

fn picture(fonts: &Fonts, text: &Text, opacity: f32) -> Pixmap {
    let layout = fonts.lay_out(text);
    let painted = layout.painted();
    let mut pixmap = Pixmap::new(
        (painted.right - painted.left).ceil().max(1.0) as u32,
        (painted.bottom - painted.top).ceil().max(1.0) as u32,
    )
    .unwrap();
    let origin = Transform::from_translate(-painted.left, -painted.top);
    layout.draw(&mut pixmap.as_mut(), origin, opacity, 0..layout.clusters());
    pixmap
}

#[test]
fn every_string_of_the_sheet_has_all_its_glyphs() {
    let fonts = sheet_fonts();
    for (number, string) in SHEET.iter().enumerate() {
        let text = Text::new(vec![TextPart::new(*string, 32.0)]);
        let layout = fonts.lay_out(&text);
        assert!(
            layout.missing().is_empty(),
            "{string}: {:?}",
            layout.missing()
        );
        assert!(layout.width() > 60.0, "{string}: {}", layout.width());
        let pixmap = picture(&fonts, &text, 1.0);
        // Noto has families in grey.
        if (1..6).contains(&number) {
            let seen = coloured(&pixmap);
            assert!(seen > 100, "{string}: {seen} coloured pixels");
        }
    }
    if let Some(file) = std::env::var_os("CAPCUT_TEXT_SHEET") {
        let mut sheet = Pixmap::new(1100, 640).unwrap();
        sheet.fill(Color::from_rgba8(60, 90, 140, 255));
        for (number, string) in SHEET.iter().enumerate() {
            let mut part = TextPart::new(*string, 32.0);
            part.stroke = Some(Stroke {
                width: 2.0,
                colour: Rgba::BLACK,
            });
            let layout = fonts.lay_out(&Text::new(vec![part]));
            let (x, y) = (20 + number % 2 * 540, 10 + number / 2 * 52);
            let at = Transform::from_translate(x as f32, y as f32);
            layout.draw(&mut sheet.as_mut(), at, 1.0, 0..layout.clusters());
        }
        sheet.save_png(file).unwrap();
    }
}
