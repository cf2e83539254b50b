//! Where the words of a known script are spoken, without a recogniser: each span of speech takes a run of words.

use crate::speech::Span;

/// Seconds of a span that has no words: a breath or a click is likely, a sentence is not.
const WITHOUT_WORDS: f64 = 0.35;
/// The shortest time of a word in seconds, where the span has room.
const SHORTEST_WORD: f64 = 0.04;

/// The times of words, in seconds: as many spans as words, in order, each inside a span of speech. Words have their
/// punctuation, as in `"Well,"`; a Chinese or Japanese text is given by characters or by words. Empty without speech.
///
/// Runs of words are chosen so that each span lasts as long as its words take, and so that pauses fall on punctuation. The
/// times are estimates: within a span, words are spread by their syllables.
pub fn align(words: &[&str], speech: &[Span]) -> Vec<Span> {
    let spans: Vec<Span> = speech
        .iter()
        .copied()
        .filter(|span| span.duration() > 0.0)
        .collect();
    if words.is_empty() || spans.is_empty() {
        return Vec::new();
    }
    let runs = Runs::new(words, &spans);
    let ends = runs.best();
    let mut times = Vec::with_capacity(words.len());
    let mut first = 0;
    for (span, end) in spans.iter().zip(ends) {
        spread(&runs.weights[first..end], *span, &mut times);
        first = end;
    }
    times
}

/// How long a word takes to say, in syllables, without the pause of its punctuation.
pub fn spoken_weight(word: &str) -> f64 {
    let mut weight = 0.0;
    let mut is_in_vowels = false;
    let mut consonants = 0;
    let mut letters = 0;
    let mut last_group_is_e = false;
    let mut groups = 0;
    for c in word.chars() {
        if is_wide(c) {
            weight += if LIGHT.contains(c) { 0.7 } else { 1.0 };
            is_in_vowels = false;
        } else if c.is_ascii_digit() || c.is_numeric() {
            weight += 1.3;
            is_in_vowels = false;
        } else if c.is_alphabetic() {
            letters += 1;
            if is_vowel(c) {
                if !is_in_vowels {
                    groups += 1;
                }
                last_group_is_e = !is_in_vowels && matches!(c, 'e' | 'E');
                is_in_vowels = true;
            } else {
                consonants += 1;
                is_in_vowels = false;
            }
        } else if matches!(c, '%' | '&' | '@' | '€' | '$' | '+' | '=') {
            weight += 1.5;
            is_in_vowels = false;
        } else {
            is_in_vowels = false;
        }
    }
    // "make", "people": an E at the end is mostly silent.
    let ends_in_e = last_group_is_e
        && word
            .trim_end_matches(|c: char| !c.is_alphabetic())
            .ends_with(['e', 'E']);
    if ends_in_e && groups > 1 {
        groups -= 1;
    }
    if letters > 0 {
        weight += f64::from(groups.max(1)) + 0.12 * f64::from(consonants);
    }
    weight.max(0.5)
}

/// Chinese particles, which are spoken without a tone.
const LIGHT: &str = "的了着吗呢吧啊们么";

/// Scripts in which a character is about a syllable.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

fn is_vowel(c: char) -> bool {
    c.to_lowercase()
        .any(|c| "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœāēīōūаеёиоуыэюяіїєαεηιουωάέήίόύώ".contains(c))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    Short,
    Long,
}

impl Pause {
    /// What it takes inside a span, in syllables.
    fn weight(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Short => 0.3,
            Self::Long => 0.5,
        }
    }
}

/// What a word takes, in syllables.
#[derive(Clone, Copy, Debug)]
struct WordWeight {
    spoken: f64,
    pause: f64,
}

/// The pause that punctuation after a word stands for.
fn pause(word: &str) -> Pause {
    let end = word
        .trim_end_matches(['"', '\'', '”', '’', '»', ')', ']', '」', '』', '）'])
        .chars()
        .next_back();
    match end {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？' | '؟' | '।') => Pause::Long,
        Some(',' | ';' | ':' | '，' | '、' | '；' | '：' | '—' | '–' | '،') => {
            Pause::Short
        }
        _ => Pause::None,
    }
}

