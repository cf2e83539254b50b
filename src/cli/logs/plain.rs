//! How a line of the plain format looks: `2026-01-02T03:04:05.678901Z  INFO call ended tool=add_text status=ok`.
//!
//! Each call logs a line, so the parts that are written most often are written directly: the fields, and the time, of
//! which only the fraction of the second changes from one line to the next.

use std::fmt::{self, Debug};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{self, FormatTime};

/// The fields of an event: the message first, then `name=value`. Text is quoted unless it is one plain word.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor {
            writer,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.begin(field).and_then(|()| value(&mut self.writer));
        }
    }

    fn begin(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::replace(&mut self.is_first, false) {
            self.writer.write_char(' ')?;
        }
        if field.name() != "message" {
            self.writer.write_str(field.name())?;
            self.writer.write_char('=')?;
        }
        Ok(())
    }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_bare = field.name() == "message" || is_plain(value);
        self.put(field, |writer| {
            if is_bare {
                writer.write_str(value)
            } else {
                write!(writer, "{value:?}")
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer| write!(writer, "{value:?}"));
    }
}

/// The time in UTC with microseconds.
#[derive(Default)]
pub(super) struct Clock(Mutex<Second>);

/// A second since 1970, and its text up to the fraction.
#[derive(Default)]
struct Second {
    number: u64,
    text: String,
}

/// The length of `2026-01-02T03:04:05.`.
const UP_TO_THE_FRACTION: usize = 20;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.text.is_empty() || second.number != now.as_secs() {
            let mut text = String::new();
            time::SystemTime.format_time(&mut Writer::new(&mut text))?;
            if UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() != now.as_secs() {
                // The second ended meanwhile.
                return writer.write_str(&text);
            }
            text.truncate(UP_TO_THE_FRACTION);
            *second = Second {
                number: now.as_secs(),
                text,
            };
        }
        writer.write_str(&second.text)?;
        let mut digits = [b'0'; 6];
        let mut rest = now.subsec_micros();
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        writer.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)?;
        writer.write_char('Z')
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_has_the_time_the_level_the_message_and_the_fields() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .with_target(false)
            .with_timer(Clock::default())
            .fmt_fields(Fields)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(tool = "add_text", tries = 1, ms = 1.5, "call {}", "ended");
            tracing::warn!(name = "a b=c", path = %"x/y", list = ?["z"], "two");
        });
        let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        let [first, second] = lines[..] else {
            panic!("{text}");
        };
        let (time, rest) = first.split_at(27);
        assert_eq!(rest, "  INFO call ended tool=add_text tries=1 ms=1.5");
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
        assert_eq!(
            &second[27..],
            r#"  WARN two name="a b=c" path=x/y list=["z"]"#
        );
    }

    #[test]
    fn times_increase_and_agree_with_those_of_the_library() {
        let clock = Clock::default();
        let of = |clock: &dyn Fn(&mut Writer<'_>) -> fmt::Result| {
            let mut text = String::new();
            clock(&mut Writer::new(&mut text)).expect("a time");
            text
        };
        let mut last = String::new();
        for _ in 0..2_000 {
            let before = of(&|writer| time::SystemTime.format_time(writer));
            let ours = of(&|writer| clock.format_time(writer));
            let after = of(&|writer| time::SystemTime.format_time(writer));
            assert!(before <= ours && ours <= after, "{before} {ours} {after}");
            assert!(last <= ours, "{last} {ours}");
            last = ours;
        }
    }
}
