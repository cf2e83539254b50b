//! Text output: on a terminal coloured (unless `NO_COLOR` is set) and wrapped to its width. Pipes get plain text,
//! without wrapping.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use console::{Style, Term};

use crate::printable::one_line;

/// The width of a line of output in columns, if it does not follow from the terminal.
pub(super) const COLUMNS: usize = 80;

/// Lines that are built up and printed together.
#[derive(Debug, Default)]
pub(super) struct Painted {
    out: String,
    /// Columns of the terminal; `None` if stdout is not a terminal, which disables wrapping.
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

    /// Adds words to the line, cut or padded to a number of columns.
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

    /// Adds a paragraph: a label, then text that is wrapped and indented by the width of the label.
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

    /// The line split into parts that fit the terminal after the indent. Longer words stay whole.
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

    /// Writes everything to stdout. A closed pipe is not a failure.
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
    fn paragraphs_are_wrapped_only_on_a_terminal() {
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
