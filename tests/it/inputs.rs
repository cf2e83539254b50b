//! Plans and tables as editors and spreadsheets write them.

use serde_json::{Value, json};

use crate::support::Home;

/// The words of a draft's texts, in their order.
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
fn words_of_yaml_are_shown_as_they_are_written() {
    let home = Home::embedded();
    home.file(
        "words.yaml",
        "texts:\n  - {text: No, start: 0, duration: 1}\n  - {text: 1.10, start: 1, duration: 1}\n  - {text: 007, start: 2, duration: 1}\n  - {text: on, start: 3, duration: 1}\nsave: false\n",
    );
    let draft = composed(&home, "words.yaml");
    assert_eq!(words(&home, &draft), ["No", "1.10", "007", "on"]);
}

#[test]
fn tables_of_spreadsheets_are_read_whatever_their_separator_and_encoding() {
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
fn faults_of_a_plan_are_told_at_once_with_their_lines() {
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
fn placeholders_of_other_templates_are_refused_in_calls_and_plans() {
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
