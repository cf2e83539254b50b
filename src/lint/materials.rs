//! Checks materials: their ids, texts and masks.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use capcut_draft::{Flaw, FlawKind, TextContent, TextForm, field};
use serde_json::Value;

use super::Severity::{Error, Warning};
use super::markers;
use super::{LintContext, ProblemReport};
use crate::draft::finished::text::{is_contiguous, utf16_len};

/// The bits of a video or photo that the app sets since it has effects such as masks and backgrounds; without them
/// it ignores these effects.
const CHECK_FLAGS: i64 = 63_487;

/// Whether a video or photo lacks bits without which the app ignores effects.
pub(super) fn lacks_flags(check_flag: i64) -> bool {
    check_flag & CHECK_FLAGS != CHECK_FLAGS
}

/// Whether several materials with one id are as the app writes them: it has a copy of a text effect for each text
/// that uses it.
pub(super) fn may_repeat(list: &str, kind: &str) -> bool {
    list == "effects" && kind == "text_effect"
}

/// The lists of masks of older and newer versions: a mask may be in both.
pub(super) const MASKS: [&str; 2] = ["masks", "common_mask"];

pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) {
    ids(context, report);
    let is_old = markers::is_too_old(context.root);
    for (index, text) in context.materials("texts") {
        let content = context.document.value(text, &field::material::CONTENT);
        check_text(index, &content, is_old, report);
    }
    // The app knows which effects it applied.
    let is_apps = markers::saved_by_app(context.root);
    for (index, video) in context.materials("videos") {
        let flag = context.document.get(video, &field::material::CHECK_FLAG);
        if let Some(flag) = flag.filter(|flag| !is_apps && lacks_flags(*flag)) {
            report.fixable(
                Warning,
                "check-flag",
                format!("materials.videos[{index}].check_flag"),
                format!(
                    "with {flag} the app ignores masks, blending and similar effects on this clip: bits that it needs are not set"
                ),
                "adds the bits that the app sets",
            );
        }
    }
    for (from, to) in misplaced_masks(context) {
        report.fixable(
            Warning,
            "mask-list",
            format!("materials.{from}"),
            format!(
                "this version of the app reads masks only from `{to}`: these masks are not visible"
            ),
            &format!("copies them to `{to}`"),
        );
    }
}

fn ids(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = context.document;
    let mut seen: HashMap<Cow<'_, str>, &str> = HashMap::new();
    for list in document.material_lists() {
        for (index, material) in context.materials(list) {
            let id = document.id(material);
            let place = || format!("materials.{list}[{index}].id");
            if id.is_empty() {
                // Some lists, such as those of time marks, contain objects without ids.
                if matches!(list, "videos" | "audios" | "texts" | "stickers") {
                    report.add(
                        Error,
                        "id-missing",
                        place(),
                        "the material has no id",
                        "save the draft again with the program that made it",
                    );
                }
                continue;
            }
            let kind = || document.value(material, &field::material::KIND);
            if let Some(other) = seen.insert(id.clone(), list)
                && !(other == list && may_repeat(list, &kind()))
                && !(other != list && MASKS.contains(&other) && MASKS.contains(&list))
            {
                report.fixable(
                    if other == list { Warning } else { Error },
                    "duplicate-id",
                    place(),
                    format!("another material of `{other}` has the same id {id}"),
                    "removes the second one if both are equal; otherwise save the draft again with the program that made it",
                );
                if let Some(problem) = report.problems.last_mut() {
                    problem.fixable = other == list;
                }
            }
        }
    }
}

/// Checks the content of a text; `is_old`: its draft is of a version that writes plain texts.
fn check_text(index: usize, content: &str, is_old: bool, report: &mut ProblemReport) {
    let place = format!("materials.texts[{index}].content");
    // Older versions write tag markup instead of JSON.
    if content.trim_start().starts_with('<') || is_old && !content.trim_start().starts_with('{') {
        return;
    }
    let content = TextContent::read(content);
    let flaws = Flaw::find(content.as_str().as_bytes(), 1);
    let wrong = match (content.form(), flaws.first().map(|flaw| flaw.kind)) {
        (TextForm::Markup | TextForm::Plain, _) => "is not JSON",
        (_, Some(FlawKind::HalfCharacter)) => {
            "has half of a surrogate pair, because a character was cut"
        }
        (_, Some(FlawKind::LargeNumber)) => "has a number that is too large",
        (_, Some(FlawKind::RepeatedKey) | None) => "",
    };
    if !wrong.is_empty() {
        report.add(
            Error,
            "text-content",
            place,
            format!("the text's content {wrong}"),
            "write the text again in the app",
        );
        return;
    }
    let words = &*content.words();
    let styles: Vec<Value> = serde_json::from_str(content.styles()).unwrap_or_default();
    if styles.is_empty() && !words.is_empty() {
        report.add(
            Warning,
            "text-style",
            place,
            "the text has no style",
            "give it a font and a size in the app",
        );
    } else if !is_contiguous(words, &styles) {
        let end = content.ranges().last().and_then(|range| range.end);
        report.fixable(
            Warning,
            "text-ranges",
            place,
            format!(
                "the styles must cover the text from 0 to {} UTF-16 code units, but they end at {}",
                utf16_len(words),
                end.map_or_else(|| "an unknown position".to_owned(), |end| end.to_string()),
            ),
            "recalculates the ranges",
        );
    }
}

/// Lists with masks that the app reads only from another list: from, to.
fn misplaced_masks(context: &LintContext<'_>) -> Vec<(&'static str, &'static str)> {
    let Some(profile) = markers::profile(context.root) else {
        return Vec::new();
    };
    let ids = |name: &str| -> HashSet<Cow<'_, str>> {
        let masks = context.materials(name);
        masks.map(|(_, mask)| context.document.id(mask)).collect()
    };
    let mut misplaced = Vec::new();
    for to in profile.masks().names() {
        for from in MASKS {
            if from != *to && !ids(from).is_subset(&ids(to)) {
                misplaced.push((from, *to));
            }
        }
    }
    misplaced
}
