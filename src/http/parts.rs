//! Which part of a file a request wants: its `Range`, `If-Range` and `If-None-Match` headers.

use std::ops::Range;

use hyper::header::{HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What a request wants of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AskedPart {
    Whole,
    Of(Range<u64>),
    /// A part that begins after the end.
    Beyond,
    /// The client has the file.
    Unchanged,
}

pub(super) fn asked_for(headers: &HeaderMap, size: u64, tag: &str) -> AskedPart {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(known) = text(IF_NONE_MATCH) {
        let mut known = known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"));
        if known.any(|known| known == tag || known == "*") {
            return AskedPart::Unchanged;
        }
    }
    // The file has changed: the client needs all of it.
    if text(IF_RANGE).is_some_and(|known| known.trim() != tag) {
        return AskedPart::Whole;
    }
    match text(RANGE).and_then(|range| part(range, size)) {
        None => AskedPart::Whole,
        Some(range) if range.is_empty() => AskedPart::Beyond,
        Some(range) => AskedPart::Of(range),
    }
}

/// The bytes of a `Range` header, none if they are beyond the end. Other units, several parts and malformed values are
/// ignored, as the standard allows: the answer is the whole file.
fn part(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large is beyond the end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", last) => {
            let count = number(last)?.min(size);
            Some(size - count..size)
        }
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn parts_are_within_the_file() {
        for (text, expected) in [
            ("bytes=0-", Some(0..10)),
            ("bytes=3-5", Some(3..6)),
            ("bytes=3-99", Some(3..10)),
            ("bytes=-4", Some(6..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=9-9", Some(9..10)),
            ("bytes=10-", Some(10..10)),
            ("bytes=99999999999999999999999-", Some(10..10)),
            ("bytes=-0", Some(10..10)),
            ("bytes=5-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("", None),
        ] {
            assert_eq!(part(text, 10), expected, "{text}");
        }
    }

    #[test]
    fn a_part_is_sent_only_of_the_file_that_the_client_knows() {
        let asked = |headers: &[(HeaderName, &str)]| {
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.insert(name.clone(), HeaderValue::from_str(value).expect("a value"));
            }
            asked_for(&all, 10, "\"a\"")
        };
        let range = (RANGE, "bytes=2-");
        assert_eq!(asked(&[]), AskedPart::Whole);
        assert_eq!(asked(std::slice::from_ref(&range)), AskedPart::Of(2..10));
        assert_eq!(
            asked(&[range.clone(), (IF_RANGE, "\"a\"")]),
            AskedPart::Of(2..10)
        );
        assert_eq!(
            asked(&[range.clone(), (IF_RANGE, "\"b\"")]),
            AskedPart::Whole
        );
        assert_eq!(
            asked(&[range.clone(), (IF_RANGE, "W/\"a\"")]),
            AskedPart::Whole
        );
        assert_eq!(asked(&[(RANGE, "bytes=10-")]), AskedPart::Beyond);
        for known in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
            assert_eq!(
                asked(&[range.clone(), (IF_NONE_MATCH, known)]),
                AskedPart::Unchanged
            );
        }
        assert_eq!(asked(&[(IF_NONE_MATCH, "\"b\"")]), AskedPart::Whole);
    }
}
