//! Properties of clips that the compact form of drafts does not have. The draft has them by name, and they are set in its
//! document when that is written, by the operation `set`.

use std::collections::BTreeMap;

use capcut_draft::{
    ClipKind, ClipSelector, Dialect, Document, Operation, Property, Resources as _, Set,
};
use serde_json::Value;

use super::document_error;
use crate::args::{Object, property};
use crate::draft::Draft;
use crate::draft::material::Fade;
use crate::draft::segment::Segment;
use crate::draft::working;
use crate::engine::edit::Prepared;
use crate::engine::resources::CatalogResources;
use crate::error::{Error, Result};
use crate::units::{Edition, Micros};

/// A document with the properties of its clips.
pub(in crate::engine) struct DocumentWithProperties {
    pub text: String,
    pub set: SetProperties,
}

/// What came of properties whose clips have other lengths than when they were given.
#[derive(Default)]
pub(crate) struct SetProperties {
    /// The properties that do not fit, and why.
    pub unfit: Vec<String>,
    /// What was adapted.
    pub notes: Vec<String>,
}

/// The operations that set the properties of the segments.
fn operations(draft: &Draft) -> Vec<Operation> {
    let with_properties = |(_, segment): (_, &Segment)| {
        let values = segment.properties.as_deref()?;
        Some(operation(&segment.id.to_string(), values))
    };
    draft
        .segments()
        .into_iter()
        .filter_map(with_properties)
        .collect()
}

/// The operation that sets properties of a clip, by its id.
pub(crate) fn operation(clip: &str, properties: &Object) -> Operation {
    Operation::Set(Set {
        clip: clip.into(),
        values: properties.clone().into_iter().collect(),
    })
}

/// Sets the properties of the draft's clips in its working document.
pub(in crate::engine) fn written(draft: &Draft, text: String) -> Result<DocumentWithProperties> {
    let operations = operations(draft);
    if operations.is_empty() {
        return Ok(DocumentWithProperties {
            text,
            set: SetProperties::default(),
        });
    }
    let mut document = Document::parse(text).map_err(document_error)?;
    let set = set(&mut document, draft.edition, &operations);
    Ok(DocumentWithProperties {
        text: String::from_utf8_lossy(&document.write()).into_owned(),
        set,
    })
}

/// Sets properties in a working document. A length that became known later may not fit a property: fades are shortened to
/// their clip, as the app does; others that do not fit are left out, and the rest is set.
pub(crate) fn set(
    document: &mut Document,
    edition: Edition,
    operations: &[Operation],
) -> SetProperties {
    document.set_dialect(Dialect::Api);
    let resources = CatalogResources::of(edition, document);
    let mut found = SetProperties::default();
    if let Ok((step, _)) = document.plan_operations(operations, &resources)
        && document.apply(&step).is_ok()
    {
        return found;
    }
    for operation in operations {
        let mut rest = operation.clone();
        let mut may_shorten = true;
        loop {
            let planned = document.plan_operations(std::slice::from_ref(&rest), &resources);
            let Err(error) = planned.and_then(|(step, _)| document.apply(&step)) else {
                break;
            };
            let note = Some(&mut rest)
                .filter(|_| std::mem::take(&mut may_shorten))
                .and_then(|rest| shortened_fades(rest, document));
            if let Some(note) = note {
                found.notes.push(note);
                continue;
            }
            found.unfit.push(reason(&error));
            // The other properties of the clip are set.
            if !takes_out(&mut rest, &error.message) {
                break;
            }
        }
    }
    found
}

