//! One probe at a time per source, and a cache of results.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use quick_cache::sync::Cache;

use super::Facts;
use crate::error::{Error, Result};

const REMEMBERED: Duration = Duration::from_hours(1);
/// Limits the memory of a long-running server.
const MOST: usize = 10_000;
/// The number of running probes above which abandoned ones are removed.
const ASKING: usize = 1_000;

type FactsResult = Result<Arc<Facts>, Arc<Error>>;
type Question = BoxFuture<'static, FactsResult>;

pub(super) struct Flights {
    /// Weak: when all callers have given up, the probe is dropped.
    asking: Mutex<HashMap<String, WeakShared<Question>>>,
    known: Cache<String, (Arc<Facts>, Instant)>,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            asking: Mutex::default(),
            known: Cache::new(MOST),
        }
    }
}

impl Flights {
    /// The answer for `key`: from the cache, from a running probe, or from a new one.
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
        // A result is cached before its probe is removed, so one of the two is always found.
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((facts, since)) = self.known.get(key)
            && since.elapsed() < REMEMBERED
        {
            return Ok(facts);
        }
        if let Some(question) = asking.get(key).and_then(WeakShared::upgrade) {
            return Err(question);
        }
        let question: Question = ask()
            .map(|answer| answer.map(Arc::new).map_err(Arc::new))
            .boxed();
        let question = question.shared();
        if let Some(weak) = question.downgrade() {
            if asking.len() >= ASKING {
                asking.retain(|_, question| question.upgrade().is_some());
            }
            asking.insert(key.to_owned(), weak);
        }
        Err(question)
    }

    fn settle(&self, key: String, answer: &FactsResult) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // Do not remove a newer probe that was started in the meantime.
        if let Some(question) = asking.get(&key)
            && question
                .upgrade()
                .is_none_or(|question| question.peek().is_some())
        {
            asking.remove(&key);
        }
        if let Ok(facts) = answer {
            let is_known = self.known.peek(&key);
            if is_known.is_none_or(|(_, since)| since.elapsed() >= REMEMBERED) {
                self.known.insert(key, (Arc::clone(facts), Instant::now()));
            }
        }
    }
}
