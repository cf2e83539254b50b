//! ASS and SSA: a `Dialogue:` line per caption.

use super::{Cue, Line, broken, excerpt, range, time};
use crate::error::Result;

/// The columns where no `Format:` line says otherwise.
const COLUMNS: [&str; 10] = [
    "layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text",
];

/// Where a caption's start, end and text stand.
struct Columns {
    count: usize,
    start: usize,
    end: usize,
}

pub(super) fn is_ass(lines: &[Line<'_>]) -> bool {
    let told = lines.iter().find_map(|line| {
        let text = line.text;
        let section = ["[Script Info]", "[Events]", "[V4 Styles]", "[V4+ Styles]"]
            .iter()
            .any(|section| text.eq_ignore_ascii_case(section));
        if section || value(text, "Dialogue").is_some() {
            return Some(true);
        }
        text.contains("-->").then_some(false)
    });
    told.unwrap_or(false)
}

/// The captions in order of time, without override tags and drawings.
pub(super) fn parse(lines: &[Line<'_>]) -> Result<Vec<Cue>> {
    let mut columns = Columns::new(COLUMNS.into_iter().map(str::to_owned));
    let mut in_events = true;
    let mut cues = Vec::new();
    let mut number = 0;
    for line in lines {
        if line.text.starts_with('[') {
            in_events = line.text.eq_ignore_ascii_case("[Events]");
        } else if let Some(format) = value(line.text, "Format").filter(|_| in_events) {
            let names = format.split(',').map(|name| name.trim().to_lowercase());
            columns = Columns::new(names);
        } else if let Some(dialogue) = value(line.text, "Dialogue") {
            number += 1;
            let cells: Vec<&str> = dialogue.splitn(columns.count, ',').collect();
            let at = |column: usize| cells.get(column).copied().unwrap_or_default();
            let read = |column: usize| {
                time(at(column)).ok_or_else(|| {
                    let found = excerpt(at(column).trim());
                    let what = format!("expected a time like `0:00:01.50`, found {found:?}");
                    broken(number, line.number, what)
                })
            };
            let (start, end) = (read(columns.start)?, read(columns.end)?);
            cues.push(Cue {
                range: range(number, line.number, start, end)?,
                text: plain(at(columns.count - 1)),
            });
        }
    }
    cues.sort_by_key(|cue| cue.range.start);
    Ok(cues)
}

impl Columns {
    fn new(names: impl Iterator<Item = String>) -> Self {
        let names: Vec<String> = names.collect();
        let column = |name: &str, otherwise| {
            let found = names.iter().position(|other| other == name);
            found.unwrap_or(otherwise)
        };
        Self {
            count: names.len().max(1),
            start: column("start", 1),
            end: column("end", 2),
        }
    }
}

/// What follows `name:`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (before, after) = text.split_once(':')?;
    before
        .trim()
        .eq_ignore_ascii_case(name)
        .then(|| after.trim())
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut drawing = false;
    let mut rest = text;
    loop {
        let (before, tags, after) = match rest.split_once('{') {
            Some((before, tagged)) => match tagged.split_once('}') {
                Some((tags, after)) => (before, tags, after),
                None => (rest, "", ""),
            },
            None => (rest, "", ""),
        };
        if !drawing {
            plain.push_str(before);
        }
        for tag in tags.split('\\') {
            // `\p1` begins a drawing, `\p0` ends it; `\pos` and `\pbo` are others.
            if let Some(Ok(scale)) = tag.trim().strip_prefix('p').map(str::parse::<u32>) {
                drawing = scale > 0;
            }
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let plain = plain
        .replace("\\N", "\n")
        .replace("\\n", "\n")
        .replace("\\h", "\u{a0}");
    let lines: Vec<&str> = plain.split('\n').map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}
