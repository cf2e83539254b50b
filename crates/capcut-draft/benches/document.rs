//! Opening, inspecting and editing a long document: `cargo bench -p capcut-draft`.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::time::Instant;

use capcut_draft::{Document, InspectFilter, Operation};
use serde_json::{Value, json};

/// A document of 3,000 segments, with what the app stores for each.
fn long() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/finished.json");
    let text = std::fs::read(folder).expect("test data");
    let mut root: Value = serde_json::from_slice(&text).expect("JSON");
    let tracks = root["tracks"].as_array().expect("tracks").clone();
    let materials = root["materials"].clone();
    let mut count = 0;
    let mut round = 0;
    while count < 3_000 {
        round += 1;
        let rename = |value: &Value| {
            let mut value = value.clone();
            renumber(&mut value, &format!("{round:04x}"));
            value
        };
        for (own, track) in root["tracks"]
            .as_array_mut()
            .expect("tracks")
            .iter_mut()
            .zip(&tracks)
        {
            for segment in track["segments"].as_array().expect("segments") {
                let mut segment = rename(segment);
                let start = &mut segment["target_timerange"]["start"];
                *start = (start.as_i64().unwrap_or(0) + round * 7_000_000).into();
                own["segments"]
                    .as_array_mut()
                    .expect("segments")
                    .push(segment);
                count += 1;
            }
        }
        for (name, list) in materials.as_object().expect("materials") {
            let new: Vec<Value> = list
                .as_array()
                .expect("a list")
                .iter()
                .map(rename)
                .collect();
            root["materials"][name]
                .as_array_mut()
                .expect("a list")
                .extend(new);
        }
    }
    root.to_string().into_bytes()
}

/// Gives the ids in a value another end.
fn renumber(value: &mut Value, end: &str) {
    match value {
        Value::String(text)
            if [32, 36].contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-') =>
        {
            text.replace_range(text.len() - 4.., end);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| renumber(item, end)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| renumber(member, end)),
        _ => {}
    }
}

fn best<T>(times: u32, mut run: impl FnMut() -> T) -> f64 {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let text = long();
    let value = best(7, || serde_json::from_slice::<Value>(&text).expect("JSON"));
    let copies: Vec<Vec<u8>> = (0..7).map(|_| text.clone()).collect();
    let mut copies = copies.into_iter();
    let open = best(7, || {
        Document::parse(copies.next().expect("a copy")).expect("a document")
    });
    let mut document = Document::parse(text.clone()).expect("a document");
    let write = best(7, || document.write());
    let memory = (text.len() + document.outline_bytes()) as f64 / text.len() as f64;
    println!(
        "{:.1} MB, {} clips",
        text.len() as f64 / 1e6,
        document.all_clips().count()
    );
    println!(
        "open {open:.2} ms, {:.2} of serde_json's {value:.2} ms; write {write:.2} ms",
        open / value
    );
    println!("memory {memory:.2} times the text");
    let clip = document.all_clips().nth(1_000).expect("a clip");
    let mut volume = 0.0;
    let edit = best(100, || {
        volume += 0.001;
        let mut edit = document.edit();
        edit.set(clip, &["volume"], &volume).expect("an edit");
        edit.commit()
    });
    println!("an edit {:.1} µs", edit * 1e3);
    let inspect = best(7, || {
        document.inspect(&InspectFilter::default()).expect("rows")
    });
    println!("inspect {inspect:.2} ms");
    let id = document.short_id(clip);
    let operation = |value: Value| Operation::read(&value).expect("an operation");
    let operations = [
        (
            "set",
            operation(json!({"op": "set", "clip": id, "volume": 0.5})),
        ),
        (
            "trim",
            operation(json!({"op": "trim", "clip": id, "duration": 0.5})),
        ),
        (
            "duplicate",
            operation(json!({"op": "duplicate", "clip": id, "at": 80_000})),
        ),
        ("remove", operation(json!({"op": "remove", "clip": id}))),
    ];
    for (name, operation) in operations {
        let time = best(20, || {
            document
                .plan_operations(std::slice::from_ref(&operation))
                .expect("a change")
        });
        println!("{name} {time:.3} ms");
    }
}
