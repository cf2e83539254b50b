//! `providers`: lists the services and programs that make voices, pictures and films, and tests them.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::breaker::BreakerStatus;
use crate::cli;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::providers::{Maker, Provider, rounded};

/// Lists the providers of voices, pictures, films, transcripts and texts, and tests them.
///
/// They are configured below `[providers.NAME]` in `tools.toml`; docs/generating.md has all keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp providers              what is configured, and which keys are missing
  capcut-mcp providers test         asks each service whether it accepts the key; costs nothing
  capcut-mcp providers test voice   the same for one")]
pub(super) struct ProvidersCommand {
    #[command(subcommand)]
    action: Option<ProvidersAction>,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ProvidersAction {
    /// Checks addresses, keys and programs with requests that cost nothing.
    Test {
        /// A provider; all if none is named.
        name: Option<String>,
    },
}

/// What is said about a provider.
#[derive(Debug, Serialize)]
struct ProviderRow {
    name: String,
    kind: &'static str,
    makes: &'static str,
    model: String,
    address: String,
    price: String,
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    fallback: String,
    ok: bool,
    state: String,
}

impl ProvidersCommand {
    pub(super) async fn run(self, app: &Arc<App>) -> anyhow::Result<ExitCode> {
        let maker = app
            .maker
            .as_ref()
            .ok_or_else(|| Error::invalid("there is no data folder").hint("set `--data-dir`"))?;
        let (name, tests) = match &self.action {
            Some(ProvidersAction::Test { name }) => (name.as_deref(), true),
            None => (None, false),
        };
        if let Some(name) = name
            && !maker
                .providers
                .all()
                .any(|provider| provider.name() == name)
        {
            let known: Vec<&str> = maker.providers.all().map(|known| known.name()).collect();
            return Err(Error::invalid(format!("there is no provider {name:?}"))
                .hint(if known.is_empty() {
                    "none is configured: docs/generating.md has examples".to_owned()
                } else {
                    format!("there are: {}", known.join(", "))
                })
                .into());
        }
        let mut rows = Vec::new();
        for provider in maker.providers.all() {
            if name.is_none_or(|name| provider.name() == name) {
                rows.push(row(maker, provider, tests).await);
            }
        }
        let all = rows.iter().all(|row| row.ok);
        let text = if self.json {
            cli::json_text(&json!({ "ok": all, "providers": rows }))
        } else {
            as_text(&rows, app, maker.spent().await?)
        };
        cli::print(&text)?;
        Ok(ExitCode::from(u8::from(!all)))
    }
}

async fn row(maker: &Maker, provider: &Arc<Provider>, tests: bool) -> ProviderRow {
    let section = provider.section();
    let state = state(maker, provider, tests).await;
    let price = match section.price {
        None => "unknown".to_owned(),
        Some(price) => {
            let parts = [
                (price.per_call, "each"),
                (price.per_1000_characters, "per 1,000 characters"),
                (price.per_second, "per second"),
            ];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(amount, _)| *amount > 0.0)
                .map(|(amount, unit)| format!("{amount} {unit}"))
                .collect();
            if parts.is_empty() {
                "free".to_owned()
            } else {
                parts.join(" + ")
            }
        }
    };
    ProviderRow {
        name: provider.name().to_owned(),
        kind: section.kind().name(),
        makes: section.makes().name(),
        model: section.model.clone(),
        address: match section.command.first() {
            Some(program) => program.clone(),
            None => section.base_url().to_owned(),
        },
        price,
        default: section.default,
        fallback: section.fallback.clone(),
        ok: state.is_ok(),
        state: state.unwrap_or_else(|error| {
            let hint = error
                .next_step()
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{}{hint}", error.message)
        }),
    }
}

/// What is known of a provider without, or with, a request that costs nothing.
async fn state(maker: &Maker, provider: &Arc<Provider>, tests: bool) -> Result<String> {
    provider.ready()?;
    if tests {
        return maker.providers.test(provider).await;
    }
    Ok(match provider.breaker_status() {
        BreakerStatus::Closed => "configured; not tested",
        BreakerStatus::Open | BreakerStatus::HalfOpen => "failed several times in a row",
    }
    .to_owned())
}

fn as_text(rows: &[ProviderRow], app: &App, spent: f64) -> String {
    if rows.is_empty() {
        return "no providers are configured: voices, pictures and films are made by services or programs that \
                you name below `[providers.NAME]` in `tools.toml`; docs/generating.md has examples\n"
            .to_owned();
    }
    let mut text = String::new();
    for row in rows {
        let mark = if row.ok { "ok" } else { "NOT OK" };
        let _ = write!(
            text,
            "{}: {} by {} ({}{}), price {}: {mark}, {}",
            row.name,
            row.makes,
            row.kind,
            row.address,
            if row.model.is_empty() {
                String::new()
            } else {
                format!(", {}", row.model)
            },
            row.price,
            row.state
        );
        if row.default {
            text.push_str("; used by default");
        }
        if !row.fallback.is_empty() {
            let _ = write!(text, "; {} stands in for it", row.fallback);
        }
        text.push('\n');
    }
    let limits = &app.manifest.generate;
    let _ = writeln!(
        text,
        "a run makes {} voices and {} pictures or films at the same time; without `max_cost` in a call, it may spend {}",
        limits.voices,
        limits.pictures,
        limits.max_cost.text(&limits.currency)
    );
    let budget = if limits.budget > 0.0 {
        format!(" of {} {}", limits.budget, limits.currency)
    } else {
        ", without a limit".to_owned()
    };
    let _ = writeln!(
        text,
        "spent in the last {} days: {} {}{budget}",
        limits.budget_days,
        rounded(spent),
        limits.currency
    );
    text
}
