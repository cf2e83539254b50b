//! Voices, pictures, films, transcripts and texts that services and programs make: what they cost, and what happens when they fail.

mod cancelled;
mod failing;
mod fallbacks;
mod hidden;
mod killed;
mod plan_keys;
#[cfg(unix)]
mod programs;
mod spending;
mod themes;

use serde_json::{Value, json};

use crate::support::services::{KEY, Services};
use crate::support::{Client, Home};

/// A home with these sections in its settings, and the key of the stubs.
pub(crate) fn home_with(sections: &[String]) -> Home {
    let mut home = Home::embedded();
    let config = home.file("tools.toml", sections.join("\n"));
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string())
        .set("STUB_KEY", KEY);
    home
}

/// `[generate]` that permits any price, and further lines.
pub(crate) fn paid(more: &str) -> String {
    format!("[generate]\nmax_cost = \"unknown\"\n{more}\n")
}

/// A plan that is saved in the home, with these keys.
pub(crate) fn saved_plan(home: &Home, keys: &Value) -> Value {
    let folder = home.path().join("drafts");
    let mut plan = json!({
        "name": "Watch", "width": 360, "height": 640,
        "save": { "draft_folder": folder, "overwrite": true },
    });
    for (key, value) in keys.as_object().expect("keys") {
        plan[key] = value.clone();
    }
    plan
}

/// Composes a plan with further arguments of the call.
pub(crate) fn compose(client: &mut Client, plan: &Value, more: &Value) -> Result<Value, String> {
    let mut arguments = json!({ "plan": plan, "wait_s": 60, "detail": "all" });
    for (key, value) in more.as_object().into_iter().flatten() {
        arguments[key] = value.clone();
    }
    client.call("compose_draft", arguments)
}

/// Composes a plan that has to become complete.
#[track_caller]
pub(crate) fn completed(client: &mut Client, plan: &Value) -> Value {
    let reply = compose(client, plan, &json!({})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reply["status"], "complete", "{reply:#}");
    reply
}

/// What was made, as (item, by, kept).
pub(crate) fn made(reply: &Value) -> Vec<(String, String, bool)> {
    let rows = reply["report"]["made"]["assets"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.into_iter()
        .flatten()
        .map(|row| (text(&row["item"]), text(&row["by"]), row["kept"] == true))
        .collect()
}

/// Every request that the stubs received.
pub(crate) fn requests(services: &Services) -> usize {
    services.server.asked().len()
}
