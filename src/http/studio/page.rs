//! The pages: templates with words and values, and the files that they load.

use std::borrow::Cow;
use std::sync::OnceLock;

use flate2::Compression;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::super::answer::{self, Answer};
use super::texts::Language;
use super::{gzip, packed, takes_gzip};

pub(super) const HTML: &str = "text/html; charset=utf-8";

const MESSAGE: &str = include_str!("page/message.html");
const SIGN_IN: &str = include_str!("page/sign-in.html");

/// A file that pages load. It is the same for everyone.
struct OwnFile {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

static OWN_FILES: [OwnFile; 3] = [
    OwnFile {
        name: "studio.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("page/studio.css"),
    },
    OwnFile {
        name: "studio.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("page/studio.js"),
    },
    OwnFile {
        name: "icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
];

/// The compressed text and the hash of each file.
fn made() -> &'static [(Bytes, String); 3] {
    static MADE: OnceLock<[(Bytes, String); 3]> = OnceLock::new();
    MADE.get_or_init(|| {
        std::array::from_fn(|at| {
            let file = &OWN_FILES[at];
            let hash = Sha256::digest(file.text);
            let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            (gzip(file.text.as_bytes(), Compression::best()).into(), hash)
        })
    })
}

/// The version of the files, which is in their addresses: browsers keep them until it changes.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| made().iter().map(|(_, hash)| hash.as_str()).collect())
}

/// The file of the studio with this path, if it is one.
pub(super) fn own_file(head: &Parts, path: &str) -> Option<Answer> {
    let at = OWN_FILES.iter().position(|file| file.name == path)?;
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Some(answer::not_allowed("GET, HEAD"));
    }
    let (file, (compressed, hash)) = (&OWN_FILES[at], &made()[at]);
    let tag = format!("\"{hash}\"");
    let known = head.headers.get(IF_NONE_MATCH);
    let mut answer = if known.is_some_and(|known| *known == tag) {
        answer::typed(StatusCode::NOT_MODIFIED, file.content_type, Bytes::new())
    } else if takes_gzip(head) {
        packed(StatusCode::OK, file.content_type, compressed.clone())
    } else {
        answer::typed(StatusCode::OK, file.content_type, file.text.into())
    };
    let headers = answer.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    let is_named = super::parameter(head, "v").as_deref() == Some(version());
    let age = if is_named {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(age));
    Some(answer)
}

/// A text in a page.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    Cow::Owned(safe)
}

/// A template with its words and values, which are names in double braces; those of values begin with `=`, and the values are
/// parts of a page already.
pub(super) fn filled(template: &str, language: Language, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut parts = template.split("{{");
    page.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let Some((name, rest)) = part.split_once("}}") else {
            page.push_str(part);
            continue;
        };
        match name.strip_prefix('=') {
            Some("version") => page.push_str(version()),
            Some("language") => page.push_str(language.code()),
            Some("other") => page.push_str(language.other().code()),
            Some(value) => {
                let found = values.iter().find(|(known, _)| *known == value);
                page.push_str(found.map_or("", |(_, text)| text));
            }
            None => page.push_str(&escaped(language.word(name))),
        }
        page.push_str(rest);
    }
    page
}

fn message(status: StatusCode, language: Language, title: &str, text: &str, next: &str) -> Answer {
    let values = [("title", title), ("text", text), ("next", next)];
    let page = filled(MESSAGE, language, &values);
    answer::typed(status, HTML, page.into())
}

/// The page for what does not exist, or not for this caller.
pub(super) fn missing(language: Language) -> Answer {
    let next = format!(
        "<p><a href=\"/studio/\">{}</a></p>",
        escaped(language.word("to_drafts"))
    );
    message(
        StatusCode::NOT_FOUND,
        language,
        &escaped(language.word("not_found")),
        &escaped(language.word("not_found_more")),
        &next,
    )
}

/// The page for an address that was used before.
pub(super) fn used_up(language: Language) -> Answer {
    message(
        StatusCode::FORBIDDEN,
        language,
        &escaped(language.word("used_up")),
        &escaped(language.word("used_up_more")),
        "",
    )
}

/// A page that leads to another one of the studio. A redirection would not do: browsers follow it without the cookie that is
/// set here, if another program or site led to this page.
pub(super) fn landing(language: Language, to: &str) -> Answer {
    let to = escaped(to);
    let next = format!(
        "<meta http-equiv=\"refresh\" content=\"0;url={to}\"><p><a href=\"{to}\">{}</a></p>",
        escaped(language.word("to_drafts"))
    );
    let title = escaped(language.word("studio"));
    message(StatusCode::OK, language, &title, "", &next)
}

/// The form for a token; `is_again` after a wrong one.
pub(super) fn sign_in(language: Language, is_again: bool) -> Answer {
    let wrong = if is_again {
        format!(
            "<p class=\"wrong\" role=\"alert\">{}</p>",
            escaped(language.word("wrong_token"))
        )
    } else {
        String::new()
    };
    let page = filled(SIGN_IN, language, &[("wrong", &wrong)]);
    answer::typed(StatusCode::OK, HTML, page.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_and_words_are_escaped() {
        let page = filled(
            "<a>{{studio}}</a>{{=x}}{{=none}} {{",
            Language::English,
            &[("x", "<b>")],
        );
        assert_eq!(page, "<a>Studio</a><b> ");
        assert_eq!(escaped("a<\"'&>"), "a&lt;&quot;&#39;&amp;&gt;");
    }

    #[test]
    fn the_files_of_the_studio_stay_small() {
        let files: usize = made().iter().map(|(bytes, _)| bytes.len()).sum();
        let page = include_str!("page/draft.html");
        let pages = gzip(page.as_bytes(), Compression::fast()).len();
        let words = gzip(include_bytes!("page/texts.tsv"), Compression::fast()).len();
        let all = files + pages + words;
        assert!(all <= 40 << 10, "{all} bytes compressed");
    }

    #[test]
    fn pages_have_no_code_and_no_foreign_address() {
        for page in [
            MESSAGE,
            SIGN_IN,
            include_str!("page/draft.html"),
            include_str!("page/drafts.html"),
        ] {
            assert!(!page.contains("style="), "an inline style");
            for (at, _) in page.match_indices(" on") {
                let word = page[at + 1..]
                    .split(|c: char| !c.is_ascii_alphabetic())
                    .next();
                let word = word.unwrap_or_default();
                assert!(
                    !page[at..].starts_with(&format!(" {word}=")),
                    "inline code: {word}"
                );
            }
            for (at, _) in page.match_indices("<script") {
                let tag = page[at..].split('>').next().unwrap_or_default();
                assert!(
                    tag.contains("src=") || tag.contains("application/json"),
                    "{tag}"
                );
            }
        }
        for file in &OWN_FILES {
            let foreign = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{}", file.name);
        }
    }
}
