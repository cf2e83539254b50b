//! What is written down of a server's drafts, and how that tells after a lost answer whether a call was
//! carried out. (The engine writes its own down.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::routing::Home;
use super::{App, Context};
use crate::backend::evidence::{Evidence, Found};
use crate::backend::{Backend, Failure, Reached, Remote};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{At, NewDraft, NewRecord, Record};
use crate::manifest::{self, Route};
use crate::tools::{self, Caller, Manner, Object, Request, Spec};

/// A server may be at it still although its connection is gone.
const SECOND_LOOK: Duration = Duration::from_millis(150);

/// A call that adds to a draft, so that twice is two. What is idempotent, as a save, is no part of what a
/// draft is made of.
pub(super) fn is_edit(spec: &Spec) -> bool {
    spec.routed && !spec.hints.read_only && !spec.hints.idempotent
}

/// What the call, which is sent as `body`, leaves in its draft, where that can be told.
pub(super) fn evidence(request: &dyn Request, route: &Route, body: &Object) -> Option<Evidence> {
    request.draft()?;
    is_edit(request.spec())
        .then(|| Evidence::of(route.path()?, body))
        .flatten()
}

/// How a server was sent a call that is in the journal: in our dialect, unless it says otherwise.
#[derive(Default, Serialize, Deserialize)]
struct Sent {
    #[serde(default)]
    manner: Manner,
}

/// A call in the journal with these arguments, so that it means on a server, or on the engine, what it meant when it
/// was accepted.
pub(super) fn again(
    record: &Record,
    mut arguments: Object,
    caller: &Caller,
    on_server: bool,
) -> Result<Box<dyn Request>> {
    let tool = &record.tool;
    let spec = tools::routed(tool).ok_or_else(|| {
        Error::not_found(format!(
            "the journal has a call of `{tool}`, which is no tool"
        ))
    })?;
    let found = record.found.as_deref();
    let sent: Sent = found
        .and_then(|found| serde_json::from_str(found).ok())
        .unwrap_or_default();
    if sent.manner == Manner::Api {
        if on_server {
            return spec.decode(arguments, &caller.in_manner(Manner::Api));
        }
        spec.take_as_meant(&mut arguments);
    }
    spec.decode(arguments.clone(), &caller.in_manner(Manner::Strict))
        .or_else(|_| spec.decode(arguments, &caller.in_manner(Manner::Api)))
}

/// What is known after an answer was lost.
pub(super) enum Lookup {
    /// It was carried out; this is the reply that was lost, made up from what is there.
    Applied(Value),
    NotApplied,
    /// It was about no draft that anybody knows.
    NoDraft,
}

