//! The journal's records of a server's drafts, and how they show after a lost answer whether a call was applied.
//! (The engine writes its own records.)

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::routing::Home;
use super::{App, Context};
use crate::backend::{self, Backend, Failure, Reached, RecordedDialect, Remote};
use crate::draft::evidence::{Contents, Evidence, EvidenceMatch, Leaves};
use crate::draft::ids::DraftId;
use crate::engine::standing;
use crate::error::{Error, Kind, Result};
use crate::journal::{CallPosition, ENGINE, NewDraftRow, NewRecord, Record};
use crate::manifest;
use crate::tool::{Request, Spec};

/// The server may still be processing a call although its connection is gone.
const SECOND_LOOK: Duration = Duration::from_millis(150);

/// Whether the call adds to a draft, so that applying it twice would add twice. Idempotent calls, such as a save,
/// are not part of what a draft is made of.
pub(super) fn is_edit(spec: &Spec) -> bool {
    spec.is_routed() && !spec.hints.read_only && !spec.hints.idempotent
}

/// What a look at the draft shows after an answer was lost.
pub(super) enum Lookup {
    /// The call was applied; this is a substitute for the lost reply, built from the draft's document.
    Applied(Value),
    NotApplied,
    /// The call names no known draft.
    NoDraft,
}

