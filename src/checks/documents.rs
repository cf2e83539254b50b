//! The generated parts of `docs`: compared with the code, written with `UPDATE=1`.

mod examples;
mod generating;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use capcut_draft::{ClipKind, PROPERTIES, Property, PropertyDefault};
use capcut_scene::DRAWN;
use serde_json::Value;

use super::check_section;
use crate::args::property;
use crate::cli::{self, tools};
use crate::compose::schema;
use crate::compose::section::Section;
use crate::local;
use crate::tool::Spec;

/// A cell of a table.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

/// The type of a value in words, with its range or choices.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices = choices.iter().filter(|choice| !choice.is_null());
        let choices: Vec<String> = choices.map(|choice| format!("`{choice}`")).collect();
        return choices.join(", ");
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(kinds) = schema[key].as_array() {
            let mut kinds: Vec<String> = kinds.iter().map(kind).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
    }
    let name = match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        Value::String(kind) => kind.clone(),
        _ => "any".to_owned(),
    };
    let name = match (name.as_str(), &schema["items"]) {
        ("array", Value::Object(_)) => format!("list of {}", kind(&schema["items"])),
        ("array", _) => "list".to_owned(),
        _ => name,
    };
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(least), Value::Number(most)) => format!("{name}, {least} to {most}"),
        (Value::Number(least), _) => format!("{name}, at least {least}"),
        (_, Value::Number(most)) => format!("{name}, at most {most}"),
        _ => name,
    }
}

/// A row for each property: its name, type and meaning.
fn properties(schema: &Value) -> String {
    table(schema, None)
}

