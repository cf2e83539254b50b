//! A timer that expires before those of calls, active while calls arrive.
//!
//! Setting a timer that expires before all others wakes the runtime's driver, which costs two system calls: a
//! tenth of the time of a forwarded call. While this timer runs, the time limit of a call is never the earliest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Shorter than the time limits of calls. Without new calls, the timer stops after the next expiry.
const BEAT: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<PulseState>);

#[derive(Default)]
struct PulseState {
    beating: AtomicBool,
    called: AtomicBool,
}

impl Pulse {
    /// A call begins.
    pub(super) fn call(&self) {
        self.0.called.store(true, Ordering::Relaxed);
        if self.0.beating.swap(true, Ordering::Relaxed) {
            return;
        }
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            while state.called.swap(false, Ordering::Relaxed) {
                tokio::time::sleep(BEAT).await;
            }
            state.beating.store(false, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_timer_runs_while_calls_arrive_and_a_little_longer() {
        let pulse = Pulse::default();
        let beating = || pulse.0.beating.load(Ordering::Relaxed);
        for _ in 0..3 {
            pulse.call();
            tokio::time::sleep(BEAT).await;
            assert!(beating());
        }
        tokio::time::sleep(BEAT * 3).await;
        assert!(!beating());
        pulse.call();
        assert!(beating());
    }
}
