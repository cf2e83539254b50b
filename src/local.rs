//! Tools that run in this process with every backend, and the list of all tools.

mod analyze_audio;
mod apply_template;
mod cancel_job;
mod compose_batch;
pub(crate) mod compose_draft;
mod delete_draft;
pub(crate) mod differences;
mod edit_draft;
mod export_subtitles;
mod generate_video;
mod get_animation_types;
mod get_video_duration;
pub(crate) mod health_check;
mod inspect_draft;
mod job_status;
mod list_drafts;
mod look;
mod open_draft;
pub(crate) mod preview_draft;
mod preview_frame;
pub(crate) mod preview_video;
mod recover_draft;
pub(crate) mod rendering;
pub(crate) mod rows;
mod search_catalog;
mod style_presets;

mod undo_draft;
mod validate_draft;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::input_rule::InputRule;
use crate::args::normalize::Normalized;
use crate::args::{Call, Object, to_value};
use crate::caller::{Caller, Manner};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::jobs::{Handle, JobCall};
use crate::exec::{self, App, Context};
use crate::tool::{self, Hints, ReplyForm, Request, Spec};
use crate::tools::ROUTED;

/// A tool that runs in this process. Like [`tool::Tool`], but its `run` gets the whole [`App`].
pub(crate) trait LocalTool:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
    const NAME: &'static str;
    const TITLE: &'static str;
    const HINTS: Hints;
    const INPUT_RULES: &'static [InputRule] = &[];
    const REPLY_FORM: ReplyForm = ReplyForm::JSON;
    /// Whether a cancelled call ends by itself and reports what it has done.
    const REPORTS_WHEN_CANCELLED: bool = false;
    type Reply: Serialize + JsonSchema + Send + 'static;

    /// The draft of the call, if it names one.
    fn draft(&self) -> Option<&DraftId> {
        None
    }

    /// Problems that the schema does not cover, all together.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(
        &self,
        app: &Arc<App>,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Reply>> + Send;
}

/// A local tool whose calls are jobs: another process may run them.
pub(crate) trait JobTool: LocalTool {
    /// Does the work of the call. An earlier attempt at the job may have done a part of it.
    fn work(
        &self,
        app: &Arc<App>,
        handle: &Handle,
        context: &Context,
    ) -> impl Future<Output = Result<Value>> + Send;
}

/// Declares the local tools, in the order that clients see.
macro_rules! local {
    ($($module:ident :: $tool:ident),* $(,)?) => {
        /// The local tools, each with its decoder.
        static LOCAL: [(Spec, DecodeLocal); [$($module::$tool::NAME),*].len()] = [$((
            Spec::local::<$module::$tool, <$module::$tool as LocalTool>::Reply>(
                $module::$tool::NAME,
                $module::$tool::TITLE,
                $module::$tool::HINTS,
                $module::$tool::INPUT_RULES,
                $module::$tool::REPLY_FORM,
                $module::$tool::REPORTS_WHEN_CANCELLED,
            ),
            decode_local::<$module::$tool>,
        )),*];
    };
}

local! {
    compose_draft::ComposeDraft,
    compose_batch::ComposeBatch,
    generate_video::GenerateVideo,
    job_status::JobStatus,
    cancel_job::CancelJob,
    get_video_duration::GetVideoDuration,
    analyze_audio::AnalyzeAudio,
    search_catalog::SearchCatalog,
    get_animation_types::GetAnimationTypes,
    list_drafts::ListDrafts,
    open_draft::OpenDraft,
    inspect_draft::InspectDraft,
    edit_draft::EditDraft,
    undo_draft::UndoDraft,
    style_presets::StylePresets,
    apply_template::ApplyTemplate,
    delete_draft::DeleteDraft,
    export_subtitles::ExportSubtitles,
    preview_draft::PreviewDraft,
    preview_frame::PreviewFrame,
    preview_video::PreviewVideo,
    validate_draft::ValidateDraft,
    recover_draft::RecoverDraft,
    health_check::HealthCheck,
}

/// The work of a job.
type JobWork = BoxFuture<'static, Result<Value>>;

