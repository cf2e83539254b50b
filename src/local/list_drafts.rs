//! `list_drafts`: the drafts in this machine's journal and in the apps' folders, newest change first.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::engine::marker::Marker;
use crate::engine::paths::is_windows;
use crate::error::{Error, Result};
use crate::exec::drafts::{AppDraft, in_apps};
use crate::exec::{App, Context};
use crate::journal::{DraftRow, ENGINE};
use crate::lint::{self, FolderState};
use crate::local::LocalTool;
use crate::tool::Hints;

/// Lists drafts, last changed first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ListDrafts {
    /// In this program, or in the apps, for `open_draft`.
    #[serde(default, rename = "where")]
    pub place: DraftPlace,
    /// Part of name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Drafts per page.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Drafts to skip.
    #[serde(default)]
    pub offset: u32,
    /// Include deleted drafts.
    #[serde(default)]
    pub include_deleted: bool,
}

/// Where drafts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum DraftPlace {
    /// In this program.
    #[default]
    Here,
    /// In a folder of an app.
    App,
    All,
}

fn twenty() -> u32 {
    20
}

/// The drafts, newest change first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DraftList {
    pub drafts: Vec<ListedDraft>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A draft in the list.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ListedDraft {
    /// Absent for drafts of an app that this program did not save.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<String>,
    /// Its name; empty if it has none.
    pub name: String,
    /// `embedded` or `remote`: where the draft is; absent for drafts of an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<&'static str>,
    /// The server that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `capcut` or `jianying`; absent if the server does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// When it was created, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// When it last changed, in seconds since 1970.
    pub modified: i64,
    /// How many calls it consists of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// The folder it was last saved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_to: Option<String>,
    /// Whether it is in the trash.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The draft that it continues as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The folder of a draft of an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The length of a draft of an app in seconds, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether the app encrypted it, so that it cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

impl From<DraftRow> for ListedDraft {
    fn from(row: DraftRow) -> Self {
        let embedded = row.origin == ENGINE;
        Self {
            draft_id: Some(row.id.0),
            name: row.name,
            backend: Some(if embedded { "embedded" } else { "remote" }),
            server: (!embedded).then_some(row.origin),
            edition: Some(row.edition).filter(|edition| !edition.is_empty()),
            created: Some(row.created_ms / 1000),
            modified: row.modified_ms / 1000,
            calls: Some(row.calls),
            saved_to: row.saved_to,
            deleted: row.deleted_ms.is_some(),
            moved_to: row.moved_to.map(|(_, id)| id.0),
            ..Self::default()
        }
    }
}

impl From<AppDraft> for ListedDraft {
    fn from(draft: AppDraft) -> Self {
        Self {
            name: draft.name,
            edition: draft.edition.map(|edition| edition.name().to_owned()),
            modified: i64::try_from(draft.modified).unwrap_or(i64::MAX),
            folder: Some(draft.folder.to_string_lossy().into_owned()),
            ..Self::default()
        }
    }
}

impl ListedDraft {
    /// Reads what the list shows of a draft of an app.
    fn look(&mut self) {
        let Some(folder) = self.folder.as_ref().map(Path::new) else {
            return;
        };
        let FolderState {
            duration,
            encrypted,
        } = lint::state(folder);
        self.draft_id = Marker::read(folder).map(|marker| marker.draft);
        self.duration = duration;
        self.encrypted = Some(encrypted);
    }
}

impl LocalTool for ListDrafts {
    const NAME: &'static str = "list_drafts";
    const TITLE: &'static str = "List drafts";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("limit"),
        InputRule::Rare("offset"),
        InputRule::Alias("name", "query"),
    ];
    type Reply = DraftList;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=1000).contains(&self.limit) {
            faults.push(format!(
                "`limit` is {}; it must be from 1 to 1000",
                self.limit
            ));
        }
        let query = self.query.as_deref().unwrap_or_default();
        if Path::new(query).is_absolute() || is_windows(query) {
            faults.push(format!(
                "`query` is part of a name or an id, not a folder as {query:?}: `validate_draft` checks the draft in a folder"
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<DraftList> {
        let (limit, offset) = (self.limit as usize, self.offset as usize);
        let asked = limit.saturating_add(offset);
        let query = self.query.as_deref();
        let mut drafts: Vec<ListedDraft> = Vec::new();
        if self.place != DraftPlace::App {
            let rows = app.journal.list(self.include_deleted, asked, query).await?;
            drafts.extend(rows.into_iter().map(ListedDraft::from));
        }
        let mut notes = Vec::new();
        if self.place != DraftPlace::Here {
            let found = in_apps(app, &context.caller).await?;
            if found.is_empty() {
                notes.push(
                    "there are no drafts of an app in a folder that may be read here; `drafts_dir` in `tools.toml` sets the folder"
                        .to_owned(),
                );
            }
            let query = query.unwrap_or_default().trim().to_lowercase();
            let found = found.into_iter().map(ListedDraft::from);
            drafts.extend(found.filter(|draft| draft.name.to_lowercase().contains(&query)));
            drafts.sort_by_key(|draft| Reverse(draft.modified));
        }
        let drafts = drafts.into_iter().skip(offset).take(limit);
        let mut drafts: Vec<ListedDraft> = drafts.collect();
        if drafts.iter().any(|draft| draft.folder.is_some()) {
            let looked = tokio::task::spawn_blocking(move || {
                drafts.iter_mut().for_each(ListedDraft::look);
                drafts
            });
            drafts = looked
                .await
                .map_err(|error| Error::internal("the drafts could not be read").source(error))?;
        }
        Ok(DraftList { drafts, notes })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_is_not_a_part_of_a_name() {
        let faults = |query: &str| {
            let call: ListDrafts = serde_json::from_value(json!({ "query": query })).unwrap();
            call.faults()
        };
        for folder in ["/Users/me/Movies/CapCut/trip", r"C:\Users\me\trip"] {
            let told = faults(folder);
            assert!(
                told.len() == 1 && told[0].contains("validate_draft"),
                "{told:?}"
            );
        }
        assert_eq!(faults("trip"), Vec::<String>::new());
    }
}
