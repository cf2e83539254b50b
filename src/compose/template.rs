//! Fills a draft as a template: measures the files, makes pictures of last frames, and creates the filled draft.

use std::collections::BTreeMap;
use std::sync::Arc;

use capcut_draft::{
    ClipSelector, Document, MediaFileKind, MediaLength, RepeatedGroup, SlotMedia, SlotValues,
    TemplateValues,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::args::Call;
use crate::draft::ids::DraftId;
use crate::engine::documents::{CopiedDraft, DraftCopy, document_error, for_app};
use crate::error::{Error, Result};
use crate::exec::drafts::{NamedDraft, any, script};
use crate::exec::{App, Context};
use crate::journal::ENGINE;
use crate::lint;
use crate::settings::BackendChoice;

/// The tool's name, in the journal and in reports.
pub(crate) const TOOL: &str = "apply_template";

/// How many clips a note lists.
const LISTED: usize = 8;

/// A template with what fills it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct DraftTemplate {
    /// Id, exact name, folder or document.
    pub draft: String,
    /// File by slot: file name or clip id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub media: BTreeMap<String, String>,
    /// Words by slot: `{{name}}`, words or clip id.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "words"
    )]
    pub texts: BTreeMap<String, String>,
    /// `clips` once for each of `sets` of `media` and `texts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object")]
    pub repeat: Option<Repeat>,
    /// Slots without a value are an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// Models read the schema in every conversation, and few repeat clips.
fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// Clips that are shown several times, each time with other values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    pub clips: Vec<String>,
    pub sets: Vec<SetOfValues>,
}

/// `media` and `texts` for one time that the clips are shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOfValues {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub media: BTreeMap<String, String>,
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "words"
    )]
    pub texts: BTreeMap<String, String>,
}

/// Words; numbers from a table are words, too.
fn words<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let word = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        _ => Err(serde::de::Error::custom(format!(
            "the words of \"{name}\" are not text"
        ))),
    };
    values.into_iter().map(word).collect()
}

/// A filled template that is not created yet.
pub(crate) struct FilledDraft {
    copied: CopiedDraft,
    copy: DraftCopy,
    /// The clips that changed.
    pub clips: Vec<String>,
    /// The slots that have no value.
    pub open: Vec<String>,
    pub notes: Vec<String>,
}

impl FilledDraft {
    pub(crate) fn name(&self) -> &str {
        &self.copy.name
    }

    pub(crate) fn changes(&self) -> &[String] {
        &self.copy.changes
    }

    /// Creates the draft.
    pub(crate) async fn create(self, app: &App, call: &Call) -> Result<DraftId> {
        app.engine.create_copy(self.copied, self.copy, call).await
    }
}

/// The draft that a new one is made of, on any backend or in a folder.
pub(crate) async fn original(
    app: &Arc<App>,
    draft: &str,
    tool: &str,
    context: &Context,
) -> Result<CopiedDraft> {
    if app.settings.backend == BackendChoice::Remote {
        return Err(Error::conflict(format!(
            "`{tool}` runs on the embedded engine, and `--backend remote` allows only a server"
        ))
        .at_shell("use `--backend auto`"));
    }
    let id = match any(app, &context.caller, draft).await? {
        NamedDraft::OnDisk(path) => {
            let opened = tokio::task::spawn_blocking(move || lint::open(&path))
                .await
                .map_err(|error| Error::internal("the draft could not be read").source(error))??;
            return app.engine.copied_document(opened);
        }
        NamedDraft::Known(id) => app.current(&id).await?,
    };
    let Some(row) = app.journal.find(&id).await? else {
        return Err(crate::journal::unknown(&id));
    };
    row.takes_calls()?;
    if row.origin == ENGINE {
        return app.engine.copied(&id).await;
    }
    let edition = row.edition.parse().unwrap_or(app.engine.edition());
    let text = script(app, id.as_str(), context).await?;
    CopiedDraft::of_server(text, edition, row.name)
}

/// The name of a copy, unless it is given.
pub(crate) fn copy_name(given: Option<&str>, original: &str) -> String {
    match given.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        // Another name, so that the original is still found by its own.
        None if original.is_empty() => String::new(),
        None => format!("{original} copy"),
    }
}

impl DraftTemplate {
    /// The places of all values, and the values.
    pub(crate) fn values(&self) -> Vec<(String, &str)> {
        let mut all = placed("", &self.media, &self.texts);
        let sets = self.repeat.iter().flat_map(|repeat| &repeat.sets);
        for (index, set) in sets.enumerate() {
            all.extend(placed(
                &format!("repeat.sets[{index}]."),
                &set.media,
                &set.texts,
            ));
        }
        all
    }

