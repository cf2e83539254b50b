//! Captions from SRT, WebVTT and ASS text. What is read is text already: fetching is left to others.
//!
//! [`parse`] takes what people and programs really write, [`parse_as_api`] what the CapCut API takes, in its way,
//! and the rest like [`parse`]. Both name a broken cue by its number and line.

mod ass;
mod srt;

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// One caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cue {
    pub range: Range,
    /// Lines divided by `\n`. Tags are kept as they stand in SRT, where they have no meaning of their own.
    pub text: String,
}

/// A line of the text, without the space around it.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// From 1.
    number: usize,
    text: &'a str,
}

/// The captions of SRT, WebVTT or ASS text, whichever it is. Captions without text are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Cue>> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = lines(text);
    let mut cues = if ass::is_ass(&lines) {
        ass::parse(&lines)?
    } else if srt::is_vtt(&lines) {
        srt::parse_vtt(&lines)?
    } else {
        srt::parse(&lines)?
    };
    cues.retain(|cue| !cue.text.is_empty());
    Ok(cues)
}

/// The captions as the CapCut API reads them, empty ones included. What it cannot read is read by [`parse`];
/// when that fails too, the message is the API's.
pub(crate) fn parse_as_api(text: &str) -> Result<Vec<Cue>> {
    let strict = match srt::parse_strictly(&lines(text)) {
        Ok(cues) => return cues,
        Err(message) => message,
    };
    parse(text).map_err(|error| match strict {
        Some(message) => Error::invalid(message).hint(error.message),
        None => error,
    })
}

/// The subtitles as the API reads them, where it cannot read them as they are (WebVTT, ASS) and we can.
pub(crate) fn for_api(text: &str) -> Option<String> {
    if srt::parse_strictly(&lines(text)).is_ok() {
        return None;
    }
    Some(srt::written(&parse(text).ok()?))
}

/// A file of any format that we read, as the API reads it.
pub(crate) fn file_for_api(bytes: &[u8]) -> Result<String> {
    Ok(srt::written(&parse(&decode(bytes))?))
}

/// Text that came in an argument and not from a file: the two characters `\n` stand for a line break,
/// as clients write it that escape twice. ASS has its own meaning for them.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    if !text.contains("\\n") || (text.contains('\n') && ass::is_ass(&lines(text))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\\r\\n", "\n").replace("\\n", "\n"))
}

/// The text of a file: UTF-8 or UTF-16, without its byte order mark; what is neither becomes U+FFFD.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks(2).map(|pair| match *pair {
            [a, b] => unit([a, b]),
            // Half a unit is none.
            _ => 0xFFFD,
        });
        char::decode_utf16(pairs)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without a mark: captions begin with a digit or a Latin letter.
        [1..=255, 0, 1..=255, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, 1..=255, 0, 1..=255, ..] => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The lines of a text, at every boundary that the API knows.
fn lines(text: &str) -> Vec<Line<'_>> {
    let boundary = |c| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = match rest.find(boundary) {
            Some(end) => {
                let tail = &rest[end..];
                let after = tail.strip_prefix("\r\n").unwrap_or_else(|| {
                    let mut chars = tail.chars();
                    chars.next();
                    chars.as_str()
                });
                (&rest[..end], after)
            }
            None => (rest, ""),
        };
        lines.push(Line {
            number: lines.len() + 1,
            text: line.trim(),
        });
        rest = after;
    }
    lines
}

/// What is wrong with subtitles that were fetched, without their words and numbers: whoever names an address must
/// not be shown what it answers.
pub(crate) fn without_content(error: &Error) -> Error {
    // Every message names the line before it quotes anything.
    let line = error.message.split("line ").nth(1).map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    });
    let place = match line {
        Some(line) if !line.is_empty() => format!("line {line} of it is"),
        _ => "it is".to_owned(),
    };
    Error::invalid(format!("{place} not as in SRT, WebVTT or ASS"))
        .hint("`srt` also takes the subtitles themselves; then the error quotes the line")
}

/// A fault in a cue: its number, the line, what is wrong.
fn broken(cue: u64, line: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("cue {cue}, line {line}: {what}"))
}

fn expected_times(cue: u64, line: Line<'_>) -> Error {
    let found = format!(
        "expected times like `00:00:01,000 --> 00:00:02,500`, found {:?}",
        excerpt(line.text)
    );
    broken(cue, line.number, found)
}

/// The stretch from `start` to `end`, of which one has to be after the other.
fn range(cue: u64, line: usize, start: Micros, end: Micros) -> Result<Range> {
    if end <= start {
        let what = format!("its end ({end}) is not after its start ({start})");
        return Err(broken(cue, line, what));
    }
    Ok(Range::new(start, end - start))
}

