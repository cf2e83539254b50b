//! Finds the request ids in a message that is not valid JSON, byte by byte as it arrives, so that the error can
//! name the request that it answers.

use rmcp::model::RequestId;

/// Longer keys are not `id`, and longer values are not worth repeating.
const MOST: usize = 256;

/// The maximum number of ids of one line that are answered; a line with more does not contain real calls.
const IDS: usize = 1024;

/// Looks for the member `id` of the outermost objects, piece by piece: of the message, of each message in a
/// batch, and of each of several messages on one line.
#[derive(Debug, Default)]
pub(super) struct IdFinder {
    depth: usize,
    /// The depth of a message's members: one deeper inside a batch.
    members: usize,
    in_string: bool,
    escaped: bool,
    /// The last string read in a message's object: a key if a colon follows.
    text: Vec<u8>,
    /// The text after `"id":`, up to the end of the value.
    value: Option<Vec<u8>>,
    /// The id of the current object. If there are several, the last one counts, as for JSON readers.
    current: Option<RequestId>,
    found: Vec<RequestId>,
    loose: Loose,
}

impl IdFinder {
    pub(super) fn of(bytes: &[u8]) -> Vec<RequestId> {
        let mut finder = Self::default();
        finder.read(bytes);
        finder.found()
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
            self.loose.step(*byte);
        }
    }

    /// The ids that were complete. If the line's braces or quotes are unbalanced: the only id anywhere in it, if
    /// there is exactly one.
    pub(super) fn found(mut self) -> Vec<RequestId> {
        self.end_object();
        if self.found.is_empty() {
            return self.loose.only().into_iter().collect();
        }
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
                if self.depth == 0 {
                    self.members = if byte == b'[' { 2 } else { 1 };
                }
                self.depth += 1;
                self.value = None;
                self.text.clear();
            }
            b'}' | b']' | b',' => {
                self.end_value();
                if byte != b',' {
                    if self.depth == self.members {
                        self.end_object();
                    }
                    self.depth = self.depth.saturating_sub(1);
                }
            }
            b':' if self.is_in_message() && self.is_id() => self.value = Some(Vec::new()),
            _ => self.keep(byte),
        }
    }

    fn is_in_message(&self) -> bool {
        self.depth > 0 && self.depth == self.members
    }

    /// Whether the key is `id`, possibly with escaped letters.
    fn is_id(&self) -> bool {
        self.text == br#""id""#
            || (self.text.contains(&b'\\')
                && serde_json::from_slice::<String>(&self.text).is_ok_and(|key| key == "id"))
    }

    fn keep(&mut self, byte: u8) {
        if !self.is_in_message() {
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
        if let Some(value) = self.value.take()
            && let Ok(id) = serde_json::from_slice(&value)
        {
            self.current = Some(id);
        }
    }

    fn end_object(&mut self) {
        if let Some(id) = self.current.take()
            && self.found.len() < IDS
            && self.found.last() != Some(&id)
        {
            self.found.push(id);
        }
    }
}

/// Looks for `"id": …` at any position: a missing quote or brace hides it from a reader that tracks the
/// structure.
#[derive(Debug, Default)]
struct Loose {
    last_four: [u8; 4],
    state: ScanState,
    value: Vec<u8>,
    ids: Vec<RequestId>,
    /// The last byte that is not a blank. In a line that was cut off, the depth of its ids is unknown.
    last: u8,
}

#[derive(Clone, Copy, Debug, Default)]
enum ScanState {
    #[default]
    Nothing,
    Key,
    Colon,
    Number,
    Text(u8),
}

impl Loose {
    fn only(self) -> Option<RequestId> {
        let [id] = self.ids.try_into().ok()?;
        matches!(self.last, b'}' | b']').then_some(id)
    }

