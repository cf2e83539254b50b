//! Affine maps of the plane, in pixels with y downwards.

/// An affine map: `x' = a·x + c·y + e`, `y' = b·x + d·y + f`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub a: f64,
    pub b: f64,
    pub c: f64,
    pub d: f64,
    pub e: f64,
    pub f: f64,
}

impl Default for Affine {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Affine {
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 0.0,
        c: 0.0,
        d: 1.0,
        e: 0.0,
        f: 0.0,
    };

    #[must_use]
    pub const fn translate(x: f64, y: f64) -> Self {
        Self {
            e: x,
            f: y,
            ..Self::IDENTITY
        }
    }

    #[must_use]
    pub const fn scale(x: f64, y: f64) -> Self {
        Self {
            a: x,
            d: y,
            ..Self::IDENTITY
        }
    }

    /// Clockwise, degrees.
    #[must_use]
    pub fn rotate(degrees: f64) -> Self {
        let degrees = degrees.rem_euclid(360.0);
        let (sin, cos) = if degrees == 0.0 {
            (0.0, 1.0)
        } else if degrees == 90.0 {
            (1.0, 0.0)
        } else if degrees == 180.0 {
            (0.0, -1.0)
        } else if degrees == 270.0 {
            (-1.0, 0.0)
        } else {
            degrees.to_radians().sin_cos()
        };
        Self {
            a: cos,
            b: sin,
            c: -sin,
            d: cos,
            ..Self::IDENTITY
        }
    }

    /// This map, then another one.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            a: next.a * self.a + next.c * self.b,
            b: next.b * self.a + next.d * self.b,
            c: next.a * self.c + next.c * self.d,
            d: next.b * self.c + next.d * self.d,
            e: next.a * self.e + next.c * self.f + next.e,
            f: next.b * self.e + next.d * self.f + next.f,
        }
    }

    /// This map with its fixed point moved to a place.
    #[must_use]
    pub fn about(self, x: f64, y: f64) -> Self {
        Self::translate(-x, -y)
            .then(self)
            .then(Self::translate(x, y))
    }

    #[must_use]
    pub fn apply(self, x: f64, y: f64) -> (f64, f64) {
        (
            self.a * x + self.c * y + self.e,
            self.b * x + self.d * y + self.f,
        )
    }

    /// The map back; none if areas become lines or numbers are not finite.
    #[must_use]
    pub fn inverse(self) -> Option<Self> {
        let area = self.a * self.d - self.b * self.c;
        if !area.is_finite() || area.abs() < 1e-9 {
            return None;
        }
        let (a, b, c, d) = (self.d / area, -self.b / area, -self.c / area, self.a / area);
        let map = Self {
            a,
            b,
            c,
            d,
            e: -(a * self.e + c * self.f),
            f: -(b * self.e + d * self.f),
        };
        [map.a, map.b, map.c, map.d, map.e, map.f]
            .iter()
            .all(|number| number.is_finite())
            .then_some(map)
    }

    /// Whether it maps all pixels of a canvas to the same place as another, for the eye.
    #[must_use]
    pub fn is_near(self, other: Self) -> bool {
        let pairs = [
            (self.a, other.a),
            (self.b, other.b),
            (self.c, other.c),
            (self.d, other.d),
            (self.e, other.e),
            (self.f, other.f),
        ];
        pairs.iter().all(|(own, other)| (own - other).abs() < 1e-6)
    }

    /// How much longer a step to the right and a step down become.
    #[must_use]
    pub fn lengths(self) -> (f64, f64) {
        (self.a.hypot(self.b), self.c.hypot(self.d))
    }

    /// The corners of a rectangle from (0, 0): top left, top right, bottom right, bottom left.
    #[must_use]
    pub fn corners(self, width: f64, height: f64) -> [(f64, f64); 4] {
        [
            self.apply(0.0, 0.0),
            self.apply(width, 0.0),
            self.apply(width, height),
            self.apply(0.0, height),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_combined_and_inverted() {
        let map = Affine::rotate(90.0)
            .then(Affine::scale(2.0, 3.0))
            .then(Affine::translate(10.0, 20.0));
        assert_eq!(map.apply(1.0, 0.0), (10.0, 23.0));
        assert_eq!(map.apply(0.0, 1.0), (8.0, 20.0));
        let back = map.then(map.inverse().unwrap());
        let (x, y) = back.apply(5.0, 7.0);
        assert!((x - 5.0).abs() < 1e-9 && (y - 7.0).abs() < 1e-9);
        assert_eq!(Affine::scale(0.0, 1.0).inverse(), None);
        assert_eq!(Affine::scale(f64::NAN, 1.0).inverse(), None);
    }
}
