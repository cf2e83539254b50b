//! Concurrency limits: each lane has a number of slots and a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::manifest::{Lane, LaneName, Manifest};

/// The lanes of a process.
pub(crate) struct Lanes([LaneState; 4]);

struct LaneState {
    slots: usize,
    waiting_limit: usize,
    semaphore: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The current use of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub lane: LaneName,
    pub active: usize,
    pub waiting: usize,
    pub slots: usize,
}

/// Whether a call waits regardless of the length of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Waits,
    /// Fails with `busy` if the queue is full.
    Places,
}

impl Lanes {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self(LaneName::ALL.map(|name| {
            let Lane { slots, waiting, .. } = *manifest.lane(name);
            LaneState {
                slots,
                waiting_limit: waiting,
                semaphore: Arc::new(Semaphore::new(slots)),
                waiting: AtomicUsize::new(0),
            }
        }))
    }

    /// Gets a slot, which is freed when the permit is dropped. Waiting calls get slots in the order of arrival.
    pub(crate) async fn enter(
        &self,
        lane: LaneName,
        patience: Patience,
    ) -> Result<OwnedSemaphorePermit> {
        let track = self.track(lane);
        if let Ok(permit) = Arc::clone(&track.semaphore).try_acquire_owned() {
            return Ok(permit);
        }
        let place = QueuePlace::take(&track.waiting);
        if patience == Patience::Places && place.before >= track.waiting_limit {
            return Err(Manifest::full(lane, place.before));
        }
        Arc::clone(&track.semaphore)
            .acquire_owned()
            .await
            .map_err(|error| Error::internal("a lane was closed").source(error))
    }

    /// The current use of all lanes, for reports.
    pub(crate) fn in_use(&self) -> [Use; 4] {
        LaneName::ALL.map(|lane| {
            let track = self.track(lane);
            Use {
                lane,
                active: track
                    .slots
                    .saturating_sub(track.semaphore.available_permits()),
                waiting: track.waiting.load(Ordering::Relaxed),
                slots: track.slots,
            }
        })
    }

    fn track(&self, lane: LaneName) -> &LaneState {
        &self.0[lane as usize]
    }
}

/// A place in the queue, given up when it is dropped.
struct QueuePlace<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> QueuePlace<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        Self {
            waiting,
            before: waiting.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::error::Kind;

    fn lanes() -> Lanes {
        let mut manifest = Manifest::built_in();
        manifest.lanes.audio = Lane {
            slots: 2,
            waiting: 1,
            timeout_s: 1.0,
        };
        Lanes::new(&manifest)
    }

    fn use_of(lanes: &Lanes) -> (usize, usize) {
        let lane = lanes.in_use()[LaneName::Audio as usize];
        (lane.active, lane.waiting)
    }

    #[tokio::test]
    async fn a_lane_limits_running_and_waiting_calls() {
        let lanes = lanes();
        let enter = |patience| lanes.enter(LaneName::Audio, patience);
        let first = enter(Patience::Places).await.unwrap();
        let _second = enter(Patience::Places).await.unwrap();
        let mut third = Box::pin(enter(Patience::Places));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(use_of(&lanes), (2, 1));
        let error = enter(Patience::Places).await.unwrap_err();
        assert_eq!(error.kind, Kind::Busy);
        assert!(error.to_string().contains("`lanes.audio`"), "{error}");
        let mut patient = Box::pin(enter(Patience::Waits));
        assert!((&mut patient).now_or_never().is_none());
        drop(first);
        let third = third.await.unwrap();
        assert!(
            (&mut patient).now_or_never().is_none(),
            "the one before it took the slot"
        );
        drop(third);
        drop(patient.await.unwrap());
        assert_eq!(use_of(&lanes), (1, 0));
    }

    #[tokio::test]
    async fn a_call_that_stops_waiting_leaves_the_queue() {
        let lanes = lanes();
        let _slots = [
            lanes.enter(LaneName::Audio, Patience::Waits).await.unwrap(),
            lanes.enter(LaneName::Audio, Patience::Waits).await.unwrap(),
        ];
        let mut third = Box::pin(lanes.enter(LaneName::Audio, Patience::Places));
        assert!((&mut third).now_or_never().is_none());
        drop(third);
        assert_eq!(use_of(&lanes), (2, 0));
    }
}
