//! Text for people on stdout: coloured on a terminal that shows colours (`NO_COLOR` is honoured), wrapped to its width.
//! Pipes get the words alone, one line each.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use console::{Style, Term};

use crate::printable::one_line;

/// The width of output that nothing else decides, in columns.
pub(super) const COLUMNS: usize = 80;

/// Lines that are built up and printed together.
#[derive(Debug, Default)]
pub(super) struct Painted {
    out: String,
    /// Columns of the terminal; none where stdout is not one, and lines are not wrapped.
    columns: Option<usize>,
}

impl Painted {
    pub(super) fn new() -> Self {
        let columns = io::stdout().is_terminal().then(|| {
            let (_, columns) = Term::stdout().size();
            usize::from(columns).clamp(40, 120)
        });
        Self {
            out: String::new(),
            columns,
        }
    }

    /// Adds words in a style to the line.
    pub(super) fn add(&mut self, style: &Style, text: &str) -> &mut Self {
        let text = one_line(text);
        if !text.is_empty() {
            self.out
                .push_str(&style.apply_to(text.as_ref()).to_string());
        }
        self
    }

    /// Adds words to the line, cut or filled up to a number of columns.
    pub(super) fn cell(&mut self, style: &Style, text: &str, columns: usize) -> &mut Self {
        let text = one_line(text);
        let cut = console::truncate_str(&text, columns, "…");
        let free = columns.saturating_sub(console::measure_text_width(&cut));
        self.add(style, &cut);
        self.out.push_str(&" ".repeat(free));
        self
    }

    /// Ends the line.
    pub(super) fn end(&mut self) -> &mut Self {
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
        self.out.push('\n');
        self
    }

    /// Adds a paragraph of its own: a label, then text that is wrapped and indented by as much as the label takes.
    pub(super) fn paragraph(&mut self, style: &Style, label: &str, text: &str) -> &mut Self {
        let indent = console::measure_text_width(label);
        for (at, line) in text.lines().enumerate() {
            for (part, words) in self.wrapped(line, indent).into_iter().enumerate() {
                if (at, part) == (0, 0) {
                    self.add(style, label);
                } else {
                    self.out.push_str(&" ".repeat(indent));
                }
                self.add(&Style::new(), &words).end();
            }
        }
        self
    }

    /// The line in parts that fit the terminal beside the indent; a word that is longer than that stays whole.
    fn wrapped(&self, line: &str, indent: usize) -> Vec<String> {
        let Some(columns) = self.columns else {
            return vec![line.to_owned()];
        };
        let room = columns.saturating_sub(indent).max(20);
        let mut parts = vec![String::new()];
        let mut used = 0;
        for word in line.split_whitespace() {
            let width = console::measure_text_width(word);
            let part = parts.last_mut().expect("there is one from the start");
            if used > 0 && used + 1 + width > room {
                parts.push(word.to_owned());
                used = width;
            } else {
                if used > 0 {
                    part.push(' ');
                    used += 1;
                }
                part.push_str(word);
                used += width;
            }
        }
        parts
    }

    /// Writes everything to stdout. A reader that has gone is not a failure.
    pub(super) fn print(&self) -> anyhow::Result<ExitCode> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(self.out.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            written => Ok(written.map(|()| ExitCode::SUCCESS)?),
        }
    }
}

pub(super) fn plain() -> Style {
    Style::new()
}

pub(super) fn good() -> Style {
    Style::new().green()
}

pub(super) fn bad() -> Style {
    Style::new().red().bold()
}

pub(super) fn warning() -> Style {
    Style::new().yellow()
}

pub(super) fn faint() -> Style {
    Style::new().dim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(columns: usize) -> Painted {
        Painted {
            out: String::new(),
            columns: Some(columns),
        }
    }

    #[test]
    fn paragraphs_are_wrapped_on_a_terminal_only() {
        let text = "one two three four five six seven";
        let mut painted = on(30);
        painted.paragraph(&plain(), "note: ", text);
        assert_eq!(
            painted.out,
            "note: one two three four five\n      six seven\n"
        );
        let mut painted = Painted::default();
        painted.paragraph(&plain(), "note: ", text);
        assert_eq!(painted.out, format!("note: {text}\n"));
    }

    #[test]
    fn cells_are_cut_by_columns_not_by_letters() {
        let mut painted = on(80);
        painted
            .cell(&plain(), "第一个视频草稿", 8)
            .add(&plain(), "|");
        assert_eq!(painted.out, "第一个… |");
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let mut painted = on(80);
        painted.add(&plain(), "a\u{1b}[2Jb\nc").end();
        assert_eq!(painted.out, "a\\u001b[2Jb\\nc\n");
    }
}
