//! The commands and their options.
//!
//! Lower modules fail with [`Error`]. This module turns it into one line on stderr, a hint and an exit code.

mod access_options;
mod ask;
mod call;
mod completions;
mod compose;
mod config;
mod connect;
mod doctor;
mod drafts;
mod engine;
mod health;
mod init;
mod lint;
mod listener;
mod logs;
mod monitor;
mod names;
mod paint;
mod providers;
mod pull;
mod quickstart;
mod render;
mod samples;
mod serve;
mod shown;
mod stats;
mod store;
mod studio;
mod token;
mod tool_options;
pub(crate) mod tools;
mod worker;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::exec::{App, jobs};
use crate::local;
use crate::memory;
use crate::printable::printable;
use crate::secrets;
use crate::settings::{BackendChoice, Given, Recover, Settings, ToolsGiven};
use crate::sorting;
use crate::tools::Object;
use crate::units::Edition;
use completions::named;
use logs::Calls;

/// Makes CapCut and JianYing video drafts: an MCP server, a command line and a drop-in CapCut API.
///
/// Without a command it serves MCP on stdin and stdout, which is how AI clients start it.
#[derive(Debug, Default, Parser)]
#[command(
    name = "capcut-mcp",
    version,
    max_term_width = 100,
    arg_required_else_help = false,
    subcommand_required = false,
    after_help = "Examples:
  capcut-mcp quickstart                                a first draft from built-in media
  capcut-mcp connect claude-desktop                    add it to an AI client (`connect --list` lists them)
  capcut-mcp doctor                                    what is set up and what is missing
  capcut-mcp compose examples/first-draft.yaml         a whole video from one file
  capcut-mcp call create_draft width=1080 height=1920  one tool from the shell
  capcut-mcp tools add_text                            the parameters of one tool
  capcut-mcp studio                                    the drafts in a browser
  capcut-mcp                                           an MCP server, for a client's configuration

A CapCut API server makes the draft if one answers at the API's address; otherwise the engine in this
process does. `--backend` selects one of the two.

