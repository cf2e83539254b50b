//! `doctor`: what is set up and what is missing.
//!
//! Each finding is a function of what was looked at, so that every operating system can be tested on one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli;
use crate::cli::doctor::files::Files;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::Journal;
use crate::settings::{BackendChoice, Env, Os, Settings, environment};
use crate::units::Edition;

mod files;
mod limits;

/// Tells what is set up and what is missing; exit code 1 when drafts cannot be made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp doctor
  capcut-mcp doctor --api-url http://192.168.1.20:9000    is that server one of ours?
  capcut-mcp doctor --empty-trash                         forget deleted drafts for good
  capcut-mcp doctor --json | jq '.findings[] | select(.state == \"problem\")'")]
pub(super) struct Doctor {
    /// The findings as one JSON object.
    #[arg(long)]
    json: bool,
    /// Forgets for good what `delete_draft` put in the trash; folders that were saved stay.
    #[arg(long)]
    empty_trash: bool,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Missing, but drafts can be made without it.
    Note,
    /// Drafts cannot be made like this.
    Problem,
}

impl Finding {
    fn new(what: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self {
            what,
            state,
            detail: detail.into(),
            hint: None,
        }
    }

    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, State::Ok, detail)
    }

    fn note(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, State::Note, detail)
    }

    fn problem(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, State::Problem, detail)
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
            Ok(settings) => findings.extend(examine(settings, self.empty_trash).await),
        }
        let sound = findings
            .iter()
            .all(|finding| finding.state != State::Problem);
        let text = if self.json {
            cli::json_text(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "ok": sound,
                "findings": findings,
            }))
        } else {
            told(&findings, sound)
        };
        cli::print(&text)?;
        Ok(ExitCode::from(u8::from(!sound)))
    }
}

async fn examine(settings: Settings, empty_trash: bool) -> Vec<Finding> {
    let mut findings = look(&settings, &environment, &files::Disk);
    let choice = settings.backend;
    match App::new(settings) {
        Err(error) => findings.push(broken("configuration", &error)),
        Ok(app) => {
            findings.push(api(choice, &server(&app).await));
            findings.push(journal(&app.journal));
            findings.push(trash(&app.journal, empty_trash));
            findings.extend(limits::limits(&app.manifest));
        }
    }
    findings
}

