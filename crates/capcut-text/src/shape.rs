//! A font for each grapheme cluster, then shaping and lines by the layout engine.

use std::collections::HashMap;
use std::sync::Arc;

use parley::fontique::{Collection, CollectionOptions, FontInfoOverride, FontStyle, FontWeight};
use parley::{
    FontContext, FontFamily, FontFamilyName, Layout, LayoutContext, LineHeight, OverflowWrap,
    TextStyle,
};
use unicode_script::{Script, UnicodeScript};
use unicode_segmentation::UnicodeSegmentation;

use crate::clusters::{is_emoji, is_line_end, is_never_seen};
use crate::fonts::{ChosenFace, FontSet, Wanted};
use crate::glyphs::GlyphCache;
use crate::layout::TextLayout;
use crate::missing;
use crate::place::Placing;
use crate::text::{FontChoice, Language, MOST_CHARACTERS, Text};

/// Drawn for a cluster that no font has; the embedded font has it.
const BOX: char = '□';

/// A range of the shaped text in one style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RunStyle {
    pub part: usize,
    pub face: Option<ChosenFace>,
}

/// One cluster in the text that is shaped.
pub(crate) struct ShapedCluster {
    /// Where it begins in the shaped text.
    pub start: usize,
    /// Its number among the clusters that are counted; that of the next for the end of a line.
    pub number: usize,
}

/// The text as it is given to the layout engine: without what is never drawn, with boxes for what no font has.
#[derive(Default)]
pub(crate) struct Prepared {
    text: String,
    pub clusters: Vec<ShapedCluster>,
    runs: Vec<(RunStyle, usize)>,
    counted: usize,
    missing: Vec<(char, bool)>,
    is_cut: bool,
}

/// The layout engine and the faces that it knows.
pub(crate) struct Shaper {
    fonts: FontContext,
    layouts: LayoutContext<u32>,
    /// Whether a face can be used, by its place.
    known: HashMap<usize, bool>,
}

impl Shaper {
    pub(crate) fn new() -> Self {
        let options = CollectionOptions {
            shared: false,
            system_fonts: false,
        };
        Self {
            fonts: FontContext {
                collection: Collection::new(options),
                ..FontContext::default()
            },
            layouts: LayoutContext::new(),
            known: HashMap::new(),
        }
    }

    /// Lays out a text whose values are within their limits.
    pub(crate) fn lay_out(
        &mut self,
        set: &FontSet,
        glyphs: &GlyphCache,
        text: &Text,
    ) -> TextLayout {
        let mut replaced = Vec::new();
        let named: Vec<Vec<usize>> = text
            .parts
            .iter()
            .map(|part| {
                let found = set.named(&part.font);
                if found.is_empty()
                    && let Some(name) = name_of(&part.font)
                    && !replaced.contains(&name)
                {
                    replaced.push(name);
                }
                found
            })
            .collect();
        let prepared = self.prepare(set, text, &named);
        let mut layout = TextLayout {
            text: Arc::new(text.clone()),
            width: 0.0,
            height: 0.0,
            baseline: 0.0,
            clusters: prepared.counted,
            lines: 0,
            glyphs: Vec::new(),
            underlines: Vec::new(),
            missing: missing::by_script(prepared.missing.iter().copied()),
            replaced,
            is_cut: prepared.is_cut,
        };
        if prepared.text.is_empty() {
            return layout;
        }
        let (shaped, styles) = self.shape(text, &prepared);
        let placing = Placing {
            set,
            glyphs,
            prepared: &prepared,
            styles: &styles,
        };
        if text.vertical {
            placing.columns(&shaped, &mut layout);
        } else {
            placing.lines(&shaped, &mut layout);
        }
        // Drawing finds those of a part at once.
        layout.glyphs.sort_by_key(|glyph| glyph.part);
        layout.underlines.sort_by_key(|line| line.part);
        layout
    }

