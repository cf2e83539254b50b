//! The page about generating videos has every setting, and the files of its example work together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::checks::{ROOT, read};
use crate::compose::plan::Plan;
use crate::compose::source::{Places, PlanFormat, PlanSource};
use crate::manifest::Manifest;
use crate::providers::{GenerateSection, Makes, ProviderSection};
use crate::settings::ConfigFile;
use crate::styles::Styles;

/// The keys of a section, which the error about an unknown one lists.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let Err(error) = toml::from_str::<T>("no_such_key = 1") else {
        panic!("any key is accepted");
    };
    let message = error.message().to_owned();
    let (_, listed) = message.split_once("expected one of").expect("the keys");
    let names = listed.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// The rows of the table below a heading: the key, and the default.
fn rows(heading: &str) -> Vec<(String, String)> {
    let page = read(&Path::new(ROOT).join("docs/generating.md"));
    let (_, rest) = page
        .split_once(&format!("### `{heading}`\n"))
        .expect("the heading");
    let rest = rest.trim_start();
    let lines = rest.lines().take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = lines.skip(2).map(cells);
    rows.map(|cells| {
        let key = cells[0].trim_matches('`').to_owned();
        (key, cells[cells.len() - 1].clone())
    })
    .collect()
}

#[test]
fn the_page_about_generating_has_every_setting() {
    for (heading, keys) in [
        ("[providers.NAME]", keys::<ProviderSection>()),
        ("[generate]", keys::<GenerateSection>()),
    ] {
        assert!(keys.len() > 10, "{keys:?}");
        let rows: Vec<String> = rows(heading).into_iter().map(|(key, _)| key).collect();
        assert_eq!(rows, keys, "{heading}");
    }
}

#[test]
fn the_page_about_generating_has_the_defaults() {
    let built_in: toml::Table = read(&Path::new(ROOT).join("tools.toml"))
        .parse()
        .expect("TOML");
    let section = built_in["generate"].as_table().expect("a table");
    for (key, written) in rows("[generate]") {
        let written = written.replace('`', "");
        let number = |value: &toml::Value| match value {
            toml::Value::Integer(number) => Some(*number as f64),
            toml::Value::Float(number) => Some(*number),
            _ => None,
        };
        match (number(&section[&key]), section[&key].as_str()) {
            (Some(number), _) => assert_eq!(written.parse(), Ok(number), "{key}"),
            (_, Some("")) => assert_eq!(written, "\"\"", "{key}"),
            (_, text) => assert_eq!(Some(written.as_str()), text, "{key}"),
        }
    }
    let kind = "kind = \"command\"\ncommand = [\"x\"]\nmakes = \"text\"\n";
    let section: ProviderSection = toml::from_str(kind).expect("a provider");
    let rows: BTreeMap<String, String> = rows("[providers.NAME]").into_iter().collect();
    assert_eq!(rows["concurrency"], section.concurrency.to_string());
    for key in ["calls_per_minute", "timeout_s", "poll_s", "text_bytes"] {
        assert_eq!(rows[key], "0", "{key}");
    }
}

#[test]
fn the_example_of_generating_has_the_providers_of_its_plan() {
    let folder = Path::new(ROOT).join("examples/generating");
    let file = ConfigFile {
        path: folder.join("providers.toml"),
        named: true,
    };
    let manifest = Manifest::load(Some(&file)).expect("valid settings");
    let made: Vec<Makes> = manifest
        .providers
        .values()
        .map(ProviderSection::makes)
        .collect();
    assert_eq!(made.len(), 3);
    let source = PlanSource::read(&read(&folder.join("video.yaml")), PlanFormat::Yaml);
    let plan = Plan::from_value(
        &source.expect("YAML").value,
        &Places::default(),
        &BTreeMap::new(),
        Some(&folder),
        &Styles::default(),
    );
    let (items, faults) = plan.expect("a plan").items();
    assert!(faults.is_empty(), "{faults:?}");
    let count = |tool: &str| {
        let of_tool = items.iter().filter(|item| item.spec.name == tool);
        of_tool.filter(|item| item.is_made()).count()
    };
    assert_eq!((count("add_audio"), count("add_image")), (3, 3));
    assert!(made.contains(&Makes::Speech) && made.contains(&Makes::Picture));
}
