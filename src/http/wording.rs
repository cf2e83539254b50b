//! What scripts written for the reference API read in its errors: the words around a failure, and the
//! sentences that they compare with. Data, one line per tool.

use serde_json::Value;

use crate::args::is_truthy;
use crate::error::{Error, Kind};
use crate::tools::Object;

/// The words of one tool.
#[derive(Debug)]
pub(super) struct Wording {
    pub tool: &'static str,
    /// What must be given, else `missing` is the error.
    required: &'static [Required],
    missing: &'static str,
    /// What stands around the text of any other failure.
    around: (&'static str, &'static str),
    /// What stands around an id that is unknown.
    unknown: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug)]
enum Required {
    /// Given, and not null, empty or zero.
    Something(&'static str),
    /// Not null; it has a default.
    NotNull(&'static str),
}

use Required::{NotNull, Something};

const NO_DRAFT: &str =
    "Hi, the required parameter 'draft_id' is missing. Please add it and try again.";

/// The words of the tools that have any. The lists of names cannot fail.
pub(super) const WORDINGS: &[Wording] = &[
    Wording {
        tool: "create_draft",
        required: &[],
        missing: "",
        around: ("Error occurred while creating draft: ", "."),
        unknown: None,
    },
    Wording {
        tool: "add_video",
        required: &[Something("video_url")],
        missing: "Hi, the required parameters 'video_url' are missing.",
        around: ("Error occurred while processing video: ", "."),
        unknown: None,
    },
    Wording {
        tool: "add_audio",
        required: &[Something("audio_url")],
        missing: "Hi, the required parameters 'audio_url' are missing.",
        around: ("Error occurred while processing audio: ", "."),
        unknown: None,
    },
    Wording {
        tool: "add_image",
        required: &[Something("image_url")],
        missing: "Hi, the required parameters 'image_url' are missing.",
        around: ("Error occurred while processing image: ", "."),
        unknown: None,
    },
    Wording {
        tool: "add_text",
        required: &[Something("text"), NotNull("start"), NotNull("end")],
        missing: "Hi, the required parameters 'text', 'start' or 'end' are missing. ",
        around: (
            "Error occurred while processing text: ",
            ". You can click the link below for help: ",
        ),
        unknown: None,
    },
    Wording {
        tool: "add_subtitle",
        required: &[Something("srt")],
        missing: "Hi, the required parameters 'srt' are missing.",
        around: ("Error occurred while processing subtitle: ", "."),
        unknown: None,
    },
    Wording {
        tool: "add_sticker",
        required: &[Something("sticker_id")],
        missing: "Hi, the required parameter 'sticker_id' is missing. Please add it and try again. ",
        around: ("Error occurred while adding sticker: ", ". "),
        unknown: None,
    },
    Wording {
        tool: "add_effect",
        required: &[Something("effect_type")],
        missing: "Hi, the required parameters 'effect_type' are missing. Please add them and try again.",
        around: ("Error occurred while adding effect: ", ". "),
        unknown: None,
    },
    Wording {
        tool: "add_video_keyframe",
        required: &[],
        missing: "",
        around: (
            "Error occurred while adding keyframe: Failed to add keyframe: ",
            ".",
        ),
        unknown: None,
    },
    Wording {
        tool: "query_script",
        required: &[Something("draft_id")],
        missing: NO_DRAFT,
        around: ("Error occurred while querying script: ", ". "),
        unknown: Some(("Draft ", " does not exist in cache.")),
    },
    Wording {
        tool: "save_draft",
        required: &[Something("draft_id")],
        missing: NO_DRAFT,
        around: ("Failed to save draft: ", ""),
        unknown: Some(("Draft ", " does not exist in cache")),
    },
    Wording {
        tool: "query_draft_status",
        required: &[Something("task_id")],
        missing: "Hi, the required parameter 'task_id' is missing. Please add it and try again.",
        around: ("", ""),
        unknown: Some((
            "Task with ID ",
            " not found. Please check if the task ID is correct.",
        )),
    },
    Wording {
        tool: "generate_draft_url",
        required: &[Something("draft_id")],
        missing: NO_DRAFT,
        around: ("", ""),
        unknown: None,
    },
];

impl Wording {
    /// The words of a tool, if it has any.
    pub(super) fn of(tool: &str) -> Option<&'static Self> {
        WORDINGS.iter().find(|wording| wording.tool == tool)
    }

    /// The API's sentence when something that is needed is not there.
    pub(super) fn missing(&self, arguments: &Object) -> Option<&'static str> {
        let absent = |required: &Required| match *required {
            Something(name) => !arguments.get(name).is_some_and(is_truthy),
            NotNull(name) => arguments.get(name).is_some_and(Value::is_null),
        };
        self.required.iter().any(absent).then_some(self.missing)
    }

    /// The text of a failure, `id` being what the call was about.
    pub(super) fn failure(&self, error: &Error, id: Option<&str>) -> String {
        if let (Kind::NotFound, Some((before, after)), Some(id)) = (error.kind, self.unknown, id) {
            let hint = error.hint.as_deref().map(|hint| format!(" {hint}"));
            return format!("{before}{id}{after}{}", hint.unwrap_or_default());
        }
        let text = told(error);
        let (before, after) = self.around;
        // A sentence that ends does not need to end twice.
        let text = if after.starts_with('.') {
            text.trim_end_matches('.')
        } else {
            &text
        };
        format!("{before}{text}{after}")
    }
}

/// A failure and what to do about it, in one line.
pub(super) fn told(error: &Error) -> String {
    error.to_string().replace("\nhint: ", "; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_needed_is_missed_in_the_words_of_the_api() {
        let check = |tool: &str, arguments: Value, missing: Option<&str>| {
            let wording = Wording::of(tool).expect("words");
            assert_eq!(wording.missing(&object(arguments)), missing, "{tool}");
        };
        let text = "Hi, the required parameters 'text', 'start' or 'end' are missing. ";
        check("add_text", json!({}), Some(text));
        check("add_text", json!({"text": ""}), Some(text));
        check("add_text", json!({"text": "x", "end": null}), Some(text));
        check("add_text", json!({"text": "x"}), None);
        check("add_text", json!({"text": "x", "start": 0}), None);
        check("query_script", json!({"draft_id": null}), Some(NO_DRAFT));
        check("create_draft", json!({}), None);
    }

    #[test]
    fn a_failure_stands_between_the_words_of_the_api() {
        let error = Error::conflict("`end` is too early").hint("give a later one.");
        let text = Wording::of("add_text")
            .expect("words")
            .failure(&error, None);
        assert_eq!(
            text,
            "Error occurred while processing text: `end` is too early; give a later one. \
             You can click the link below for help: "
        );
    }

    #[test]
    fn an_unknown_id_is_told_in_the_words_of_the_api() {
        let error = Error::not_found("there is no draft \"dfd_1\"").hint("did you mean dfd_2?");
        let check = |tool: &str, start: &str| {
            let text = Wording::of(tool)
                .expect("words")
                .failure(&error, Some("dfd_1"));
            assert_eq!(text, format!("{start} did you mean dfd_2?"));
        };
        check("query_script", "Draft dfd_1 does not exist in cache.");
        check(
            "query_draft_status",
            "Task with ID dfd_1 not found. Please check if the task ID is correct.",
        );
    }
}
