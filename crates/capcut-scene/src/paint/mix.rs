//! How pixels mix with those below.

use tiny_skia::Pixmap;

use crate::scene::{Blend, Color};

const LOW: u32 = 0x00ff_00ff;
const HALF: u32 = 0x0080_0080;

/// A pixel times a part of 255, rounded.
#[inline]
pub(super) fn scaled(pixel: u32, part: u32) -> u32 {
    let low = (pixel & LOW) * part + HALF;
    let high = ((pixel >> 8) & LOW) * part + HALF;
    let low = ((low + ((low >> 8) & LOW)) >> 8) & LOW;
    let high = (high + ((high >> 8) & LOW)) & !LOW;
    low | high
}

/// A pixel between two others: `part` of 256 of the way.
#[inline]
pub(super) fn lerp(from: u32, to: u32, part: u32) -> u32 {
    let low = (from & LOW) * (256 - part) + (to & LOW) * part + HALF;
    let high = ((from >> 8) & LOW) * (256 - part) + ((to >> 8) & LOW) * part + HALF;
    ((low >> 8) & LOW) | (high & !LOW)
}

pub(super) fn premultiplied(color: Color) -> u32 {
    let alpha = (color.alpha.clamp(0.0, 1.0) * 255.0).round() as u32;
    let opaque = u32::from_le_bytes([color.red, color.green, color.blue, 255]);
    scaled(opaque, alpha)
}

/// Fills a picture with a colour, as if it was drawn on it.
pub(crate) fn over_color(target: &mut Pixmap, color: Color) {
    let color = premultiplied(color).to_le_bytes();
    let (pixels, _) = target.data_mut().as_chunks_mut::<4>();
    pixels.fill(color);
}

/// Mixes a row of pixels with those below.
pub(super) fn row(below: &mut [[u8; 4]], above: &[u32], blend: Blend) {
    match blend {
        Blend::Normal => {
            for (below, above) in below.iter_mut().zip(above) {
                let rest = 255 - (above >> 24);
                if rest == 0 {
                    *below = above.to_le_bytes();
                } else if rest < 255 {
                    let sum = above + scaled(u32::from_le_bytes(*below), rest);
                    *below = sum.to_le_bytes();
                }
            }
        }
        Blend::Add => {
            for (below, above) in below.iter_mut().zip(above) {
                for (own, new) in below.iter_mut().zip(above.to_le_bytes()) {
                    *own = own.saturating_add(new);
                }
            }
        }
        Blend::Multiply => {
            for (below, above) in below.iter_mut().zip(above) {
                *below = multiplied(*below, above.to_le_bytes());
            }
        }
        Blend::Screen => {
            for (below, above) in below.iter_mut().zip(above) {
                for (own, new) in below.iter_mut().zip(above.to_le_bytes()) {
                    *own += part_of(255 - *own, new);
                }
            }
        }
        _ => {
            let function = function(blend);
            for (below, above) in below.iter_mut().zip(above) {
                if above >> 24 > 0 {
                    *below = separable(*below, above.to_le_bytes(), function);
                }
            }
        }
    }
}