/// A row for each property, with an example of the examples for `of`.
fn table(schema: &Value, of: Option<&str>) -> String {
    let Some(properties) = schema["properties"]
        .as_object()
        .filter(|all| !all.is_empty())
    else {
        return "No parameters.\n".to_owned();
    };
    let lists = |schema: &Value, name: &str| {
        let required = schema["required"].as_array();
        required.is_some_and(|names| names.iter().any(|known| known == name))
    };
    // A file, or what is made instead.
    let other = &schema["anyOf"][1]["required"][0];
    let mut text = String::from("| name | type | meaning |");
    text.push_str(match of {
        None => "\n|---|---|---|\n",
        Some(_) => " example |\n|---|---|---|---|\n",
    });
    for (name, property) in properties {
        let mut meaning = cell(property["description"].as_str().unwrap_or_default());
        if lists(schema, name) {
            meaning = format!("**Required.** {meaning}");
        } else if let Some(other) = other.as_str().filter(|_| lists(&schema["anyOf"][0], name)) {
            meaning = format!("**Required, unless `{other}` is given.** {meaning}");
        }
        let says_default = meaning.to_lowercase().contains("default");
        if let Some(default) = property.get("default").filter(|_| !says_default) {
            let _ = write!(meaning, " Default: `{default}`.");
        }
        let _ = write!(text, "| `{name}` | {} | {meaning} |", cell(&kind(property)));
        if let Some(of) = of {
            let _ = write!(text, " `{}` |", examples::of(of, name).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn tool(spec: &Spec) -> String {
    let mut text = format!("### {}\n\n{}\n\n", spec.name, spec.description().trim());
    text.push_str(&properties(&Value::Object(spec.input().as_ref().clone())));
    text
}

#[test]
fn the_tools_page_matches_the_code() {
    check_section("docs/tools.md", "tools", &tools::tool_table());
    check_section("docs/tools.md", "aliases", &tools::alias_table());
    let all: Vec<String> = local::all().map(tool).collect();
    check_section("docs/tools.md", "parameters", &all.join("\n"));
}

/// The tables of the plan: heading, the name of its examples, and schema.
fn plan_tables() -> Vec<(String, String, Value)> {
    let schema = schema::schema();
    let mut top = schema.clone();
    let mut tables = Vec::new();
    for (section, property) in schema["properties"].as_object().into_iter().flatten() {
        if property.get("items").is_none() {
            continue;
        }
        top["properties"][section] = serde_json::json!({
            "type": "array",
            "items": { "type": "object" },
            "description": format!("The items of the section, see `{section}` below."),
        });
        let items = &property["items"];
        // Else the alternatives of one kind of item, such as a file or what is made.
        let kinds = items["anyOf"].as_array();
        match kinds.filter(|_| items["properties"].is_null()) {
            None => tables.push((section.clone(), section.clone(), items.clone())),
            Some(kinds) => tables.extend(kinds.iter().map(|items| {
                let first = items["anyOf"][0]["required"][0].as_str();
                let first = first.unwrap_or_default();
                let heading = format!("{section} with `{first}`");
                (heading, first.to_owned(), items.clone())
            })),
        }
    }
    tables.insert(0, ("The plan".to_owned(), "plan".to_owned(), top));
    let save = schema["properties"]["save"]["anyOf"].as_array();
    if let Some(save) = save.and_then(|kinds| kinds.iter().find(|kind| kind["type"] == "object")) {
        tables.push(("save".to_owned(), "save".to_owned(), save.clone()));
    }
    tables
}

/// The keys of the plan, then those of the items of each section.
fn plan_keys() -> String {
    let tables = plan_tables()
        .into_iter()
        .map(|(heading, name, schema)| format!("### {heading}\n\n{}", table(&schema, Some(&name))));
    tables.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_plans_page_matches_the_schema() {
    check_section("docs/plans.md", "keys", &plan_keys());
}

/// The properties that `set` changes, from their list.
fn clip_properties() -> String {
    let mut text = String::from(
        "| property | also | what it is | value | default | clips |\n|---|---|---|---|---|---|\n",
    );
    for property in PROPERTIES {
        let quoted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            property.name,
            quoted(property.aliases),
            cell(property.about),
            match property.refusal() {
                Some(why) => format!("not by `set`: {}", cell(why)),
                None => cell(property.measure.says),
            },
            default_of(property),
            kinds_of(property),
        );
    }
    text
}

fn default_of(property: &Property) -> String {
    match property.default {
        PropertyDefault::Number(number) => format!("`{number}`"),
        PropertyDefault::Switch(on) => format!("`{on}`"),
        PropertyDefault::Text("") => "none".to_owned(),
        PropertyDefault::Text(text) => format!("`{text}`"),
        _ => String::new(),
    }
}

fn kinds_of(property: &Property) -> String {
    let name = |kind: &ClipKind| serde_json::json!(kind).as_str().map(str::to_owned);
    let kinds: Vec<String> = property.kinds.iter().filter_map(name).collect();
    if kinds.len() > 8 {
        "all".to_owned()
    } else {
        kinds.join(", ")
    }
}

/// How pictures and videos of a draft show a property.
fn drawn(name: &str) -> String {
    let row = DRAWN.iter().find(|row| row.name == name).expect("a row");
    let says = row.closeness.says();
    if row.remark.is_empty() {
        says.to_owned()
    } else {
        format!("{says}: {}", cell(row.remark))
    }
}

/// Everything that is known about each property.
fn known_properties() -> String {
    let mut text = String::from(
        "| property | also | what it is | unit and range | default | clips | editions | versions | ground | preview | example |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for property in PROPERTIES
        .iter()
        .filter(|property| property.only_in_app().is_none())
    {
        let known = property.evidence().expect("a row");
        let also: Vec<String> = property
            .aliases
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let unit = match property.refusal() {
            Some(why) => format!("{}; not by `set`: {why}", property.measure.says),
            None => property.measure.says.to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} ({}) | {} | {} | {} | both | {} | {} | {} | `{}` |",
            property.name,
            also.join(", "),
            cell(property.about),
            known.words.replace('|', ", "),
            cell(&unit),
            default_of(property),
            kinds_of(property),
            known.versions,
            known.ground.says(),
            drawn(property.name),
            cell(known.example),
        );
    }
    text
}

fn left_out_properties() -> String {
    let mut text = String::from("| property | reason |\n|---|---|\n");
    for property in PROPERTIES
        .iter()
        .filter(|property| property.only_in_app().is_some())
    {
        let why = property.only_in_app().unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {} |", property.name, cell(why));
    }
    text
}

#[test]
fn the_properties_page_matches_the_list() {
    check_section("docs/properties.md", "properties", &known_properties());
    check_section("docs/properties.md", "left-out", &left_out_properties());
}

#[test]
fn the_editing_page_lists_the_properties() {
    check_section("docs/editing-drafts.md", "properties", &clip_properties());
}

/// Unit, range, default and description of a property stand in the list of properties, and nowhere else.
#[test]
fn tools_and_plans_take_properties_from_their_list() {
    let mut repeated = Vec::new();
    let mut checked = 0;
    for path in super::files("src/tools", "rs") {
        let text = super::read(&path);
        let mut attributes = String::new();
        for line in text.lines() {
            let Some(name) = line
                .strip_prefix("    pub ")
                .and_then(|line| Some(line.split_once(": ")?.0))
            else {
                attributes.push_str(line);
                attributes.push('\n');
                if line == "}" || line.ends_with('{') {
                    attributes.clear();
                }
                continue;
            };
            let attributes = std::mem::take(&mut attributes);
            let is_older_name = attributes.contains("\"deprecated\"");
            if property::listed(name).is_none() || is_older_name {
                continue;
            }
            checked += 1;
            let own_default = attributes
                .split_once("default = \"")
                .and_then(|(_, rest)| rest.split('"').next())
                .is_some_and(|function| {
                    !function.starts_with("default::") || !function.ends_with(&format!("::{name}"))
                });
            // Its default is `default::speed()`, but null stands for another value.
            let is_optional = name == "speed";
            if attributes.contains("///")
                || attributes.contains("range(")
                || (own_default && !is_optional)
            {
                repeated.push(format!("{}: `{name}`", super::shown(&path)));
            }
        }
    }
    for section in Section::ALL {
        for key in section.rules() {
            if property::listed(key).is_some() {
                repeated.push(format!("{}: `{key}`", section.key()));
            }
        }
    }
    assert!(checked > 70, "only {checked} arguments");
    assert!(repeated.is_empty(), "written a second time: {repeated:#?}");
}

/// What the tools that add clips take and is no property of a clip.
const NO_PROPERTIES: [&str; 11] = [
    "draft_id",
    "draft_folder",
    "width",
    "height",
    "srt",
    "time_offset",
    "karaoke",
    "preset",
    "translation",
    "grouping",
    "heard",
];

/// `set` changes each setting of the tools that add clips, or the list says why not and what does.
#[test]
fn every_setting_of_a_tool_is_in_the_list_of_properties() {
    let mut missing = Vec::new();
    let mut checked = 0;
    for spec in local::all() {
        let is_clip = spec.name.starts_with("add_") && spec.name != "add_video_keyframe";
        if !is_clip {
            continue;
        }
        let input = spec.input();
        let arguments = input["properties"].as_object().expect("arguments");
        for (name, schema) in arguments {
            checked += 1;
            if NO_PROPERTIES.contains(&name.as_str()) {
                continue;
            }
            let Some(property) = Property::named(name) else {
                missing.push(format!("{}: `{name}`", spec.name));
                continue;
            };
            // A schema has what the list says, unless it is of a name of the time or place of a clip.
            if let Some(argument) = &property.argument
                && schema.get("deprecated").is_none()
                && schema["description"] != argument.description(spec.name)
            {
                missing.push(format!("{}: the description of `{name}`", spec.name));
            }
        }
    }
    assert!(checked > 100, "only {checked} arguments");
    assert!(
        missing.is_empty(),
        "not in the list of properties: {missing:#?}"
    );
}

fn command_line() -> String {
    let mut command = cli::command().term_width(100);
    command.build();
    let help = |command: &mut clap::Command| {
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        format!("```text\n{}\n```\n", lines.join("\n").trim_end())
    };
    let mut text = format!("## capcut-mcp\n\n{}", help(&mut command));
    for command in command.get_subcommands_mut() {
        if command.get_name() == "help" {
            continue;
        }
        // The options of every command are shown once, above.
        let mut own = command.clone();
        let shared: Vec<String> = own
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .map(|argument| argument.get_id().to_string())
            .collect();
        for id in shared {
            own = own.mut_arg(id, |argument| argument.hide(true));
        }
        let _ = write!(text, "\n## {}\n\n{}", command.get_name(), help(&mut own));
    }
    text
}

#[test]
fn the_command_line_page_matches_the_help() {
    check_section("docs/command-line.md", "help", &command_line());
}

/// The manual pages, which `install.sh` installs: one for each command.
#[test]
fn the_manual_pages_match_the_help() {
    let folder = Path::new(super::ROOT).join("docs/man");
    let made = tempfile::tempdir().expect("a folder");
    let command = cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, made.path()).expect("pages");
    let pages = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let page = |entry: std::fs::DirEntry| {
            let text = super::read(&entry.path());
            (entry.file_name().to_string_lossy().into_owned(), text)
        };
        entries.map(page).collect::<BTreeMap<_, _>>()
    };
    let expected = pages(made.path());
    assert!(expected.len() > 14, "{} pages", expected.len());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(&folder).expect("the folder");
        for name in pages(&folder)
            .keys()
            .filter(|name| !expected.contains_key(*name))
        {
            std::fs::remove_file(folder.join(name)).expect("an old page is removed");
        }
        for (name, text) in &expected {
            std::fs::write(folder.join(name), text).expect("the page is written");
        }
    }
    let known = pages(&folder);
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&known),
        names(&expected),
        "`UPDATE=1 cargo test` writes them"
    );
    for (name, text) in &expected {
        assert!(
            known[name] == *text,
            "docs/man/{name} is out of date; `UPDATE=1 cargo test` writes it"
        );
    }
}