Environment: CAPCUT_API_URL, CAPCUT_MCP_BACKEND, CAPCUT_MCP_EDITION, CAPCUT_MCP_RECOVER,
CAPCUT_MCP_DATA_DIR, CAPCUT_MCP_CONFIG, CAPCUT_MCP_LOG, CAPCUT_MCP_TOOLS, CAPCUT_MCP_DRAFTS_DIR,
CAPCUT_MCP_TOKEN.
Options override them."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command. They can be given before or after the command.
#[derive(Debug, Default, Args)]
struct Options {
    /// What makes the drafts: `auto` (the API if one answers, else the engine), `remote` (the API) or
    /// `embedded` (the engine). Default: `auto`.
    #[arg(long, global = true, value_name = "WHO", value_parser = named(backends, parse_backend), hide_possible_values = true, help_heading = "Options of every command")]
    backend: Option<BackendChoice>,
    /// The app that drafts are for: `capcut` or `jianying`. Default: the server's, else `capcut`.
    #[arg(long, global = true, value_name = "APP", value_parser = named(editions, parse_edition), hide_possible_values = true, help_heading = "Options of every command")]
    edition: Option<Edition>,
    /// What to do when the server has lost a draft: `ask` (the call fails and says what to do) or `auto`
    /// (the draft is recreated from the journal and the call applied to it). Default: `ask`.
    #[arg(long, global = true, value_name = "HOW", value_parser = named(|| vec!["ask", "auto"], parse_recover), hide_possible_values = true, help_heading = "Options of every command")]
    recover: Option<Recover>,
    /// The address of the CapCut API. Default: http://127.0.0.1:9000, then port 9001.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_hint = ValueHint::Url,
        help_heading = "Options of every command"
    )]
    api_url: Option<String>,
    /// The folder for drafts, media and the journal.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        help_heading = "Options of every command"
    )]
    data_dir: Option<PathBuf>,
    /// The PostgreSQL database that keeps drafts, jobs and tokens, for several machines: postgres://USER@HOST/DATABASE.
    /// Other programs can see a password in an option; set CAPCUT_MCP_STORE or CAPCUT_MCP_STORE_FILE instead.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_hint = ValueHint::Url,
        help_heading = "Options of every command"
    )]
    store: Option<String>,
    /// A file that overrides individual keys of the built-in `tools.toml`.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "Options of every command"
    )]
    config: Option<PathBuf>,
    /// What is logged on stderr: `error` (also `CRITICAL`, `FATAL`), `warn` (`WARNING`), `info`, `debug`, `trace`,
    /// `off`, or `target=level,…`. Default: `info`, with which `serve` and `engine` log a line for each call.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        value_parser = named(logs::levels, |text| Ok(text.to_owned())),
        hide_possible_values = true,
        help_heading = "Options of every command"
    )]
    log: Option<String>,
    /// The format of log lines; default: `plain`.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        help_heading = "Options of every command"
    )]
    log_format: Option<logs::LogFormat>,
    /// Also logs to this file, with a line for each call. It is rotated to FILE.1 each day and at 10 MB; five old files
    /// are kept.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "Options of every command"
    )]
    log_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Engine(engine::EngineCommand),
    Worker(worker::Worker),
    Call(call::CallCommand),
    Tools(tools::Tools),
    Compose(compose::Compose),
    Init(init::Init),
    Quickstart(quickstart::Quickstart),
    Show(drafts::ShowDraft),
    Edit(drafts::EditOnce),
    History(drafts::ShowHistory),
    Diff(drafts::DiffDrafts),
    Render(render::RenderDraft),
    Lint(lint::Lint),
    Pull(pull::Pull),
    Doctor(doctor::Doctor),
    Providers(providers::ProvidersCommand),
    Config(config::Config),
    Connect(connect::Connect),
    Disconnect(connect::disconnect::Disconnect),
    Studio(studio::StudioCommand),
    Stats(stats::Stats),
    Health(health::AskHealth),
    Token(token::TokenCommand),
    Store(store::StoreCommand),
    Completions(completions::Completions),
}

/// Whether these arguments are a command line.
#[cfg(test)]
pub(crate) fn accepts(arguments: &[&str]) -> bool {
    let line = std::iter::once("capcut-mcp").chain(arguments.iter().copied());
    Cli::try_parse_from(line).is_ok()
}

