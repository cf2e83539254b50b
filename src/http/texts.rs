//! Error texts in the wording that scripts for the reference API compare with. Each tool has its own words
//! ([`Texts`]); this module puts them together.

use std::borrow::Cow;

use serde_json::Value;

use crate::args::{Object, is_truthy};
use crate::error::{ApiPhrase, Error, Kind};
use crate::tool::Texts;

/// The maximum length of an error, in bytes.
const LONGEST: usize = 8000;

/// The API's sentence for a missing required argument.
pub(super) fn missing(texts: &Texts, arguments: &Object) -> Option<&'static str> {
    let absent = |name: &&str| !arguments.get(*name).is_some_and(is_truthy);
    let null = |name: &&str| arguments.get(*name).is_some_and(Value::is_null);
    let missing = texts.required.iter().any(absent) || texts.not_null.iter().any(null);
    missing.then_some(texts.missing)
}

/// The text of a failure; `id` is the draft that the call was about.
pub(super) fn failure(texts: &Texts, error: &Error, id: Option<&str>) -> String {
    if let Some(id) = id
        && error.kind == Kind::NotFound
        && !texts.unknown.is_empty()
    {
        let sentence = texts.unknown.replace("{}", &shortened(id));
        return match &error.hint {
            Some(hint) => format!("{sentence} {hint}"),
            None => sentence,
        };
    }
    let told = error
        .to_string()
        .replace(".\nhint: ", ". ")
        .replace("\nhint: ", "; ");
    let told = match error.source.as_deref().and_then(|said| said.downcast_ref()) {
        Some(ApiPhrase(phrase)) => format!("{phrase}: {told}"),
        None => told,
    };
    let told = shortened(&told);
    // Avoids a double full stop between our sentence and the text after it.
    let told = if texts.after.starts_with('.') {
        told.trim_end_matches('.')
    } else {
        told.as_ref()
    };
    format!("{}{told}{}", texts.before, texts.after)
}

/// Cuts the middle out of a long text; an error may quote an argument of a megabyte.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let half = LONGEST / 2;
    let (start, end) = (
        text.floor_char_boundary(half),
        text.ceil_char_boundary(text.len() - half),
    );
    Cow::Owned(format!("{} … {}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::local;

    fn texts(tool: &str) -> &'static Texts {
        &local::find(tool).expect("a tool").texts
    }

    #[test]
    fn missing_arguments_are_reported_in_the_words_of_the_api() {
        let check = |tool: &str, arguments: Value, expected: Option<&str>| {
            let object = arguments.as_object().expect("an object");
            assert_eq!(missing(texts(tool), object), expected, "{tool} {arguments}");
        };
        let text = "Hi, the required parameters 'text', 'start' or 'end' are missing. ";
        let draft =
            "Hi, the required parameter 'draft_id' is missing. Please add it and try again.";
        check("add_text", json!({}), Some(text));
        check("add_text", json!({"text": ""}), Some(text));
        check("add_text", json!({"text": "x", "end": null}), Some(text));
        check("add_text", json!({"text": "x"}), None);
        check("add_text", json!({"text": "x", "start": 0}), None);
        check("query_script", json!({"draft_id": null}), Some(draft));
        check("create_draft", json!({}), None);
    }

    #[test]
    fn a_failure_is_wrapped_in_the_words_of_the_api() {
        let error = Error::conflict("`end` is too early").hint("give a later one.");
        assert_eq!(
            failure(texts("add_text"), &error, None),
            "Error occurred while processing text: `end` is too early; give a later one. \
             You can click the link below for help: "
        );
    }

    #[test]
    fn an_unknown_draft_is_reported_in_the_words_of_the_api() {
        let error = Error::not_found("there is no draft \"dfd_1\"").hint("did you mean dfd_2?");
        assert_eq!(
            failure(texts("query_script"), &error, Some("dfd_1")),
            "Draft dfd_1 does not exist in cache. did you mean dfd_2?"
        );
    }

    #[test]
    fn a_long_quote_in_an_error_is_shortened() {
        let long = "好".repeat(1 << 18);
        let error = Error::invalid(format!("{long} is not a name")).hint("another one");
        let text = failure(texts("add_video"), &error, None);
        assert!(text.len() < LONGEST + 100, "{} bytes", text.len());
        assert!(text.ends_with("; another one."), "{text}");
        let error = Error::not_found("no such draft");
        let text = failure(texts("query_script"), &error, Some(&long));
        assert!(text.len() < LONGEST + 100, "{} bytes", text.len());
    }
}
