//! The picture by which the app shows a draft in its list.

use std::collections::HashMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageReader, Limits, Rgb, RgbImage};
use serde_json::Value;

use crate::draft::finished::{Content, Needed, list, range};
use crate::units::Micros;

pub(crate) const FILE: &str = "draft_cover.jpg";

/// The longer side of a cover, in pixels.
const SIDE: u32 = 640;
/// How long `ffmpeg` may take for one frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// Larger pictures are not worth the memory.
const MAX_PIXELS: u32 = 12_000;

/// A cover that is still to be made: of the first picture or video on the timeline, else drawn.
#[derive(Debug)]
pub(super) struct Cover {
    /// The canvas.
    size: (f64, f64),
    /// Which of the media is seen first, and where in its file that is.
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

    /// Which of the media it is made of, if not drawn.
    pub(super) fn shows(&self) -> Option<usize> {
        self.first.map(|(index, _)| index)
    }

    /// Writes it into `folder`, of the file that it shows, if that can be had.
    pub(super) fn write(&self, folder: &Path, file: Option<(&Path, Content)>) {
        let at = self.first.map_or(Micros::ZERO, |(_, at)| at);
        let picture = file
            .and_then(|(file, content)| match content {
                Content::Video => frame(file, at),
                _ => picture(file),
            })
            .map_or_else(|| drawn(self.size), |picture| fitted(&picture, self.size));
        if let Some(bytes) = jpeg(&picture) {
            // A draft without a cover is a draft all the same.
            let _ = fs::write(folder.join(FILE), bytes);
        }
    }
}

/// A drawn cover, for drafts of which nothing else is known.
#[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
pub(crate) fn plain(width: f64, height: f64) -> Option<Vec<u8>> {
    jpeg(&drawn((width, height)))
}

/// What is seen first, and where in its file that is.
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

/// A frame of a video, where `ffmpeg` is installed.
fn frame(file: &Path, at: Micros) -> Option<DynamicImage> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-threads", "1", "-ss"])
        .arg(format!("{:.3}", at.seconds()))
        .arg("-i")
        .arg(file)
        .args(["-an", "-sn", "-dn", "-frames:v", "1", "-vf"])
        .arg(format!(
            "scale={SIDE}:{SIDE}:force_original_aspect_ratio=decrease"
        ))
        .args(["-f", "image2pipe", "-c:v", "png"])
        .args(["-compression_level", "1", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut out = child.stdout.take()?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut out, &mut bytes);
        let _ = send.send(read.map(|_| bytes));
    });
    let started = Instant::now();
    let bytes = receive.recv_timeout(PATIENCE);
    if bytes.is_err() || started.elapsed() > PATIENCE {
        let _ = child.kill();
    }
    let _ = child.wait();
    let bytes = bytes.ok()?.ok()?;
    image::load_from_memory(&bytes).ok()
}

/// The picture in the shape of the canvas, on black, as the app shows its first frame.
fn fitted(picture: &DynamicImage, size: (f64, f64)) -> RgbImage {
    let (width, height) = scaled(size);
    let small = picture.thumbnail(width, height).to_rgb8();
    let mut cover = RgbImage::new(width, height);
    let (left, top) = ((width - small.width()) / 2, (height - small.height()) / 2);
    image::imageops::overlay(&mut cover, &small, i64::from(left), i64::from(top));
    cover
}

/// A plain picture in the shape of the canvas: a dark ground with a film strip.
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
    use super::*;

    #[test]
    fn a_cover_has_the_shape_of_the_canvas() {
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
    fn a_picture_is_shown_whole_on_black() {
        let red = DynamicImage::ImageRgb8(RgbImage::from_pixel(200, 100, Rgb([255, 0, 0])));
        let cover = fitted(&red, (1080.0, 1920.0));
        assert_eq!(cover.get_pixel(180, 320), &Rgb([255, 0, 0]));
        assert_eq!(cover.get_pixel(180, 10), &Rgb([0, 0, 0]));
    }
}
