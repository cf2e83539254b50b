//! Endpoints of newer sources of the CapCut API that the recorded version does not have: `/get_duration`,
//! `/list_projects` and `/read_project`. Their requests are as in the public sources; `docs/compatibility.md`
//! lists which parts come from those sources and which are our own.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::{generate, texts};
use crate::args::Object;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::exec::{App, Context, call_log};
use crate::lint::{self, DraftFolder};
use crate::local;
use crate::media;
use crate::sorting;
use crate::tool::Texts;
use crate::units::Edition;

/// The maximum number of draft folders in a list.
const LISTED: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    GetDuration,
    ListProjects,
    ReadProject,
    /// That of public guides, which is not one of the API.
    GenerateVideo,
}

impl Endpoint {
    const ALL: [Self; 4] = [
        Self::GetDuration,
        Self::ListProjects,
        Self::ReadProject,
        Self::GenerateVideo,
    ];

    /// The endpoint of a path without its leading slash.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.path() == path)
    }

    fn path(self) -> &'static str {
        match self {
            Self::GenerateVideo => "api/v1/generate-video",
            endpoint => endpoint.name(),
        }
    }

    /// Whether it changes nothing and makes nothing.
    pub(super) fn only_reads(self) -> bool {
        self != Self::GenerateVideo
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GetDuration => "get_duration",
            Self::ListProjects => "list_projects",
            Self::ReadProject => "read_project",
            Self::GenerateVideo => "generate_video",
        }
    }

    /// Whether the endpoint also takes GET without a body.
    pub(super) fn takes_get(self) -> bool {
        self == Self::ListProjects
    }

    pub(super) fn allow(self) -> &'static str {
        if self.takes_get() {
            "GET, HEAD, OPTIONS, POST"
        } else {
            "OPTIONS, POST"
        }
    }

    fn texts(self) -> Texts {
        let (missing, before) = match self {
            Self::GetDuration => (
                "Hi, the required parameter 'media_url' is missing. Please add it and try again.",
                "Error occurred while getting duration: ",
            ),
            Self::ListProjects => ("", "Error occurred while listing projects: "),
            Self::GenerateVideo => ("", ""),
            Self::ReadProject => (
                "Hi, the required parameter 'project_name' is missing. Please add it and try again.",
                "Error occurred while reading project: ",
            ),
        };
        Texts {
            missing,
            before,
            after: ".",
            ..Texts::NONE
        }
    }

    pub(super) async fn answer(self, app: &Arc<App>, arguments: Object, caller: &Caller) -> Answer {
        let since = Instant::now();
        let output = match self {
            Self::GenerateVideo => {
                let (answer, error) = generate::answer(app, arguments, caller).await;
                call_log::of_endpoint(self.name(), since.elapsed(), error.as_ref());
                return answer;
            }
            Self::GetDuration => get_duration(app, &arguments, caller).await,
            Self::ListProjects => list_projects(app, caller).await,
            Self::ReadProject => read_project(app, &arguments, caller).await,
        };
        let texts = self.texts();
        let (answer, error) = match output {
            Ok(Some(output)) => (answer::output(output), None),
            Ok(None) => (
                answer::failure(texts.missing),
                Some(Error::invalid(texts.missing)),
            ),
            Err(error) => (
                answer::failure(&texts::failure(&texts, &error, None)),
                Some(error),
            ),
        };
        call_log::of_endpoint(self.name(), since.elapsed(), error.as_ref());
        answer
    }
}

fn given<'a>(arguments: &'a Object, names: &[&str]) -> Option<&'a str> {
    let text = |name: &&str| arguments.get(*name).and_then(Value::as_str);
    names.iter().find_map(text).filter(|text| !text.is_empty())
}

/// The length of the media in seconds, as a number.
async fn get_duration(
    app: &Arc<App>,
    arguments: &Object,
    caller: &Caller,
) -> Result<Option<Value>> {
    let names = ["media_url", "video_url", "audio_url", "url"];
    let Some(url) = given(arguments, &names) else {
        return Ok(None);
    };
    let tool = local::find("get_video_duration")
        .ok_or_else(|| Error::internal("there is no tool `get_video_duration`"))?;
    let arguments = json!({ "video_url": url });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let call = local::decode(tool, arguments, caller)?;
    let mut measured = call.answer(app, Context::of(caller)).await?;
    Ok(Some(measured["duration"].take()))
}

/// The drafts folders that this caller may read.
async fn readable(app: &App, caller: &Caller) -> Result<Vec<PathBuf>> {
    let own = app.settings.data_dir().ok().map(|data| data.join("drafts"));
    let apps = Edition::ALL.map(|edition| app.settings.drafts_dirs(edition));
    let mut folders = Vec::new();
    for folder in apps.into_iter().flatten().chain(&own) {
        if folder.is_dir() && caller.access.file(folder).await.is_ok() {
            folders.push(folder.clone());
        }
    }
    if folders.is_empty() {
        return Err(
            Error::invalid("there is no drafts folder that this server may read")
                .hint("start it with `--allow-dir` and the app's drafts folder"),
        );
    }
    Ok(folders)
}

async fn list_projects(app: &App, caller: &Caller) -> Result<Option<Value>> {
    let folders = readable(app, caller).await?;
    let mut entries = blocking(move || {
        let drafts = folders.iter().filter_map(|folder| folder.read_dir().ok());
        let drafts = drafts.flatten().flatten().map(|entry| entry.path());
        Ok(drafts
            .filter_map(|draft| lint::entry(&draft))
            .collect::<Vec<DraftFolder>>())
    })
    .await?;
    sorting::sort_by_key(&mut entries, |entry| Reverse(entry.modified));
    let total = entries.len();
    entries.truncate(LISTED);
    Ok(Some(json!({ "projects": entries, "total": total })))
}

async fn read_project(app: &App, arguments: &Object, caller: &Caller) -> Result<Option<Value>> {
    let names = [
        "project_name",
        "project_path",
        "draft_folder",
        "path",
        "name",
    ];
    let Some(project) = given(arguments, &names) else {
        return Ok(None);
    };
    let path = Path::new(project);
    let folder = if path.is_absolute() {
        let real = caller.access.file(path).await;
        real.map_err(|unread| media::unread_error(project, unread))?
    } else {
        let folders = readable(app, caller).await?;
        let is_name = path.components().count() == 1 && !project.contains(['/', '\\', '\0']);
        let found = folders.iter().map(|folder| folder.join(path));
        let mut found = found.filter(|folder| is_name && lint::entry(folder).is_some());
        found.next().ok_or_else(|| {
            Error::not_found(format!("there is no project {project:?}"))
                .hint("`/list_projects` lists the existing projects")
        })?
    };
    let overview = blocking(move || lint::overview(&folder)).await?;
    crate::args::to_value(&overview).map(Some)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("reading the drafts failed").source(error))?
}
