//! Text of any encoding: what editors, spreadsheets and subtitle tools on all systems write.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes of a file from which a guess of UTF-16 is made.
const LOOKED_AT: usize = 4096;

/// A text, and how it was encoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Without a byte order mark.
    pub text: String,
    /// The name of the encoding, such as `UTF-8` or `GBK`.
    pub encoding: &'static str,
    /// The bytes do not say which encoding they have: it was guessed from the letters.
    pub guessed: bool,
    /// Some bytes are no letters of that encoding; U+FFFD is in their place.
    pub damaged: bool,
}

/// Decodes by the byte order mark, else as UTF-8, else as UTF-16, else as the encoding that the letters speak for.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return with(encoding, &bytes[length..], false);
    }
    let utf16 = utf16(bytes);
    if utf16.is_none()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Decoded {
            text: text.to_owned(),
            encoding: UTF_8.name(),
            guessed: false,
            damaged: false,
        };
    }
    if let Some(encoding) = utf16 {
        return with(encoding, bytes, true);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    with(detector.guess(None, Utf8Detection::Deny), bytes, true)
}

/// UTF-16 without a mark: every second byte of its line breaks, digits and commas is zero, and text has no others.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    let zeros = |odd: usize| {
        start
            .iter()
            .skip(odd)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    match (zeros(0), zeros(1), bytes.len() % 2) {
        (0, 1.., 0) => Some(UTF_16LE),
        (1.., 0, 0) => Some(UTF_16BE),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_KR, GBK, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};

    use super::*;

    #[test]
    fn text_of_common_encodings_is_decoded() {
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
