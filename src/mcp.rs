//! The MCP server over stdin and stdout, and over HTTP: tools, draft resources, prompts and completion.
//!
//! One process serves both generations of the protocol (with and without `initialize`). [`crate::exec`] runs the
//! tools; this module decodes calls and puts replies and errors into the form that clients expect.

mod completion;
mod incoming;
#[cfg(test)]
mod messages;
pub(crate) mod over_http;
mod prompts;
mod proportion;
mod request_id;
mod resources;
mod results;
mod stdio;
pub(crate) mod tool_set;
mod transport;
mod view;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, ErrorCode, ErrorData, Extensions, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{Peer, RequestContext, ServerInitializeError};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::access::Guest;
use crate::args::duplicates::given_twice;
use crate::caller::CalledBy;
use crate::error::{Error, Kind, Result, shortened};
use crate::exec::{App, Context, Step, call_log};
use crate::local;
use crate::manifest::Manifest;
use crate::tool::Spec;
use crate::tools::{Caller, Object};
use results::{failure, name_profiles, picture, success};
pub(crate) use tool_set::ToolSet;
use transport::{LineTransport, TransportLimits};

/// Requests under way at the same time; further input stays unread until one ends.
const IN_FLIGHT: usize = 1024;

/// How long clients may cache what does not change while the server runs.
const UNCHANGING_MS: u64 = 3_600_000;

/// The instructions that a model reads before it sees the tools.
const INSTRUCTIONS: &str = "Makes editable CapCut/JianYing video drafts.\n\
     - A whole video: send one plan to compose_draft. It checks everything first, makes all items and saves. Many videos: compose_batch.\n\
     - Step by step, or to add to a draft: create_draft, add_* with its draft_id (or exact name), then save_draft, which writes the folder that the app opens.\n\
     - Before you name a transition, effect, animation, mask or font, find its exact name with search_catalog, which also finds \
     properties that the schemas do not list (kind property). preview_draft shows the timeline, preview_frame the picture.\n\
     - Times are seconds on the timeline. Positions (transform_x, transform_y) are half canvases from the centre, y up. \
     Clips on one track must not overlap: use another track_name for items that are shown at the same time.\n\
     - Media are http(s) URLs or absolute paths. A picture that was only shown in the chat has no path: ask for the file.\n\
     - An error says what to change: correct the call and send it again.";

/// Serves MCP on stdin and stdout until the client closes them.
pub(crate) async fn serve(app: Arc<App>, tools: ToolSet) -> Result<()> {
    let manners = TransportLimits {
        in_flight: IN_FLIGHT,
        longest_line: app.manifest.limits.message_bytes,
        grace: longest_call(&app.manifest),
    };
    let broken = CancellationToken::new();
    let (input, output) = stdio::open();
    let _connection = app.metrics.connection();
    let lines = LineTransport::new(input, output, manners, broken.clone());
    let server = McpServer {
        app: Arc::clone(&app),
        tools: Arc::new(ListedTools::new(tools)),
        client: ClientOf::Process,
    };
    let served = serve_on(server, lines, broken).await;
    // Work that was answered `running` continues without its client, but within a time limit.
    app.jobs.leave();
    let limit = Duration::from_secs_f64(app.manifest.limits.after_client_s);
    if tokio::time::timeout(limit, app.jobs.drain()).await.is_err() {
        app.jobs.cancel_all().await;
    }
    served
}

/// A time longer than any call may take.
fn longest_call(manifest: &Manifest) -> Duration {
    let lanes = [
        &manifest.lanes.audio,
        &manifest.lanes.visual,
        &manifest.lanes.draft,
        &manifest.lanes.query,
    ];
    let seconds = manifest
        .tools
        .values()
        .filter_map(|route| route.timeout_s)
        .chain(lanes.map(|lane| lane.timeout_s))
        .fold(0.0, f64::max);
    Duration::from_secs_f64(seconds) + Duration::from_secs(10)
}

