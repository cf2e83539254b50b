//! `compose`: makes one or many videos from plan files and shows progress.

mod dry_run;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueHint};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::cli;
use crate::cli::shown::{Shown, Without};
use crate::compose::batch::report::BatchReport;
use crate::compose::batch::{self, BatchEntry, BatchOptions, OnError, ReportPlace};
use crate::compose::generated::Spending;
use crate::compose::plan::{Plan, Save};
use crate::compose::report::RunOutcome;
use crate::compose::source::{Places, PlanFormat, PlanSource};
use crate::compose::table::{self, InputTable};
use crate::compose::{RunStart, commas, compose};
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::providers::MaxCost;
use crate::regular_file::{self, TEXT_BYTES};
use crate::styles::Styles;
use crate::tools::Object;

/// Makes whole videos from plans: one draft for each file, or for each line of `--inputs`.
///
/// A plan is YAML, TOML or JSON; `capcut-mcp tools --plan-schema` prints its JSON Schema.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[command(after_help = "Examples:
  capcut-mcp compose examples/first-draft.yaml
  capcut-mcp compose ad.yaml --set product=\"Tea set\" --draft-folder ./drafts
  capcut-mcp compose --template ad.yaml --inputs products.csv --jobs 4 --report out.jsonl
  capcut-mcp compose plans.jsonl --retries 3 --on-error stop
  capcut-mcp compose story.yaml --dry-run
  capcut-mcp compose story.yaml --overwrite
  capcut-mcp compose story.yaml --resume dfd_cat_1767225600_0a1b2c3d

Exit codes: 0 = every draft is complete and saved, 1 = at least one is not, 2 = a plan is wrong and
nothing was made, 130 = interrupted.")]
pub(crate) struct Compose {
    /// Plans: .yaml, .yml, .toml or .json with one plan; .jsonl with one plan per line; `-` reads such lines from stdin.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Sets the placeholder `${NAME}`; can be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A plan that is used once for each line of `--inputs`, which sets its placeholders.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "inputs")]
    template: Option<PathBuf>,
    /// A CSV file with a header, or a file with one JSON object per line; `-` reads such lines from stdin.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "template")]
    inputs: Option<PathBuf>,
    /// The folder that the drafts are written to; overrides the plan.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    draft_folder: Option<PathBuf>,
    /// The app's version that the drafts are for, such as `9.1.0`.
    #[arg(long, value_name = "VERSION")]
    app_version: Option<String>,
    /// A draft profile instead of a version, such as `jianying_legacy`.
    #[arg(long, value_name = "NAME", conflicts_with = "app_version")]
    draft_profile: Option<String>,
    /// Writes drafts that any machine can open, without ids and paths of this one.
    #[arg(long)]
    portable: bool,
    /// Replaces any draft of the same name and keeps it as a backup. By default only the unchanged draft of an earlier
    /// run of the same plan is replaced; next to any other draft of that name, "NAME (2)" is written.
    #[arg(long)]
    overwrite: bool,
    /// Resumes an earlier run of a single plan: adds only what its draft lacks.
    #[arg(long, value_name = "DRAFT_ID")]
    resume: Option<String>,
    /// How many drafts are made in parallel.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// How often an incomplete draft is tried again; each try resumes the one before.
    #[arg(
        long,
        visible_alias = "retry-count",
        value_name = "N",
        default_value_t = 0
    )]
    retries: u32,
    /// Seconds between tries.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    retry_delay: f64,
    /// What to do with the other drafts when one cannot be completed.
    #[arg(long, value_name = "WHAT", default_value = "continue")]
    on_error: OnError,
    /// Appends a JSON line for each draft. Run again with the same file, the batch continues where it stopped.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    report: Option<PathBuf>,
    /// Checks everything and shows the timeline; writes nothing and sends nothing to a server.
    #[arg(long, conflicts_with_all = ["resume", "report", "overwrite"])]
    dry_run: bool,
    /// What voices, pictures and films of all drafts may cost together: an amount, or `unknown` for any price.
    #[arg(long, value_name = "AMOUNT")]
    max_cost: Option<String>,
    /// Sends again what a provider may have accepted and billed in an earlier run.
    #[arg(long)]
    retry_uncertain: bool,
    /// Prints events and reports as JSON lines.
    #[arg(long)]
    json: bool,
}

