//! Learns of new jobs, and of jobs that are asked to stop, from other processes.
//!
//! One connection listens. A pooler that gives statements any connection passes no notifications on: a worker that waits asks at
//! intervals as well.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;
use tokio_util::task::AbortOnDropHandle;

use super::address::DatabaseAddress;
use super::jobs::CHANNEL;

/// How long to wait before the connection is opened again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct QueueListener {
    address: DatabaseAddress,
    heard: Arc<Notify>,
    /// Listens, once somebody waits.
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl QueueListener {
    pub(super) fn new(address: DatabaseAddress) -> Self {
        Self {
            address,
            heard: Arc::default(),
            task: Mutex::default(),
        }
    }

    /// This process itself changed a job.
    pub(super) fn tell(&self) {
        tell(&self.heard);
    }

    /// Returns when something was heard since the last time, or after `most`.
    pub(super) async fn wait(&self, most: Duration) {
        {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if task.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
                let listen = listen(self.address.clone(), Arc::clone(&self.heard));
                *task = Some(AbortOnDropHandle::new(tokio::spawn(listen)));
            }
        }
        let _ = tokio::time::timeout(most, self.heard.notified()).await;
    }
}

/// Wakes all that wait, or the next one that will.
fn tell(heard: &Notify) {
    heard.notify_waiters();
    heard.notify_one();
}

async fn listen(address: DatabaseAddress, heard: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&address, &heard).await {
            tracing::debug!("notifications of the {address} are interrupted: {error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_once(
    address: &DatabaseAddress,
    heard: &Notify,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = address.config.connect(address.tls.0.clone()).await?;
    let sql = format!("LISTEN {CHANNEL}");
    let listening = client.batch_execute(&sql);
    let mut listening = std::pin::pin!(listening);
    let mut is_listening = false;
    poll_fn(|context| {
        loop {
            if !is_listening && let std::task::Poll::Ready(done) = listening.as_mut().poll(context)
            {
                done?;
                is_listening = true;
                // What happened before is not repeated.
                tell(heard);
            }
            match connection.poll_message(context) {
                std::task::Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => tell(heard),
                std::task::Poll::Ready(Some(Ok(_))) => {}
                std::task::Poll::Ready(Some(Err(error))) => {
                    return std::task::Poll::Ready(Err(error));
                }
                std::task::Poll::Ready(None) => return std::task::Poll::Ready(Ok(())),
                std::task::Poll::Pending => return std::task::Poll::Pending,
            }
        }
    })
    .await
}
