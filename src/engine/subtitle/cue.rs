//! The cue model that every reader fills: times, text, style and position; and notes on what was changed or
//! left out.

use std::sync::Arc;

use crate::draft::text::{Karaoke, KaraokeMode, Rgb};
use crate::units::{Micros, Range};

/// One caption.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cue {
    /// The number in the file, or counted from 1.
    pub number: u64,
    pub range: Range,
    /// Without markup; lines separated by `\n`.
    pub text: String,
    /// The file's style for the whole caption; arguments of a call take precedence.
    pub style: LetterStyle,
    /// Parts with their own style, in order; the rest has the style of the whole.
    pub parts: Vec<CueSpan>,
    pub place: CuePosition,
    /// What the file defines for the caption as a whole.
    pub frame: CueFrame,
    /// The times of its words, in order, if they are known.
    pub words: Vec<CueWord>,
    /// How words are emphasised when they are sung, if the file has karaoke.
    pub sung: Option<Karaoke>,
}

/// Characters `from` to `to` (exclusive) of a caption, and when they are spoken or sung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CueWord {
    pub from: u32,
    pub to: u32,
    /// On the clock of its caption's range.
    pub start: Micros,
    pub end: Micros,
}

impl Cue {
    /// The times of its words relative to its start, within its range; words outside of it are left out.
    pub(crate) fn own_words(&self) -> Vec<CueWord> {
        let inside = |time: Micros| {
            (time - self.range.start)
                .max(Micros::ZERO)
                .min(self.range.duration)
        };
        let words = self.words.iter().map(|word| CueWord {
            start: inside(word.start),
            end: inside(word.end),
            ..*word
        });
        words.filter(|word| word.end > word.start).collect()
    }

    /// Whether it has anything beyond text and times.
    pub(crate) fn has_look(&self) -> bool {
        !self.parts.is_empty()
            || !self.style.is_plain()
            || self.place != CuePosition::default()
            || self.frame != CueFrame::default()
            || self.sung.is_some()
    }
}

/// Characters `from` to `to` (exclusive) with their own style.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CueSpan {
    pub from: u32,
    pub to: u32,
    pub letters: LetterStyle,
}

/// The style of letters; `None` where the file does not define it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LetterStyle {
    /// The name as the file has it.
    pub font: Option<Arc<str>>,
    pub bold: Option<bool>,
    pub italic: Option<bool>,
    pub underline: Option<bool>,
    pub color: Option<Rgb>,
    /// From 0 to 1.
    pub alpha: Option<f64>,
    pub outline: Option<f64>,
    pub size: Option<LetterSize>,
    pub outline_color: Option<Rgb>,
    /// From 0 to 1.
    pub outline_alpha: Option<f64>,
}

/// The size of letters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LetterSize {
    /// In comparison with the size that the call gives.
    Times(f64),
    /// Pixels on a canvas of this width and height, from the top of the highest letters to the bottom of the lowest.
    OfScript { size: f64, canvas: (f64, f64) },
}

impl LetterStyle {
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// This style, completed with `below` where it is undefined.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            font: self.font.or(below.font),
            bold: self.bold.or(below.bold),
            italic: self.italic.or(below.italic),
            underline: self.underline.or(below.underline),
            color: self.color.or(below.color),
            alpha: self.alpha.or(below.alpha),
            outline: self.outline.or(below.outline),
            size: self.size.or(below.size),
            outline_color: self.outline_color.or(below.outline_color),
            outline_alpha: self.outline_alpha.or(below.outline_alpha),
        }
    }
}

/// What applies to a caption as a whole; `None` where the file does not define it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CueFrame {
    /// The offset of the shadow to the right and downwards, in ems.
    pub shadow: (Option<f64>, Option<f64>),
    pub shadow_color: Option<Rgb>,
    /// From 0 to 1.
    pub shadow_alpha: Option<f64>,
    /// Factors of the width and height.
    pub scale: (Option<f64>, Option<f64>),
    /// Additional space between letters, in ems.
    pub letter_spacing: Option<f64>,
    /// Degrees, clockwise, around the anchor.
    pub rotation: Option<f64>,
    /// The box behind the text.
    pub background: Option<CueBox>,
}

/// A box behind a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CueBox {
    pub color: Rgb,
    /// From 0 to 1.
    pub alpha: f64,
    /// The distance of its edge from the letters, in ems.
    pub padding: f64,
}

