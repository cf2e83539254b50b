//! Runs the executable in a separate home.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::{EXECUTABLE, NOWHERE};

/// A private home: data, configuration and cache of the executables started here; deleted when dropped.
pub(crate) struct Home {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    executable: PathBuf,
}

impl Home {
    /// An empty home in which no server answers at the API's address.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["config", "data", "cache", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder in the home");
        }
        let variables = BTreeMap::from([("CAPCUT_API_URL".to_owned(), NOWHERE.to_owned())]);
        Self {
            folder,
            variables,
            executable: EXECUTABLE.into(),
        }
    }

    /// Starts another executable from now on.
    #[cfg(unix)]
    pub(crate) fn use_executable(&mut self, path: impl Into<PathBuf>) {
        self.executable = path.into();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A home in which the engine makes all drafts.
    pub(crate) fn embedded() -> Self {
        let mut home = Self::new();
        home.set("CAPCUT_MCP_BACKEND", "embedded");
        home
    }

    /// A home in which the server at this address makes all drafts.
    pub(crate) fn remote(url: &str) -> Self {
        let mut home = Self::new();
        home.api(url).set("CAPCUT_MCP_BACKEND", "remote");
        home
    }

    /// The folder of the journal: `--data-dir` of everything started here.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Sets an environment variable for everything started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the address of the API for everything started from now on.
    pub(crate) fn api(&mut self, url: &str) -> &mut Self {
        self.set("CAPCUT_API_URL", url)
    }

    /// Writes a file in the home and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder in the home");
        }
        std::fs::write(&path, content).expect("a file in the home");
        path
    }

    /// The executable with these arguments, in this home, its streams piped and stdin closed.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USERPROFILE", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_DATA_HOME", self.data())
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("CAPCUT_MCP_DATA_DIR", self.data())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command to its end with this text on its stdin.
    pub(crate) fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let text = stdin.to_owned();
        let writer = thread::spawn(move || pipe.write_all(text.as_bytes()));
        let output = child.wait_with_output().expect("the executable ends");
        let _ = writer.join();
        Ran::from(output)
    }

    /// `capcut-mcp call` with JSON arguments; returns the reply, or the exit code and stderr.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, (i32, String)> {
        self.call_with(&[], tool, arguments)
    }

    /// Like [`call`](Self::call), with options before the command, such as `["--backend", "embedded"]`.
    pub(crate) fn call_with(
        &self,
        options: &[&str],
        tool: &str,
        arguments: &Value,
    ) -> Result<Value, (i32, String)> {
        let text = arguments.to_string();
        let mut line: Vec<&str> = options.to_vec();
        line.extend(["call", tool, "--json", &text]);
        let ran = self.run(&line);
        if ran.code == 0 {
            Ok(ran.json())
        } else {
            Err((ran.code, ran.stderr))
        }
    }
}

/// The exit code and output of a finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: code(output.status),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The JSON on stdout of a command that succeeded.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not JSON ({e}): {self:#?}"))
    }

    /// Fails the test unless the command succeeded.
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// The exit code, or minus the number of the signal that ended the process.
pub(crate) fn code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return -signal;
    }
    status.code().expect("an exit code")
}