/// The command line, for the documents.
#[cfg(test)]
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the arguments, runs the command and returns the exit code.
pub fn run() -> ExitCode {
    memory::set_up();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too. A broken pipe is not reported.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let ended = execute(cli);
    logs::flush();
    match ended {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

/// Parses the arguments. The commands that clients run skip clap, which would take half of the startup time and a
/// tenth of the memory.
fn parse() -> Result<Cli, clap::Error> {
    let mut words = std::env::args_os().skip(1);
    match (words.next(), words.next()) {
        (None, _) => Ok(Cli::default()),
        (Some(word), None) if word == "serve" => Ok(Cli::default()),
        _ => Cli::try_parse(),
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { options, command } = cli;
    let command = command.unwrap_or_else(|| Command::Serve(serve::Serve::default()));
    match command {
        Command::Completions(completions) => completions.run(),
        Command::Config(config) => wait_here(config.run(&options.settings()?)),
        Command::Tools(tools) => tools.run(),
        Command::Serve(serve) => {
            let settings = options
                .settings_of_server(serve.tools.clone().given(), serve.listener.audit_log())?;
            match serve.http {
                Some(address) => serve.run_http(address, settings),
                None => wait_here(serve.run(App::new(settings)?)),
            }
        }
        Command::Call(call) => {
            let settings = options.settings()?;
            // Wrong arguments are reported before anything is opened.
            let request = call.decode()?;
            wait_to_the_end(call::run(App::new(settings)?, request), LAST_WORK)
        }
        Command::Compose(compose) => {
            let settings = options.settings()?;
            wait_to_the_end(compose.run(App::new(settings)?), LAST_WORK)
        }
        Command::Init(init) => {
            options.settings()?;
            init.run()
        }
        Command::Quickstart(quickstart) => {
            let settings = options.settings()?;
            wait_to_the_end(quickstart.run(App::new(settings)?), LAST_WORK)
        }
        Command::Show(show) => {
            let settings = options.settings()?;
            wait_here(show.run(App::new(settings)?))
        }
        Command::Edit(edit) => {
            let settings = options.settings()?;
            wait_to_the_end(edit.run(App::new(settings)?), LAST_WORK)
        }
        Command::History(history) => {
            let settings = options.settings()?;
            wait_here(history.run(App::new(settings)?))
        }
        Command::Diff(diff) => {
            let settings = options.settings()?;
            wait_here(diff.run(App::new(settings)?))
        }
        Command::Render(render) => {
            let settings = options.settings()?;
            wait_to_the_end(render.run(App::new(settings)?), LAST_WORK)
        }
        Command::Lint(lint) => {
            // Only the option counts: the edition of the settings applies to drafts that are created here.
            let edition = options.edition;
            lint.run(&options.settings()?, edition)
        }
        Command::Pull(pull) => {
            let edition = options.edition;
            wait_to_the_end(pull.run(options.settings()?, edition), LAST_WORK)
        }
        Command::Connect(connect) => connect.run(options),
        Command::Disconnect(disconnect) => disconnect.run(),
        Command::Providers(providers) => {
            let app = App::new(options.settings()?)?;
            wait_here(async move { providers.run(&app).await })
        }
        Command::Doctor(doctor) => wait_here(doctor.run(options.settings())),
        Command::Stats(stats) => {
            options.settings()?;
            wait_here(stats.run())
        }
        Command::Health(health) => {
            options.settings()?;
            wait_here(health.run())
        }
        Command::Token(token) => wait_here(token.run(options.settings()?)),
        Command::Store(store) => wait_here(store.run(options.settings()?)),
        Command::Worker(worker) => {
            let settings = options.settings_of_server(ToolsGiven::default(), None)?;
            worker.run(settings)
        }
        Command::Studio(studio) => {
            let settings = options.settings_of_server(ToolsGiven::default(), None)?;
            studio.run(settings)
        }
        Command::Engine(engine) => {
            let settings = options.settings_of_engine(engine.listener.audit_log())?;
            engine.run(settings)
        }
    }
}

impl Options {
    /// The settings of a command that prints the results of its calls. Starts logging accordingly.
    fn settings(self) -> Result<Settings> {
        self.settings_with(Given::default(), Calls::Printed)
    }

    /// The settings of `serve`.
    fn settings_of_server(self, tools: ToolsGiven, audit_log: Option<PathBuf>) -> Result<Settings> {
        let given = Given {
            audit_log,
            tools,
            ..Given::default()
        };
        self.settings_with(given, Calls::Logged)
    }

    /// The settings of `engine`. Its default backend is the engine in this process, because it is the API.
    fn settings_of_engine(self, audit_log: Option<PathBuf>) -> Result<Settings> {
        let given = Given {
            audit_log,
            default_backend: BackendChoice::Embedded,
            ..Given::default()
        };
        self.settings_with(given, Calls::Logged)
    }

    fn settings_with(self, given: Given, calls: Calls) -> Result<Settings> {
        let settings = Settings::current(Given {
            data_dir: self.data_dir,
            store: self.store,
            config_file: self.config,
            api_url: self.api_url,
            backend: self.backend,
            edition: self.edition,
            recover: self.recover,
            log: self.log,
            log_file: self.log_file,
            log_format: self.log_format.map(|format| format.name().to_owned()),
            ..given
        })?;
        let format = match &settings.log_format {
            Some(text) => logs::LogFormat::of(text)?,
            None => logs::LogFormat::default(),
        };
        logs::start(
            settings.log.as_deref(),
            format,
            settings.log_file.as_deref(),
            calls,
        )?;
        Ok(settings)
    }
}

/// How long an interrupted command waits for work that cannot be interrupted, such as removing incomplete files.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Runs a command on this thread. Blocking work still gets its own threads.
fn wait_here(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    // A thread that still waits for input must not keep the process alive.
    wait_to_the_end(work, Duration::ZERO)
}

/// As [`wait_here`], and waits up to `time` for blocking work to finish.
fn wait_to_the_end(
    work: impl Future<Output = anyhow::Result<ExitCode>>,
    time: Duration,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    survive_full_quotas(&runtime);
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(time);
    jobs::shut_down(LAST_WORK);
    result
}

/// Makes a write beyond the limit of `ulimit -f` fail for the call that writes, instead of killing the process.
fn survive_full_quotas(runtime: &tokio::runtime::Runtime) {
    #[cfg(unix)]
    {
        // SIGXFSZ: once registered, tokio's handler stays installed for the lifetime of the process.
        let quota = tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ);
        let _inside = runtime.enter();
        drop(tokio::signal::unix::signal(quota));
    }
    #[cfg(not(unix))]
    let _ = runtime;
}

/// Completes on Ctrl-C or on the signal that service managers and containers send.
fn stop_requested() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|e| Error::internal("cannot install signal handlers").source(e))
        };
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler the process serves until it is killed.
            std::future::pending::<()>().await;
        }
    })
}

