//! What `ARCHITECTURE.md` states about the code, beyond the layers and circles of [`modules`](super::modules).

use std::collections::BTreeMap;
use std::path::Path;

use super::modules::{Module, layers, modules};
use super::{ROOT, read};

fn page() -> String {
    read(&Path::new(ROOT).join("ARCHITECTURE.md"))
}

/// The modules (of those that `own` selects) whose code has one of these words.
fn with_words(own: impl Fn(&Module) -> bool, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for module in modules().iter().filter(|module| own(module)) {
        for word in words.iter().filter(|word| module.code.contains(**word)) {
            found.push(format!("{}: {word}", module.path.join("::")));
        }
    }
    found
}

#[test]
fn the_layers_of_the_page_are_those_of_the_crate() {
    let page = page();
    let (_, block) = page.split_once("## Layers\n\n```\n").expect("the layers");
    let (block, _) = block.split_once("\n```").expect("the end of the layers");
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    let mut layer = 0;
    for line in block.lines() {
        if let Some(number) = line.chars().next().and_then(|c| c.to_digit(10)) {
            layer = number;
        }
        let names = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        // The purpose of a layer stands after two spaces.
        for name in names.split("  ").next().unwrap_or_default().split(',') {
            let name = name.trim();
            if !name.is_empty() {
                shown.insert(name.to_owned(), layer);
            }
        }
    }
    assert_eq!(shown, layers(), "ARCHITECTURE.md and src/lib.rs");
}

