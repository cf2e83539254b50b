//! Reads pixels of a picture at any place and size.

use tiny_skia::Pixmap;

use super::mix::lerp;
use crate::geometry::Affine;

/// Reads rows of pixels from a picture, between its pixels in straight lines.
pub(super) struct Sampler<'p> {
    pixels: &'p [[u8; 4]],
    width: usize,
    /// From the centre of a pixel of the target to the picture, in pixels between centres.
    map: Affine,
    /// The first and the last column and row that are visible.
    columns: (i64, i64),
    rows: (i64, i64),
}

/// The steps between two pixels.
const ONE: f64 = 65536.0;

impl<'p> Sampler<'p> {
    /// `back` is from pixels of the target to the visible part as a square, `crop` from there to the picture as a square.
    /// Pictures that are much larger than they are shown are made smaller first; `smaller` keeps buffers for that.
    pub(super) fn new(
        picture: &'p Pixmap,
        crop: Affine,
        back: Affine,
        smaller: &'p mut Vec<Pixmap>,
    ) -> Option<Self> {
        let to_square = back.then(crop);
        let picture = smaller_picture(picture, to_square, smaller);
        let (width, height) = (picture.width(), picture.height());
        let map = to_square.then(Affine::scale(f64::from(width), f64::from(height)));
        let corners = crop
            .then(Affine::scale(f64::from(width), f64::from(height)))
            .corners(1.0, 1.0);
        let bounds = |values: [f64; 4], side: u32| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let last = i64::from(side) - 1;
            let first = ((low + 1e-6).floor() as i64).clamp(0, last);
            (first, ((high - 1e-6).ceil() as i64 - 1).clamp(first, last))
        };
        let numbers = [map.a, map.b, map.c, map.d, map.e, map.f];
        // Fixed-point steps must not overflow.
        numbers
            .iter()
            .all(|number| number.abs() < 1e9)
            .then_some(Self {
                pixels: picture.data().as_chunks::<4>().0,
                width: width as usize,
                map: map.then(Affine::translate(-0.5, -0.5)),
                columns: bounds(corners.map(|(x, _)| x), width),
                rows: bounds(corners.map(|(_, y)| y), height),
            })
    }

    fn pixel(&self, column: i64, row: i64) -> u32 {
        let column = column.clamp(self.columns.0, self.columns.1) as usize;
        let row = row.clamp(self.rows.0, self.rows.1) as usize;
        u32::from_le_bytes(self.pixels[row * self.width + column])
    }

    /// Reads the pixels of a row of the target from a column on.
    pub(super) fn row(&self, start: usize, y: usize, out: &mut [u32]) {
        let (u, v) = self.map.apply(start as f64 + 0.5, y as f64 + 0.5);
        // Rounded to the steps between pixels, so that a whole number is met whatever the rounding of the map.
        let fixed = |number: f64| (number * ONE).round() as i64 + 128;
        let (u, v) = (fixed(u), fixed(v));
        let (du, dv) = (
            (self.map.a * ONE).round() as i64,
            (self.map.b * ONE).round() as i64,
        );
        if dv == 0 {
            self.level_row(u, v, du, out);
            return;
        }
        // Rounded steps would drift over a long row.
        for (index, out) in out.iter_mut().enumerate() {
            let x = index as f64;
            let u = u + (self.map.a * ONE * x) as i64;
            let v = v + (self.map.b * ONE * x) as i64;
            *out = self.between(u, v);
        }
    }

    #[inline]
    fn between(&self, u: i64, v: i64) -> u32 {
        let (column, row) = (u >> 16, v >> 16);
        let (right, down) = (((u >> 8) & 255) as u32, ((v >> 8) & 255) as u32);
        let inside = column >= self.columns.0
            && column < self.columns.1
            && row >= self.rows.0
            && row < self.rows.1;
        if inside {
            let at = row as usize * self.width + column as usize;
            let word = |at: usize| u32::from_le_bytes(self.pixels[at]);
            let top = lerp(word(at), word(at + 1), right);
            let bottom = lerp(word(at + self.width), word(at + self.width + 1), right);
            return lerp(top, bottom, down);
        }
        let pixel = |x, y| self.pixel(column + x, row + y);
        let top = lerp(pixel(0, 0), pixel(1, 0), right);
        let bottom = lerp(pixel(0, 1), pixel(1, 1), right);
        lerp(top, bottom, down)
    }

    /// A row of a picture that is not rotated: two rows of the picture, between which each pixel is as far.
    fn level_row(&self, u: i64, v: i64, du: i64, out: &mut [u32]) {
        let clamped = |row: i64| row.clamp(self.rows.0, self.rows.1) as usize * self.width;
        let down = ((v >> 8) & 255) as u32;
        let line = |row: i64| &self.pixels[clamped(row)..clamped(row) + self.width];
        let (top, bottom) = (line(v >> 16), line((v >> 16) + 1));
        let (first, last) = self.columns;
        if du == 65536 && (u & 0xff00) == 0 && down == 0 {
            // Pixel on pixel.
            for (index, out) in out.iter_mut().enumerate() {
                let column = ((u >> 16) + index as i64).clamp(first, last);
                *out = u32::from_le_bytes(top[column as usize]);
            }
            return;
        }
        let step = self.map.a * ONE;
        let (mut low, mut from, mut to) = (i64::MIN, 0, 0);
        for (index, out) in out.iter_mut().enumerate() {
            let u = u + (step * index as f64) as i64;
            let column = u >> 16;
            if column != low {
                let at = |column: i64| {
                    let column = column.clamp(first, last) as usize;
                    let word = |line: &[[u8; 4]]| u32::from_le_bytes(line[column]);
                    lerp(word(top), word(bottom), down)
                };
                from = if column == low.saturating_add(1) {
                    to
                } else {
                    at(column)
                };
                to = at(column + 1);
                low = column;
            }
            *out = lerp(from, to, ((u >> 8) & 255) as u32);
        }
    }
}