/// Writes a command's result to stdout, printable. A closed pipe is not a failure.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let text = printable(text);
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                stdout.write_all(b"\n")
            }
        })
        .and_then(|()| stdout.flush());
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

/// JSON, indented on a terminal and on one line otherwise.
fn json_text(value: &Value) -> String {
    if io::stdout().is_terminal() {
        format!("{value:#}")
    } else {
        value.to_string()
    }
}

/// Prints a failure to stderr and returns its exit code.
fn report(error: &anyhow::Error) -> ExitCode {
    let (message, code) = describe(error);
    say(&format!("error: {message}"));
    ExitCode::from(code)
}

/// Writes a line to stderr, printable and without secrets. A failure to write is ignored: there is nowhere to report it.
fn say(text: &str) {
    let text = secrets::without(text);
    let _ = writeln!(io::stderr(), "{}", printable(&text));
}

/// A failure with its contexts in one line, its hint in the next, and the exit code.
fn describe(error: &anyhow::Error) -> (String, u8) {
    let mut message = String::new();
    for cause in error.chain() {
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&cause.to_string());
        if let Some(known) = cause.downcast_ref::<Error>() {
            // Its text includes its own causes and its hint.
            return (message, known.kind.exit_code());
        }
    }
    (message, 1)
}

/// Makes relative paths in arguments absolute: another process, with another working directory, may save the draft.
pub(crate) fn anchor(arguments: &mut Object, base: &Path, home: Option<&Path>) {
    for (key, value) in arguments {
        let is_source = key.ends_with("_url")
            || key.ends_with("_path")
            || matches!(
                key.as_str(),
                "url" | "path" | "source" | "file" | "draft_folder" | "subtitle_file"
            );
        let may_be_source = matches!(key.as_str(), "srt" | "words" | "translation");
        let Value::String(text) = value else { continue };
        let path = text.trim();
        let is_text = path.is_empty() || path.contains(['\n', '\r']) || path.contains("-->");
        if is_text || path.contains("://") || !(is_source || may_be_source) {
            continue;
        }
        let absolute = match (path.strip_prefix("~/").or(path.strip_prefix("~\\")), home) {
            (Some(below), Some(home)) => home.join(below),
            _ if is_absolute(path) => continue,
            _ => base.join(path),
        };
        // The argument can also contain the subtitles themselves.
        if is_source || absolute.exists() || is_subtitle_file(path) {
            *text = absolute.to_string_lossy().into_owned();
        }
    }
}

/// Whether a path is absolute on this system or on Windows.
fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    Path::new(path).is_absolute() || path.starts_with('\\') || bytes.get(1) == Some(&b':')
}

