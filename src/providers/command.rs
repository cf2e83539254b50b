//! Providers that are programs on this machine: their arguments, environment and results.
//!
//! A program is started without a shell, in a folder of its own, with the few environment variables that programs need and those
//! that the settings name. It ends, with all processes that it started, at its time limit, when the work is cancelled, and when
//! the caller stops waiting.

mod arguments;
mod process;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::section::Makes;
use super::service::{AssetContent, CreationRefusal, RawAsset, ServiceSettings, in_seconds};
use super::unquoted::unquoted;
use super::wanted::Wanted;
use crate::error::{Error, Kind};
use crate::secrets::LEFT_OUT;
use crate::settings;
use arguments::Arguments;
use process::{Messages, ProcessGroup};

/// The variables that programs need to find other programs, their files and the language, on all systems.
const INHERITED: [&str; 27] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    // Windows: without the first, programs cannot load the system's libraries.
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ProgramFiles",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
];

/// Makes an asset with a program. `folder` is an empty folder, in which the program runs and writes.
///
/// # Errors
/// If it could not be started, it surely did not make anything. If it failed, was cancelled or took longer than `timeout`, its
/// price decides: only a program that costs nothing surely did not spend anything.
pub(super) async fn run(
    settings: &ServiceSettings,
    wanted: &Wanted,
    folder: &Path,
    timeout: Duration,
    most_bytes: u64,
    cancel: &CancellationToken,
) -> Result<RawAsset, CreationRefusal> {
    let arguments = Arguments::new(settings, wanted, folder).map_err(CreationRefusal::refused)?;
    if let Some(file) = &arguments.text_file {
        tokio::fs::write(file, &arguments.text)
            .await
            .map_err(|error| {
                CreationRefusal::refused(
                    Error::internal(format!("{} cannot be written", file.display())).source(error),
                )
            })?;
    }
    let environment = Environment::of(&settings.section.env);
    let run = ProgramRun {
        settings,
        arguments: &arguments,
        environment: &environment,
        most_bytes,
    };
    let mut child = run.start(folder).map_err(CreationRefusal::refused)?;
    let group = ProcessGroup::of(&child);
    let messages = Messages::collect(child.stderr.take());
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(run.error(Kind::Cancelled, "cancelled")),
        ended = tokio::time::timeout(timeout, run.wait(&mut child)) => ended.unwrap_or_else(|_| {
            let problem = format!("did not end within {} s", in_seconds(timeout));
            Err(run.error(Kind::Timeout, &problem))
        }),
    };
    // Also what it left running ends.
    drop(group);
    let made = match ended {
        Ok((status, output)) => {
            let said = messages.last().await;
            run.asset(wanted, status, output, &said).await
        }
        Err(error) => Err(error),
    };
    made.map_err(|error| {
        if is_free(settings) {
            CreationRefusal::refused(error)
        } else {
            CreationRefusal::uncertain(error)
        }
    })
}

/// The program of a provider.
///
/// # Errors
/// If it is not there; the error names it.
pub(super) fn find(settings: &ServiceSettings) -> Result<PathBuf, Error> {
    let named = settings.section.command.first().map_or("", String::as_str);
    let endings = if cfg!(windows) {
        ["", ".exe", ".cmd", ".bat"].as_slice()
    } else {
        &[""]
    };
    let folders: Vec<PathBuf> = if Path::new(named).components().count() > 1 {
        vec![PathBuf::new()]
    } else {
        let path = settings::environment("PATH").unwrap_or_default();
        std::env::split_paths(&path).collect()
    };
    let all = folders.iter().flat_map(|folder| {
        endings
            .iter()
            .map(move |ending| folder.join(format!("{named}{ending}")))
    });
    all.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Error::invalid(format!(
            "the program {named:?} of the provider {:?} is not there",
            settings.name
        ))
        .hint("install it, or give its whole path in `command`")
    })
}

fn is_free(settings: &ServiceSettings) -> bool {
    let price = settings.section.price;
    price.is_some_and(|price| {
        price.per_call == 0.0 && price.per_1000_characters == 0.0 && price.per_second == 0.0
    })
}

/// The environment of a program.
struct Environment {
    values: Vec<(String, std::ffi::OsString)>,
    /// The values that the settings name, which may be keys.
    secrets: Vec<String>,
    missing: Vec<String>,
}

impl Environment {
    fn of(named: &[String]) -> Self {
        let value = |name: &str| Some((name.to_owned(), settings::environment(name)?));
        let given: Vec<_> = named.iter().filter_map(|name| value(name)).collect();
        let secrets = given
            .iter()
            .map(|(_, value)| value.to_string_lossy().into_owned());
        let is_given = |name: &&String| given.iter().any(|(own, _)| own == *name);
        Self {
            secrets: secrets.filter(|value| value.len() >= 6).collect(),
            missing: named
                .iter()
                .filter(|name| !is_given(name))
                .cloned()
                .collect(),
            values: INHERITED
                .iter()
                .filter_map(|name| value(name))
                .chain(given.iter().cloned())
                .collect(),
        }
    }
}

/// A run of a program.
struct ProgramRun<'a> {
    settings: &'a ServiceSettings,
    arguments: &'a Arguments,
    environment: &'a Environment,
    most_bytes: u64,
}