impl Compose {
    /// The command for one plan, with defaults for everything else.
    pub(crate) fn of(plan: PathBuf, draft_folder: Option<PathBuf>) -> Self {
        Self {
            files: vec![plan],
            set: Vec::new(),
            template: None,
            inputs: None,
            draft_folder,
            app_version: None,
            draft_profile: None,
            portable: false,
            overwrite: false,
            resume: None,
            jobs: 1,
            retries: 0,
            retry_delay: 0.0,
            on_error: OnError::default(),
            report: None,
            dry_run: false,
            max_cost: None,
            retry_uncertain: false,
            json: false,
        }
    }

    pub(crate) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let mut entries = self.entries()?;
        let context = Context::of(&Caller::shell());
        let one = entries.len() == 1 && self.report.is_none() && self.retries == 0;
        if one || self.dry_run {
            // The run itself checks the plan.
            batch::refuse_all_wrong(&entries)?;
        } else {
            batch::check_all(&app, &mut entries, &context.caller).await;
        }
        let end = cli::stop_requested()?;
        let cancel = context.cancel.clone();
        let work = async {
            if self.dry_run {
                return dry_run::run(&app, entries, &context, self.json).await;
            }
            match entries.as_slice() {
                [entry] if one => self.one(&app, entry, context).await,
                _ => self.many(&app, entries, context).await,
            }
        };
        tokio::pin!(work);
        tokio::select! {
            code = &mut work => code,
            () = end => {
                cancel.cancel();
                let ended = work.await;
                app.finish_sent().await;
                ended
            }
        }
    }

    async fn one(
        &self,
        app: &Arc<App>,
        entry: &BatchEntry,
        context: Context,
    ) -> anyhow::Result<ExitCode> {
        let shown = Shown::new(Without::of(self.json));
        let context = Context {
            progress: Some(shown.progress()),
            ..context
        };
        let resume = match &self.resume {
            Some(named) => Some(app.named_draft(named, &context.caller).await?),
            None => None,
        };
        let taking = RunStart {
            checked: None,
            resume,
            spending: self.spending()?,
            known: &|_| {},
        };
        let report = compose(app, &entry.plan, taking, &context).await;
        shown.clear();
        let report = report?;
        if self.json {
            cli::print(&json!({ "event": "report", "report": report }).to_string())?;
        } else {
            text::report(&report).print()?;
        }
        Ok(match report.outcome {
            RunOutcome::Complete => ExitCode::SUCCESS,
            RunOutcome::Cancelled => ExitCode::from(Kind::Cancelled.exit_code()),
            _ => ExitCode::FAILURE,
        })
    }

    async fn many(
        &self,
        app: &Arc<App>,
        entries: Vec<BatchEntry>,
        context: Context,
    ) -> anyhow::Result<ExitCode> {
        if self.resume.is_some() {
            return Err(Error::invalid("`--resume` is for one plan")
                .hint("to resume a batch, run it again with the same `--report`")
                .into());
        }
        let retry_delay = Duration::try_from_secs_f64(self.retry_delay).map_err(|_| {
            Error::invalid(format!(
                "`--retry-delay` of {} s is not a valid time",
                self.retry_delay
            ))
        })?;
        let options = BatchOptions {
            jobs: self.jobs,
            retries: self.retries,
            retry_delay,
            left: CancellationToken::new(),
            on_error: self.on_error,
            spending: self.spending()?,
            report: self
                .report
                .clone()
                .map_or(ReportPlace::Nowhere, ReportPlace::File),
            pauses_after: None,
        };
        let shown = Shown::new(Without::of(self.json));
        let total = entries.len();
        let done = Mutex::new(0);
        let lines = batch::run(app, entries, &options, &context, &|line| {
            let mut done = done
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += 1;
            let text = format!("{}: {}", line.label, line.status);
            shown.draft(
                *done,
                total,
                text,
                || json!({ "event": "draft", "draft": line }),
            );
        })
        .await;
        shown.clear();
        let lines = lines?.lines;
        let BatchReport {
            outcome,
            complete,
            drafts: lines,
        } = BatchReport::new(lines);
        if self.json {
            let event = json!({
                "event": "summary", "outcome": outcome, "complete": complete, "drafts": lines,
            });
            cli::print(&event.to_string())?;
        } else {
            text::batch(&lines, complete).print()?;
        }
        Ok(if context.cancel.is_cancelled() {
            ExitCode::from(Kind::Cancelled.exit_code())
        } else if complete == lines.len() {
            ExitCode::SUCCESS
        } else if lines
            .iter()
            .all(|line| line.status == "failed" && line.tries == 0)
        {
            ExitCode::from(Kind::InvalidArgument.exit_code())
        } else {
            ExitCode::FAILURE
        })
    }

    fn spending(&self) -> Result<Spending> {
        let max_cost = self
            .max_cost
            .as_deref()
            .map(|word| MaxCost::read(&json!(word)));
        let max_cost = max_cost.transpose();
        Ok(Spending {
            max_cost: max_cost.map_err(|fault| Error::invalid(format!("`--max-cost` {fault}")))?,
            retry_uncertain: self.retry_uncertain,
        })
    }

    /// The options that override how the plans save.
    fn saving(&self) -> Object {
        let mut arguments = Object::new();
        if let Some(folder) = &self.draft_folder {
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            arguments.insert("draft_folder".into(), json!(folder.to_string_lossy()));
        }
        if let Some(version) = &self.app_version {
            arguments.insert("app_version".into(), json!(version));
        }
        if let Some(profile) = &self.draft_profile {
            arguments.insert("draft_profile".into(), json!(profile));
        }
        if self.portable {
            arguments.insert("portable".into(), json!(true));
        }
        arguments
    }

    /// All plans, read and checked before anything is made.
    fn entries(&self) -> Result<Vec<BatchEntry>> {
        let mut set = BTreeMap::new();
        for pair in &self.set {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Error::invalid(format!("`--set {pair}` is not NAME=VALUE")));
            };
            set.insert(name.to_owned(), Value::from(value));
        }
        let mut entries = Vec::new();
        if let (Some(template), Some(inputs)) = (&self.template, &self.inputs) {
            let (mut table, of_inputs) = rows(inputs)?;
            for values in table
                .rows
                .iter_mut()
                .filter_map(|row| row.values.as_mut().ok())
            {
                for (name, value) in &set {
                    values.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            // A row is identified by its content, because other rows may be inserted before it.
            let contents: Vec<String> = table
                .rows
                .iter()
                .map(|row| {
                    let values = row.values.as_ref().ok();
                    serde_json::to_string(&values).unwrap_or_default()
                })
                .collect();
            let ((source, of_template), base) = (read(template)?, folder(template));
            let mut notes: Vec<String> = of_template.into_iter().chain(of_inputs).collect();
            notes.extend(commas::settle(&mut table, &source.value));
            let made =
                batch::from_template(&source, table.rows, base.as_deref(), &Styles::default())?;
            for (mut entry, content) in made.into_iter().zip(contents) {
                entry.plan.notes.clone_from(&notes);
                if let (Some(template), Some(inputs)) = (place(template), place(inputs)) {
                    let place = format!("{template}\0{inputs}\0{content}");
                    entry.plan.stands_at(&place, &set);
                }
                entries.push(entry);
            }
        }
        for file in &self.files {
            let (plans, note) = plans(file)?;
            for (label, source) in plans {
                let plan = source.and_then(|source| {
                    let base = folder(file);
                    Plan::from_value(
                        &source.value,
                        &source.places,
                        &set,
                        base.as_deref(),
                        &Styles::default(),
                    )
                });
                let mut entry = BatchEntry::new(label, plan);
                entry.plan.notes.extend(note.clone());
                if let Some(place) = place(file) {
                    // With several plans in one file, the label ends with the line number.
                    let line = entry.label.rsplit(':').next().filter(|_| is_lines(file));
                    let place = format!("{place}\0{}", line.unwrap_or_default());
                    entry.plan.stands_at(&place, &set);
                }
                entries.push(entry);
            }
        }
        let saving = self.saving();
        for entry in &mut entries {
            if !saving.is_empty() {
                let mut arguments = match entry.plan.save.take() {
                    Some(Save::With(arguments)) => arguments,
                    _ => Object::new(),
                };
                arguments.extend(saving.clone());
                entry.plan.save = Some(Save::With(arguments));
            }
            if self.overwrite {
                entry.plan.overwrite();
            }
        }
        if entries.is_empty() {
            return Err(Error::invalid("there is nothing to make").hint(
                "name a file, or `--template` with `--inputs`; see `capcut-mcp compose --help`",
            ));
        }
        Ok(entries)
    }
}