impl App {
    /// Checks whether an edit whose answer was lost was applied; an error if that cannot be determined.
    pub(super) async fn look_up(
        &self,
        remote: &Remote,
        request: &dyn Request,
        leaves: &Leaves,
        failure: &Failure,
    ) -> Result<Lookup, Failure> {
        let Some(draft) = request.draft() else {
            return Ok(Lookup::NoDraft);
        };
        let name = request.spec().name;
        let unclear = |why: &str| {
            let what = format!(
                "it is not known whether `{name}` was applied to draft {draft}: {}; {why}",
                failure.error.message
            );
            let error = Error::new(failure.error.kind, what);
            Failure::lost(error.hint("check the draft with `query_script` before you call again"))
        };
        let Some(evidence) = leaves.evidence() else {
            return Err(unclear("its effect is not visible in the draft's document"));
        };
        let before = match failure.since {
            Some(since) => self.times_until(draft, evidence, since).await?,
            None => {
                let account =
                    remote.with_account(&self.journal, draft, |account| account.times(evidence));
                account.await?
            }
        };
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            let script = match remote.script(draft, self.look_until()).await {
                Ok(script) => script,
                Err(failure) if failure.reached == Reached::Forgotten => return Err(failure),
                Err(_) => return Err(unclear("the server no longer answers")),
            };
            let Some(contents) = Contents::of(&script) else {
                return Err(unclear("the server's document has no tracks"));
            };
            match contents.find(evidence) {
                EvidenceMatch::Times(times) if times > before => {
                    if times - before < remote.announced(draft, evidence) {
                        return Err(unclear(
                            "other calls added the same item at the same position meanwhile",
                        ));
                    }
                    let output = json!({ "draft_id": draft, "draft_url": "" });
                    let mut reply = request.reply_from_value(&output)?;
                    note(
                        &mut reply,
                        "the server's answer was lost, but the draft contains the result of the call",
                    );
                    return Ok(Lookup::Applied(reply));
                }
                EvidenceMatch::Times(_) => {}
                EvidenceMatch::Part => return Err(unclear("the draft contains only a part of it")),
            }
        }
        if failure.error.kind == Kind::Timeout {
            return Err(unclear(
                "it is not in the draft yet, but the server may still be processing it",
            ));
        }
        Ok(Lookup::NotApplied)
    }

    /// See [`Failure::since`].
    pub(super) async fn last_in_shared_journal(
        &self,
        remote: &Remote,
        draft: &DraftId,
    ) -> Option<NonZeroU64> {
        let server = remote.server(&self.journal).await.ok()?;
        if !server.same_journal {
            return None;
        }
        let last = self.journal.last_sequence(ENGINE, draft).await.ok()??;
        NonZeroU64::new(last + 1)
    }

    /// How many of the engine's calls before `since` left this evidence in a draft.
    async fn times_until(
        &self,
        draft: &DraftId,
        evidence: &Evidence,
        since: NonZeroU64,
    ) -> Result<usize> {
        let records = standing(self.journal.records(ENGINE, draft, 0).await?);
        let earlier = records
            .iter()
            .filter(|record| record.sequence < since.get());
        let is_same = |record: &&Record| {
            let left = backend::leaves(record);
            left.is_some_and(|left| left.evidence() == Some(evidence))
        };
        Ok(earlier.filter(is_same).count())
    }

    /// The deadline for reading a draft's document, starting now.
    pub(super) fn look_until(&self) -> Instant {
        Instant::now() + manifest::seconds(self.manifest.limits.look_timeout_s)
    }

    /// A server that forgot the draft looks for tracks in an empty one and reports a missing track. In that case,
    /// this returns the loss of the draft instead.
    pub(super) async fn blamed(
        &self,
        home: &Home,
        request: &dyn Request,
        failure: Failure,
    ) -> Failure {
        let (Backend::Remote(remote), Some(draft)) = (&home.backend, request.draft()) else {
            return failure;
        };
        let of_the_draft = failure.error.kind == Kind::NotFound
            && failure.reached == Reached::Answered
            && is_edit(request.spec());
        if !of_the_draft {
            return failure;
        }
        match remote.script(draft, self.look_until()).await {
            Err(loss) if loss.reached == Reached::Forgotten => loss,
            _ => failure,
        }
    }

    /// Writes a call that a server acknowledged into the journal, before the client receives the reply.
    pub(super) async fn enter(
        &self,
        remote: &Remote,
        home: &Home,
        request: &dyn Request,
        reply: &Value,
    ) -> Result<()> {
        let spec = request.spec();
        let server = remote.server(&self.journal).await;
        if server.as_ref().is_ok_and(|server| server.same_journal) {
            return Ok(());
        }
        if !is_edit(spec) {
            if let (Some(draft), Some(folder)) = (request.draft(), reply["folder"].as_str()) {
                let fence = request.call().caller.fence.as_ref();
                self.journal
                    .set_saved(&remote.base, draft, folder, fence)
                    .await?;
            }
            return Ok(());
        }
        let call = request.call();
        let sent = RecordedDialect::by(&call.caller);
        let record = NewRecord::of(call, sent.as_ref(), reply, 0)?;
        if let Some(draft) = request.draft() {
            let appended = self
                .journal
                .append(&remote.base, draft, &record, CallPosition::End);
            let _ = appended.await?;
            return Ok(());
        }
        let Some(draft) = reply["draft_id"].as_str().map(|id| DraftId(id.into())) else {
            return Ok(());
        };
        let name = call.arguments.get("name").and_then(Value::as_str);
        let row = NewDraftRow {
            origin: remote.base.clone(),
            id: draft.clone(),
            name: name.unwrap_or_default().into(),
            edition: request
                .wanted_edition()
                .or(server.map(|server| server.edition).ok())
                .map_or(String::new(), |edition| edition.name().to_owned()),
            reason: home.reason.clone().unwrap_or_default(),
        };
        self.journal.create(&row, &record).await?;
        self.homes.put(&draft, &remote.base);
        Ok(())
    }

    /// A server's list from the cache, if it is not older than `cache_s`.
    pub(super) fn fresh_list(&self, key: &str, cache_s: f64) -> Option<Arc<Value>> {
        let (at, output) = self.lists.get(key)?;
        (at.elapsed() < manifest::seconds(cache_s)).then_some(output)
    }

    /// Asks a server for a list of names and caches it.
    pub(super) async fn ask_list(
        &self,
        remote: &Remote,
        request: &dyn Request,
        path: &str,
        until: Instant,
        context: &Context,
    ) -> Result<Value, Failure> {
        let output = remote.list(path, until).await?;
        let reply = list_reply(request, &output, context)?;
        self.lists.put(list_key(remote, path), Arc::new(output));
        Ok(reply)
    }

    /// An outdated list, which is better than none.
    pub(super) fn old_list(
        &self,
        key: &str,
        request: &dyn Request,
        context: &Context,
        failure: Failure,
    ) -> Result<Value, Failure> {
        let Some((at, output)) = self.lists.get(key) else {
            return Err(failure);
        };
        tracing::warn!(
            list = key,
            "an outdated list is used: {}",
            failure.error.message
        );
        let mut reply = list_reply(request, &output, context)?;
        let minutes = at.elapsed().as_secs() / 60;
        note(
            &mut reply,
            &format!("the server does not answer: this list is {minutes} minutes old"),
        );
        Ok(reply)
    }
}

