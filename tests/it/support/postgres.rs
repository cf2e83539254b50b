//! A PostgreSQL server for tests, from the binaries of the operating system, as it is used: with `fsync`.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

use tempfile::TempDir;

/// A server in a temporary folder. It stops, and the folder is removed, when this is dropped or the process ends.
pub(crate) struct TestServer {
    folder: TempDir,
    binaries: PathBuf,
    user: Option<OwnUser>,
    /// Stops the server as soon as its input is closed.
    guard: Child,
    port: u16,
    databases: AtomicU32,
}

/// The port in the name of the socket, if nothing listens on TCP.
pub(crate) const SOCKET_PORT: u16 = 5432;

/// PostgreSQL refuses to run as root.
struct OwnUser {
    name: String,
    uid: u32,
    gid: u32,
}

impl TestServer {
    /// The server that all tests of this process share; `None` if PostgreSQL is not installed.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<TestServer>> = OnceLock::new();
        static SKIPPED: Once = Once::new();
        let server = SHARED.get_or_init(|| Self::start(SOCKET_PORT, ""));
        if server.is_none() {
            SKIPPED.call_once(|| {
                eprintln!(
                    "skipped: PostgreSQL is not installed, the tests of its store did not run"
                );
            });
        }
        server.as_ref()
    }

    /// A server of its own, with these lines in its configuration.
    pub(crate) fn start(port: u16, configuration: &str) -> Option<Self> {
        let binaries = binaries()?;
        let user = is_root().then(own_user);
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        if let Some(user) = &user {
            chown(folder.path(), Some(user.uid), Some(user.gid)).unwrap();
        }
        // When the process ends, even by a signal, its end of the pipe is closed.
        let script = "cat > /dev/null; \"$@\"; rm -rf \"$0\"";
        let mut guard = Command::new("sh");
        guard.args(["-c", script]).arg(folder.path());
        let stop = command(&binaries, user.as_ref(), "pg_ctl");
        guard.arg(stop.get_program()).args(stop.get_args());
        guard.arg("-D").arg(folder.path().join("data"));
        guard.args(["-m", "immediate", "stop"]);
        let guard = guard
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            binaries,
            user,
            guard,
            port,
            databases: AtomicU32::new(0),
        };
        let mut init = server.command("initdb");
        init.arg("-D").arg(server.data());
        init.args([
            "-U",
            "owner",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(&mut init).unwrap();
        let socket = server.folder.path().display();
        server.configure(&format!(
            "port = {port}\nlisten_addresses = ''\nunix_socket_directories = '{socket}'\nmax_connections = 200\n{configuration}\n"
        ));
        server.run();
        Some(server)
    }

    /// Adds lines to the configuration, for the next start.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(lines);
        fs::write(&path, text).unwrap();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file that only the server may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = &self.user {
            chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        }
    }

    pub(crate) fn run(&self) {
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(self.data());
        start.arg("-l").arg(self.folder.path().join("log"));
        start.args(["-w", "start"]);
        run(&mut start).unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Ends all its processes without any preparation, as a crash does.
    pub(crate) fn crash(&self) {
        self.stop("immediate");
    }

    pub(crate) fn stop(&self, mode: &str) {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data());
        stop.args(["-m", mode, "-w", "stop"]);
        run(&mut stop).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn command(&self, program: &str) -> Command {
        command(&self.binaries, self.user.as_ref(), program)
    }

    /// Runs SQL in a database, as a superuser.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.arg("-h").arg(self.folder.path());
        psql.arg("-p").arg(self.port.to_string());
        psql.args([
            "-U",
            "owner",
            "-d",
            database,
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        let output = run(&mut psql).unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new database: its address.
    pub(crate) fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// The address of a database, through the socket.
    pub(crate) fn address(&self, database: &str) -> String {
        let socket = self.folder.path().display().to_string();
        format!(
            "postgres://owner@{}:{}/{database}",
            socket.replace('/', "%2F"),
            self.port
        )
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn run(command: &mut Command) -> io::Result<Output> {
    let output = command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn command(binaries: &Path, user: Option<&OwnUser>, program: &str) -> Command {
    let program = binaries.join(program);
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={}", user.name))
        .arg(format!("--regid={}", user.gid))
        .arg("--clear-groups")
        .arg(program);
    command
}

/// The folder of the newest version.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let binaries = entry.path().join("bin");
            binaries
                .join("initdb")
                .exists()
                .then_some((version, binaries))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, binaries)| binaries)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user that the package of PostgreSQL made.
fn own_user() -> OwnUser {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = |wanted: &str| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&wanted)).then(|| OwnUser {
                name: wanted.to_owned(),
                uid: fields[2].parse().unwrap(),
                gid: fields[3].parse().unwrap(),
            })
        })
    };
    user("postgres").expect("the user that packages make for PostgreSQL")
}