/// The folder that relative paths in the plan start from.
fn folder(file: &Path) -> Option<PathBuf> {
    if file == Path::new("-") {
        return std::env::current_dir().ok();
    }
    std::path::absolute(file).ok()?.parent().map(Path::to_owned)
}

/// The path by which the next run recognises a file; none for stdin.
fn place(file: &Path) -> Option<String> {
    let real = file
        .canonicalize()
        .ok()
        .filter(|_| file != Path::new("-"))?;
    Some(real.to_string_lossy().into_owned())
}

/// The text of a file, and a note if its encoding was guessed.
fn contents(file: &Path) -> Result<(String, Option<String>)> {
    let failed = |e| Error::invalid(format!("{} cannot be read", file.display())).source(e);
    let read = if file == Path::new("-") {
        regular_file::read_stdin(TEXT_BYTES)
    } else {
        regular_file::read_named(file, TEXT_BYTES)
    };
    let read = read.map_err(failed)?;
    let note = read.note.map(|note| format!("{}: {note}", file.display()));
    Ok((read.text, note))
}

fn ending(file: &Path) -> String {
    file.extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// The format of a plan file, by its extension.
fn format(file: &Path) -> Result<PlanFormat> {
    match ending(file).as_str() {
        "toml" => Ok(PlanFormat::Toml),
        "json" => Ok(PlanFormat::Json),
        "yaml" | "yml" => Ok(PlanFormat::Yaml),
        other => Err(Error::invalid(format!(
            "{}: {other:?} is not the extension of a plan",
            file.display()
        ))
        .hint("plans are .yaml, .yml, .toml or .json; .jsonl has one plan per line")),
    }
}

/// One plan of a file.
fn read(file: &Path) -> Result<(PlanSource, Option<String>)> {
    let format = format(file)?;
    let (text, note) = contents(file)?;
    let source = PlanSource::read(&text, format).map_err(|error| {
        let message = format!(
            "{} is not a readable plan: {}",
            file.display(),
            error.message
        );
        Error { message, ..error }
    })?;
    Ok((source, note))
}

/// Whether a file has one plan per line.
fn is_lines(file: &Path) -> bool {
    file == Path::new("-") || matches!(ending(file).as_str(), "jsonl" | "ndjson")
}

/// A plan with its label, or its error.
type NamedPlan = (String, Result<PlanSource>);

/// The plans of a file, and a note if its encoding was guessed.
fn plans(file: &Path) -> Result<(Vec<NamedPlan>, Option<String>)> {
    if !is_lines(file) {
        let (source, note) = match read(file) {
            Ok((source, note)) => (Ok(source), note),
            Err(error) => (Err(error), None),
        };
        return Ok((vec![(file.display().to_string(), source)], note));
    }
    let (text, note) = contents(file)?;
    let lines = table::json_lines(&text).into_iter();
    let plans = lines
        .map(|(line, value)| {
            let source = value.map(|value| PlanSource {
                value,
                places: Places::default(),
            });
            (format!("{}:{line}", file.display()), source)
        })
        .collect();
    Ok((plans, note))
}

/// The values of the placeholders, one set per row.
fn rows(file: &Path) -> Result<(InputTable, Option<String>)> {
    let (text, note) = contents(file)?;
    let rows = match ending(file).as_str() {
        "csv" | "tsv" | "txt" => table::csv(&text).map_err(|error| {
            let message = format!("{} {}", file.display(), error.message);
            Error { message, ..error }
        })?,
        _ => table::json_rows(&text),
    };
    Ok((rows, note))
}