fn is_subtitle_file(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|e| e.to_str());
    extension.is_some_and(|extension| {
        ["srt", "vtt", "ass", "ssa"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

fn backends() -> Vec<&'static str> {
    BackendChoice::ALL.map(BackendChoice::name).to_vec()
}

fn editions() -> Vec<&'static str> {
    Edition::ALL.map(Edition::name).to_vec()
}

fn parse_backend(text: &str) -> Result<BackendChoice, String> {
    text.parse()
}

fn parse_recover(text: &str) -> Result<Recover, String> {
    text.parse()
}

fn parse_edition(text: &str) -> Result<Edition, String> {
    text.parse()
}

/// The error for an unknown tool: what to do instead, or the nearest names.
pub(crate) fn unknown_tool(name: &str) -> Error {
    let listed = "`capcut-mcp tools` lists them";
    let unknown = nearest("tool", name, local::all().map(|spec| spec.name), listed);
    match local::advice(name) {
        Some(advice) => unknown.hint(advice),
        None => unknown,
    }
}

/// The error for an unknown name, with the nearest known names and where all are listed.
fn nearest(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'static str>,
    listed: &str,
) -> Error {
    let mut near: Vec<(f64, &str)> = known
        // A much longer name is not similar to any, and the comparison takes time proportional to both lengths.
        .filter(|_| name.len() <= 100)
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(likeness, _)| *likeness > 0.75)
        .collect();
    sorting::sort_by(&mut near, |a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near
        .iter()
        .take(3)
        .map(|(_, other)| format!("`{other}`"))
        .collect();
    let hint = if near.is_empty() {
        listed.to_owned()
    } else {
        format!("did you mean {}? {listed}", near.join(" or "))
    };
    Error::new(Kind::NotFound, format!("there is no {what} {name:?}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_agrees_with_the_shortcut_for_clients() {
        let parsed = |line: &[&str]| Cli::try_parse_from(line).expect("a command line");
        let shown = |cli: &Cli| format!("{cli:?}");
        assert_eq!(shown(&parsed(&["capcut-mcp"])), shown(&Cli::default()));
        let Some(Command::Serve(serve)) = parsed(&["capcut-mcp", "serve"]).command else {
            panic!("`serve` is a command");
        };
        assert_eq!(
            format!("{serve:?}"),
            format!("{:?}", serve::Serve::default())
        );
    }

    #[test]
    fn common_options_are_accepted_before_and_after_the_command() {
        for line in [
            "capcut-mcp --backend embedded --edition jianying call create_draft",
            "capcut-mcp call --backend embedded create_draft --edition jianying",
            "capcut-mcp call create_draft --backend embedded --edition jianying",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert_eq!(cli.options.backend, Some(BackendChoice::Embedded), "{line}");
            assert_eq!(cli.options.edition, Some(Edition::Jianying), "{line}");
        }
    }

    #[test]
    fn no_command_means_serve() {
        let cli = Cli::try_parse_from(["capcut-mcp"]).expect("no command is fine");
        assert!(cli.command.is_none());
    }

    #[test]
    fn the_command_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_in_its_help() {
        let mut checked = 0;
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{}: {help}", command.get_name());
            assert!(help.contains("capcut-mcp "), "{}", command.get_name());
            checked += 1;
        }
        assert!(checked >= 7, "only {checked} commands");
    }

    #[test]
    fn a_failure_prints_one_line_and_a_hint_and_its_kind_sets_the_exit_code() {
        let error = Error::conflict("two together").hint("wait");
        let error = Err::<(), _>(error).context("visuals[1]").unwrap_err();
        assert_eq!(
            describe(&error),
            ("visuals[1]: two together\nhint: wait".to_owned(), 2)
        );
        assert_eq!(
            describe(&anyhow::anyhow!("inner").context("outer")),
            ("outer: inner".to_owned(), 1)
        );
        let error = anyhow::Error::from(Error::media("no sound"));
        assert_eq!(describe(&error), ("no sound".to_owned(), 3));
    }
}
