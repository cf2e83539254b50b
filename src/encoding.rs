//! Decodes text in the encodings that editors, spreadsheets and subtitle tools write.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1251, WINDOWS_1252,
};

/// A text and its encoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Without a byte order mark.
    pub text: String,
    /// The name of the encoding, such as `UTF-8` or `GBK`.
    pub encoding: &'static str,
    /// The bytes do not show which encoding they have: it was guessed from the letters.
    pub guessed: bool,
    /// Some bytes are not valid in that encoding; they were replaced with U+FFFD.
    pub damaged: bool,
}

impl Decoded {
    /// A note for people, if the text may differ from what its author wrote.
    pub(crate) fn note(&self) -> Option<String> {
        let name = self.encoding;
        match (self.guessed, self.damaged) {
            (true, false) => Some(format!(
                "the file is not UTF-8 and was read as {name}; save it as UTF-8 if letters are wrong"
            )),
            (true, true) => Some(format!(
                "the file is not UTF-8 and was read as {name}, but some bytes are not valid in it (shown as \u{fffd}); save it as UTF-8"
            )),
            (false, true) => Some(format!(
                "some bytes of the file are not valid {name} (shown as \u{fffd}); the file may be damaged"
            )),
            (false, false) => None,
        }
    }
}

/// Decodes according to the byte order mark; without one as UTF-16 or UTF-8, otherwise in the encoding guessed
/// from the letters.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return with(encoding, &bytes[mark..], false);
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return with(encoding, bytes, false);
    }
    if std::str::from_utf8(bytes).is_ok() || is_damaged_utf8(bytes) {
        return with(UTF_8, bytes, false);
    }
    with(guess(bytes), bytes, true)
}

fn with(encoding: &'static Encoding, bytes: &[u8], guessed: bool) -> Decoded {
    let (text, damaged) = encoding.decode_without_bom_handling(bytes);
    Decoded {
        text: text.into_owned(),
        encoding: encoding.name(),
        guessed,
        damaged,
    }
}

/// UTF-16 without a mark: files that we read contain line breaks, digits or spaces, whose high byte is 0.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(4096)];
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|b| **b == 0);
    let (even, odd) = (zeros(0).count(), zeros(1).count());
    // At least one unit in eight, and (nearly) all zeros at even or all at odd offsets.
    let is_enough = |zeros: usize, others: usize| zeros * 16 >= start.len() && others * 8 <= zeros;
    match () {
        () if odd > 0 && is_enough(odd, even) => Some(UTF_16LE),
        () if even > 0 && is_enough(even, odd) => Some(UTF_16BE),
        () => None,
    }
}

/// UTF-8 that lost a few bytes: most of its non-ASCII characters are valid.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole >= 4 * broken
}

/// With at most this number of non-ASCII bytes, the detector's letter statistics are unreliable, so its guess is
/// corrected by what a short text can be.
const FEW: usize = 48;

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let count = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    if count > FEW {
        return guess;
    }
    let is_double = [GBK, BIG5, SHIFT_JIS, encoding_rs::EUC_JP].contains(&guess);
    if !is_double && chars_in(GBK, bytes).is_some_and(|chars| all(&chars, is_usual_hanzi)) {
        return GBK;
    }
    if is_double || guess == EUC_KR {
        return guess;
    }
    if is_shift_jis(bytes) {
        return SHIFT_JIS;
    }
    let is_latin = ![
        "windows-1251",
        "windows-1253",
        "windows-1255",
        "windows-1256",
    ]
    .contains(&guess.name())
        && (guess.name().starts_with("windows-125") || guess.name().starts_with("ISO-8859-"));
    if is_latin && is_cyrillic(bytes) {
        return WINDOWS_1251;
    }
    if is_latin && count < 4 {
        return WINDOWS_1252;
    }
    guess
}

/// The non-ASCII characters of a text in this encoding, if all of its bytes are valid.
fn chars_in(encoding: &'static Encoding, bytes: &[u8]) -> Option<Vec<char>> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.chars().filter(|c| !c.is_ascii()).collect())
}

fn all(chars: &[char], is: fn(char) -> bool) -> bool {
    !chars.is_empty() && chars.iter().all(|c| is(*c))
}

/// The most frequent characters of Chinese subtitles.
fn is_usual_hanzi(c: char) -> bool {
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日\
     军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处\
     走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住\
     吗吧呢啊，。？！、：；…“”《》—字幕谢您哪谁爱快吃"
        .contains(c)
}

