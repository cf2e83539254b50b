//! `doctor`: reports what is set up and what is missing.
//!
//! Each finding is a pure function of its input, so the tests cover every operating system on any one.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli;
use crate::cli::doctor::files::Files;
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::providers::Provider;
use crate::settings::{BackendChoice, Env, Os, Settings, environment};
use crate::sorting;
use crate::storage::Storage;
use crate::units::Edition;

mod apps;
mod files;
mod kept;
mod limits;
mod trial;

/// Reports what is set up and what is missing; exit code 1 if drafts cannot be made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp doctor
  capcut-mcp doctor --test                                also make, save, check and delete a small draft
  capcut-mcp doctor --api-url http://192.168.1.20:9000    which server answers there?
  capcut-mcp doctor --limits                              also show time and size limits
  capcut-mcp doctor --empty-trash                         delete the drafts in the trash permanently
  capcut-mcp doctor --prune --older-than 7                remove previews, backups, trash and media older than 7 days
  capcut-mcp doctor --json | jq '.findings[] | select(.state == \"problem\")'")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Doctor {
    /// Prints the findings as one JSON object.
    #[arg(long)]
    json: bool,
    /// Also shows the limits of calls, clients and media from `tools.toml`.
    #[arg(long)]
    limits: bool,
    /// Also makes, saves, checks and deletes a small draft.
    #[arg(long)]
    test: bool,
    /// Permanently deletes what `delete_draft` put in the trash. Saved folders stay.
    #[arg(long)]
    empty_trash: bool,
    /// Removes previews, backups of replaced drafts, fetched media and trash that are older than `--older-than`. Saved
    /// drafts stay. With object storage, also what has expired there.
    #[arg(long, conflicts_with = "empty_trash")]
    prune: bool,
    /// The age in days for `--prune`; 0 removes all.
    #[arg(long, value_name = "DAYS", default_value_t = 30, requires = "prune")]
    older_than: u32,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: &'static str,
    state: CheckState,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckState {
    Ok,
    /// Missing, but drafts can be made without it.
    Note,
    /// Drafts cannot be made.
    Problem,
}

impl Finding {
    fn new(what: &'static str, state: CheckState, detail: impl Into<String>) -> Self {
        Self {
            what,
            state,
            detail: detail.into(),
            hint: None,
        }
    }

    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, CheckState::Ok, detail)
    }

    fn note(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, CheckState::Note, detail)
    }

    fn problem(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, CheckState::Problem, detail)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Doctor {
    pub(super) async fn run(self, settings: Result<Settings>) -> anyhow::Result<ExitCode> {
        let mut findings = vec![system(Os::current(), std::env::consts::ARCH)];
        match settings {
            Err(error) => findings.push(broken("settings", &error)),
            Ok(settings) => findings.extend(self.examine(settings).await),
        }
        let sound = findings
            .iter()
            .all(|finding| finding.state != CheckState::Problem);
        let text = if self.json {
            cli::json_text(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "ok": sound,
                "findings": findings,
            }))
        } else {
            as_text(&findings, sound)
        };
        cli::print(&text)?;
        Ok(ExitCode::from(u8::from(!sound)))
    }

    async fn examine(&self, settings: Settings) -> Vec<Finding> {
        let mut findings = look(&settings, &environment, &files::Disk);
        let (choice, is_named) = (settings.backend, settings.api_url.is_some());
        match App::new(settings) {
            Err(error) => findings.push(broken("configuration", &error)),
            Ok(app) => {
                findings.push(api(choice, is_named, &server(&app).await));
                findings.extend(storage(&app.storage).await);
                findings.extend(providers(&app));
                findings.push(kept::journal(&app.journal).await);
                let age = Duration::from_hours(24 * u64::from(self.older_than));
                let forgotten = match (self.prune, self.empty_trash) {
                    (true, _) => Some(age),
                    (_, true) => Some(Duration::ZERO),
                    _ => None,
                };
                findings.push(kept::trash(&app.journal, forgotten).await);
                if self.prune {
                    findings.extend(kept::prune(&app, age));
                    findings.extend(kept::bucket(&app).await);
                }
                if self.test {
                    findings.push(trial::test(&app).await);
                }
                if self.limits {
                    findings.extend(limits::limits(&app.manifest));
                }
            }
        }
        findings
    }
}

