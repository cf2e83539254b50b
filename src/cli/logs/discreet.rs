//! Log lines without secrets, line breaks and control characters.
//!
//! The libraries in this process log what they handle, and addresses contain tokens. So lines are filtered on output,
//! not where they are created. The exception is the line of a successful call: it is by far the most frequent, and its
//! few values are filtered where it is created.

use std::io::{self, Write};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::exec::call_log;
use crate::printable::one_line;
use crate::secrets;

/// Creates writers that filter whole lines.
pub(super) struct Discreet<M>(pub M);

/// The writer of one line.
pub(super) struct Line<W> {
    writer: W,
    /// Whether the line needs no filtering.
    is_safe: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Discreet<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            writer: self.0.make_writer(),
            is_safe: false,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Line {
            writer: self.0.make_writer_for(event),
            // Only `rmcp` opens spans, and they have no fields.
            is_safe: call_log::is_safe(event),
        }
    }
}

impl<W: Write> Write for Line<W> {
    /// The formatter writes each event in one call, so nothing is split, and only the final line end is the
    /// formatter's. Other line breaks are from values and are escaped: they must not look like further events.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_safe {
            self.writer.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let line = format!("{}\n", one_line(&secrets::without(text)));
        self.writer.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_with_line_breaks_is_one_line() {
        let mut written = Vec::new();
        let mut writer = Line {
            writer: &mut written,
            is_safe: false,
        };
        writer
            .write_all(b"one\nERROR two\r\tthree\x1b[31m\n")
            .expect("memory");
        assert_eq!(
            String::from_utf8(written).expect("UTF-8"),
            "one\\nERROR two\\u000d\\tthree\\u001b[31m\n"
        );
    }

    #[test]
    fn a_line_of_json_remains_valid() {
        let address = "https://me:S3CRET@h/ä.mp4?a=\"S3CRET\"&token=S3CRET#S3CRET";
        let line = serde_json::json!({"message": format!("got {address:?}\u{9b}"), "url": address, "token": "S3CRET"});
        let mut written = Vec::new();
        let mut writer = Line {
            writer: &mut written,
            is_safe: false,
        };
        writer
            .write_all(line.to_string().as_bytes())
            .expect("memory");
        let text = String::from_utf8(written).expect("UTF-8");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        assert!(text.contains("https://…@h/ä.mp4?"), "{text}");
        assert!(!text.contains("me:S3CRET"), "{text}");
        assert!(!text.contains('\u{9b}'), "{text}");
    }
}
