//! The shapes of transcripts: where each has its words, and in which unit its times are.

use serde_json::{Map, Value};

use super::HeardWord;
use super::script::{is_punctuation, is_unspaced, tokens};
use crate::units::Micros;

type Members = Map<String, Value>;

/// Longest time that is read as one.
const LONGEST_S: f64 = 360_000.0;
/// Words of a recogniser are longer than this many milliseconds on average, and shorter than this many seconds.
const USUAL_LENGTH: f64 = 15.0;

/// The words of a transcript; `None` if its shape is not known.
pub(super) fn read(value: &Value) -> Option<Vec<HeardWord>> {
    match value {
        Value::Object(members) => of_object(members),
        Value::Array(list) => of_list(list),
        _ => None,
    }
}

fn of_object(members: &Members) -> Option<Vec<HeardWord>> {
    let list = |key: &str| members.get(key).and_then(Value::as_array);
    if let Some(words) = of_columns(members).or_else(|| of_characters(members)) {
        return Some(words);
    }
    for key in ["alignment", "normalized_alignment"] {
        if let Some(Value::Object(alignment)) = members.get(key)
            && let Some(words) = of_characters(alignment)
        {
            return Some(words);
        }
    }
    if let Some(Value::Object(words)) = members.get("words")
        && let Some(words) = of_columns(words)
    {
        return Some(words);
    }
    // whisper.cpp
    if let Some(phrases) = list("transcription") {
        return Some(of_phrases(phrases));
    }
    // Azure
    if let Some(phrases) = list("recognizedPhrases") {
        return Some(
            phrases
                .iter()
                .filter_map(Value::as_object)
                .flat_map(of_best)
                .collect(),
        );
    }
    if best(members).is_some() {
        return Some(of_best(members));
    }
    // edge-tts, as its service sends it
    if let Some(metadata) = list("Metadata") {
        return of_list(metadata);
    }
    match members.get("results") {
        // Deepgram, AWS
        Some(Value::Object(results)) => {
            if let Some(channels) = results.get("channels").and_then(Value::as_array) {
                return Some(channels.first().map(of_alternatives).unwrap_or_default());
            }
            if let Some(items) = results.get("items").and_then(Value::as_array) {
                return Some(of_items(items));
            }
        }
        Some(Value::Array(results))
            if results
                .iter()
                .any(|result| result.get("alternatives").is_some()) =>
        {
            return Some(results.iter().flat_map(of_alternatives).collect());
        }
        _ => {}
    }
    // Volcengine
    let results = match members.get("result") {
        Some(result @ Value::Object(_)) => std::slice::from_ref(result),
        Some(Value::Array(results)) => results,
        _ => &[],
    };
    let utterances = results
        .iter()
        .filter_map(|result| result.get("utterances")?.as_array());
    let utterances: Vec<Value> = utterances.flatten().cloned().collect();
    if !utterances.is_empty() {
        return Some(of_phrases(&utterances));
    }
    if let Some(phrases) = list("segments").filter(|phrases| !phrases.is_empty()) {
        let mut words = of_phrases(phrases);
        // The API of OpenAI has the words beside the phrases.
        let is_spread = phrases.iter().all(|phrase| phrase.get("words").is_none());
        if is_spread && let Some(own) = list("words").filter(|own| !own.is_empty()) {
            words = of_words(own, None);
            punctuate(&mut words, text(members));
        }
        return Some(words);
    }
    for key in ["words", "word_segments"] {
        if let Some(own) = list(key).filter(|own| !own.is_empty()) {
            let mut words = of_words(own, None);
            punctuate(&mut words, text(members));
            return Some(words);
        }
    }
    if let Some(utterances) = list("utterances") {
        return Some(of_phrases(utterances));
    }
    // An empty transcript has its lists, without words in them.
    ["segments", "words"]
        .iter()
        .any(|key| list(key).is_some())
        .then(Vec::new)
}