/// The findings on this machine.
fn look(settings: &Settings, env: Env<'_>, files: &dyn Files) -> Vec<Finding> {
    let mut findings = vec![data_dir(settings, files), config(settings, files)];
    let data = settings.data_dir().ok();
    if settings.drafts_dir.is_some() {
        let edition = apps::edition_of_named(settings, files);
        findings.push(apps::drafts(settings, edition, data, files));
    } else {
        findings.extend(Edition::ALL.map(|edition| apps::drafts(settings, edition, data, files)));
    }
    findings.extend(PROGRAMS.map(|(name, gain)| program(settings.os, env, name, gain, files)));
    findings
}

fn system(os: Os, processor: &str) -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    Finding::ok(
        "system",
        format!("capcut-mcp {version} on {os} ({processor})"),
    )
}

fn broken(what: &'static str, error: &Error) -> Finding {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Finding::problem(what, message).hint(hint),
        None => Finding::problem(what, text),
    }
}

/// The folder of drafts and the journal, and whether it is writable.
fn data_dir(settings: &Settings, files: &dyn Files) -> Finding {
    const WHAT: &str = "data folder";
    let folder = match settings.data_dir() {
        Ok(folder) => folder,
        Err(error) => return broken(WHAT, &error),
    };
    match files.writable(folder) {
        Ok(()) => Finding::ok(WHAT, folder.display().to_string()),
        Err(reason) => Finding::problem(WHAT, format!("{}: {reason}", folder.display()))
            .hint("choose another with `--data-dir` or `CAPCUT_MCP_DATA_DIR`"),
    }
}

/// The user's own settings file.
fn config(settings: &Settings, files: &dyn Files) -> Finding {
    const WHAT: &str = "settings file";
    match &settings.config_file {
        None => Finding::ok(WHAT, "none; the built-in settings are used"),
        Some(file) if files.read(&file.path).is_some() => {
            Finding::ok(WHAT, file.path.display().to_string())
        }
        Some(file) if file.named => {
            Finding::problem(WHAT, format!("{} does not exist", file.path.display()))
                .hint("its path comes from `--config` or `CAPCUT_MCP_CONFIG`")
        }
        Some(file) => Finding::ok(
            WHAT,
            format!(
                "none; the built-in settings are used ({} would override them)",
                file.path.display()
            ),
        ),
    }
}

/// External programs that are used if they are installed, and what each one adds.
const PROGRAMS: [(&str, &str); 2] = [
    (
        "ffprobe",
        "common formats are supported without it; with it, rarer ones are too",
    ),
    (
        "ffmpeg",
        "with it, `preview_frame` shows videos, `preview_video` and `render` make videos, frames of videos become covers, and `analyze_audio` hears rarer codecs; install it with `apt install ffmpeg` (Debian, Ubuntu), `brew install ffmpeg` (macOS) or `winget install ffmpeg` (Windows)",
    ),
];

/// A program on the search path. None is required.
fn program(os: Os, env: Env<'_>, name: &'static str, gain: &str, files: &dyn Files) -> Finding {
    let (separator, file) = match os {
        Os::Windows => (';', format!("{name}.exe")),
        Os::Linux | Os::MacOs => (':', name.to_owned()),
    };
    let path = env("PATH").unwrap_or_default();
    let path = path.to_string_lossy();
    let found = path
        .split(separator)
        .filter(|dir| !dir.is_empty())
        .map(|dir| os.join(Path::new(dir), &[&file]))
        .find(|file| files.is_file(file));
    match found {
        Some(file) => Finding::ok(name, file.display().to_string()),
        None => {
            Finding::note(name, "not on the search path").hint(format!("it is optional: {gain}"))
        }
    }
}