/// Runs a job that a worker has taken from the queue: a call of the tool `kind` by `caller`.
pub(crate) fn job(
    kind: &str,
    app: Arc<App>,
    call: JobCall,
    (handle, caller): (Handle, Caller),
) -> JobWork {
    match kind {
        compose_draft::ComposeDraft::NAME => {
            work::<compose_draft::ComposeDraft>(app, call, handle, caller)
        }
        compose_batch::ComposeBatch::NAME => {
            work::<compose_batch::ComposeBatch>(app, call, handle, caller)
        }
        generate_video::GenerateVideo::NAME => {
            work::<generate_video::GenerateVideo>(app, call, handle, caller)
        }
        preview_video::PreviewVideo::NAME => {
            work::<preview_video::PreviewVideo>(app, call, handle, caller)
        }
        _ => {
            let spec = ROUTED.iter().find(|spec| spec.name == kind);
            let unknown = Error::internal(format!(
                "the job is a call of {kind:?}, which this version has not"
            ))
            .hint("use the same version on all machines");
            let spec = spec.ok_or(unknown);
            Box::pin(async move { routed(spec?, app, call, (handle, caller)).await })
        }
    }
}

/// Runs a job that is a call of a tool of the API.
async fn routed(
    spec: &'static Spec,
    app: Arc<App>,
    call: JobCall,
    (handle, caller): (Handle, Caller),
) -> Result<Value> {
    let context = handle.context(caller, None);
    let Value::Object(arguments) = call.arguments else {
        return Err(Error::internal(
            "the arguments of the job are not an object",
        ));
    };
    let request = spec.request(arguments, &context.caller, Normalized::default())?;
    if let Some(draft) = request.draft() {
        handle.draft(draft);
    }
    app.run(request, context).await
}

fn work<T: JobTool>(app: Arc<App>, call: JobCall, handle: Handle, caller: Caller) -> JobWork {
    Box::pin(async move {
        let tool: T = serde_json::from_value(call.arguments).map_err(|error| {
            Error::internal(format!(
                "the call of `{}` in the job cannot be read",
                T::NAME
            ))
            .source(error)
        })?;
        let context = handle.context(caller, None);
        tool.work(&app, &handle, &context).await
    })
}

/// Every tool, in the order that clients see.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec> {
    ROUTED.iter().chain(LOCAL.iter().map(|(spec, _)| spec))
}

/// The tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Spec>> = OnceLock::new();
    BY_NAME
        .get_or_init(|| all().map(|spec| (spec.name, spec)).collect())
        .get(name)
        .copied()
}

/// A decoded call of any tool.
pub(crate) enum DecodedCall {
    /// Of a tool that runs on a backend.
    Routed(Box<dyn Request>),
    /// Of a tool that runs in this process.
    Local(LocalRun),
}

type LocalRun =
    Box<dyn FnOnce(Arc<App>, Context) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

