//! Runs the executable in a separate home, with loopback servers.

mod client;
pub(crate) mod drafts;
mod engine;
mod home;
mod http;
mod mcp_http;
mod media;
#[cfg(unix)]
#[expect(dead_code, reason = "the tests of the store use more of it")]
pub(crate) mod postgres;
mod schemas;
mod server;
pub(crate) mod services;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use client::{Client, Heard};
pub(crate) use engine::Served;
pub(crate) use home::{Home, Ran, code};
pub(crate) use http::{http, http_with_head};
pub(crate) use mcp_http::McpOverHttp;
pub(crate) use media::media_server;
pub(crate) use server::{Answer, Asked, Delivery, Server};

/// How long anything in these tests may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Whether to run the long form of a test: hundreds of runs instead of a few.
pub(crate) fn full() -> bool {
    std::env::var_os("CAPCUT_TEST_FULL").is_some()
}

/// The executable under test.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_capcut-mcp");

/// One of the small media files in `examples/media`.
pub(crate) fn media(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/media")
        .join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// An address at which nothing listens: systems do not assign ports this low.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// Waits until `done` returns true; panics with `what` if it never does.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// The output of a process on a stream so far.
#[derive(Clone)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    pub(crate) fn collect(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                sink.lock()
                    .expect("not poisoned")
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self(text)
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }

    /// The loopback address (`127.0.0.1:PORT`) that follows `words`, once it was printed completely.
    pub(crate) fn address(&self, words: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(words)?;
        let (line, _) = rest.split_once('\n')?;
        let address = line
            .trim_start_matches("http://")
            .trim_start_matches("https://");
        let port = address.split(':').nth(1)?;
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    }
}
