//! Consistency checks across the crate: modules and layers, the list of tools, and the documents and examples.

mod architecture;
mod documents;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli;
use crate::compose::plan::Plan;
use crate::compose::source::Places;
use crate::local;
use crate::styles::Styles;
use crate::tools::{Caller, Object, ROUTED};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The files with this extension in a folder of the repository and its subfolders, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, ending, found);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(folder), ending, &mut found);
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    let path = path.strip_prefix(ROOT).unwrap_or(path);
    path.display().to_string().replace('\\', "/")
}

#[test]
fn every_file_starts_with_its_purpose() {
    let mut checked = 0;
    for folder in ["src", "tests", "benches", "fuzz"] {
        for path in files(folder, "rs") {
            let text = read(&path);
            assert!(
                text.starts_with("//! "),
                "{} does not start with `//!`",
                shown(&path)
            );
            checked += 1;
        }
    }
    assert!(checked >= 45, "only {checked} files");
    eprintln!("{checked} files");
}

fn names_of_files(folder: &str) -> BTreeSet<String> {
    let files = files(folder, "rs");
    let stems = files.iter().filter_map(|path| path.file_stem());
    stems
        .map(|stem| stem.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn each_tool_has_a_file_of_its_name() {
    // The twelve lists of names differ only in the list, and share a file.
    let lists = read(&Path::new(ROOT).join("src/tools/lists.rs"));
    let (own, listed): (BTreeSet<_>, BTreeSet<_>) = ROUTED
        .iter()
        .map(|spec| spec.name.to_owned())
        .partition(|name| !lists.contains(&format!("\"{name}\"")));
    let mut files = names_of_files("src/tools");
    // What several of them share.
    for shared in ["captions", "lists", "look"] {
        assert!(files.remove(shared), "{shared}");
    }
    assert_eq!(files, own);
    assert_eq!(listed.len(), 12, "{listed:?}");
    let here: BTreeSet<_> = local::all()
        .filter(|spec| !spec.is_routed())
        .map(|spec| spec.name.to_owned())
        .collect();
    let mut files = names_of_files("src/local");
    // What several of them share.
    for shared in [
        "differences",
        "heard",
        "listening",
        "look",
        "rendering",
        "rows",
    ] {
        assert!(files.remove(shared), "{shared}");
    }
    assert_eq!(files, here);
    let names: Vec<_> = local::all().map(|spec| spec.name).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a name is listed twice");
    assert!(ROUTED.len() >= 25, "only {} routed tools", ROUTED.len());
    eprintln!("{} routed tools, {} local tools", ROUTED.len(), here.len());
}

/// Gemini refuses a whole list of tools because of one object without `properties`.
#[test]
fn every_object_of_a_listed_schema_has_properties() {
    fn look(place: &str, schema: &Value, lacking: &mut Vec<String>) -> usize {
        let mut objects = 0;
        if schema["type"] == "object" {
            objects += 1;
            match schema["properties"].as_object() {
                None => lacking.push(place.to_owned()),
                Some(properties) => {
                    for (name, property) in properties {
                        objects += look(&format!("{place}.{name}"), property, lacking);
                    }
                }
            }
        }
        if schema["type"] == "array" {
            objects += look(&format!("{place}[]"), &schema["items"], lacking);
        }
        objects
    }
    let mut lacking = Vec::new();
    let mut objects = 0;
    for spec in local::all() {
        let input = Value::Object((*spec.shown_input()).clone());
        let output = Value::Object((**spec.output()).clone());
        objects += look(spec.name, &input, &mut lacking);
        objects += look(&format!("{} output", spec.name), &output, &mut lacking);
    }
    assert!(lacking.is_empty(), "without `properties`: {lacking:#?}");
    assert!(objects > 80, "only {objects} objects");
}

#[test]
fn each_tool_has_a_line_in_tools_toml() {
    let text = read(&Path::new(ROOT).join("tools.toml"));
    let table: toml::Table = text.parse().expect("TOML");
    let lines = table["tools"].as_table().expect("[tools]");
    let known: BTreeSet<_> = local::all().map(|spec| spec.name).collect();
    let named: BTreeSet<_> = lines.keys().map(String::as_str).collect();
    assert_eq!(named, known, "tools.toml and the list of tools");
    for spec in local::all() {
        let line = lines[spec.name].as_table().expect("a table");
        let has_route = line.contains_key("post") || line.contains_key("get");
        assert_eq!(has_route, spec.is_routed(), "the route of {}", spec.name);
    }
    eprintln!("{} tools", known.len());
}

/// Compares the text between two marks of a file with the expected text. With `UPDATE=1`, writes it.
pub(crate) fn check_section(file: &str, mark: &str, expected: &str) {
    let path = Path::new(ROOT).join(file);
    let text = read(&path);
    let open = format!("<!-- {mark} -->\n");
    let close = format!("<!-- /{mark} -->");
    let start = text
        .find(&open)
        .unwrap_or_else(|| panic!("{file} has no {open}"))
        + open.len();
    let end = start
        + text[start..]
            .find(&close)
            .unwrap_or_else(|| panic!("{file}: {close}"));
    if text[start..end].trim() == expected.trim() {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "{file}: the section {mark:?} is out of date; `UPDATE=1 cargo test` writes it"
    );
    let text = format!(
        "{}\n{}\n\n{}",
        &text[..start],
        expected.trim(),
        &text[end..]
    );
    fs::write(&path, text).expect("the file is written");
}

#[test]
fn the_settings_page_lists_exactly_the_variables_that_are_read() {
    let text = read(&Path::new(ROOT).join("docs/settings.md"));
    let known: BTreeSet<_> = crate::settings::VARIABLES
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for name in &known {
        assert!(
            text.contains(&format!("`{name}`")),
            "docs/settings.md lacks {name}"
        );
    }
    for (at, _) in text.match_indices("`CAPCUT_") {
        let name: String = text[at + 1..]
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || *c == '_')
            .collect();
        assert!(
            known.contains(name.as_str()),
            "docs/settings.md lists {name}, which nothing reads"
        );
    }
}

#[test]
fn links_in_the_documents_lead_to_existing_files() {
    let mut checked = 0;
    for path in files("", "md") {
        if path.starts_with(Path::new(ROOT).join("target")) {
            continue;
        }
        let text = read(&path);
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            let file = path.parent().expect("a folder").join(link);
            assert!(file.exists(), "{} links to {link}", shown(&path));
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} links");
}

#[test]
fn single_calls_of_the_examples_decode() {
    let mut checked = 0;
    for path in files("examples/calls", "json") {
        let stem = path.file_stem().expect("a name").to_string_lossy();
        let (_, tool) = stem.split_once('-').expect("number-tool.json");
        let spec = local::find(tool).unwrap_or_else(|| panic!("{tool} is not a tool"));
        let mut arguments: Object = serde_json::from_str(&read(&path)).expect("a JSON object");
        if spec.input()["properties"].get("draft_id").is_some() {
            arguments.insert("draft_id".to_owned(), json!("dfd_cat_1_00000000"));
        }
        if let Err(error) = local::decode(spec, arguments, &Caller::user()) {
            panic!("{}: {error}", shown(&path));
        }
        checked += 1;
    }
    assert_eq!(checked, 5, "create, video, title, effect, save");
}

#[test]
fn plans_of_the_examples_decode() {
    let mut checked = 0;
    for ending in ["yaml", "toml", "json"] {
        for path in files("examples", ending) {
            if path.parent() != Some(&Path::new(ROOT).join("examples")) {
                continue;
            }
            let text = read(&path);
            let plan: Value = match ending {
                "yaml" => serde_saphyr::from_str(&text).expect("YAML"),
                "toml" => toml::from_str(&text).expect("TOML"),
                _ => serde_json::from_str(&text).expect("JSON"),
            };
            let decode = |inputs: &BTreeMap<String, Value>| {
                let plan = Plan::from_value(
                    &plan,
                    &Places::default(),
                    inputs,
                    path.parent(),
                    &Styles::default(),
                )?;
                let (items, faults) = plan.items();
                if faults.is_empty() {
                    Ok(items.len())
                } else {
                    Err(crate::error::Error::invalid(faults.join("\n")))
                }
            };
            for inputs in inputs_of(&path) {
                match decode(&inputs) {
                    Ok(items) => assert!(items > 0, "{} has no items", shown(&path)),
                    Err(error) => panic!("{}: {error}", shown(&path)),
                }
            }
            checked += 1;
        }
    }
    assert!(checked >= 7, "only {checked} plans");
    eprintln!("{checked} plans");
}

/// The values for the placeholders of an example: the rows of the CSV file of its name, if there is one.
fn inputs_of(plan: &Path) -> Vec<BTreeMap<String, Value>> {
    let table = plan.with_extension("csv");
    if !table.exists() {
        return vec![BTreeMap::new()];
    }
    let mut reader = csv::Reader::from_path(&table).expect("a CSV file");
    let names = reader.headers().expect("a header").clone();
    let rows: Vec<_> = reader
        .records()
        .map(|record| {
            let record = record.expect("a record");
            let pairs = names.iter().zip(&record);
            pairs
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{} has no lines", shown(&table));
    rows
}

#[test]
fn client_configurations_start_the_server_with_variables_that_exist() {
    let mut checked = 0;
    for path in files("examples/clients", "json") {
        let document: Value = serde_json::from_str(&read(&path)).expect("JSON");
        let servers = document.get("mcpServers").or(document.get("servers"));
        let server = &servers.expect("servers")["capcut"];
        let command = server["command"].as_str().expect("a command");
        assert!(command.ends_with("capcut-mcp"), "{}", shown(&path));
        let line: Vec<_> = server["args"]
            .as_array()
            .expect("arguments")
            .iter()
            .map(|word| word.as_str().expect("a word"))
            .collect();
        assert!(cli::accepts(&line), "{}: {line:?}", shown(&path));
        for name in server["env"].as_object().into_iter().flat_map(Object::keys) {
            let known = crate::settings::VARIABLES
                .iter()
                .any(|(known, _)| known == name);
            assert!(known, "{}: {name}", shown(&path));
        }
        checked += 1;
    }
    assert_eq!(checked, 4, "Claude Desktop, Claude Code, Cursor, VS Code");
}

#[test]
fn services_of_the_examples_start_commands_that_exist() {
    let accepts = |path: &Path, line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        assert!(cli::accepts(&words), "{}: {line}", shown(path));
    };
    let mut checked = 0;
    for path in files("examples/service", "service") {
        let text = read(&path);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/capcut-mcp "));
        accepts(&path, line.expect("a command"));
        checked += 1;
    }
    for (ending, start, end) in [
        (
            "plist",
            "<string>/usr/local/bin/capcut-mcp</string>",
            "</array>",
        ),
        ("xml", "<Arguments>", "</Arguments>"),
    ] {
        for path in files("examples/service", ending) {
            let text = read(&path);
            let (_, rest) = text.split_once(start).expect("a command");
            let (words, _) = rest.split_once(end).expect("it ends");
            let words = words.replace("<string>", " ").replace("</string>", " ");
            accepts(&path, &words);
            checked += 1;
        }
    }
    assert_eq!(checked, 5, "three units, launchd, Windows");
}

#[test]
fn the_media_of_the_examples_stay_small() {
    let folder = Path::new(ROOT).join("examples/media");
    let sizes: Vec<u64> = fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .map(|entry| entry.metadata().expect("a file").len())
        .collect();
    assert!(sizes.len() >= 6, "{} files", sizes.len());
    assert!(sizes.iter().sum::<u64>() < 300_000, "{sizes:?}");
}
