//! One question at a time per source, and a memory of the answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use quick_cache::sync::Cache;

use super::Facts;
use crate::error::{Error, Result};

const REMEMBERED: Duration = Duration::from_hours(1);
/// So that a long-lived server does not grow with every source it ever saw.
const MOST: usize = 10_000;
/// Questions after which those that were given up are looked for.
const ASKING: usize = 1_000;

type Answer = Result<Arc<Facts>, Arc<Error>>;
type Question = BoxFuture<'static, Answer>;

pub(super) struct Flights {
    /// Weak: when every caller has given up, so does the question.
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
        // What was just answered is known before it is no longer asked.
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

    fn settle(&self, key: String, answer: &Answer) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // A question that was asked again in the meantime is not this one's to remove.
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
