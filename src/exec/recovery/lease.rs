//! The exclusive right to recreate a draft, held by one process at a time.

use std::time::Duration;

use uuid::Uuid;

use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::App;

/// The exclusive right to recreate a draft, held by one process at a time.
pub(super) struct Lease {
    key: String,
    holder: Uuid,
}

impl Lease {
    /// How long the lease lasts if its process ends without releasing it.
    const LASTS: Duration = Duration::from_secs(10);
    /// How often waiting processes check whether it is free.
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    pub(super) fn of(draft: &DraftId) -> Self {
        Self {
            key: format!("recover {draft}"),
            holder: Uuid::new_v4(),
        }
    }

    /// Waits until the lease is free. The caller must check whether the draft was recreated meanwhile.
    pub(super) async fn take(&self, app: &App) -> Result<()> {
        while !app
            .journal
            .lease(&self.key, self.holder, Self::LASTS)
            .await?
        {
            tokio::time::sleep(Self::LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Runs `work` and renews the lease meanwhile.
    pub(super) async fn kept<T>(
        &self,
        app: &App,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let keep = async {
            loop {
                tokio::time::sleep(Self::LASTS / 4).await;
                // If the renewal fails, the next one tries again; `set_moved` lets only one recovery succeed.
                if let Err(error) = app.journal.lease(&self.key, self.holder, Self::LASTS).await {
                    tracing::debug!("{}: the lease could not be renewed: {error}", self.key);
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = keep => Err(Error::internal("the renewal of a lease ended")),
        }
    }

    pub(super) async fn release(&self, app: &App) {
        if let Err(error) = app.journal.release(&self.key, self.holder).await {
            tracing::debug!("{}: the lease could not be released: {error}", self.key);
        }
    }
}
