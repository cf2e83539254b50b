//! Log lines without secrets, line breaks and control characters.
//!
//! The libraries in this process log what they handle, and addresses carry tokens. So lines are
//! looked over where they leave, not where they are made.

use std::io::{self, Write};

use crate::printable::one_line;
use crate::secrets;

/// A writer that is given whole lines and passes them on without secrets.
pub(super) struct Discreet<W>(pub W);

impl<W: Write> Write for Discreet<W> {
    /// The formatter writes an event at once, so nothing is split between two calls, and only the last line end is
    /// its own: a value with line breaks must not look like further events.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let line = format!("{}\n", one_line(&secrets::without(text)));
        self.0.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_with_line_breaks_is_one_line() {
        let mut written = Vec::new();
        let mut writer = Discreet(&mut written);
        writer
            .write_all(b"one\nERROR two\r\tthree\x1b[31m\n")
            .expect("memory");
        assert_eq!(
            String::from_utf8(written).expect("UTF-8"),
            "one\\nERROR two\\u000d\\tthree\\u001b[31m\n"
        );
    }

    #[test]
    fn a_line_of_json_is_still_one() {
        let address = "https://me:S3CRET@h/ä.mp4?a=\"S3CRET\"&token=S3CRET#S3CRET";
        let line = serde_json::json!({"message": format!("got {address:?}\u{9b}"), "url": address, "token": "S3CRET"});
        let mut written = Vec::new();
        let mut writer = Discreet(&mut written);
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
