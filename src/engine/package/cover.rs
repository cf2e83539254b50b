//! The cover picture that the app shows for a draft in its list.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use capcut_draft::Document;
use capcut_render::{Files, Renderer, still};
use capcut_scene::{Medium, Movie, SceneNote};
use capcut_text::Fonts;
use jpeg_encoder::{ColorType, Encoder};
use serde_json::Value;
use tiny_skia::{Color, ColorU8, FilterQuality, Pixmap, PixmapPaint, Transform};

use crate::draft::finished::{self, ChosenCover, ContentType, Needed};
use crate::media::{self, ffmpeg};
use crate::picture::png::system_fonts;
use crate::regular_file;
use crate::units::Micros;

pub(crate) const FILE: &str = "draft_cover.jpg";

/// The longer side of a cover, in pixels.
const SIDE: u32 = 640;
/// The most bytes of a frame of this size.
const RAW_BYTES: u64 = SIDE as u64 * SIDE as u64 * 3;
/// How long `ffmpeg` may take for one frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cover to be created: from the file or time that was chosen, else from the first picture or video on the timeline,
/// else drawn.
#[derive(Debug)]
pub(super) struct Cover {
    /// The canvas, in pixels.
    size: (f64, f64),
    /// The index of the visible medium, and the position in its file.
    first: Option<(usize, Micros)>,
    chosen: Option<ChosenCover>,
}

impl Cover {
    /// The cover of a draft with this canvas and these media.
    pub(super) fn of(working: &Value, needed: &[Needed]) -> Self {
        let shown = needed.iter().enumerate();
        let shown = shown.filter_map(|(index, needed)| Some((index, needed.shown?)));
        let first = shown.min_by_key(|(_, (start, _))| *start);
        let first = first.map(|(index, (_, at))| (index, at));
        let chosen = finished::chosen_cover(working);
        Self {
            size: finished::canvas(working),
            first: first.filter(|_| !matches!(chosen, Some(ChosenCover::File(_)))),
            chosen,
        }
    }

    /// The file that was chosen for it: path or URL.
    pub(super) fn file(&self) -> Option<&str> {
        match &self.chosen {
            Some(ChosenCover::File(file)) => Some(file),
            _ => None,
        }
    }

    /// The time on the timeline that was chosen for it. Until the draft is drawn, the cover is that without a choice.
    pub(super) fn time(&self) -> Option<Micros> {
        match &self.chosen {
            Some(ChosenCover::At(time)) => Some(*time),
            _ => None,
        }
    }

    /// The index of the medium that it shows, unless it is drawn.
    pub(super) fn shows(&self) -> Option<usize> {
        self.first.map(|(index, _)| index)
    }

    /// Writes the cover into `folder`, from `file` if that is available. Returns a note if it is not the one that was
    /// chosen.
    pub(super) fn write(
        &self,
        folder: &Path,
        file: Option<(&Path, ContentType)>,
        covers: &Covers,
    ) -> Option<String> {
        let at = self.first.map_or(Micros::ZERO, |(_, at)| at);
        let made = file.and_then(|(file, content)| made_of(file, content, at, self.size, covers));
        let is_made = made.is_some();
        let plain = || jpeg(drawn(self.size)?.data(), scaled(self.size), ColorType::Rgba);
        let made = made.or_else(plain);
        // Errors are ignored: a draft works without a cover.
        if let Some(bytes) = made {
            let _ = fs::write(folder.join(FILE), bytes);
        }
        let what = match &self.chosen {
            Some(ChosenCover::Nothing(time)) => format!(
                "`cover` is at {time}, where no picture or video is shown: the cover is that of the first picture"
            ),
            Some(ChosenCover::File(_)) if is_made => return None,
            Some(ChosenCover::File(file)) => unmade(&format!("from {}", media::shown(file))),
            Some(ChosenCover::At(_)) | None => return None,
        };
        Some(what)
    }
}

/// A draft whose picture at a time becomes its cover.
pub(super) struct CoverScene {
    movie: Movie,
    fonts: Fonts,
    at: i64,
}

impl CoverScene {
    /// `None` if nothing is shown at the time.
    pub(super) fn new(document: &Document, at: Micros) -> Option<Self> {
        let fonts = system_fonts();
        let movie = Movie::new(document, &fonts);
        let is_seen = at.0 < movie.duration() && !movie.scene(at.0).layers.is_empty();
        is_seen.then_some(Self {
            movie,
            fonts,
            at: at.0,
        })
    }