/// The text with line ends, marks of comments and the underscores in names of functions as blanks, in lower case; and the
/// number of the line at each byte.
fn flowing(text: &str) -> (String, Vec<usize>) {
    let mut flowing = String::from(" ");
    let mut lines = vec![1];
    for (number, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches(['/', '!', '#', '*', '>']);
        // Names of tests are sentences.
        let is_name = line.contains("fn ");
        for word in
            line.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '_' && !is_name))
        {
            if !word.is_empty() {
                flowing.push_str(&word.to_lowercase());
                flowing.push(' ');
                lines.resize(flowing.len(), number + 1);
            }
        }
    }
    (flowing, lines)
}

/// Whether the check of words looks into a file of the repository.
fn is_text_of_ours(path: &str) -> bool {
    let others = [
        "tests/golden/",
        "tests/field/",
        "tests/words.tsv",
        "LICENSE",
        "NOTICE",
    ];
    let endings = ["rs", "md", "toml", "sh", "py", "mjs", "txt", "yaml", "yml"];
    let ending = path.rsplit('.').next().unwrap_or_default();
    let folder = path.split('/').next().unwrap_or_default();
    !others.iter().any(|other| path.starts_with(other))
        && !["target", "build", ".git"].contains(&folder)
        && (endings.contains(&ending) || path == ".ci/run")
}