fn of_list(list: &[Value]) -> Option<Vec<HeardWord>> {
    let first = list.first()?.as_object()?;
    if first.contains_key("words") || first.contains_key("tokens") {
        return Some(of_phrases(list));
    }
    if best(first).is_some() {
        return Some(
            list.iter()
                .filter_map(Value::as_object)
                .flat_map(of_best)
                .collect(),
        );
    }
    if first.contains_key("alternatives") && first.contains_key("type") {
        return Some(of_items(list));
    }
    let boundaries: Vec<Value> = list.iter().map(boundary).collect();
    let is_word = |item: &Value| item.as_object().is_some_and(|word| !text(word).is_empty());
    if !boundaries.iter().any(is_word) {
        return None;
    }
    // Phrases without words of their own have blanks in their texts.
    let is_phrase = |item: &Value| {
        item.as_object()
            .is_some_and(|item| text(item).split_whitespace().nth(1).is_some())
    };
    Some(if boundaries.iter().any(is_phrase) {
        of_phrases(&boundaries)
    } else {
        of_words(&boundaries, None)
    })
}

/// A boundary of edge-tts as its library gives it, also if it is as the service sends it.
fn boundary(item: &Value) -> Value {
    let Some(data) = item.get("Data").and_then(Value::as_object) else {
        return item.clone();
    };
    let mut members = Members::new();
    for (key, value) in data {
        let value = match (key.as_str(), value.get("Text")) {
            ("text", Some(text)) => text.clone(),
            _ => value.clone(),
        };
        members.insert(key.clone(), value);
    }
    Value::Object(members)
}

/// CapCut: one list each for texts, starts and ends, in milliseconds.
fn of_columns(members: &Members) -> Option<Vec<HeardWord>> {
    let texts = members.get("text")?.as_array()?;
    let starts = members.get("start_time")?.as_array()?;
    let ends = members.get("end_time")?.as_array()?;
    let mut joined = Joined::default();
    for (index, text) in texts.iter().enumerate() {
        let at = |times: &[Value]| milliseconds(times.get(index)?);
        joined.add(text.as_str().unwrap_or_default(), at(starts), at(ends));
    }
    Some(joined.words)
}

/// ElevenLabs: one list each for letters, starts and ends, in seconds.
fn of_characters(members: &Members) -> Option<Vec<HeardWord>> {
    let letters = members.get("characters")?.as_array()?;
    let starts = members.get("character_start_times_seconds")?.as_array()?;
    let ends = members.get("character_end_times_seconds")?.as_array()?;
    let mut words: Vec<HeardWord> = Vec::new();
    let mut is_open = false;
    let mut after_blank = true;
    for (index, letter) in letters.iter().enumerate() {
        let letter = letter.as_str().unwrap_or_default();
        if letter.trim().is_empty() {
            (is_open, after_blank) = (false, true);
            continue;
        }
        let (start, end) = (
            starts.get(index).and_then(seconds),
            ends.get(index).and_then(seconds),
        );
        let splits = |a: &str, b: &str| {
            let (a, b) = (a.chars().last(), b.chars().next());
            b.is_some_and(char::is_alphanumeric) && [a, b].into_iter().flatten().any(is_unspaced)
        };
        match words.last_mut() {
            Some(word) if is_open && !splits(&word.text, letter) => {
                word.text.push_str(letter);
                word.start = word.start.or(start);
                word.end = end.or(word.end);
            }
            _ => words.push(HeardWord {
                text: letter.to_owned(),
                start,
                end,
                is_joined: !after_blank,
                phrase: None,
                ends_caption: false,
            }),
        }
        (is_open, after_blank) = (true, false);
    }
    Some(words)
}

/// Words where blanks are entries of their own, or parts of the words.
#[derive(Default)]
struct Joined {
    words: Vec<HeardWord>,
    after_blank: bool,
}

impl Joined {
    fn add(&mut self, text: &str, start: Option<Micros>, end: Option<Micros>) {
        let word = text.trim();
        let after_blank = std::mem::take(&mut self.after_blank);
        if word.is_empty() {
            self.after_blank = after_blank || !text.is_empty();
            return;
        }
        let is_joined =
            !self.words.is_empty() && !after_blank && !text.starts_with(char::is_whitespace);
        self.after_blank = text.ends_with(char::is_whitespace);
        let ends_caption = text.ends_with('\n');
        match self.words.last_mut() {
            Some(last) if is_joined && is_punctuation(word) => {
                last.text.push_str(word);
                last.ends_caption |= ends_caption;
            }
            _ => self.words.push(HeardWord {
                text: word.to_owned(),
                start,
                end,
                is_joined,
                phrase: None,
                ends_caption,
            }),
        }
    }
}