    fn prepare(&mut self, set: &FontSet, text: &Text, named: &[Vec<usize>]) -> Prepared {
        let mut all = String::new();
        // Where each part ends in the whole text.
        let mut ends = Vec::new();
        let mut left = MOST_CHARACTERS;
        let mut is_cut = false;
        for part in &text.parts {
            let mut rest = part.text.chars();
            for character in rest.by_ref().take(left) {
                all.push(character);
                left -= 1;
            }
            is_cut |= rest.next().is_some();
            ends.push(all.len());
        }
        let language = text.language.unwrap_or_else(|| language_of(&all));
        let mut prepared = Prepared {
            is_cut,
            ..Prepared::default()
        };
        let mut part = 0;
        let mut last: Option<ChosenFace> = None;
        let mut choices: HashMap<(&str, usize, Option<ChosenFace>), Option<ChosenFace>> =
            HashMap::new();
        for (at, cluster) in all.grapheme_indices(true) {
            while ends.get(part).is_some_and(|end| *end <= at) {
                part += 1;
                last = None;
            }
            let start = prepared.text.len();
            let number = prepared.counted;
            let is_end = is_line_end(cluster);
            let wanted = Wanted {
                choice: &text.parts[part].font,
                named: &named[part],
                language,
                is_emoji: is_emoji(cluster),
            };
            if is_end {
                prepared.text.push('\n');
            } else if cluster == "\t" {
                prepared.text.push_str("    ");
            }
            let chosen = *choices
                .entry((cluster, part, last))
                .or_insert_with(|| set.choose(cluster, &wanted, last));
            let chosen = chosen.filter(|chosen| self.is_usable(set, chosen.face));
            if prepared.text.len() == start {
                let mut was_seen = false;
                for character in cluster.chars() {
                    let has = chosen.is_some_and(|chosen| set.faces[chosen.face].has(character));
                    if has || is_never_seen(character) && !character.is_control() {
                        prepared.text.push(character);
                    } else if !is_never_seen(character) {
                        prepared.missing.push((character, wanted.is_emoji));
                        was_seen = true;
                    }
                }
                if was_seen && chosen.is_none() {
                    prepared.text.truncate(start);
                    prepared.text.push(BOX);
                }
            }
            if prepared.text.len() == start {
                // A control character.
                continue;
            }
            let style = RunStyle {
                part,
                face: chosen.or_else(|| {
                    let face = set.faces.len().checked_sub(1)?;
                    self.is_usable(set, face).then_some(ChosenFace {
                        face,
                        embolden: false,
                        bold_axis: false,
                        slant: false,
                    })
                }),
            };
            prepared.clusters.push(ShapedCluster { start, number });
            if !is_end {
                prepared.counted += 1;
            }
            let end = prepared.text.len();
            match prepared.runs.last_mut() {
                Some((known, until)) if *known == style => *until = end,
                _ => prepared.runs.push((style, end)),
            }
            last = chosen.or(last);
        }
        prepared
    }

    /// Makes a face known to the layout engine; `false` if it cannot be used.
    fn is_usable(&mut self, set: &FontSet, face: usize) -> bool {
        if let Some(usable) = self.known.get(&face) {
            return *usable;
        }
        let name = family_name(face);
        let added = set.faces[face].data().map(|data| {
            let same = FontInfoOverride {
                family_name: Some(&name),
                weight: Some(FontWeight::NORMAL),
                style: Some(FontStyle::Normal),
                ..FontInfoOverride::default()
            };
            self.fonts
                .collection
                .register_fonts(data.clone(), Some(same))
        });
        let usable = added.is_some_and(|added| !added.is_empty());
        self.known.insert(face, usable);
        usable
    }

    fn shape(&mut self, text: &Text, prepared: &Prepared) -> (Layout<u32>, Vec<RunStyle>) {
        let mut styles: Vec<RunStyle> = Vec::new();
        let mut numbers: HashMap<RunStyle, u16> = HashMap::new();
        let mut builder =
            self.layouts
                .style_run_builder(&mut self.fonts, &prepared.text, 1.0, false);
        let mut start = 0;
        for (style, end) in &prepared.runs {
            // There are fewer styles than characters, which are limited.
            let number = *numbers.entry(*style).or_insert_with(|| {
                styles.push(*style);
                let part = &text.parts[style.part];
                let name = style
                    .face
                    .map_or_else(String::new, |face| family_name(face.face));
                let is_bold = style.face.is_some_and(|face| face.bold_axis);
                builder.push_style(TextStyle {
                    font_family: FontFamily::Single(FontFamilyName::Named(name.into())),
                    font_size: part.size,
                    font_weight: if is_bold {
                        FontWeight::BOLD
                    } else {
                        FontWeight::NORMAL
                    },
                    brush: styles.len() as u32 - 1,
                    line_height: LineHeight::FontSizeRelative(text.line_height),
                    letter_spacing: part.letter_spacing,
                    overflow_wrap: OverflowWrap::Anywhere,
                    ..TextStyle::default()
                })
            });
            builder.push_style_run(number, start..*end);
            start = *end;
        }
        let mut layout = builder.build(&prepared.text);
        let width = text.max_width.filter(|_| !text.vertical);
        layout.break_all_lines(width);
        (layout, styles)
    }
}

fn family_name(face: usize) -> String {
    format!("face {face}")
}

fn name_of(font: &FontChoice) -> Option<String> {
    let file = font.file.as_deref().and_then(|file| file.file_name());
    let file = file.map(|name| name.to_string_lossy().into_owned());
    let family = font.family.clone().filter(|family| !family.is_empty());
    family.or(file)
}

/// The language by the scripts that only one language has.
fn language_of(text: &str) -> Language {
    let mut language = Language::SimplifiedChinese;
    for character in text.chars() {
        match character.script() {
            Script::Hiragana | Script::Katakana => return Language::Japanese,
            Script::Hangul => language = Language::Korean,
            _ => {}
        }
    }
    language
}
