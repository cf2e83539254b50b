//! Sizes, aspect ratios and lengths that services offer, and words from characters.

use crate::providers::section::size_of;
use crate::providers::service::VoicedWord;

/// A number of pixels that a model accepts, and the range of each side.
#[derive(Clone, Copy, Debug)]
pub(super) struct PixelRange {
    pub least: u64,
    pub most: u64,
    pub sides: (u32, u32),
}

/// How different two aspect ratios are; 0: equal.
fn distance((width, height): (u32, u32), (other_width, other_height): (u32, u32)) -> f64 {
    let ratio = |width: u32, height: u32| f64::from(width) / f64::from(height.max(1));
    (ratio(width, height) / ratio(other_width, other_height))
        .ln()
        .abs()
}

/// The size of a list whose aspect ratio is nearest to that of the canvas; of equal ones the smallest that covers it, else the
/// largest.
pub(super) fn nearest<T: AsRef<str>>(sizes: &[T], canvas: (u32, u32)) -> Option<&str> {
    let sizes = sizes.iter().map(AsRef::as_ref);
    let sizes = sizes.filter_map(|text| Some((text, size_of(text)?)));
    let key = |size: (u32, u32)| {
        let pixels = u64::from(size.0) * u64::from(size.1);
        let covers = size.0 >= canvas.0 && size.1 >= canvas.1;
        let rank = if covers { pixels } else { u64::MAX - pixels };
        (distance(size, canvas), rank)
    };
    let best = sizes.min_by(|(_, a), (_, b)| {
        let ((a, a_rank), (b, b_rank)) = (key(*a), key(*b));
        // Ratios that round to the same pixels are equal.
        if (a - b).abs() < 0.004 {
            a_rank.cmp(&b_rank)
        } else {
            a.total_cmp(&b)
        }
    });
    best.map(|(text, _)| text)
}

/// The ratio of a list, such as "9:16", that is nearest to that of the canvas.
pub(super) fn nearest_ratio<'a>(ratios: &[&'a str], canvas: (u32, u32)) -> Option<&'a str> {
    let ratio = |text: &str| {
        let (width, height) = text.split_once(':')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    let ratios = ratios.iter().filter_map(|text| Some((*text, ratio(text)?)));
    ratios
        .min_by(|(_, a), (_, b)| distance(*a, canvas).total_cmp(&distance(*b, canvas)))
        .map(|(text, _)| text)
}

