//! How long a frame takes: `cargo bench -p capcut-scene`. The pictures of files are there already.
#![expect(clippy::print_stdout, reason = "a report for people")]

use std::sync::Arc;
use std::time::Instant;

use capcut_draft::Document;
use capcut_scene::{Composer, Frame, Frames, Movie, WantedFrame};
use capcut_text::Fonts;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

const SIZE: (u32, u32) = (1280, 720);
const FRAMES: u32 = 100;

/// A picture for each file, as large as it is shown.
struct Ready(Vec<Arc<Pixmap>>);

impl Ready {
    fn new(movie: &Movie) -> Self {
        let picture = |medium: &capcut_scene::Medium| {
            let (width, height) = medium.uses[0].largest;
            let mut picture = Pixmap::new(width.ceil() as u32, height.ceil() as u32).unwrap();
            let (pixels, _) = picture.data_mut().as_chunks_mut::<4>();
            for (index, pixel) in pixels.iter_mut().enumerate() {
                *pixel = [index as u8, (index / 1000) as u8, 99, 255];
            }
            Arc::new(picture)
        };
        Self(movie.media().iter().map(picture).collect())
    }
}

impl Frames for Ready {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        Frame::Picture(self.0[wanted.medium].clone())
    }
}

fn clip(material: &str, look: Value, refs: &[&str]) -> Value {
    json!({
        "material_id": material, "clip": look, "extra_material_refs": refs,
        "target_timerange": {"start": 0, "duration": 10_000_000}, "source_timerange": {"start": 0, "duration": 10_000_000},
    })
}

fn document(tracks: Vec<Value>) -> Document {
    let tracks: Vec<Value> = tracks
        .into_iter()
        .map(|clip| json!({"type": "video", "segments": [clip]}))
        .collect();
    let content = json!({"text": "Three layers, 720p: the quick brown fox", "styles": [{
        "range": [0, 39], "size": 12.0, "strokes": [{"width": 0.06}],
    }]});
    let document = json!({
        "canvas_config": {"width": SIZE.0, "height": SIZE.1}, "fps": 30, "tracks": tracks,
        "render_index_track_mode_on": true,
        "materials": {
            "videos": [
                {"id": "whole", "type": "video", "path": "whole", "width": 1920, "height": 1080},
                {"id": "tall", "type": "video", "path": "tall", "width": 1080, "height": 1920},
            ],
            "texts": [{"id": "text", "content": content.to_string()}],
            "masks": [{"id": "circle", "resource_type": "circle", "config": {"width": 0.8, "height": 0.8, "feather": 0.1}}],
            "effects": [{"id": "warm", "type": "temperature", "value": 0.4}, {"id": "multiply", "type": "mix_mode", "name": "Multiply"}],
            "transitions": [{"id": "dissolve", "name": "Mix", "duration": 10_000_000}],
            "canvases": [{"id": "blur", "type": "canvas_blur", "blur": 0.6}],
        },
    });
    Document::parse(document.to_string()).unwrap()
}

fn measure(what: &str, tracks: Vec<Value>) {
    let movie = Movie::new(&document(tracks), &Fonts::of_system());
    let mut frames = Ready::new(&movie);
    let mut composer = Composer::new(Fonts::of_system());
    let mut target = Pixmap::new(SIZE.0, SIZE.1).unwrap();
    let mut times = Vec::new();
    for index in 0..FRAMES {
        let start = Instant::now();
        let scene = movie.scene(i64::from(index) * 33_333);
        composer.compose(&scene, &mut frames, &mut target);
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{what:44} {:6.2} ms median, {:6.2} ms at most",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

fn main() {
    let whole = || clip("whole", json!({}), &[]);
    let place =
        json!({"scale": {"x": 0.6, "y": 0.6}, "rotation": 12.0, "transform": {"x": 0.4, "y": 0.1}});
    let small = json!({"scale": {"x": 0.4, "y": 0.4}, "transform": {"x": -0.5, "y": 0.3}});
    let text = || clip("text", json!({"transform": {"x": 0.0, "y": -0.7}}), &[]);
    measure("one whole layer", vec![whole()]);
    measure(
        "three layers: whole, turned, text",
        vec![whole(), clip("tall", place.clone(), &[]), text()],
    );
    measure(
        "three pictures: whole, turned, small",
        vec![
            whole(),
            clip("tall", place.clone(), &[]),
            clip("whole", small, &[]),
        ],
    );
    measure(
        "whole and turned with a soft mask",
        vec![whole(), clip("tall", place, &["circle"])],
    );
    measure(
        "a whole layer with adjusted colours",
        vec![clip("whole", json!({}), &["warm"])],
    );
    measure(
        "two whole layers, multiplied",
        vec![whole(), clip("whole", json!({}), &["multiply"])],
    );
    measure(
        "a blurred background",
        vec![clip("tall", json!({}), &["blur"])],
    );
    measure("a text", vec![text()]);
}
