//! Each check reports its problem and nothing for a clean draft, and fixable problems are fixed permanently.

mod app_saved;
mod faults;
mod folders;
mod hostile;
mod machines;
mod moved;
mod recorded;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::folder::ROOTS;
use super::{LintOptions, Problem, fix, lint};
use crate::engine::paths::TOKEN;
use crate::engine::timelines;

/// A draft in its own drafts folder.
struct Made {
    root: TempDir,
    document: Value,
    meta: Value,
}

const NAME: &str = "旅行 trip";

impl Made {
    /// A draft without problems: two clips, a picture, audio and a text.
    fn clean() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let platform = json!({
            "app_id": 359_289, "app_source": "cc", "app_version": "9.1.0", "os": "windows",
            "os_version": "", "device_id": "", "hard_disk_id": "", "mac_address": ""
        });
        let material = |id: &str, kind: &str, file: &str, link: &str, duration: i64| {
            json!({
                "id": id, "type": kind, "path": format!("{TOKEN}/assets/{file}"), "duration": duration,
                "width": 640, "height": 360, "material_name": file, "name": file,
                "local_material_id": link, "check_flag": 62_978_047, "unknown_to_us": {"keep": [1, 2.5]}
            })
        };
        let segment = |id: &str, material: &str, refs: &[&str], start: i64, duration: i64| {
            json!({
                "id": id, "material_id": material, "extra_material_refs": refs,
                "target_timerange": {"start": start, "duration": duration},
                "source_timerange": {"start": 0, "duration": duration},
                "speed": 1.0, "volume": 1.0, "clip": {"alpha": 1.0}, "common_keyframes": []
            })
        };
        let track = |id: &str, kind: &str, flag: i64, segments: Value| {
            json!({
                "id": id, "type": kind, "flag": flag, "name": "", "attribute": 0,
                "is_default_name": true, "segments": segments
            })
        };
        let mut sound = segment("S4", "A1", &["SP4"], 0, 3_000_000);
        sound["clip"] = Value::Null;
        let mut text = segment("S5", "T1", &[], 0, 2_000_000);
        text["source_timerange"] = Value::Null;
        let speed = |id: &str| json!({"id": id, "type": "speed", "mode": 0, "speed": 1.0, "curve_speed": null});
        let document = json!({
            "id": "0F3C9F5B-6F0F-4C2B-9D0B-2A2C5C0C9F11", "version": 360_000, "new_version": "179.0.0",
            "name": "", "duration": 4_000_000, "fps": 30.0, "color_space": 0,
            "canvas_config": {"width": 1080, "height": 1920, "ratio": "original", "background": null},
            "config": {"maintrack_adsorb": true}, "keyframes": {"videos": []},
            "platform": platform, "last_modified_platform": platform,
            "materials": {
                "videos": [
                    material("V1", "video", "a.mp4", "m-a", 4_000_000),
                    material("V2", "photo", "b.png", "m-b", 10_800_000_000),
                ],
                "audios": [material("A1", "extract_music", "c.wav", "m-c", 4_000_000)],
                "texts": [{"id": "T1", "type": "text", "content": json!({
                    "text": "Hi 😀", "styles": [{"range": [0, 5], "size": 8}]
                }).to_string()}],
                "speeds": [speed("SP1"), speed("SP2"), speed("SP3"), speed("SP4")],
                "common_mask": []
            },
            "tracks": [
                track("TR1", "video", 0, json!([
                    segment("S1", "V1", &["SP1"], 0, 2_000_000),
                    segment("S2", "V1", &["SP2"], 2_000_000, 2_000_000),
                ])),
                track("TR2", "video", 2, json!([segment("S3", "V2", &["SP3"], 1_000_000, 1_000_000)])),
                track("TR3", "audio", 0, json!([sound])),
                track("TR4", "text", 0, json!([text])),
            ],
            "of_a_newer_app": {"deep": [null, "x"]}
        });
        let entry = |id: &str, file: &str, kind: &str| json!({"id": id, "file_Path": format!("./assets/{file}"), "metetype": kind, "type": 0});
        let folder = root.path().canonicalize().expect("it is there").join(NAME);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let meta = json!({
            "draft_id": "F688C949-DDEE-4CAA-B6EF-4F8702E9A86E", "draft_name": NAME,
            "draft_fold_path": text(&folder), "draft_root_path": text(folder.parent().expect("a parent")),
            "draft_cover": "draft_cover.jpg", "tm_duration": 4_000_000,
            "draft_materials": [{"type": 0, "value": [
                entry("m-a", "a.mp4", "video"), entry("m-b", "b.png", "photo"), entry("m-c", "c.wav", "music")
            ]}, {"type": 1, "value": []}],
            "kept": true
        });
        fs::create_dir_all(folder.join("assets")).expect("a folder");
        let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
        put("assets/a.mp4", &example("clip.mp4"));
        put("assets/b.png", &example("logo.png"));
        put("assets/c.wav", &wav(4));
        put("draft_cover.jpg", &example("picture.jpg"));
        let made = Self {
            root,
            document,
            meta,
        };
        let id = made.timeline();
        let project =
            json!({"main_timeline_id": id, "timelines": [{"id": id, "name": "Timeline 01"}]});
        made.put("Timelines/project.json", project.to_string());
        let layout = json!({"dockItems": [{"timelineIds": [id]}]});
        made.put("timeline_layout.json", layout.to_string());
        for name in ROOTS {
            made.put(&format!("Timelines/{id}/{name}"), "");
        }
        made
    }

    /// The id of the clean draft and of its main timeline.
    fn timeline(&self) -> String {
        "0F3C9F5B-6F0F-4C2B-9D0B-2A2C5C0C9F11".to_owned()
    }

    /// Gives the main timeline another id.
    fn move_timeline(&self, id: &str) {
        let place = |id: &str| self.folder().join("Timelines").join(id);
        fs::rename(place(&self.timeline()), place(id)).expect("the timeline is there");
        for name in ["Timelines/project.json", "timeline_layout.json"] {
            let mut value = self.read(name);
            timelines::rename(&mut value, &self.timeline(), id);
            self.put(name, value.to_string());
        }
    }

    fn folder(&self) -> PathBuf {
        self.root
            .path()
            .canonicalize()
            .expect("it is there")
            .join(NAME)
    }

    fn options(&self) -> LintOptions {
        LintOptions {
            edition: None,
            backups: self.root.path().join(".data/backups"),
            media: None,
        }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = self.folder().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(file, bytes).expect("a file");
    }

    /// Truncates a file to half of its length.
    fn cut(&self, name: &str) {
        let bytes = fs::read(self.folder().join(name)).expect("a file");
        self.put(name, &bytes[..bytes.len() / 2]);
    }

    fn write(&self) {
        self.put("draft_content.json", self.document.to_string());
        self.put("draft_info.json", self.document.to_string());
        let timelines = fs::read_dir(self.folder().join("Timelines"));
        for timeline in timelines.into_iter().flatten().flatten() {
            for name in ROOTS {
                let nested = timeline.path().join(name);
                if nested.is_file() {
                    fs::write(nested, self.document.to_string()).expect("a file");
                }
            }
        }
        self.put("draft_meta_info.json", self.meta.to_string());
    }

    fn lint(&self) -> Vec<Problem> {
        lint(&self.folder(), &self.options()).expect("a draft folder")
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.folder().join(name)).expect(name)).expect("JSON")
    }

    fn root_object_remove(&mut self, key: &str) {
        self.document.as_object_mut().unwrap().remove(key);
    }
}

/// One of the example media files; the clip lasts 4 s.
fn example(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media");
    fs::read(folder.join(name)).expect(name)
}

/// Silence of the given number of seconds.
fn wav(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 8000;
    let bytes = RATE * seconds;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend(b"\x01\0\x08\0data");
    file.extend(bytes.to_le_bytes());
    file.resize(file.len() + bytes as usize, 0x80);
    file
}

fn codes(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.code).collect()
}

/// All files below a folder, with their content.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files.push((entry.path(), fs::read(entry.path()).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

/// Fixes a draft twice, checks that the second run changes nothing, and returns the result of the first.
fn fix_twice(folder: &Path, options: &LintOptions) -> super::Fixed {
    let first = fix(folder, options).expect("a draft that can be fixed");
    let after = snapshot(folder);
    let second = fix(folder, options).expect("a draft that can be fixed");
    assert_eq!(
        second.changed,
        Vec::<String>::new(),
        "a second run changes something"
    );
    assert_eq!(second.backup, None);
    assert_eq!(snapshot(folder), after);
    assert_eq!(second.left, first.left);
    first
}
