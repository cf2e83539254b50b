//! The studio: a page on which people watch a draft grow, step through it, change small things and undo what was done.
//!
//! Everything that changes a draft is a call of a tool, with the rights of the caller. The same page is at `/studio` of the
//! HTTP server and at the listener of `capcut-mcp studio` ([`own`]); who may use it is decided before a request gets here.

mod changes;
mod draft;
mod drafts;
mod entrance;
mod events;
mod own;
mod page;
mod pictures;
mod texts;
mod videos;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body, Bytes};
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderName,
    HeaderValue, REFERRER_POLICY, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::receive::Receiver;
use super::{files, visitors};
use crate::access::Guest;
use crate::caller::{CalledBy, CalledVia, Caller};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::journal::DraftRow;
use crate::local;
use entrance::PageCookie;
pub(crate) use own::{OwnStudio, serve_studio};
use texts::Language;
use videos::Videos;

/// Pictures that are made at the same time; further requests wait, because each picture uses several processors.
const PICTURES: usize = 2;
/// Streams of events that are open at the same time: each reads the journal several times a second.
const STREAMS: usize = 256;
/// The most requests for pictures that wait.
const PICTURES_WAITING: usize = 64;
/// What pages may load: only files of this studio, and no code in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Smaller bodies are not compressed.
const WORTH_COMPRESSING: usize = 1 << 10;

/// The studio of a listener.
pub(super) struct Studio {
    /// Ends the streams of events.
    stop: CancellationToken,
    /// Calls that run at the same time on the listener.
    calls: Arc<Semaphore>,
    pictures: Semaphore,
    pictures_waiting: Semaphore,
    /// Streams of events that may be open at the same time.
    streams: Arc<Semaphore>,
    videos: Mutex<HashMap<(Arc<str>, DraftId), Arc<Videos>>>,
}

/// A request of a caller who is served.
pub(super) struct StudioVisit {
    pub app: Arc<App>,
    pub caller: Caller,
    /// `None`: the user of this process.
    pub guest: Option<Guest>,
    pub head: Parts,
    /// The path after `studio/`, decoded.
    pub path: String,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StudioRoute<'a> {
    Drafts,
    DraftsChanged,
    File(&'a str),
    Draft(&'a str, &'a str),
    None,
}

impl<'a> StudioRoute<'a> {
    fn at(path: &'a str) -> Self {
        match path.split_once('/').unwrap_or((path, "")) {
            ("", "") => Self::Drafts,
            ("events", "") => Self::DraftsChanged,
            ("files", name) if !name.is_empty() => Self::File(name),
            ("draft", rest) => {
                let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
                Self::Draft(id, part)
            }
            _ => Self::None,
        }
    }
}

impl Studio {
    pub(super) fn new(calls: Arc<Semaphore>, stop: CancellationToken) -> Self {
        Self {
            stop,
            calls,
            pictures: Semaphore::new(PICTURES),
            pictures_waiting: Semaphore::new(PICTURES_WAITING),
            streams: Arc::new(Semaphore::new(STREAMS)),
            videos: Mutex::default(),
        }
    }

    /// Answers a request.
    pub(super) async fn answer<B>(
        self: &Arc<Self>,
        mut visit: StudioVisit,
        body: B,
        receiver: &Receiver,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        visit.caller = visit.caller.called_by(CalledBy::via(CalledVia::Studio));
        let language = Language::of(&visit.head);
        let is_reading = matches!(visit.head.method, Method::GET | Method::HEAD);
        let path = visit.path.clone();
        let answer = match StudioRoute::at(&path) {
            StudioRoute::Drafts if is_reading => drafts::page(&visit, language).await,
            StudioRoute::DraftsChanged if is_reading => events::of_list(self, &visit),
            StudioRoute::File(name) if visit.head.method == Method::PUT => {
                match visit.refused("files", false) {
                    Some(refused) => refused,
                    None => {
                        let method = &visit.head.method;
                        let (answer, result) =
                            files::answer(&visit.app, method, name, body, receiver).await;
                        visit.record("files", None, result);
                        answer
                    }
                }
            }
            StudioRoute::Draft(id, part) => match visit.draft(id).await {
                Ok(row) if is_reading => self.shown(&visit, row, part, language).await,
                Ok(row) if visit.head.method == Method::POST => {
                    match receiver.receive(body).await {
                        Ok(body) => changes::change(self, &visit, row, part, &body.bytes).await,
                        Err(_) => answer::page(StatusCode::BAD_REQUEST),
                    }
                }
                Ok(_) => answer::not_allowed("GET, HEAD, POST"),
                Err(answer) => *answer,
            },
            _ => page::missing(language),
        };
        visit.finished(answer, language)
    }

