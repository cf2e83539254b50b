//! `at`, `duration`, `from` and `to`: the usual names for times, converted to the times that the tools have.

use serde_json::Value;

use super::{ArgumentSource, Normalizer};
use crate::args::Object;
use crate::args::input_rule::ToolTimes;
use crate::args::property;
use crate::args::scalar::shown;

/// A longer span is more often a mistake of units than intended.
const LONG_SPAN: f64 = 600.0;
/// ToolTimes closer than this are equal.
const NEAR: f64 = 1e-6;

impl Normalizer<'_> {
    pub(super) fn times(&mut self, times: ToolTimes, arguments: &mut Object) {
        match times {
            ToolTimes::File => self.file(arguments),
            ToolTimes::Span { seconds } => self.span(arguments, seconds),
        }
    }

    /// Computes the length from the end on the timeline, and checks the length against the end in the file.
    fn file(&mut self, arguments: &mut Object) {
        let given = ["to", "end_time"]
            .into_iter()
            .find_map(|name| Some((name, arguments.shift_remove(name)?)));
        if let Some((name, value)) = given
            && let Some(to) = self.taken(name, &value)
        {
            let from = number(arguments, "target_start");
            if from.is_none() && self.of == ArgumentSource::Item {
                self.problems.push(format!(
                    "`{name}` is {to} s without `from`: give both, or `duration`"
                ));
                return;
            }
            let from = from.unwrap_or(0.0);
            let length = (to - from) * number(arguments, "speed").unwrap_or(1.0);
            if to <= from {
                self.problems.push(format!(
                    "`{name}` is {to} s, which is not after `{}` ({from} s)",
                    self.sent_as("target_start", "")
                ));
                return;
            }
            match number(arguments, "duration") {
                Some(given) if (given - length).abs() > NEAR => self.problems.push(format!(
                    "`duration` is {given} s, and `{name}` ({to} s) makes it {length} s: give one of them"
                )),
                Some(_) => {}
                None => {
                    arguments.insert("duration".to_owned(), json(length));
                }
            }
        }
        let Some(duration) = number(arguments, "duration") else {
            return;
        };
        if let Some(end) = number(arguments, "end").filter(|end| *end > 0.0) {
            let start = number(arguments, "start").unwrap_or(0.0);
            if (start + duration - end).abs() > NEAR {
                self.problems.push(format!(
                    "`duration` is {duration} s, and `{}` ({end} s) makes it {} s from `{}` ({start} s): give one of them",
                    self.sent_as("end", ""),
                    tidy(end - start),
                    self.sent_as("start", ""),
                ));
            }
        } else if duration <= 0.0 {
            self.problems.push(format!(
                "`duration` is {duration}; it must be a length in seconds above 0"
            ));
        }
    }

    /// Computes the end from the length; with neither, from the usual length.
    fn span(&mut self, arguments: &mut Object, usual: f64) {
        let start = number(arguments, "start");
        let end = number(arguments, "end");
        if let Some(value) = arguments.shift_remove("duration") {
            let Some(duration) = self.taken("duration", &value) else {
                return;
            };
            let start = start.unwrap_or(0.0);
            if duration <= 0.0 {
                self.problems.push(format!(
                    "`duration` is {duration}; it must be a length in seconds above 0"
                ));
                return;
            }
            match end {
                Some(end) if (start + duration - end).abs() > NEAR => self.problems.push(format!(
                    "`duration` is {duration} s, and `{}` ({end} s) makes it {} s from `{}` ({start} s): give one of them",
                    self.sent_as("end", ""),
                    tidy(end - start),
                    self.sent_as("start", ""),
                )),
                Some(_) => {}
                None => {
                    arguments.insert("end".to_owned(), json(start + duration));
                }
            }
        } else if end.is_none()
            && !arguments.contains_key("end")
            && self.of == ArgumentSource::Call
            && let Some(start) = start.filter(|start| *start > 0.0)
        {
            arguments.insert("end".to_owned(), json(start + usual));
        }
        let length = number(arguments, "end").unwrap_or(0.0) - start.unwrap_or(0.0);
        if length > LONG_SPAN && self.of != ArgumentSource::Record {
            self.normalized.notes.push(format!(
                "it is shown for {} s ({} minutes): times are in seconds",
                tidy(length),
                (length / 60.0).round()
            ));
        }
    }

    /// Reads a time that was removed from the arguments.
    fn taken(&mut self, name: &str, value: &Value) -> Option<f64> {
        let mut value = value.clone();
        let row = property::of(name)?;
        match row.read(&mut value) {
            Ok(_) if value.is_number() => value.as_f64(),
            Ok(_) => {
                self.problems.push(format!(
                    "`{name}` is {}, which is not a time; it must be {}",
                    shown(&value),
                    row.says
                ));
                None
            }
            Err(fault) => {
                self.problems.push(format!("`{name}` {fault}"));
                None
            }
        }
    }
}

fn number(arguments: &Object, name: &str) -> Option<f64> {
    property::of(name)?.value(arguments.get(name)?)
}

fn tidy(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

fn json(seconds: f64) -> Value {
    property::json(tidy(seconds))
}