/// A time of up to three parts and a fraction. After a comma the digits are milliseconds, as the API
/// takes them (`,4` is 4 ms); after a point they are decimals (`.4` is 400 ms).
fn time(text: &str) -> Option<Micros> {
    let text = text.trim();
    let (clock, fraction) = match text.split_once([',', '.']) {
        Some((clock, digits)) if text.as_bytes()[clock.len()] == b',' => {
            (clock, whole(digits)?.checked_mul(1000)?)
        }
        Some((clock, digits)) => {
            whole(digits)?;
            let six: String = digits.chars().chain("000000".chars()).take(6).collect();
            (clock, whole(&six)?)
        }
        None => (text, 0),
    };
    let mut parts = clock.split(':').map(whole).collect::<Option<Vec<i64>>>()?;
    let mut millis = 0;
    if parts.len() == 4 {
        // A colon for the comma.
        millis = parts.pop()?;
    }
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let seconds = parts.iter().fold(0, |sum, part| sum * 60 + part);
    Some(Micros(seconds * 1_000_000 + millis * 1000 + fraction))
}

/// A whole number of at most nine digits, ASCII or full width.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 9 {
        return None;
    }
    text.chars()
        .try_fold(0, |sum, c| Some(sum * 10 + i64::from(digit(c)?)))
}

fn digit(c: char) -> Option<u32> {
    match c {
        '０'..='９' => Some(c as u32 - '０' as u32),
        _ => c.to_digit(10),
    }
}

