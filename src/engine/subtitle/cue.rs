//! The cue model that every reader fills: times, words, how parts of them look, where they stand; and what was
//! changed or left out on the way.

use crate::draft::text::Rgb;
use crate::units::Range;

/// One caption.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cue {
    /// As the file numbers it, or counted from 1.
    pub number: u64,
    pub range: Range,
    /// Without markup; lines divided by `\n`.
    pub text: String,
    /// What a style of the file says of the whole caption; the arguments of a call go before it.
    pub style: Letters,
    /// Parts with marked letters, in order; the rest is as the whole.
    pub parts: Vec<Part>,
    pub place: Place,
}

impl Cue {
    pub(super) fn lines(&self) -> usize {
        self.text.split('\n').count()
    }

    /// Whether anything of it is not told by its words and times.
    pub(super) fn has_look(&self) -> bool {
        !self.parts.is_empty() || !self.style.is_plain() || self.place != Place::default()
    }
}

/// Characters `from` to before `to` that are marked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub from: u32,
    pub to: u32,
    pub letters: Letters,
}

/// How letters look, as far as it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Letters {
    pub bold: Option<bool>,
    pub italic: Option<bool>,
    pub underline: Option<bool>,
    pub color: Option<Rgb>,
    /// From 0 to 1.
    pub alpha: Option<f64>,
    pub outline: Option<f64>,
    pub outline_color: Option<Rgb>,
    /// From 0 to 1.
    pub outline_alpha: Option<f64>,
}

impl Letters {
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// These, and those of `below` where these say nothing.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            bold: self.bold.or(below.bold),
            italic: self.italic.or(below.italic),
            underline: self.underline.or(below.underline),
            color: self.color.or(below.color),
            alpha: self.alpha.or(below.alpha),
            outline: self.outline.or(below.outline),
            outline_color: self.outline_color.or(below.outline_color),
            outline_alpha: self.outline_alpha.or(below.outline_alpha),
        }
    }
}

/// Where a caption stands, as far as it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// `-1`, `0` or `1` on each axis: left, centre, right and bottom, centre, top.
    pub anchor: Option<(i8, i8)>,
    /// Where the anchor is, in parts of the canvas from its upper left corner; an axis may be left to the anchor.
    pub point: (Option<f64>, Option<f64>),
    /// Width of the text box in parts of the canvas.
    pub width: Option<f64>,
    /// Lines begin, are centred or end: `-1`, `0` or `1`.
    pub align: Option<i8>,
    pub vertical: bool,
}

/// What notes of cues that are not shown begin with.
const LEFT_OUT: &str = "left out, because ";
/// Cues of which something is told by their numbers.
const NUMBERS: usize = 5;
/// Notes of one file.
const NOTES: usize = 20;

/// What was changed or left out, and in which cues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    list: Vec<Note>,
    /// Notes for which there was no room.
    more: usize,
}

#[derive(Clone, Debug)]
struct Note {
    what: String,
    /// The first of them.
    cues: Vec<u64>,
    last: Option<u64>,
    count: usize,
}

impl Note {
    fn line(&self, numbers: bool) -> String {
        match self.count {
            0 => self.what.clone(),
            count if numbers => format!("{}: {}", listed(&self.cues, count), self.what),
            1 => format!("1 cue: {}", self.what),
            count => format!("{count} cues: {}", self.what),
        }
    }
}

impl Notes {
    /// Something of the whole file.
    pub(crate) fn of_file(&mut self, what: impl Into<String>) {
        self.enter(what.into());
    }

    /// Something of one cue.
    pub(crate) fn of_cue(&mut self, cue: u64, what: impl AsRef<str>) {
        let what = what.as_ref();
        let place = match self.list.iter().position(|note| note.what == what) {
            Some(place) => place,
            None => match self.enter(what.to_owned()) {
                Some(place) => place,
                None => return,
            },
        };
        let note = &mut self.list[place];
        if note.last.replace(cue) == Some(cue) {
            return;
        }
        note.count += 1;
        if note.cues.len() < NUMBERS {
            note.cues.push(cue);
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
            own.count += note.count;
            let room = NUMBERS.saturating_sub(own.cues.len());
            own.cues.extend(note.cues.into_iter().take(room));
        }
        self.more += other.more;
    }

    /// Which cues were left out, and why.
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
        self.list.push(Note {
            what,
            cues: Vec::new(),
            last: None,
            count: 0,
        });
        Some(self.list.len() - 1)
    }

    /// A line each. Without `numbers` only how many cues: for callers that must not learn what is in a file.
    pub(crate) fn lines(&self, numbers: bool) -> Vec<String> {
        let mut lines: Vec<String> = self.list.iter().map(|note| note.line(numbers)).collect();
        if self.more > 0 {
            lines.push(format!("and {} more changes to the subtitles", self.more));
        }
        lines
    }
}

/// `cue 2`, `cues 2 and 5`, `cues 2, 3, 4, 5, 6 and 12 more`.
fn listed(cues: &[u64], count: usize) -> String {
    let numbers: Vec<String> = cues.iter().map(u64::to_string).collect();
    match (numbers.as_slice(), count - cues.len()) {
        ([], _) => "no cue".to_owned(),
        ([one], 0) => format!("cue {one}"),
        ([first @ .., last], 0) => format!("cues {} and {last}", first.join(", ")),
        (all, more) => format!("cues {} and {more} more", all.join(", ")),
    }
}

/// The cues of these numbers, as notes name them.
pub(crate) fn numbered(cues: impl Iterator<Item = u64>) -> String {
    let mut first = Vec::new();
    let mut count = 0;
    for cue in cues {
        count += 1;
        if first.len() < NUMBERS {
            first.push(cue);
        }
    }
    listed(&first, count)
}

/// What a cue says with its letters, as it is put together: spaces at the ends of lines are dropped.
#[derive(Debug, Default)]
pub(super) struct Marked {
    text: String,
    count: u32,
    parts: Vec<Part>,
    /// Of what is added now.
    pub letters: Letters,
    /// Space that is kept if more follows on the line.
    spaces: Vec<(char, Letters)>,
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
                self.spaces.push((c, self.letters));
            }
            return;
        }
        for _ in 0..std::mem::take(&mut self.breaks) {
            self.add('\n', self.letters);
        }
        for (space, letters) in std::mem::take(&mut self.spaces) {
            self.add(space, letters);
        }
        self.add(c, self.letters);
    }

    fn add(&mut self, c: char, letters: Letters) {
        let at = self.count;
        self.text.push(c);
        self.count += 1;
        if letters.is_plain() {
            return;
        }
        match self.parts.last_mut() {
            Some(part) if part.to == at && part.letters == letters => part.to += 1,
            _ => self.parts.push(Part {
                from: at,
                to: at + 1,
                letters,
            }),
        }
    }

    /// The text and its marked parts.
    pub(super) fn finish(self) -> (String, Vec<Part>) {
        (self.text, self.parts)
    }
}
