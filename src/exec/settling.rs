//! Completes a call with what its draft determines: the id if the draft was named, the names of effects in the
//! draft's edition, and defaults.

use serde_json::{Value, json};

use super::App;
use super::routing::Home;
use crate::args::Object;
use crate::backend::Backend;
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::engine::CallTarget;
use crate::error::{Error, Result};
use crate::tool::Request;
use crate::units::Edition;

/// The maximum number of drafts with the same name that are listed.
const NAMESAKES: usize = 50;

impl App {
    /// The call with the draft's id, if it names the draft and the journal has no draft with that id.
    pub(super) async fn by_name(&self, request: &dyn Request) -> Result<Option<Box<dyn Request>>> {
        let call = request.call();
        let Some(named) = request.draft() else {
            return Ok(None);
        };
        let Some(id) = self.id_of_name(named, &call.caller).await? else {
            return Ok(None);
        };
        let mut arguments = call.arguments.clone();
        put_id(&mut arguments, named, &id);
        let normalized = call.normalized.clone();
        let request = request
            .spec()
            .request(arguments, &call.caller, normalized)?;
        Ok(Some(request))
    }

    /// The id of the only draft with this name. `None` if no draft has it, or if it is an id itself.
    pub(crate) async fn id_of_name(
        &self,
        named: &DraftId,
        caller: &Caller,
    ) -> Result<Option<DraftId>> {
        if named.looks_made()
            || !caller.manner.is_strict()
            || !caller.sees_other_drafts()
            || self.journal.find(named).await?.is_some()
        {
            return Ok(None);
        }
        let name = named.as_str();
        let rows = self.journal.list(false, NAMESAKES, Some(name)).await?;
        let ids: Vec<&DraftId> = rows
            .iter()
            .filter(|row| row.name == name && row.moved_to.is_none())
            .map(|row| &row.id)
            .collect();
        match ids[..] {
            [] => Ok(None),
            [id] => Ok(Some(id.clone())),
            _ => {
                let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
                Err(Error::conflict(format!(
                    "{} drafts have the name {name:?}: {}",
                    ids.len(),
                    ids.join(", ")
                ))
                .hint("use the id of one of them; the most recently changed is listed first"))
            }
        }
    }

    /// The draft with this id, or the only draft with this name.
    pub(crate) async fn named_draft(&self, named: &str, caller: &Caller) -> Result<DraftId> {
        let named = DraftId(named.to_owned());
        let id = self.id_of_name(&named, caller).await?;
        Ok(id.unwrap_or(named))
    }

    /// The call with the names and defaults of its draft's edition, if it has any.
    pub(super) async fn in_edition(
        &self,
        request: &dyn Request,
        home: &Home,
    ) -> Result<Option<Box<dyn Request>>> {
        match self.edition_for(request, home).await? {
            Some(edition) => request.in_edition(edition),
            None => Ok(None),
        }
    }

    /// The edition of the draft that the call is for. `None` if the draft is not known: a later step reports
    /// that.
    async fn edition_for(&self, request: &dyn Request, home: &Home) -> Result<Option<Edition>> {
        match &home.backend {
            Backend::Embedded(engine) => {
                let target = CallTarget {
                    draft: request.draft(),
                    width: 1080.0,
                    height: 1920.0,
                };
                Ok(engine
                    .canvas(target)
                    .await
                    .ok()
                    .map(|canvas| canvas.edition))
            }
            Backend::Remote(remote) => {
                let Ok(server) = remote.server(&self.journal).await else {
                    return Ok(None);
                };
                if let Some(wanted) = request.wanted_edition()
                    && wanted != server.edition
                    && !server.takes_strict
                {
                    return Err(Error::conflict(format!(
                        "`edition` is {:?}, but the server makes drafts for {}",
                        wanted.name(),
                        server.edition.app()
                    ))
                    .hint("leave `edition` out")
                    .at_shell("make the draft here, with `--backend embedded`"));
                }
                // Only a server that is a capcut-mcp engine has drafts of both editions.
                let draft = request.draft().filter(|_| server.takes_strict);
                let row = match draft {
                    Some(draft) => self.journal.find(draft).await?,
                    None => None,
                };
                let own = row.and_then(|row| row.edition.parse().ok());
                Ok(Some(own.unwrap_or(server.edition)))
            }
        }
    }
}

/// Replaces a draft's name in the arguments of a call by its id.
pub(crate) fn put_id(arguments: &mut Object, name: &DraftId, id: &DraftId) {
    if let Some(value) = arguments.get_mut("draft_id")
        && value == name.as_str()
    {
        *value = json!(id);
    }
}

/// Adds notes to a reply, each once.
pub(crate) fn note(reply: &mut Value, notes: &[String]) {
    let Value::Object(reply) = reply else { return };
    if notes.is_empty() {
        return;
    }
    let Value::Array(told) = reply.entry("notes").or_insert_with(|| json!([])) else {
        return;
    };
    for note in notes {
        if !told.iter().any(|one| one == note) {
            told.push(note.as_str().into());
        }
    }
}