/// The choice of a run of words for each span.
struct Runs<'a> {
    pauses: Vec<Pause>,
    weights: Vec<WordWeight>,
    spans: &'a [Span],
    /// Weight of the words before each, with their pauses.
    before: Vec<f64>,
    /// Speech before each span, in seconds.
    spoken: Vec<f64>,
    /// Seconds for a weight of 1.
    pace: f64,
}

impl<'a> Runs<'a> {
    fn new(words: &[&str], spans: &'a [Span]) -> Self {
        let sums = |values: &mut dyn Iterator<Item = f64>| {
            let mut sums = vec![0.0];
            for value in values {
                sums.push(sums[sums.len() - 1] + value);
            }
            sums
        };
        let pauses: Vec<Pause> = words.iter().map(|word| pause(word)).collect();
        let weights: Vec<WordWeight> = words
            .iter()
            .zip(&pauses)
            .map(|(word, pause)| WordWeight {
                spoken: spoken_weight(word),
                pause: pause.weight(),
            })
            .collect();
        let before = sums(&mut weights.iter().map(|weight| weight.spoken + weight.pause));
        let spoken = sums(&mut spans.iter().map(Span::duration));
        let all: f64 = weights.iter().map(|weight| weight.spoken).sum();
        Self {
            pace: spoken[spans.len()] / all,
            pauses,
            weights,
            spans,
            before,
            spoken,
        }
    }

    fn count(&self) -> usize {
        self.weights.len()
    }

    /// The words that may be spoken before the end of a span: those around the proportional place.
    fn band(&self, span: usize) -> std::ops::RangeInclusive<usize> {
        let all = self.spoken[self.spans.len()];
        let reach = 4.0 + 0.12 * all.min(600.0) + 0.01 * all;
        // The same part of the words as of the speech.
        let at = |seconds: f64| {
            let weight = seconds / all * self.before[self.count()];
            self.before.partition_point(|sum| *sum < weight)
        };
        let end = self.spoken[span + 1];
        let last = self.count();
        if span + 1 == self.spans.len() {
            return last..=last;
        }
        at(end - reach).min(last)..=at(end + reach).min(last)
    }

    /// The end of the run of each span, as an index of words.
    fn best(&self) -> Vec<usize> {
        let mut costs = vec![0.0];
        let mut low = 0;
        let mut choices: Vec<(usize, Vec<u32>)> = Vec::with_capacity(self.spans.len());
        for index in 0..self.spans.len() {
            let band = self.band(index);
            let duration = self.spans[index].duration();
            let mut now = Vec::with_capacity(band.size_hint().0);
            let mut chosen = Vec::with_capacity(band.size_hint().0);
            for end in band.clone() {
                // Runs that take far longer than the span are not tried.
                let longest = (duration * 3.0 + 3.0) / self.pace;
                let first = self
                    .before
                    .partition_point(|sum| *sum < self.before[end] - longest)
                    .max(low);
                let (mut best, mut from) = (f64::INFINITY, low);
                for start in first..=end.min(low + costs.len() - 1) {
                    let cost = costs[start - low] + self.cost(start, end, duration);
                    if cost < best {
                        (best, from) = (cost, start);
                    }
                }
                now.push(best + self.boundary(index, end));
                chosen.push(from as u32);
            }
            (costs, low) = (now, *band.start());
            choices.push((low, chosen));
        }
        if !costs[0].is_finite() {
            return self.proportional();
        }
        let mut ends = vec![self.count(); self.spans.len()];
        let mut end = self.count();
        for (index, (low, chosen)) in choices.iter().enumerate().rev() {
            ends[index] = end;
            end = chosen[end - low] as usize;
        }
        ends
    }

    /// How much a span's length differs from what its words take.
    fn cost(&self, start: usize, end: usize, duration: f64) -> f64 {
        if start == end {
            return (duration / WITHOUT_WORDS).powi(2) + 0.5;
        }
        // The pause after the last word is outside the span.
        let weight = self.before[end] - self.before[start] - self.weights[end - 1].pause;
        let expected = weight * self.pace;
        (expected - duration).powi(2) / (0.045 * (expected + duration) + 0.02)
    }

