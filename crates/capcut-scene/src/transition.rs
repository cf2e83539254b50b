//! The forms in which transitions are drawn.

use crate::cover::{Cover, Shape};
use crate::geometry::Affine;
use crate::scene::Color;

/// A direction of movement on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Left,
    Right,
    Up,
    Down,
}

impl Direction {
    /// A step of 1 in it.
    pub(crate) fn step(self) -> (f64, f64) {
        match self {
            Self::Left => (-1.0, 0.0),
            Self::Right => (1.0, 0.0),
            Self::Up => (0.0, -1.0),
            Self::Down => (0.0, 1.0),
        }
    }

    /// The direction that a name has, in English or Chinese.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let words: [(Self, &[&str]); 4] = [
            (Self::Left, &["left", "左"]),
            (Self::Right, &["right", "右"]),
            (Self::Up, &["up", "上", "rise", "top"]),
            (Self::Down, &["down", "下", "bottom", "fall"]),
        ];
        let found = words
            .iter()
            .find(|(_, words)| words.iter().any(|word| name.contains(word)));
        found.map(|(direction, _)| *direction)
    }

    /// The turn that moves `Up` to it, degrees clockwise.
    pub(crate) fn degrees(self) -> f64 {
        match self {
            Self::Up => 0.0,
            Self::Right => 90.0,
            Self::Down => 180.0,
            Self::Left => 270.0,
        }
    }
}

/// How the picture changes from one clip to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TransitionForm {
    Dissolve,
    /// Through a colour.
    Through(Color),
    /// A short flash of a colour over the cut.
    Flash(Color),
    /// The second moves over the first.
    Slide(Direction),
    /// The second moves the first out.
    Push(Direction),
    /// As `Push`, blurred.
    Whip(Direction),
    Wipe(Direction),
    /// A wipe with a soft edge.
    SoftWipe(Direction),
    /// A wipe from one corner.
    Diagonal,
    ZoomIn,
    ZoomOut,
    /// A shape with the second clip becomes larger.
    Circle,
    Heart,
    Star,
    Clock,
    Stripes {
        vertical: bool,
    },
    Squares,
    Grains,
    Blur,
    /// Clockwise, or the other way.
    Spin(bool),
    /// The first is cut in the middle and opens.
    Doors {
        horizontal: bool,
    },
    /// Turns around an axis.
    Flip {
        horizontal: bool,
    },
    Squeeze(Direction),
    Shake,
    Mosaic,
}

/// How one of the two clips is shown during a transition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Side {
    /// Of the canvas.
    pub place: Affine,
    pub opacity: f64,
    pub covers: Vec<Cover>,
    /// Pixels of the canvas.
    pub blur: f64,
}

impl Side {
    fn new() -> Self {
        Self {
            place: Affine::IDENTITY,
            opacity: 1.0,
            covers: Vec::new(),
            blur: 0.0,
        }
    }

    fn hidden() -> Self {
        Self {
            opacity: 0.0,
            ..Self::new()
        }
    }

    fn at(place: Affine) -> Self {
        Self {
            place,
            ..Self::new()
        }
    }

    fn covered(cover: Cover) -> Self {
        Self {
            covers: vec![cover],
            ..Self::new()
        }
    }
}

/// What is seen during a transition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TransitionSides {
    pub first: Side,
    pub second: Side,
    /// Whether the second is mixed with the first in equal parts, and not drawn over it.
    pub is_mixed: bool,
    /// Over both.
    pub over: Option<Color>,
}

/// Slow at both ends.
pub(crate) fn smooth(part: f64) -> f64 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

