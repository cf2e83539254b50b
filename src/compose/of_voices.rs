//! Captions of voices that are made: they have the words of the voice, and fail with it.

use serde_json::{Value, json};

use super::generated_keys::said;
use super::item::Item;
use super::script;
use super::section::Section;
use crate::error::Error;

/// What belongs to a voice that was not made fails with it.
pub(super) fn follow(items: &mut [Item]) {
    let missing: Vec<(String, String)> = items
        .iter()
        .filter(|item| item.fault.is_some() && item.extra("say").is_some())
        .filter_map(|item| Some((item.extra_text("id")?.to_owned(), item.path.clone())))
        .collect();
    for item in items.iter_mut() {
        let id = item.extra_text("align_to").map(str::to_owned);
        if let Some((_, path)) = missing
            .iter()
            .find(|(missing, _)| Some(missing) == id.as_ref())
        {
            let error = Error::media(format!("the voice of {path} was not made"));
            item.fail("align_to", &error);
        }
    }
}

/// Connects captions with the voices whose words they show: they have no words of their own.
pub(super) fn connect(items: &mut [Item]) {
    let voices: Vec<(String, Value)> = items
        .iter()
        .filter_map(|item| {
            let text = said(&item.extras)?.text;
            let lines: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|line| line.chars().any(char::is_alphanumeric))
                .collect();
            Some((item.extra_text("id")?.to_owned(), json!(lines)))
        })
        .collect();
    for item in items
        .iter_mut()
        .filter(|item| item.section == Section::Subtitles)
    {
        if !item.has_no_words() {
            continue;
        }
        let id = item.extra_text("align_to").unwrap_or_default();
        if let Some((_, lines)) = voices.iter().find(|(voice, _)| voice == id) {
            item.arguments
                .insert("srt".to_owned(), script::without_voice(lines).into());
            item.extras.insert("script".to_owned(), lines.clone());
            item.extras.insert("of_voice".to_owned(), json!(true));
        }
    }
}
