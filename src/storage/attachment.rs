//! The header with which browsers store an answer as a file.

/// The value of `Content-Disposition` for a file of this name: in ASCII for old browsers, and as it is.
pub(crate) fn attachment(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii() && !c.is_ascii_control() => c,
            _ => '_',
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn names_of_any_language_reach_browsers() {
        assert_eq!(
            attachment("夏 \"a\".zip"),
            "attachment; filename=\"_ _a_.zip\"; filename*=UTF-8''%E5%A4%8F%20%22a%22.zip"
        );
        assert!(HeaderValue::from_str(&attachment("a\r\nSet-Cookie: x")).is_ok());
    }
}