    /// The files of all slots, for changes of their paths.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let sets = self.repeat.iter_mut().flat_map(|repeat| &mut repeat.sets);
        let of_sets = sets.flat_map(|set| set.media.values_mut());
        self.media.values_mut().chain(of_sets)
    }

    /// Fills the template, without creating the draft.
    pub(crate) async fn fill(
        &self,
        app: &Arc<App>,
        name: Option<&str>,
        tool: &str,
        context: &Context,
    ) -> Result<FilledDraft> {
        let mut copied = original(app, &self.draft, tool, context).await?;
        let mut notes = Vec::new();
        let mut measured = MeasuredFiles {
            app,
            context,
            is_opened: copied.opened.is_some(),
            notes: &mut notes,
        };
        let document = &copied.document;
        let values = measured
            .values(document, "", &self.media, &self.texts)
            .await?;
        let repeat = match &self.repeat {
            Some(repeat) => {
                let mut sets = Vec::with_capacity(repeat.sets.len());
                for (index, set) in repeat.sets.iter().enumerate() {
                    let place = format!("repeat.sets[{index}].");
                    let set = measured.values(document, &place, &set.media, &set.texts);
                    sets.push(set.await?);
                }
                let clips = repeat.clips.iter();
                let clips = clips.map(|clip| ClipSelector::Text(clip.clone())).collect();
                Some(RepeatedGroup { clips, sets })
            }
            None => None,
        };
        let values = TemplateValues { values, repeat };
        let filled = copied.document.plan_template(&values);
        let filled = filled.map_err(document_error)?;
        if self.strict && !filled.open.is_empty() {
            return Err(Error::invalid(format!(
                "`strict`: these slots have no value: {}",
                quoted(&filled.open)
            ))
            .hint("give them in `texts` or `media`"));
        }
        if !filled.open.is_empty() {
            notes.push(format!(
                "slots without a value stay as they are: {}",
                quoted(&filled.open)
            ));
        }
        if !filled.kept.is_empty() {
            notes.push(kept(&filled.kept));
        }
        let mut changes = Vec::new();
        let mut clips = Vec::new();
        for report in filled.reports {
            changes.extend(report.changes);
            notes.extend(report.notes);
            clips.extend(report.clips);
        }
        clips.dedup();
        let copy = DraftCopy {
            name: copy_name(name, &copied.name),
            step: filled.step,
            changes,
        };
        Ok(FilledDraft {
            copied,
            copy,
            clips,
            open: filled.open,
            notes,
        })
    }
}

fn placed<'v>(
    place: &str,
    media: &'v BTreeMap<String, String>,
    texts: &'v BTreeMap<String, String>,
) -> Vec<(String, &'v str)> {
    let media = media
        .iter()
        .map(|(name, file)| (format!("{place}media.{name}"), &**file));
    let texts = texts
        .iter()
        .map(|(name, words)| (format!("{place}texts.{name}"), &**words));
    media.chain(texts).collect()
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

fn kept(clips: &[String]) -> String {
    let more = match clips.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = &clips[..clips.len().min(LISTED)];
    format!("these clips keep their files: {}{more}", shown.join(", "))
}

/// Measures files for slots.
struct MeasuredFiles<'a> {
    app: &'a Arc<App>,
    context: &'a Context,
    /// The template is a draft that was opened.
    is_opened: bool,
    notes: &'a mut Vec<String>,
}

impl MeasuredFiles<'_> {
    async fn values(
        &mut self,
        document: &Document,
        place: &str,
        media: &BTreeMap<String, String>,
        texts: &BTreeMap<String, String>,
    ) -> Result<SlotValues> {
        let mut files = BTreeMap::new();
        for (name, source) in media {
            let argument = format!("{place}media.{name}");
            let file = self.file(document, &argument, name, source).await?;
            files.insert(name.clone(), file);
        }
        Ok(SlotValues {
            media: files,
            texts: texts.clone(),
        })
    }

    async fn file(
        &mut self,
        document: &Document,
        argument: &str,
        name: &str,
        source: &str,
    ) -> Result<SlotMedia> {
        let caller = &self.context.caller;
        let engine = &self.app.engine;
        let mut file = engine.media_file(argument, source, caller).await?;
        if self.is_opened {
            for_app(&format!("`{argument}`"), &mut file)?;
        }
        let mut media = SlotMedia {
            file,
            length: MediaLength::Cut,
            still: None,
        };
        if media.file.kind != MediaFileKind::Video {
            return Ok(media);
        }
        // A name that is no slot is reported with all others when the template is filled.
        let slots = document.media_slots(name, media.file.kind);
        let longest = slots.iter().flatten().map(|slot| slot.length).max();
        if longest <= media.file.duration {
            return Ok(media);
        }
        match engine.last_frame(source, &media.file, caller).await {
            Ok(mut still) => {
                if self.is_opened {
                    for_app("the last frame", &mut still)?;
                }
                media.length = MediaLength::Freeze;
                media.still = Some(still);
            }
            Err(error) => {
                media.length = MediaLength::Loop;
                self.notes.push(format!(
                    "{source} is shorter than its slot and repeats, as its last frame cannot be held: {}",
                    error.message
                ));
            }
        }
        Ok(media)
    }
}
