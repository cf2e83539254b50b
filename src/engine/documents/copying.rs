//! Copies of drafts: new drafts that continue from the document of another one.

use std::sync::Arc;

use capcut_draft::field::root;
use capcut_draft::{Cover, Dialect, Document, MediaFile, MediaFileKind, RootRef, Step, Time};

use super::{
    BaseDocument, DocumentTexts, NewDocument, OpenedFrom, RecordedStep, ShortIds, document_error,
    fold_state, own_document,
};
use crate::args::Call;
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::draft::material::MediaKind;
use crate::engine::edit::EditOutcome;
use crate::engine::{Engine, NOT_REFRESHED, NewDraft, RecordedEdit, VERSION, aside, new_id, reply};
use crate::error::{Error, Result};
use crate::journal::{ENGINE, NewDraftRow, NewRecord, PackedDocument};
use crate::units::Edition;

/// What a new draft is a copy of.
pub(crate) struct CopiedDraft {
    pub document: Document,
    /// Where it was opened; `None` for drafts of this program.
    pub opened: Option<OpenedFrom>,
    pub edition: Edition,
    pub name: String,
}

/// A new draft that is a copy.
pub(crate) struct DraftCopy {
    pub name: String,
    /// What differs from the original.
    pub step: Step,
    /// That in words.
    pub changes: Vec<String>,
}

impl CopiedDraft {
    /// A working document that a server returned.
    pub(crate) fn of_server(text: String, edition: Edition, name: String) -> Result<Self> {
        let mut document = Document::parse(text.into_bytes()).map_err(document_error)?;
        document.set_dialect(Dialect::Api);
        Ok(Self {
            document,
            opened: None,
            edition,
            name,
        })
    }
}

impl Engine {
    /// The current state of a draft.
    pub(crate) async fn copied(&self, id: &DraftId) -> Result<CopiedDraft> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        let row = self.journal.find(id).await?;
        aside(|| {
            let state = held.lock();
            let mut document = match &state.document {
                Some(document) => Document::clone(document),
                None => own_document(&state.draft)?.document,
            };
            if state.opened.is_none() && !document.value(RootRef, &root::NAME).is_empty() {
                // The copy has a name of its own.
                let mut edit = document.edit();
                edit.set(RootRef, root::NAME.path, "")
                    .map_err(document_error)?;
                edit.commit();
            }
            Ok(CopiedDraft {
                document,
                opened: state.opened.as_deref().cloned(),
                edition: state.draft.edition,
                name: row.map_or_else(String::new, |row| row.name),
            })
        })
    }

    /// A document that was read from a file, to be copied.
    pub(crate) fn copied_document(&self, new: NewDocument) -> Result<CopiedDraft> {
        let document = Document::parse(new.text).map_err(document_error)?;
        let opened = OpenedFrom {
            folder: new.folder,
            file: new.file,
            ..self.opened_from(&document, new.edition, String::new())
        };
        Ok(CopiedDraft {
            document,
            edition: opened.edition,
            opened: Some(opened),
            name: new.name,
        })
    }

    /// Creates a draft that continues from a copy of a document. The document is stored once for all its copies.
    pub(crate) async fn create_copy(
        &self,
        copied: CopiedDraft,
        copy: DraftCopy,
        call: &Call,
    ) -> Result<DraftId> {
        let id = new_id();
        let text = copied.document.write();
        let packed = aside(|| PackedDocument::of(&text))?;
        let ids = ShortIds::of(&copied.document);
        let step = copy.step;
        let name = Some(copy.name.clone()).filter(|name| !name.is_empty());
        let (open, create, base) = match copied.opened {
            Some(opened) => {
                let opened = OpenedFrom {
                    document: packed.hash.clone(),
                    files: std::collections::BTreeMap::new(),
                    copied: Some(ids),
                    ..opened
                };
                (Some(opened), None, None)
            }
            None => {
                let summary = copied.document.summary();
                let new = NewDraft {
                    name,
                    note: None,
                    width: summary.width as f64,
                    height: summary.height as f64,
                    edition: copied.edition,
                    settings: Box::default(),
                };
                let base = BaseDocument {
                    document: packed.hash.clone(),
                    ids,
                };
                (None, Some(new), Some(base))
            }
        };
        let found = RecordedEdit {
            open,
            create,
            step: Some(RecordedStep {
                step,
                changes: copy.changes,
                clips: Vec::new(),
                checkpoint: None,
                base,
                renamed: None,
            }),
            ..RecordedEdit::default()
        };
        let row = NewDraftRow {
            origin: ENGINE.to_owned(),
            id: id.clone(),
            name: copy.name,
            edition: copied.edition.name().to_owned(),
            reason: String::new(),
        };
        let placed = reply(&id, Some(true), &EditOutcome::default());
        let texts = DocumentTexts::from([(packed.hash.clone(), text)]);
        let record = NewRecord {
            document: Some(Arc::new(packed)),
            ..NewRecord::of(call, Some(&found), &placed, VERSION)?
        };
        let state = aside(|| fold_state(&id, &[found], &texts))?;
        self.journal.create(&row, &record).await?;
        self.drafts.insert(state, NOT_REFRESHED);
        Ok(id)
    }

    /// A file as the document crate expects it. `argument` names it in errors.
    pub(crate) async fn media_file(
        &self,
        argument: &str,
        source: &str,
        caller: &Caller,
    ) -> Result<MediaFile> {
        let media = self.media(caller);
        let facts = media.facts(source).await.map_err(|mut error| {
            error.message = format!("`{argument}`: {}", error.message);
            error
        })?;
        let (kind, own, length) = if facts.is_still {
            (MediaFileKind::Image, MediaKind::Photo, None)
        } else if facts.has_video {
            (MediaFileKind::Video, MediaKind::Video, Some(facts.duration))
        } else {
            let length = facts.audio_duration;
            (MediaFileKind::Audio, MediaKind::Audio, length)
        };
        let here = media.here(source).await;
        Ok(MediaFile {
            path: here.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
            kind,
            name: Some(own.file_name(source)),
            duration: length.map(|length| Time::from_micros(length.0)),
            width: facts.width,
            height: facts.height,
            has_audio: facts.has_audio,
            remote_url: Some(source.to_owned()),
            bin_id: None,
        })
    }
}