/// As much of a line as fits into a message.
fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::golden;

    fn cues(text: &str) -> Vec<(i64, i64, String)> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|cue| {
                let millis = |time: Micros| time.0 / 1000;
                (millis(cue.range.start), millis(cue.range.end()), cue.text)
            })
            .collect()
    }

    fn check(text: &str, expected: &[(i64, i64, &str)]) {
        let found = cues(text);
        let found: Vec<_> = found
            .iter()
            .map(|(a, b, text)| (*a, *b, text.as_str()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    fn refused(text: &str, message: &str) {
        assert_eq!(parse(text).unwrap_err().message, message, "{text:?}");
    }

    const TWO: [(i64, i64, &str); 2] = [(0, 1000, "First\nline"), (1500, 2750, "<i>Second</i>")];

    #[test]
    fn srt_is_read_with_its_usual_faults() {
        let good = "1\n00:00:00,000 --> 00:00:01,000\nFirst\nline\n\n2\n00:00:01,500 --> 00:00:02,750\n<i>Second</i>\n";
        check(good, &TWO);
        check(&good.replace('\n', "\r\n"), &TWO);
        check(&good.replace('\n', "\r"), &TWO);
        check(&format!("\u{feff}{good}"), &TWO);
        check(&good.replace(',', "."), &TWO);
        check(&good.replace(" --> ", "-->"), &TWO);
        check(&good.replace(" --> ", "  -->\t "), &TWO);
        check(&good.replace("00:00:0", "00:0"), &TWO);
        check(&good.replace("\n\n", "\n"), &TWO);
        check(&good.replace('\n', "\n\n"), &TWO);
        check(
            &good.replace("1\n00", "7\n00").replace("\n2\n", "\n7\n"),
            &TWO,
        );
        check(&good.replace("1\n00", "00").replace("\n2\n", "\n"), &TWO);
        check(&good.replace("\n2\n", "\nbad\n"), &TWO);
        check(&good.replace("01,000\n", "01,000 X1:100 Y1:5\n"), &TWO);
        check(&good.replace("\n2\n", "\n２\n"), &TWO);
        check(&format!("{good}\n3\n"), &TWO);
        check(&inline(&good.replace('\n', "\\n")), &TWO);
        check(&inline(&good.replace('\n', "\\r\\n")), &TWO);
    }

    #[test]
    fn a_number_may_be_text() {
        check(
            "1\n00:00:00,0 --> 00:00:01,0\n42\n\n2\n00:00:01,0 --> 00:00:02,0\n1\n2\n\n3\n00:00:02,0 --> 00:00:03,0\nx",
            &[(0, 1000, "42"), (1000, 2000, "1\n2"), (2000, 3000, "x")],
        );
        check(
            "00:01,0 --> 00:02,0\n5\n00:03,0 --> 00:04,0\n6 -> 7",
            &[(1000, 2000, "5"), (3000, 4000, "6 -> 7")],
        );
    }

    #[test]
    fn digits_after_a_comma_are_milliseconds_and_after_a_point_decimals() {
        check(
            "1\n1:2:3,4 --> 01:02:03,50\nx",
            &[(3_723_004, 3_723_050, "x")],
        );
        check(
            "1\n1:2:3.4 --> 01:02:03.50\nx",
            &[(3_723_400, 3_723_500, "x")],
        );
        check("1\n00:00:01:250 --> 00:00:02:000\nx", &[(1250, 2000, "x")]);
    }

    #[test]
    fn webvtt_is_read_without_what_is_not_text() {
        check(
            "WEBVTT - title\nKind: captions\n\nNOTE a comment\nover two lines\n\nSTYLE\n::cue { color: red }\n\nintro\n\
             00:01.000 --> 00:02.500 line:0 position:50%\n<v Ann>Hello <c.loud>you</c> &amp; <b>me</b>\n\n\
             2\n01:00:03.000 --> 01:00:04.000\n<00:00:03.500>a &lt;b&gt;\nline two\n00:05.000 --> 00:06.000 align:start\nclose\n",
            &[
                (1000, 2500, "Hello you & me"),
                (3_603_000, 3_604_000, "a <b>\nline two"),
                (5000, 6000, "close"),
            ],
        );
        check("WEBVTT\n", &[]);
    }

    #[test]
    fn ass_is_read_in_order_without_tags_and_drawings() {
        let head = "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n";
        let lines = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
             Dialogue: 0,0:00:02.00,0:00:03.50,Default,,0,0,0,,{\\pos(1,2)\\b1}Second, with\\Ncomma{\\b0}\n\
             Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,nothing\n\
             Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,First\\hone\n\
             Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}\n";
        let expected = [
            (500, 1500, "First\u{a0}one"),
            (2000, 3500, "Second, with\ncomma"),
        ];
        check(&format!("{head}{lines}"), &expected);
        check(lines.split_once('\n').unwrap().1, &expected);
        check(
            "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,a, b",
            &[(1000, 2000, "a, b")],
        );
        refused(
            "[Events]\nDialogue: 0,0:00:01.00,soon,Default,,0,0,0,,x",
            "cue 1, line 2: expected a time like `0:00:01.50`, found \"soon\"",
        );
    }

    #[test]
    fn a_broken_cue_is_named_by_its_number_and_line() {
        refused(
            "hello",
            "line 1: expected the number of a cue, found \"hello\"",
        );
        refused(
            "1\nnot a time\nx",
            "cue 1, line 2: expected times like `00:00:01,000 --> 00:00:02,500`, found \"not a time\"",
        );
        refused(
            "1\n00:00:05,000 --> 00:00:03,000\nback",
            "cue 1, line 2: its end (3 s) is not after its start (5 s)",
        );
        refused(
            "1\n00:00:00,0 --> 00:00:01,0\na\n\n2\n00:00:01,0 --> 00:00:x2,0\nb",
            "cue 2, line 6: expected times like `00:00:01,000 --> 00:00:02,500`, found \"00:00:01,0 --> 00:00:x2,0\"",
        );
        refused(
            "1\n00:00:00,0 --> 00:00:01,0\na\n\n2\nno times\n\n3\n00:00:02,0 --> 00:00:03,0\nb",
            "cue 2, line 6: expected times like `00:00:01,000 --> 00:00:02,500`, found \"no times\"",
        );
    }

    #[test]
    fn the_api_reads_what_it_read_and_more() {
        let empty = "1\n00:00:00,000 --> 00:00:01,000\n\n2\n00:00:01,000 --> 00:00:02,000\nx";
        let texts: Vec<String> = parse_as_api(empty)
            .unwrap()
            .into_iter()
            .map(|cue| cue.text)
            .collect();
        assert_eq!(texts, ["", "x"]);
        check(empty, &[(1000, 2000, "x")]);

        let error = parse_as_api("hello").unwrap_err();
        assert_eq!(error.message, "Expected a number at line 1, got 'hello'");
        let backwards = parse_as_api("1\n00:00:05,000 --> 00:00:03,000\nback").unwrap_err();
        assert_eq!(
            backwards.message,
            "cue 1, line 2: its end (3 s) is not after its start (5 s)"
        );
        assert!(parse_as_api("1").unwrap().is_empty());
        assert!(parse_as_api("").unwrap().is_empty());
        assert_eq!(
            parse_as_api("WEBVTT\n\n00:01.000 --> 00:02.000\nx")
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            parse_as_api("\u{feff}1\n00:00:00,000 --> 00:00:01,000\nx")
                .unwrap()
                .len(),
            1
        );
        assert_eq!(inline("and/nor"), "and/nor");
    }

    #[test]
    fn bytes_become_text_whatever_their_encoding() {
        let units: Vec<u16> = "\u{feff}1é字🎬".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(decode(&little), "1é字🎬");
        assert_eq!(decode(&big), "1é字🎬");
        assert_eq!(decode(b"1\0\r\0\n\0"), "1\r\n");
        assert_eq!(decode(b"\xEF\xBB\xBF1"), "1");
        assert_eq!(decode(b"caf\xE9"), "caf\u{fffd}");
        assert_eq!(decode(b"\xFF\xFE1\0x"), "1\u{fffd}");
        assert_eq!(decode(b""), "");
    }

    #[test]
    fn no_text_is_too_odd_to_be_read_or_refused() {
        for text in [
            "-->",
            ":-->:",
            "1\n0: --> \n",
            "99:99:999999999,999999999 --> 999999999:0:0,0\nx",
            "{",
            "[Events]\nFormat:\nDialogue: {\\p1",
            "WEBVTT\n\n<",
            "18446744073709551615\n00:00:00,0 --> 00:00:01,0\nx\n\n0\n",
            "999999999\n00:00:00,0 --> 00:00:01,0\nx\n\n1000000000\ny",
            "\u{2028}\u{85}\u{b}",
        ] {
            drop(parse(text));
            drop(parse_as_api(&inline(text)));
        }
        let long = "1\n00:00:00,0 --> 00:00:01,0\nx\n\n".repeat(20_000);
        assert_eq!(parse(&long).unwrap().len(), 20_000);
    }

    /// The text that a recorded call names, as the engine would have it; none for what it would not find.
    fn recorded_text(srt: &str) -> Option<String> {
        let file = srt
            .strip_prefix("http://127.0.0.1:9180/")
            .or_else(|| srt.strip_prefix("/media-fixtures/"));
        let Some(file) = file else {
            return (!srt.starts_with("http")).then(|| inline(srt).into_owned());
        };
        let file = file.replace("%E5%AD%97%E5%B9%95%20%E4%B8%80", "字幕 一");
        std::fs::read(golden::media().join(file))
            .ok()
            .map(|bytes| decode(&bytes))
    }

    #[test]
    fn recorded_calls_give_the_recorded_captions() {
        let (mut accepted, mut errors) = (0, 0);
        for (name, case) in golden::recordings(golden::Part::Cases) {
            let steps: Vec<&Value> = case["steps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|step| step["path"] == "/add_subtitle")
                .collect();
            let mut ours = Vec::new();
            let mut complete = !steps.is_empty();
            for step in steps {
                let srt = step["request"]["srt"].as_str().unwrap_or_default();
                let Some(text) = recorded_text(srt) else {
                    complete = false;
                    continue;
                };
                let read = parse_as_api(&text);
                if step["response"]["success"] == true {
                    let offset = step["request"]["time_offset"].as_f64().unwrap_or_default();
                    let offset = Micros::from_seconds_truncated(offset);
                    // Faults that are not kept: a line break for `/n`, and cues that end before they start.
                    match read {
                        Ok(cues) if !srt.contains("/n") || srt.starts_with("http") => {
                            ours.extend(cues.into_iter().map(|cue| {
                                (cue.range.start + offset, cue.range.duration, cue.text)
                            }));
                        }
                        _ => complete = false,
                    }
                    continue;
                }
                complete = false;
                let message = step["response"]["error"].as_str().unwrap_or_default();
                if let (Err(error), true) = (read, message.contains("Expected a number")) {
                    assert!(
                        message.contains(&error.message),
                        "{message} {}",
                        error.message
                    );
                    errors += 1;
                }
            }
            let scripts = &case["script"]["tracks"];
            if !complete || !case["more_scripts"].is_null() || !scripts.is_array() {
                continue;
            }
            let material = |id: &Value| {
                let texts = case["script"]["materials"]["texts"].as_array().unwrap();
                let content = texts.iter().find(|text| text["id"] == *id)?["content"].as_str()?;
                let content: Value = serde_json::from_str(content).unwrap();
                content["text"].as_str().map(str::to_owned)
            };
            let mut recorded = Vec::new();
            for track in scripts.as_array().unwrap() {
                for segment in track["segments"].as_array().unwrap() {
                    let at =
                        |field: &str| Micros(segment["target_timerange"][field].as_i64().unwrap());
                    if let Some(text) = material(&segment["material_id"]) {
                        recorded.push((at("start"), at("duration"), text));
                    }
                }
            }
            for cue in &ours {
                assert!(recorded.contains(cue), "{name}: {cue:?} {recorded:?}");
            }
            accepted += ours.len();
        }
        eprintln!("{accepted} recorded captions, {errors} recorded errors");
        assert!(accepted >= 40 && errors >= 2, "{accepted} {errors}");
    }
}
