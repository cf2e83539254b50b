//! Plans and tables as editors and spreadsheets write them.

use serde_json::{Value, json};

use crate::support::{Home, media};

/// The texts of a draft, in order.
fn words(home: &Home, draft: &Value) -> Vec<String> {
    let reply = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    let script: Value =
        serde_json::from_str(reply["script"].as_str().expect("text")).expect("JSON");
    let texts = script["materials"]["texts"].as_array().expect("texts");
    texts
        .iter()
        .map(|text| {
            let content = text["content"].as_str().expect("content");
            let content: Value = serde_json::from_str(content).expect("JSON");
            content["text"].as_str().expect("words").to_owned()
        })
        .collect()
}

fn utf16(text: &str) -> Vec<u8> {
    let text = format!("\u{feff}{text}");
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn composed(home: &Home, file: &str) -> Value {
    let ran = home.run(&["compose", file, "--json"]);
    assert_eq!(ran.code, 0, "{file}: {}\n{}", ran.stdout, ran.stderr);
    let last = ran.stdout.lines().last().expect("a report");
    let event: Value = serde_json::from_str(last).expect("JSON");
    event["report"]["draft_id"].clone()
}

#[test]
fn plans_are_read_with_byte_order_marks_and_in_utf16() {
    let home = Home::embedded();
    let yaml = "texts:\n  - {text: 茶 No, start: 0, duration: 1}\nsave: false\n";
    let json = r#"{"texts":[{"text":"茶 No","start":0,"duration":1}],"save":false}"#;
    let toml = "save = false\n[[texts]]\ntext = \"茶 No\"\nstart = 0\nduration = 1\n";
    for (ending, text) in [
        ("yaml", yaml),
        ("json", json),
        ("toml", toml),
        ("jsonl", json),
    ] {
        for (name, bytes) in [
            ("mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
            ("utf16", utf16(text)),
        ] {
            let file = format!("{name}.{ending}");
            home.file(&file, bytes);
            let draft = composed(&home, &file);
            assert_eq!(words(&home, &draft), ["茶 No"], "{file}");
        }
    }
}

#[test]
fn yaml_scalars_are_kept_as_written_in_texts() {
    let home = Home::embedded();
    home.file(
        "words.yaml",
        "texts:\n  - {text: No}\n  - {text: 1.10}\n  - {text: 007}\n  - {text: on}\nsave: false\n",
    );
    let draft = composed(&home, "words.yaml");
    assert_eq!(words(&home, &draft), ["No", "1.10", "007", "on"]);
}

#[test]
fn tables_are_read_with_any_separator_and_encoding() {
    let home = Home::embedded();
    home.file(
        "plan.yaml",
        "name: \"${title}\"\ntexts:\n  - {text: \"${line}\", start: 0, duration: 1}\nsave: false\n",
    );
    // "测试" and "你好" as Chinese editions of Excel write them.
    let gbk = b"title,line\n\xb2\xe2\xca\xd4,\xc4\xe3\xba\xc3\n".to_vec();
    for (bytes, expected) in [
        (b"title;line\nMonday;Slowly, one\n".to_vec(), "Slowly, one"),
        (gbk, "你好"),
        (utf16("title\tline\r\n测试\t你好, 茶\r\n"), "你好, 茶"),
        (b"title,line\nMonday,a\n,\n\n".to_vec(), "a"),
        (b"title,line\nMonday,\"a\nb\"\n".to_vec(), "a\nb"),
    ] {
        home.file("rows.csv", bytes);
        let line = [
            "compose",
            "--template",
            "plan.yaml",
            "--inputs",
            "rows.csv",
            "--json",
        ];
        let ran = home.run(&line);
        assert_eq!(ran.code, 0, "{expected}: {}\n{}", ran.stdout, ran.stderr);
        let last = ran.stdout.lines().last().expect("a report");
        let event: Value = serde_json::from_str(last).expect("JSON");
        let draft = &event["report"]["draft_id"];
        assert_eq!(words(&home, draft), [expected], "{event}");
    }
}

#[test]
fn all_problems_of_a_plan_are_reported_with_their_lines() {
    let home = Home::embedded();
    home.file(
        "wrong.yaml",
        "texts:\n  - text: a\n    font_color: #00FF00\naudio:\n  - audio_url: a.mp3\nloop: true\nwidht: 5\n",
    );
    let ran = home.run(&["compose", "wrong.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    for expected in [
        "wrong.yaml: line 3, column 5: texts[0].font_color: is null",
        "line 6, column 1: loop: is not a key of a plan; indent it: `loop` belongs to `audio[0]`",
        "line 7, column 1: widht: is not a key of a plan; did you mean `width`?",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}

#[test]
fn null_is_refused_in_plans_over_mcp() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = json!({ "name": null, "texts": [{ "text": "a", "font_color": null }] });
    let error = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect_err("null");
    for expected in ["name: is null", "texts[0].font_color: is null"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let batch = json!({ "plans": [plan] });
    let error = client.call("compose_batch", batch).expect_err("null");
    assert!(
        error.contains("plans[0]: texts[0].font_color: is null"),
        "{error}"
    );
}

#[test]
fn the_list_of_drafts_has_pages() {
    let home = Home::embedded();
    let mut client = home.connected();
    for n in 0..5 {
        let name = json!({ "name": format!("Draft {n}") });
        client.call("create_draft", name).expect("a draft");
    }
    let mut names = |offset: u64| -> Vec<String> {
        let page = json!({ "limit": 2, "offset": offset });
        let page = client.call("list_drafts", page).expect("a page");
        let drafts = page["drafts"].as_array().expect("drafts").iter();
        drafts
            .map(|draft| draft["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let mut all = [names(0), names(2), names(4)].concat();
    all.sort();
    let expected: Vec<String> = (0..5).map(|n| format!("Draft {n}")).collect();
    assert_eq!(all, expected);
    assert!(names(5).is_empty());
}

#[test]
fn unfilled_placeholders_are_refused_in_calls_and_plans() {
    let home = Home::embedded();
    let created = home.call("create_draft", &json!({ "name": "{{ $json.title }}" }));
    let (_, error) = created.expect_err("not filled");
    assert!(
        error.contains("{{ $json.title }} was not filled"),
        "{error}"
    );
    let plan = json!({ "plan": { "texts": [{ "text": "{{name}}" }] } });
    let (_, error) = home.call("compose_draft", &plan).expect_err("not filled");
    assert!(
        error.contains("texts[0].text: the placeholder {{name}}"),
        "{error}"
    );
}

#[test]
fn a_composed_draft_is_reported_in_short_or_in_full() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = json!({
        "visuals": [
            { "image_url": media("logo.png"), "duration": 2 },
            { "image_url": media("logo.png"), "start": 4, "end": 5 },
        ],
        "texts": [{ "text": "a", "duration": "whole" }],
        "save": false,
    });
    let short = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let report = &short["report"];
    assert_eq!(report["items"], json!([]), "{short}");
    assert_eq!(report["totals"]["ok"], 3, "{short}");
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("nothing is shown from 2 s to 4 s"),
        "{notes}"
    );
    let full = client
        .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
        .expect("made");
    let items = full["report"]["items"].as_array().expect("items");
    assert_eq!(items.len(), 3, "{full}");
    let text = items.iter().find(|row| row["tool"] == "add_text");
    assert_eq!(text.expect("a text")["end"], 5.0, "{full}");
    let job = json!({ "job_id": short["job_id"], "detail": "all" });
    let told = client.call("job_status", job).expect("remembered");
    assert_eq!(
        told["report"]["items"].as_array().map(Vec::len),
        Some(3),
        "{told}"
    );
}

#[test]
fn a_long_document_is_returned_in_parts_over_mcp() {
    let home = Home::embedded();
    let mut client = home.connected();
    let texts: Vec<Value> = (0..60)
        .map(|n| json!({ "text": format!("text {n}") }))
        .collect();
    let plan = json!({ "texts": texts, "save": false });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = &made["draft_id"];
    let mut ask = |path: Option<&str>| {
        let mut arguments = json!({ "draft_id": draft });
        if let Some(path) = path {
            arguments["path"] = json!(path);
        }
        client.call("query_script", arguments)
    };
    let reply = ask(None).expect("an overview");
    assert_eq!(reply["script"], "", "{reply}");
    assert!(reply.to_string().len() < 60_000);
    let parts = reply["parts"].to_string();
    assert!(
        parts.contains("/materials") && parts.contains("/tracks"),
        "{reply}"
    );
    let whole = ask(Some("/")).expect("all of it");
    let whole: Value = serde_json::from_str(whole["script"].as_str().expect("text")).expect("JSON");
    let part = ask(Some("tracks[0].segments[1]")).expect("a part");
    let part: Value = serde_json::from_str(part["script"].as_str().expect("text")).expect("JSON");
    assert_eq!(part, whole["tracks"][0]["segments"][1]);
    let error = ask(Some("trakcs")).expect_err("no such key");
    assert!(error.contains("did you mean `tracks`?"), "{error}");
    // A shell receives the whole document.
    let shell = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("all of it");
    assert!(shell["script"].as_str().expect("text").len() > 60_000);
}

#[test]
fn the_schema_of_plans_is_a_resource() {
    let home = Home::embedded();
    let mut client = home.connected();
    let list = client.request("resources/list", json!({}));
    assert!(list.to_string().contains("schema://plan"), "{list}");
    let answer = client.request("resources/read", json!({ "uri": "schema://plan" }));
    let text = answer["result"]["contents"][0]["text"]
        .as_str()
        .expect("text");
    let schema: Value = serde_json::from_str(text).expect("JSON");
    let printed = home.run(&["tools", "--plan-schema"]);
    let printed: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(schema, printed);
    let audio = &schema["properties"]["audio"]["items"]["properties"];
    assert!(
        audio["fade_in"].is_object() && audio["loop"].is_object(),
        "{audio}"
    );
}

/// The last line of a run with `--json`.
fn last_event(home: &Home, arguments: &[&str]) -> Value {
    let ran = home.run(arguments);
    let last = ran.stdout.lines().last();
    let last = last.unwrap_or_else(|| panic!("nothing is printed: {}", ran.stderr));
    serde_json::from_str(last).expect("JSON")
}

#[test]
fn a_guessed_encoding_is_in_the_notes_of_the_report() {
    let home = Home::embedded();
    home.file(
        "plan.yaml",
        b"texts:\n- {text: \xb2\xe2\xca\xd4\xd7\xd6\xc4\xbb\xa3\xac\xc4\xe3\xba\xc3, at: 0, duration: 1}\nsave: false\n",
    );
    let event = last_event(&home, &["compose", "plan.yaml", "--json"]);
    let notes = event["report"]["notes"].to_string();
    assert!(
        notes.contains("plan.yaml: the file is not UTF-8 and was read as GBK"),
        "{event}"
    );
    home.file(
        "template.yaml",
        "texts:\n- {text: \"${line}\", at: 0, duration: 1}\nsave: false\n",
    );
    home.file(
        "rows.csv",
        b"line\n\xb2\xe2\xca\xd4\xd7\xd6\xc4\xbb\xa3\xac\xc4\xe3\xba\xc3\nb\n",
    );
    let arguments = [
        "compose",
        "--template",
        "template.yaml",
        "--inputs",
        "rows.csv",
        "--json",
    ];
    let event = last_event(&home, &arguments);
    let line = &event["drafts"][0];
    assert!(
        line["notes"].to_string().contains("was read as GBK"),
        "{event}"
    );
    assert_eq!(event["outcome"], "complete");
}

#[test]
fn a_decimal_comma_is_a_number_where_a_number_is_wanted() {
    let home = Home::embedded();
    home.file(
        "template.yaml",
        "texts:\n- {text: \"${price}\", at: \"${at}\", duration: \"${seconds}\", font_alpha: \"${alpha}\", \
         border_color: red, border_width: \"${width}\", fixed_width: \"${box}\"}\nsave: false\n",
    );
    home.file(
        "rows.csv",
        "price;at;seconds;alpha;width;box\n3,50;0,25;1,5;0,5;12,5;0,75\n4,75;1;2,25;1;40;0,5\n",
    );
    let arguments = [
        "compose",
        "--template",
        "template.yaml",
        "--inputs",
        "rows.csv",
        "--json",
    ];
    let event = last_event(&home, &arguments);
    assert_eq!(event["complete"], 2, "{event}");
    let draft = &event["drafts"][0]["draft_id"];
    // What is shown stays as it is written.
    assert_eq!(words(&home, draft), ["3,50"]);
    let reply = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    let script: Value =
        serde_json::from_str(reply["script"].as_str().expect("text")).expect("JSON");
    let range = &script["tracks"][0]["segments"][0]["target_timerange"];
    assert_eq!(range, &json!({ "start": 250_000, "duration": 1_500_000 }));
}

#[test]
fn the_table_decides_whether_a_comma_separates_thousands() {
    let home = Home::embedded();
    home.file(
        "template.yaml",
        "texts:\n- {text: \"${price}\", at: \"${at}\", duration: 2}\nsave: false\n",
    );
    let made = |rows: &str| {
        home.file("rows.csv", rows);
        let arguments = [
            "compose",
            "--template",
            "template.yaml",
            "--inputs",
            "rows.csv",
            "--json",
        ];
        last_event(&home, &arguments)
    };
    let event = made("price;at\n1,500;1,500\nb;2\n");
    assert_eq!(event["complete"], 2, "{event}");
    let line = &event["drafts"][0];
    let note = "column \\\"at\\\": \\\"1,500\\\" was read as 1.5, because the values are separated by semicolons";
    assert!(line["notes"].to_string().contains(note), "{event}");
    assert_eq!(words(&home, &line["draft_id"]), ["1,500"], "text stays");
    let event = made("price,at\na,\"1,500\"\nb,2\n");
    assert_eq!(event["drafts"][0]["status"], "failed", "{event}");
    assert!(event.to_string().contains("write 1.500 or 1500"), "{event}");
}

#[test]
fn keyframes_take_the_notations_of_their_property() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({ "aspect_ratio": "16:9" }));
    let draft = made.expect("a draft")["draft_id"].clone();
    let picture = json!({ "draft_id": draft, "image_url": media("logo.png"), "track_name": "a", "duration": 3 });
    client.call("add_image", picture).expect("a picture");
    let mut key = |property: &str, value: Value| {
        client.call(
            "add_video_keyframe",
            json!({ "draft_id": draft, "track_name": "a", "property_type": property, "at": 1, "value": value }),
        )
    };
    for (property, value) in [
        ("alpha", json!("50%")),
        ("alpha", json!(0.5)),
        ("rotation", json!("45°")),
        ("position_x", json!("480px")),
        ("position_y", json!("-270 px")),
        ("brightness", json!("20%")),
    ] {
        key(property, value.clone()).unwrap_or_else(|e| panic!("{property} {value}: {e}"));
    }
    for (property, value, told) in [
        (
            "alpha",
            "150%",
            "from 0 (invisible) to 1 (opaque); did you mean 1?",
        ),
        ("rotation", "much", "degrees"),
        ("position_x", "99999px", "half canvases"),
        ("volume", "80", "did you mean 0.8?"),
    ] {
        let error = key(property, json!(value)).expect_err(property);
        assert!(error.contains(told), "{property}: {error}");
    }
    let reply = client.call("query_script", json!({ "draft_id": draft }));
    let reply = reply.expect("a script");
    let script: Value =
        serde_json::from_str(reply["script"].as_str().expect("text")).expect("JSON");
    let tracks = script["tracks"].as_array().expect("tracks");
    let track = tracks.iter().find(|track| track["name"] == "a");
    let lists = track.expect("the track")["segments"][0]["common_keyframes"]
        .as_array()
        .expect("lists");
    let value = |property: &str| {
        let list = lists
            .iter()
            .find(|list| list["property_type"] == property)
            .unwrap_or_else(|| panic!("{property}: {lists:?}"));
        list["keyframe_list"][0]["values"][0].as_f64()
    };
    assert_eq!(value("KFTypePositionX"), Some(0.5));
    assert_eq!(value("KFTypePositionY"), Some(-0.5));
    // The same in a plan.
    let plan = json!({
        "visuals": [{ "image_url": media("logo.png"), "duration": 3, "track_name": "a" }],
        "keyframes": [{ "track_name": "a", "property_type": "alpha", "time": 1, "value": "150%" }],
        "save": false,
    });
    let error = client.call("compose_draft", json!({ "plan": plan }));
    let error = error.expect_err("a fault");
    assert!(error.contains("did you mean 1?"), "{error}");
}

#[test]
fn a_text_wider_than_the_canvas_is_noted_with_the_usual_size() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).expect("a draft");
    let text = json!({
        "draft_id": made["draft_id"], "text": "Welcome to the channel, everybody", "font_size": 48,
    });
    let placed = client.call("add_text", text).expect("a text");
    let notes = placed["notes"].to_string();
    assert!(notes.contains("usual sizes are 5 to 15"), "{placed}");
    let plan = json!({
        "texts": [{ "text": "Welcome to the channel, everybody", "font_size": 48, "duration": 2 }],
        "save": false,
    });
    let reply = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("a draft");
    let notes = reply["report"]["notes"].to_string();
    assert!(notes.contains("usual sizes are 5 to 15"), "{reply}");
}

#[test]
fn the_catalog_is_given_in_pages() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut page = |offset: u64| {
        let asked = json!({ "kind": "transition", "query": "blur", "limit": 2, "offset": offset });
        client.call("search_catalog", asked).expect("names")
    };
    let first = page(0);
    let total = first["total"].as_u64().expect("a number");
    assert!(total > 2, "{first}");
    assert_eq!(first["next_offset"], 2);
    let mut names = Vec::new();
    let mut offset = Some(0);
    while let Some(at) = offset {
        let page = page(at);
        assert_eq!(page["total"], total);
        let hits = page["hits"].as_array().expect("hits").clone();
        names.extend(hits.into_iter().map(|hit| hit["name"].to_string()));
        offset = page["next_offset"].as_u64();
    }
    assert_eq!(names.len() as u64, total);
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}