async fn serve_on<T>(server: McpServer, transport: T, broken: CancellationToken) -> Result<()>
where
    T: rmcp::transport::Transport<RoleServer> + 'static,
{
    match server.serve_with_ct(transport, broken).await {
        Ok(running) => {
            running
                .waiting()
                .await
                .map_err(|e| Error::internal("the server stopped").source(e))?;
            Ok(())
        }
        // A client that disconnects before it sends anything, or after requests that need no `initialize`.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(
            Error::new(Kind::Unavailable, "the connection could not be initialized").source(error),
        ),
    }
}

/// The key of the request's id in the metadata of an error.
const REQUEST_ID: &str = "capcut-mcp/requestId";

/// The server as `rmcp` uses it.
struct McpServer {
    app: Arc<App>,
    tools: Arc<ListedTools>,
    client: ClientOf,
}

/// Who sends the requests.
enum ClientOf {
    /// The process that started this one writes to its stdin, so the caller is the user.
    Process,
    /// The listener says it with each request; calls take one of its places.
    Request(Arc<Semaphore>),
}

/// The tools of a server, shared by its sessions.
pub(crate) struct ListedTools {
    set: ToolSet,
    /// Built on first use: the schemas cost more than the rest of `initialize`.
    tools: OnceLock<Vec<Tool>>,
}

impl ListedTools {
    pub(crate) fn new(set: ToolSet) -> Self {
        Self {
            set,
            tools: OnceLock::new(),
        }
    }

    fn all(&self) -> &[Tool] {
        self.tools
            .get_or_init(|| self.set.listed().map(tool).collect())
    }

    /// The tools for clients with views: those that show a draft name the view, and those that only its page calls are added.
    fn with_views(&self) -> Vec<Tool> {
        let shows_draft = |tool: &Tool| {
            let spec = self.set.find(&tool.name);
            spec.is_some_and(|spec| spec.reply_form.shows_draft)
        };
        let listed = self.all().iter().cloned().map(|tool| {
            if shows_draft(&tool) {
                view::with_view(tool)
            } else {
                tool
            }
        });
        let called = self.set.of_views().map(|spec| view::for_page(tool(spec)));
        listed.chain(called).collect()
    }
}

impl McpServer {
    fn caller(&self, extensions: &Extensions) -> Result<Caller> {
        match self.client {
            ClientOf::Process => Ok(Caller::user()),
            ClientOf::Request(_) => over_http::caller_of(extensions),
        }
    }

    /// A place for a call among those that run at the same time.
    fn place(&self) -> Result<Option<OwnedSemaphorePermit>> {
        match &self.client {
            // The transport limits them.
            ClientOf::Process => Ok(None),
            ClientOf::Request(calls) => match Arc::clone(calls).try_acquire_owned() {
                Ok(place) => Ok(Some(place)),
                Err(_) => Err(Error::new(
                    Kind::Busy,
                    "as many calls are under way as this server allows",
                )
                .hint("try again in a moment")),
            },
        }
    }