/// Deepgram and Google: the words of the best alternative.
fn of_alternatives(channel: &Value) -> Vec<HeardWord> {
    let best = channel.get("alternatives").and_then(|list| list.get(0));
    let Some(best) = best.and_then(Value::as_object) else {
        return Vec::new();
    };
    let words = best.get("words").and_then(Value::as_array);
    let mut words = words.map(|words| of_words(words, None)).unwrap_or_default();
    let transcript = best.get("transcript").and_then(Value::as_str);
    punctuate(&mut words, transcript.unwrap_or_default());
    words
}

/// AWS: times are texts, and punctuation has none.
fn of_items(items: &[Value]) -> Vec<HeardWord> {
    let mut words: Vec<HeardWord> = Vec::new();
    for item in items {
        let content = item
            .pointer("/alternatives/0/content")
            .and_then(Value::as_str);
        let Some(content) = content.map(str::trim).filter(|content| !content.is_empty()) else {
            continue;
        };
        match words.last_mut() {
            Some(word) if item["type"] == "punctuation" => word.text.push_str(content),
            _ => {
                let is_joined = joins(words.last().map(|word| word.text.as_str()), content);
                words.push(HeardWord {
                    text: content.to_owned(),
                    start: item.get("start_time").and_then(seconds),
                    end: item.get("end_time").and_then(seconds),
                    is_joined,
                    phrase: None,
                    ends_caption: false,
                });
            }
        }
    }
    words
}

fn best(phrase: &Members) -> Option<&Members> {
    let list = phrase.get("NBest").or_else(|| phrase.get("nBest"))?;
    list.get(0)?.as_object()
}

/// Azure: the words as they are displayed, else as they were spoken.
fn of_best(phrase: &Members) -> Vec<HeardWord> {
    let Some(best) = best(phrase) else {
        return Vec::new();
    };
    let list = ["displayWords", "DisplayWords", "Words", "words"]
        .iter()
        .find_map(|key| {
            best.get(*key)
                .and_then(Value::as_array)
                .filter(|list| !list.is_empty())
        });
    let span = span(phrase, TimeUnit::Seconds);
    let display = ["display", "Display"]
        .iter()
        .find_map(|key| best.get(*key)?.as_str());
    match (list, display) {
        (Some(list), display) => {
            let mut words = of_words(list, span);
            punctuate(&mut words, display.unwrap_or_default());
            words
        }
        (None, Some(display)) => spread(display, span),
        (None, None) => Vec::new(),
    }
}

/// Phrases with their words; the words of a phrase without them are placed within its time.
fn of_phrases(phrases: &[Value]) -> Vec<HeardWord> {
    let phrases: Vec<&Members> = phrases.iter().filter_map(Value::as_object).collect();
    let unit = unit(phrases.iter().copied());
    let mut words: Vec<HeardWord> = Vec::new();
    for phrase in phrases {
        let span = span(phrase, unit);
        let list = |key: &str| {
            phrase
                .get(key)
                .and_then(Value::as_array)
                .filter(|list| !list.is_empty())
        };
        let first = words.len();
        if let Some(tokens) = list("tokens").filter(|tokens| tokens.iter().any(Value::is_object)) {
            words.extend(of_tokens(tokens, span));
        } else if let Some(own) = list("words") {
            let mut own = of_words(own, span);
            punctuate(&mut own, text(phrase));
            words.extend(own);
        } else {
            words.extend(spread(text(phrase), span));
        }
        // The text of a phrase may begin with a blank; phrases of Chinese do not.
        if first > 0
            && let Some(word) = words.get(first)
        {
            let is_joined = joins(Some(words[first - 1].text.as_str()), &word.text)
                && !text(phrase).starts_with(' ');
            words[first].is_joined = is_joined;
        }
    }
    words
}