    /// The files that are seen, as the document names them.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let seen = self.movie.media().iter().filter(|medium| self.sees(medium));
        seen.map(|medium| medium.path.as_str())
    }

    fn sees(&self, medium: &Medium) -> bool {
        let mut uses = medium.uses.iter();
        uses.any(|used| (used.shown.start..=used.shown.end()).contains(&self.at))
    }

    /// The cover; `None` if a file that is seen has no entry in `files` or cannot be shown.
    pub(super) fn draw(self, files: &HashMap<String, PathBuf>) -> Option<Vec<u8>> {
        let found = |medium: &Medium| {
            let file = files.get(&medium.path).cloned();
            file.ok_or_else(|| "it is not shown".to_owned())
        };
        let media = self.movie.media();
        let seen = media.iter().enumerate();
        let seen: Vec<usize> = seen
            .filter(|(_, medium)| self.sees(medium))
            .map(|(index, _)| index)
            .collect();
        let files = Files {
            media: media.iter().map(found).collect(),
            sounds: Vec::new(),
        };
        let mut renderer = Renderer::new(self.movie, files, self.fonts, ffmpeg::tools());
        if seen
            .iter()
            .any(|index| renderer.hindrance(*index).is_some())
        {
            return None;
        }
        let picture = renderer.frame(self.at, SIDE).ok()?;
        let is_placeholder = |note: &SceneNote| note.is_left_out && note.subject == "media";
        if renderer.notes().iter().any(is_placeholder) {
            return None;
        }
        let size = (picture.width(), picture.height());
        jpeg(picture.data(), size, ColorType::Rgba)
    }
}

/// Draws the cover of a working document at a time into a folder. Returns a note if that is not possible.
pub(super) fn draw(
    working: String,
    time: Micros,
    files: &HashMap<String, PathBuf>,
    folder: &Path,
) -> Option<String> {
    let document = Document::parse_object(working).ok();
    let scene = document.and_then(|document| CoverScene::new(&document, time));
    let drawn = scene.and_then(|scene| scene.draw(files));
    // Errors are ignored: a draft works without a cover.
    let written = drawn.and_then(|bytes| fs::write(folder.join(FILE), bytes).ok());
    written.is_none().then(|| unmade("at its time"))
}

/// The note for a cover that could not be made.
pub(super) fn unmade(of: &str) -> String {
    format!(
        "the cover could not be made {of}: it must be a JPEG, PNG, GIF or WebP picture, or a video, which needs `ffmpeg`"
    )
}

/// A cover from a file, which for a video is its frame at a time.
pub(super) fn made_of(
    file: &Path,
    content: ContentType,
    at: Micros,
    size: (f64, f64),
    covers: &Covers,
) -> Option<Vec<u8>> {
    let shown = CoverFrame::of(file, at, size);
    if let Some(bytes) = shown.as_ref().and_then(|shown| covers.made_of(shown)) {
        return Some(bytes);
    }
    let bytes = match content {
        ContentType::Video => frame(file, at, size)?,
        _ => {
            let size = scaled(size);
            let picture = still(file, size).ok()?;
            jpeg(fitted(&picture, size)?.data(), size, ColorType::Rgba)?
        }
    };
    if let Some(shown) = shown {
        covers.keep(shown, &bytes);
    }
    Some(bytes)
}

/// The last cover created from a file. A draft is saved repeatedly during work, and creating the cover of a
/// video takes as long as copying the video.
#[derive(Debug, Default)]
pub(crate) struct Covers(Mutex<Option<(CoverFrame, Vec<u8>)>>);

/// What a cover shows: a position in a file of a certain state, on a canvas.
#[derive(Debug, PartialEq)]
struct CoverFrame {
    file: PathBuf,
    modified: SystemTime,
    bytes: u64,
    at: Micros,
    size: (f64, f64),
}

impl CoverFrame {
    fn of(file: &Path, at: Micros, size: (f64, f64)) -> Option<Self> {
        let known = fs::metadata(file).ok()?;
        Some(Self {
            file: file.to_owned(),
            modified: known.modified().ok()?,
            bytes: known.len(),
            at,
            size,
        })
    }
}

impl Covers {
    fn made_of(&self, shown: &CoverFrame) -> Option<Vec<u8>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, bytes) = last.as_ref().filter(|(last, _)| last == shown)?;
        Some(bytes.clone())
    }

    fn keep(&self, shown: CoverFrame, bytes: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((shown, bytes.to_owned()));
    }
}