    /// A pause is likely after punctuation, the more so the longer it is.
    fn boundary(&self, span: usize, end: usize) -> f64 {
        let Some(next) = self.spans.get(span + 1) else {
            return 0.0;
        };
        let Some(last) = end.checked_sub(1) else {
            return 0.0;
        };
        let gap = (next.start - self.spans[span].end).min(1.0);
        match self.pauses[last] {
            Pause::Long => -1.0 - 2.0 * gap,
            Pause::Short => -0.8,
            Pause::None => 1.0 + 3.0 * gap,
        }
    }

    /// Words by their weight over all speech, if no other choice was found.
    fn proportional(&self) -> Vec<usize> {
        let ends = (1..=self.spans.len()).map(|count| {
            let part = self.spoken[count] / self.spoken[self.spans.len()];
            let weight = part * self.before[self.count()];
            self.before[1..].partition_point(|sum| *sum <= weight + 1e-9)
        });
        let mut ends: Vec<usize> = ends.collect();
        if let Some(last) = ends.last_mut() {
            *last = self.count();
        }
        ends
    }
}

/// Spreads words over a span.
fn spread(weights: &[WordWeight], span: Span, times: &mut Vec<Span>) {
    let Some((last, others)) = weights.split_last() else {
        return;
    };
    let sum = last.spoken + others.iter().map(|w| w.spoken + w.pause).sum::<f64>();
    let shortest = SHORTEST_WORD.min(span.duration() / weights.len() as f64);
    let free = span.duration() - shortest * weights.len() as f64;
    let mut start = span.start;
    for weight in others {
        let end = (start + shortest + free * weight.spoken / sum).min(span.end);
        times.push(Span::new(start, end));
        start = (end + free * weight.pause / sum).min(span.end);
    }
    times.push(Span::new(start, span.end));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_the_span_of_their_sentence() {
        let words = ["One", "two.", "Three", "four", "five", "six", "seven."];
        let spans = [Span::new(1.0, 1.5), Span::new(2.5, 4.0)];
        let times = align(&words, &spans);
        assert_eq!(times.len(), 7);
        assert_eq!((times[0].start, times[1].end), (1.0, 1.5));
        assert_eq!((times[2].start, times[6].end), (2.5, 4.0));
    }

    #[test]
    fn a_breath_takes_no_words() {
        let words = ["Hello", "there.", "Good", "morning", "everybody."];
        let spans = [
            Span::new(0.0, 0.9),
            Span::new(1.3, 1.42),
            Span::new(2.0, 3.3),
        ];
        let times = align(&words, &spans);
        assert!(
            times
                .iter()
                .all(|time| time.start < 0.9 || time.start >= 2.0),
            "{times:?}"
        );
    }

    #[test]
    fn every_word_is_inside_speech_whatever_the_numbers_are() {
        let words: Vec<String> = (0..400).map(|n| format!("word{}", n * n)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for count in [1usize, 2, 7, 90, 900] {
            let spans: Vec<Span> = (0..count)
                .map(|n| {
                    Span::new(
                        n as f64,
                        n as f64 + 0.3 + 0.6 * ((n * 7 % 10) as f64 / 10.0),
                    )
                })
                .collect();
            let times = align(&words, &spans);
            assert_eq!(times.len(), words.len(), "{count} spans");
            let is_inside = |time: &Span| {
                spans
                    .iter()
                    .any(|span| time.start >= span.start - 1e-9 && time.end <= span.end + 1e-9)
            };
            assert!(times.iter().all(is_inside), "{count} spans");
            assert!(
                times
                    .windows(2)
                    .all(|pair| pair[0].end <= pair[1].start + 1e-9)
            );
            assert!(times.iter().all(|time| time.end > time.start));
        }
        assert!(align(&words, &[]).is_empty());
        assert!(align(&[], &[Span::new(0.0, 1.0)]).is_empty());
    }

    #[test]
    fn syllables_are_counted_in_several_scripts() {
        let weight = |word| spoken_weight(word).round() as i32;
        assert_eq!(weight("a"), 1);
        assert_eq!(weight("make"), 1);
        assert_eq!(weight("banana"), 3);
        assert_eq!(weight("你好"), 2);
        assert_eq!(weight("привет"), 2);
        assert!(spoken_weight("—") >= 0.5);
    }
}
