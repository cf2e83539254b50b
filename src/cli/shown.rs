//! Progress in the shell: a bar on a terminal, otherwise lines, events or nothing.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli;
use crate::exec::{Progress, Step};
use crate::printable::printable;
use crate::progress::Pace;

/// How often lines report progress.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What to show without a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// A line on stderr for each step.
    Lines,
    /// A JSON line on stdout for each step, also on a terminal.
    Events,
    Nothing,
}

impl Without {
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Events } else { Self::Lines }
    }
}

pub(super) struct Shown {
    without: Without,
    bar: Option<ProgressBar>,
}

impl Shown {
    pub(crate) fn new(without: Without) -> Self {
        let bar = without != Without::Events && std::io::stderr().is_terminal();
        let bar = bar.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} % {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { without, bar }
    }

    pub(crate) fn progress(&self) -> Progress {
        let (without, bar) = (self.without, self.bar.clone());
        let pace = Pace::every(LINE_EVERY);
        Arc::new(move |step: Step| match (&bar, without) {
            (Some(bar), _) => show(bar, &step),
            (None, Without::Events) => event(&as_event(&step)),
            (None, Without::Lines) if step.done.fract() == 0.0 || pace.is_due() => {
                cli::say(&match step.total {
                    Some(total) => format!("[{}/{total}] {}", step.done.floor(), step.message),
                    None => step.message,
                });
            }
            (None, _) => {}
        })
    }

    /// Reports that one of many drafts is done.
    pub(crate) fn draft(
        &self,
        done: usize,
        total: usize,
        line: String,
        as_event: impl FnOnce() -> Value,
    ) {
        match (&self.bar, self.without) {
            (Some(bar), _) => show(
                bar,
                &Step {
                    done: done as f64,
                    total: Some(total as f64),
                    message: line,
                    bytes: None,
                },
            ),
            (None, Without::Events) => event(&as_event()),
            (None, Without::Lines) => cli::say(&format!("[{done}/{total}] {line}")),
            (None, Without::Nothing) => {}
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows a step, in thousandths because a step can be partly done.
fn show(bar: &ProgressBar, step: &Step) {
    if let Some(total) = step.total {
        bar.set_length((total * 1000.0) as u64);
    }
    bar.set_position((step.done * 1000.0) as u64);
    bar.set_message(printable(&step.message).into_owned());
}

fn as_event(step: &Step) -> Value {
    let mut event = json!({
        "event": "step", "done": step.done, "total": step.total, "message": step.message,
    });
    if let Some(bytes) = step.bytes {
        event["bytes"] = json!(bytes.done);
        event["total_bytes"] = json!(bytes.of);
    }
    event
}

/// Prints an event. Errors are ignored: a closed stdout is reported when the result is printed.
fn event(event: &Value) {
    let _ = cli::print(&event.to_string());
}
