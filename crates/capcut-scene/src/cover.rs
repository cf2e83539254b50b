//! Shapes by which parts of layers are shown: masks, and what transitions and animations reveal.

use std::f64::consts::TAU;

use crate::geometry::Affine;

/// A shape; its lengths are pixels of its own, from its centre, with y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// Above a horizontal line.
    Half,
    /// Between two horizontal lines; half of their distance.
    Band(f64),
    /// The radii.
    Ellipse(f64, f64),
    /// Half of its sides, and the radius of its corners.
    Rectangle(f64, f64, f64),
    /// Half of its sides.
    Heart(f64, f64),
    /// Half of its sides.
    Star(f64, f64),
    /// A part of a turn, from the top clockwise.
    Sector(f64),
    /// Horizontal stripes: their distance, and the part of it that they fill.
    Stripes(f64, f64),
    /// Squares of a board: their sides, and the part of each that is filled from its centre.
    Squares(f64, f64),
    /// A part of small squares, in no order that can be seen: their sides, and the part.
    Grains(f64, f64),
}

/// A part of a layer that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cover {
    pub shape: Shape,
    /// From pixels of the shape to pixels of the canvas.
    pub place: Affine,
    /// The width of its soft edge, pixels of the canvas.
    pub feather: f64,
    /// Whether what is outside is shown.
    pub inverted: bool,
}

impl Cover {
    pub(crate) fn new(shape: Shape, place: Affine) -> Self {
        Self {
            shape,
            place,
            feather: 0.0,
            inverted: false,
        }
    }

    pub(crate) fn soft(self, feather: f64) -> Self {
        Self { feather, ..self }
    }

    /// The same on a canvas that is mapped.
    pub(crate) fn then(self, map: Affine) -> Self {
        let (across, down) = map.lengths();
        Self {
            place: self.place.then(map),
            feather: self.feather * (across * down).sqrt(),
            ..self
        }
    }

    /// For pixels of the target on which it is placed; none if it is as good as nothing.
    pub(crate) fn tester(&self) -> Option<CoverTester> {
        let back = self.place.inverse()?;
        let (across, down) = self.place.lengths();
        Some(CoverTester {
            shape: self.shape,
            back,
            scale: (across * down).sqrt(),
            feather: self.feather.clamp(1.0, 1e5),
            inverted: self.inverted,
        })
    }
}

/// Says how much of each pixel is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoverTester {
    shape: Shape,
    back: Affine,
    scale: f64,
    feather: f64,
    inverted: bool,
}

impl CoverTester {
    /// From 0 to 1.
    pub(crate) fn at(&self, x: usize, y: usize) -> f64 {
        let (x, y) = self.back.apply(x as f64 + 0.5, y as f64 + 0.5);
        let distance = self.shape.distance(x, y) * self.scale;
        let linear = (0.5 - distance / self.feather).clamp(0.0, 1.0);
        let part = if self.feather > 1.0 {
            linear * linear * (3.0 - 2.0 * linear)
        } else {
            linear
        };
        if self.inverted { 1.0 - part } else { part }
    }
}

impl Shape {
    /// The distance to the edge; less than 0 inside.
    fn distance(self, x: f64, y: f64) -> f64 {
        const FAR: f64 = 1e6;
        match self {
            Self::Half => y,
            Self::Band(half) => y.abs() - half,
            Self::Ellipse(across, down) => {
                if across <= 0.0 || down <= 0.0 {
                    return FAR;
                }
                // The value of the ellipse's equation, divided by its slope.
                let (u, v) = (x / across, y / down);
                let length = u.hypot(v);
                let slope = (u / across).hypot(v / down);
                if slope <= 1e-12 {
                    -across.min(down)
                } else {
                    length * (length - 1.0) / slope
                }
            }
            Self::Rectangle(across, down, radius) => {
                let radius = radius.clamp(0.0, across.min(down).max(0.0));
                let (u, v) = (x.abs() - across + radius, y.abs() - down + radius);
                u.max(0.0).hypot(v.max(0.0)) + u.max(v).min(0.0) - radius
            }
            Self::Heart(across, down) => heart(x, y, across, down),
            Self::Star(across, down) => star(x, y, across, down),
            Self::Sector(part) => {
                let angle = x.atan2(-y).rem_euclid(TAU);
                let end = part.clamp(0.0, 1.0) * TAU;
                if end >= TAU {
                    return -FAR;
                }
                if end <= 0.0 {
                    return FAR;
                }
                let radius = x.hypot(y);
                if angle < end {
                    -radius * angle.min(end - angle).min(1.0)
                } else {
                    radius * (angle - end).min(TAU - angle).min(1.0)
                }
            }
            Self::Stripes(period, part) => {
                let period = period.max(1.0);
                let at = y.rem_euclid(period);
                let end = part * period;
                if part >= 1.0 {
                    return -FAR;
                }
                if part <= 0.0 {
                    return FAR;
                }
                if at < end {
                    (at - end).max(-at)
                } else {
                    (at - end).min(period - at)
                }
            }
            Self::Squares(side, part) => {
                let side = side.max(1.0);
                let middle = |value: f64| (value.rem_euclid(side) - side / 2.0).abs();
                middle(x).max(middle(y)) - part * side / 2.0 * 1.001
            }
            Self::Grains(side, part) => {
                let side = side.max(1.0);
                let cell = |value: f64| (value / side).floor() as i64;
                if noise(cell(x), cell(y)) < part {
                    -FAR
                } else {
                    FAR
                }
            }
        }
    }
}