    /// A part of a draft.
    async fn shown(
        self: &Arc<Self>,
        visit: &StudioVisit,
        row: DraftRow,
        part: &str,
        language: Language,
    ) -> Answer {
        match part {
            "" => draft::page(self, visit, &row, language).await,
            "data" => draft::data(self, visit, &row).await,
            "events" => events::of_draft(self, visit, &row),
            "cover" => self.picture(visit, pictures::cover(visit, &row)).await,
            "frame" => self.picture(visit, pictures::frame(visit, &row)).await,
            "sheet" => self.picture(visit, pictures::sheet(visit, &row)).await,
            "timeline" => self.picture(visit, pictures::timeline(visit, &row)).await,
            "video" => videos::file(visit, &row).await,
            _ => match part.strip_prefix("download/") {
                Some(name) => pictures::download(self, visit, &row, name).await,
                None => page::missing(language),
            },
        }
    }

    /// Makes a picture, in turn with others.
    async fn picture(
        &self,
        visit: &StudioVisit,
        made: impl Future<Output = Result<Answer>>,
    ) -> Answer {
        let busy = || answer::busy("too many pictures are being made; try again in a moment");
        let Ok(_waiting) = self.pictures_waiting.try_acquire() else {
            return busy();
        };
        let Ok(_place) = self.pictures.acquire().await else {
            return busy();
        };
        made.await.unwrap_or_else(|error| visit.failed(&error))
    }
}

impl StudioVisit {
    /// The value of a parameter in the address.
    fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.head, name)
    }

    /// The draft of this id, under the id that it has now. What the caller may not see is answered as what does not exist.
    async fn draft(&self, id: &str) -> Result<DraftRow, Box<Answer>> {
        let missing = || Box::new(page::missing(Language::of(&self.head)));
        let id = DraftId::of_server(id).ok_or_else(missing)?;
        let found = async {
            let id = self.app.current(&id).await?;
            self.app.journal.find(&id).await
        };
        match found.await {
            Ok(Some(row)) if row.deleted_ms.is_none() => Ok(row),
            Ok(_) => Err(missing()),
            Err(error) => Err(Box::new(self.failed(&error))),
        }
    }

    /// Whether the caller may change something.
    fn may_change(&self) -> bool {
        self.guest
            .as_ref()
            .is_none_or(|guest| !guest.is_read_only())
    }

    /// The answer to a call that the caller's token or its rate does not allow.
    fn refused(&self, action: &str, only_reads: bool) -> Option<Answer> {
        let guest = self.guest.as_ref()?;
        let class = visitors::class_of(&self.app.manifest, action);
        let checked = guest
            .may(action, only_reads)
            .and_then(|()| guest.count(class));
        let refused = checked.err()?;
        self.record(action, None, refused.name());
        Some(visitors::answer_to(&refused, None))
    }

    fn record(&self, action: &str, draft: Option<&DraftId>, result: &str) {
        if let Some(guest) = &self.guest {
            guest.record(action, draft.map(DraftId::as_str), result);
        }
    }

    /// Calls a tool that only reads, as part of showing something.
    async fn read(&self, tool: &str, arguments: Value) -> Result<Value> {
        run(&self.app, &self.caller, tool, arguments).await
    }

    /// Calls a tool for the caller. The call continues if the client disconnects, and counts as running while the server
    /// stops.
    async fn call(
        &self,
        studio: &Studio,
        tool: &'static str,
        arguments: Value,
        caller: Caller,
    ) -> Result<Value, Box<Answer>> {
        let Some(spec) = local::find(tool) else {
            return Err(Box::new(
                self.failed(&Error::internal("a tool of the studio is missing")),
            ));
        };
        if let Some(refused) = self.refused(tool, spec.hints.read_only) {
            return Err(Box::new(refused));
        }
        let Ok(place) = Arc::clone(&studio.calls).try_acquire_owned() else {
            return Err(Box::new(answer::busy(
                "as many calls are under way as this server allows; try again in a moment",
            )));
        };
        let app = Arc::clone(&self.app);
        let draft = arguments["draft_id"].as_str().and_then(DraftId::of_server);
        let seen = caller.seen;
        let work = tokio::spawn(async move {
            let ended = run(&app, &caller, tool, arguments).await;
            drop(place);
            ended
        });
        let ended = work.await.unwrap_or_else(|_| {
            Err(Error::internal("an internal error stopped this call").hint("report this"))
        });
        let result = ended
            .as_ref()
            .map_or_else(|error| error.kind.name(), |_| "ok");
        self.record(tool, draft.as_ref(), result);
        let error = match ended {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let now = match (seen, &draft) {
            (Some(_), Some(id)) => self.app.engine.records(id).await.ok(),
            _ => None,
        };
        // The page reads the draft again before it offers the change once more.
        let is_stale = error.kind == Kind::Conflict && now.is_some() && now != seen;
        let mut told = self.told(&error);
        told["stale"] = is_stale.into();
        // As with the API, a call that failed is an answer: browsers log other statuses as errors of the page.
        Err(Box::new(answer::json(StatusCode::OK, told)))
    }

    /// What went wrong, for the page.
    fn told(&self, error: &Error) -> Value {
        if error.kind == Kind::Internal {
            tracing::error!("{}", error.cause());
        }
        let hint = match &self.guest {
            Some(_) => error.hint.clone(),
            None => error.next_step().map(std::borrow::Cow::into_owned),
        };
        json!({
            "error": error.cause().to_string(),
            "hint": hint,
            "kind": error.kind.name(),
        })
    }

    /// The answer that says what went wrong.
    fn failed(&self, error: &Error) -> Answer {
        let status = match error.kind {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::InvalidArgument | Kind::Media => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        answer::json(status, self.told(error))
    }

    /// The answer with the headers of the studio.
    fn finished(&self, answer: Answer, language: Language) -> Answer {
        let mut answer = answer;
        language.keep(&self.head, &mut answer);
        secured(answer)
    }
}

/// The value of a parameter in the address of a request.
fn parameter(head: &Parts, name: &str) -> Option<String> {
    let query = head.uri.query()?;
    let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
    let mut found = url.query_pairs().filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.into_owned())
}

