//! Looking out for the next request right after an answer.
//!
//! Whoever works through a list of calls sends the next one as soon as it has the answer, some microseconds later.
//! A thread that has gone to sleep by then takes longer to wake than many a call takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long sleep is put off after an answer: somewhat more than a client on this machine needs.
const AWAKE: Duration = Duration::from_micros(100);

#[derive(Clone, Default)]
pub(super) struct Eager(Arc<Notify>);

impl Eager {
    /// An answer is about to go out.
    pub(super) fn answered(&self) {
        self.0.notify_one();
    }

    /// Keeps the runtime from sleeping for a moment after each answer; ends with the task it runs in.
    pub(super) async fn stay_awake(self) {
        loop {
            self.0.notified().await;
            let until = Instant::now() + AWAKE;
            while Instant::now() < until {
                // Whoever has something to do goes first, such as the client with the answer.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
    }
}
