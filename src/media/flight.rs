//! One question at a time per source, and a memory of the answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};

use super::Facts;
use crate::error::{Error, Result};

const REMEMBERED: Duration = Duration::from_hours(1);
/// So that a long-lived server does not grow with every source it ever saw.
const MOST: usize = 10_000;

type Answer = Result<Arc<Facts>, Arc<Error>>;
type Question = BoxFuture<'static, Answer>;

#[derive(Default)]
pub(super) struct Flights {
    slots: Mutex<HashMap<String, Slot>>,
}

enum Slot {
    /// Weak: when every caller has given up, so does the question.
    Asking(WeakShared<Question>),
    Known(Arc<Facts>, Instant),
}

impl Flights {
    /// The answer to `key`, from memory, from whoever is asking already, or by asking.
    pub(crate) async fn get<F>(
        &self,
        key: String,
        ask: impl FnOnce() -> F + Send,
    ) -> Result<Arc<Facts>>
    where
        F: Future<Output = Result<Facts>> + Send + 'static,
    {
        let question = match self.join(&key, ask) {
            Ok(facts) => return Ok(facts),
            Err(question) => question,
        };
        let answer = question.await;
        self.settle(key, &answer);
        answer.map_err(|error| error.again())
    }

    fn join<F>(&self, key: &str, ask: impl FnOnce() -> F) -> Result<Arc<Facts>, Shared<Question>>
    where
        F: Future<Output = Result<Facts>> + Send + 'static,
    {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(key) {
            Some(Slot::Known(facts, since)) if since.elapsed() < REMEMBERED => {
                return Ok(Arc::clone(facts));
            }
            Some(Slot::Asking(question)) => {
                if let Some(question) = question.upgrade() {
                    return Err(question);
                }
            }
            _ => {}
        }
        let question: Question = ask()
            .map(|answer| answer.map(Arc::new).map_err(Arc::new))
            .boxed();
        let question = question.shared();
        if let Some(weak) = question.downgrade() {
            if slots.len() >= MOST {
                forget(&mut slots);
            }
            slots.insert(key.to_owned(), Slot::Asking(weak));
        }
        Err(question)
    }

    fn settle(&self, key: String, answer: &Answer) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(facts) => {
                if !matches!(slots.get(&key), Some(Slot::Known(..))) {
                    slots.insert(key, Slot::Known(Arc::clone(facts), Instant::now()));
                }
            }
            // A question that was asked anew in the meantime is not this one's to remove.
            Err(_) => {
                if let Some(Slot::Asking(question)) = slots.get(&key)
                    && question.upgrade().is_none_or(|q| q.peek().is_some())
                {
                    slots.remove(&key);
                }
            }
        }
    }
}

/// Drops what is over or old; if that is not enough, every answer.
fn forget(slots: &mut HashMap<String, Slot>) {
    slots.retain(|_, slot| match slot {
        Slot::Asking(question) => question.upgrade().is_some(),
        Slot::Known(_, since) => since.elapsed() < REMEMBERED,
    });
    if slots.len() >= MOST {
        slots.retain(|_, slot| matches!(slot, Slot::Asking(_)));
    }
}
