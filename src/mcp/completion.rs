//! Completion: what a client offers while the user types an argument of a prompt or the id of a draft.

use std::time::Duration;

use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};

use super::{prompts, resources};
use crate::catalog;
use crate::error::{Error, Result, shortened};
use crate::exec::App;

/// A server that does not answer must not delay the list: the user is typing.
const EDITION_WAIT: Duration = Duration::from_secs(1);

/// The drafts that are searched, the most recently changed first.
const DRAFTS: usize = 1000;

/// The values that fit what was typed so far; at most as many as the protocol allows.
pub(super) async fn complete(app: &App, request: &CompleteRequestParams) -> Result<CompletionInfo> {
    let typed = request.argument.value.trim();
    let argument = request.argument.name.as_str();
    let values = match &request.r#ref {
        Reference::Resource(template) => {
            let templates = [resources::DRAFT_TEMPLATE, resources::CLIPS_TEMPLATE];
            if !templates.contains(&&*template.uri) || argument != "draft_id" {
                return Err(Error::not_found(format!(
                    "\"{}\" has no argument `{}`",
                    shortened(&template.uri),
                    shortened(argument)
                ))
                .hint(format!("the templates are `{}`", templates.join("` and `"))));
            }
            drafts(app, typed, false).await?
        }
        Reference::Prompt(prompt) => match prompts::values(&prompt.name, argument)? {
            prompts::Values::Free => Vec::new(),
            prompts::Values::Choices(choices) => choices
                .iter()
                .filter(|choice| choice.starts_with(typed))
                .map(|choice| (*choice).to_owned())
                .collect(),
            prompts::Values::Names(kind) => {
                let edition = tokio::time::timeout(EDITION_WAIT, app.edition()).await;
                let edition = edition.unwrap_or(app.settings.edition);
                catalog::search(typed, &[kind], edition, &[])
                    .iter()
                    .map(|hit| hit.entry.key.to_owned())
                    .collect()
            }
            prompts::Values::Drafts => drafts(app, typed, true).await?,
        },
        // Kinds of references that later protocol versions may add.
        _ => Vec::new(),
    };
    page(values)
}

/// Drafts whose name or id contains the text: their ids, with `names` preceded by the names that are unique.
async fn drafts(app: &App, typed: &str, names: bool) -> Result<Vec<String>> {
    let query = Some(typed).filter(|text| !text.is_empty());
    let rows = app.journal.list(false, DRAFTS, query).await?;
    let mut values = Vec::new();
    if names {
        let count = |name: &str| rows.iter().filter(|row| row.name == name).take(2).count();
        // A name that several drafts have does not say which draft is meant.
        values.extend(
            rows.iter()
                .map(|row| row.name.as_str())
                .filter(|name| !name.is_empty() && count(name) == 1)
                .map(str::to_owned),
        );
    }
    values.extend(rows.into_iter().map(|row| row.id.0));
    Ok(values)
}

fn page(mut values: Vec<String>) -> Result<CompletionInfo> {
    let total = u32::try_from(values.len()).ok();
    let more = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(values, total, more).map_err(Error::internal)
}