impl CueFrame {
    /// This frame, completed with `below` where it is undefined.
    pub(super) fn over(self, below: Self) -> Self {
        let both = |own: (Option<f64>, Option<f64>), other: (Option<f64>, Option<f64>)| {
            (own.0.or(other.0), own.1.or(other.1))
        };
        Self {
            shadow: both(self.shadow, below.shadow),
            shadow_color: self.shadow_color.or(below.shadow_color),
            shadow_alpha: self.shadow_alpha.or(below.shadow_alpha),
            scale: both(self.scale, below.scale),
            letter_spacing: self.letter_spacing.or(below.letter_spacing),
            rotation: self.rotation.or(below.rotation),
            background: self.background.or(below.background),
        }
    }
}

/// The position of a caption; `None` where the file does not define it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CuePosition {
    /// `-1`, `0` or `1` on each axis: left, centre, right and bottom, centre, top.
    pub anchor: Option<(i8, i8)>,
    /// The position of the anchor as fractions of the canvas from its upper left corner; an undefined axis
    /// follows from the anchor.
    pub point: (Option<f64>, Option<f64>),
    /// The file places this caption by itself, so that it is not moved for others that are shown at the same time.
    pub pinned: bool,
    /// The distances of the text from the left, the right and the lower or upper edge, as fractions of the canvas.
    pub margins: Option<(f64, f64, f64)>,
    /// Width of the text box as a fraction of the canvas width.
    pub width: Option<f64>,
    /// Alignment of lines: `-1` start, `0` centre, `1` end.
    pub align: Option<i8>,
    pub vertical: bool,
}

/// The prefix of notes on cues that are not shown.
const LEFT_OUT: &str = "left out, because ";
/// Maximum cue numbers per note.
const NUMBERS: usize = 5;
/// Maximum notes per file.
const NOTES: usize = 20;

/// What was changed or left out, and in which cues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    list: Vec<CueNote>,
    /// The number of notes beyond the limit.
    more: usize,
}

#[derive(Clone, Debug)]
struct CueNote {
    what: String,
    /// What the numbers count: "cue" or "word".
    of: &'static str,
    /// The first numbers.
    cues: Vec<u64>,
    /// The texts of the first words; empty for cues.
    texts: Vec<String>,
    last: Option<u64>,
    count: usize,
}

impl CueNote {
    fn line(&self, numbers: bool) -> String {
        match self.count {
            0 => self.what.clone(),
            count if numbers => {
                let names = listed(self.of, &self.cues, count, &self.texts);
                format!("{names}: {}", self.what)
            }
            1 => format!("1 {}: {}", self.of, self.what),
            count => format!("{count} {}s: {}", self.of, self.what),
        }
    }
}

impl Notes {
    /// Adds a note on the whole file.
    pub(crate) fn of_file(&mut self, what: impl Into<String>) {
        self.enter(what.into());
    }

    /// Adds a note on one cue.
    pub(crate) fn of_cue(&mut self, cue: u64, what: impl AsRef<str>) {
        self.of("cue", cue, None, what.as_ref());
    }

    /// Adds a note on one word of a transcript, by its number and text.
    pub(crate) fn of_word(&mut self, word: u64, text: &str, what: impl AsRef<str>) {
        self.of("word", word, Some(text), what.as_ref());
    }

    fn of(&mut self, of: &'static str, number: u64, text: Option<&str>, what: &str) {
        let place = match self.list.iter().position(|note| note.what == what) {
            Some(place) => place,
            None => match self.enter(what.to_owned()) {
                Some(place) => place,
                None => return,
            },
        };
        let note = &mut self.list[place];
        note.of = of;
        if note.last.replace(number) == Some(number) {
            return;
        }
        note.count += 1;
        if note.cues.len() < NUMBERS {
            note.cues.push(number);
            note.texts.extend(text.map(str::to_owned));
        }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for note in other.list {
            let place = match self.list.iter().position(|own| own.what == note.what) {
                Some(place) => place,
                None => match self.enter(note.what) {
                    Some(place) => place,
                    None => continue,
                },
            };
            let own = &mut self.list[place];
            own.of = note.of;
            own.count += note.count;
            let room = NUMBERS.saturating_sub(own.cues.len());
            own.cues.extend(note.cues.into_iter().take(room));
            own.texts.extend(note.texts.into_iter().take(room));
        }
        self.more += other.more;
    }

