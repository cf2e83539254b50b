//! The processes of a program: they end together, and their last messages are kept for errors.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

/// How much of its messages is kept, in bytes and in lines.
const TAIL: usize = 4 << 10;
const LINES: usize = 8;
/// How long the rest of its messages is waited for after its end: a process that it left running may keep them open.
const REST: Duration = Duration::from_millis(500);

/// Starts the program outside this process's group, so that it can be ended with all that it starts.
pub(super) fn separate(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(windows)]
    {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    #[cfg(not(any(unix, windows)))]
    let _ = command;
}

/// A program and the processes that it started, which end when this is dropped.
pub(super) struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id())
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(id) = self.0 else { return };
        end(id);
    }
}

#[cfg(unix)]
fn end(id: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = i32::try_from(id).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Windows has no process groups of this kind; this program ends those whose parents are still known.
#[cfg(windows)]
fn end(id: u32) {
    use std::process::{Command, Stdio};
    let ending = Command::new("taskkill")
        .args(["/F", "/T", "/PID", &id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = ending {
        tracing::warn!(%error, "processes of a program could not be ended");
    }
}

#[cfg(not(any(unix, windows)))]
fn end(_: u32) {}

/// The last messages of a program.
pub(super) struct Messages {
    tail: Arc<Mutex<VecDeque<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Messages {
    pub(super) fn collect(stderr: Option<ChildStderr>) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let sink = Arc::clone(&tail);
        let reader = stderr.map(|mut stderr| {
            tokio::spawn(async move {
                let mut buffer = vec![0; TAIL];
                while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
                    let mut tail = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    tail.extend(&buffer[..count]);
                    let excess = tail.len().saturating_sub(TAIL);
                    tail.drain(..excess);
                }
            })
        });
        Self { tail, reader }
    }

    /// The last lines, joined.
    pub(super) async fn last(mut self) -> String {
        if let Some(mut reader) = self.reader.take()
            && tokio::time::timeout(REST, &mut reader).await.is_err()
        {
            reader.abort();
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(tail.make_contiguous()).into_owned();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(LINES)..].join("; ")
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}
