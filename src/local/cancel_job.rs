//! `cancel_job`: stops a job and reports what it has done.

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

/// Stops a job and reports what it has done; its draft can be resumed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CancelJob {
    /// The job.
    pub job_id: String,
}

impl LocalTool for CancelJob {
    const NAME: &'static str = "cancel_job";
    const TITLE: &'static str = "Cancel job";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: true,
        open_world: false,
    };
    type Reply = JobReply;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let mut state = app
            .jobs
            .cancel(&self.job_id, Duration::from_secs(10))
            .await?;
        if let Some(result) = &mut state.result {
            let draft = state.draft_id.as_ref();
            app.link_again(result, draft, &context.caller).await;
        }
        Ok(JobReply::of(&self.job_id, state, Detail::Failures))
    }
}
