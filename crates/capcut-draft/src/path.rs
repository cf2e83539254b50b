//! Paths within a value: where they lead, and what is missing on the way.

use crate::scan::{Scan, Scanner, Span, is_key};

/// A step of a path within a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPart<'a> {
    /// A member of an object.
    Key(&'a str),
    /// An item of a list.
    Index(usize),
}

/// Where a path leads in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathTarget {
    /// The value exists.
    At(Span),
    /// The objects on the way exist up to the one that ends at `close` (its `}`), which lacks the key at
    /// position `depth` of the path.
    Missing {
        depth: usize,
        close: usize,
        /// The end of the object's last member; none if it is empty.
        last: Option<Span>,
        /// The blanks before the first key.
        lead: Span,
        /// Whether a blank follows the colons.
        is_spaced: bool,
    },
    /// A key on the way stands twice in its object.
    Duplicate(usize),
    /// A value on the way is not an object or list, or the list is shorter.
    Other(usize),
}

/// Follows a path from the value at `from`. With `check`, whole objects are read to report duplicate keys.
pub(crate) fn find(
    text: &[u8],
    from: usize,
    path: &[PathPart<'_>],
    check: bool,
) -> Scan<PathTarget> {
    let mut at = from;
    for (depth, part) in path.iter().enumerate() {
        let mut scanner = Scanner::new(text, at);
        let mut hit = None;
        match part {
            PathPart::Index(index) => {
                if scanner.peek() != b'[' {
                    return Ok(PathTarget::Other(depth));
                }
                let mut count = 0;
                scanner.list(0, |scanner| {
                    if count == *index {
                        hit = Some(scanner.at);
                    }
                    count += 1;
                    scanner.skip(0).map(drop)
                })?;
                match hit {
                    Some(start) => at = start,
                    None => return Ok(PathTarget::Other(depth)),
                }
            }
            PathPart::Key(name) => {
                if scanner.peek() != b'{' {
                    return Ok(PathTarget::Other(depth));
                }
                match member(text, at, name, check)? {
                    Member::At(start) => at = start,
                    Member::Twice => return Ok(PathTarget::Duplicate(depth)),
                    Member::Missing {
                        close,
                        last,
                        lead,
                        is_spaced,
                    } => {
                        return Ok(PathTarget::Missing {
                            depth,
                            close,
                            last,
                            lead,
                            is_spaced,
                        });
                    }
                }
            }
        }
    }
    Scanner::new(text, at).skip(0).map(PathTarget::At)
}

enum Member {
    At(usize),
    Twice,
    Missing {
        close: usize,
        last: Option<Span>,
        lead: Span,
        is_spaced: bool,
    },
}

/// The member of the object at `at` with this key.
fn member(text: &[u8], at: usize, name: &str, check: bool) -> Scan<Member> {
    let mut hit = None;
    let mut is_twice = false;
    let mut last = None;
    let mut lead = None;
    let mut is_spaced = false;
    let mut scanner = Scanner::new(text, at);
    let whole = scanner.object(0, |scanner, key| {
        if lead.is_none() {
            let (start, end) = (at + 1, key.start - 1);
            lead = Some(Span { start, end });
            is_spaced = text[..scanner.at].ends_with(b" ");
        }
        if is_key(key.of(text), name) {
            is_twice = hit.is_some();
            hit.get_or_insert(scanner.at);
            if !check {
                // Ends the walk early; the error is not reported.
                return scanner.error("");
            }
        }
        let value = scanner.skip(0)?;
        let (start, end) = (key.start - 1, value.end);
        last = Some(Span { start, end });
        Ok(())
    });
    match (whole, hit) {
        (_, Some(_)) if is_twice => Ok(Member::Twice),
        (_, Some(start)) => Ok(Member::At(start)),
        (Err(error), None) => Err(error),
        (Ok(whole), None) => Ok(Member::Missing {
            close: whole.end - 1,
            last,
            lead: lead.unwrap_or(Span {
                start: at + 1,
                end: at + 1,
            }),
            is_spaced,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_past_escaped_keys_and_reports_duplicates() {
        let text = br#"{ "\u0061": {"b": [1, {"c": 7}]}, "d": 1, "d": 2 }"#;
        let path = |parts: &[PathPart<'_>], check| find(text, 0, parts, check).unwrap();
        let deep = [
            PathPart::Key("a"),
            PathPart::Key("b"),
            PathPart::Index(1),
            PathPart::Key("c"),
        ];
        let PathTarget::At(span) = path(&deep, true) else {
            panic!("not found")
        };
        assert_eq!(span.of(text), b"7");
        assert_eq!(path(&[PathPart::Key("d")], true), PathTarget::Duplicate(0));
        assert!(matches!(
            path(&[PathPart::Key("d")], false),
            PathTarget::At(_)
        ));
        assert!(matches!(
            path(
                &[PathPart::Key("a"), PathPart::Key("x"), PathPart::Key("y")],
                true
            ),
            PathTarget::Missing {
                depth: 1,
                is_spaced: true,
                ..
            }
        ));
        assert_eq!(
            path(
                &[PathPart::Key("a"), PathPart::Key("b"), PathPart::Key("c")],
                true
            ),
            PathTarget::Other(2)
        );
    }
}
