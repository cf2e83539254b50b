//! `tools`: lists the tools as text or as JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::args::input_rule::{InputRule, ToolTimes};
use crate::cli;
use crate::cli::completions::tool_name;
use crate::compose::schema as plan_schema;
use crate::error::Result;
use crate::local;
use crate::mcp::tool_set;
use crate::tool::Spec;

/// Lists the tools, or the parameters of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp tools                     every tool in one sentence
  capcut-mcp tools add_text            the parameters of one
  capcut-mcp tools add_text --json     its schemas, as MCP clients receive them
  capcut-mcp tools --json | jq length  all of them, for programs
  capcut-mcp tools --plan-schema > plan.schema.json")]
pub(super) struct Tools {
    /// A tool. Default: all.
    #[arg(value_parser = tool_name(), hide_possible_values = true)]
    tool: Option<String>,
    /// Prints JSON, in the form of MCP's `tools/list`.
    #[arg(long)]
    json: bool,
    /// Prints the JSON Schema of a plan for `compose`, for editors.
    #[arg(long, conflicts_with_all = ["tool", "json"])]
    plan_schema: bool,
}

impl Tools {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let text = match &self.tool {
            None if self.plan_schema => format!("{:#}", plan_schema::schema()),
            None if self.json => {
                let tools: Vec<_> = local::all().map(as_json).collect();
                cli::json_text(&Value::Array(tools))
            }
            None => list(),
            Some(name) => {
                let spec = find(name)?;
                if self.json {
                    cli::json_text(&as_json(spec))
                } else {
                    details(spec)
                }
            }
        };
        cli::print(&text)
    }
}

fn find(name: &str) -> Result<&'static Spec> {
    local::find(name).ok_or_else(|| cli::unknown_tool(name))
}

fn as_json(spec: &Spec) -> Value {
    json!({
        "name": spec.name,
        "title": spec.title,
        "description": spec.description(),
        "inputSchema": *spec.listed_input(),
        "outputSchema": *spec.listed_output(),
        "annotations": {
            "readOnlyHint": spec.hints.read_only,
            "destructiveHint": spec.hints.destructive,
            "idempotentHint": spec.hints.idempotent,
            "openWorldHint": spec.hints.open_world,
        },
    })
}

fn list() -> String {
    let width = local::all().map(|spec| spec.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for spec in local::all() {
        let sentence = first_sentence(spec.description());
        line(&mut text, &format!("{:width$}  {sentence}", spec.name));
    }
    line(&mut text, "\nProfiles for `serve --tools`:");
    for (name, about) in tool_set::profiles() {
        line(&mut text, &format!("{name:9}{about}"));
    }
    line(
        &mut text,
        "\n`capcut-mcp tools NAME` shows the parameters of one.",
    );
    text
}

/// The profiles that list a tool.
fn profiles(spec: &Spec) -> Vec<&'static str> {
    let names = tool_set::profiles().map(|(name, _)| name);
    names.filter(|name| tool_set::lists(name, spec)).collect()
}

fn details(spec: &Spec) -> String {
    let mut text = String::new();
    line(&mut text, &format!("{}: {}\n", spec.name, spec.title));
    line(&mut text, spec.description());
    let profiles = profiles(spec).join(", ");
    line(&mut text, &format!("\nProfiles: {profiles}"));
    let input = spec.input();
    let required: Vec<_> = input
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = input.get("properties").and_then(Value::as_object) else {
        return text;
    };
    if properties.is_empty() {
        line(&mut text, "\nIt takes no arguments.");
        return text;
    }
    for (name, schema) in properties {
        let mut facts = vec![kind(schema)];
        if required.contains(&name.as_str()) {
            facts.push("required".to_owned());
        }
        if let Some(default) = schema.get("default") {
            facts.push(format!("default {default}"));
        }
        facts.extend(allowed(schema));
        line(&mut text, &format!("\n{name} ({})", facts.join(", ")));
        let described = schema.get("description").and_then(Value::as_str);
        for row in described.unwrap_or_default().lines() {
            line(&mut text, &format!("    {row}"));
        }
    }
    let rules = spec.input_rules.iter();
    let aliases: Vec<_> = rules.filter_map(|rule| described(*rule)).collect();
    if !aliases.is_empty() {
        line(&mut text, "\nAlso accepted:");
        for (alias, meaning) in aliases {
            line(&mut text, &format!("    {alias} for {meaning}"));
        }
    }
    text
}