/// Calls a tool.
async fn run(app: &Arc<App>, caller: &Caller, tool: &str, arguments: Value) -> Result<Value> {
    let spec = local::find(tool).ok_or_else(|| Error::internal("a tool is missing"))?;
    let Value::Object(mut arguments) = arguments else {
        return Err(Error::internal("the arguments are not an object"));
    };
    if app.settings.data_dir().is_ok() {
        app.uploads()?.resolve(&mut arguments).await?;
    }
    let decoded = local::decode(spec, arguments, caller);
    let decoded = decoded.inspect_err(|error| app.refused(spec.name, error, false))?;
    decoded.answer(app, Context::of(caller)).await
}

/// The headers of everything in the studio.
pub(super) fn secured(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    let text = HeaderValue::from_static;
    headers.insert(CONTENT_SECURITY_POLICY, text(POLICY));
    headers.insert(RESOURCE_POLICY, text("same-origin"));
    headers.insert(OPENER_POLICY, text("same-origin"));
    // With `no-referrer`, browsers send forms with the origin `null`.
    headers.insert(REFERRER_POLICY, text("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(text("no-store"));
    answer
}

/// A text, compressed if the client takes that.
fn text(head: &Parts, status: StatusCode, content_type: &'static str, text: Vec<u8>) -> Answer {
    if text.len() < WORTH_COMPRESSING || !takes_gzip(head) {
        return answer::typed(status, content_type, text.into());
    }
    packed(
        status,
        content_type,
        gzip(&text, Compression::fast()).into(),
    )
}

/// A text that is compressed already.
fn packed(status: StatusCode, content_type: &'static str, text: Bytes) -> Answer {
    let mut answer = answer::typed(status, content_type, text);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

fn takes_gzip(head: &Parts) -> bool {
    let accepts = head.headers.get(ACCEPT_ENCODING);
    let accepts = accepts.and_then(|value| value.to_str().ok());
    let mut named = accepts.into_iter().flat_map(|text| text.split(','));
    named.any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_gzip = parts.next() == Some("gzip");
        // A client may name what it does not take.
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn gzip(text: &[u8], level: Compression) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 3), level);
    // Writing to memory does not fail.
    let _ = packed.write_all(text);
    packed.finish().unwrap_or_default()
}

/// JSON, compressed if the client takes that.
fn json_text(head: &Parts, value: &Value) -> Answer {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    text(head, StatusCode::OK, "application/json", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_lists_drafts_and_their_parts() {
        for (path, expected) in [
            ("", StudioRoute::Drafts),
            ("events", StudioRoute::DraftsChanged),
            ("files/a.png", StudioRoute::File("a.png")),
            ("files/", StudioRoute::None),
            ("draft/d1", StudioRoute::Draft("d1", "")),
            ("draft/d1/frame", StudioRoute::Draft("d1", "frame")),
            (
                "draft/d1/download/a/b",
                StudioRoute::Draft("d1", "download/a/b"),
            ),
            ("draft", StudioRoute::Draft("", "")),
            ("other", StudioRoute::None),
            ("events/x", StudioRoute::None),
            ("../secret", StudioRoute::None),
        ] {
            assert_eq!(StudioRoute::at(path), expected, "{path}");
        }
    }
}
