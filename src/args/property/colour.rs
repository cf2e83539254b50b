//! Colour notations: names, `#RGB`, `rgb()`, `rgba()`.

use serde_json::Number;

/// A colour and its opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour {
    red: u8,
    green: u8,
    blue: u8,
    pub alpha: f64,
}

/// The English names of Chinese colour names.
const CHINESE: [(&str, &str); 14] = [
    ("红", "red"),
    ("绿", "green"),
    ("蓝", "blue"),
    ("黄", "yellow"),
    ("白", "white"),
    ("黑", "black"),
    ("橙", "orange"),
    ("紫", "purple"),
    ("粉", "pink"),
    ("粉红", "pink"),
    ("灰", "gray"),
    ("棕", "brown"),
    ("青", "cyan"),
    ("金", "gold"),
];

/// Whether it is `#RRGGBB`, the form in drafts.
pub(super) fn is_plain(text: &str) -> bool {
    text.len() == 7
        && text.starts_with('#')
        && text.as_bytes()[1..].iter().all(u8::is_ascii_hexdigit)
}

impl Colour {
    /// Reads a colour; the error is the colour that was probably meant.
    pub(crate) fn read(text: &str) -> Result<Self, Option<String>> {
        let text = text.trim();
        let digits = text.trim_start_matches('#');
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Without `#`, eight decimal digits are more likely a number than a colour with its opacity.
        if is_hex && !text.starts_with('#') && !matches!(digits.len(), 3 | 6) {
            return Err(text.parse::<u64>().ok().and_then(of_whole));
        }
        let code = if is_hex && !digits.is_empty() {
            format!("#{digits}")
        } else {
            named(text)
        };
        match csscolorparser::parse(&code) {
            Ok(colour) => {
                let [red, green, blue, _] = colour.to_rgba8();
                Ok(Self {
                    red,
                    green,
                    blue,
                    alpha: (f64::from(colour.a) * 1000.0).round() / 1000.0,
                })
            }
            Err(_) => Err(near(&code)),
        }
    }

    /// `#RRGGBB`.
    pub(crate) fn code(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.red, self.green, self.blue)
    }
}

/// `lightblue` for `Light Blue`, `red` for `红色`; functions such as `rgb()` as they are.
fn named(text: &str) -> String {
    let bare = text.trim_end_matches('色');
    if let Some((_, english)) = CHINESE.iter().find(|(chinese, _)| *chinese == bare) {
        return (*english).to_owned();
    }
    if text.contains('(') {
        return text.to_lowercase().replace('，', ",");
    }
    text.to_lowercase().replace([' ', '-', '_'], "")
}

fn near(name: &str) -> Option<String> {
    // The time to compare grows with the product of both lengths.
    if name.len() > 40 || name.contains('(') || name.starts_with('#') {
        return None;
    }
    csscolorparser::NAMED_COLORS
        .keys()
        .map(|known| (strsim::osa_distance(name, known.as_str()), known.as_str()))
        .filter(|(distance, known)| *distance * 3 <= known.len())
        .min()
        .map(|(_, known)| known.to_owned())
}

/// The colour code that a number probably stands for: its six digits, or its value.
pub(super) fn of_number(number: &Number) -> Option<String> {
    of_whole(number.as_u64()?)
}

fn of_whole(number: u64) -> Option<String> {
    if (100_000..1_000_000).contains(&number) {
        return Some(format!("#{number}"));
    }
    (number <= 0xFF_FFFF).then(|| format!("#{number:06X}"))
}
