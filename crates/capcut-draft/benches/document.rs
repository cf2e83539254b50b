//! Opening, inspecting and editing a long document: `cargo bench -p capcut-draft`. Exits with 1 when a bound is missed.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::process::ExitCode;
use std::time::Instant;

use capcut_draft::{ClipKind, ClipRow, Document, InspectFilter, Operation};
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

/// The fastest of some runs in milliseconds: other programs on the machine only add time.
fn best<T>(times: u32, mut run: impl FnMut() -> T) -> f64 {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            let result = std::hint::black_box(run());
            let taken = start.elapsed();
            drop(result);
            taken.as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

struct Bounds {
    missed: usize,
}

impl Bounds {
    fn check(&mut self, what: &str, measured: f64, bound: f64, unit: &str) {
        let holds = measured <= bound;
        self.missed += usize::from(!holds);
        let verdict = if holds { "ok" } else { "MISSED" };
        println!("{verdict:<7} {what:<62} {measured:>8.3} {unit:<2} (<= {bound} {unit})");
    }
}

fn main() -> ExitCode {
    // Cargo passes `--bench`, and `cargo test --benches` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bounds = Bounds { missed: 0 };
    let mut document = Document::parse(long()).expect("a document");
    animate(&mut document);
    let text = document.write();
    println!(
        "{:.1} MB, {} clips",
        text.len() as f64 / 1e6,
        document.all_clips().count()
    );
    reading(&text, &document, &mut bounds);
    let examples = Examples::of(&document);
    for (name, operation) in examples.operations() {
        let (apply, undo) = edit(&mut document, std::slice::from_ref(&operation));
        bounds.check(&format!("edit: {name}"), apply, 1.0, "ms");
        bounds.check(&format!("undo: {name}"), undo, 1.0, "ms");
    }
    for (name, clips, operation) in examples.of_many_clips() {
        let (apply, _) = edit(&mut document, &[operation]);
        let what = format!("edit: {name}, {clips} clips, each");
        bounds.check(&what, apply * 1e3 / clips as f64, 5.0, "µs");
    }
    for (name, ten, thousand) in series(&mut document) {
        println!("        {name}: 10 operations {ten:.2} ms, 1,000 operations {thousand:.1} ms");
        let what = format!("1,000 operations in one edit, {name}, each");
        bounds.check(&what, thousand / 1e3, 1.0, "ms");
    }
    assert!(document.write() == text, "all was undone");
    ExitCode::from(u8::from(bounds.missed > 0))
}

/// Gives a video keyframes.
fn animate(document: &mut Document) {
    let examples = Examples::of(document);
    let video = examples.clip(|row| row.kind == ClipKind::Video);
    let operation = json!({"op": "add_keyframes", "clip": video.id, "property": "scale",
        "points": [{"time": video.start, "value": 1}, {"time": video.start + 1.0, "value": 2}]});
    let operation = Operation::read(&operation).expect("an operation");
    document.apply_operations(&[operation]).expect("a change");
}

fn reading(text: &[u8], document: &Document, bounds: &mut Bounds) {
    let value = best(7, || serde_json::from_slice::<Value>(text).expect("JSON"));
    let copies: Vec<Vec<u8>> = (0..7).map(|_| text.to_vec()).collect();
    let mut copies = copies.into_iter();
    let open = best(7, || {
        Document::parse(copies.next().expect("a copy")).expect("a document")
    });
    println!("        open {open:.1} ms, serde_json's `Value` {value:.1} ms");
    bounds.check("open, relative to `Value`", open / value, 0.5, "x");
    let write = best(7, || document.write());
    println!("        write {write:.1} ms");
    let memory = document.memory_bytes() as f64 / text.len() as f64;
    bounds.check("memory, relative to the text", memory, 1.5, "x");
    let inspect = best(25, || {
        document.inspect(&InspectFilter::default()).expect("rows")
    });
    bounds.check("inspect", inspect, 20.0, "ms");
}

/// Applies operations and undoes them; returns how long both take.
fn edit(document: &mut Document, operations: &[Operation]) -> (f64, f64) {
    let (mut apply, mut undo) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..20 {
        let mut step = None;
        apply = apply.min(best(1, || {
            step = Some(document.apply_operations(operations).expect("a change").0);
        }));
        let inverse = step.expect("a step").inverse();
        undo = undo.min(best(1, || document.apply(&inverse).expect("undone")));
    }
    (apply, undo)
}

/// Clips of the document, in its middle, by what operations need.
struct Examples {
    rows: Vec<ClipRow>,
    /// The length of the draft in seconds.
    end: f64,
}

impl Examples {
    fn of(document: &Document) -> Self {
        let tracks = document.inspect(&InspectFilter::default()).expect("rows");
        let rows: Vec<ClipRow> = tracks.into_iter().flat_map(|track| track.clips).collect();
        let end = rows.iter().fold(0.0, |end: f64, row| end.max(row.end));
        Self { rows, end }
    }

    /// The middle one of the clips that fit.
    fn clip(&self, fits: impl Fn(&ClipRow) -> bool) -> &ClipRow {
        let rows: Vec<&ClipRow> = self.rows.iter().filter(|row| fits(row)).collect();
        rows[rows.len() / 2]
    }

    /// Operations that change one clip.
    fn operations(&self) -> Vec<(&'static str, Operation)> {
        let text = self.clip(|row| row.kind == ClipKind::Text);
        let video = self.clip(|row| row.kind == ClipKind::Video && row.end - row.start > 0.5);
        let moving = self.clip(|row| !row.keyframes.is_empty());
        let joined = self.clip(|row| row.transition.is_some());
        let later = self.end + 10.0;
        let middle = f64::midpoint(video.start, video.end);
        let media = json!({"path": "/new.mp4", "kind": "video", "duration": 60, "width": 640, "height": 360});
        let operations = [
            (
                "set of a clip",
                json!({"op": "set", "clip": video.id, "volume": 0.5}),
            ),
            (
                "set of a text",
                json!({"op": "set", "clip": text.id, "font_size": 31}),
            ),
            (
                "replace_text",
                json!({"op": "replace_text", "clip": text.id, "text": "Other words 😀"}),
            ),
            (
                "replace_media",
                json!({"op": "replace_media", "clip": video.id, "media": media}),
            ),
            ("move", json!({"op": "move", "clip": text.id, "at": later})),
            (
                "shift of the last clips",
                json!({"op": "shift", "from": self.end - 3.0, "by": 1}),
            ),
            (
                "trim",
                json!({"op": "trim", "clip": video.id, "end": middle}),
            ),
            (
                "split",
                json!({"op": "split", "clip": video.id, "at": middle}),
            ),
            ("remove", json!({"op": "remove", "clip": text.id})),
            (
                "duplicate",
                json!({"op": "duplicate", "clip": video.id, "at": later}),
            ),
            (
                "add_keyframes",
                json!({"op": "add_keyframes", "clip": video.id, "property": "opacity",
                "points": [{"time": video.start, "value": 0.5}, {"time": middle, "value": 1}]}),
            ),
            (
                "clear_keyframes",
                json!({"op": "clear_keyframes", "clip": moving.id}),
            ),
            (
                "clear",
                json!({"op": "clear", "clip": joined.id, "what": "transition"}),
            ),
            (
                "track",
                json!({"op": "track", "track": "t1", "rename": "Main"}),
            ),
            (
                "canvas",
                json!({"op": "canvas", "width": 640, "height": 480}),
            ),
            ("rename", json!({"op": "rename", "name": "Other"})),
            (
                "set of a clip named by its full id",
                json!({"op": "set", "clip": video.full_id, "volume": 0.5}),
            ),
            (
                "set of a clip named by track and time",
                json!({"op": "set", "clip": format!("t1@{}", self.rows[1_000].start + 0.01), "opacity": 0.5}),
            ),
        ];
        let read = |(name, value): (&'static str, Value)| {
            (name, Operation::read(&value).expect("an operation"))
        };
        operations.map(read).into()
    }

    /// Operations that change many clips, and how many.
    fn of_many_clips(&self) -> Vec<(&'static str, usize, Operation)> {
        let first = &self.rows[0];
        let all = self.rows.len();
        // The first two of seven clips are on the main track.
        let main = all * 2 / 7;
        let operations = [
            ("shift", all, json!({"op": "shift", "from": 0, "by": 1})),
            (
                "trim that closes the gap",
                main,
                json!({"op": "trim", "clip": first.id, "end": first.end - 0.2}),
            ),
            (
                "mute of a track",
                main,
                json!({"op": "track", "track": "t1", "mute": true}),
            ),
        ];
        let read = |(name, clips, value): (&'static str, usize, Value)| {
            (name, clips, Operation::read(&value).expect("an operation"))
        };
        operations.map(read).into()
    }
}

/// Edits with 10 and with 1,000 operations: how long both take.
fn series(document: &mut Document) -> Vec<(&'static str, f64, f64)> {
    let examples = Examples::of(document);
    let texts = |row: &&ClipRow| row.kind == ClipKind::Text;
    let texts: Vec<&ClipRow> = examples.rows.iter().filter(texts).collect();
    let each = |make: &dyn Fn(usize, &ClipRow) -> Value| -> Vec<Operation> {
        let values = texts.iter().take(1_000).enumerate();
        values
            .map(|(index, row)| Operation::read(&make(index, row)).expect("an operation"))
            .collect()
    };
    let later = |index: usize| examples.end + 10.0 + 10.0 * index as f64;
    let all = [
        (
            "set",
            each(&|_, row| json!({"op": "set", "clip": row.id, "opacity": 0.5})),
        ),
        (
            "replace_text",
            each(&|_, row| json!({"op": "replace_text", "clip": row.id, "text": "Other words"})),
        ),
        (
            "trim",
            each(&|_, row| json!({"op": "trim", "clip": row.id, "end": row.start + 0.5})),
        ),
        (
            "move",
            each(&|index, row| json!({"op": "move", "clip": row.id, "at": later(index)})),
        ),
        (
            "split",
            each(&|_, row| json!({"op": "split", "clip": row.id, "at": row.start + 0.5})),
        ),
        (
            "duplicate",
            each(&|index, row| json!({"op": "duplicate", "clip": row.id, "at": later(index)})),
        ),
        (
            "remove",
            each(&|_, row| json!({"op": "remove", "clip": row.id})),
        ),
    ];
    all.into_iter()
        .map(|(name, operations)| {
            let mut timed = |count: usize| {
                let mut step = None;
                let time = best(1, || {
                    let done = document.apply_operations(&operations[..count]);
                    step = Some(done.expect("a change").0);
                });
                let inverse = step.expect("a step").inverse();
                document.apply(&inverse).expect("undone");
                time
            };
            (name, timed(10), timed(1_000))
        })
        .collect()
}
