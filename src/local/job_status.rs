//! `job_status`: the progress of a job.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compose::report::Detail;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::local::compose_draft::JobReply;
use crate::tool::Hints;

/// Reports the progress or the result of a job, item by item.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct JobStatus {
    /// The job.
    pub job_id: String,
    /// Seconds to wait for its end.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub wait_s: f64,
    /// "failures" or "all" items of a composed draft.
    #[serde(default)]
    pub detail: Detail,
}

impl LocalTool for JobStatus {
    const NAME: &'static str = "job_status";
    const TITLE: &'static str = "Job status";
    const HINTS: Hints = Hints::READ;
    type Reply = JobReply;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let wait = Duration::from_secs_f64(self.wait_s.clamp(0.0, 3600.0));
        let mut state = tokio::select! {
            state = app.jobs.wait(&self.job_id, wait) => state?,
            () = context.cancel.cancelled() => app.jobs.wait(&self.job_id, Duration::ZERO).await?,
        };
        if let Some(result) = &mut state.result {
            let draft = state.draft_id.as_ref();
            app.link_again(result, draft, &context.caller).await;
        }
        Ok(JobReply::of(&self.job_id, state, self.detail))
    }
}
