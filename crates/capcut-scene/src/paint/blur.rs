//! Blurs pictures.

use tiny_skia::Pixmap;

/// Blurs a picture in place: three passes of a mean in each direction, which are close to a Gauss curve. The radius is in
/// pixels; what is beyond the edges is as at the edges.
pub(crate) fn blur(picture: &mut Pixmap, radius: f64, line: &mut Vec<[u8; 4]>) {
    // Three means of this width have the variance of a Gauss curve with half of the radius.
    let half = (radius / 2.0).round().clamp(0.0, 4096.0) as usize;
    if half == 0 {
        return;
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (pixels, _) = picture.data_mut().as_chunks_mut::<4>();
    for _ in 0..3 {
        for row in pixels.chunks_exact_mut(width) {
            line.clear();
            line.extend_from_slice(row);
            mean(line, half, |index, pixel| row[index] = pixel);
        }
        for column in 0..width {
            line.clear();
            line.extend(pixels[column..].iter().step_by(width).take(height));
            mean(line, half, |index, pixel| {
                pixels[index * width + column] = pixel;
            });
        }
    }
}

/// The mean of each pixel and `half` of its neighbours on both sides.
fn mean(line: &[[u8; 4]], half: usize, mut put: impl FnMut(usize, [u8; 4])) {
    let last = line.len() - 1;
    let count = (2 * half + 1) as u32;
    let mut sum = [0_u32; 4];
    let add = |sum: &mut [u32; 4], index: usize, is_new: bool| {
        for (sum, part) in sum.iter_mut().zip(line[index]) {
            if is_new {
                *sum += u32::from(part);
            } else {
                *sum -= u32::from(part);
            }
        }
    };
    for offset in 0..=2 * half {
        add(&mut sum, offset.saturating_sub(half).min(last), true);
    }
    for index in 0..line.len() {
        put(index, sum.map(|sum| ((sum + count / 2) / count) as u8));
        add(&mut sum, index.saturating_sub(half), false);
        add(&mut sum, (index + half + 1).min(last), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_picture_stays_and_an_edge_becomes_soft() {
        let mut picture = Pixmap::new(40, 7).unwrap();
        picture
            .data_mut()
            .as_chunks_mut::<4>()
            .0
            .fill([90, 60, 30, 120]);
        let before = picture.clone();
        blur(&mut picture, 9.0, &mut Vec::new());
        assert_eq!(picture.data(), before.data());
        for (index, pixel) in picture
            .data_mut()
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .enumerate()
        {
            *pixel = if index % 40 < 20 { [255; 4] } else { [0; 4] };
        }
        blur(&mut picture, 6.0, &mut Vec::new());
        let row: Vec<u8> = (0..40)
            .map(|x| picture.pixel(x, 3).unwrap().red())
            .collect();
        assert!(row.is_sorted_by(|a, b| a >= b), "{row:?}");
        assert!(
            (100..156).contains(&row[19]) || (100..156).contains(&row[20]),
            "{row:?}"
        );
        assert_eq!((row[0], row[39]), (255, 0));
        blur(&mut picture, f64::INFINITY, &mut Vec::new());
        blur(&mut picture, f64::NAN, &mut Vec::new());
    }
}
