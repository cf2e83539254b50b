//! What is told of a run while it goes on.

use std::sync::Arc;

use crate::exec::{Progress, Step};
use crate::progress::Bytes;

/// The items are counted, and the save is one more; what is looked at before counts as a part of the first.
pub(super) struct Steps {
    pub progress: Option<Progress>,
    pub total: usize,
    pub saves: bool,
}

impl Steps {
    pub(super) fn tell(&self, done: f64, message: String, bytes: Option<Bytes>) {
        if let Some(progress) = &self.progress {
            progress(Step {
                done,
                total: Some((self.total + usize::from(self.saves)) as f64),
                message,
                bytes,
            });
        }
    }

    /// Who hears of the save.
    pub(super) fn of_save(&self) -> Option<Progress> {
        let progress = self.progress.clone()?;
        let items = self.total as f64;
        Some(Arc::new(move |step: Step| {
            let part = step.total.map_or(0.0, |total| step.done / total);
            progress(Step {
                done: items + part.clamp(0.0, 1.0),
                total: Some(items + 1.0),
                message: format!("save: {}", step.message),
                bytes: step.bytes,
            });
        }))
    }
}