    /// Lists the cues that were left out, and why.
    pub(super) fn left_out(&self) -> String {
        let notes = self
            .list
            .iter()
            .filter(|note| note.what.starts_with(LEFT_OUT));
        let lines: Vec<String> = notes.map(|note| note.line(true)).collect();
        lines.join("; ")
    }

    fn enter(&mut self, what: String) -> Option<usize> {
        if self.list.len() >= NOTES {
            self.more += 1;
            return None;
        }
        self.list.push(CueNote {
            what,
            of: "cue",
            cues: Vec::new(),
            texts: Vec::new(),
            last: None,
            count: 0,
        });
        Some(self.list.len() - 1)
    }

    /// One line per note. Without `numbers`, only the count of cues: for callers that must not see what is in a
    /// file.
    pub(crate) fn lines(&self, numbers: bool) -> Vec<String> {
        let mut lines: Vec<String> = self.list.iter().map(|note| note.line(numbers)).collect();
        if self.more > 0 {
            lines.push(format!("and {} more changes to the subtitles", self.more));
        }
        lines
    }
}

/// `cue 2`, `cues 2 and 5`, `words 2 "a", 3 "b", 4 "c", 5 "d", 6 "e" and 12 more`.
fn listed(of: &str, numbers: &[u64], count: usize, texts: &[String]) -> String {
    let names: Vec<String> = numbers
        .iter()
        .enumerate()
        .map(|(index, number)| match texts.get(index) {
            Some(text) => format!("{number} {text}"),
            None => number.to_string(),
        })
        .collect();
    match (names.as_slice(), count - names.len()) {
        ([], _) => format!("no {of}"),
        ([one], 0) => format!("{of} {one}"),
        ([first @ .., last], 0) => format!("{of}s {} and {last}", first.join(", ")),
        (all, more) => format!("{of}s {} and {more} more", all.join(", ")),
    }
}

/// Lists cue numbers as in notes.
pub(crate) fn numbered(cues: impl Iterator<Item = u64>) -> String {
    let mut first = Vec::new();
    let mut count = 0;
    for cue in cues {
        count += 1;
        if first.len() < NUMBERS {
            first.push(cue);
        }
    }
    listed("cue", &first, count, &[])
}

/// A time between the words of a caption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimeMark {
    /// The text up to the next mark is sung for this long, in this way.
    Lasts(Micros, KaraokeMode),
    /// The next text begins this long after the start of the caption.
    After(Micros),
    /// The next text begins at this time of the file.
    At(Micros),
}

/// Builds the text of a cue with its styles; drops spaces at the ends of lines.
#[derive(Debug, Default)]
pub(super) struct Marked {
    text: String,
    count: u32,
    parts: Vec<CueSpan>,
    /// The style of the text that is added next.
    pub letters: LetterStyle,
    marks: Vec<(u32, TimeMark)>,
    /// Spaces that are kept only if more text follows on the line.
    spaces: Vec<(char, LetterStyle)>,
    breaks: u32,
}

impl Marked {
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars() {
            self.push_char(c);
        }
    }

    fn push_char(&mut self, c: char) {
        if c == '\n' {
            self.spaces.clear();
            self.breaks += u32::from(self.count > 0);
            return;
        }
        if c.is_whitespace() && c != '\u{a0}' {
            if self.breaks == 0 && self.count > 0 {
                self.spaces.push((c, self.letters.clone()));
            }
            return;
        }
        for _ in 0..std::mem::take(&mut self.breaks) {
            self.add('\n', self.letters.clone());
        }
        for (space, letters) in std::mem::take(&mut self.spaces) {
            self.add(space, letters);
        }
        self.add(c, self.letters.clone());
    }

    fn add(&mut self, c: char, letters: LetterStyle) {
        let at = self.count;
        self.text.push(c);
        self.count += 1;
        if letters.is_plain() {
            return;
        }
        match self.parts.last_mut() {
            Some(part) if part.to == at && part.letters == letters => part.to += 1,
            _ => self.parts.push(CueSpan {
                from: at,
                to: at + 1,
                letters,
            }),
        }
    }

    /// Whether no text was added yet.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Marks the place of the text that is added next.
    pub(super) fn mark(&mut self, mark: TimeMark) {
        self.marks.push((self.count, mark));
    }

    /// The text and its styled parts, and its marks by character.
    pub(super) fn finish(self) -> (String, Vec<CueSpan>, Vec<(u32, TimeMark)>) {
        (self.text, self.parts, self.marks)
    }
}