type DecodeLocal = fn(&'static Spec, Call) -> Result<LocalRun>;

/// Decodes a call of any tool, or returns one error with all problems.
pub(crate) fn decode(
    spec: &'static Spec,
    arguments: Object,
    caller: &Caller,
) -> Result<DecodedCall> {
    let local = LOCAL.iter().find(|(local, _)| std::ptr::eq(local, spec));
    match local {
        Some((_, decode)) => decode(spec, spec.call(arguments, caller)?).map(DecodedCall::Local),
        None => spec.decode(arguments, caller).map(DecodedCall::Routed),
    }
}

impl DecodedCall {
    /// Runs the call, and waits no longer than clients do: see [`App::answer`].
    pub(crate) async fn answer(self, app: &Arc<App>, context: Context) -> Result<Value> {
        match self {
            Self::Routed(request) => app.answer(request, context).await,
            Self::Local(run) => run(Arc::clone(app), context).await,
        }
    }
}

fn decode_local<T: LocalTool>(spec: &'static Spec, call: Call) -> Result<LocalRun> {
    let tool: T = tool::typed(&call)?;
    if call.caller.manner == Manner::Strict {
        let faults = tool.faults();
        if !faults.is_empty() {
            return Err(Error::invalid(faults.join("\n")));
        }
    }
    Ok(Box::new(move |app, context| {
        Box::pin(run_local(spec, call, tool, app, context))
    }))
}

async fn run_local<T: LocalTool>(
    spec: &'static Spec,
    call: Call,
    tool: T,
    app: Arc<App>,
    context: Context,
) -> Result<Value> {
    let (tool, unnamed) = match by_name(&app, &call, &tool).await {
        Ok(by_name) => (by_name.unwrap_or(tool), Ok(())),
        Err(error) => (tool, Err(error)),
    };
    let work = Box::pin(async {
        unnamed?;
        let mut reply = to_value(&tool.run(&app, &context).await?)?;
        exec::note(&mut reply, &call.normalized.notes);
        Ok(reply)
    });
    app.in_process(spec, tool.draft(), &context, work).await
}

/// The same request with the draft's id, if it names the draft.
async fn by_name<T: LocalTool>(app: &App, call: &Call, tool: &T) -> Result<Option<T>> {
    let Some(named) = tool.draft() else {
        return Ok(None);
    };
    let Some(id) = app.id_of_name(named, &call.caller).await? else {
        return Ok(None);
    };
    let mut call = call.clone();
    exec::put_id(&mut call.arguments, named, &id);
    tool::typed(&call).map(Some)
}

/// What to use instead of tools of similar servers.
const ADVICE: [(&[&str], &str); 11] = [
    (
        &[
            "render_video",
            "export_video",
            "render",
            "export",
            "render_draft",
            "export_draft",
            "get_render_status",
            "download_video",
            "publish_video",
        ],
        "the app renders videos: save the draft with `save_draft`, open it in CapCut or JianYing and export it there; \
         `preview_video` makes a preview",
    ),
    (
        &[
            "create_video",
            "make_video",
            "auto_generate_video",
            "compose_video",
        ],
        "`compose_draft` makes a whole draft from one plan with your media; `generate_video` makes one from a theme",
    ),
    (
        &[
            "get_draft",
            "get_draft_info",
            "get_draft_status",
            "get_timeline",
            "get_tracks",
            "list_segments",
        ],
        "`inspect_draft` lists tracks and clips, `preview_draft` shows the timeline, `query_script` returns the document",
    ),
    (
        &["add_transition", "set_transition"],
        "use `transition` of `add_video` or `add_image`: it leads to the next clip of the track",
    ),
    (
        &["add_filter", "apply_filter"],
        "no tool adds filters: set them in the app; `add_effect` adds video effects",
    ),
    (
        &["add_mask", "set_mask"],
        "use `mask_type` of `add_video` or `add_image`",
    ),
    (
        &["add_animation", "add_text_animation", "add_image_animation"],
        "use `intro_animation` or `outro_animation` of `add_text` or `add_image`",
    ),
    (
        &["add_keyframe", "add_keyframes"],
        "did you mean `add_video_keyframe`?",
    ),
    (
        &[
            "trim_video",
            "cut_video",
            "split_video",
            "update_segment",
            "edit_segment",
            "delete_segment",
            "remove_segment",
        ],
        "`edit_draft` changes, moves, cuts and removes clips; `inspect_draft` lists them",
    ),
    (
        &[
            "upload_media",
            "upload_file",
            "upload_video",
            "import_media",
        ],
        "media need no upload: pass the URL or the absolute path to `add_video`, `add_audio` or `add_image`",
    ),
    (
        &[
            "text_to_speech",
            "generate_tts",
            "tts",
            "generate_image",
            "text_to_image",
        ],
        "`compose_draft` makes them with the configured providers: an item with \"say\" is a voice, one with \"imagine\" a picture, one with \"film\" a film",
    ),
];

/// What to do instead of calling an unknown tool.
pub(crate) fn advice(tool: &str) -> Option<&'static str> {
    let tool = tool.to_lowercase().replace('-', "_");
    let found = ADVICE
        .iter()
        .find(|(names, _)| names.contains(&tool.as_str()));
    found.map(|(_, advice)| *advice)
}

/// The call of a local tool, for the journal.
fn call_of<T: LocalTool>(tool: &T, context: &Context) -> Result<Call> {
    let Value::Object(arguments) = to_value(tool)? else {
        return Err(Error::internal("the arguments of a tool are not an object"));
    };
    Ok(Call {
        tool: T::NAME,
        arguments,
        caller: context.caller.clone(),
        normalized: Normalized::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_for_unknown_tools_and_names_tools_that_exist() {
        for (names, advice) in ADVICE {
            for name in names {
                assert!(find(name).is_none(), "`{name}` is a tool");
                assert_eq!(super::advice(name), Some(advice));
            }
            for named in advice.split('`').skip(1).step_by(2) {
                let is_argument = all().any(|spec| spec.takes(named));
                assert!(find(named).is_some() || is_argument, "{named}: {advice}");
            }
        }
        let cut = super::advice("Cut-Video").expect("advice");
        assert!(cut.contains("`edit_draft`"), "{cut}");
        assert_eq!(super::advice("create_draft"), None);
    }
}