/// The words of a phrase that has only a time as a whole.
fn spread(text: &str, span: Option<(Micros, Micros)>) -> Vec<HeardWord> {
    let words = tokens(text).into_iter().map(|(text, is_joined)| HeardWord {
        text,
        start: None,
        end: None,
        is_joined,
        phrase: span,
        ends_caption: false,
    });
    words.collect()
}

/// whisper.cpp: parts of words; a word begins with a blank.
fn of_tokens(tokens: &[Value], phrase: Option<(Micros, Micros)>) -> Vec<HeardWord> {
    let mut words: Vec<HeardWord> = Vec::new();
    for token in tokens.iter().filter_map(Value::as_object) {
        let text = token
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let part = text.trim();
        if part.is_empty()
            || (part.starts_with("[_") && part.ends_with(']'))
            || part.starts_with("<|")
        {
            continue;
        }
        let (start, end) = times(token, TimeUnit::Seconds);
        let starts = words.is_empty()
            || text.starts_with(char::is_whitespace)
            || part
                .chars()
                .next()
                .is_some_and(|first| first.is_alphanumeric() && is_unspaced(first));
        match words.last_mut() {
            Some(word) if !starts => {
                word.text.push_str(part);
                word.end = end.or(word.end);
            }
            _ => words.push(HeardWord {
                text: part.to_owned(),
                start,
                end,
                is_joined: !words.is_empty() && !text.starts_with(char::is_whitespace),
                phrase,
                ends_caption: false,
            }),
        }
    }
    words
}

/// Objects of one word each.
fn of_words(list: &[Value], phrase: Option<(Micros, Micros)>) -> Vec<HeardWord> {
    let list: Vec<&Members> = list.iter().filter_map(Value::as_object).collect();
    let unit = unit(list.iter().copied());
    let kind = |word: &Members| word.get("type").and_then(Value::as_str).map(str::to_owned);
    let has_blanks = list.iter().any(|word| {
        let text = text(word);
        kind(word).as_deref() == Some("spacing")
            || (!text.is_empty() && (text.trim().is_empty() || text.trim() != text))
    });
    let mut joined = Joined::default();
    let mut words: Vec<HeardWord> = Vec::new();
    for word in list {
        // Laughter and music are not words.
        if kind(word).as_deref() == Some("audio_event") {
            continue;
        }
        let (start, end) = times(word, unit);
        let text = text(word);
        if has_blanks {
            let is_spacing = kind(word).as_deref() == Some("spacing");
            joined.add(if is_spacing { " " } else { text }, start, end);
            continue;
        }
        let text = text.trim();
        match words.last_mut() {
            Some(last) if is_punctuation(text) => last.text.push_str(text),
            _ if text.is_empty() => {}
            _ => {
                let is_joined = joins(words.last().map(|word| word.text.as_str()), text);
                words.push(HeardWord {
                    text: text.to_owned(),
                    start,
                    end,
                    is_joined,
                    phrase: None,
                    ends_caption: false,
                });
            }
        }
    }
    words.append(&mut joined.words);
    for word in &mut words {
        word.phrase = phrase;
    }
    words
}

/// Whether two words follow each other without a blank, where the transcript does not say so.
fn joins(before: Option<&str>, word: &str) -> bool {
    let ends = [
        before.and_then(|before| before.chars().last()),
        word.chars().next(),
    ];
    before.is_some() && ends.into_iter().flatten().all(is_unspaced)
}

fn text(word: &Members) -> &str {
    [
        "punctuated_word",
        "displayText",
        "DisplayText",
        "word",
        "Word",
        "text",
        "transcript",
        "content",
    ]
    .iter()
    .find_map(|key| word.get(*key).and_then(Value::as_str))
    .unwrap_or_default()
}

/// The unit of `start` and `end`, which have the same names in several shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TimeUnit {
    Seconds,
    Milliseconds,
}

