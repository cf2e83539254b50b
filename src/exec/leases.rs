//! Leases: rights that one process at a time has, among all that use a store. The turns of a draft on a CapCut API server and
//! the slots of a server are leases where processes on several machines share a store; recreating a draft always is one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::App;
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::journal::{Journal, Store};
use crate::manifest::LaneName;

/// How long a lease lasts if its process ends without releasing it.
const LASTS: Duration = Duration::from_secs(30);
/// How long the calls of one process share its lease on a draft while those of others wait for it.
const SHARED_FOR: Duration = Duration::from_secs(2);
/// How often a lease that another process has is asked for: the first wait, and the longest.
const ASKED_EVERY: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// A lease, renewed until it is released or dropped.
#[derive(Debug)]
pub(super) struct HeldLease {
    store: Arc<dyn Store>,
    who: TenantName,
    key: String,
    holder: Uuid,
    lost: Arc<AtomicBool>,
    _renewal: AbortOnDropHandle<()>,
    is_released: bool,
}

impl HeldLease {
    /// Waits until one of these leases is free, and takes it.
    pub(super) async fn take(
        store: &Arc<dyn Store>,
        who: &TenantName,
        keys: &[String],
        lasts: Duration,
    ) -> Result<Self> {
        let holder = Uuid::new_v4();
        let [mut pause, longest] = ASKED_EVERY;
        let first = fastrand::usize(..keys.len().max(1));
        loop {
            for at in 0..keys.len() {
                // Each process begins elsewhere, so that most find a free one at once.
                let key = &keys[(first + at) % keys.len()];
                if store.lease(who, key, holder, lasts).await? {
                    return Ok(Self::held(store, who, key, holder, lasts));
                }
            }
            if keys.is_empty() {
                return Err(Error::internal("there is no lease to take"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    fn held(
        store: &Arc<dyn Store>,
        who: &TenantName,
        key: &str,
        holder: Uuid,
        lasts: Duration,
    ) -> Self {
        let lost = Arc::<AtomicBool>::default();
        let renewal = {
            let (store, who, key) = (Arc::clone(store), who.clone(), key.to_owned());
            let lost = Arc::clone(&lost);
            async move {
                let mut renewed = Instant::now();
                while renewed.elapsed() < lasts {
                    tokio::time::sleep(lasts / 4).await;
                    let asked = Instant::now();
                    match store.lease(&who, &key, holder, lasts).await {
                        Ok(true) => renewed = asked,
                        Ok(false) => break,
                        // The next one tries again.
                        Err(error) => {
                            tracing::debug!("{key}: the lease could not be renewed: {error}");
                        }
                    }
                }
                lost.store(true, Ordering::Relaxed);
                tracing::warn!("{key}: the lease has ended while it was in use");
            }
        };
        Self {
            store: Arc::clone(store),
            who: who.clone(),
            key: key.to_owned(),
            holder,
            lost,
            _renewal: AbortOnDropHandle::new(tokio::spawn(renewal)),
            is_released: false,
        }
    }

    /// Whether it has ended while it was in use: another process may have it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Releases it before the next step of the caller.
    pub(super) async fn release(mut self) {
        self.is_released = true;
        if let Err(error) = self.store.release(&self.who, &self.key, self.holder).await {
            // It ends by itself.
            tracing::debug!("{}: the lease could not be released: {error}", self.key);
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        let (store, who) = (Arc::clone(&self.store), self.who.clone());
        let (key, holder) = (std::mem::take(&mut self.key), self.holder);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.release(&who, &key, holder).await {
                    tracing::debug!("{key}: the lease could not be released: {error}");
                }
            });
        }
    }
}

/// The lease on a draft that the calls of this process share, and since when.
type DraftGate = Arc<tokio::sync::Mutex<Option<(Weak<HeldLease>, Instant)>>>;

/// The leases of this process on drafts that are on servers.
#[derive(Default)]
pub(super) struct DraftLeases(Mutex<HashMap<DraftId, DraftGate>>);

impl DraftLeases {
    /// The right of this process to work on a draft; its calls share it, in the order that its turns give.
    pub(super) async fn take(&self, journal: &Journal, draft: &DraftId) -> Result<Arc<HeldLease>> {
        let gate = self.gate(draft);
        let mut held = gate.lock().await;
        if let Some((lease, since)) = &*held
            && since.elapsed() < SHARED_FOR
            && let Some(lease) = lease.upgrade()
            && !lease.is_lost()
        {
            return Ok(lease);
        }
        // Its calls end first; then the process that asked first gets it.
        while held
            .as_ref()
            .is_some_and(|(lease, _)| lease.strong_count() > 0)
        {
            tokio::time::sleep(ASKED_EVERY[0]).await;
        }
        let key = format!("turn {draft}");
        let lease = HeldLease::take(journal.store(), journal.tenant(), &[key], LASTS).await?;
        let lease = Arc::new(lease);
        *held = Some((Arc::downgrade(&lease), Instant::now()));
        Ok(lease)
    }

    fn gate(&self, draft: &DraftId) -> DraftGate {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Unused gates are removed, and recreated when needed.
        gates.retain(|_, gate| {
            Arc::strong_count(gate) > 1
                || gate.try_lock().is_ok_and(|held| {
                    let lease = held.as_ref().map(|(lease, _)| lease);
                    lease.is_some_and(|lease| lease.strong_count() > 0)
                })
        });
        Arc::clone(gates.entry(draft.clone()).or_default())
    }
}

impl App {
    /// The right to work on a draft on a server, where processes on several machines do.
    pub(super) async fn draft_lease(&self, draft: &DraftId) -> Result<Option<Arc<HeldLease>>> {
        if !self.journal.store().is_shared() {
            return Ok(None);
        }
        let wait = self.draft_leases.take(&self.journal, draft);
        let lease = self.queued(wait, "its turn on the draft").await??;
        Ok(Some(lease))
    }

    /// A slot of a server, where processes on several machines send to it: together they have the slots of one.
    pub(super) async fn server_slot(
        &self,
        server: &str,
        lane: Option<LaneName>,
    ) -> Result<Option<HeldLease>> {
        let (Some(lane), true) = (lane, self.journal.store().is_shared()) else {
            return Ok(None);
        };
        let slots = self.manifest.lane(lane).slots;
        let keys: Vec<String> = (0..slots)
            .map(|slot| format!("slot {server} {} {slot}", lane.name()))
            .collect();
        // The server is the same for all tenants.
        let local = TenantName::local();
        let wait = HeldLease::take(self.journal.store(), &local, &keys, LASTS);
        let slot = self.queued(wait, "a slot of the server").await??;
        Ok(Some(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;

    #[tokio::test]
    async fn a_lease_that_another_process_has_is_lost() {
        let journal = journal::in_memory();
        let (store, who) = (journal.store(), journal.tenant());
        let (lasts, keys) = (Duration::from_millis(40), ["turn".to_owned()]);
        let lease = HeldLease::take(store, who, &keys, lasts).await.unwrap();
        tokio::time::sleep(2 * lasts).await;
        assert!(!lease.is_lost(), "it is renewed");
        // As after the database was away for longer than the lease lasts.
        store.release(who, "turn", lease.holder).await.unwrap();
        let other = Uuid::new_v4();
        let hour = Duration::from_secs(3600);
        assert!(store.lease(who, "turn", other, hour).await.unwrap());
        while !lease.is_lost() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lease.release().await;
        assert!(store.is_leased(who, "turn").await.unwrap());
    }
}
