//! Still pictures: JPEG, PNG, GIF and WebP, upright and in the size that is shown.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use tiny_skia::{IntSize, Pixmap};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::resize;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// The most pixels of a picture: decoded, each takes four bytes.
const MAX_PIXELS: u64 = 80_000_000;
/// The longest side, in pixels.
const MAX_SIDE: u32 = 32_767;

/// Why a file is not decoded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StillError {
    /// Another format; `ffmpeg` may know it.
    Format,
    /// It cannot be read: the reason.
    Broken(String),
}

/// The formats that are decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StillFormat {
    Jpeg,
    Png,
    Gif,
    WebP,
}

/// Pixels in RGBA, not premultiplied.
struct Decoded {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
    is_opaque: bool,
    /// The orientation of EXIF, 1 to 8.
    orientation: u8,
}

/// The picture in `file`, upright, within `size` pixels (width, height) but not enlarged; of an animation the first frame.
///
/// # Errors
/// For other formats, and for pictures that are broken or too large.
pub fn still(file: &Path, size: (u32, u32)) -> Result<Pixmap, StillError> {
    let bytes = read(file)?;
    let decoded = match format(&bytes).ok_or(StillError::Format)? {
        StillFormat::Jpeg => jpeg(&bytes),
        StillFormat::Png => png(&bytes),
        StillFormat::Gif => gif(&bytes),
        StillFormat::WebP => webp(&bytes),
    }?;
    drop(bytes);
    upright(decoded, size).ok_or_else(|| StillError::Broken("it has no pixels".to_owned()))
}

fn broken(error: impl std::fmt::Display) -> StillError {
    StillError::Broken(error.to_string())
}

fn read(file: &Path) -> Result<Vec<u8>, StillError> {
    let metadata = std::fs::metadata(file).map_err(broken)?;
    // A pipe would block.
    if !metadata.is_file() {
        return Err(broken("it is not a file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(broken(format!(
            "it has {} MB; at most {} MB are read",
            metadata.len() >> 20,
            MAX_BYTES >> 20
        )));
    }
    let mut bytes = Vec::new();
    let file = File::open(file).map_err(broken)?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(broken)?;
    Ok(bytes)
}

fn format(bytes: &[u8]) -> Option<StillFormat> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(StillFormat::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Some(StillFormat::Png),
        [b'G', b'I', b'F', b'8', ..] => Some(StillFormat::Gif),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(StillFormat::WebP),
        _ => None,
    }
}

/// The number of bytes of the decoded picture.
fn checked(width: u32, height: u32) -> Result<usize, StillError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS || width.max(height) > MAX_SIDE {
        return Err(broken(format!(
            "it has {width} × {height} pixels; at most {} million and {MAX_SIDE} on a side are decoded",
            MAX_PIXELS / 1_000_000
        )));
    }
    Ok(pixels as usize * 4)
}

fn jpeg(bytes: &[u8]) -> Result<Decoded, StillError> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize)
        // Files that are cut or slightly wrong are shown up to the fault.
        .set_strict_mode(false)
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or_else(|| broken("it has no header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let most = checked(width, height)?;
    let mut rgba = decoder.decode().map_err(broken)?;
    match decoder.output_colorspace() {
        Some(ColorSpace::RGBA) => {}
        Some(ColorSpace::Luma) => rgba = rgba.iter().flat_map(|l| [*l, *l, *l, 255]).collect(),
        Some(ColorSpace::RGB) => {
            rgba = rgba
                .as_chunks::<3>()
                .0
                .iter()
                .flat_map(|[r, g, b]| [*r, *g, *b, 255])
                .collect();
        }
        other => return Err(broken(format!("its colours ({other:?}) are not supported"))),
    }
    if rgba.len() != most {
        return Err(broken("it is incomplete"));
    }
    let orientation = decoder.exif().and_then(|exif| orientation(exif));
    Ok(Decoded {
        width,
        height,
        rgba,
        is_opaque: true,
        orientation: orientation.unwrap_or(1),
    })
}

fn png(bytes: &[u8]) -> Result<Decoded, StillError> {
    let limits = png::Limits {
        bytes: MAX_PIXELS as usize * 8,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(
        png::Transformations::ALPHA | png::Transformations::STRIP_16 | png::Transformations::EXPAND,
    );
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let most = checked(width, height)?;
    let orientation = reader.info().exif_metadata.as_deref().and_then(orientation);
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| broken("it is too large"))?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(broken)?;
    pixels.truncate(frame.buffer_size());
    let rgba: Vec<u8> = match frame.color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::Rgb => pixels
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|[r, g, b]| [*r, *g, *b, 255])
            .collect(),
        png::ColorType::GrayscaleAlpha => pixels
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|[l, a]| [*l, *l, *l, *a])
            .collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|l| [*l, *l, *l, 255]).collect(),
        png::ColorType::Indexed => return Err(broken("its palette was not read")),
    };
    // The first frame of an animation may be smaller than the picture.
    if rgba.len() != most {
        return Err(broken("it is incomplete"));
    }
    Ok(Decoded {
        width,
        height,
        is_opaque: is_opaque(&rgba),
        rgba,
        orientation: orientation.unwrap_or(1),
    })
}

