//! Writes to stderr on a separate thread: a client that does not read stderr must not block the server, and a call must
//! not wait for a system call and a thread switch. Lines are collected briefly and written together.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// How long lines are collected.
const MOMENT: Duration = Duration::from_millis(10);

/// How many bytes can wait. Lines that do not fit are dropped and counted.
const ROOM: usize = 512 << 10;

/// How long the process waits at exit for a reader of stderr.
const PATIENCE: Duration = Duration::from_secs(1);

static WAITING: Waiting = Waiting::new();

struct Waiting {
    lines: Mutex<Lines>,
    /// Notified when the first line waits, when the process exits, and when everything was written.
    changed: Condvar,
}

/// The lines that wait to be written.
struct Lines {
    text: Vec<u8>,
    dropped: usize,
    state: StderrState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StderrState {
    /// Whether no thread writes.
    Off,
    On,
    /// Whether the process is exiting: waiting lines are written immediately.
    Ending,
}

/// Starts the thread. Callers must write whole lines.
pub(super) fn start() -> Result<impl Fn() -> Writer + Send + Sync + 'static> {
    WAITING.start(io::stderr())?;
    Ok(|| Writer(&WAITING))
}

/// Waits briefly until all lines are written, and stops the thread.
pub(super) fn end() {
    WAITING.end();
}

impl Waiting {
    const fn new() -> Self {
        Self {
            lines: Mutex::new(Lines {
                text: Vec::new(),
                dropped: 0,
                state: StderrState::Off,
            }),
            changed: Condvar::new(),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&'static self, mut out: impl Write + Send + 'static) -> Result<()> {
        let mut lines = self.lines();
        if lines.state == StderrState::Off {
            thread::Builder::new()
                .name("log".to_owned())
                .spawn(move || self.write_all_to(&mut out))
                .map_err(|e| Error::internal("cannot start the log thread").source(e))?;
            lines.state = StderrState::On;
        }
        Ok(())
    }

    /// Writes lines as they arrive, until the process exits.
    fn write_all_to(&self, out: &mut impl Write) {
        let mut text = Vec::new();
        let mut lines = self.lines();
        loop {
            let idle = |lines: &mut Lines| lines.text.is_empty() && lines.state == StderrState::On;
            let waited = self.changed.wait_while(lines, idle);
            lines = waited.unwrap_or_else(PoisonError::into_inner);
            let gathers = |lines: &mut Lines| lines.state == StderrState::On;
            let waited = self.changed.wait_timeout_while(lines, MOMENT, gathers);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
            if lines.text.is_empty() {
                break;
            }
            let dropped = std::mem::take(&mut lines.dropped);
            std::mem::swap(&mut text, &mut lines.text);
            drop(lines);
            // Without a reader, the lines cannot be written.
            let _ = out.write_all(&text);
            text.clear();
            text.shrink_to(ROOM / 8);
            if dropped > 0 {
                tracing::warn!("stderr was not read in time: {dropped} log lines were lost");
            }
            lines = self.lines();
        }
        lines.state = StderrState::Off;
        drop(lines);
        self.changed.notify_all();
    }

    fn end(&self) {
        let mut lines = self.lines();
        if lines.state == StderrState::On {
            lines.state = StderrState::Ending;
            self.changed.notify_all();
            let ending = |lines: &mut Lines| lines.state == StderrState::Ending;
            let _ = self.changed.wait_timeout_while(lines, PATIENCE, ending);
        }
    }
}

pub(super) struct Writer(&'static Waiting);

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines();
        if lines.text.len() + line.len() > ROOM {
            lines.dropped += 1;
            return Ok(line.len());
        }
        let is_first = lines.text.is_empty();
        lines.text.extend_from_slice(line);
        drop(lines);
        if is_first {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// A reader that accepts each write only after permission.
    struct Reader {
        read: Arc<Mutex<String>>,
        lets: mpsc::Receiver<()>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.lets.recv();
            let text = String::from_utf8_lossy(bytes);
            self.read.lock().expect("not poisoned").push_str(&text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log() -> (&'static Waiting, Arc<Mutex<String>>, mpsc::Sender<()>) {
        let waiting = Box::leak(Box::new(Waiting::new()));
        let read = Arc::new(Mutex::new(String::new()));
        let (lets_write, lets) = mpsc::channel();
        let reader = Reader {
            read: Arc::clone(&read),
            lets,
        };
        waiting.start(reader).expect("a thread");
        (waiting, read, lets_write)
    }

    #[test]
    fn the_exit_waits_for_all_lines_in_order() {
        let (waiting, read, lets_write) = log();
        // From now on it may write immediately.
        drop(lets_write);
        let lines: Vec<String> = (0..1_000).map(|line| format!("line {line}\n")).collect();
        for line in &lines {
            Writer(waiting).write_all(line.as_bytes()).expect("memory");
        }
        waiting.end();
        assert_eq!(*read.lock().expect("not poisoned"), lines.concat());
    }

    #[test]
    fn a_reader_that_does_not_read_blocks_no_calls_and_fills_no_memory() {
        let (waiting, _, lets_write) = log();
        let line = "x".repeat(1 << 10) + "\n";
        for _ in 0..ROOM / 256 {
            Writer(waiting).write_all(line.as_bytes()).expect("memory");
        }
        let lines = waiting.lines();
        assert!(lines.dropped > 0 && lines.text.len() <= ROOM);
        drop(lines);
        drop(lets_write);
        waiting.end();
    }
}