/// The error for a call that a server applied but the journal could not record. The journal's own error text is
/// about calls that were not applied.
pub(super) fn not_recorded(
    remote: &Remote,
    request: &dyn Request,
    reply: &mut Value,
    error: Error,
) -> Result<()> {
    let (base, cause) = (&remote.base, &error.message);
    if !is_edit(request.spec()) {
        note(
            reply,
            &format!("this was done, but it could not be recorded here: {cause}"),
        );
        return Ok(());
    }
    let name = request.spec().name;
    let (what, hint) = match request.draft() {
        Some(draft) => (
            format!(
                "`{name}` was applied to draft {draft} at {base}, but it could not be recorded here: {cause}"
            ),
            "do not send it again: the server has applied it, but `recover_draft` would leave it out. Make the data folder \
             writable (`capcut-mcp doctor` says what is wrong with it) before you continue",
        ),
        None => {
            let made = reply["draft_id"].as_str().unwrap_or_default();
            (
                format!(
                    "`{name}` made draft {made} at {base}, but it could not be recorded here: {cause}"
                ),
                "do not send it again: the server has that draft. Make the data folder writable (`capcut-mcp doctor` \
                 says what is wrong with it), then continue with that `draft_id`; `recover_draft` cannot recreate it",
            )
        }
    };
    Err(Error {
        message: what,
        hint: Some(hint.to_owned()),
        ..error
    })
}

/// Lists are cached by server and path.
pub(super) fn list_key(remote: &Remote, path: &str) -> String {
    format!("{}{path}", remote.base)
}

/// The reply for a server's list.
pub(super) fn list_reply(request: &dyn Request, list: &Value, context: &Context) -> Result<Value> {
    if let Some(kept) = &context.output {
        kept.put(list.clone());
    }
    request.reply_from_value(list)
}

/// Adds a note to a reply.
pub(super) fn note(reply: &mut Value, text: &str) {
    if let Some(reply) = reply.as_object_mut() {
        match reply.entry("notes").or_insert_with(|| json!([])) {
            Value::Array(notes) => notes.push(json!(text)),
            other => *other = json!([text]),
        }
    }
}

/// The lists that servers returned, by address.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<String, (Instant, Arc<Value>)>>);

impl Lists {
    fn get(&self, key: &str) -> Option<(Instant, Arc<Value>)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn put(&self, key: String, output: Arc<Value>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.insert(key, (Instant::now(), output));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::testing::app;
    use crate::local;
    use crate::settings::BackendChoice;
    use crate::tools::Caller;

    #[tokio::test]
    async fn an_applied_call_that_was_not_recorded_asks_not_to_be_sent_again() {
        let app = app(Some("http://127.0.0.1:9"), BackendChoice::Remote, |_| {});
        let remote = app.servers.at("http://127.0.0.1:9");
        let told = |tool: &str, arguments: Value, mut reply: Value| {
            let arguments = arguments.as_object().unwrap().clone();
            let request = local::find(tool)
                .unwrap()
                .decode(arguments, &Caller::user());
            let error =
                Error::new(Kind::Unavailable, "the disk is read-only").hint("send it again");
            let ended = not_recorded(&remote, request.unwrap().as_ref(), &mut reply, error);
            (ended.map_err(|error| error.to_string()), reply)
        };
        let text = json!({ "draft_id": "d", "text": "a", "start": 0, "end": 1 });
        let said = told("add_text", text, json!({ "draft_id": "d" }))
            .0
            .unwrap_err();
        assert!(
            said.contains("was applied to draft d at http://127.0.0.1:9"),
            "{said}"
        );
        assert!(
            said.contains("read-only") && said.contains("do not send it again"),
            "{said}"
        );
        let said = told("create_draft", json!({}), json!({ "draft_id": "new" }))
            .0
            .unwrap_err();
        assert!(said.contains("made draft new"), "{said}");
        let (ended, reply) = told(
            "save_draft",
            json!({ "draft_id": "d" }),
            json!({ "folder": "/f" }),
        );
        assert!(
            ended.is_ok() && reply["notes"].to_string().contains("read-only"),
            "{reply}"
        );
    }
}