/// Only kana and kanji, whose first byte is punctuation or undefined in the single-byte Windows encodings.
fn is_shift_jis(bytes: &[u8]) -> bool {
    let Some(chars) = chars_in(SHIFT_JIS, bytes) else {
        return false;
    };
    let is_japanese = |c: char| matches!(c, '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '！' | '？' | '～');
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    // Pairs whose second byte is an ASCII letter are weak evidence, so most bytes must be non-ASCII.
    all(&chars, is_japanese) && 3 * high >= 5 * chars.len()
}

/// Words that consist only of letters that are accented in Western encodings: no Western language has such words.
fn is_cyrillic(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| matches!(byte, 0xC0..|0xA8| 0xB8);
    let words = bytes.split(|byte| byte.is_ascii() && !byte.is_ascii_alphabetic());
    let words: Vec<&[u8]> = words
        .filter(|word| word.iter().any(|byte| !byte.is_ascii()))
        .collect();
    let whole = words.iter().filter(|word| word.iter().all(is_letter));
    let (count, longest) = whole.fold((0, 0), |(count, longest), word| {
        (count + 1, word.len().max(longest))
    });
    longest >= 2 && 2 * count > words.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_decoded_in_their_own_encoding() {
        for (label, texts) in [
            (
                "gbk",
                &[
                    "测试字幕",
                    "你好",
                    "我们今天去哪里？",
                    "字幕",
                    "好的",
                    "是",
                    "第一句",
                ][..],
            ),
            (
                "big5",
                &["測試字幕", "你好", "我們今天去哪裡？", "字幕", "好的"],
            ),
            (
                "shift_jis",
                &["こんにちは", "字幕テスト", "今日は", "はい", "字幕"],
            ),
            ("euc-jp", &["こんにちは"]),
            ("euc-kr", &["안녕하세요", "자막"]),
            (
                "windows-1252",
                &[
                    "Café",
                    "Ça va? Où est-il né",
                    "¿Qué tal, señor?",
                    "Über größe",
                    "It’s “fine” – ok…",
                    "naïve",
                    "é",
                    "Até amanhã, não",
                    "– Hello",
                    "it’s",
                    "£5",
                    "20°C",
                    "©2020",
                    "Où",
                ],
            ),
            (
                "windows-1251",
                &["Привет, мир", "Субтитры", "Да", "Это тест", "Ещё раз"],
            ),
            (
                "windows-1250",
                &["Zażółć gęślą jaźń", "Příliš žluťoučký kůň"],
            ),
            ("windows-1253", &["Γειά σου Κόσμε"]),
            ("windows-1254", &["Şöyle böyle güzel"]),
            ("windows-1255", &["שלום עולם"]),
            ("windows-1256", &["مرحبا بالعالم"]),
            ("windows-874", &["สวัสดีชาวโลก"]),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            for text in texts {
                let srt = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n");
                let decoded = decode(&encoding.encode(&srt).0);
                assert_eq!(decoded.text, srt, "{label} as {}", decoded.encoding);
                assert!(decoded.note().unwrap().contains("not UTF-8"), "{label}");
            }
        }
    }

    #[test]
    fn unicode_is_recognised_without_a_guess() {
        let plain = |text: &str| Decoded {
            text: text.to_owned(),
            encoding: UTF_8.name(),
            guessed: false,
            damaged: false,
        };
        for text in [
            "1é字🎬",
            "1\n00:00:00 --> 00:00:01\n字幕字幕字幕\n",
            "1\r\n",
        ] {
            let units: Vec<u16> = text.encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!(decode(text.as_bytes()), plain(text));
            assert_eq!(decode(format!("\u{feff}{text}").as_bytes()), plain(text));
            for (encoding, mark, units) in [
                (UTF_16LE, b"\xFF\xFE", little),
                (UTF_16BE, b"\xFE\xFF", big),
            ] {
                let expected = Decoded {
                    encoding: encoding.name(),
                    ..plain(text)
                };
                assert_eq!(decode(&units), expected);
                assert_eq!(decode(&[&mark[..], &units[..]].concat()), expected);
            }
        }
        assert_eq!(decode(b""), plain(""));
        assert_eq!(decode(b"\xFF\xFE1\0x").text, "1\u{fffd}");
    }

    #[test]
    fn utf8_with_a_broken_byte_stays_utf8() {
        let decoded = decode("这是一个字幕\u{0}".replace('\0', "").as_bytes());
        assert_eq!(decoded.note(), None);
        let mut cut = "这是一个字幕".as_bytes().to_vec();
        cut.pop();
        let decoded = decode(&cut);
        assert_eq!(decoded.text, "这是一个字\u{fffd}");
        assert!(decoded.note().unwrap().contains("damaged"));
    }

    #[test]
    fn common_encodings_are_decoded() {
        let table: [(&'static Encoding, &str); 6] = [
            (GBK, "测试,你好\n欢迎来到我的频道,今天我们来泡茶\n"),
            (BIG5, "標題,內容\n歡迎來到我的頻道,今天我們來泡茶\n"),
            (SHIFT_JIS, "題名,本文\nこんにちは,お茶を入れましょう\n"),
            (EUC_KR, "제목,내용\n안녕하세요,오늘은 차를 끓입니다\n"),
            (
                WINDOWS_1251,
                "заголовок,строка\nПривет,сегодня мы завариваем чай\n",
            ),
            (
                WINDOWS_1252,
                "titre,ligne\nDéjà vu,c’est l’été à la maison\n",
            ),
        ];
        for (encoding, text) in table {
            let (bytes, _, _) = encoding.encode(text);
            let decoded = decode(&bytes);
            assert_eq!(decoded.text, text, "{}", encoding.name());
            assert!(decoded.guessed && !decoded.damaged);
        }
    }

    #[test]
    fn byte_order_marks_and_utf16_are_read() {
        let text = "a,b\n茶,1\n";
        let utf16 = |to: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
            let mark = mark.then_some('\u{feff}').map(String::from);
            let text = mark.unwrap_or_default() + text;
            text.encode_utf16().flat_map(to).collect()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16(u16::to_le_bytes, true),
            utf16(u16::to_be_bytes, true),
            utf16(u16::to_le_bytes, false),
            utf16(u16::to_be_bytes, false),
        ] {
            assert_eq!(decode(&bytes).text, text, "{bytes:?}");
        }
        assert_eq!(decode(b"").text, "");
        assert!(decode(b"\xef\xbb\xbfa\xff").damaged);
    }
}