    /// Runs a call for a guest whose token allows it, and keeps a record of how it ended.
    async fn call(
        &self,
        spec: &'static Spec,
        arguments: Object,
        context: RequestContext<RoleServer>,
    ) -> Result<Value> {
        let guest = over_http::guest_of(&context.extensions).cloned();
        let Some(guest) = guest else {
            return self.run_call(spec, arguments, context).await;
        };
        if let Err(refused) = guest.may(spec.name, spec.hints.read_only) {
            guest.record(spec.name, None, refused.name());
            return Err(refused.error());
        }
        let id_in = |object: &Object| {
            object
                .get("draft_id")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let draft = id_in(&arguments);
        let ended = self.run_call(spec, arguments, context).await;
        let made = ended
            .as_ref()
            .ok()
            .and_then(Value::as_object)
            .and_then(id_in);
        let result = ended
            .as_ref()
            .map_or_else(|error| error.kind.name(), |_| "ok");
        guest.record(spec.name, draft.or(made).as_deref(), result);
        ended
    }

    /// Runs a call; for a client with views, the result is the reply and metadata for the view.
    async fn call_for_view(
        &self,
        spec: &'static Spec,
        arguments: Object,
        context: RequestContext<RoleServer>,
    ) -> Result<(Value, Option<MetaObject>)> {
        if !(spec.reply_form.shows_draft && view::is_shown(&context)) {
            return Ok((self.call(spec, arguments, context).await?, None));
        }
        let caller = self.caller(&context.extensions)?;
        let context_of_view = Context {
            cancel: context.ct.clone(),
            ..Context::of(&caller)
        };
        let reply = self.call(spec, arguments, context).await?;
        let timeline = match view::draft_of(&reply) {
            Some(draft) => view::timeline(&self.app, draft, &context_of_view).await,
            None => None,
        };
        Ok((reply, timeline))
    }

    /// Decodes and runs a call.
    async fn run_call(
        &self,
        spec: &'static Spec,
        arguments: Object,
        context: RequestContext<RoleServer>,
    ) -> Result<Value> {
        let client = context.peer.peer_info();
        let client = client.as_ref().map(|info| info.client_info.name.as_str());
        let caller = self.caller(&context.extensions)?;
        let caller = caller.called_by(CalledBy::client(client));
        let _place = self.place()?;
        let mut arguments = arguments;
        if let ClientOf::Request(_) = self.client {
            let named = self.app.uploads()?.resolve(&mut arguments).await;
            named.inspect_err(|error| self.app.refused(spec.name, error, false))?;
        }
        let decoded = match incoming::GivenTwice::of(&context.extensions) {
            Some(incoming::GivenTwice(key)) => Err(given_twice(key)),
            None => local::decode(spec, arguments, &caller),
        };
        let request = match decoded {
            Ok(request) => request,
            Err(error) => {
                self.app.refused(spec.name, &error, false);
                return Err(error);
            }
        };
        let token = context.meta.get_progress_token();
        let cancel = context.ct;
        let Some(token) = token else {
            let context = Context {
                cancel,
                ..Context::of(&caller)
            };
            return request.answer(&self.app, context).await;
        };
        // If steps arrive faster than they can be sent, only the latest is sent.
        let (steps, told) = watch::channel(None);
        let context_of_call = Context {
            cancel,
            progress: Some(Arc::new(move |step: Step| {
                steps.send_replace(Some(step));
            })),
            ..Context::of(&caller)
        };
        let run = request.answer(&self.app, context_of_call);
        Box::pin(report_progress(run, told, token, &context.peer)).await
    }
}

/// Waits for the result and reports steps until then; a step that is not further than the last one is dropped.
async fn report_progress(
    run: impl Future<Output = Result<Value>>,
    mut told: watch::Receiver<Option<Step>>,
    token: ProgressToken,
    peer: &Peer<RoleServer>,
) -> Result<Value> {
    let mut run = std::pin::pin!(run);
    let mut last = f64::NEG_INFINITY;
    loop {
        tokio::select! {
            biased;
            result = &mut run => return result,
            changed = told.changed() => {
                if changed.is_err() {
                    return run.await;
                }
                let Some(step) = told.borrow_and_update().clone() else {
                    continue;
                };
                if step.done <= last {
                    continue;
                }
                last = step.done;
                let mut progress = ProgressNotificationParam::new(token.clone(), step.done);
                progress.total = step.total;
                progress.message = Some(step.message).filter(|message| !message.is_empty());
                // A client that is gone is detected by the transport.
                let _ = peer.notify_progress(progress).await;
            }
        }
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_completions()
            .enable_resources()
            .enable_extensions_with(view::capability())
            .build();
        let mut info = Implementation::new("capcut-mcp", env!("CARGO_PKG_VERSION"));
        info.title = Some("CapCut drafts".to_owned());
        ServerConfig::new(capabilities)
            .with_server_info(info)
            .with_instructions(self.tools.set.naming_profiles(INSTRUCTIONS).into_owned())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let has_views = view::is_shown(&context);
        let mut tools = if has_views {
            self.tools.with_views()
        } else {
            self.tools.all().to_vec()
        };
        let guest = over_http::guest_of(&context.extensions);
        let is_read_only = guest.is_some_and(Guest::is_read_only);
        if is_read_only {
            tools.retain(|tool| {
                let hints = tool.annotations.as_ref();
                hints.is_some_and(|hints| hints.read_only_hint == Some(true))
            });
        }
        // These lists are not those of other callers.
        let scope = if is_read_only || has_views {
            CacheScope::Private
        } else {
            CacheScope::Public
        };
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(UNCHANGING_MS)
            .with_cache_scope(scope))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools
            .all()
            .iter()
            .find(|tool| tool.name == name)
            .cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let set = &self.tools.set;
        let of_view = || set.of_views().find(|spec| spec.name == request.name);
        let spec = set.find(&request.name);
        let Some(spec) = spec.or_else(|| of_view().filter(|_| view::is_shown(&context))) else {
            let what = "there is no tool with this name";
            call_log::refused(&request.name, &Error::not_found(what), false);
            let message = set.unknown(&request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let asked = proportion::LengthOptions::of(&arguments);
        let guest = over_http::guest_of(&context.extensions).cloned();
        // In its own allocation, as the SDK moves the future of a request several times.
        let call = Box::pin(self.call_for_view(spec, arguments, context));
        let mut result = match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok((mut reply, timeline))) => match picture(spec, &reply).await {
                Ok(picture) => {
                    name_profiles(&mut reply, set);
                    let shorten = |reply| proportion::shorten(reply, &asked, spec);
                    let mut result = success(reply, spec.reply_form.lines, shorten);
                    result.content.extend(picture);
                    result.meta = timeline;
                    result
                }
                Err(error) => failure(&error, set),
            },
            Ok(Err(error)) => failure(&error, set),
            Err(_) => {
                let error = Error::internal(format!(
                    "`{}` failed because of an internal error; other calls are not affected",
                    request.name
                ));
                if let Some(guest) = &guest {
                    guest.record(spec.name, None, error.kind.name());
                }
                failure(&error, set)
            }
        };
        // With this id, the entry of the call is found in the audit log.
        if let Some(guest) = guest.filter(|_| result.is_error == Some(true)) {
            let id = (REQUEST_ID.to_owned(), guest.request().into());
            result.meta = Some(MetaObject(Object::from_iter([id])));
        }
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list())
            .with_ttl_ms(UNCHANGING_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let named = |text: &str| self.tools.set.naming_profiles(text).into_owned();
        prompts::get(&request.name, &arguments, &named)
            .map(Into::into)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        match completion::complete(&self.app, &request).await {
            Ok(values) => Ok(CompleteResult::new(values)),
            Err(error) if error.kind == Kind::NotFound => {
                Err(ErrorData::invalid_params(error.to_string(), None))
            }
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let page = view::is_shown(&context).then(view::resource);
        resources::list(&self.app)
            .await
            .map(|mut listed| {
                listed.extend(page);
                ListResourcesResult::with_all_items(listed)
                    .with_ttl_ms(0)
                    .with_cache_scope(CacheScope::Private)
            })
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(
            ListResourceTemplatesResult::with_all_items(resources::templates())
                .with_ttl_ms(UNCHANGING_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = self
            .caller(&context.extensions)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let guest = over_http::guest_of(&context.extensions).cloned();
        let context = Context {
            cancel: context.ct,
            ..Context::of(&caller)
        };
        let read = Box::pin(resources::read(&self.app, &request.uri, &context)).await;
        if let Some(guest) = guest {
            let result = read
                .as_ref()
                .map_or_else(|error| error.kind.name(), |_| "ok");
            guest.record("resources/read", None, result);
        }
        match read {
            Ok(result) => Ok(result
                .with_ttl_ms(0)
                .with_cache_scope(CacheScope::Private)
                .into()),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::InvalidArgument) => {
                let data = serde_json::json!({ "uri": shortened(&request.uri) });
                Err(ErrorData::resource_not_found(error.to_string(), Some(data)))
            }
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }

    // Known requests with invalid parameters arrive here too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        const KNOWN: [&str; 6] = [
            "completion/complete",
            "initialize",
            "prompts/get",
            "resources/read",
            "server/discover",
            "tools/call",
        ];
        let method = request.method;
        Err(if KNOWN.contains(&method.as_str()) {
            let wanted = match method.as_str() {
                "tools/call" => ": `name` is text and `arguments` an object",
                "prompts/get" => ": `name` is text and `arguments` an object of texts",
                "completion/complete" => {
                    ": `ref` is a prompt or a resource template, `argument` its name and value"
                }
                "resources/read" => ": `uri` is text",
                _ => "",
            };
            let message = format!("the parameters of `{method}` have the wrong form{wanted}");
            ErrorData::invalid_params(message, None)
        } else {
            let message = format!("there is no method `{}`", shortened(&method));
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
        })
    }
}

fn tool(spec: &'static Spec) -> Tool {
    let annotations = ToolAnnotations::from_raw(
        None,
        Some(spec.hints.read_only),
        Some(spec.hints.destructive),
        Some(spec.hints.idempotent),
        Some(spec.hints.open_world),
    );
    Tool::new(spec.name, spec.description(), spec.listed_input())
        .with_title(spec.title)
        .with_raw_output_schema(spec.listed_output())
        .with_annotations(annotations)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Reports steps as a tool would, over a real connection.
    struct Steps;

    impl ServerHandler for Steps {
        async fn call_tool(
            &self,
            _: CallToolRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<CallToolResponse, ErrorData> {
            let (steps, told) = watch::channel(None);
            let run = async move {
                for done in [1.0, 2.0, 2.0, 1.0, 3.0] {
                    steps.send_replace(Some(Step {
                        done,
                        total: Some(3.0),
                        ..Step::default()
                    }));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(json!({}))
            };
            let token = context.meta.get_progress_token().expect("a token");
            let reply = report_progress(run, told, token, &context.peer).await;
            Ok(success(reply.expect("a reply"), None, |reply| reply).into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_only_increases_and_stops_at_the_result() {
        let (theirs, mut ours) = tokio::io::duplex(1 << 16);
        let (out, mut answers) = tokio::io::duplex(1 << 16);
        let manners = TransportLimits {
            in_flight: 4,
            longest_line: 1 << 20,
            grace: Duration::from_secs(9),
        };
        let broken = CancellationToken::new();
        let lines = LineTransport::new(theirs, out, manners, broken.clone());
        let serving = tokio::spawn(async move {
            let running = Steps.serve_with_ct(lines, broken).await.expect("greeted");
            running.waiting().await.expect("no panic");
        });
        for message in [
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } }),
            json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
                "name": "a", "_meta": { "progressToken": "p" } } }),
        ] {
            let line = format!("{message}\n");
            ours.write_all(line.as_bytes()).await.expect("written");
        }
        drop(ours);
        let mut text = String::new();
        answers.read_to_string(&mut text).await.expect("UTF-8");
        serving.await.expect("no panic");
        let messages: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let told: Vec<f64> = messages
            .iter()
            .filter(|m| {
                m["method"] == "notifications/progress" && m["params"]["progressToken"] == "p"
            })
            .filter_map(|m| m["params"]["progress"].as_f64())
            .collect();
        assert_eq!(told, [1.0, 2.0, 3.0]);
        assert_eq!(messages.last().expect("an answer")["id"], 2);
    }
}
