//! `store`: copies what a store has into another one, into a backup, and out of one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueHint};

use crate::access::utc;
use crate::cli;
use crate::journal::MergeRule;
use crate::printable::counted;
use crate::settings::Settings;
use crate::transfer::{
    BackupFile, BackupWriter, OpenJobs, StorePlace, TransferReport, TransferTerms, not_the_same,
    transfer,
};

/// How often the counts so far are shown.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

/// Copies drafts, jobs, tokens and costs between a folder and a database, makes backups and restores them.
///
/// Servers may go on using the store: what they add meanwhile is not included. Everything is read again after it was written,
/// and compared. Media files and saved drafts are not part of it: they stay in the data folder or in the storage.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp store copy ~/.local/share/capcut-mcp postgres://capcut@db.example.com/capcut
  capcut-mcp store copy @old-address @new-address --with-jobs
  capcut-mcp store backup drafts.backup             the store of this user, or that of CAPCUT_MCP_STORE
  capcut-mcp store backup --replace drafts.backup
  capcut-mcp store restore drafts.backup")]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    action: StoreAction,
    /// Prints a JSON object with the counts.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum StoreAction {
    /// Copies everything from one store into another.
    ///
    /// A store is a data folder, the address of a PostgreSQL database, or `@` and a file that contains the address. What is
    /// missing is added, what is different becomes as in FROM, and nothing is removed. A copy that was interrupted, or that is
    /// repeated later, adds only what is missing then: copy once while servers use FROM, stop them, and copy again.
    Copy {
        #[arg(value_name = "FROM", value_hint = ValueHint::DirPath)]
        from: String,
        /// A folder or database that servers do not use yet.
        #[arg(value_name = "TO", value_hint = ValueHint::DirPath)]
        to: String,
        /// Also copies the jobs that wait or run, for the workers of TO. Only after the servers of FROM have stopped: otherwise
        /// both would run them.
        #[arg(long)]
        with_jobs: bool,
    },
    /// Writes everything into one compressed file.
    ///
    /// The file is complete or does not appear. Only its owner can read it: it contains hashes of tokens, and all texts of the
    /// drafts.
    Backup {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replaces an existing file, once the new one is complete.
        #[arg(long)]
        replace: bool,
    },
    /// Adds what a backup has and the store lacks.
    ///
    /// Nothing that is in the store changes: drafts that continued after the backup keep their calls, and tokens that are there
    /// stay as they are. Jobs that waited or ran when the backup was made are interrupted: start them again with the same call.
    Restore {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

impl StoreCommand {
    pub(super) async fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let told = CountsShown::new();
        let told = |report: &TransferReport| told.show(report);
        let is_new = matches!(self.action, StoreAction::Backup { .. });
        let (report, text, target) = match self.action {
            StoreAction::Copy {
                from,
                to,
                with_jobs,
            } => {
                let (from, mut to) = (StorePlace::named(&from)?, StorePlace::named(&to)?);
                from.has_content().await?;
                from.is_other_than(&to).await?;
                let terms = TransferTerms {
                    existing: MergeRule::Replace,
                    open_jobs: if with_jobs {
                        OpenJobs::Include
                    } else {
                        OpenJobs::LeaveOut
                    },
                };
                let again = to.clone();
                let report = transfer(&from, &mut to, &again, terms, &told).await?;
                let text = format!("from the {} to the {}", from.name(), to.name());
                (report, text, to.name().to_owned())
            }
            StoreAction::Backup { file, replace } => {
                let from = StorePlace::of_settings(&settings)?;
                from.has_content().await?;
                let mut to = BackupWriter::new(&file, replace)?;
                let terms = TransferTerms {
                    existing: MergeRule::Replace,
                    open_jobs: OpenJobs::Include,
                };
                let again = BackupFile::new(&file);
                let report = transfer(&from, &mut to, &again, terms, &told).await?;
                let to = format!("backup {}", file.display());
                (report, format!("from the {} to the {to}", from.name()), to)
            }
            StoreAction::Restore { file } => {
                let from = BackupFile::new(&file);
                // A damaged backup must not be restored in part.
                let made_ms = from.check()?;
                let mut to = StorePlace::of_settings(&settings)?;
                let terms = TransferTerms {
                    existing: MergeRule::Keep,
                    open_jobs: OpenJobs::Interrupt,
                };
                let again = to.clone();
                let report = transfer(&from, &mut to, &again, terms, &told).await?;
                let made = utc::text(u64::try_from(made_ms / 1000).unwrap_or(0));
                let text = format!(
                    "from the backup {} of {made} to the {}",
                    file.display(),
                    to.name()
                );
                (report, text, to.name().to_owned())
            }
        };
        if report.open_jobs_left_out > 0 {
            cli::say(&format!(
                "note: {} that wait or run were not copied; stop the servers of FROM, then run this again with --with-jobs",
                counted(report.open_jobs_left_out, "job")
            ));
        }
        let printed = if self.json {
            cli::print(&cli::json_text(&serde_json::to_value(&report)?))
        } else {
            cli::print(&format!(
                "{} {text}{}; read again and compared",
                counts(&report),
                match report.written {
                    _ if is_new => String::new(),
                    0 => ": all of it was there".to_owned(),
                    written => format!(": {} new or changed", counted_large(written, "row")),
                }
            ))
        };
        match not_the_same(&report, &target) {
            Some(error) => Err(error.into()),
            None => printed,
        }
    }
}

fn counted_large(count: u64, noun: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

/// What was copied, for people.
fn counts(report: &TransferReport) -> String {
    format!(
        "{} with {}, {}, {} and {} of {}",
        counted(report.drafts, "draft"),
        counted_large(report.calls, "call"),
        counted(report.jobs, "job"),
        counted(report.creations, "paid creation"),
        counted(report.values, "value"),
        counted(report.tenants, "name"),
    )
}

/// The counts so far, shown on stderr every few seconds.
struct CountsShown(Mutex<Instant>);

impl CountsShown {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn show(&self, report: &TransferReport) {
        let Ok(mut last) = self.0.try_lock() else {
            return;
        };
        if last.elapsed() >= SHOWN_EVERY {
            *last = Instant::now();
            cli::say(&format!("{} so far", counts(report)));
        }
    }
}
