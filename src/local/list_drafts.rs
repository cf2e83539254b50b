//! `list_drafts`: the drafts in this machine's journal, newest change first.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::engine::paths::is_windows;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::journal::{DraftRow, ENGINE};
use crate::local::LocalTool;
use crate::tool::Hints;

/// Lists drafts made with capcut-mcp, last changed first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ListDrafts {
    /// Only drafts whose name or id contains this.
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

fn twenty() -> u32 {
    20
}

/// The drafts, newest change first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DraftList {
    pub drafts: Vec<ListedDraft>,
}

/// A draft in the list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ListedDraft {
    pub draft_id: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// `embedded` or `remote`: where the draft is.
    pub backend: &'static str,
    /// The server that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `capcut` or `jianying`; absent if the server does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// When it was created, in seconds since 1970.
    pub created: i64,
    /// When it last changed, in seconds since 1970.
    pub modified: i64,
    /// How many calls it consists of.
    pub calls: u64,
    /// The folder it was last saved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_to: Option<String>,
    /// Whether it is in the trash.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The draft that it continues as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

impl From<DraftRow> for ListedDraft {
    fn from(row: DraftRow) -> Self {
        let embedded = row.origin == ENGINE;
        Self {
            draft_id: row.id.0,
            name: row.name,
            backend: if embedded { "embedded" } else { "remote" },
            server: (!embedded).then_some(row.origin),
            edition: Some(row.edition).filter(|edition| !edition.is_empty()),
            created: row.created_ms / 1000,
            modified: row.modified_ms / 1000,
            calls: row.calls,
            saved_to: row.saved_to,
            deleted: row.deleted_ms.is_some(),
            moved_to: row.moved_to.map(|(_, id)| id.0),
        }
    }
}

impl LocalTool for ListDrafts {
    const NAME: &'static str = "list_drafts";
    const TITLE: &'static str = "List drafts";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[InputRule::Alias("name", "query")];
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

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<DraftList> {
        let (limit, offset) = (self.limit as usize, self.offset as usize);
        let asked = limit.saturating_add(offset);
        let query = self.query.as_deref();
        let rows = app.journal.list(self.include_deleted, asked, query).await?;
        let drafts = rows.into_iter().skip(offset).map(ListedDraft::from);
        Ok(DraftList {
            drafts: drafts.collect(),
        })
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