/// The type of an argument, in a word.
fn kind(schema: &Value) -> String {
    let of = |schema: &Value| {
        schema
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("any")
            .to_owned()
    };
    match (of(schema).as_str(), schema.get("items")) {
        ("array", Some(items)) => format!("list of {}", of(items)),
        ("array", None) => "list".to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

/// The allowed values of an argument, unless all of its type are.
fn allowed(schema: &Value) -> Option<String> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().map(Value::to_string).collect();
        return Some(values.join(" | "));
    }
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

fn first_sentence(description: &str) -> String {
    let paragraph = description.split("\n\n").next().unwrap_or_default();
    let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.find(". ") {
        Some(end) => text[..=end].to_owned(),
        None => text,
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

/// The table of tools in the documents.
#[cfg(test)]
pub(crate) fn tool_table() -> String {
    let mut text = String::from("| tool | profiles | what it does |\n|---|---|---|\n");
    for spec in local::all() {
        let sentence = first_sentence(spec.description()).replace('|', "\\|");
        let profiles = format!("`{}`", profiles(spec).join("`, `"));
        line(
            &mut text,
            &format!("| `{}` | {profiles} | {sentence} |", spec.name),
        );
    }
    text
}

/// The documents' table of aliases and alternative notations.
#[cfg(test)]
pub(crate) fn alias_table() -> String {
    let mut rows: Vec<((String, String), Vec<&str>)> = Vec::new();
    for spec in local::all() {
        for rule in spec.input_rules {
            let Some(row) = described(*rule) else {
                continue;
            };
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, tools)) => tools.push(spec.name),
                None => rows.push((row, vec![spec.name])),
            }
        }
    }
    let mut text = String::from("| accepted | stands for | tools |\n|---|---|---|\n");
    for ((alias, meaning), tools) in rows {
        let tools: Vec<_> = tools.iter().map(|tool| format!("`{tool}`")).collect();
        line(
            &mut text,
            &format!("| {alias} | {meaning} | {} |", tools.join(", ")),
        );
    }
    text
}

/// Describes an alias or notation: what is accepted, and what it stands for.
fn described(rule: InputRule) -> Option<(String, String)> {
    let (accepted, meaning) = match rule {
        InputRule::Alias(alias, argument) | InputRule::Shown(alias, argument) => {
            return Some((format!("`{alias}`"), format!("`{argument}`")));
        }
        InputRule::Size => (
            "`resolution` (\"1920x1080\"), `aspect_ratio` (\"9:16\")",
            "`width` and `height`",
        ),
        InputRule::FrameRate => ("`fps` (\"60 fps\")", "frames per second"),
        InputRule::Position => (
            "`position` (\"center\", \"bottom\", …, or `{x, y, width, height}` in pixels)",
            "`transform_x`, `transform_y`, `scale_x`, `scale_y`",
        ),
        InputRule::Caption => (
            "`subtitle_text` with `start_time` and `end_time`",
            "one caption as `srt`",
        ),
        InputRule::Times(ToolTimes::File) => (
            "`to` (the end on the timeline)",
            "`duration`, times `speed`",
        ),
        InputRule::Times(ToolTimes::Span { .. }) => ("`duration`", "`end`, from `start` on"),
        InputRule::Letters => (
            "`bold`, `italic`, `underline`",
            "`text_styles` of the whole text",
        ),
        InputRule::Intensity => (
            "`intensity` (0 to 1, 0 to 100, or \"80%\")",
            "the parameter that is the strength of the effect",
        ),
        InputRule::Unlisted(_) => (
            "`easing` (\"in\", \"out\", \"in_out\", or `[x1, y1, x2, y2]`)",
            "how the value moves to the next keyframe; default: in a straight line",
        ),
        InputRule::Layers => (
            "`filter`",
            "`effect_type`, with `effect_category` \"filter\"",
        ),
        InputRule::Properties(_) => (
            "other properties of clips, also in one object `properties`",
            "what `docs/editing-drafts.md` lists for the kind of clip",
        ),
        InputRule::Rare(_)
        | InputRule::Default(..)
        | InputRule::With(..)
        | InputRule::Advice(..)
        | InputRule::Slots(..)
        | InputRule::ValueAdvice(..) => return None,
    };
    Some((accepted.to_owned(), meaning.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_details_list_types_defaults_ranges_and_aliases() {
        let text = details(find("create_draft").expect("the tool"));
        for expected in [
            "create_draft: Create draft",
            "width (number",
            "default 1080",
            "16 to 16384",
            "`title` for `name`",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
    }

    #[test]
    fn the_list_has_one_sentence_per_tool() {
        let text = list();
        for spec in local::all() {
            let line = text.lines().find(|line| line.starts_with(spec.name));
            let sentence = line.expect(spec.name)[spec.name.len()..].trim();
            assert!(sentence.ends_with('.'), "{}: {sentence}", spec.name);
        }
    }

    #[test]
    fn a_tool_as_json_is_what_mcp_lists() {
        let json = as_json(find("create_draft").expect("the tool"));
        assert_eq!(json["name"], "create_draft");
        assert_eq!(json["inputSchema"]["type"], "object");
        assert_eq!(json["annotations"]["readOnlyHint"], false);
    }

    #[test]
    fn an_unknown_tool_is_reported_with_similar_names() {
        let error = find("creat_draft").err().expect("no such tool");
        assert!(error.to_string().contains("`create_draft`"), "{error}");
    }

    #[test]
    fn the_first_sentence_ends_at_its_full_stop() {
        assert_eq!(first_sentence("Adds a clip.\n\nMore."), "Adds a clip.");
        assert_eq!(first_sentence("Adds\na clip. And more."), "Adds a clip.");
        assert_eq!(first_sentence("Takes 1.5 s."), "Takes 1.5 s.");
    }
}