/// A number from 0 to less than 1 for a place, as if by chance and always the same.
pub(crate) fn noise(x: i64, y: i64) -> f64 {
    let mut bits = (x as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
    bits ^= bits >> 29;
    bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits ^= bits >> 32;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The curve (x² + y² − 1)³ = x²·y³, whose sides are about 2.28 and 2.21, scaled to the sides of the heart.
fn heart(x: f64, y: f64, across: f64, down: f64) -> f64 {
    if across <= 0.0 || down <= 0.0 {
        return 1e6;
    }
    let (u, v) = (x / across * 1.14, -y / down * 1.105 + 0.12);
    let value = |u: f64, v: f64| (u * u + v * v - 1.0).powi(3) - u * u * v * v * v;
    let here = value(u, v);
    // The gradient in pixels of the shape.
    let round = u * u + v * v - 1.0;
    let du = 6.0 * u * round * round - 2.0 * u * v * v * v;
    let dv = 6.0 * v * round * round - 3.0 * u * u * v * v;
    let slope = (du * 1.14 / across).hypot(dv * 1.105 / down);
    let limit = across.min(down);
    if slope <= 1e-9 {
        limit.copysign(here)
    } else {
        (here / slope).clamp(-limit, limit)
    }
}

/// A star with five points, the first at the top.
fn star(x: f64, y: f64, across: f64, down: f64) -> f64 {
    // Half of the sides of a star on a circle with radius 1, and the radius of its inner corners.
    const ACROSS: f64 = 0.951_056_516_3;
    const MIDDLE: f64 = 0.904_508_497_2;
    const INNER: f64 = 0.381_966_011_3;
    if across <= 0.0 || down <= 0.0 {
        return 1e6;
    }
    let (u, v) = (x / across * ACROSS, y / down * MIDDLE + MIDDLE - 1.0);
    let corner = |index: usize| {
        let angle = TAU * index as f64 / 10.0;
        let radius = if index.is_multiple_of(2) { 1.0 } else { INNER };
        (radius * angle.sin(), -radius * angle.cos())
    };
    let mut nearest = f64::INFINITY;
    let mut is_inside = false;
    let mut from = corner(9);
    for index in 0..10 {
        let to = corner(index);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let along = ((u - from.0) * dx + (v - from.1) * dy) / (dx * dx + dy * dy);
        let along = along.clamp(0.0, 1.0);
        let distance = (u - from.0 - along * dx).hypot(v - from.1 - along * dy);
        nearest = nearest.min(distance);
        if (from.1 > v) != (to.1 > v) && u < from.0 + (v - from.1) / dy * dx {
            is_inside = !is_inside;
        }
        from = to;
    }
    let pixels = nearest * (across / ACROSS).min(down / MIDDLE);
    if is_inside { -pixels } else { pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_reach_to_their_sides() {
        let inside = |shape: Shape, x, y| shape.distance(x, y) < 0.0;
        for shape in [
            Shape::Ellipse(50.0, 30.0),
            Shape::Rectangle(50.0, 30.0, 10.0),
            Shape::Heart(50.0, 30.0),
            Shape::Star(50.0, 30.0),
        ] {
            assert!(inside(shape, 0.0, 0.0), "{shape:?}");
            let (mut left, mut right, mut top, mut bottom) = (0.0, 0.0, 0.0, 0.0);
            for x in -70..70 {
                for y in -70..70 {
                    let (x, y) = (f64::from(x), f64::from(y));
                    if inside(shape, x, y) {
                        left = x.min(left);
                        right = x.max(right);
                        top = y.min(top);
                        bottom = y.max(bottom);
                    }
                }
            }
            for (side, expected) in [(left, -50.0), (right, 50.0), (top, -30.0), (bottom, 30.0)] {
                let miss: f64 = side - expected;
                assert!(miss.abs() < 3.5, "{shape:?}: {side} instead of {expected}");
            }
        }
        assert!(inside(Shape::Half, 3.0, -1.0) && !inside(Shape::Half, 3.0, 1.0));
        assert!(inside(Shape::Sector(0.3), 10.0, -1.0) && !inside(Shape::Sector(0.3), -10.0, 0.0));
    }

    #[test]
    fn an_edge_is_as_soft_as_its_feather() {
        let cover = Cover::new(Shape::Half, Affine::translate(0.0, 50.0));
        let hard = cover.tester().unwrap();
        assert_eq!(
            [48, 49, 50, 51].map(|y| hard.at(0, y)),
            [1.0, 1.0, 0.0, 0.0]
        );
        let soft = cover.soft(40.0).tester().unwrap();
        assert_eq!((soft.at(0, 20), soft.at(0, 80)), (1.0, 0.0));
        assert!((0.4..0.6).contains(&soft.at(0, 50)));
        assert!(
            Cover::new(Shape::Half, Affine::scale(0.0, 1.0))
                .tester()
                .is_none()
        );
    }
}