/// A size with the canvas's aspect ratio, even sides and a number of pixels within the range: the canvas itself if it is
/// possible, else the nearest.
pub(super) fn within(canvas: (u32, u32), range: PixelRange) -> (u32, u32) {
    let is_possible = |(width, height): (u64, u64)| {
        let sides = u64::from(range.sides.0)..=u64::from(range.sides.1);
        (range.least..=range.most).contains(&(width * height))
            && sides.contains(&width)
            && sides.contains(&height)
    };
    let (width, height) = (u64::from(canvas.0.max(1)), u64::from(canvas.1.max(1)));
    if width % 2 == 0 && height % 2 == 0 && is_possible((width, height)) {
        return canvas;
    }
    let divisor = greatest_common_divisor(width, height);
    let (across, down) = (width / divisor, height / divisor);
    let pixels = width * height;
    let aim = pixels.clamp(range.least, range.most);
    // The multiples of the exact ratio with even sides, from the first that has enough pixels down or up.
    let factor = ((aim as f64 / (across * down) as f64).sqrt()).round() as u64;
    let candidates = (0..=2 * across.max(down).min(64)).flat_map(|step| {
        let near = factor.saturating_sub(step);
        [near, factor + step]
    });
    let exact = candidates
        .filter(|factor| *factor > 0 && (factor * across) % 2 == 0 && (factor * down) % 2 == 0)
        .map(|factor| (factor * across, factor * down))
        .find(|size| is_possible(*size));
    if let Some((width, height)) = exact {
        return (width as u32, height as u32);
    }
    // No multiple is possible: the sides are rounded.
    let scale = (aim as f64 / pixels as f64).sqrt();
    let even = |side: u64| {
        let side = (side as f64 * scale / 2.0).ceil() as u32 * 2;
        side.clamp(range.sides.0, range.sides.1)
    };
    (even(width), even(height))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The smallest length of a list that is enough, else the largest.
pub(super) fn length_of(list: &[u32], wanted: f64) -> Option<u32> {
    let whole = whole_seconds(wanted);
    let enough = list.iter().copied().filter(|seconds| *seconds >= whole);
    enough.min().or_else(|| list.iter().copied().max())
}

/// Whole seconds that are enough for a length.
pub(super) fn whole_seconds(wanted: f64) -> u32 {
    // A length of 5.0000001 from computing with floats is 5.
    (wanted - 1e-4).ceil().clamp(1.0, 86_400.0) as u32
}

/// The words of characters with their times. A character of Chinese or Japanese is a word; punctuation belongs to the word that
/// it follows, opening marks to the one that they precede. The times of a word are those of its letters.
pub(super) fn words_of<'a>(
    characters: impl IntoIterator<Item = (&'a str, f64, f64)>,
) -> Vec<VoicedWord> {
    let mut words = Vec::new();
    let mut current = WordBeingRead::default();
    for (text, start, end) in characters {
        for letter in text.chars() {
            if letter.is_whitespace() {
                current.finish(&mut words);
            } else if letter.is_alphanumeric() {
                let is_own = is_own_word(letter);
                if current.has_letter && (is_own || current.is_own) {
                    current.finish(&mut words);
                }
                if !current.has_letter {
                    current.word.start = start;
                }
                current.has_letter = true;
                current.is_own = is_own;
                current.word.end = end;
                current.word.word.push(letter);
            } else {
                if current.has_letter && is_opening(letter) {
                    current.finish(&mut words);
                }
                current.word.word.push(letter);
            }
        }
    }
    current.finish(&mut words);
    words
}

#[derive(Default)]
struct WordBeingRead {
    word: VoicedWord,
    has_letter: bool,
    /// Its letter is a word by itself.
    is_own: bool,
}

impl WordBeingRead {
    fn finish(&mut self, words: &mut Vec<VoicedWord>) {
        let done = std::mem::take(self);
        let times = done.word.start.is_finite() && done.word.end >= done.word.start;
        if done.has_letter && times {
            words.push(done.word);
        } else if !done.has_letter
            && !done.word.word.is_empty()
            && let Some(last) = words.last_mut()
        {
            // A dash between spaces.
            last.word.push(' ');
            last.word.push_str(&done.word.word);
        }
    }
}

/// Whether a letter is a word by itself, because its script has no spaces: Han, Hiragana, Katakana.
fn is_own_word(letter: char) -> bool {
    matches!(u32::from(letter), 0x3005..=0x3007 | 0x3041..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

fn is_opening(mark: char) -> bool {
    "“‘(（《〈「『【〔[{<¿¡«".contains(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_size_of_a_list_is_found() {
        let sizes = ["1024x1024", "1536x1024", "1024x1536"];
        assert_eq!(nearest(&sizes, (1080, 1920)), Some("1024x1536"));
        assert_eq!(nearest(&sizes, (1920, 1080)), Some("1536x1024"));
        assert_eq!(nearest(&sizes, (500, 500)), Some("1024x1024"));
        // Of equal ratios the smallest that covers the canvas, else the largest.
        let sizes = ["540x960", "1080x1920", "2160x3840", "1920x1080"];
        assert_eq!(nearest(&sizes, (1080, 1920)), Some("1080x1920"));
        assert_eq!(nearest(&sizes, (720, 1280)), Some("1080x1920"));
        assert_eq!(nearest(&sizes, (4320, 7680)), Some("2160x3840"));
        assert_eq!(
            nearest(&["768x1366", "1024x1024"], (1080, 1920)),
            Some("768x1366")
        );
        assert_eq!(nearest::<&str>(&[], (1, 1)), None);
        assert_eq!(nearest(&["wide"], (1, 1)), None);
    }

    #[test]
    fn the_nearest_ratio_is_found() {
        let ratios = ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"];
        for (canvas, ratio) in [
            ((1080, 1920), "9:16"),
            ((1920, 1080), "16:9"),
            ((1080, 1350), "3:4"),
            ((1080, 1080), "1:1"),
            ((2560, 1080), "21:9"),
            ((1, 4000), "9:16"),
        ] {
            assert_eq!(nearest_ratio(&ratios, canvas), Some(ratio), "{canvas:?}");
        }
    }

    #[test]
    fn sizes_keep_the_ratio_within_a_range_of_pixels() {
        let range = PixelRange {
            least: 3_686_400,
            most: 16_777_216,
            sides: (480, 6_200),
        };
        assert_eq!(within((1440, 2560), range), (1440, 2560));
        assert_eq!(within((1080, 1080), range), (1920, 1920));
        for canvas in [
            (1080, 1920),
            (1920, 1080),
            (720, 1280),
            (1080, 1350),
            (1440, 1080),
            (2560, 1080),
            (1000, 1001),
            (1081, 1919),
            (16, 9),
            (4320, 7680),
            (7680, 4320),
            (333, 777),
        ] {
            let (width, height) = within(canvas, range);
            let pixels = u64::from(width) * u64::from(height);
            assert!(
                (range.least..=range.most).contains(&pixels),
                "{canvas:?}: {width}x{height}"
            );
            assert!(
                width % 2 == 0 && height % 2 == 0,
                "{canvas:?}: {width}x{height}"
            );
            assert!(
                distance(canvas, (width, height)) < 0.003,
                "{canvas:?}: {width}x{height}"
            );
        }
        for canvas in [(1080, 1920), (1920, 1080), (1440, 1080)] {
            let (width, height) = within(canvas, range);
            let (own, other) = (canvas.0 * height, canvas.1 * width);
            assert_eq!(own, other, "{canvas:?}: {width}x{height}");
        }
    }

    #[test]
    fn lengths_are_enough_or_the_largest() {
        assert_eq!(length_of(&[8, 4, 12], 4.0), Some(4));
        assert_eq!(length_of(&[8, 4, 12], 4.2), Some(8));
        assert_eq!(length_of(&[8, 4, 12], 4.000_01), Some(4));
        assert_eq!(length_of(&[8, 4, 12], 60.0), Some(12));
        assert_eq!(length_of(&[], 60.0), None);
        for odd in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert!(whole_seconds(odd) <= 86_400, "{odd}");
        }
    }

    fn split(text: &str) -> Vec<String> {
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let timed = letters.iter().enumerate();
        let timed = timed.map(|(at, letter)| (letter.as_str(), at as f64, at as f64 + 1.0));
        words_of(timed).into_iter().map(|word| word.word).collect()
    }

    #[test]
    fn characters_become_words() {
        assert_eq!(split("Our new watch."), ["Our", "new", "watch."]);
        assert_eq!(
            split(" don't “stop” it's 3.5 kg "),
            ["don't", "“stop”", "it's", "3.5", "kg"]
        );
        assert_eq!(
            split("这是新款手表。"),
            ["这", "是", "新", "款", "手", "表。"]
        );
        assert_eq!(split("《手表》好"), ["《手", "表》", "好"]);
        assert_eq!(split("用AI做2025年"), ["用", "AI", "做", "2025", "年"]);
        assert_eq!(split("a — b"), ["a —", "b"]);
        assert_eq!(split("한국어 문장"), ["한국어", "문장"]);
        assert!(split(" … ").is_empty() && split("").is_empty());
    }

    #[test]
    fn the_times_of_a_word_are_those_of_its_letters() {
        let words = words_of([
            ("“", 0.0, 0.2),
            ("H", 0.2, 0.3),
            ("i", 0.3, 0.5),
            (",", 0.5, 1.5),
        ]);
        assert_eq!(words.len(), 1);
        assert_eq!(
            (words[0].word.as_str(), words[0].start, words[0].end),
            ("“Hi,", 0.2, 0.5)
        );
        // Times that go backwards belong to no word.
        assert!(words_of([("a", 2.0, 1.0)]).is_empty());
        assert!(words_of([("a", f64::NAN, 1.0)]).is_empty());
    }
}
