//! Contact sheets: frames beside each other, each with its time.

use capcut_text::{Fonts, Rgba, Text, TextPart};
use tiny_skia::{Color, Pixmap, PixmapPaint, Rect, Transform};

use crate::error::{Problem, RenderError, Result};
use crate::renderer::Renderer;

/// Pixels between frames.
const GAP: u32 = 6;

/// How many frames are beside each other, so that the sheet is about as wide as it is high.
pub fn columns(frames: usize, canvas: (u32, u32)) -> u32 {
    let (width, height) = (f64::from(canvas.0.max(1)), f64::from(canvas.1.max(1)));
    let fits = (frames as f64 * height / width).sqrt().round() as u32;
    fits.clamp(1, frames.max(1) as u32)
}

/// A sheet of the frames at times, microseconds, in their order; `longest` is the longer side of a frame in pixels.
///
/// # Errors
/// As [`Renderer::frames`].
pub fn sheet(renderer: &mut Renderer, times: &[i64], longest: u32) -> Result<Pixmap> {
    let frames = renderer.frames(times, longest.max(16))?;
    let columns = columns(frames.len(), renderer.movie().canvas());
    let rows = (frames.len() as u32).div_ceil(columns);
    let (width, height) = frames
        .first()
        .map_or((16, 16), |frame| (frame.width(), frame.height()));
    let label = (height as f32 / 20.0).clamp(10.0, 22.0);
    let (across, down) = (width + GAP, height + GAP);
    let (all_across, all_down) = (columns * across + GAP, rows * down + GAP);
    let mut sheet = Pixmap::new(all_across, all_down).ok_or_else(|| {
        RenderError::new(
            Problem::Invalid,
            format!("a sheet of {all_across} × {all_down} pixels is not possible"),
        )
    })?;
    sheet.fill(Color::from_rgba8(30, 32, 38, 255));
    let fonts = renderer.fonts.clone();
    for (index, (frame, time)) in frames.iter().zip(times).enumerate() {
        let (column, row) = (index as u32 % columns, index as u32 / columns);
        let (x, y) = ((GAP + column * across) as f32, (GAP + row * down) as f32);
        let place = Transform::from_translate(x, y);
        sheet.draw_pixmap(0, 0, frame.as_ref(), &PixmapPaint::default(), place, None);
        stamp(
            &mut sheet,
            &fonts,
            &clock(*time),
            label,
            (x, y + height as f32),
        );
    }
    Ok(sheet)
}

/// Writes a time into the lower left corner of a frame.
fn stamp(sheet: &mut Pixmap, fonts: &Fonts, text: &str, size: f32, (left, bottom): (f32, f32)) {
    let mut part = TextPart::new(text, size);
    part.fill = Rgba::WHITE;
    let layout = fonts.lay_out(&Text::new(vec![part]));
    let (width, height) = (layout.width(), layout.height());
    let margin = size / 3.0;
    let top = bottom - height - margin;
    let mut paint = tiny_skia::Paint::default();
    paint.set_color_rgba8(0, 0, 0, 170);
    if let Some(box_) = Rect::from_xywh(left, top, width + 2.0 * margin, height + margin) {
        sheet.fill_rect(box_, &paint, Transform::identity(), None);
    }
    let place = Transform::from_translate(left + margin, top + margin / 2.0);
    layout.draw(&mut sheet.as_mut(), place, 1.0, 0..layout.clusters());
}

/// Minutes, seconds and hundredths.
fn clock(time: i64) -> String {
    let hundredths = time.max(0) / 10_000;
    let (minutes, seconds) = (hundredths / 6000, hundredths / 100 % 60);
    format!("{minutes}:{seconds:02}.{:02}", hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_on_a_clock() {
        assert_eq!(clock(0), "0:00.00");
        assert_eq!(clock(61_234_567), "1:01.23");
        assert_eq!(clock(3_600_000_000), "60:00.00");
    }

    #[test]
    fn sheets_are_about_square() {
        assert_eq!(columns(16, (1920, 1080)), 3);
        assert_eq!(columns(9, (1080, 1080)), 3);
        assert_eq!(columns(4, (1080, 1920)), 3);
        assert_eq!(columns(1, (1080, 1920)), 1);
        assert_eq!(columns(16, (10_000, 1)), 1);
        assert_eq!(columns(16, (1, 10_000)), 16);
    }
}
