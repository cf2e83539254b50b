//! Every name of every catalog: found by the search, accepted by the argument that the hit names, and in the saved document with its
//! id. `CAPCUT_TEST_FULL=1` walks all names, otherwise every 16th; `CAPCUT_TEST_NAMES_OUT` keeps the drafts for other readers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::{Client, Home, media};

const EDITIONS: [&str; 2] = ["capcut", "jianying"];

/// Names in one draft.
const PACK: usize = 200;

/// The ids of each name in the tables from which the catalog is built: resource id and effect id, by kind, edition and name.
fn ids() -> BTreeMap<(String, String, String), [String; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/data");
    let mut ids = BTreeMap::new();
    for file in fs::read_dir(folder).expect("the tables") {
        let file = file.expect("a table").path();
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let text = fs::read_to_string(&file).expect("a table");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            let mut cells: Vec<&str> = line.split('\t').collect();
            let (kind, editions) = if name == "recorded" {
                let of = match cells[1] {
                    "capcut" | "jianying" => vec![cells[1]],
                    _ => EDITIONS.to_vec(),
                };
                let kind = cells[0];
                cells.drain(..2);
                (kind, of)
            } else {
                match name.split_once('.') {
                    Some((kind, "shared")) => (kind, EDITIONS.to_vec()),
                    Some((kind, edition)) => (kind, vec![edition]),
                    None => continue,
                }
            };
            let resource = cells.get(2).copied().unwrap_or_default();
            let effect = cells
                .get(3)
                .copied()
                .filter(|id| !id.is_empty())
                .unwrap_or(resource);
            if resource.is_empty() {
                continue;
            }
            for edition in editions {
                let key = (kind.to_owned(), edition.to_owned(), cells[0].to_owned());
                ids.entry(key)
                    .or_insert([resource.to_owned(), effect.to_owned()]);
            }
        }
    }
    ids
}

fn kinds(client: &mut Client) -> Vec<String> {
    let list = client.request("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().expect("tools");
    let search = tools.iter().find(|tool| tool["name"] == "search_catalog");
    let kinds = &search.expect("the tool")["inputSchema"]["properties"]["kind"]["enum"];
    let kinds = kinds.as_array().expect("kinds").iter();
    kinds
        .map(|kind| kind.as_str().expect("a kind").to_owned())
        .filter(|kind| kind != "property")
        .collect()
}

/// All hits of a kind.
fn hits(client: &mut Client, kind: &str, edition: &str) -> Vec<Value> {
    let mut hits = Vec::new();
    loop {
        let asked =
            json!({ "kind": kind, "edition": edition, "limit": 1000, "offset": hits.len() });
        let found = client.call("search_catalog", asked).expect("names");
        hits.extend(found["hits"].as_array().expect("hits").iter().cloned());
        if found.get("next_offset").is_none() {
            return hits;
        }
    }
}

/// The section of a plan for the items of a tool, and the media that an item needs.
fn section(tool: &str, item: &mut Map<String, Value>) -> &'static str {
    match tool {
        "add_image" => {
            item.insert("image_url".to_owned(), json!(media("picture.jpg")));
            "visuals"
        }
        "add_video" => {
            item.insert("video_url".to_owned(), json!(media("clip.mp4")));
            "visuals"
        }
        "add_audio" => {
            item.insert("audio_url".to_owned(), json!(media("music.mp3")));
            "audio"
        }
        "add_text" => {
            item.insert("text".to_owned(), "Name".into());
            "texts"
        }
        "add_effect" => "effects",
        other => panic!("no section for {other}"),
    }
}

/// A draft with a clip for each hit, saved; the path of its document.
fn saved(client: &mut Client, name: &str, hits: &[Value], out: &Path) -> PathBuf {
    let mut plan = json!({ "name": name, "save": { "draft_folder": out } });
    for (number, hit) in hits.iter().enumerate() {
        let mut item = hit["example"]["arguments"]
            .as_object()
            .expect("arguments")
            .clone();
        let tool = hit["example"]["tool"].as_str().expect("a tool");
        let section = section(tool, &mut item);
        if section == "visuals" {
            item.insert("track_name".to_owned(), "names".into());
        }
        // Clips of one track follow each other without gaps.
        let length = match tool {
            "add_video" | "add_audio" => 0.5,
            _ => 3.0,
        };
        item.insert("at".to_owned(), json!(number as f64 * length));
        item.insert("duration".to_owned(), json!(length));
        let items = &mut plan[section];
        if items.is_null() {
            *items = json!([]);
        }
        items.as_array_mut().expect("items").push(item.into());
    }
    let asked = json!({ "plan": plan, "wait_s": 600 });
    let run = client
        .call("compose_draft", asked)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(run["status"], "complete", "{name}: {run}");
    let folder = run["report"]["folder"].as_str().expect("a folder");
    Path::new(folder).join("draft_content.json")
}