/// Milliseconds are whole numbers, and too long for words in seconds.
fn unit<'w>(words: impl Iterator<Item = &'w Members>) -> TimeUnit {
    let (mut length, mut count) = (0.0, 0.0);
    for word in words {
        let (Some(start), Some(end)) = (word.get("start"), word.get("end")) else {
            continue;
        };
        let (Some(from), Some(to)) = (start.as_i64(), end.as_i64()) else {
            if start.is_f64() || end.is_f64() {
                return TimeUnit::Seconds;
            }
            continue;
        };
        length += (to.saturating_sub(from)).max(0) as f64;
        count += 1.0;
    }
    if count > 0.0 && length / count > USUAL_LENGTH {
        TimeUnit::Milliseconds
    } else {
        TimeUnit::Seconds
    }
}

fn span(phrase: &Members, unit: TimeUnit) -> Option<(Micros, Micros)> {
    let (start, end) = times(phrase, unit);
    start.zip(end).filter(|(start, end)| end > start)
}

/// The start and end of a word or a phrase. Its keys say in which unit they are.
fn times(word: &Members, unit: TimeUnit) -> (Option<Micros>, Option<Micros>) {
    let of = |key: &str| word.get(key);
    if let Some(offsets) = of("offsets") {
        let at = |key: &str| milliseconds(offsets.get(key)?);
        return (at("from"), at("to"));
    }
    for (offset, duration) in [
        ("offsetInTicks", "durationInTicks"),
        ("Offset", "Duration"),
        ("offset", "duration"),
    ] {
        if let (Some(offset), Some(duration)) = (of(offset), of(duration)) {
            let start = ticks(offset);
            let end = start
                .zip(ticks(duration))
                .map(|(start, length)| start + length);
            return (start, end);
        }
    }
    // Volcengine's are numbers of milliseconds, those of AWS are texts in seconds.
    if of("start_time").is_some() || of("end_time").is_some() {
        let at = |key: &str| match of(key)? {
            number @ Value::Number(_) => milliseconds(number),
            text => seconds(text),
        };
        return (at("start_time"), at("end_time"));
    }
    for (start, end) in [("startTime", "endTime"), ("startOffset", "endOffset")] {
        if of(start).is_some() || of(end).is_some() {
            return (of(start).and_then(seconds), of(end).and_then(seconds));
        }
    }
    let at = |key: &str| match unit {
        TimeUnit::Seconds => seconds(of(key)?),
        TimeUnit::Milliseconds => milliseconds(of(key)?),
    };
    (at("start"), at("end"))
}

fn seconds(value: &Value) -> Option<Micros> {
    let seconds = match value {
        Value::String(text) => text.trim().trim_end_matches('s').parse().ok()?,
        value => value.as_f64()?,
    };
    (0.0..=LONGEST_S)
        .contains(&seconds)
        .then(|| Micros((seconds * 1e6).round() as i64))
}

fn milliseconds(value: &Value) -> Option<Micros> {
    scaled(value, 1e3)
}

fn ticks(value: &Value) -> Option<Micros> {
    scaled(value, 0.1)
}

fn scaled(value: &Value, micros: f64) -> Option<Micros> {
    let micros = value.as_f64()? * micros;
    (0.0..=LONGEST_S * 1e6)
        .contains(&micros)
        .then(|| Micros(micros.round() as i64))
}

/// How many words of the text may stand between two words that were recognised.
const AHEAD: usize = 4;

/// Gives words that were recognised without punctuation the letters of the whole text.
fn punctuate(words: &mut [HeardWord], text: &str) {
    let has_marks = |word: &HeardWord| {
        word.text
            .chars()
            .any(|mark| mark.is_ascii_punctuation() && mark != '\'' && mark != '-')
    };
    if words.iter().any(has_marks) || text.trim().is_empty() {
        return;
    }
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let shown: Vec<(&str, String)> = text
        .split_whitespace()
        .map(|word| (word, plain(word)))
        .collect();
    let mut at = 0;
    for word in words {
        let own = plain(&word.text);
        let near = shown.iter().skip(at).take(AHEAD);
        if let Some(place) = near
            .map(|(_, plain)| plain)
            .position(|plain| !own.is_empty() && *plain == own)
        {
            at += place;
            shown[at].0.clone_into(&mut word.text);
            at += 1;
        }
    }
}