/// Shortens fades that are longer than their clip; a note if there are any.
fn shortened_fades(operation: &mut Operation, document: &Document) -> Option<String> {
    let Operation::Set(set) = operation else {
        return None;
    };
    let ClipSelector::Text(id) = &set.clip else {
        return None;
    };
    let clip = document
        .all_clips()
        .find(|clip| document.id(*clip) == *id)?;
    let length = Micros(document.target(clip).duration);
    let given = |name: &str, values: &BTreeMap<String, Value>| {
        let is_it = |key: &&String| Property::named(key).is_some_and(|own| own.name == name);
        let key = values.keys().find(is_it)?.clone();
        let seconds = match &values[&key] {
            Value::String(text) => property::seconds(text),
            value => value.as_f64(),
        };
        seconds.map(|seconds| (key, Micros::from_seconds(seconds)))
    };
    let [fade_in, fade_out] = ["fade_in", "fade_out"].map(|name| given(name, &set.values));
    let seconds =
        |fade: &Option<(String, Micros)>| fade.as_ref().map_or(Micros::ZERO, |(_, it)| *it);
    let asked = Fade {
        fade_in: seconds(&fade_in),
        fade_out: seconds(&fade_out),
        ..Fade::default()
    };
    let fits = asked.within(length);
    if fits == asked {
        return None;
    }
    for ((key, _), fits) in [(fade_in, fits.fade_in), (fade_out, fits.fade_out)]
        .into_iter()
        .filter_map(|(given, fits)| Some((given?, fits)))
    {
        set.values.insert(key, property::json(fits.0 as f64 / 1e6));
    }
    Some(format!(
        "{}: {}",
        document.describe(clip),
        fits.shortened(length)
    ))
}

/// Removes the property that a message names from an operation; false if nothing is left to set.
fn takes_out(operation: &mut Operation, message: &str) -> bool {
    let Operation::Set(set) = operation else {
        return false;
    };
    let is_named = |name: &&String| message.contains(&format!("`{name}`"));
    let named = set.values.keys().find(is_named).cloned();
    named.is_some_and(|name| set.values.remove(&name).is_some()) && !set.values.is_empty()
}

fn reason(error: &capcut_draft::Error) -> String {
    let message = plain(&error.message);
    match &error.hint {
        Some(hint) => format!("{message}: {hint}"),
        None => message.to_owned(),
    }
}

/// The error for a draft that cannot be saved with these properties.
pub(crate) fn refused(what: &str, unfit: &[String]) -> Error {
    Error::conflict(format!(
        "{what}: properties do not fit their clips, as the length of a file is known now:\n- {}",
        unfit.join("\n- ")
    ))
}

/// Checks that the properties of what an edit adds can be set, and adds the notes about them.
pub(in crate::engine) fn check(draft: &Draft, prepared: &mut Prepared) -> Result<()> {
    if !prepared.has_properties() {
        return Ok(());
    }
    let alone = prepared.alone(draft);
    let mut document = Document::parse(working::write(&alone)).map_err(document_error)?;
    document.set_dialect(Dialect::Api);
    let resources = CatalogResources::of(draft.edition, &document);
    let operations = operations(&alone);
    let (_, reports) = document
        .plan_operations(&operations, &resources)
        .map_err(|error| {
            document_error(capcut_draft::Error {
                message: plain(&error.message).to_owned(),
                ..error
            })
        })?;
    for note in reports.into_iter().flat_map(|report| report.notes) {
        if !prepared.outcome.notes.contains(&note) {
            prepared.outcome.notes.push(note);
        }
    }
    Ok(())
}

/// A message without the position of the operation, which callers do not know.
fn plain(message: &str) -> &str {
    message
        .strip_prefix("operations[")
        .and_then(|rest| rest.split_once("): "))
        .map_or(message, |(_, plain)| plain)
}

/// The errors for names among properties that the app's catalog does not have.
pub(crate) fn unknown_names(
    properties: &Object,
    kind: Option<ClipKind>,
    edition: Edition,
) -> Vec<Error> {
    let Some(kind) = kind else { return Vec::new() };
    let resources = CatalogResources::of_api(edition);
    let unknown = |(name, value): (&String, &Value)| {
        let of = Property::named(name)?.resource()?;
        let error = resources.find(of, kind, value.as_str()?).err()?;
        let message = format!("`{name}`: {}", error.message);
        Some(document_error(capcut_draft::Error { message, ..error }))
    };
    properties.iter().filter_map(unknown).collect()
}