impl ProgramRun<'_> {
    fn start(&self, folder: &Path) -> Result<Child, Error> {
        let Arguments {
            program,
            list,
            out,
            stdin,
            ..
        } = self.arguments;
        let mut command = Command::new(program);
        command
            .args(list)
            .env_clear()
            .envs(
                self.environment
                    .values
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(folder)
            .stdin(if *stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(if out.is_some() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        process::separate(&mut command);
        command.spawn().map_err(|error| {
            let name = &self.settings.name;
            self.error(Kind::Unsent, "could not be started")
                .source(error)
                .hint(format!(
                    "install it, or correct `command` in `[providers.{name}]`: a program that is in PATH, or its whole path"
                ))
                .lasting()
        })
    }

    fn error(&self, kind: Kind, problem: &str) -> Error {
        Error::new(
            kind,
            format!(
                "provider `{}`: `{}` {problem}",
                self.settings.name,
                self.arguments.name()
            ),
        )
    }

    /// Waits for its end, and gives what it printed if that is its result.
    async fn wait(&self, child: &mut Child) -> Result<(ExitStatus, Option<Vec<u8>>), Error> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input may still succeed.
                let _ = stdin.write_all(self.arguments.text.as_bytes()).await;
            }
            Ok(())
        };
        let gather = async {
            match stdout {
                Some(stdout) => self.read(stdout).await.map(Some),
                None => Ok(None),
            }
        };
        let end = async {
            let status = child.wait().await;
            status.map_err(|error| {
                self.error(Kind::Internal, "cannot be waited for")
                    .source(error)
            })
        };
        let ((), output, status) = tokio::try_join!(feed, gather, end)?;
        Ok((status, output))
    }

    async fn read(&self, stdout: impl AsyncRead + Unpin) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut limited = stdout.take(self.most_bytes.saturating_add(1));
        limited
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| self.error(Kind::Internal, "cannot be read").source(error))?;
        if bytes.len() as u64 > self.most_bytes {
            return Err(self.too_large());
        }
        Ok(bytes)
    }

    fn too_large(&self) -> Error {
        let problem = format!("made more than {} bytes", self.most_bytes);
        self.error(Kind::Media, &problem)
            .hint("make it shorter or smaller, or raise `generate.asset_bytes` in `tools.toml`")
    }

    /// What it made.
    async fn asset(
        &self,
        wanted: &Wanted,
        status: ExitStatus,
        output: Option<Vec<u8>>,
        said: &str,
    ) -> Result<RawAsset, Error> {
        let said = self.without_secrets(said);
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        if !status.success() {
            let error = self.error(
                Kind::Unavailable,
                &format!("ended with {}{said}", shown(status)),
            );
            return Err(match self.environment.missing.as_slice() {
                [] => error,
                names => error.hint(format!(
                    "`env` in `[providers.{}]` names variables that are not set: {}",
                    self.settings.name,
                    names.join(", ")
                )),
            });
        }
        let is_text = matches!(wanted.makes(), Makes::Transcript | Makes::Text);
        let nothing = |where_| {
            self.error(
                Kind::Media,
                &format!("ended without an error, but {where_}{said}"),
            )
        };
        let content = match (output, &self.arguments.out) {
            (Some(bytes), _) if bytes.is_empty() => {
                return Err(nothing("printed nothing"));
            }
            (Some(bytes), _) => AssetContent::Bytes(bytes),
            (None, Some(out)) => {
                let Some((file, bytes)) = written(out).await else {
                    return Err(nothing("did not write the file `{out}`").hint(format!(
                        "check `command` in `[providers.{}]`: {{out}} is the path of the file that it has to write",
                        self.settings.name
                    )));
                };
                if bytes == 0 {
                    return Err(nothing("wrote an empty file"));
                }
                if bytes > self.most_bytes {
                    return Err(self.too_large());
                }
                AssetContent::File(file)
            }
            (None, None) => return Err(Error::internal("a program without a result")),
        };
        let content = if is_text {
            AssetContent::Text(self.text(content).await?)
        } else {
            content
        };
        Ok(RawAsset {
            content,
            words: Vec::new(),
        })
    }

    async fn text(&self, content: AssetContent) -> Result<String, Error> {
        let bytes = match content {
            AssetContent::Bytes(bytes) => bytes,
            AssetContent::File(file) => tokio::fs::read(&file).await.map_err(|error| {
                self.error(Kind::Media, "wrote a file that cannot be read")
                    .source(error)
            })?,
            _ => Vec::new(),
        };
        String::from_utf8(bytes)
            .map_err(|_| self.error(Kind::Media, "wrote a text that is not UTF-8"))
    }

    /// Its messages without keys and without the words that it was given: logs show errors.
    fn without_secrets(&self, said: &str) -> String {
        let mut said = said.to_owned();
        for secret in &self.environment.secrets {
            said = said.replace(secret, LEFT_OUT);
        }
        unquoted(&said, [self.arguments.text.as_str()])
    }
}

fn shown(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        // Killed by a signal, which `Display` names.
        None => status.to_string(),
    }
}

/// The file that a program wrote, and its size. Some programs add an ending to the name that they are given.
async fn written(out: &Path) -> Option<(PathBuf, u64)> {
    let size = |metadata: std::fs::Metadata| metadata.is_file().then_some(metadata.len());
    if let Ok(metadata) = tokio::fs::symlink_metadata(out).await {
        return Some((out.to_owned(), size(metadata)?));
    }
    let start = format!("{}.", out.file_stem()?.to_string_lossy());
    let mut entries = tokio::fs::read_dir(out.parent()?).await.ok()?;
    let mut found = None;
    while let Ok(Some(entry)) = entries.next_entry().await {
        let is_own = entry.file_name().to_string_lossy().starts_with(&start);
        if is_own && let Some(bytes) = entry.metadata().await.ok().and_then(size) {
            if found.is_some() {
                return None;
            }
            found = Some((entry.path(), bytes));
        }
    }
    found
}

#[cfg(all(test, unix))]
mod tests;