impl App {
    /// Looks whether an edit whose answer was lost was carried out; an error if that cannot be told.
    pub(super) async fn look_up(
        &self,
        remote: &Remote,
        request: &dyn Request,
        route: &Route,
        failure: &Failure,
    ) -> Result<Lookup, Failure> {
        let Some(draft) = request.draft() else {
            return Ok(Lookup::NoDraft);
        };
        let name = request.spec().name;
        let unclear = |why: &str| {
            let what = format!(
                "it is not known whether `{name}` was carried out on draft {draft}: {}; {why}",
                failure.error.message
            );
            let error = Error::new(failure.error.kind, what);
            Failure::lost(error.hint("look at the draft with `query_script` before you call again"))
        };
        let Some(evidence) = evidence(request, route, &request.to_api()) else {
            return Err(unclear("what it does is not seen in the draft's document"));
        };
        let before = self
            .acknowledged(remote, draft, &evidence)
            .await
            .map_err(Failure::from)?;
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            let script = match remote.script(draft, self.look_until()).await {
                Ok(script) => script,
                Err(failure) if failure.reached == Reached::Forgotten => return Err(failure),
                Err(_) => return Err(unclear("the server does not answer any more")),
            };
            match evidence.find(&script) {
                Found::Times(times) if times > before => {
                    if times - before < remote.announced(draft, &evidence) {
                        return Err(unclear(
                            "other calls put the same in the same place meanwhile",
                        ));
                    }
                    let output = json!({ "draft_id": draft, "draft_url": "" });
                    let mut reply = request.reply_from_api(output)?;
                    note(
                        &mut reply,
                        "the server's answer was lost; the draft was looked at, and it is there",
                    );
                    return Ok(Lookup::Applied(reply));
                }
                Found::Times(_) => {}
                Found::Part => return Err(unclear("a part of it is there")),
            }
        }
        if failure.error.kind == Kind::Timeout {
            return Err(unclear(
                "it is not there yet, but the server may still be at it",
            ));
        }
        Ok(Lookup::NotApplied)
    }

    /// The end of a look at a draft that begins now.
    pub(super) fn look_until(&self) -> Instant {
        Instant::now() + manifest::seconds(self.manifest.limits.look_timeout_s)
    }

    /// A server that forgot the draft looks for tracks in an empty one, and blames the track.
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

    /// How often calls that were acknowledged leave the same.
    async fn acknowledged(
        &self,
        remote: &Remote,
        draft: &DraftId,
        evidence: &Evidence,
    ) -> Result<usize> {
        let key = (remote.base.clone(), draft.clone());
        let mut tally = self.tallies.take(&key);
        // An engine that keeps this journal writes its own calls down.
        let origin = self.journal.find(draft).await?.map(|row| row.origin);
        let origin = origin.as_deref().unwrap_or(&remote.base);
        for record in self.journal.records(origin, draft, tally.next).await? {
            tally.next = record.sequence + 1;
            if let Some(evidence) = self.evidence_of(&record) {
                *tally.left.entry(evidence).or_default() += 1;
            }
        }
        let times = tally.left.get(evidence).copied().unwrap_or_default();
        self.tallies.put(key, tally);
        Ok(times)
    }

    /// What a call in the journal left in its draft.
    pub(crate) fn evidence_of(&self, record: &Record) -> Option<Evidence> {
        let route = self.manifest.route(&record.tool).ok()?;
        let arguments: Object = record.arguments.as_object()?.clone();
        let request = again(record, arguments, &Caller::user(), true).ok()?;
        Evidence::of(route.path()?, &request.to_api())
    }

    /// Writes an acknowledged call to a server into the journal, before the client hears of it.
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
                self.journal.set_saved(&remote.base, draft, folder).await?;
            }
            return Ok(());
        }
        let call = request.call();
        let sent = Sent {
            manner: call.caller.manner,
        };
        let sent = (!call.caller.manner.is_strict()).then_some(&sent);
        let record = NewRecord::of(call, sent, reply, 0)?;
        if let Some(draft) = request.draft() {
            let appended = self.journal.append(&remote.base, draft, &record, At::End);
            let _ = appended.await?;
            return Ok(());
        }
        let Some(draft) = reply["draft_id"].as_str().map(|id| DraftId(id.into())) else {
            return Ok(());
        };
        let name = call.arguments.get("name").and_then(Value::as_str);
        let row = NewDraft {
            origin: remote.base.clone(),
            id: draft.clone(),
            name: name.unwrap_or_default().into(),
            edition: server
                .map(|server| server.edition.name().to_owned())
                .unwrap_or_default(),
            reason: home.reason.clone().unwrap_or_default(),
        };
        self.journal.create(&row, &record).await?;
        self.homes.put(&draft, &remote.base);
        Ok(())
    }

    /// A server's list that was asked for lately.
    pub(super) fn fresh_list(&self, key: &str, cache_s: f64) -> Option<Arc<Value>> {
        let (at, output) = self.lists.get(key)?;
        (at.elapsed() < manifest::seconds(cache_s)).then_some(output)
    }

    /// Asks a server for a list of names and keeps it.
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

    /// An old list, which is better than none.
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
            "an old list is given: {}",
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

/// Lists are kept by server and path.
pub(super) fn list_key(remote: &Remote, path: &str) -> String {
    format!("{}{path}", remote.base)
}

/// The reply that a server's list makes.
pub(super) fn list_reply(request: &dyn Request, list: &Value, context: &Context) -> Result<Value> {
    if let Some(kept) = &context.output {
        kept.put(list.clone());
    }
    request.reply_from_api(list.clone())
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

/// What the calls in the journal left in a server's draft, as far as they were read.
#[derive(Clone, Default)]
struct Tally {
    next: u64,
    left: HashMap<Evidence, usize>,
}

/// A tally for each draft whose answers were lost lately.
pub(super) struct Tallies(Cache<(String, DraftId), Tally>);

impl Default for Tallies {
    fn default() -> Self {
        Self(Cache::new(Self::REMEMBERED))
    }
}

impl Tallies {
    const REMEMBERED: usize = 64;

    /// Another call that comes meanwhile reads the journal from its start.
    fn take(&self, key: &(String, DraftId)) -> Tally {
        self.0
            .remove(key)
            .map(|(_, tally)| tally)
            .unwrap_or_default()
    }

    fn put(&self, key: (String, DraftId), tally: Tally) {
        self.0.insert(key, tally);
    }
}

/// The lists that servers gave, by address.
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
