//! Programs that run beside this one: each ends when its owner drops it, when the work is stopped, and at its time
//! limit.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Formats that contain their media themselves. Playlists and session descriptions (m3u8, concat, SDP and others) refer
/// to further files and addresses, and FFmpeg recognises them by content, whatever the file name: following them would
/// bypass access control.
const FORMATS: &str = "mpegts,mpeg,mpegvideo,h264,hevc,avi,flv,live_flv,asf,aiff,caf,amr,au,wv,ape,w64,ac3,\
    eac3,dts,mp3,aac,flac,ogg,wav,mov,matroska,gif,png_pipe,jpeg_pipe,tiff_pipe,bmp_pipe,webp_pipe,rm,mxf,nut,dv";

/// The arguments that make `file` the input of an FFmpeg program: always a file on this disk, in a format that contains
/// its media itself.
pub fn input_arguments(file: &Path) -> [OsString; 6] {
    // The protocol is explicit, so that no file name is taken for an address.
    let mut address = OsString::from("file:");
    address.push(file);
    [
        "-protocol_whitelist".into(),
        "file".into(),
        "-format_whitelist".into(),
        FORMATS.into(),
        "-i".into(),
        address,
    ]
}

/// A command without window, input, and settings from the environment that change what FFmpeg programs do.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("FFREPORT")
        .env("AV_LOG_FORCE_NOCOLOR", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt as _;
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    command
}

/// Stops work: its processes end, so that what waits for them ends, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    stopped: AtomicBool,
    processes: Mutex<Vec<Weak<Process>>>,
}

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        let processes = std::mem::take(&mut *lock(&self.0.processes));
        for process in processes.iter().filter_map(Weak::upgrade) {
            process.kill();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Starts a process that ends when the work is stopped. Each line of its messages is passed to `line`, which returns
    /// whether it is kept for errors.
    pub(crate) fn spawn(
        &self,
        command: &mut Command,
        line: impl FnMut(&str) -> bool + Send + 'static,
    ) -> io::Result<Arc<Process>> {
        let mut child = command.spawn()?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let messages = child.stderr.take().map(|stderr| {
            let tail = Arc::clone(&tail);
            thread::spawn(move || collect(stderr, &tail, line))
        });
        let process = Arc::new(Process {
            stdin: Mutex::new(child.stdin.take()),
            stdout: Mutex::new(child.stdout.take()),
            child: Mutex::new(child),
            messages: Mutex::new(messages),
            tail,
        });
        let mut processes = lock(&self.0.processes);
        processes.retain(|process| process.strong_count() > 0);
        processes.push(Arc::downgrade(&process));
        drop(processes);
        if self.is_stopped() {
            process.kill();
        }
        Ok(process)
    }
}

/// A running process, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Mutex<Option<ChildStdout>>,
    messages: Mutex<Option<JoinHandle<()>>>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

/// How many lines of messages are kept, and how long each may be.
const LINES: usize = 12;
const LINE_BYTES: usize = 2_000;
/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(4);

impl Process {
    pub(crate) fn stdin(&self) -> Option<ChildStdin> {
        lock(&self.stdin).take()
    }

    pub(crate) fn stdout(&self) -> Option<ChildStdout> {
        lock(&self.stdout).take()
    }

    pub(crate) fn kill(&self) {
        let mut child = lock(&self.child);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Waits for its end, or kills it at the time limit; `None` if it was killed.
    pub(crate) fn wait(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            if let Some(status) = lock(&self.child).try_wait()? {
                if let Some(messages) = lock(&self.messages).take() {
                    let _ = messages.join();
                }
                return Ok(Some(status));
            }
            if started.elapsed() > limit {
                self.kill();
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Its last messages, for errors.
    pub(crate) fn messages(&self) -> Vec<String> {
        lock(&self.tail).iter().cloned().collect()
    }

    /// Whether it reported that the disk is full.
    pub(crate) fn found_disk_full(&self) -> bool {
        let said = [
            "No space left on device",
            "Disk quota exceeded",
            "not enough space on the disk",
        ];
        let tail = lock(&self.tail);
        tail.iter()
            .any(|line| said.iter().any(|said| line.contains(said)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(
    stderr: ChildStderr,
    tail: &Mutex<VecDeque<String>>,
    mut line: impl FnMut(&str) -> bool,
) {
    let mut reader = BufReader::new(stderr);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // A line without an end does not fill the memory.
        let read = (&mut reader)
            .take(LINE_BYTES as u64)
            .read_until(b'\n', &mut bytes);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if !text.is_empty() && line(text) {
            let mut tail = lock(tail);
            if tail.len() == LINES {
                tail.pop_front();
            }
            tail.push_back(text.to_owned());
        }
    }
}

/// What a program printed, if it was successful within the time limit.
pub(crate) fn output(
    command: &mut Command,
    limit: Duration,
    most: u64,
) -> io::Result<Option<Vec<u8>>> {
    let process = Stop::default().spawn(command.stdout(Stdio::piped()), |_| true)?;
    let Some(stdout) = process.stdout() else {
        return Ok(None);
    };
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(most).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let ended = process.wait(limit)?;
    let bytes = reader.join().unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(ended
        .is_some_and(|status| status.success())
        .then_some(bytes))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