/// Everything that is looked at on this machine.
fn look(settings: &Settings, env: Env<'_>, files: &dyn Files) -> Vec<Finding> {
    let mut findings = vec![data_dir(settings, files), config(settings, files)];
    let data = settings.data_dir().ok();
    if settings.drafts_dir.is_some() {
        findings.push(drafts(settings, settings.edition, data, files));
    } else {
        findings.extend(Edition::ALL.map(|edition| drafts(settings, edition, data, files)));
    }
    findings.extend(["ffprobe", "ffmpeg"].map(|name| program(settings.os, env, name, files)));
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

/// Where drafts and the journal are kept, and whether they can be.
fn data_dir(settings: &Settings, files: &dyn Files) -> Finding {
    const WHAT: &str = "data folder";
    let folder = match settings.data_dir() {
        Ok(folder) => folder,
        Err(error) => return broken(WHAT, &error),
    };
    match files.writable(folder) {
        Ok(()) => Finding::ok(WHAT, folder.display().to_string()),
        Err(reason) => Finding::problem(WHAT, format!("{}: {reason}", folder.display()))
            .hint("name another with `--data-dir` or `CAPCUT_MCP_DATA_DIR`"),
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
            Finding::problem(WHAT, format!("{} is not there", file.path.display()))
                .hint("it is named by `--config` or `CAPCUT_MCP_CONFIG`")
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

/// Where an app keeps its drafts.
fn drafts(
    settings: &Settings,
    edition: Edition,
    data: Option<&Path>,
    files: &dyn Files,
) -> Finding {
    let what = match edition {
        Edition::Capcut => "CapCut's drafts",
        Edition::Jianying => "JianYing's drafts",
    };
    let dirs = settings.drafts_dirs(edition);
    if dirs.is_empty() {
        let kept = data.map_or_else(
            || "the data folder".to_owned(),
            |data| data.display().to_string(),
        );
        return Finding::note(
            what,
            format!("{} does not run on {}", edition.app(), settings.os),
        )
        .hint(format!(
            "drafts are kept below {kept}; give `draft_folder` when saving to put them elsewhere"
        ));
    }
    let Some(dir) = dirs.iter().find(|dir| files.is_folder(dir)) else {
        let looked: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let looked = looked.join(", ");
        return if settings.drafts_dir.is_some() {
            Finding::problem(what, format!("{looked} is not there"))
                .hint("it is named by `CAPCUT_MCP_DRAFTS_DIR`")
        } else {
            Finding::note(what, format!("none in {looked}")).hint(format!(
                "start {} once, or name its folder with `CAPCUT_MCP_DRAFTS_DIR`",
                edition.app()
            ))
        };
    };
    let registry = Registry::read(settings.os, dir, files);
    let moved = registry
        .root_path
        .as_deref()
        .map(Path::new)
        .filter(|root| !same_folder(root, dir) && files.is_folder(root));
    let root = moved.unwrap_or(dir);
    let count = files
        .folders(root)
        .iter()
        .filter(|name| is_draft(settings.os, root, name, files))
        .count();
    let mut detail = format!("{} ({count} drafts)", root.display());
    if let Some(version) = registry.newest {
        // Writing to a string cannot fail.
        let _ = write!(detail, ", format version {version}");
    }
    let finding = Finding::ok(what, detail);
    if moved.is_some() {
        finding.hint(format!(
            "the app was told to keep them there instead of {}",
            dir.display()
        ))
    } else {
        finding
    }
}

fn is_draft(os: Os, root: &Path, name: &str, files: &dyn Files) -> bool {
    [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
    ]
    .iter()
    .any(|file| files.read(&os.join(root, &[name, file])).is_some())
}

/// Paths in the app's files have `/` on every system.
fn same_folder(one: &Path, other: &Path) -> bool {
    let plain = |path: &Path| {
        path.to_string_lossy()
            .replace('\\', "/")
            .trim_end_matches('/')
            .to_lowercase()
    };
    plain(one) == plain(other)
}

/// What `root_meta_info.json` tells of the drafts beside it.
#[derive(Default)]
struct Registry {
    root_path: Option<String>,
    newest: Option<String>,
}

impl Registry {
    fn read(os: Os, dir: &Path, files: &dyn Files) -> Self {
        let file = os.join(dir, &["root_meta_info.json"]);
        let Some(document) = files
            .read(&file)
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        else {
            return Self::default();
        };
        let entries = document["all_draft_store"].as_array();
        let versions = entries.into_iter().flatten().filter_map(|entry| {
            let text = entry["draft_new_version"].as_str()?;
            let parts: Vec<u32> = text
                .split('.')
                .map_while(|part| part.parse().ok())
                .collect();
            (!parts.is_empty()).then(|| (parts, text.to_owned()))
        });
        Self {
            root_path: document["root_path"]
                .as_str()
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
            newest: versions.max().map(|(_, text)| text),
        }
    }
}

/// A program on the search path. None is needed.
fn program(os: Os, env: Env<'_>, name: &'static str, files: &dyn Files) -> Finding {
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
        None => Finding::note(name, "not on the search path")
            .hint("it is not needed: common formats are read here; with it, rarer ones are too"),
    }
}

/// The server at the first address at which one answers, or what was found instead.
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

/// Whether everything that was acknowledged can be read.
fn journal(journal: &Journal) -> Finding {
    const WHAT: &str = "journal";
    let Some(path) = journal.path().filter(|path| path.exists()) else {
        return Finding::ok(WHAT, "none yet; the first draft makes it");
    };
    let drafts = journal
        .check()
        .and_then(|()| journal.list(false, usize::MAX, None));
    match drafts {
        Ok(drafts) => Finding::ok(
            WHAT,
            format!("{} ({} drafts), sound", path.display(), drafts.len()),
        ),
        Err(error) => broken(WHAT, &error),
    }
}

/// The drafts that were deleted; forgotten for good if that is wanted.
fn trash(journal: &Journal, empty: bool) -> Finding {
    const WHAT: &str = "trash";
    if journal.path().is_none_or(|path| !path.exists()) {
        return Finding::ok(WHAT, "empty");
    }
    if empty {
        return match journal.empty_trash(Duration::ZERO) {
            Ok(gone) => Finding::ok(WHAT, format!("emptied: {gone} drafts are gone for good")),
            Err(error) => broken(WHAT, &error),
        };
    }
    let deleted = journal.list(true, usize::MAX, None).map(|drafts| {
        let deleted = drafts.iter().filter(|row| row.deleted_ms.is_some());
        deleted.count()
    });
    match deleted {
        Ok(0) => Finding::ok(WHAT, "empty"),
        Ok(count) => Finding::ok(WHAT, format!("{count} drafts"))
            .hint("`delete_draft` with `restore` takes one out, `doctor --empty-trash` forgets them for good"),
        Err(error) => broken(WHAT, &error),
    }
}

/// What answers at the API's address.
fn api(choice: BackendChoice, server: &Result<String>) -> Finding {
    const WHAT: &str = "CapCut API";
    match (server, choice) {
        (Ok(server), BackendChoice::Embedded) => Finding::note(
            WHAT,
            format!("{server}, but `--backend embedded` does not use it"),
        ),
        (Ok(server), _) => Finding::ok(WHAT, server),
        (Err(error), BackendChoice::Remote) => broken(WHAT, error),
        (Err(error), _) => Finding::ok(
            WHAT,
            format!(
                "{}; the engine in this program makes the drafts",
                error.message
            ),
        ),
    }
}

fn told(findings: &[Finding], sound: bool) -> String {
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
    for finding in findings {
        let mark = match finding.state {
            State::Ok => "ok  ",
            State::Note => "note",
            State::Problem => "BAD ",
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
        "Drafts cannot be made until what is marked BAD is put right.".to_owned()
    });
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::files::MadeUp;
    use super::*;
    use crate::error::Kind;
    use crate::settings::Given;

    /// A made-up home on one operating system.
    struct Home {
        os: Os,
        env: &'static [(&'static str, &'static str)],
        files: MadeUp,
    }

    impl Home {
        fn new(os: Os, files: &[(&str, &str)]) -> Self {
            let env: &[_] = match os {
                Os::Linux => &[("HOME", "/home/me"), ("PATH", "/usr/bin:/opt/bin")],
                Os::MacOs => &[
                    ("HOME", "/Users/me"),
                    ("PATH", "/usr/bin:/opt/homebrew/bin"),
                ],
                Os::Windows => &[
                    ("USERPROFILE", r"C:\Users\me"),
                    ("LOCALAPPDATA", r"C:\Users\me\AppData\Local"),
                    ("APPDATA", r"C:\Users\me\AppData\Roaming"),
                    ("PATH", r"C:\Windows;C:\ffmpeg\bin"),
                ],
            };
            Self {
                os,
                env,
                files: MadeUp::new(files),
            }
        }

        fn look_with(&self, given: Given) -> Vec<Finding> {
            let env = |name: &str| {
                let found = self.env.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let settings = Settings::new(self.os, &env, given).expect("settings");
            look(&settings, &env, &self.files)
        }

        #[track_caller]
        fn check(&self, what: &str, state: State, expected: &[&str]) {
            self.check_with(Given::default(), what, state, expected);
        }

        #[track_caller]
        fn check_with(&self, given: Given, what: &str, state: State, expected: &[&str]) {
            let findings = self.look_with(given);
            let finding = findings.iter().find(|finding| finding.what == what);
            let finding = finding.unwrap_or_else(|| panic!("no {what:?} in {findings:#?}"));
            assert_eq!(finding.state, state, "{finding:?}");
            let text = format!(
                "{} {}",
                finding.detail,
                finding.hint.as_deref().unwrap_or("")
            );
            for part in expected {
                assert!(text.contains(part), "{part:?} in {finding:?}");
            }
        }
    }

    #[test]
    fn on_linux_drafts_are_kept_in_the_data_folder() {
        let home = Home::new(Os::Linux, &[]);
        home.check(
            "data folder",
            State::Ok,
            &["/home/me/.local/share/capcut-mcp"],
        );
        for (what, app) in [
            ("CapCut's drafts", "CapCut"),
            ("JianYing's drafts", "JianYing"),
        ] {
            home.check(
                what,
                State::Note,
                &[app, "does not run on Linux", "/home/me/.local/share"],
            );
        }
    }

    #[test]
    fn on_a_mac_the_apps_drafts_are_found_and_counted() {
        const ROOT: &str = "/Users/me/Movies/CapCut/User Data/Projects/com.lveditor.draft";
        let registry = r#"{"all_draft_store": [{"draft_new_version": "99.0.0"},
            {"draft_new_version": "179.0.0"}, {"draft_new_version": ""}], "root_path": "ROOT"}"#;
        let home = Home::new(
            Os::MacOs,
            &[
                (&format!("{ROOT}/0101/draft_info.json"), "{}"),
                (&format!("{ROOT}/0102/draft_content.json"), "{}"),
                (&format!("{ROOT}/.recycle_bin/leftover.txt"), ""),
                (
                    &format!("{ROOT}/root_meta_info.json"),
                    &registry.replace("ROOT", ROOT),
                ),
            ],
        );
        home.check(
            "CapCut's drafts",
            State::Ok,
            &[ROOT, "(2 drafts)", "version 179.0.0"],
        );
        home.check(
            "JianYing's drafts",
            State::Note,
            &[
                "Movies/JianyingPro",
                "Containers/com.lemon.lvpro",
                "start JianYing once",
            ],
        );
    }

    #[test]
    fn on_windows_a_drafts_folder_that_was_moved_is_followed() {
        const ROOT: &str =
            r"C:\Users\me\AppData\Local\JianyingPro\User Data\Projects\com.lveditor.draft";
        let home = Home::new(
            Os::Windows,
            &[
                (
                    &format!(r"{ROOT}\root_meta_info.json"),
                    r#"{"root_path": "E:/JianyingPro Drafts"}"#,
                ),
                (r"E:/JianyingPro Drafts\one\draft_content.json", "{}"),
            ],
        );
        home.check(
            "JianYing's drafts",
            State::Ok,
            &["E:/JianyingPro Drafts (1 drafts)", "instead of", ROOT],
        );
        home.check(
            "CapCut's drafts",
            State::Note,
            &[r"AppData\Local\CapCut\User Data"],
        );
    }

    #[test]
    fn a_registry_that_names_its_own_folder_with_slashes_is_not_a_move() {
        const ROOT: &str =
            r"C:\Users\me\AppData\Local\CapCut\User Data\Projects\com.lveditor.draft";
        let registry = format!(r#"{{"root_path": "{}"}}"#, ROOT.replace('\\', "/"));
        let home = Home::new(
            Os::Windows,
            &[(&format!(r"{ROOT}\root_meta_info.json"), &registry)],
        );
        let findings = home.look_with(Given::default());
        let finding = findings
            .iter()
            .find(|one| one.what == "CapCut's drafts")
            .expect("it");
        assert_eq!(finding.detail, format!("{ROOT} (0 drafts)"));
        assert_eq!(finding.hint, None);
    }

    #[test]
    fn a_drafts_folder_that_was_named_must_be_there() {
        let given = || Given {
            drafts_dir: Some("/mnt/drafts".into()),
            ..Given::default()
        };
        let home = Home::new(Os::Linux, &[]);
        home.check_with(
            given(),
            "CapCut's drafts",
            State::Problem,
            &["/mnt/drafts is not there"],
        );
        let home = Home::new(Os::Linux, &[("/mnt/drafts/a/draft_info.json", "{}")]);
        home.check_with(
            given(),
            "CapCut's drafts",
            State::Ok,
            &["/mnt/drafts (1 drafts)"],
        );
    }

    #[test]
    fn a_data_folder_that_cannot_be_written_is_a_problem() {
        for (os, folder) in [
            (Os::Linux, "/home/me/.local/share/capcut-mcp"),
            (
                Os::MacOs,
                "/Users/me/Library/Application Support/capcut-mcp",
            ),
            (Os::Windows, r"C:\Users\me\AppData\Local\capcut-mcp\data"),
        ] {
            let mut home = Home::new(os, &[]);
            home.check("data folder", State::Ok, &[folder]);
            home.files.read_only = true;
            home.check("data folder", State::Problem, &[folder, "--data-dir"]);
            home.env = &[];
            home.check("data folder", State::Problem, &["no home", "--data-dir"]);
        }
    }

    #[test]
    fn ffprobe_is_looked_for_on_the_search_path_and_not_needed() {
        for (os, file) in [
            (Os::Linux, "/opt/bin/ffprobe"),
            (Os::MacOs, "/opt/homebrew/bin/ffprobe"),
            (Os::Windows, r"C:\ffmpeg\bin\ffprobe.exe"),
        ] {
            Home::new(os, &[(file, "")]).check("ffprobe", State::Ok, &[file]);
            Home::new(os, &[]).check("ffprobe", State::Note, &["not needed"]);
        }
    }

    #[test]
    fn a_settings_file_must_be_there_only_if_it_was_named() {
        let home = Home::new(Os::Linux, &[("/home/me/.config/capcut-mcp/tools.toml", "")]);
        home.check(
            "settings file",
            State::Ok,
            &["/home/me/.config/capcut-mcp/tools.toml"],
        );
        let home = Home::new(Os::Linux, &[]);
        home.check("settings file", State::Ok, &["none"]);
        let given = Given {
            config_file: Some("/etc/mine.toml".into()),
            ..Given::default()
        };
        home.check_with(
            given,
            "settings file",
            State::Problem,
            &["/etc/mine.toml is not there"],
        );
    }

    #[test]
    fn an_absent_api_is_a_problem_only_when_nothing_else_may_make_drafts() {
        let absent = Err(Error::new(
            Kind::Unsent,
            "no answer from http://127.0.0.1:9000",
        ));
        let present = Ok("a CapCut API at http://127.0.0.1:9000".to_owned());
        let state = |choice, server: &Result<String>| api(choice, server).state;
        assert_eq!(state(BackendChoice::Auto, &absent), State::Ok);
        assert_eq!(state(BackendChoice::Embedded, &absent), State::Ok);
        assert_eq!(state(BackendChoice::Remote, &absent), State::Problem);
        assert_eq!(state(BackendChoice::Auto, &present), State::Ok);
        assert_eq!(state(BackendChoice::Remote, &present), State::Ok);
        assert_eq!(state(BackendChoice::Embedded, &present), State::Note);
    }

    #[test]
    fn what_is_told_ends_with_the_verdict() {
        let findings = [
            Finding::ok("system", "fine"),
            Finding::problem("data folder", "read-only").hint("name another"),
        ];
        let text = told(&findings, false);
        assert_eq!(
            text,
            "ok    system       fine\nBAD   data folder  read-only\n                   name another\n\n\
             Drafts cannot be made until what is marked BAD is put right.\n"
        );
    }
}