impl TransitionForm {
    /// The sides at a part of the transition, from 0 to 1, on a canvas of this size.
    pub(crate) fn sides(self, part: f64, (width, height): (f64, f64)) -> TransitionSides {
        let part = part.clamp(0.0, 1.0);
        let eased = smooth(part);
        let (mut first, mut second) = (Side::new(), Side::new());
        let (mut is_mixed, mut over) = (false, None);
        let middle = |map: Affine| map.about(width / 2.0, height / 2.0);
        let center = Affine::translate(width / 2.0, height / 2.0);
        let moved = |direction: Direction, by: f64| {
            let (x, y) = direction.step();
            // On whole pixels, so that no gap is seen between two clips that move together.
            Affine::translate((x * by * width).round(), (y * by * height).round())
        };
        let diagonal = width.hypot(height);
        // One clip until the middle, then the other.
        let switch = |first: &mut Side, second: &mut Side| {
            if part < 0.5 {
                *second = Side::hidden();
            } else {
                *first = Side::hidden();
            }
        };
        let hump = 1.0 - (2.0 * part - 1.0).abs();
        match self {
            Self::Dissolve => {
                is_mixed = true;
                first.opacity = 1.0 - part;
                second.opacity = part;
            }
            Self::Through(color) => {
                switch(&mut first, &mut second);
                over = Some(Color {
                    alpha: hump.min(1.0),
                    ..color
                });
            }
            Self::Flash(color) => {
                switch(&mut first, &mut second);
                over = Some(Color {
                    alpha: hump * hump,
                    ..color
                });
            }
            Self::Slide(direction) => second = Side::at(moved(direction, eased - 1.0)),
            Self::Push(direction) | Self::Whip(direction) => {
                second = Side::at(moved(direction, eased - 1.0));
                let whole = moved(direction, 1.0);
                first = Side::at(second.place.then(whole));
                if matches!(self, Self::Whip(_)) {
                    first.blur = hump * width * 0.03;
                    second.blur = first.blur;
                }
            }
            Self::Wipe(direction) | Self::SoftWipe(direction) => {
                let soft = matches!(self, Self::SoftWipe(_));
                let feather = if soft { diagonal * 0.2 } else { 0.0 };
                second = Side::covered(wipe(direction, part, (width, height), feather));
            }
            Self::Diagonal => {
                let along = (part - 0.5) * (diagonal + 2.0);
                let turn = (height / width).atan().to_degrees();
                let place = Affine::translate(0.0, along)
                    .then(Affine::rotate(-90.0 + turn))
                    .then(center);
                second = Side::covered(Cover::new(Shape::Half, place));
            }
            Self::ZoomIn => {
                is_mixed = true;
                first = Side::at(middle(Affine::scale(1.0 + eased, 1.0 + eased)));
                first.opacity = 1.0 - eased;
                second.opacity = eased;
            }
            Self::ZoomOut => {
                is_mixed = true;
                let scale = 2.0 - eased;
                second = Side::at(middle(Affine::scale(scale, scale)));
                first.opacity = 1.0 - eased;
                second.opacity = eased;
            }
            Self::Circle => {
                let radius = part * diagonal / 2.0 * 1.01;
                second = Side::covered(Cover::new(Shape::Ellipse(radius, radius), center));
            }
            Self::Heart => {
                let side = part.powf(1.5) * diagonal * 0.95;
                second = Side::covered(Cover::new(Shape::Heart(side, side), center));
            }
            Self::Star => {
                let side = part.powf(1.5) * diagonal * 1.3;
                second = Side::covered(Cover::new(Shape::Star(side, side), center));
            }
            Self::Clock => second = Side::covered(Cover::new(Shape::Sector(part), center)),
            Self::Stripes { vertical } => {
                let turn = if vertical { 90.0 } else { 0.0 };
                let period = width.min(height) / 8.0;
                second = Side::covered(Cover::new(
                    Shape::Stripes(period, part),
                    Affine::rotate(turn),
                ));
            }
            Self::Squares => {
                let side = width.min(height) / 6.0;
                second = Side::covered(Cover::new(Shape::Squares(side, part), Affine::IDENTITY));
            }
            Self::Grains => {
                let side = width.min(height) / 90.0;
                second = Side::covered(Cover::new(Shape::Grains(side, part), Affine::IDENTITY));
            }
            Self::Mosaic => {
                let side = width.min(height) / 9.0;
                second = Side::covered(Cover::new(Shape::Grains(side, part), Affine::IDENTITY));
            }
            Self::Blur => {
                is_mixed = true;
                first.opacity = 1.0 - eased;
                second.opacity = eased;
                first.blur = hump * width.min(height) * 0.06;
                second.blur = first.blur;
            }
            Self::Spin(clockwise) => {
                switch(&mut first, &mut second);
                let sign = if clockwise { 1.0 } else { -1.0 };
                let scale = 1.0 + 0.5 * hump;
                let turn = |degrees: f64| {
                    middle(Affine::scale(scale, scale).then(Affine::rotate(sign * degrees)))
                };
                first.place = turn(180.0 * part * part * 2.0);
                second.place = turn(-180.0 * (1.0 - part) * (1.0 - part) * 2.0);
            }
            Self::Doors { horizontal } => {
                let half = part * if horizontal { width } else { height } / 2.0;
                let turn = if horizontal { 90.0 } else { 0.0 };
                let place = Affine::rotate(turn).then(center);
                second = Side::covered(Cover::new(Shape::Band(half), place));
            }
            Self::Flip { horizontal } => {
                switch(&mut first, &mut second);
                let squeeze = (std::f64::consts::PI * part).cos().abs().max(0.01);
                let map = if horizontal {
                    Affine::scale(squeeze, 1.0)
                } else {
                    Affine::scale(1.0, squeeze)
                };
                first.place = middle(map);
                second.place = middle(map);
            }
            Self::Squeeze(direction) => {
                let (x, y) = direction.step();
                let squeezed = |part: f64, towards: f64| {
                    let part = part.max(1e-3);
                    let (scale, from) = if x == 0.0 {
                        let from = height * f64::midpoint(1.0, y * towards);
                        (Affine::scale(1.0, part), (0.0, from))
                    } else {
                        let from = width * f64::midpoint(1.0, x * towards);
                        (Affine::scale(part, 1.0), (from, 0.0))
                    };
                    scale.about(from.0, from.1)
                };
                first = Side::at(squeezed(1.0 - eased, 1.0));
                second = Side::at(squeezed(eased, -1.0));
            }
            Self::Shake => {
                switch(&mut first, &mut second);
                let shift = (part * 40.0).sin() * hump * 0.04;
                let place = middle(Affine::scale(1.0 + 0.1 * hump, 1.0 + 0.1 * hump))
                    .then(Affine::translate(shift * width, -shift * height * 0.7));
                first.place = place;
                second.place = place;
            }
        }
        TransitionSides {
            first,
            second,
            is_mixed,
            over,
        }
    }
}