impl Engine {
    /// Refuses a file that cannot be the cover of a draft.
    pub(crate) async fn check_cover(&self, source: &str, caller: &Caller) -> Result<()> {
        if Cover::is_usual(source) {
            return Ok(());
        }
        let facts = self
            .media(caller)
            .facts(source)
            .await
            .map_err(|mut error| {
                error.message = format!("`cover`: {}", error.message);
                error
            })?;
        if facts.has_picture() {
            return Ok(());
        }
        Err(Error::media(format!(
            "`cover`: {} contains no picture",
            crate::media::shown(source)
        )))
    }

    /// A picture of the frame at a time of a video, as a file of this program.
    pub(crate) async fn frame_at(
        &self,
        source: &str,
        seconds: f64,
        caller: &Caller,
    ) -> Result<MediaFile> {
        let data = self.options.data_dir.as_ref();
        let folder = data.ok_or_else(crate::settings::no_home)?.join("stills");
        let media = self.media(caller);
        let picture = media.frame_at(source, seconds, &folder).await?;
        let picture = picture.to_string_lossy();
        self.media_file("still", &picture, caller).await
    }

    /// A picture of the last frame of a video, as a file of this program.
    pub(crate) async fn last_frame(
        &self,
        source: &str,
        video: &MediaFile,
        caller: &Caller,
    ) -> Result<MediaFile> {
        let data = self.options.data_dir.as_ref();
        let folder = data.ok_or_else(crate::settings::no_home)?.join("stills");
        let seconds = video
            .duration
            .map_or(0.0, |length| length.micros as f64 / 1e6);
        let media = self.media(caller);
        let picture = media.last_frame(source, seconds, &folder).await?;
        let picture = picture.to_string_lossy();
        self.media_file("still", &picture, caller).await
    }
}

/// Makes a file fit a draft of an app: the app reads files only, and shows them by their names. `argument` names it in
/// errors.
pub(crate) fn for_app(argument: &str, file: &mut MediaFile) -> Result<()> {
    if file.path.is_empty() {
        return Err(Error::invalid(format!(
            "{argument} is an address, and a draft that was opened needs a file"
        ))
        .hint("download it, and give the absolute path of the file"));
    }
    file.name = None;
    Ok(())
}
