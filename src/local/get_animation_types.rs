//! `get_animation_types`: the names of one list, of any kind.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_catalog::{CatalogMatch, edition};
use crate::args::input_rule::InputRule;
use crate::catalog::{self, NameKind};
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tool::Hints;
use crate::units::Edition;

/// Lists animations or transitions of one type, in pages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GetAnimationTypes {
    /// The list.
    #[serde(default = "intro")]
    #[schemars(extend("enum" = kinds()))]
    pub animation_type: String,
    /// The app. Default: that of new drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["capcut", "jianying"]))]
    pub edition: Option<String>,
    /// Names to skip.
    #[serde(default)]
    pub offset: u32,
    /// Names per page.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
}

fn intro() -> String {
    "intro".into()
}

fn hundred() -> u32 {
    100
}

/// A page of names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page {
    /// The app that has these names.
    pub edition: &'static str,
    pub names: Vec<CatalogMatch>,
    /// How many names the list has.
    pub total: usize,
    /// The `offset` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<usize>,
}

impl LocalTool for GetAnimationTypes {
    const NAME: &'static str = "get_animation_types";
    const TITLE: &'static str = "Get animation types";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("type", "animation_type"),
        InputRule::Alias("kind", "animation_type"),
    ];
    type Reply = Page;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = kind(&self.animation_type) {
            faults.push(fault.message);
        }
        if let Err(fault) = edition(self.edition.as_deref(), Edition::Capcut) {
            faults.push(fault.message);
        }
        if !(1..=1000).contains(&self.limit) {
            faults.push(format!(
                "`limit` is {}; it must be from 1 to 1000",
                self.limit
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<Page> {
        let edition = match self.edition.as_deref() {
            None => app.edition().await,
            named => edition(named, app.settings.edition)?,
        };
        let kind = kind(&self.animation_type)?;
        let entries: Vec<_> = catalog::list(edition, kind).collect();
        let start = (self.offset as usize).min(entries.len());
        let end = start.saturating_add(self.limit as usize).min(entries.len());
        Ok(Page {
            edition: edition.name(),
            names: entries[start..end]
                .iter()
                .map(|&entry| entry.into())
                .collect(),
            total: entries.len(),
            next_offset: (end < entries.len()).then_some(end),
        })
    }
}

fn kind(name: &str) -> Result<NameKind> {
    match name {
        "intro" => Ok(NameKind::VideoIntro),
        "outro" => Ok(NameKind::VideoOutro),
        "combo" => Ok(NameKind::VideoCombo),
        name => name.parse().map_err(|_| {
            Error::invalid(format!(
                "`animation_type`: {name:?} is not a type; use one of `{}`",
                kinds().join("`, `")
            ))
        }),
    }
}

/// The names of the lists, with short ones for the most common.
fn kinds() -> Vec<&'static str> {
    let mut names = vec!["intro", "outro", "combo"];
    names.extend(NameKind::ALL.map(NameKind::name));
    names
}