/// The server at the first address that answers, or the error.
async fn server(app: &App) -> Result<String> {
    let remote = app.servers.first(&app.journal).await?;
    let server = remote.server(&app.journal).await?;
    let mut text = format!("{} at {}", server.dialect.name(), remote.base);
    if let Some(version) = &server.version {
        let _ = write!(text, ", version {version}");
    }
    let _ = write!(
        text,
        ", for {}, answers in {} ms",
        server.edition.app(),
        server.latency.as_millis()
    );
    for caveat in server.dialect.caveats() {
        let _ = write!(text, "; {caveat}");
    }
    Ok(text)
}

/// The server at the API's address.
fn api(choice: BackendChoice, is_named: bool, server: &Result<String>) -> Finding {
    const WHAT: &str = "CapCut API";
    match (server, choice) {
        (Ok(server), BackendChoice::Embedded) => Finding::note(
            WHAT,
            format!("{server}, but `--backend embedded` does not use it"),
        ),
        (Ok(server), _) => Finding::ok(WHAT, server),
        (Err(error), BackendChoice::Remote) => broken(WHAT, error),
        (Err(error), BackendChoice::Auto) if error.kind == Kind::InvalidArgument => {
            let finding = Finding::note(
                WHAT,
                format!(
                    "{}; the engine in this program makes the drafts",
                    error.message
                ),
            );
            match error.next_step() {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        }
        // The server is for another edition than requested.
        (Err(error), _) if error.kind == Kind::Conflict => {
            let note = Finding::note(WHAT, &*error.message);
            match error.next_step() {
                Some(hint) => note.hint(hint),
                None => note,
            }
        }
        // No address was given, and no server is required.
        (Err(error), _) if error.kind == Kind::Unsent && !is_named => Finding::ok(
            WHAT,
            "no server answers on this machine; the engine in this program makes the drafts",
        ),
        (Err(error), _) => Finding::ok(
            WHAT,
            format!(
                "{}; the engine in this program makes the drafts",
                error.message
            ),
        ),
    }
}

/// The providers, if there are any.
fn providers(app: &App) -> Vec<Finding> {
    let Some(maker) = &app.maker else {
        return Vec::new();
    };
    let finding = |provider: &Arc<Provider>| {
        let what = format!("{:?}, {}", provider.name(), provider.makes().name());
        match provider.ready() {
            Ok(()) => Finding::ok("provider", format!("{what}: configured")),
            Err(error) => {
                let finding = Finding::note("provider", error.message.clone());
                match error.next_step() {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                }
            }
        }
    };
    let mut findings: Vec<Finding> = maker.providers.all().map(finding).collect();
    if let Some(last) = findings.last_mut()
        && last.hint.is_none()
    {
        last.hint = Some("`capcut-mcp providers test` checks their keys and programs".to_owned());
    }
    findings
}

/// Whether the bucket for saved drafts and uploaded files can be used, if there is one.
async fn storage(storage: &Storage) -> Option<Finding> {
    const WHAT: &str = "storage";
    if !storage.is_bucket() {
        return None;
    }
    Some(match storage.probe().await {
        Ok(()) => Finding::ok(WHAT, storage.shown()),
        Err(error) => {
            let finding = Finding::note(WHAT, error.cause().to_string());
            match error.next_step() {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        }
    })
}

fn as_text(findings: &[Finding], sound: bool) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.what.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    // What needs attention first.
    let mut findings: Vec<&Finding> = findings.iter().collect();
    sorting::sort_by_key(&mut findings, |finding| Reverse(finding.state));
    for finding in findings {
        let mark = match finding.state {
            CheckState::Ok => "ok  ",
            CheckState::Note => "note",
            CheckState::Problem => "BAD ",
        };
        line(format!(
            "{mark}  {:width$}  {}",
            finding.what, finding.detail
        ));
        if let Some(hint) = &finding.hint {
            line(format!("      {:width$}  {hint}", ""));
        }
    }
    line(String::new());
    line(if sound {
        "Drafts can be made.".to_owned()
    } else {
        "Drafts cannot be made until the problems marked BAD are fixed.".to_owned()
    });
    text
}

#[cfg(test)]
mod tests;
