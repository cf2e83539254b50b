//! Pictures as files: PNG, and JPEG in a quality that fits a number of bytes.

use tiny_skia::Pixmap;

use crate::error::{Problem, RenderError, Result};
use crate::resize;

/// The format of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PictureFormat {
    Png,
    #[default]
    Jpeg,
}

/// A picture as a file.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub format: PictureFormat,
    pub width: u32,
    pub height: u32,
}

/// The qualities of JPEG that are tried, best first.
const QUALITIES: [u8; 5] = [90, 82, 72, 60, 45];

/// The picture as PNG.
///
/// # Errors
/// If there is too little memory.
pub fn png(picture: &Pixmap) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let failed = |error: png::EncodingError| {
        RenderError::new(
            Problem::Internal,
            format!("a picture cannot be written as PNG: {error}"),
        )
    };
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_compression(png::Compression::Fast);
    // Frames are opaque, so that premultiplied colours are plain colours.
    let rgb = rgb(picture);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&rgb).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// The picture as JPEG of this quality, 1 to 100.
///
/// # Errors
/// If a side has more than 65,535 pixels.
pub fn jpeg(picture: &Pixmap, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let side = |pixels: u32| u16::try_from(pixels);
    let (Ok(width), Ok(height)) = (side(picture.width()), side(picture.height())) else {
        return Err(RenderError::new(
            Problem::Invalid,
            format!(
                "a JPEG of {} × {} pixels is not possible",
                picture.width(),
                picture.height()
            ),
        ));
    };
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder
        .encode(picture.data(), width, height, jpeg_encoder::ColorType::Rgba)
        .map_err(|error| {
            RenderError::new(
                Problem::Internal,
                format!("a picture cannot be written as JPEG: {error}"),
            )
        })?;
    Ok(bytes)
}

/// The picture in at most `most_bytes`: JPEG with the best quality that fits, and if none does, smaller; PNG smaller
/// where it does not fit.
///
/// # Errors
/// As [`png`] and [`jpeg`].
pub fn fitted(picture: &Pixmap, format: PictureFormat, most_bytes: usize) -> Result<Encoded> {
    let mut shown = std::borrow::Cow::Borrowed(picture);
    loop {
        let mut last = Vec::new();
        match format {
            PictureFormat::Png => last = png(&shown)?,
            PictureFormat::Jpeg => {
                for quality in QUALITIES {
                    last = jpeg(&shown, quality)?;
                    if last.len() <= most_bytes {
                        break;
                    }
                }
            }
        }
        let (width, height) = (shown.width(), shown.height());
        if last.len() <= most_bytes || width.max(height) <= 64 {
            return Ok(Encoded {
                bytes: last,
                format,
                width,
                height,
            });
        }
        // By area, as the bytes are; a little more, so that few steps are needed.
        let factor = (most_bytes as f64 / last.len() as f64)
            .sqrt()
            .clamp(0.3, 0.95)
            * 0.97;
        let side = |pixels: u32| ((f64::from(pixels) * factor) as u32).max(1);
        shown = std::borrow::Cow::Owned(resize::shrunk(
            shown.into_owned(),
            (side(width), side(height)),
        ));
    }
}

fn rgb(picture: &Pixmap) -> Vec<u8> {
    picture
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect()
}