/// Shows the part of a rectangle over which an edge has moved in a direction.
pub(crate) fn wipe(
    direction: Direction,
    part: f64,
    (width, height): (f64, f64),
    feather: f64,
) -> Cover {
    let (x, y) = direction.step();
    let side = if x == 0.0 { height } else { width };
    let length = side + feather;
    // `Half` is above its line; turned, its line moves in the direction from the opposite side.
    let along = (part - 0.5) * length;
    let place = Affine::rotate(direction.degrees() + 180.0).then(Affine::translate(
        width / 2.0 + x * along,
        height / 2.0 + y * along,
    ));
    Cover::new(Shape::Half, place).soft(feather)
}

/// The words of names, for each form in the order in which they are looked for. Both editions' names are in it.
#[rustfmt::skip]
fn named(name: &str) -> Option<TransitionForm> {
    use TransitionForm as F;
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let direction = Direction::of(name);
    let any = |otherwise: Direction| direction.unwrap_or(otherwise);
    let is_vertical = has(&["vertical", "竖", "纵", "上下"]);
    Some(match () {
        () if has(&["heart", "爱心", "心形", "like"]) => F::Heart,
        () if has(&["星"]) || name.contains("star") => F::Star,
        () if has(&["black fade", "fade black", "fade to black", "闪黑", "黑场", "淡黑"]) => F::Through(Color::BLACK),
        () if has(&["white flash", "泛白", "闪白", "blanch", "fade white", "fade to white", "白光"]) => F::Through(Color::WHITE),
        () if has(&["flash", "light beam", "strobe", "闪", "曝光", "光束", "light sweep", "camera glow", "扫光"]) => F::Flash(Color::WHITE),
        () if has(&["gradient wipe", "渐变擦除", "羽化", "soft wipe"]) => F::SoftWipe(any(Direction::Right)),
        () if has(&["clock", "时钟", "圆形扫描", "windmill", "风车"]) => F::Clock,
        () if has(&["circle", "iris", "圆形", "圆"]) => F::Circle,
        () if has(&["diagonal", "斜向分割", "corner", "角_", "bottom left"]) => F::Diagonal,
        () if has(&["wipe", "擦除", "雨刷"]) => F::Wipe(any(Direction::Right)),
        () if has(&["open vertically", "竖向拉幕", "上下拉幕"]) => F::Doors { horizontal: false },
        () if has(&["open", "开幕", "拉幕", "split", "分割", "中心切开"]) => F::Doors { horizontal: !has(&["horizontal slice", "横向分割"]) },
        () if has(&["blind", "shutter", "百叶窗", "line", "横线", "竖线", "slice", "条形"]) => F::Stripes { vertical: is_vertical || has(&["竖线"]) },
        () if has(&["block", "窗格", "矩形", "checker", "方形", "黑色块", "方片", "菱格"]) => F::Squares,
        () if has(&["mosaic", "马赛克", "像素"]) => F::Mosaic,
        () if has(&["particle", "粒子", "溶解", "dissolve ii", "smoke", "烟", "墨", "ink", "snow", "雪", "cloud", "云", "flame", "burn", "燃烧"]) => F::Grains,
        () if has(&["anti", "ccw", "逆时针"]) => F::Spin(false),
        () if has(&["rotate", "spin", "swirl", "whirlpool", "旋", "漩涡", "cw", "顺时针", "rotation"]) => F::Spin(true),
        () if has(&["flip", "翻", "cube", "立方体", "page", "镜像", "fold", "switch", "转换"]) => F::Flip { horizontal: !is_vertical && !matches!(direction, Some(Direction::Up | Direction::Down)) },
        () if has(&["pull in", "推近", "zoom in", "放大", "冲屏", "inhale", "吸入", "快速缩放", "变焦"]) => F::ZoomIn,
        () if has(&["pull out", "拉远", "推远", "zoom out", "缩小", "收缩"]) => F::ZoomOut,
        () if has(&["zoom", "缩放"]) => F::ZoomIn,
        () if has(&["horizontal blur", "横移模糊", "横向模糊", "woosh", "whip"]) => F::Whip(any(Direction::Left)),
        () if has(&["vertical blur", "竖移模糊", "竖向模糊"]) => F::Whip(any(Direction::Up)),
        () if has(&["blur", "模糊", "foggy", "雾化"]) => F::Blur,
        () if has(&["squeeze", "stretch", "压缩", "挤压", "拉伸"]) => F::Squeeze(any(Direction::Left)),
        () if has(&["shake", "glitch", "抖", "震", "故障", "晃", "摇"]) => F::Shake,
        () if has(&["push", "推", "移", "流动", "wave", "水波", "波"]) => F::Push(any(Direction::Left)),
        () if has(&["slide", "滑", "拉屏", "向"]) => F::Slide(any(Direction::Left)),
        () if has(&["mix", "dissolve", "fade", "叠化", "叠加", "渐", "淡"]) => F::Dissolve,
        () => F::Push(direction?),
    })
}