/// A frame of a video as a cover, scaled as in [`fitted`] by `ffmpeg`, if installed.
fn frame(file: &Path, at: Micros, size: (f64, f64)) -> Option<Vec<u8>> {
    let (width, height) = scaled(size);
    let start = format!("{:.3}", at.seconds());
    let options = ["-v", "error", "-nostdin", "-threads", "1", "-ss", &start];
    let mut child = ffmpeg::reading("ffmpeg", &options, file)
        .args(["-an", "-sn", "-dn", "-frames:v", "1", "-vf"])
        .arg(format!(
            // Padded as RGB, which allows odd sizes; formats with subsampled colours do not.
            "scale={width}:{height}:force_original_aspect_ratio=decrease,format=rgb24,\
             pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:black"
        ))
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
        .spawn()
        .ok()?;
    let mut out = child.stdout.take()?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = send.send(regular_file::read_all(&mut out, RAW_BYTES));
    });
    let started = Instant::now();
    let bytes = receive.recv_timeout(PATIENCE);
    if bytes.is_err() || started.elapsed() > PATIENCE {
        let _ = child.kill();
    }
    let _ = child.wait();
    let pixels = bytes.ok()?.ok()?;
    if pixels.len() != width as usize * height as usize * 3 {
        return None;
    }
    jpeg(&pixels, (width, height), ColorType::Rgb)
}

/// The picture in the size of the cover, complete and on black, as the app shows its first frame.
fn fitted(picture: &Pixmap, (width, height): (u32, u32)) -> Option<Pixmap> {
    let mut cover = Pixmap::new(width, height)?;
    cover.fill(Color::BLACK);
    let (width, height) = (width as f32, height as f32);
    let (own_width, own_height) = (picture.width() as f32, picture.height() as f32);
    let scale = (width / own_width).min(height / own_height);
    let left = (width - own_width * scale) / 2.0;
    let top = (height - own_height * scale) / 2.0;
    let transform = Transform::from_scale(scale, scale).post_translate(left, top);
    let paint = PixmapPaint {
        quality: FilterQuality::Bilinear,
        ..PixmapPaint::default()
    };
    cover.draw_pixmap(0, 0, picture.as_ref(), &paint, transform, None);
    Some(cover)
}

/// A plain picture with the aspect ratio of the canvas: a film strip on a dark background.
fn drawn(size: (f64, f64)) -> Option<Pixmap> {
    let (width, height) = scaled(size);
    let mut cover = Pixmap::new(width, height)?;
    let strip = height * 2 / 5..height * 3 / 5;
    let unit = (width / 16).max(4);
    for (index, pixel) in (0..).zip(cover.pixels_mut()) {
        let (x, y) = (index % width, index / width);
        let [red, green, blue] = if strip.contains(&y) {
            let edge = (y - strip.start).min(strip.end - 1 - y);
            let hole = edge > 4 && edge < 4 + unit / 2 && x % unit < unit / 2;
            if hole { [24, 26, 32] } else { [236, 238, 244] }
        } else {
            let shade = (y * 24 / height) as u8;
            [24 + shade, 26 + shade, 32 + shade]
        };
        *pixel = ColorU8::from_rgba(red, green, blue, 255).premultiply();
    }
    Some(cover)
}

fn scaled((width, height): (f64, f64)) -> (u32, u32) {
    let longer = width.max(height);
    if !longer.is_finite() || longer <= 0.0 {
        return (SIDE, SIDE * 9 / 16);
    }
    let side = |length: f64| {
        (length / longer * f64::from(SIDE))
            .round()
            .clamp(16.0, f64::from(SIDE)) as u32
    };
    (side(width), side(height))
}

