//! Properties of clips that the compact form of drafts does not have. The draft has them by name, and they are set in its
//! document when that is written, by the operation `set`.

use capcut_draft::{ClipKind, Dialect, Document, Operation, Property, Resources as _, Set};
use serde_json::Value;

use super::document_error;
use crate::args::Object;
use crate::draft::Draft;
use crate::draft::segment::Segment;
use crate::draft::working;
use crate::engine::edit::Prepared;
use crate::engine::resources::CatalogResources;
use crate::error::{Error, Result};
use crate::units::Edition;

/// A document with the properties of its clips.
pub(in crate::engine) struct DocumentWithProperties {
    pub text: String,
    /// The properties that do not fit, and why.
    pub unfit: Vec<String>,
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
            unfit: Vec::new(),
        });
    }
    let mut document = Document::parse(text).map_err(document_error)?;
    let unfit = set(&mut document, draft.edition, &operations);
    Ok(DocumentWithProperties {
        text: String::from_utf8_lossy(&document.write()).into_owned(),
        unfit,
    })
}

/// Sets properties in a working document. A length that became known later may not fit a property: returns those that do not
/// fit, each with the reason; the others are set.
pub(crate) fn set(
    document: &mut Document,
    edition: Edition,
    operations: &[Operation],
) -> Vec<String> {
    document.set_dialect(Dialect::Api);
    let resources = CatalogResources::of(edition, document);
    if let Ok((step, _)) = document.plan_operations(operations, &resources)
        && document.apply(&step).is_ok()
    {
        return Vec::new();
    }
    let mut unfit = Vec::new();
    for operation in operations {
        let mut rest = operation.clone();
        loop {
            let planned = document.plan_operations(std::slice::from_ref(&rest), &resources);
            let Err(error) = planned.and_then(|(step, _)| document.apply(&step)) else {
                break;
            };
            unfit.push(reason(&error));
            // The other properties of the clip are set.
            if !takes_out(&mut rest, &error.message) {
                break;
            }
        }
    }
    unfit
}

/// Removes the property that a message names from an operation; false if nothing is left to set.
fn takes_out(operation: &mut Operation, message: &str) -> bool {
    let Operation::Set(set) = operation else {
        return false;
    };
    let named = set
        .values
        .keys()
        .find(|name| message.contains(&format!("`{name}`")))
        .cloned();
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
        .and_then(|rest| rest.split_once("(set): "))
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