/// The form of a transition, and whether it has one of its own: others are drawn as a dissolve.
pub(crate) fn find_transition(name: &str, ids: &[&str]) -> (TransitionForm, bool) {
    let name = name.trim().to_lowercase().replace('_', " ");
    let by_name = named(&name);
    let by_id = || {
        let row = IDS.iter().find(|(known, _)| ids.contains(known))?;
        Some(row.1)
    };
    let form = by_name.or_else(by_id);
    (form.unwrap_or(TransitionForm::Dissolve), form.is_some())
}

/// The resource ids of the plain transitions, for documents that have no names.
// The catalogs of both editions.
#[rustfmt::skip]
static IDS: &[(&str, TransitionForm)] = &[
    ("6724845717472416269", TransitionForm::Dissolve),
    ("6724239388189921806", TransitionForm::Through(Color::BLACK)),
    ("6724845376098013708", TransitionForm::Through(Color::WHITE)),
    ("7345079500327096833", TransitionForm::Through(Color::WHITE)),
    ("6757982416649851399", TransitionForm::Slide(Direction::Left)),
    ("6724849999336706573", TransitionForm::Wipe(Direction::Left)),
    ("6724849898857959950", TransitionForm::Wipe(Direction::Right)),
    ("6724849456891564557", TransitionForm::Wipe(Direction::Up)),
    ("6724849752921346573", TransitionForm::Wipe(Direction::Down)),
    ("6724226861666144779", TransitionForm::ZoomIn),
    ("6724226338418332167", TransitionForm::ZoomOut),
    ("6916426617455645186", TransitionForm::Blur),
    ("6911569618171597320", TransitionForm::Blur),
    ("6725767129519362573", TransitionForm::Circle),
    ("6726711499676455435", TransitionForm::Push(Direction::Left)),
    ("6726711296063967748", TransitionForm::Push(Direction::Right)),
    ("6724227599616184836", TransitionForm::Push(Direction::Right)),
    ("6724846395116753416", TransitionForm::Push(Direction::Up)),
    ("6724849276100284942", TransitionForm::Push(Direction::Down)),
    ("6851775006418932238", TransitionForm::Clock),
    ("6885172292339372546", TransitionForm::Stripes { vertical: false }),
    ("6789847331060584974", TransitionForm::Stripes { vertical: false }),
    ("6724226684721041932", TransitionForm::Spin(true)),
    ("7252989706198061569", TransitionForm::Spin(true)),
    ("6724226603372515853", TransitionForm::Spin(false)),
    ("6750893890712113677", TransitionForm::Doors { horizontal: true }),
    ("6724492948144132621", TransitionForm::Doors { horizontal: true }),
    ("6848792278710882824", TransitionForm::Flip { horizontal: true }),
];

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) const EVERY_FORM: &[TransitionForm] = &[
    TransitionForm::Dissolve,
    TransitionForm::Through(Color::BLACK),
    TransitionForm::Through(Color::WHITE),
    TransitionForm::Flash(Color::WHITE),
    TransitionForm::Slide(Direction::Left),
    TransitionForm::Slide(Direction::Right),
    TransitionForm::Slide(Direction::Up),
    TransitionForm::Slide(Direction::Down),
    TransitionForm::Push(Direction::Left),
    TransitionForm::Push(Direction::Right),
    TransitionForm::Push(Direction::Up),
    TransitionForm::Push(Direction::Down),
    TransitionForm::Whip(Direction::Left),
    TransitionForm::Wipe(Direction::Left),
    TransitionForm::Wipe(Direction::Right),
    TransitionForm::Wipe(Direction::Up),
    TransitionForm::Wipe(Direction::Down),
    TransitionForm::SoftWipe(Direction::Right),
    TransitionForm::Diagonal,
    TransitionForm::ZoomIn,
    TransitionForm::ZoomOut,
    TransitionForm::Circle,
    TransitionForm::Heart,
    TransitionForm::Star,
    TransitionForm::Clock,
    TransitionForm::Stripes { vertical: true },
    TransitionForm::Stripes { vertical: false },
    TransitionForm::Squares,
    TransitionForm::Grains,
    TransitionForm::Mosaic,
    TransitionForm::Blur,
    TransitionForm::Spin(true),
    TransitionForm::Spin(false),
    TransitionForm::Doors { horizontal: true },
    TransitionForm::Doors { horizontal: false },
    TransitionForm::Flip { horizontal: true },
    TransitionForm::Flip { horizontal: false },
    TransitionForm::Squeeze(Direction::Left),
    TransitionForm::Squeeze(Direction::Down),
    TransitionForm::Shake,
];
