//! Pictures in a smaller size.

use tiny_skia::{IntSize, Pixmap};

/// The largest size within `limit` that keeps the proportions of `size`, and is not larger than it.
pub(crate) fn within(size: (u32, u32), limit: (u32, u32)) -> (u32, u32) {
    let scale = |limit: u32, side: u32| f64::from(limit.max(1)) / f64::from(side.max(1));
    let factor = scale(limit.0, size.0).min(scale(limit.1, size.1)).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * factor).round() as u32).max(1);
    (side(size.0), side(size.1))
}

/// The picture within `limit` pixels, each pixel the average of those that it stands for.
pub(crate) fn shrunk(picture: Pixmap, limit: (u32, u32)) -> Pixmap {
    let size = (picture.width(), picture.height());
    let target = within(size, limit);
    if target == size {
        return picture;
    }
    averaged(&picture, target).unwrap_or(picture)
}

/// One output pixel along an axis: the first input pixel, and the weight of each input pixel; together 1.
struct Share {
    first: usize,
    weights: Vec<f32>,
}

fn shares(from: u32, to: u32) -> Vec<Share> {
    let step = f64::from(from) / f64::from(to);
    let share = |index: u32| {
        let (start, end) = (f64::from(index) * step, f64::from(index + 1) * step);
        let first = (start.floor() as u32).min(from - 1);
        let last = (end.ceil() as u32).clamp(first + 1, from);
        let overlap =
            |pixel: u32| (end.min(f64::from(pixel + 1)) - start.max(f64::from(pixel))).max(0.0);
        let sum: f64 = (first..last).map(overlap).sum();
        Share {
            first: first as usize,
            weights: (first..last)
                .map(|pixel| (overlap(pixel) / sum) as f32)
                .collect(),
        }
    };
    (0..to).map(share).collect()
}

fn averaged(picture: &Pixmap, (width, height): (u32, u32)) -> Option<Pixmap> {
    let row = picture.width() as usize * 4;
    let columns = shares(picture.width(), width);
    let mut bytes = Vec::with_capacity(width as usize * height as usize * 4);
    let mut sums = vec![0_f32; row];
    for lines in shares(picture.height(), height) {
        sums.fill(0.0);
        for (line, weight) in (lines.first..).zip(&lines.weights) {
            let line = &picture.data()[line * row..(line + 1) * row];
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += f32::from(*value) * weight;
            }
        }
        for column in &columns {
            let mut pixel = [0_f32; 4];
            let pixels = sums[column.first * 4..].as_chunks::<4>().0;
            for (parts, weight) in pixels.iter().zip(&column.weights) {
                for (sum, part) in pixel.iter_mut().zip(parts) {
                    *sum += part * weight;
                }
            }
            bytes.extend(pixel.map(|sum| (sum + 0.5) as u8));
        }
    }
    Pixmap::from_vec(bytes, IntSize::from_wh(width, height)?)
}

#[cfg(test)]
mod tests {
    use tiny_skia::Color;

    use super::*;

    #[test]
    fn sizes_keep_their_proportions_and_are_never_larger_or_empty() {
        assert_eq!(within((1920, 1080), (1280, 1280)), (1280, 720));
        assert_eq!(within((100, 50), (1000, 1000)), (100, 50));
        assert_eq!(within((30_000, 1), (10, 10)), (10, 1));
        assert_eq!(within((10, 10), (0, 0)), (1, 1));
    }

    #[test]
    fn a_plain_picture_keeps_its_colour_at_every_size() {
        for (width, height, limit) in [(1603, 7, 160), (640, 360, 639), (333, 500, 1)] {
            let mut picture = Pixmap::new(width, height).unwrap();
            picture.fill(Color::from_rgba8(200, 17, 255, 255));
            let small = shrunk(picture, (limit, limit));
            let is_same = |pixel: &tiny_skia::PremultipliedColorU8| {
                (pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()) == (200, 17, 255, 255)
            };
            assert!(small.pixels().iter().all(is_same));
            assert!(small.width() <= limit && small.height() <= limit);
        }
    }

    #[test]
    fn stripes_are_averaged() {
        let mut picture = Pixmap::new(1600, 2).unwrap();
        for (index, pixel) in picture.pixels_mut().iter_mut().enumerate() {
            let light = if index % 2 == 0 { 255 } else { 0 };
            *pixel = tiny_skia::ColorU8::from_rgba(light, light, light, 255).premultiply();
        }
        let small = shrunk(picture, (160, 160));
        assert!(
            small
                .pixels()
                .iter()
                .all(|pixel| (126..=129).contains(&pixel.red()))
        );
    }
}
