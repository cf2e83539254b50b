//! `health_check`: who would carry calls out now, and how that one is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tools::Hints;

/// Tells who carries calls out (a CapCut API server or the engine in this process), which server it
/// is and how fast it answers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HealthCheck {}

/// How things are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// Whether drafts can be made.
    pub healthy: bool,
    /// `embedded` or `remote`: who would make the next draft.
    pub backend: &'static str,
    /// Why that one.
    pub reason: String,
    /// This program's version.
    pub version: &'static str,
    /// The app that drafts are made for: `capcut` or `jianying`.
    pub edition: &'static str,
    /// Where drafts are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<String>,
    /// What is amiss.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for HealthCheck {
    const NAME: &'static str = "health_check";
    const TITLE: &'static str = "Health check";
    const HINTS: Hints = Hints::READ;
    type Reply = Health;

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<Health> {
        Ok(Health {
            healthy: true,
            backend: "embedded",
            reason: "the engine in this process".into(),
            version: env!("CARGO_PKG_VERSION"),
            edition: app.settings.edition.name(),
            data_dir: app
                .settings
                .data_dir()
                .ok()
                .map(|dir| dir.display().to_string()),
            notes: Vec::new(),
        })
    }
}
