//! The plan of a draft's last run, from which a later run knows which items were changed since.

use std::collections::HashMap;

use super::call::PlannedCall;
use crate::compose::layout::{self, Lengths};
use crate::compose::plan::Plan;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::{DraftRow, JobRecord};
use crate::units::Edition;

/// The key under which the plan of a draft's last run is stored.
fn key(draft: &DraftId) -> String {
    format!("plan_{draft}")
}

/// Stores the plan of a draft, so that a later run knows which items were changed since.
pub(in crate::compose) async fn remember(app: &App, draft: &DraftId, plan: &Plan) {
    let written = serde_json::to_string(plan)
        .map_err(|e| Error::internal("a plan cannot be written as JSON").source(e));
    let kept = match written {
        Ok(state) => {
            let plan = JobRecord {
                id: key(draft),
                kind: "plan".to_owned(),
                draft: Some(draft.clone()),
                state,
                finished: true,
                pid: std::process::id(),
                updated_ms: 0,
            };
            app.journal.job_put(&plan).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        tracing::warn!(draft = draft.as_str(), %error, "the plan could not be stored for a later run");
    }
}

/// Stores the plan of a draft for the draft that continues it.
pub(in crate::compose) async fn copy(app: &App, from: &DraftId, to: &DraftId) -> Result<()> {
    if let Some(plan) = of(app, from).await? {
        remember(app, to, &plan).await;
    }
    Ok(())
}

/// The plan of the last run of a draft.
pub(in crate::compose) async fn of(app: &App, draft: &DraftId) -> Result<Option<Plan>> {
    let kept = app.journal.job_get(&key(draft)).await?;
    // A plan of another version may have another form: then only the journal is used.
    Ok(kept.and_then(|kept| serde_json::from_str(&kept.state).ok()))
}

/// The calls that the last run of the draft required, by the path of their item.
pub(super) async fn asked_before(
    app: &App,
    row: &DraftRow,
    edition: Edition,
    lengths: &Lengths,
) -> Result<HashMap<String, PlannedCall>> {
    let Some(plan) = of(app, &row.id).await? else {
        return Ok(HashMap::new());
    };
    let (items, _) = plan.items();
    let items = layout::lay_out(items, lengths, true);
    Ok(items
        .iter()
        .filter_map(|item| Some((item.path.clone(), PlannedCall::of_item(item, edition).ok()?)))
        .collect())
}
