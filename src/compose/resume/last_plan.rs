//! The plan of a draft's last run, from which a later run knows which items were changed since.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::PlannedCall;
use crate::compose::check;
use crate::compose::known::KnownMedia;
use crate::compose::layout;
use crate::compose::plan::Plan;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::journal::{DraftRow, KEPT};
use crate::tools::{Caller, Object};
use crate::units::Edition;

/// The key under which the plan of a draft's last run is stored.
fn key(draft: &DraftId) -> String {
    format!("plan_{draft}")
}

/// How many plans of a draft are kept: after an undo, an earlier one counts.
const PLANS: usize = 4;

/// The plan of a run.
#[derive(Serialize, Deserialize)]
pub(in crate::compose) struct RunPlan {
    pub run: Arc<str>,
    pub plan: Plan,
}

impl RunPlan {
    pub(in crate::compose) fn of(plan: &Plan, context: &Context) -> Self {
        Self {
            run: context.caller.run.clone().unwrap_or_default(),
            plan: plan.clone(),
        }
    }
}

/// Stores the plan of a run, so that a later run knows which items were changed since, instead of those of runs that were
/// undone.
pub(in crate::compose) async fn remember(
    app: &App,
    draft: &DraftId,
    new: RunPlan,
    undone: &BTreeSet<Arc<str>>,
) {
    if let Err(error) = store(app, draft, new, undone).await {
        tracing::warn!(draft = draft.as_str(), %error, "the plan could not be stored for a later run");
    }
}

/// Whether a plan is that of the last run: if it has nothing to add, it belongs to that run.
pub(in crate::compose) async fn is_last(
    app: &App,
    draft: &DraftId,
    plan: &Plan,
    undone: &BTreeSet<Arc<str>>,
) -> Result<bool> {
    let last = of(app, draft, undone).await?;
    Ok(match last {
        Some(last) => written(&last)? == written(plan)?,
        None => false,
    })
}

async fn store(
    app: &App,
    draft: &DraftId,
    new: RunPlan,
    undone: &BTreeSet<Arc<str>>,
) -> Result<()> {
    let mut plans = plans(app, draft).await?;
    plans.retain(|plan| !undone.contains(&plan.run));
    plans.truncate(PLANS - 1);
    plans.insert(0, new);
    let stored = written(&plans)?;
    let lasts = Some(KEPT);
    app.journal
        .put_value(&key(draft), stored.as_bytes(), lasts)
        .await
}

fn written(plan: &impl Serialize) -> Result<String> {
    serde_json::to_string(plan)
        .map_err(|e| Error::internal("a plan cannot be written as JSON").source(e))
}

/// Stores the plan of a draft for the draft that continues it.
pub(in crate::compose) async fn copy(app: &App, from: &DraftId, to: &DraftId) -> Result<()> {
    if let Some(last) = plans(app, from).await?.into_iter().next() {
        remember(app, to, last, &BTreeSet::new()).await;
    }
    Ok(())
}

/// The plans of the last runs of a draft, the last one first.
async fn plans(app: &App, draft: &DraftId) -> Result<Vec<RunPlan>> {
    let kept = app.journal.value(&key(draft)).await?;
    // A plan of another version may have another form: then only the journal is used.
    let plans = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
    Ok(plans.unwrap_or_default())
}

/// The plan of the last run of a draft that is not among these.
pub(in crate::compose) async fn of(
    app: &App,
    draft: &DraftId,
    undone: &BTreeSet<Arc<str>>,
) -> Result<Option<Plan>> {
    let plans = plans(app, draft).await?.into_iter();
    let mut standing = plans.filter(|plan| !undone.contains(&plan.run));
    Ok(standing.next().map(|last| last.plan))
}

/// The arguments with which the plan of the last run creates a draft.
pub(super) async fn settings_before(
    app: &App,
    row: &DraftRow,
    caller: &Caller,
    undone: &BTreeSet<Arc<str>>,
) -> Result<Option<Object>> {
    let Some(plan) = of(app, &row.id, undone).await? else {
        return Ok(None);
    };
    let arguments = check::create_arguments(&plan);
    // A plan of another version may be read differently: then only the journal is used.
    let request = check::decode("create_draft", arguments, caller).ok();
    request
        .map(|request| request.arguments_in_full())
        .transpose()
}

/// The calls that the last run of the draft required, by the path of their item.
pub(super) async fn asked_before(
    app: &App,
    row: &DraftRow,
    edition: Edition,
    lengths: &KnownMedia,
    undone: &BTreeSet<Arc<str>>,
) -> Result<HashMap<String, PlannedCall>> {
    let Some(plan) = of(app, &row.id, undone).await? else {
        return Ok(HashMap::new());
    };
    let (items, _) = plan.items();
    let items = layout::lay_out(items, lengths, true);
    Ok(items
        .iter()
        .filter_map(|item| Some((item.path.clone(), PlannedCall::of_item(item, edition).ok()?)))
        .collect())
}