fn jpeg(pixels: &[u8], (width, height): (u32, u32), colours: ColorType) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let side = |pixels: u32| u16::try_from(pixels).ok();
    Encoder::new(&mut bytes, 85)
        .encode(pixels, side(width)?, side(height)?, colours)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_cover_has_the_aspect_ratio_of_the_canvas() {
        for (width, height, expected) in [
            (1080.0, 1920.0, (360, 640)),
            (1920.0, 1080.0, (640, 360)),
            (1.0, 4000.0, (16, 640)),
        ] {
            let cover = drawn((width, height)).unwrap();
            assert_eq!((cover.width(), cover.height()), expected);
        }
    }

    #[test]
    fn a_cover_is_recreated_when_its_file_or_canvas_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.png");
        let colour = |colour: [u8; 3], modified: SystemTime| {
            plain(16, 16, colour).save_png(&file).unwrap();
            let file = fs::File::options().append(true).open(&file).unwrap();
            file.set_modified(modified).unwrap();
        };
        let covers = Covers::default();
        let shown = |size: (f64, f64)| {
            let cover = Cover {
                size,
                first: Some((0, Micros::ZERO)),
                chosen: None,
            };
            cover.write(folder.path(), Some((&file, ContentType::Picture)), &covers);
            let cover = decoded(&folder.path().join(FILE));
            (cover.width(), red(&cover, cover.width() / 2, 180))
        };
        let wide = (1920.0, 1080.0);
        let then = SystemTime::now() - Duration::from_secs(60);
        colour([255, 0, 0], then);
        assert!(shown(wide).1 > 200);
        colour([0, 0, 0], then);
        assert!(shown(wide).1 > 200, "the same file by size and time");
        assert_eq!(shown((1080.0, 1080.0)), (640, 0), "another canvas");
        colour([255, 0, 0], then);
        assert!(shown(wide).1 > 200);
        colour([0, 0, 0], then + Duration::from_secs(1));
        assert_eq!(shown(wide).1, 0, "a newer file");
    }

    #[test]
    fn a_video_frame_fits_a_canvas_of_any_size() {
        if !has_ffmpeg() {
            return;
        }
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media/clip.mp4");
        for (width, height) in [(1080.0, 1920.0), (1000.0, 1500.0), (1920.0, 1081.0)] {
            let cover = frame(&clip, Micros::ZERO, (width, height)).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(FILE);
            fs::write(&file, cover).unwrap();
            let cover = decoded(&file);
            assert_eq!((cover.width(), cover.height()), scaled((width, height)));
            let pixels = cover.pixels().iter();
            let bright = pixels.filter(|pixel| pixel.green() > 40).count();
            assert!(bright > 1000, "{width} x {height}: {bright}");
        }
    }

    fn has_ffmpeg() -> bool {
        let found = Command::new("ffmpeg").arg("-version").output().is_ok();
        if !found {
            eprintln!("SKIPPED: ffmpeg is not installed");
        }
        found
    }

    #[test]
    fn playlists_are_not_followed() {
        if !has_ffmpeg() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media/clip.mp4");
        let clip_here = folder.path().join("clip.mp4");
        fs::copy(&clip, &clip_here).unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let url = format!("http://{}/clip.mp4", server.local_addr().unwrap());
        let playlist = |entry: &str| {
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{entry}\n#EXT-X-ENDLIST\n")
        };
        let lists = [
            "ffconcat version 1.0\nfile clip.mp4\n".to_owned(),
            format!("ffconcat version 1.0\nfile '{url}'\n"),
            playlist("clip.mp4"),
            playlist(&url),
            format!(
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {} RTP/AVP 96\n",
                5004
            ),
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT1S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
            ),
            format!("[Reference]\nRef1={url}\n"),
        ];
        for (number, list) in lists.iter().enumerate() {
            for ending in ["mp4", "m3u8", "avi", "sdp"] {
                let file = folder.path().join(format!("{number}.{ending}"));
                fs::write(&file, list).unwrap();
                let made = frame(&file, Micros::ZERO, (640.0, 360.0));
                assert!(made.is_none(), "followed: {list}");
            }
        }
        assert!(server.accept().is_err(), "an address was requested");
        // Names with a special meaning for FFmpeg are file names.
        for name in ["clip%03d.mp4", "concat:clip.mp4", "http:clip.mp4", "-i.mp4"] {
            let file = folder.path().join(name);
            fs::copy(&clip, &file).unwrap();
            let made = frame(&file, Micros::ZERO, (640.0, 360.0));
            assert!(made.is_some(), "{name}");
        }
    }

    #[test]
    fn a_picture_is_shown_completely_on_black() {
        let cover = fitted(&plain(200, 100, [255, 0, 0]), (360, 640)).unwrap();
        assert_eq!(red(&cover, 180, 320), 255);
        assert_eq!(red(&cover, 180, 10), 0);
    }

    #[test]
    fn a_large_picture_is_averaged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stripes.png");
        let mut stripes = plain(1603, 1201, [0, 0, 0]);
        let white = plain(1, 1201, [255, 255, 255]);
        for x in (0..1603).step_by(2) {
            let paint = PixmapPaint::default();
            stripes.draw_pixmap(x, 0, white.as_ref(), &paint, Transform::identity(), None);
        }
        stripes.save_png(&file).unwrap();
        let cover = fitted(&still(&file, (160, 120)).unwrap(), (160, 120)).unwrap();
        for x in [20, 81, 140] {
            let grey = red(&cover, x, 60);
            assert!((100..156).contains(&grey), "{grey}");
        }
    }

    fn plain(width: u32, height: u32, [red, green, blue]: [u8; 3]) -> Pixmap {
        let mut picture = Pixmap::new(width, height).unwrap();
        picture.fill(Color::from_rgba8(red, green, blue, 255));
        picture
    }

    fn red(picture: &Pixmap, x: u32, y: u32) -> u8 {
        picture.pixel(x, y).unwrap().red()
    }

    /// The picture in its own size.
    fn decoded(file: &Path) -> Pixmap {
        still(file, (u32::MAX / 2, u32::MAX / 2)).unwrap()
    }
}
