//! The id of a message that cannot be read as JSON: found while the bytes pass, so that the error names
//! the request that it answers.

use rmcp::model::RequestId;

/// Longer keys are not `id`, and longer values are not worth repeating.
const MOST: usize = 256;

/// Looks for the member `id` of the outermost object, piece by piece.
#[derive(Debug, Default)]
pub(super) struct IdFinder {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The text of the outermost object that was read last: a key, if a colon follows.
    text: Vec<u8>,
    /// What stands after `"id":`, up to where it ends.
    value: Option<Vec<u8>>,
    found: Option<RequestId>,
}

impl IdFinder {
    pub(super) fn of(bytes: &[u8]) -> Option<RequestId> {
        let mut finder = Self::default();
        finder.read(bytes);
        finder.found()
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.found.is_some() {
                return;
            }
            self.step(*byte);
        }
    }

    /// The id, if it was whole.
    pub(super) fn found(self) -> Option<RequestId> {
        self.found
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.text.clear();
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.value = None;
            }
            b'}' | b']' | b',' => {
                self.end_value();
                if byte != b',' {
                    self.depth = self.depth.saturating_sub(1);
                }
            }
            b':' if self.depth == 1 && self.text == br#""id""# => self.value = Some(Vec::new()),
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth != 1 {
            return;
        }
        if self.in_string && self.text.len() < MOST {
            self.text.push(byte);
        }
        if let Some(value) = &mut self.value {
            value.push(byte);
            if value.len() > MOST {
                self.value = None;
            }
        }
    }

    fn end_value(&mut self) {
        if let Some(value) = self.value.take() {
            self.found = serde_json::from_slice(&value).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_on_both_sides_of_what_cannot_be_read() {
        let text = |text: &str| Some(RequestId::String(text.into()));
        for (message, id) in [
            (
                r#"{"id":7,"params":{"t":"\ud83d"}}"#,
                Some(RequestId::Number(7)),
            ),
            (
                r#"{"params":{"id":1,"t":"\ud83d\"}"},"id" : "a b" }"#,
                text("a b"),
            ),
            (
                r#"{"method":"id","params":[{"id":2},"id"],"id":3}"#,
                Some(RequestId::Number(3)),
            ),
            (r#"{"id":"x","params":{"te"#, text("x")),
            (
                r#"{"params":{"a":NaN},"id":-4}"#,
                Some(RequestId::Number(-4)),
            ),
            (r#"{"id":7"#, None),
            (r#"{"id":{"a":1}}"#, None),
            (r#"{"id":1.5}"#, None),
            (r#"[{"id":1}]"#, None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(IdFinder::of(message.as_bytes()), id, "{message}");
            let mut finder = IdFinder::default();
            for byte in message.bytes() {
                finder.read(&[byte]);
            }
            assert_eq!(finder.found(), id, "byte by byte: {message}");
        }
        assert_eq!(
            IdFinder::of(b"{\"t\":\"\xff\xfe\",\"id\":5}"),
            Some(RequestId::Number(5))
        );
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(IdFinder::of(long.as_bytes()), None);
    }
}
