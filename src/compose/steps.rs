//! Progress reports of a run.

use std::sync::Arc;

use crate::exec::{Progress, Step};
use crate::progress::Bytes;

/// Each item is one step, and the save is one more. Probing media counts as a part of the first step.
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

    /// The receiver of the save's progress.
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
