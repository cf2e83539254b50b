//! The cover picture that the app shows for a draft in its list.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use imagesize::ImageType;
use jpeg_encoder::{ColorType, Encoder};
use resvg::tiny_skia::{Color, ColorU8, FilterQuality, Pixmap, PixmapPaint, Transform};
use resvg::usvg::{ImageHrefResolver, ImageKind, Options, Tree};

use serde_json::Value;

use crate::draft::finished::{self, ChosenCover, ContentType, Needed};
use crate::media::{self, ffmpeg};
use crate::regular_file::{self, Links, SMALL_BYTES};
use crate::units::Micros;

pub(crate) const FILE: &str = "draft_cover.jpg";

/// The longer side of a cover, in pixels.
const SIDE: u32 = 640;
/// How long `ffmpeg` may take for one frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum pixels of source pictures, to limit memory: decoded they take four bytes each.
const MAX_PIXELS: usize = 100_000_000;
/// Maximum size of source pictures, in bytes.
const MAX_BYTES: u64 = 64 << 20;

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
        let chosen = finished::chosen_cover(working, needed);
        Self {
            size: finished::canvas(working),
            first: match chosen {
                Some(ChosenCover::Frame(index, at)) => Some((index, at)),
                Some(ChosenCover::File(_)) => None,
                Some(ChosenCover::Nothing(_)) | None => first,
            },
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
        let made = made.or_else(|| jpeg(&drawn(self.size)?));
        // Errors are ignored: a draft works without a cover.
        if let Some(bytes) = made {
            let _ = fs::write(folder.join(FILE), bytes);
        }
        let what = match &self.chosen {
            Some(ChosenCover::Nothing(time)) => format!(
                "`cover` is at {time}, where no picture or video is shown: the cover is that of the first picture"
            ),
            Some(_) if is_made => return None,
            Some(ChosenCover::File(file)) => unmade(&format!("from {}", media::shown(file))),
            Some(ChosenCover::Frame(..)) => unmade("at its time"),
            None => return None,
        };
        Some(what)
    }
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
            picture(file, size).and_then(|picture| jpeg(&fitted(&picture, size)?))?
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

/// The picture in `file` (JPEG, PNG, GIF or WebP; of an animation the first frame).
fn picture(file: &Path, size: (u32, u32)) -> Option<Pixmap> {
    let bytes = regular_file::read(file, MAX_BYTES, Links::Follow).ok()?;
    let kind: fn(Arc<Vec<u8>>) -> ImageKind = match imagesize::image_type(&bytes).ok()? {
        ImageType::Jpeg => ImageKind::JPEG,
        ImageType::Png => ImageKind::PNG,
        ImageType::Gif => ImageKind::GIF,
        ImageType::Webp => ImageKind::WEBP,
        _ => return None,
    };
    let natural = imagesize::blob_size(&bytes).ok()?;
    let (width, height) = (natural.width, natural.height);
    if width.checked_mul(height)? > MAX_PIXELS {
        return None;
    }
    // The renderer decodes pictures only as parts of an SVG.
    let bytes = Arc::new(bytes);
    let options = Options {
        image_href_resolver: ImageHrefResolver {
            resolve_string: Box::new(move |_, _| Some(kind(Arc::clone(&bytes)))),
            ..ImageHrefResolver::default()
        },
        ..Options::default()
    };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
         <image href=\"picture\" width=\"{width}\" height=\"{height}\"/></svg>"
    );
    let tree = Tree::from_str(&svg, &options).ok()?;
    // Halving averages all pixels; one large step would pick some of them.
    let halves = |pixels: usize| pixels.div_ceil(2).max(1) as u32;
    let is_large =
        |width: usize, height: usize| width >= 2 * size.0 as usize || height >= 2 * size.1 as usize;
    let (scale, mut picture) = if is_large(width, height) {
        (0.5, Pixmap::new(halves(width), halves(height))?)
    } else {
        (1.0, Pixmap::new(width as u32, height as u32)?)
    };
    let transform = Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut picture.as_mut());
    while is_large(picture.width() as usize, picture.height() as usize) {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut half = Pixmap::new(halves(width), halves(height))?;
        draw(&picture, &mut half, Transform::from_scale(0.5, 0.5));
        picture = half;
    }
    Some(picture)
}

fn draw(picture: &Pixmap, onto: &mut Pixmap, transform: Transform) {
    let paint = PixmapPaint {
        quality: FilterQuality::Bilinear,
        ..PixmapPaint::default()
    };
    onto.draw_pixmap(0, 0, picture.as_ref(), &paint, transform, None);
}

/// A frame of a video as a cover, scaled as in [`fitted`] by `ffmpeg`, if installed.
fn frame(file: &Path, at: Micros, size: (f64, f64)) -> Option<Vec<u8>> {
    let (width, height) = scaled(size);
    let start = format!("{:.3}", at.seconds());
    let options = ["-v", "error", "-nostdin", "-threads", "1", "-ss", &start];
    let mut child = ffmpeg::reading("ffmpeg", &options, file)
        .args(["-an", "-sn", "-dn", "-frames:v", "1", "-vf"])
        .arg(format!(
            // Pad as RGB, which allows odd sizes; formats with subsampled colours do not.
            "scale={width}:{height}:force_original_aspect_ratio=decrease,format=rgb24,\
             pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:black,setsar=1,format=yuvj420p"
        ))
        .args(["-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "pipe:1"])
        .spawn()
        .ok()?;
    let mut out = child.stdout.take()?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = send.send(regular_file::read_all(&mut out, SMALL_BYTES));
    });
    let started = Instant::now();
    let bytes = receive.recv_timeout(PATIENCE);
    if bytes.is_err() || started.elapsed() > PATIENCE {
        let _ = child.kill();
    }
    let _ = child.wait();
    let bytes = bytes.ok()?.ok()?;
    let size = imagesize::blob_size(&bytes).ok()?;
    ((size.width, size.height) == (width as usize, height as usize)).then_some(bytes)
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
    draw(picture, &mut cover, transform);
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

fn jpeg(picture: &Pixmap) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let side = |pixels: u32| u16::try_from(pixels).ok();
    Encoder::new(&mut bytes, 85)
        .encode(
            picture.data(),
            side(picture.width())?,
            side(picture.height())?,
            ColorType::Rgba,
        )
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
            let cover = jpeg(&drawn((width, height)).unwrap()).unwrap();
            let size = imagesize::blob_size(&cover).unwrap();
            assert_eq!((size.width, size.height), expected);
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
        let cover = fitted(&picture(&file, (160, 120)).unwrap(), (160, 120)).unwrap();
        for x in [20, 81, 140] {
            let grey = red(&cover, x, 60);
            assert!((100..156).contains(&grey), "{grey}");
        }
    }

    #[test]
    fn a_picture_that_would_fill_the_memory_is_not_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large.png");
        plain(16, 16, [0, 0, 0]).save_png(&file).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        fs::write(&file, bytes).unwrap();
        assert!(picture(&file, (640, 360)).is_none());
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
        picture(file, (u32::MAX / 2, u32::MAX / 2)).unwrap()
    }
}