/// A byte times another as a part of 255, rounded.
fn part_of(byte: u8, part: u8) -> u8 {
    let product = u32::from(byte) * u32::from(part) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// The formula of premultiplied colours.
fn multiplied(below: [u8; 4], above: [u8; 4]) -> [u8; 4] {
    let rest = [255 - below[3], 255 - above[3]].map(u32::from);
    let mut mixed = [0; 4];
    for (channel, mixed) in mixed.iter_mut().enumerate().take(3) {
        let (own, new) = (u32::from(below[channel]), u32::from(above[channel]));
        let sum = new * rest[0] + own * rest[1] + own * new;
        *mixed = ((sum + 127) / 255) as u8;
    }
    mixed[3] = below[3] + part_of(255 - below[3], above[3]);
    mixed
}

/// The formula of a mode for one channel: of the colour below and the one above, both from 0 to 1.
// W3C Compositing and Blending Level 1; linear burn as image editors define it.
fn function(blend: Blend) -> fn(f32, f32) -> f32 {
    match blend {
        Blend::Normal | Blend::Add | Blend::Multiply | Blend::Screen => |_, above| above,
        Blend::Darken => f32::min,
        Blend::Lighten => f32::max,
        Blend::Overlay => |below, above| hard_light(above, below),
        Blend::HardLight => hard_light,
        Blend::SoftLight => |below, above| {
            if above <= 0.5 {
                below - (1.0 - 2.0 * above) * below * (1.0 - below)
            } else {
                let lighter = if below <= 0.25 {
                    ((16.0 * below - 12.0) * below + 4.0) * below
                } else {
                    below.sqrt()
                };
                below + (2.0 * above - 1.0) * (lighter - below)
            }
        },
        Blend::ColorDodge => |below, above| {
            if below <= 0.0 {
                0.0
            } else if above >= 1.0 {
                1.0
            } else {
                (below / (1.0 - above)).min(1.0)
            }
        },
        Blend::ColorBurn => |below, above| {
            if below >= 1.0 {
                1.0
            } else if above <= 0.0 {
                0.0
            } else {
                1.0 - ((1.0 - below) / above).min(1.0)
            }
        },
        Blend::LinearBurn => |below, above| (below + above - 1.0).max(0.0),
    }
}

fn hard_light(below: f32, above: f32) -> f32 {
    if above <= 0.5 {
        2.0 * below * above
    } else {
        let above = 2.0 * above - 1.0;
        below + above - below * above
    }
}

fn separable(below: [u8; 4], above: [u8; 4], function: fn(f32, f32) -> f32) -> [u8; 4] {
    let unit = |byte: u8| f32::from(byte) / 255.0;
    let (alpha_below, alpha_above) = (unit(below[3]), unit(above[3]));
    let plain = |byte: u8, alpha: f32| {
        if alpha > 0.0 {
            (unit(byte) / alpha).min(1.0)
        } else {
            0.0
        }
    };
    let mut mixed = [0; 4];
    for (channel, mixed) in mixed.iter_mut().enumerate().take(3) {
        let both = function(
            plain(below[channel], alpha_below),
            plain(above[channel], alpha_above),
        );
        let sum = unit(above[channel]) * (1.0 - alpha_below)
            + unit(below[channel]) * (1.0 - alpha_above)
            + alpha_below * alpha_above * both;
        *mixed = (sum * 255.0 + 0.5) as u8;
    }
    let alpha = alpha_below + alpha_above - alpha_below * alpha_above;
    mixed[3] = (alpha * 255.0 + 0.5) as u8;
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_pixels_are_rounded_in_each_channel() {
        for part in 0..=255_u32 {
            for byte in 0..=255_u8 {
                let expected = (f64::from(u32::from(byte) * part) / 255.0).round() as u8;
                let pixel = u32::from_le_bytes([byte, 255 - byte, byte, 255]);
                let scaled = scaled(pixel, part).to_le_bytes();
                assert_eq!((scaled[0], scaled[2]), (expected, expected));
                assert_eq!(u32::from(scaled[3]), part);
            }
        }
    }

    #[test]
    fn modes_have_their_formulas() {
        let mix = |blend, below: u8, above: u8| {
            let mut pixel = [[below, below, below, 255]];
            row(
                &mut pixel,
                &[u32::from_le_bytes([above, above, above, 255])],
                blend,
            );
            assert_eq!(pixel[0][3], 255);
            pixel[0][0]
        };
        assert_eq!(mix(Blend::Normal, 100, 50), 50);
        assert_eq!(mix(Blend::Multiply, 128, 128), 64);
        assert_eq!(mix(Blend::Screen, 128, 128), 192);
        assert_eq!(mix(Blend::Add, 200, 100), 255);
        assert_eq!(mix(Blend::Darken, 200, 100), 100);
        assert_eq!(mix(Blend::Lighten, 200, 100), 200);
        assert_eq!(mix(Blend::LinearBurn, 200, 100), 45);
        assert_eq!(mix(Blend::ColorDodge, 100, 255), 255);
        assert_eq!(mix(Blend::ColorBurn, 100, 0), 0);
        assert_eq!(mix(Blend::Overlay, 64, 128), 64);
        assert_eq!(mix(Blend::HardLight, 128, 64), 64);
    }

    #[test]
    fn transparent_pixels_mix_in_part() {
        let mut pixel = [[100, 0, 0, 255]];
        row(&mut pixel, &[scaled(0xff00_00ff, 128)], Blend::Normal);
        assert_eq!(pixel, [[178, 0, 0, 255]]);
        let mut pixel = [[100, 0, 0, 255]];
        row(&mut pixel, &[scaled(0xff00_0000, 128)], Blend::Multiply);
        assert_eq!(pixel, [[50, 0, 0, 255]]);
    }
}