    fn step(&mut self, byte: u8) {
        if !byte.is_ascii_whitespace() {
            self.last = byte;
        }
        match (self.state, byte) {
            (ScanState::Key | ScanState::Colon, b' ' | b'\t' | b'\r') => {}
            (ScanState::Key, b':') => {
                self.value.clear();
                self.state = ScanState::Colon;
            }
            (ScanState::Colon, b'"' | b'\'') => self.state = ScanState::Text(byte),
            (ScanState::Colon | ScanState::Number, b'-' | b'0'..=b'9')
                if self.value.len() < MOST =>
            {
                self.value.push(byte);
                self.state = ScanState::Number;
            }
            (ScanState::Number, b'.' | b'e' | b'E') => self.state = ScanState::Nothing,
            (ScanState::Number, _) => {
                let number = std::str::from_utf8(&self.value).ok();
                self.add(number.and_then(|it| it.parse().ok()).map(RequestId::Number));
            }
            (ScanState::Text(quote), _) if byte == quote => {
                let text = std::str::from_utf8(&self.value).ok();
                self.add(text.map(|text| RequestId::String(text.into())));
            }
            (ScanState::Text(_), b'\\') => self.state = ScanState::Nothing,
            (ScanState::Text(_), _) if self.value.len() < MOST => self.value.push(byte),
            _ => self.state = ScanState::Nothing,
        }
        self.last_four.rotate_left(1);
        self.last_four[3] = byte;
        if matches!(&self.last_four, b"\"id\"" | b"'id'") {
            self.state = ScanState::Key;
        }
    }

    fn add(&mut self, id: Option<RequestId>) {
        self.state = ScanState::Nothing;
        if let Some(id) = id
            && self.ids.len() < 2
            && !self.ids.contains(&id)
        {
            self.ids.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(id: i64) -> RequestId {
        RequestId::Number(id)
    }

    fn text(id: &str) -> RequestId {
        RequestId::String(id.into())
    }

    #[test]
    fn ids_are_found_before_and_after_the_invalid_part() {
        for (message, ids) in [
            (r#"{"id":7,"params":{"t":"\ud83d"}}"#, vec![number(7)]),
            (
                r#"{"params":{"id":1,"t":"\ud83d\"}"},"id" : "a b" }"#,
                vec![text("a b")],
            ),
            (
                r#"{"method":"id","params":[{"id":2},"id"],"id":3}"#,
                vec![number(3)],
            ),
            (r#"{"id":"x","params":{"te"#, vec![text("x")]),
            (r#"{"params":{"a":NaN},"id":-4}"#, vec![number(-4)]),
            (r#"{"\u0069d":7,"a":NaN}"#, vec![number(7)]),
            (r#"{"id":1,"id":2,"a":NaN}"#, vec![number(2)]),
            // Several messages on one line, each of which needs its own answer.
            (
                r#"[{"id":1,"a":NaN},{"params":{"id":9},"id":"b"}]"#,
                vec![number(1), text("b")],
            ),
            (r#"{"id":1} {"id":2}"#, vec![number(1), number(2)]),
            (r#"{"id":1}garbage"#, vec![number(1)]),
            // Unbalanced braces and quotes.
            (r#"{"params":{"a":"x},"id":7}"#, vec![number(7)]),
            (r#"{"params":{"a":{"b":1},"id":"z"}"#, vec![text("z")]),
            (r#"{"params":"a":1}},"id":7}"#, vec![number(7)]),
            (r"{'id': 7, 'method': 'tools/list'}", vec![number(7)]),
            (r#"{"id":7"method":"ping"}"#, vec![number(7)]),
            (r#"{"params":{"a":"x},"b":{"id":3},"id":7}"#, vec![]),
            (r#"{"method":"a","params":{"id":3},"te"#, vec![]),
            (r#"{"id":7"#, vec![]),
            (r#"{"id":{"a":1}}"#, vec![]),
            (r#"{"id":1.5}"#, vec![]),
            (r#"{"id":99999999999999999999}"#, vec![]),
            ("nonsense", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(IdFinder::of(message.as_bytes()), ids, "{message}");
            let mut finder = IdFinder::default();
            for byte in message.bytes() {
                finder.read(&[byte]);
            }
            assert_eq!(finder.found(), ids, "byte by byte: {message}");
        }
        assert_eq!(IdFinder::of(b"{\"t\":\"\xff\xfe\",\"id\":5}"), [number(5)]);
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(IdFinder::of(long.as_bytes()), []);
        let many = format!("[{}NaN]", r#"{"id":1},{"id":2},"#.repeat(10_000));
        assert_eq!(IdFinder::of(many.as_bytes()).len(), IDS);
    }
}
