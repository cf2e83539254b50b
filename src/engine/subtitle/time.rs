//! Times as written in files, and the line with two times that begins a cue.

use crate::units::Micros;

/// The separators between two times, the standard one first.
const ARROWS: [&str; 8] = ["-->", "--&gt;", "—&gt;", "-&gt;", "—>", "–>", "->", "→"];

/// The result of reading a line as times of a cue.
pub(super) enum CueTimes<'a> {
    None,
    Broken,
    FromTo(Micros, Micros, &'a str),
}

/// Reads a line of times; the rest of the line is settings, such as `line:0` or `X1:0`.
pub(super) fn times(text: &str) -> CueTimes<'_> {
    let found = ARROWS
        .iter()
        .find_map(|arrow| Some((*arrow, text.split_once(arrow)?)));
    let Some((arrow, (from, to))) = found else {
        return CueTimes::None;
    };
    let is_strong = arrow.starts_with("--");
    if let (Some(start), Some(end)) = (scan(from.trim_end_matches(['-', ' '])), scan(to))
        && start.rest.trim().is_empty()
        && (end.rest.is_empty() || end.rest.starts_with(char::is_whitespace))
        // "6:30 -> 7:45" counts as text.
        && (is_strong || (start.is_exact && end.is_exact))
    {
        return CueTimes::FromTo(start.time, end.time, end.rest.trim());
    }
    // Text may contain an arrow too, but then it does not begin like a time.
    let like_time = is_strong
        && from.contains([':', '：'])
        && from.trim_start().starts_with(|c| digit(c).is_some());
    if like_time {
        CueTimes::Broken
    } else {
        CueTimes::None
    }
}

/// Parses a single time.
pub(super) fn time(text: &str) -> Option<Micros> {
    scan(text)
        .filter(|found| found.rest.trim().is_empty())
        .map(|found| found.time)
}

struct Scanned<'a> {
    time: Micros,
    /// It has hours or a fraction.
    is_exact: bool,
    rest: &'a str,
}

/// A time of two or three parts and a fraction at the beginning of a text. Digits after a comma are
/// milliseconds, as in the API (`,4` is 4 ms); after a dot or a third colon they are decimals (`.4` is 400 ms).
/// Full-width characters, and blanks between the parts, are accepted.
fn scan(text: &str) -> Option<Scanned<'_>> {
    let text = text.trim_start();
    let positive = text.strip_prefix(['-', '−']);
    let mut rest = positive.unwrap_or(text);
    let (first, after) = digits(rest)?;
    let mut parts = vec![first];
    rest = after;
    let mut fraction: Option<(char, &str)> = None;
    while let Some((mark, after)) = mark(rest) {
        let Some((number, next)) = digits(after) else {
            break;
        };
        if mark == ':' && parts.len() < 3 {
            parts.push(number);
            rest = next;
        } else {
            fraction = Some((mark, number));
            rest = next;
            break;
        }
    }
    // A blank instead of the comma: `00:00:01 520`.
    if fraction.is_none()
        && parts.len() == 3
        && let Some((number, next)) = digits(rest)
        && number.chars().count() == 3
        && next.chars().next().is_none_or(char::is_whitespace)
    {
        fraction = Some((',', number));
        rest = next;
    }
    if parts.len() < 2 {
        return None;
    }
    let mut seconds = 0;
    for part in &parts {
        seconds = seconds * 60 + whole(part)?;
    }
    let micros = match fraction {
        None => 0,
        Some((',', digits)) => whole(digits)? * 1000,
        Some((_, digits)) => {
            whole(digits)?;
            let six: String = digits.chars().chain("000000".chars()).take(6).collect();
            whole(&six)?
        }
    };
    let time = Micros(seconds * 1_000_000 + micros);
    Some(Scanned {
        time: if positive.is_some() {
            Micros::ZERO - time
        } else {
            time
        },
        is_exact: fraction.is_some() || parts.len() == 3,
        rest,
    })
}

/// `:`, `,` or `.` of any width, and the rest of the text.
fn mark(text: &str) -> Option<(char, &str)> {
    let text = text.trim_start();
    let mut chars = text.chars();
    let mark = match chars.next()? {
        ':' | '：' | '﹕' | '∶' => ':',
        ',' | '，' | '﹐' | '、' => ',',
        '.' | '．' | '。' | ';' | '；' => '.',
        _ => return None,
    };
    Some((mark, chars.as_str()))
}

/// Digits at the beginning, after blanks, and the rest of the text.
fn digits(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(|c| digit(c).is_none()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A whole number of at most nine digits, ASCII or full width.
pub(super) fn whole(text: &str) -> Option<i64> {
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

/// Text that is allowed around the number of a cue.
const BEFORE: [&str; 9] = [
    "第", "no.", "nr.", "no", "№", "cue", "subtitle", "字幕", "#",
];
const AFTER: &str = ".。:：、)）]】|个個条條句行段话話号號幕번番件节節";

/// Parses the number of a cue: `7`, and also `7.`, `#7`, `[7]`, `7个`, `第7条`.
pub(super) fn index(text: &str) -> Option<u64> {
    let number = |text: &str| whole(text).and_then(|number| number.try_into().ok());
    if text.len() > 32 {
        return None;
    }
    if let Some(number) = number(text) {
        return Some(number);
    }
    let lower = text.trim().to_lowercase();
    let mut rest = lower.trim_start_matches(['[', '【', '(', '（']);
    if let Some(after) = BEFORE.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = after;
    }
    let bare = rest.trim_end_matches(|c| AFTER.contains(c));
    let is_short = rest[bare.len()..].chars().count() <= 2;
    number(bare).filter(|_| is_short)
}
