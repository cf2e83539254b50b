//! The cover picture that the app shows for a draft in its list.

use std::collections::HashMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use serde_json::Value;

use crate::draft::finished::{ContentType, Needed, list, range};
use crate::media::ffmpeg;
use crate::regular_file::{self, SMALL_BYTES};
use crate::units::Micros;

pub(crate) const FILE: &str = "draft_cover.jpg";

/// The longer side of a cover, in pixels.
const SIDE: u32 = 640;
/// How long `ffmpeg` may take for one frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum side of source pictures, to limit memory.
const MAX_PIXELS: u32 = 12_000;

/// A cover to be created: from the first picture or video on the timeline, else drawn.
#[derive(Debug)]
pub(super) struct Cover {
    /// The canvas.
    size: (f64, f64),
    /// The index of the first visible medium, and the position in its file.
    first: Option<(usize, Micros)>,
}

impl Cover {
    pub(super) fn of(working: &Value, needed: &[Needed]) -> Self {
        let side = |name: &str, unknown| working["canvas_config"][name].as_f64().unwrap_or(unknown);
        Self {
            size: (side("width", 16.0), side("height", 9.0)),
            first: first(working, needed),
        }
    }

    /// The index of the medium that it shows, unless it is drawn.
    pub(super) fn shows(&self) -> Option<usize> {
        self.first.map(|(index, _)| index)
    }

    /// Writes the cover into `folder`, from `file` if that is available.
    pub(super) fn write(&self, folder: &Path, file: Option<(&Path, ContentType)>, covers: &Covers) {
        // Errors are ignored: a draft works without a cover.
        if let Some(bytes) = self.made(file, covers) {
            let _ = fs::write(folder.join(FILE), bytes);
        }
    }

    fn made(&self, file: Option<(&Path, ContentType)>, covers: &Covers) -> Option<Vec<u8>> {
        let at = self.first.map_or(Micros::ZERO, |(_, at)| at);
        let Some((file, content)) = file else {
            return jpeg(&drawn(self.size));
        };
        let shown = CoverFrame::of(file, at, self.size);
        if let Some(bytes) = shown.as_ref().and_then(|shown| covers.made_of(shown)) {
            return Some(bytes);
        }
        let bytes = match content {
            ContentType::Video => frame(file, at, self.size),
            _ => picture(file).and_then(|picture| jpeg(&fitted(&picture, self.size))),
        };
        let Some(bytes) = bytes else {
            return jpeg(&drawn(self.size));
        };
        if let Some(shown) = shown {
            covers.keep(shown, &bytes);
        }
        Some(bytes)
    }
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

/// A drawn cover, for drafts without pictures.
#[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
pub(crate) fn plain(width: f64, height: f64) -> Option<Vec<u8>> {
    jpeg(&drawn((width, height)))
}

/// The index of the first visible medium, and the position in its file.
fn first(working: &Value, needed: &[Needed]) -> Option<(usize, Micros)> {
    let videos = needed.iter().enumerate();
    let videos: HashMap<&str, usize> = videos
        .filter(|(_, needed)| needed.list == "videos")
        .map(|(index, needed)| (needed.id.as_str(), index))
        .collect();
    list(&working["tracks"])
        .iter()
        .filter(|track| track["type"] == "video")
        .flat_map(|track| list(&track["segments"]))
        .filter_map(|segment| {
            let id = segment["material_id"].as_str()?;
            Some((
                range(&segment["target_timerange"]).start,
                *videos.get(id)?,
                range(&segment["source_timerange"]).start,
            ))
        })
        .min_by_key(|(start, ..)| *start)
        .map(|(_, index, at)| (index, at))
}

fn picture(file: &Path) -> Option<DynamicImage> {
    let mut reader = ImageReader::open(file).ok()?.with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_PIXELS);
    limits.max_image_height = Some(MAX_PIXELS);
    reader.limits(limits);
    reader.decode().ok()
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
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Jpeg);
    (reader.into_dimensions().ok() == Some((width, height))).then_some(bytes)
}

/// The picture with the aspect ratio of the canvas, on black, as the app shows its first frame.
fn fitted(picture: &DynamicImage, size: (f64, f64)) -> RgbImage {
    let (width, height) = scaled(size);
    let small = picture.thumbnail(width, height).to_rgb8();
    let mut cover = RgbImage::new(width, height);
    let (left, top) = ((width - small.width()) / 2, (height - small.height()) / 2);
    image::imageops::overlay(&mut cover, &small, i64::from(left), i64::from(top));
    cover
}

/// A plain picture with the aspect ratio of the canvas: a film strip on a dark background.
fn drawn(size: (f64, f64)) -> RgbImage {
    let (width, height) = scaled(size);
    RgbImage::from_fn(width, height, |x, y| {
        let strip = height * 2 / 5..height * 3 / 5;
        let unit = (width / 16).max(4);
        if strip.contains(&y) {
            let edge = (y - strip.start).min(strip.end - 1 - y);
            let hole = edge > 4 && edge < 4 + unit / 2 && x % unit < unit / 2;
            if hole {
                Rgb([24, 26, 32])
            } else {
                Rgb([236, 238, 244])
            }
        } else {
            let shade = (y * 24 / height) as u8;
            Rgb([24 + shade, 26 + shade, 32 + shade])
        }
    })
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

fn jpeg(picture: &RgbImage) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode_image(picture)
        .ok()?;
    Some(bytes.into_inner())
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
            let cover = image::load_from_memory(&plain(width, height).unwrap()).unwrap();
            assert_eq!((cover.width(), cover.height()), expected);
        }
    }

    #[test]
    fn a_cover_is_recreated_when_its_file_or_canvas_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.png");
        let colour = |colour: [u8; 3], modified: SystemTime| {
            let picture = RgbImage::from_pixel(16, 16, Rgb(colour));
            picture.save(&file).unwrap();
            let file = fs::File::options().append(true).open(&file).unwrap();
            file.set_modified(modified).unwrap();
        };
        let covers = Covers::default();
        let shown = |size: (f64, f64)| {
            let cover = Cover {
                size,
                first: Some((0, Micros::ZERO)),
            };
            cover.write(folder.path(), Some((&file, ContentType::Picture)), &covers);
            let cover = image::open(folder.path().join(FILE)).unwrap().to_rgb8();
            (cover.width(), cover.get_pixel(cover.width() / 2, 180).0[0])
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
            let cover = image::load_from_memory(&cover).unwrap().to_rgb8();
            assert_eq!(cover.dimensions(), scaled((width, height)));
            let bright = cover.pixels().filter(|pixel| pixel.0[1] > 40).count();
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
        let red = DynamicImage::ImageRgb8(RgbImage::from_pixel(200, 100, Rgb([255, 0, 0])));
        let cover = fitted(&red, (1080.0, 1920.0));
        assert_eq!(cover.get_pixel(180, 320), &Rgb([255, 0, 0]));
        assert_eq!(cover.get_pixel(180, 10), &Rgb([0, 0, 0]));
    }
}