#[test]
fn texts_avoid_the_phrases_of_the_list() {
    let list = super::read(&Path::new(super::ROOT).join("tests/words.tsv"));
    let phrases: Vec<(&str, &str)> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_once('\t')
                .expect("a phrase, a tab, a replacement")
        })
        .collect();
    assert!(phrases.len() >= 40, "{} phrases", phrases.len());
    let mut paths = vec![Path::new(super::ROOT).join(".ci/run")];
    for ending in ["rs", "md", "toml", "sh", "py", "mjs", "txt", "yaml", "yml"] {
        paths.extend(super::files("", ending));
    }
    let mut found = Vec::new();
    let mut checked = 0;
    for path in paths {
        let name = super::shown(&path);
        if !is_text_of_ours(&name) {
            continue;
        }
        checked += 1;
        let (text, lines) = flowing(&super::read(&path));
        for (phrase, instead) in &phrases {
            let phrase = format!(" {phrase} ");
            for (at, _) in text.match_indices(&phrase) {
                found.push(format!("{name}:{}:{phrase}→ {instead}", lines[at + 1]));
            }
        }
    }
    assert!(checked > 300, "only {checked} files");
    assert!(
        found.is_empty(),
        "{} phrases to replace:\n{}",
        found.len(),
        found.join("\n")
    );
}
