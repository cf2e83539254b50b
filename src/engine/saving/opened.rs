//! Saves of drafts that were opened: into their folder, or as a copy.

use std::path::Path;
use std::sync::Arc;

use capcut_draft::Document;

use super::SaveWish;
use super::destination::may_write;
use crate::args::Call;
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::engine::documents::{OpenedFrom, RecordedWrite, document_error, lacks};
use crate::engine::edit::EditOutcome;
use crate::engine::package::existing::Terms;
use crate::engine::package::opened::back::PreparedSave;
use crate::engine::package::opened::copy::CopyRequest;
use crate::engine::package::opened::{self, OpenedState, OpenedSubject};
use crate::engine::package::{self, SavedPackage};
use crate::engine::{Engine, RecordedEdit, VERSION, aside, changing, reply};
use crate::error::{Error, Result};
use crate::journal::{Appended, CallPosition, ENGINE, NewRecord, document_hash};

impl Engine {
    /// Saves a draft that was opened: into its folder, or as a copy.
    pub(super) async fn save_opened(
        &self,
        id: &DraftId,
        from: Arc<OpenedFrom>,
        wish: &SaveWish,
        folder: Option<&str>,
        call: &Call,
    ) -> Result<SavedPackage> {
        wish.refuse_for_opened(id, &from)?;
        let media = self.media(&call.caller);
        if let Some(request) = self
            .copy_request(id, &from, wish, folder, &call.caller)
            .await?
        {
            let draft = self.opened_draft(id, from).await?;
            return opened::copy::copy(draft, request, &media).await;
        }
        call.caller.access.may_write(from.folder_of_file())?;
        let backups = self.data_dir()?.join("backups");
        let change = opened::back::begin(Arc::clone(&from)).await?;
        let draft = self.opened_draft(id, from).await?;
        match opened::back::prepare(change, draft, wish.overwrite, &media).await? {
            PreparedSave::Nothing(saved) => Ok(saved),
            PreparedSave::Change(change) => {
                self.record_write(id, &change.write, call).await?;
                change.commit(backups).await
            }
        }
    }

    /// An opened draft as it is saved.
    async fn opened_draft(&self, id: &DraftId, from: Arc<OpenedFrom>) -> Result<OpenedSubject> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        let document = held.lock().document.as_deref().cloned();
        let document = document.ok_or_else(|| Error::internal("the draft has no document"))?;
        let (text, hash) = aside(|| {
            let text = document.write();
            let hash = document_hash(&text);
            (text, hash)
        });
        let base = if hash == from.document {
            None
        } else {
            Some(self.opened_state(&from.document).await?)
        };
        let founds = self.founds(id, 0).await?;
        let row = self.journal.find(id).await?;
        Ok(OpenedSubject {
            id: id.to_string(),
            name: row.map(|row| row.name).unwrap_or_default(),
            from,
            document,
            base,
            text,
            hash,
            writes: founds.into_iter().filter_map(|found| found.write).collect(),
        })
    }

    /// What a save needs of the opened document with this hash.
    async fn opened_state(&self, hash: &str) -> Result<Arc<OpenedState>> {
        if let Some(known) = self.opened_states.get(hash) {
            return Ok(known);
        }
        let packed = self.journal.document(hash).await?;
        let text = packed.ok_or_else(|| lacks(hash))?.text()?;
        let document = aside(|| Document::parse(text)).map_err(document_error)?;
        let state = Arc::new(OpenedState::new(&document));
        self.opened_states
            .insert(hash.to_owned(), Arc::clone(&state));
        Ok(state)
    }

    /// Records what a save is about to write into the folder of an opened draft.
    async fn record_write(&self, id: &DraftId, write: &RecordedWrite, call: &Call) -> Result<()> {
        let held = self.hold(id).await?;
        let _turn = held.turn().await;
        let found = RecordedEdit {
            write: Some(write.clone()),
            ..RecordedEdit::default()
        };
        let placed = reply(id, None, &EditOutcome::default());
        let record = NewRecord {
            internal: true,
            ..NewRecord::of(call, Some(&found), &placed, VERSION)?
        };
        let at = CallPosition::End;
        match self.journal.append(ENGINE, id, &record, at).await? {
            Appended::Done(_) | Appended::Already(_) => self.catch_up(&held).await.map(drop),
            Appended::Conflict => Err(changing(id)),
        }
    }

    /// Where to copy an opened draft; `None` if it is saved into its own folder.
    async fn copy_request(
        &self,
        id: &DraftId,
        from: &OpenedFrom,
        wish: &SaveWish,
        folder: Option<&str>,
        caller: &Caller,
    ) -> Result<Option<CopyRequest>> {
        if !wish.is_copy(from) {
            return Ok(None);
        }
        let edition = from.edition;
        let own = from.folder.as_deref();
        let beside = own
            .and_then(Path::parent)
            .filter(|it| may_write(it, caller));
        let drafts = match (folder, beside) {
            (Some(folder), _) => {
                let place = self.place(edition, wish, Some(folder), caller)?;
                if place.target.is_some() {
                    return Err(Error::invalid(format!(
                        "`draft_folder`: a draft that was opened is copied into a folder of this machine that may be written, and {folder} is none"
                    ))
                    .hint("give the absolute path of the app's drafts folder, or save with `name` only"));
                }
                place.drafts
            }
            (None, Some(beside)) => beside.to_owned(),
            (None, None) => self.place(edition, wish, None, caller)?.drafts,
        };
        let of_folder = own.and_then(Path::file_name);
        let of_folder = of_folder.filter(|_| from.copied.is_none());
        let of_folder = of_folder.map(|name| name.to_string_lossy().into_owned());
        let name = match wish.name.clone().or(of_folder) {
            Some(name) => name,
            None => {
                let row = self.journal.find(id).await?;
                row.map(|row| row.name).unwrap_or_default()
            }
        };
        let to = drafts.join(package::name::folder(&name)).canonicalize();
        if let (Some(own), Ok(to)) = (own, to)
            && own.canonicalize().is_ok_and(|own| own == to)
        {
            if from.copied.is_some() {
                return Err(Error::conflict(format!(
                    "draft {id} is a copy of the draft in {}, which stays as it is",
                    own.display()
                ))
                .hint("give another `name` or `draft_folder`"));
            }
            return Ok(None);
        }
        Ok(Some(CopyRequest {
            drafts,
            name,
            terms: Terms {
                draft: id.to_string(),
                origin: self.saves.origin(id),
                overwrite: wish.overwrite,
                ..Terms::default()
            },
            while_running: wish.while_running,
        }))
    }
}
