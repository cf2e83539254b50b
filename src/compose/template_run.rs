//! A plan with `template`: fills the template and saves the new draft.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::made::FinishedRun;
use super::plan::{Plan, Save};
use super::report::{ItemReport, ItemStatus, RunOutcome, RunReport};
use super::resume::last_plan::{self, RunPlan};
use super::steps::Steps;
use super::template::{DraftTemplate, TOOL};
use super::{ms, query};
use crate::args::normalize::Normalized;
use crate::args::{Call, Object, to_value};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::{App, Context};

/// A run of such a plan.
pub(super) struct TemplateRun<'a> {
    pub app: &'a Arc<App>,
    pub plan: &'a Plan,
    pub template: &'a DraftTemplate,
    /// Called as soon as the draft is known.
    pub known: &'a (dyn Fn(&DraftId) + Send + Sync),
    pub context: &'a Context,
}

/// The report of a plan that was checked, and of which nothing was made.
pub(crate) fn checked(plan: &Plan) -> RunReport {
    RunReport::planned(
        plan.template.as_ref().map_or_else(Vec::new, rows),
        plan.notes.clone(),
    )
}

/// One row for each value.
fn rows(template: &DraftTemplate) -> Vec<ItemReport> {
    let values = template.values().into_iter();
    let row = |(place, value): (String, &str)| ItemReport {
        content: value.to_owned(),
        ..ItemReport::new(&place, TOOL, ItemStatus::Ok)
    };
    values.map(row).collect()
}

impl TemplateRun<'_> {
    /// Fills the template, or continues with the draft of an earlier run, and saves the draft.
    pub(super) async fn compose(&self, resume: Option<DraftId>) -> Result<RunReport> {
        let started = Instant::now();
        let is_new = resume.is_none();
        let mut report = checked(self.plan);
        let draft = match resume {
            Some(draft) => self.resumed(draft).await?,
            None => self.fill(&mut report).await?,
        };
        report.phases.create_ms = ms(started);
        (self.known)(&draft);
        report.draft_id = Some(draft.clone());
        report.backend = Some("embedded".to_owned());
        let steps = Steps {
            progress: self.context.progress.clone(),
            total: report.items.len(),
            saves: !matches!(self.plan.save, Some(Save::Whether(false))),
        };
        steps.tell(steps.total as f64, "filled the template".to_owned(), None);
        let mut made = FinishedRun {
            app: self.app,
            context: self.context,
            known: self.known,
            draft,
            is_new,
            began: 1,
            items: Vec::new(),
            report,
        };
        let verifying = Instant::now();
        let document = query(self.app, &made.draft, false, self.context).await?;
        made.report.totals.segments_in_draft = document.segments();
        made.report.phases.verify_ms = ms(verifying);
        let saving = Instant::now();
        if self.context.cancel.is_cancelled() {
            made.report.outcome = RunOutcome::Cancelled;
        } else {
            made.save(self.plan, false, steps.of_save()).await;
        }
        made.report.phases.save_ms = ms(saving);
        made.report.set_next_step();
        made.report.phases.total_ms = ms(started);
        Ok(made.report)
    }

    async fn fill(&self, report: &mut RunReport) -> Result<DraftId> {
        let name = self.plan.name.as_deref();
        let fill = self.template.fill(self.app, name, TOOL, self.context);
        let filled = tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => {
                return Err(Error::new(crate::error::Kind::Cancelled, "the run was cancelled").hint("nothing was made"));
            }
            filled = fill => filled?,
        };
        for note in &filled.notes {
            report.note(note.clone());
        }
        let mut arguments = match to_value(self.template)? {
            Value::Object(arguments) => arguments,
            _ => Object::new(),
        };
        arguments.insert("name".to_owned(), filled.name().into());
        let call = Call {
            tool: TOOL,
            arguments,
            caller: self.context.caller.clone(),
            normalized: Normalized::default(),
        };
        let draft = filled.create(self.app, &call).await?;
        let plan = RunPlan::of(self.plan, self.context);
        last_plan::remember(self.app, &draft, plan, &BTreeSet::new()).await;
        Ok(draft)
    }

    /// The draft of an earlier run, if that filled the same template with the same values.
    async fn resumed(&self, draft: DraftId) -> Result<DraftId> {
        let draft = self.app.current(&draft).await?;
        let last = last_plan::of(self.app, &draft, &BTreeSet::new()).await?;
        let template = last.and_then(|last| last.template);
        if template.as_ref() == Some(self.template) {
            return Ok(draft);
        }
        Err(Error::conflict(format!(
            "draft {draft} was not made by a run of this plan, or its template or values were changed since"
        ))
        .hint("run the plan without `resume` for a new draft, or change this one with `edit_draft`"))
    }
}
