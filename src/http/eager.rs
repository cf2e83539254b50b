//! Polls for the next request right after an answer.
//!
//! A client that works through a list of calls sends the next one some microseconds after the answer. By then
//! this thread would be asleep, and waking it takes longer than many calls do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long the thread stays awake after an answer: slightly longer than a client on this machine needs.
const AWAKE: Duration = Duration::from_micros(100);

#[derive(Clone, Default)]
pub(super) struct Eager(Arc<Notify>);

impl Eager {
    /// An answer is about to be sent.
    pub(super) fn answered(&self) {
        self.0.notify_one();
    }

    /// Keeps the runtime awake for a moment after each answer; stops when its task is aborted.
    pub(super) async fn stay_awake(self) {
        loop {
            self.0.notified().await;
            let until = Instant::now() + AWAKE;
            while Instant::now() < until {
                // Other threads and tasks with work run first, such as the client that reads the answer.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
    }
}