#[test]
fn files_named_on_the_page_exist() {
    let page = page();
    let mut checked = 0;
    for word in page.split('`').skip(1).step_by(2) {
        let is_file = Path::new(word).extension().is_some()
            && word.contains('/')
            && !word.contains([' ', '{']);
        if is_file && !word.contains("NAME") {
            let exists = ["", "src"]
                .iter()
                .any(|folder| Path::new(ROOT).join(folder).join(word).exists());
            assert!(exists, "ARCHITECTURE.md names {word}");
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} files");
}

#[test]
fn drafts_do_no_io_and_read_no_clock() {
    let words = [
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::env",
        "tokio",
        "Instant",
        "SystemTime",
        "fastrand",
        "new_v4",
    ];
    let found = with_words(|module| module.path[0] == "draft", &words);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn only_the_settings_read_environment_variables() {
    let words = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
    let found = with_words(|module| module.path[0] != "settings", &words);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn only_the_commands_and_mcp_write_to_stdout() {
    let others = |module: &Module| !["cli", "mcp"].contains(&&*module.path[0]);
    let found = with_words(others, &["stdout()", " print!(", " println!("]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn only_modules_above_the_executor_use_anyhow() {
    let layers = layers();
    let found = with_words(
        |module| layers[&module.path[0]] <= layers["exec"],
        &["anyhow"],
    );
    assert!(found.is_empty(), "{found:?}");
}

/// The engine cannot use a tool, because tools are in a higher layer; it does not branch on a tool's name either.
#[test]
fn the_engine_does_not_name_tools_that_edit() {
    let names: Vec<String> = crate::tools::ROUTED
        .iter()
        .filter(|spec| spec.name.starts_with("add_"))
        .map(|spec| format!("\"{}\"", spec.name))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = with_words(
        |module| ["engine", "exec"].contains(&&*module.path[0]),
        &names,
    );
    assert!(found.is_empty(), "{found:?}");
}

/// A dependency that no code uses costs build time.
#[test]
fn every_dependency_is_used() {
    let table: toml::Table = read(&Path::new(ROOT).join("Cargo.toml"))
        .parse()
        .expect("TOML");
    let dependencies = table["dependencies"].as_table().expect("[dependencies]");
    let modules = modules();
    let unused: Vec<&String> = dependencies
        .keys()
        .filter(|name| {
            let name = name.replace('-', "_");
            let is_used = |module: &Module| {
                ["::", " as _", ";"]
                    .iter()
                    .any(|next| module.code.contains(&format!("{name}{next}")))
            };
            !modules.iter().any(is_used)
        })
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// Cargo strips only line numbers from a package whose options a profile changes, so its symbols would be shipped.
#[test]
fn the_shipped_executable_is_stripped() {
    let table: toml::Table = read(&Path::new(ROOT).join("Cargo.toml"))
        .parse()
        .expect("TOML");
    let profile = &table["profile"]["dist"];
    assert_eq!(profile["strip"].as_str(), Some("symbols"));
    let packages = profile["package"].as_table().expect("packages");
    assert!(!packages.contains_key(env!("CARGO_PKG_NAME")));
}

/// The modules that read draft documents only through `capcut_draft`.
const MODEL_READERS: [&str; 16] = [
    "compose::document",
    "draft::evidence",
    "backend::remote::save::materials",
    "engine::package::cover",
    "engine::timelines",
    "lint::fix::captions",
    "lint::fix::document",
    "lint::markers",
    "lint::materials",
    "lint::media",
    "lint::moved",
    "lint::opening",
    "lint::overview",
    "lint::timeline",
    "local::preview_draft",
    "picture",
];

/// The places where code reads a value of a JSON object by a key: `x["key"]`, `x.get("key")`, `x.pointer("/key")`.
fn string_keys(code: &str) -> Vec<&str> {
    let shown = |at: usize| {
        let start = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = code[at..].find('\n').map_or(code.len(), |end| at + end);
        code[start..end].trim()
    };
    let is_index = |at: &usize| {
        let before = code[..*at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || ['_', ')', ']', '?'].contains(&c))
    };
    let indexed = code.match_indices("[\"").map(|(at, _)| at);
    let mut found: Vec<&str> = indexed.filter(is_index).map(shown).collect();
    for call in [".get(\"", ".get_mut(\"", ".pointer(", ".pointer_mut("] {
        found.extend(code.match_indices(call).map(|(at, _)| shown(at)));
    }
    found
}

#[test]
fn modules_read_documents_through_the_model() {
    let modules = modules();
    for name in MODEL_READERS {
        let module = modules.iter().find(|module| module.path.join("::") == name);
        let module = module.unwrap_or_else(|| panic!("{name} does not exist"));
        let found = string_keys(&module.code);
        assert!(
            found.is_empty(),
            "{name} reads values by key; use `capcut_draft::field` instead: {found:#?}"
        );
    }
    // A struct of the fields of a document would be a second model beside that of the crate.
    let lint = modules.iter().filter(|module| module.top() == "lint");
    for module in lint {
        let found = derived_readers(&module.code);
        assert!(
            found.iter().all(|name| NOT_OF_DOCUMENTS.contains(name)),
            "{} deserializes {found:?}; use `capcut_draft::field` instead",
            module.path.join("::")
        );
    }
}

/// What lint deserializes that is not a document: the length of a draft, as a list of drafts shows it.
const NOT_OF_DOCUMENTS: [&str; 1] = ["StatedLength"];

/// The structs of a module that `serde` reads.
fn derived_readers(code: &str) -> Vec<&str> {
    let derives = code.match_indices("Deserialize");
    let derives = derives.filter(|(at, _)| {
        let line = code[..*at].rfind('\n').map_or(0, |end| end + 1);
        code[line..*at].trim_start().starts_with("#[derive(")
    });
    derives
        .filter_map(|(at, _)| {
            let (_, rest) = code[at..].split_once("struct ")?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            Some(&rest[..end])
        })
        .collect()
}

#[test]
fn structs_that_serde_reads_are_found() {
    let code = "use serde::Deserialize;\n#[derive(Debug, Deserialize)]\n#[serde(default)]\npub(super) struct A<'a> {\n}\n    #[derive(Deserialize)]\n    struct B;\n#[derive(Debug)]\nstruct C;";
    assert_eq!(derived_readers(code), ["A", "B"]);
}

#[test]
fn string_keys_are_found_in_code() {
    let code =
        r#"let a = value["tracks"][0]["id"]; b.get_mut("x"); list(c)["y"]; ["videos"].iter()"#;
    assert_eq!(string_keys(code).len(), 4);
    assert!(string_keys(r#"["a", "b"]; [ ["c"] ]; &["d"]"#).is_empty());
}
