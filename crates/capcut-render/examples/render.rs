//! Renders a document: `render DOCUMENT OUT.mp4 [LONGEST SIDE]`, or `render DOCUMENT OUT.jpg SECONDS [LONGEST SIDE]`.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use capcut_draft::Document;
use capcut_render::{Files, Renderer, Tools, VideoOptions, jpeg};
use capcut_scene::Movie;
use capcut_text::Fonts;

fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [document, to, rest @ ..] = arguments.as_slice() else {
        return Err("render DOCUMENT OUT [SECONDS] [LONGEST SIDE]".into());
    };
    let fonts = Fonts::of_system();
    let document = Document::parse_object(std::fs::read_to_string(document)?)?;
    let movie = Movie::new(&document, &fonts);
    let found = |path: &str| Ok(PathBuf::from(path));
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
    let tools = Tools::of(Path::new("ffmpeg"), Path::new("ffprobe")).ok();
    let duration = movie.duration();
    let mut renderer = Renderer::new(movie, files, fonts, tools);
    let number = |index: usize| {
        rest.get(index)
            .and_then(|number| number.parse::<f64>().ok())
    };
    if Path::new(to)
        .extension()
        .is_some_and(|ending| ending == "mp4")
    {
        let options = VideoOptions {
            range: (0, duration),
            longest: number(0).unwrap_or(1280.0) as u32,
            overwrite: true,
        };
        let report = renderer.video(Path::new(to), options, &mut |_| ControlFlow::Continue(()))?;
        println!("{report:?}");
    } else {
        let at = (number(0).unwrap_or(0.0) * 1e6) as i64;
        let picture = renderer.frame(at, number(1).unwrap_or(1280.0) as u32)?;
        std::fs::write(to, jpeg(&picture, 85)?)?;
    }
    for note in renderer.notes() {
        println!("{note:?}");
    }
    println!("{:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}