fn gif(bytes: &[u8]) -> Result<Decoded, StillError> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let limit = std::num::NonZeroU64::new(MAX_PIXELS * 4)
        .map_or(gif::MemoryLimit::Unlimited, gif::MemoryLimit::Bytes);
    options.set_memory_limit(limit);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let most = checked(width, height)?;
    let mut rgba = vec![0; most];
    let frame = decoder
        .read_next_frame()
        .map_err(broken)?
        .ok_or_else(|| broken("it has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let row = usize::from(frame.width) * 4;
    let lines = frame
        .buffer
        .chunks_exact(row.max(4))
        .take(usize::from(frame.height));
    for (y, line) in lines.enumerate() {
        let start = ((top + y) * width as usize + left) * 4;
        let room = (width as usize).saturating_sub(left) * 4;
        let count = line.len().min(room);
        if let Some(target) = rgba.get_mut(start..start + count) {
            target.copy_from_slice(&line[..count]);
        }
    }
    Ok(Decoded {
        width,
        height,
        is_opaque: is_opaque(&rgba),
        rgba,
        orientation: 1,
    })
}

fn webp(bytes: &[u8]) -> Result<Decoded, StillError> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let most = checked(width, height)?;
    decoder.set_memory_limit(MAX_PIXELS as usize * 4);
    let size = decoder
        .output_buffer_size()
        .ok_or_else(|| broken("it is too large"))?;
    let mut pixels = vec![0; size];
    let has_alpha = decoder.has_alpha();
    decoder.read_image(&mut pixels).map_err(broken)?;
    let rgba = if has_alpha {
        pixels
    } else {
        pixels
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|[r, g, b]| [*r, *g, *b, 255])
            .collect()
    };
    if rgba.len() != most {
        return Err(broken("it is incomplete"));
    }
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif.as_deref().and_then(orientation);
    let is_opaque = !has_alpha || is_opaque(&rgba);
    Ok(Decoded {
        width,
        height,
        rgba,
        is_opaque,
        orientation: orientation.unwrap_or(1),
    })
}

fn is_opaque(rgba: &[u8]) -> bool {
    rgba.as_chunks::<4>()
        .0
        .iter()
        .all(|[.., alpha]| *alpha == 255)
}

/// The orientation in EXIF data: entry 0x0112 of the first directory.
fn orientation(exif: &[u8]) -> Option<u8> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let is_little = match exif.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = [*exif.get(at)?, *exif.get(at + 1)?];
        Some(if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let (first, second) = (u32::from(short(at)?), u32::from(short(at + 2)?));
        Some(if is_little {
            second << 16 | first
        } else {
            first << 16 | second
        })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let count = usize::from(short(directory)?);
    let entry = (0..count)
        .map(|index| directory + 2 + 12 * index)
        .find(|at| short(*at) == Some(0x0112))?;
    let value = short(entry + 8)?;
    (1..=8).contains(&value).then_some(value as u8)
}

/// Premultiplied, in the size that is shown, and turned as EXIF says.
fn upright(decoded: Decoded, size: (u32, u32)) -> Option<Pixmap> {
    let Decoded {
        width,
        height,
        mut rgba,
        is_opaque,
        orientation,
    } = decoded;
    if !is_opaque {
        premultiply(&mut rgba);
    }
    let is_sideways = orientation >= 5;
    let size = if is_sideways { (size.1, size.0) } else { size };
    let whole = Pixmap::from_vec(rgba, IntSize::from_wh(width, height)?)?;
    let shown = resize::shrunk(whole, size);
    if orientation == 1 {
        return Some(shown);
    }
    let (width, height) = (shown.width() as usize, shown.height() as usize);
    let (out_width, out_height) = if is_sideways {
        (height, width)
    } else {
        (width, height)
    };
    let mut turned = Pixmap::new(out_width as u32, out_height as u32)?;
    let from = shown.pixels();
    for (index, pixel) in turned.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (index % out_width, index / out_width);
        // The place in the stored picture of what is shown at (x, y).
        let (x, y) = match orientation {
            2 => (width - 1 - x, y),
            3 => (width - 1 - x, height - 1 - y),
            4 => (x, height - 1 - y),
            5 => (y, x),
            6 => (y, height - 1 - x),
            7 => (width - 1 - y, height - 1 - x),
            _ => (width - 1 - y, x),
        };
        *pixel = from[y * width + x];
    }
    Some(turned)
}

/// Multiplies the colours with their alpha.
pub(crate) fn premultiply(rgba: &mut [u8]) {
    for [r, g, b, a] in rgba.as_chunks_mut::<4>().0 {
        let alpha = u32::from(*a);
        if alpha == 255 {
            continue;
        }
        for colour in [r, g, b] {
            let product = u32::from(*colour) * alpha + 128;
            *colour = ((product + (product >> 8)) >> 8) as u8;
        }
    }
}