#[test]
fn every_name_is_accepted_by_the_argument_of_its_hit_and_saved_with_its_id() {
    let is_full = std::env::var_os("CAPCUT_TEST_FULL").is_some();
    let home = Home::embedded();
    let kept = std::env::var_os("CAPCUT_TEST_NAMES_OUT").map(PathBuf::from);
    let out = kept.unwrap_or_else(|| home.path().join("names"));
    let ids = ids();
    let serve = |edition: &str| {
        let mut client = home.serve_with(&["serve", "--edition", edition]);
        client.initialize("2025-11-25");
        client
    };
    let kinds = kinds(&mut serve(EDITIONS[0]));
    let known: BTreeSet<&str> = ids.keys().map(|(kind, ..)| kind.as_str()).collect();
    for kind in known {
        let has_argument = kinds.iter().any(|other| other == kind);
        assert!(has_argument, "{kind}");
    }
    let mut walked = 0;
    for edition in EDITIONS {
        let mut client = serve(edition);
        let out = out.join(edition);
        fs::create_dir_all(&out).expect("the folder");
        for kind in &kinds {
            let all = hits(&mut client, kind, edition);
            let listed: BTreeSet<&str> =
                all.iter().filter_map(|hit| hit["name"].as_str()).collect();
            let of_table = ids
                .keys()
                .filter(|(own, of, _)| own == kind && of == edition);
            for (_, _, name) in of_table {
                assert!(listed.contains(name.as_str()), "{edition} {kind} {name}");
            }
            for hit in &all {
                for key in ["argument", "tools", "example", "set"] {
                    assert!(
                        !hit[key].is_null(),
                        "{edition} {kind}: {hit} has no `{key}`"
                    );
                }
                let value = &hit["example"]["arguments"][hit["argument"].as_str().expect("a name")];
                // A name of two kinds is given as an id.
                let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                assert!(
                    *value == hit["name"] || value.as_str().is_some_and(is_id),
                    "{hit}"
                );
            }
            let step = if is_full { 1 } else { 16 };
            let all: Vec<Value> = all.into_iter().step_by(step).collect();
            for (number, pack) in all.chunks(PACK).enumerate() {
                let name = format!("{kind} {number}");
                let document = saved(&mut client, &name, pack, &out);
                let document = fs::read_to_string(&document).expect("the document");
                for hit in pack {
                    let name = hit["name"].as_str().expect("a name").to_owned();
                    let own = ids.get(&(kind.clone(), edition.to_owned(), name.clone()));
                    let own =
                        own.unwrap_or_else(|| panic!("{edition} {kind} {name} is in no table"));
                    let is_there = own.iter().any(|id| document.contains(&format!("\"{id}\"")));
                    assert!(is_there, "{edition} {kind} {name}: {own:?}");
                    walked += 1;
                }
            }
        }
    }
    eprintln!("{walked} names");
    assert!(walked > if is_full { 5_000 } else { 250 }, "{walked} names");
}

#[test]
fn a_font_of_the_apps_cache_is_found_and_used() {
    let mut home = Home::embedded();
    let data = home.path().join("CapCut/User Data");
    let font = data.join("Cache/effect/7517472189348695297/d9b01b0f3c2256a42fbf4ba926aaeeb8");
    fs::create_dir_all(&font).expect("the cache");
    fs::write(font.join("Rubik-Bold.ttf"), b"font").expect("the font");
    let drafts = data.join("Projects/com.lveditor.draft");
    fs::create_dir_all(&drafts).expect("the drafts");
    home.set("CAPCUT_MCP_DRAFTS_DIR", drafts.to_str().expect("UTF-8"));
    let mut client = home.serve_with(&["serve"]);
    client.initialize("2025-11-25");
    let found = client
        .call(
            "search_catalog",
            json!({ "query": "rubik", "kind": "font", "edition": "capcut" }),
        )
        .expect("names");
    let hits = found["hits"].as_array().expect("hits");
    let own = hits
        .iter()
        .find(|hit| hit["name"] == "Rubik-Bold#7517472189348695297");
    let own = own.unwrap_or_else(|| panic!("{found}"));
    assert_eq!(
        (&own["cached"], &own["argument"]),
        (&json!(true), &json!("font"))
    );
    let asked = json!({ "query": "Poppins", "kind": "font", "edition": "capcut" });
    let other = client.call("search_catalog", asked).expect("names");
    assert_eq!(other["hits"][0]["cached"], false, "{other}");
    let made = client.call("create_draft", json!({})).expect("a draft");
    let mut arguments = own["example"]["arguments"].clone();
    arguments["draft_id"] = made["draft_id"].clone();
    arguments["text"] = "Hello".into();
    client.call("add_text", arguments).expect("a text");
    let draft = json!({ "draft_id": made["draft_id"], "path": "" });
    let script = client
        .call("query_script", draft)
        .expect("the document")
        .to_string();
    assert!(
        script.contains("7517472189348695297") && script.contains("Rubik-Bold"),
        "{script}"
    );
}

#[test]
fn properties_are_found_in_both_languages_with_an_argument_and_an_example() {
    let home = Home::embedded();
    let mut client = home.serve_with(&["serve"]);
    client.initialize("2025-11-25");
    let mut first = |query: &str| {
        let asked = json!({ "query": query, "kind": "property", "limit": 3 });
        let found = client.call("search_catalog", asked).expect("properties");
        found["hits"].as_array().expect("hits").clone()
    };
    for (query, name) in [
        ("volume", "volume"),
        ("音量", "volume"),
        ("shadow distance", "shadow_distance"),
        ("阴影距离", "shadow_distance"),
        ("羽化", "mask_feather"),
        ("draft profile", "draft_profile"),
    ] {
        let hits = first(query);
        let hit = hits.iter().find(|hit| hit["name"] == name);
        let hit = hit.unwrap_or_else(|| panic!("{query}: {hits:?}"));
        for key in ["argument", "tools", "example", "value"] {
            assert!(!hit[key].is_null(), "{query}: {hit} has no `{key}`");
        }
    }
    let hits = first("shadow distance");
    assert_eq!(
        hits[0]["example"],
        json!({ "tool": "add_text", "arguments": { "shadow_distance": 8 } })
    );
    assert_eq!(hits[0]["set"], json!({ "shadow_distance": 8 }));
    let asked = json!({ "query": "reverse", "kind": "property" });
    let found = client.call("search_catalog", asked).expect("properties");
    assert!(
        found["notes"]
            .to_string()
            .contains("`reverse` is not offered"),
        "{found}"
    );
}
