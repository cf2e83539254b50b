//! Any text with any values gives a layout that can be drawn.

use capcut_text::{Align, Background, FontChoice, Fonts, Rgba, Shadow, Stroke, Text, TextPart};
use proptest::prelude::*;
use tiny_skia::{Pixmap, Transform};

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -50.0..200.0_f32,
        1 => any::<f32>(),
        1 => prop::sample::select(vec![
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            0.0,
            -1.0,
            1e9,
        ]),
    ]
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        ".{0,40}",
        "[\u{0}-\u{20}a\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}א-ת\u{fe0e}\u{fe0f}\u{20e3}1]{0,30}",
        "[👨👩🏽\u{200d}🇩🇪\u{e0067}\u{e007f}🏴❤\u{fe0f}]{0,20}",
        "[ก-๛\u{900}-\u{97f}\u{600}-\u{6ff}가-힣一-丏\n]{0,30}",
        "[\u{e000}-\u{e010}\u{f0000}-\u{f0010}\u{fdd0}-\u{fdef}\u{fffe}]{0,20}",
    ]
}

fn part() -> impl Strategy<Value = TextPart> {
    (
        words(),
        number(),
        number(),
        prop::option::of(number()),
        any::<(bool, bool, bool)>(),
        prop::option::of(prop::sample::select(vec![
            "DejaVu Sans",
            "Noto Sans",
            "none such",
            "",
        ])),
    )
        .prop_map(
            |(words, size, spacing, stroke, (bold, italic, underline), family)| TextPart {
                font: FontChoice {
                    file: None,
                    family: family.map(str::to_owned),
                    bold,
                    italic,
                },
                stroke: stroke.map(|width| Stroke {
                    width,
                    colour: Rgba::BLACK,
                }),
                letter_spacing: spacing,
                underline,
                ..TextPart::new(words, size)
            },
        )
}

fn text() -> impl Strategy<Value = Text> {
    (
        prop::collection::vec(part(), 0..4),
        prop::sample::select(vec![Align::Left, Align::Center, Align::Right]),
        any::<bool>(),
        prop::option::of(number()),
        number(),
        prop::option::of((number(), number(), number())),
        prop::option::of((number(), number(), number())),
    )
        .prop_map(
            |(parts, align, vertical, max_width, line_height, shadow, background)| Text {
                align,
                vertical,
                max_width,
                line_height,
                shadow: shadow.map(|(x, y, blur)| Shadow {
                    offset: (x, y),
                    blur,
                    colour: Rgba::new(9, 9, 9, 128),
                }),
                background: background.map(|(x, y, radius)| Background {
                    colour: Rgba::new(200, 0, 0, 200),
                    radius,
                    padding: (x, y),
                    offset: (y, x),
                }),
                ..Text::new(parts)
            },
        )
}

proptest! {
    #[test]
    fn any_text_can_be_laid_out_and_drawn(
        text in text(),
        matrix in prop::array::uniform6(number()),
        opacity in number(),
        shown in any::<(u8, u8)>(),
    ) {
        thread_local!(static FONTS: Fonts = Fonts::of_system());
        let layout = FONTS.with(|fonts| fonts.lay_out(&text));
        prop_assert!(layout.width().is_finite() && layout.height().is_finite());
        let mut target = Pixmap::new(64, 48).unwrap();
        let [a, b, c, d, e, f] = matrix;
        let transform = Transform::from_row(a, b, c, d, e, f);
        let shown = usize::from(shown.0)..usize::from(shown.1);
        layout.draw(&mut target.as_mut(), transform, opacity, shown);
        layout.draw(&mut target.as_mut(), Transform::identity(), 0.5, 0..layout.clusters());
    }
}
