//! The shapes of a picture, in the order in which they are drawn, and the picture as SVG.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fonts of common systems, Latin first; the viewer falls back to any font that has the character.
const FONTS: &str = "Inter, Helvetica, Arial, 'Segoe UI', 'DejaVu Sans', 'Noto Sans', sans-serif";

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum TimelineTheme {
    #[default]
    Light,
    Dark,
}

/// The colours that depend on the theme, as 0xRRGGBB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThemeColours {
    pub background: u32,
    pub grid: u32,
    /// Of clips.
    pub border: u32,
    /// Of titles.
    pub bright: u32,
    /// Of kinds and times.
    pub pale: u32,
}

impl TimelineTheme {
    pub(crate) fn colours(self) -> ThemeColours {
        match self {
            Self::Light => ThemeColours {
                background: 0xFF_FF_FF,
                grid: 0xE1_E5_EB,
                border: 0xFF_FF_FF,
                bright: 0x1B_1F_27,
                pale: 0x5A_63_72,
            },
            Self::Dark => ThemeColours {
                background: 0x16_18_1D,
                grid: 0x2B_2F_38,
                border: 0x0C_0D_10,
                bright: 0xF2_F4_F8,
                pale: 0x8B_93_A3,
            },
        }
    }
}

/// A picture as shapes. Lengths are pixels, colours 0xRRGGBB.
#[derive(Debug)]
pub(crate) struct ShapeList {
    pub width: f64,
    pub height: f64,
    /// The first is at the bottom.
    pub shapes: Vec<TimelineShape>,
}

#[derive(Debug)]
pub(crate) enum TimelineShape {
    Rect {
        left: f64,
        top: f64,
        width: f64,
        height: f64,
        /// Of the corners.
        radius: f64,
        fill: u32,
        border: Option<u32>,
    },
    Polygon {
        corners: Vec<(f64, f64)>,
        fill: u32,
        opacity: f32,
    },
    /// A vertical line of one pixel.
    Line {
        x: f64,
        top: f64,
        bottom: f64,
        colour: u32,
    },
    Text(TextShape),
    /// Shapes with a title, which viewers of SVG show under the pointer.
    Group {
        title: String,
        shapes: Vec<TimelineShape>,
    },
}

/// A line of words.
#[derive(Debug)]
pub(crate) struct TextShape {
    /// The left end of the baseline, or the right one.
    pub at: (f64, f64),
    pub is_right_aligned: bool,
    pub colour: u32,
    pub size: f64,
    pub words: String,
    /// The width that it may have.
    pub room: f64,
}

impl ShapeList {
    pub(crate) fn svg(&self) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\" font-size=\"12\">\n"
        );
        for shape in &self.shapes {
            shape.write_svg(&mut svg);
            svg.push('\n');
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl TimelineShape {
    fn write_svg(&self, svg: &mut String) {
        let _ = match self {
            Self::Rect {
                left,
                top,
                width,
                height,
                radius,
                fill,
                border,
            } => {
                let border =
                    border.map_or_else(String::new, |border| format!(" stroke=\"#{border:06x}\""));
                write!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" \
                     fill=\"#{fill:06x}\"{border}/>"
                )
            }
            Self::Polygon {
                corners,
                fill,
                opacity,
            } => {
                let corners: Vec<_> = corners
                    .iter()
                    .map(|(x, y)| format!("{x:.1} {y:.1}"))
                    .collect();
                write!(
                    svg,
                    "<path d=\"M{}z\" fill=\"#{fill:06x}\" fill-opacity=\"{opacity}\"/>",
                    corners.join("L")
                )
            }
            Self::Line {
                x,
                top,
                bottom,
                colour,
            } => write!(
                svg,
                "<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"#{colour:06x}\" stroke-width=\"1\"/>"
            ),
            Self::Text(text) => {
                let (x, y) = text.at;
                let anchor = if text.is_right_aligned {
                    " text-anchor=\"end\""
                } else {
                    ""
                };
                write!(
                    svg,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#{:06x}\" font-size=\"{}\"{anchor}>{}</text>",
                    text.colour,
                    text.size,
                    escape(&text.words)
                )
            }
            Self::Group { title, shapes } => {
                svg.push_str("<g><title>");
                svg.push_str(&escape(title));
                svg.push_str("</title>");
                for shape in shapes {
                    shape.write_svg(svg);
                }
                svg.push_str("</g>");
                Ok(())
            }
        };
    }
}

fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Neither these nor control characters are allowed in XML.
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
