//! The words of the studio in its languages, from one list.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use hyper::header::{ACCEPT_LANGUAGE, COOKIE, HeaderValue, SET_COOKIE};
use hyper::http::request::Parts;

use super::super::answer::Answer;
use super::parameter;

/// A name, English and Chinese per line, separated by tabs.
const LIST: &str = include_str!("page/texts.tsv");
/// The cookie with the chosen language. It says nothing about its user, so that pages may set it, too.
const COOKIE_NAME: &str = "capcut_studio_language";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    const ALL: [Self; 2] = [Self::English, Self::Chinese];

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The other language.
    pub(super) fn other(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }

    fn read(code: &str) -> Option<Self> {
        let code = code.trim().to_ascii_lowercase();
        let first = code.split(['-', '_']).next().unwrap_or_default();
        match first {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The language of a request: chosen in the address, chosen earlier, or the first one of the browser that there is.
    pub(super) fn of(head: &Parts) -> Self {
        let text = |name| {
            head.headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let chosen = parameter(head, "lang").and_then(|code| Self::read(&code));
        let kept = || {
            let mut pairs = text(COOKIE)?.split(';');
            pairs.find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                (name == COOKIE_NAME).then(|| Self::read(value)).flatten()
            })
        };
        let preferred = || {
            let mut codes = text(ACCEPT_LANGUAGE)?.split(',');
            codes.find_map(|code| Self::read(code.split(';').next().unwrap_or_default()))
        };
        chosen
            .or_else(kept)
            .or_else(preferred)
            .unwrap_or(Self::English)
    }

    /// Keeps a language that was chosen in the address.
    pub(super) fn keep(self, head: &Parts, answer: &mut Answer) {
        if parameter(head, "lang").is_none() {
            return;
        }
        let cookie = format!(
            "{COOKIE_NAME}={}; Path=/studio; SameSite=Strict; Max-Age=31536000",
            self.code()
        );
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    /// All words by their names.
    pub(super) fn words(self) -> &'static BTreeMap<&'static str, &'static str> {
        static LISTS: OnceLock<[BTreeMap<&str, &str>; 2]> = OnceLock::new();
        let lists = LISTS.get_or_init(|| {
            Self::ALL.map(|language| {
                let column = 1 + language as usize;
                let line = |line: &'static str| {
                    let mut cells = line.split('\t');
                    let name = cells.next()?;
                    Some((name, cells.nth(column - 1)?))
                };
                LIST.lines().filter_map(line).collect()
            })
        });
        &lists[self as usize]
    }

    /// All words as JSON in a page, so that the page needs no further request for them.
    pub(super) fn in_page(self) -> String {
        let words = serde_json::to_string(self.words()).unwrap_or_default();
        words.replace('<', "\\u003c")
    }

    /// The words with this name.
    pub(super) fn word(self, name: &str) -> &'static str {
        self.words().get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::Request;

    use super::*;

    /// Everything that names words.
    const USERS: [&str; 8] = [
        include_str!("page/draft.html"),
        include_str!("page/drafts.html"),
        include_str!("page/message.html"),
        include_str!("page/sign-in.html"),
        include_str!("page/studio.js"),
        include_str!("page.rs"),
        include_str!("draft.rs"),
        include_str!("drafts.rs"),
    ];
    /// Names of things that are the same in Chinese, and that of the other language.
    const NOT_CHINESE: [&str; 3] = ["other_language", "via_mcp", "via_api"];
    /// Words that are named by what they are about.
    const FAMILIES: [&str; 8] = [
        "kind", "tool", "property", "finding", "via", "field", "severity", "track",
    ];

    /// The names between `start` and `end`.
    fn between<'a>(text: &'a str, start: &str, end: &str) -> BTreeSet<&'a str> {
        let is_name = |name: &&str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let parts = text.split(start).skip(1);
        parts
            .filter_map(|rest| rest.split(end).next())
            .filter(is_name)
            .collect()
    }

    #[test]
    fn every_word_is_there_in_both_languages_and_used() {
        let mut names = BTreeSet::new();
        for line in LIST.lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 3, "{line:?}");
            assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{line:?}");
            let (english, chinese) = (cells[1], cells[2]);
            assert!(
                NOT_CHINESE.contains(&cells[0])
                    || chinese
                        .chars()
                        .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)),
                "{line:?} has no Chinese"
            );
            let slots = |text: &str| -> BTreeSet<String> {
                let slots = text
                    .split('{')
                    .skip(1)
                    .filter_map(|rest| rest.split('}').next());
                slots.map(str::to_owned).collect()
            };
            assert_eq!(slots(english), slots(chinese), "{line:?}");
            assert!(names.insert(cells[0]), "{} is listed twice", cells[0]);
        }
        let uses = [("{{", "}}"), ("say('", "'"), ("word(\"", "\"")];
        let named: BTreeSet<&str> = USERS
            .iter()
            .flat_map(|text| {
                uses.iter()
                    .flat_map(|(start, end)| between(text, start, end))
            })
            .collect();
        let missing: Vec<_> = named.difference(&names).collect();
        assert!(missing.is_empty(), "not in the list: {missing:?}");
        let is_family = |name: &&&str| {
            FAMILIES
                .iter()
                .any(|family| name.starts_with(&format!("{family}_")))
        };
        // A script may choose between two words.
        let is_quoted = |name: &&&str| USERS.iter().any(|text| text.contains(&format!("'{name}'")));
        let unused: Vec<_> = names
            .difference(&named)
            .filter(|name| !is_family(name) && !is_quoted(name))
            .collect();
        assert!(unused.is_empty(), "used nowhere: {unused:?}");
    }

    #[test]
    fn the_language_is_chosen_kept_or_preferred() {
        let of = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            Language::of(&request.body(()).expect("a request").into_parts().0)
        };
        let kept = ("cookie", "a=b; capcut_studio_language=zh-CN");
        let asks = |languages: &'static str| ("accept-language", languages);
        assert_eq!(of("/studio", &[]), Language::English);
        assert_eq!(
            of("/studio", &[asks("fr, zh-TW;q=0.8, en;q=0.5")]),
            Language::Chinese
        );
        assert_eq!(of("/studio", &[kept, asks("en")]), Language::Chinese);
        assert_eq!(of("/studio?lang=en", &[kept]), Language::English);
        assert_eq!(of("/studio?lang=xx", &[kept]), Language::Chinese);
    }
}