/// A picture that is at most twice as large as it is shown: each step halves a side by the mean of neighbours.
fn smaller_picture<'p>(
    picture: &'p Pixmap,
    to_square: Affine,
    smaller: &'p mut Vec<Pixmap>,
) -> &'p Pixmap {
    let (mut width, mut height) = (picture.width(), picture.height());
    // Pixels of the picture for a step of a pixel on the target.
    let steps = |width: u32, height: u32| {
        let across = to_square.a.hypot(to_square.c) * f64::from(width);
        let down = to_square.b.hypot(to_square.d) * f64::from(height);
        (across, down)
    };
    let mut made = None;
    loop {
        let (across, down) = steps(width, height);
        let halve = (across >= 2.0 && width > 1, down >= 2.0 && height > 1);
        if halve == (false, false) {
            break;
        }
        let source = made.as_ref().unwrap_or(picture);
        let Some(half) = halved(source, halve, smaller) else {
            break;
        };
        (width, height) = (half.width(), half.height());
        smaller.extend(made.replace(half));
        smaller.truncate(4);
    }
    match made {
        None => picture,
        Some(made) => {
            smaller.insert(0, made);
            &smaller[0]
        }
    }
}

fn halved(source: &Pixmap, halve: (bool, bool), buffers: &mut Vec<Pixmap>) -> Option<Pixmap> {
    let side = |side: u32, halve: bool| if halve { side.div_ceil(2) } else { side };
    let (width, height) = (
        side(source.width(), halve.0),
        side(source.height(), halve.1),
    );
    let known = buffers
        .iter()
        .position(|own| own.width() == width && own.height() == height);
    let mut half = match known {
        Some(index) => buffers.swap_remove(index),
        None => Pixmap::new(width, height)?,
    };
    let stride = source.width() as usize;
    let pixels = source.data().as_chunks::<4>().0;
    let (steps_x, steps_y) = (1 + usize::from(halve.0), 1 + usize::from(halve.1));
    let (out, _) = half.data_mut().as_chunks_mut::<4>();
    let (last_x, last_y) = (stride - 1, source.height() as usize - 1);
    for (y, line) in out.chunks_exact_mut(width as usize).enumerate() {
        let (top, bottom) = (y * steps_y, (y * steps_y + steps_y - 1).min(last_y));
        let (top, bottom) = (&pixels[top * stride..], &pixels[bottom * stride..]);
        for (x, out) in line.iter_mut().enumerate() {
            let (left, right) = (x * steps_x, (x * steps_x + steps_x - 1).min(last_x));
            for (channel, out) in out.iter_mut().enumerate() {
                let sum = u16::from(top[left][channel])
                    + u16::from(top[right][channel])
                    + u16::from(bottom[left][channel])
                    + u16::from(bottom[right][channel]);
                *out = ((sum + 2) / 4) as u8;
            }
        }
    }
    Some(half)
}
