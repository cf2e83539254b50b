//! Generated media, and documents that show them.

use std::path::{Path, PathBuf};
use std::process::Command;

use capcut_draft::Document;
use capcut_render::{Files, Renderer, Tools};
use capcut_scene::Movie;
use capcut_text::Fonts;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn tools() -> Tools {
    Tools::of(Path::new("ffmpeg"), Path::new("ffprobe")).expect("the tests need FFmpeg")
}

/// The embedded font alone, so that the tests do not depend on those of the machine.
fn fonts() -> Fonts {
    Fonts::of_folders(&[])
}

/// Runs `ffmpeg` with arguments separated by blanks, and a file as the last one.
pub(crate) fn ffmpeg(arguments: &str, to: &Path) {
    assert!(try_ffmpeg(arguments, to), "{arguments}");
}

pub(crate) fn try_ffmpeg(arguments: &str, to: &Path) -> bool {
    let ended = Command::new("ffmpeg")
        .args(["-v", "fatal", "-y", "-nostdin"])
        .args(arguments.split_whitespace())
        .arg(to)
        .stderr(std::process::Stdio::null())
        .status();
    ended.expect("ffmpeg").success()
}

/// A folder with generated media.
pub(crate) struct Media(tempfile::TempDir);

impl Media {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn make(&self, name: &str, arguments: &str) -> PathBuf {
        let path = self.path(name);
        ffmpeg(arguments, &path);
        path
    }
}

/// A draft that is built for a test.
pub(crate) struct Draft {
    canvas: (u32, u32),
    fps: f64,
    materials: Value,
    tracks: Vec<Value>,
}

impl Draft {
    pub(crate) fn new(canvas: (u32, u32), fps: f64) -> Self {
        Self {
            canvas,
            fps,
            materials: json!({"videos": [], "audios": [], "speeds": [], "audio_fades": []}),
            tracks: Vec::new(),
        }
    }

    fn material(&mut self, list: &str, material: Value) {
        self.materials[list].as_array_mut().unwrap().push(material);
    }

    /// A clip on a track of its own. `source` and `target` are start and length in seconds; `more` is merged into the clip;
    /// `fade` and `curve`, the points of its speed, become materials.
    pub(crate) fn clip(
        mut self,
        kind: &str,
        file: &Path,
        size: (u32, u32),
        (source, target): ((f64, f64), (f64, f64)),
        more: Value,
    ) -> Self {
        let number = self.tracks.len();
        let id = format!("M{number}");
        let range = |(start, length): (f64, f64)| {
            let micros = |seconds: f64| (seconds * 1e6).round() as i64;
            json!({"start": micros(start), "duration": micros(length)})
        };
        let material = json!({
            "id": id, "type": kind, "path": file, "width": size.0, "height": size.1,
            "duration": 60 * SECOND, "material_name": "m", "has_audio": true
        });
        let (list, track) = match kind {
            "audio" => ("audios", "audio"),
            _ => ("videos", "video"),
        };
        let material = if kind == "audio" {
            json!({"id": id, "type": "extract_music", "path": file, "duration": 60 * SECOND, "name": "m"})
        } else {
            material
        };
        self.material(list, material);
        let speed = source.1 / target.1;
        let speed_id = format!("S{number}");
        let curve = more.get("curve");
        let mode = i32::from(curve.is_some());
        let curve = curve.map(|points| json!({"id": "curve", "speed_points": points}));
        self.material(
            "speeds",
            json!({"id": speed_id, "type": "speed", "speed": speed, "mode": mode, "curve_speed": curve}),
        );
        let mut refs = vec![json!(speed_id)];
        if let Some(fade) = more.get("fade") {
            let fade_id = format!("F{number}");
            self.material(
                "audio_fades",
                json!({
                    "id": fade_id, "type": "audio_fade",
                    "fade_in_duration": fade[0], "fade_out_duration": fade[1]
                }),
            );
            refs.push(json!(fade_id));
        }
        let mut clip = json!({
            "id": format!("C{number}"), "material_id": id, "extra_material_refs": refs,
            "source_timerange": range(source), "target_timerange": range(target),
            "speed": speed, "volume": 1.0, "visible": true, "render_index": number,
            "clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": 1.0, "y": 1.0},
                     "transform": {"x": 0.0, "y": 0.0}, "flip": {"horizontal": false, "vertical": false}}
        });
        for (key, value) in more.as_object().unwrap() {
            clip[key] = value.clone();
        }
        self.tracks.push(json!({
            "id": format!("T{number}"), "type": track, "attribute": 0, "segments": [clip]
        }));
        self
    }

    pub(crate) fn movie(&self) -> Movie {
        let mut duration = 0;
        for track in &self.tracks {
            let range = &track["segments"][0]["target_timerange"];
            let end = range["start"].as_i64().unwrap() + range["duration"].as_i64().unwrap();
            duration = duration.max(end);
        }
        let document = json!({
            "id": "D", "fps": self.fps, "duration": duration,
            "canvas_config": {"width": self.canvas.0, "height": self.canvas.1, "ratio": "original"},
            "materials": self.materials, "tracks": self.tracks
        });
        let document = Document::parse_object(document.to_string()).unwrap();
        Movie::new(&document, &fonts())
    }

    pub(crate) fn renderer(&self) -> Renderer {
        self.renderer_with(Some(tools()))
    }

    pub(crate) fn renderer_with(&self, tools: Option<Tools>) -> Renderer {
        let movie = self.movie();
        let found = |path: &str| {
            let path = PathBuf::from(path);
            if path.is_file() {
                Ok(path)
            } else {
                Err("missing".to_owned())
            }
        };
        let files = Files {
            media: movie
                .media()
                .iter()
                .map(|medium| found(&medium.path))
                .collect(),
            sounds: movie
                .sounds()
                .iter()
                .map(|sound| found(&sound.path))
                .collect(),
        };
        Renderer::new(movie, files, fonts(), tools)
    }
}

/// The colour at a place.
pub(crate) fn rgb(picture: &Pixmap, x: u32, y: u32) -> [i32; 3] {
    let pixel = picture.pixel(x, y).unwrap();
    [pixel.red(), pixel.green(), pixel.blue()].map(i32::from)
}

/// Whether a colour is another one within `most` of 255 in each channel.
pub(crate) fn is_near(one: [i32; 3], other: [i32; 3], most: i32) -> bool {
    one.iter().zip(other).all(|(a, b)| (a - b).abs() <= most)
}

/// A frame of a video file as it is, decoded by `ffmpeg` on its own.
pub(crate) fn decoded(file: &Path, frame: u64, media: &Media) -> Pixmap {
    let to = media.path("decoded.png");
    let select = format!(
        "-i {} -vf select=eq(n\\,{frame}) -frames:v 1",
        file.display()
    );
    ffmpeg(&select, &to);
    capcut_render::still(&to, (u32::MAX, u32::MAX)).unwrap()
}
