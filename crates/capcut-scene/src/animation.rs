//! The forms in which animations of clips are drawn.

use std::f64::consts::TAU;

use crate::cover::{Cover, Shape};
use crate::geometry::Affine;
use crate::transition::{Direction, smooth, wipe};

/// When a clip has an animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnimationPhase {
    In,
    Out,
    /// Over the whole clip, or again and again.
    Loop,
}

/// How a clip appears, disappears or moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AnimationForm {
    Fade,
    /// Over a part of its size, with a fade.
    Slide(Direction),
    /// From outside of the canvas.
    Fly(Direction),
    /// From small to its size.
    Grow,
    /// From large to its size.
    Shrink,
    /// With a swing over its size.
    Pop,
    /// Falls and bounces.
    Bounce(Direction),
    Rotate(bool),
    /// As a pendulum.
    Swing,
    Shake,
    Wipe(Direction),
    Circle,
    Doors,
    Stripes,
    Grains,
    Blur,
    Flip {
        horizontal: bool,
    },
    /// Letter by letter.
    Typewriter,
    Flicker,
    /// Up and down.
    Wave,
    /// Larger and smaller.
    Pulse,
    /// Slowly larger over the whole time.
    Zoom,
    /// Slowly smaller over the whole time.
    ZoomOut,
}

/// What an animation does to a clip at a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Motion {
    /// Parts of the canvas.
    pub shift: (f64, f64),
    /// Parts of the clip's own size on the canvas.
    pub own_shift: (f64, f64),
    pub scale: (f64, f64),
    /// Degrees, clockwise.
    pub turn: f64,
    pub opacity: f64,
    /// Part of the canvas's shorter side.
    pub blur: f64,
    /// The form that reveals it, with the part that is shown.
    pub reveal: Option<(AnimationForm, f64)>,
    /// The part of the letters that is shown.
    pub letters: f64,
}

impl Motion {
    pub(crate) const NONE: Self = Self {
        shift: (0.0, 0.0),
        own_shift: (0.0, 0.0),
        scale: (1.0, 1.0),
        turn: 0.0,
        opacity: 1.0,
        blur: 0.0,
        reveal: None,
        letters: 1.0,
    };

    /// Of a clip with this place and size of its content.
    pub(crate) fn place(
        &self,
        place: Affine,
        (width, height): (f64, f64),
        canvas: (f64, f64),
    ) -> Affine {
        let (x, y) = place.apply(width / 2.0, height / 2.0);
        let (across, down) = place.lengths();
        place
            .then(
                Affine::scale(self.scale.0, self.scale.1)
                    .then(Affine::rotate(self.turn))
                    .about(x, y),
            )
            .then(Affine::translate(
                self.shift.0 * canvas.0 + self.own_shift.0 * across * width,
                self.shift.1 * canvas.1 + self.own_shift.1 * down * height,
            ))
    }

    /// What it shows of a clip, in pixels of its content.
    pub(crate) fn cover(&self, size: (f64, f64)) -> Option<Cover> {
        let (form, part) = self.reveal?;
        let center = Affine::translate(size.0 / 2.0, size.1 / 2.0);
        let diagonal = size.0.hypot(size.1);
        Some(match form {
            AnimationForm::Wipe(direction) => wipe(direction, part, size, 0.0),
            AnimationForm::Circle => {
                let radius = part * diagonal / 2.0 * 1.01;
                Cover::new(Shape::Ellipse(radius, radius), center)
            }
            AnimationForm::Doors => Cover::new(
                Shape::Band(part * size.0 / 2.0 * 1.001),
                Affine::rotate(90.0).then(center),
            ),
            AnimationForm::Stripes => {
                let period = (size.1 / 8.0).max(1.0);
                Cover::new(Shape::Stripes(period, part), Affine::IDENTITY)
            }
            _ => {
                let side = (size.0.min(size.1) / 60.0).max(1.0);
                Cover::new(Shape::Grains(side, part), Affine::IDENTITY)
            }
        })
    }
}

impl AnimationForm {
    /// At a part of the animation, from 0 to 1; a loop of this many seconds begins again.
    pub(crate) fn motion(self, phase: AnimationPhase, part: f64, seconds: f64) -> Motion {
        let part = part.clamp(0.0, 1.0);
        match phase {
            AnimationPhase::In => self.appear(part, 1.0),
            // The way back; movements continue in their direction.
            AnimationPhase::Out => self.appear(1.0 - part, -1.0),
            AnimationPhase::Loop => self.repeat(part, seconds.clamp(0.0, 1e6)),
        }
    }

    /// How it is shown when a part of it has appeared. `sign` is -1 for exits, whose movements continue in their direction.
    fn appear(self, part: f64, sign: f64) -> Motion {
        let mut motion = Motion::NONE;
        let eased = 1.0 - (1.0 - part).powi(3);
        let missing = 1.0 - eased;
        let back = |direction: Direction, by: f64| {
            let (x, y) = direction.step();
            (-x * by * sign, -y * by * sign)
        };
        match self {
            Self::Fade => motion.opacity = part,
            Self::Slide(direction) => {
                motion.own_shift = back(direction, missing);
                motion.opacity = eased;
            }
            Self::Fly(direction) => motion.shift = back(direction, missing),
            Self::Grow | Self::Zoom => motion.scale = (eased, eased),
            Self::Shrink | Self::ZoomOut => {
                motion.scale = (1.0 + missing, 1.0 + missing);
                motion.opacity = eased;
            }
            Self::Pop | Self::Pulse => {
                let over = part - 1.0;
                let scale = (1.0 + 2.7 * over.powi(3) + 1.7 * over.powi(2)).max(0.0);
                motion.scale = (scale, scale);
            }
            Self::Bounce(direction) => {
                let left = 1.0 - bounced(part);
                motion.shift = back(direction, left);
            }
            Self::Rotate(clockwise) => {
                let turn = if clockwise { -180.0 } else { 180.0 };
                motion.turn = turn * missing * sign;
                motion.scale = (eased, eased);
                motion.opacity = eased;
            }
            Self::Swing => {
                motion.turn = 25.0 * missing * (part * 2.0 * TAU).cos() * sign;
                motion.opacity = (part * 4.0).min(1.0);
            }
            Self::Shake => {
                motion.own_shift = (
                    0.06 * missing * (part * 60.0).sin(),
                    0.04 * missing * (part * 47.0).cos(),
                );
                motion.opacity = (part * 4.0).min(1.0);
            }
            Self::Wipe(_) | Self::Circle | Self::Doors | Self::Stripes | Self::Grains => {
                motion.reveal = (part < 1.0).then_some((self, part));
            }
            Self::Blur => {
                motion.blur = 0.08 * missing;
                motion.opacity = eased;
            }
            Self::Flip { horizontal } => {
                let squeeze = eased.max(1e-3);
                motion.scale = if horizontal {
                    (squeeze, 1.0)
                } else {
                    (1.0, squeeze)
                };
            }
            Self::Typewriter => motion.letters = part,
            Self::Flicker => {
                let is_dark = part < 1.0 && (part * 8.0).fract() < 0.5;
                motion.opacity = if is_dark { 0.15 } else { 1.0 };
            }
            Self::Wave => {
                motion.own_shift = (0.0, 0.3 * missing * (part * 2.0 * TAU).cos());
                motion.opacity = eased;
            }
        }
        motion
    }

    fn repeat(self, part: f64, seconds: f64) -> Motion {
        let mut motion = Motion::NONE;
        // A turn a second, less than one turn at the end of a clip.
        let wave = (seconds * TAU).sin();
        match self {
            Self::Zoom | Self::Grow => {
                let scale = 1.0 + 0.25 * part;
                motion.scale = (scale, scale);
            }
            Self::ZoomOut | Self::Shrink => {
                let scale = 1.25 - 0.25 * part;
                motion.scale = (scale, scale);
            }
            Self::Pulse | Self::Pop => {
                let scale = 1.0 + 0.08 * wave;
                motion.scale = (scale, scale);
            }
            Self::Rotate(clockwise) => {
                motion.turn = 360.0 * part * if clockwise { 1.0 } else { -1.0 };
            }
            Self::Swing => motion.turn = 10.0 * wave,
            Self::Shake => {
                motion.own_shift = (
                    0.015 * (seconds * 55.0).sin(),
                    0.015 * (seconds * 43.0).cos(),
                );
            }
            Self::Flicker => {
                motion.opacity = if (seconds * 4.0).fract() < 0.5 {
                    1.0
                } else {
                    0.4
                };
            }
            Self::Fade => motion.opacity = 0.7 + 0.3 * (seconds * TAU).cos(),
            Self::Blur => motion.blur = 0.02 * (0.5 - 0.5 * (seconds * TAU).cos()),
            Self::Slide(direction) | Self::Fly(direction) => {
                let (x, y) = direction.step();
                let by = 0.2 * (smooth(part) - 0.5);
                motion.own_shift = (x * by, y * by);
            }
            Self::Bounce(_) => motion.own_shift = (0.0, -0.15 * wave.abs()),
            Self::Flip { horizontal } => {
                let squeeze = (seconds * TAU / 2.0).cos().abs().max(0.02);
                motion.scale = if horizontal {
                    (squeeze, 1.0)
                } else {
                    (1.0, squeeze)
                };
            }
            Self::Typewriter => motion.letters = (part * 1.25).min(1.0),
            Self::Wave
            | Self::Wipe(_)
            | Self::Circle
            | Self::Doors
            | Self::Stripes
            | Self::Grains => motion.own_shift = (0.0, 0.06 * wave),
        }
        motion
    }
}

/// The height of a thing that falls and bounces, from 0 to 1 at the end.
fn bounced(part: f64) -> f64 {
    const STEEP: f64 = 7.5625;
    const LENGTH: f64 = 2.75;
    let (from, height) = if part < 1.0 / LENGTH {
        (0.0, 0.0)
    } else if part < 2.0 / LENGTH {
        (1.5 / LENGTH, 0.75)
    } else if part < 2.5 / LENGTH {
        (2.25 / LENGTH, 0.9375)
    } else {
        (2.625 / LENGTH, 0.984_375)
    };
    let part = part - from;
    (STEEP * part * part + height).min(1.0)
}

/// The words of names, in the order in which they are looked for. Both editions' names are in it.
#[rustfmt::skip]
fn named(name: &str, is_text: bool) -> Option<AnimationForm> {
    use AnimationForm as F;
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let direction = Direction::of(name);
    let any = |otherwise: Direction| direction.unwrap_or(otherwise);
    Some(match () {
        () if has(&["typewriter", "打字", "type ", "输入", "karaoke", "卡拉ok", "光标", "逐字显影"]) && is_text => F::Typewriter,
        () if has(&["blur", "模糊", "unfocus", "聚焦"]) && !has(&["wipe", "擦", "erase"]) => F::Blur,
        () if has(&["wipe", "擦", "erase", "showing", "露出", "set to", "screen wipe"]) => F::Wipe(any(Direction::Right)),
        () if has(&["圆形", "clock", "circle"]) => F::Circle,
        () if has(&["blinds", "百叶窗", "crt", "scanline", "扫描"]) => F::Stripes,
        () if has(&["open", "开幕", "闭幕", "close", "sliding doors"]) && !has(&["rotation", "旋转", "折叠", "跳转"]) => F::Doors,
        () if has(&["dissolve", "溶解", "puzzle", "拼图", "马赛克", "flame", "smoke", "烟", "墨", "ink", "粒子", "消散", "飘散", "disband", "gray mask"]) => F::Grains,
        () if has(&["flicker", "闪", "strobe", "flash", "glitch", "故障", "faulty", "频闪"]) => F::Flicker,
        () if has(&["typewriter", "打字"]) => F::Wipe(Direction::Right),
        () if has(&["pulse", "heart", "心跳", "脉冲", "放大缩小", "缩放_", "心动"]) => F::Pulse,
        () if has(&["bounce", "boing", "弹跳", "弹入", "弹出", "砸", "跳跳", "jump", "跳"]) => F::Bounce(any(Direction::Down)),
        () if has(&["spring", "pop", "elastic", "弹簧", "弹性", "弹", "slingshot"]) => F::Pop,
        () if has(&["swing", "pendulum", "钟摆", "摇摆", "荡秋千", "sway", "海盗船", "pirate", "摇荡", "wiper", "雨刷"]) => F::Swing,
        () if has(&["shake", "rock", "tremble", "jolt", "judder", "抖", "颤", "震", "wobbl", "晃", "jiggl", "vibrat"]) => F::Shake,
        () if has(&["wave", "wavy", "波", "flutter", "float", "飘", "浮"]) => F::Wave,
        () if has(&["flip", "turn", "翻", "fold", "折叠", "镜像", "cube", "立方", "card"]) => F::Flip { horizontal: !matches!(direction, Some(Direction::Up | Direction::Down)) },
        () if has(&["rotat", "spin", "whirl", "roll", "spiral", "旋", "转", "滚", "vrille", "陀螺"]) => F::Rotate(!matches!(direction, Some(Direction::Left))),
        () if has(&["zoom out", "缩小", "shrink", "smaller", "mini zoom", "收缩", "动感缩小", "收拢"]) => F::ZoomOut,
        () if has(&["zoom", "放大", "grow", "enlarge", "生长", "expand", "展开", "缩放", "变焦", "弹近", "飞近"]) => F::Zoom,
        () if has(&["fly", "throw", "飞", "甩", "blow"]) => F::Fly(any(Direction::Up)),
        () if has(&["slide", "滑", "ease", "缓", "移", "roll", "集合", "pan", "露", "下降", "上升", "日出", "sunrise", "日落", "sunset", "train", "火车", "scroll", "fall", "坠落"]) => F::Slide(any(Direction::Up)),
        () if has(&["fade", "渐显", "渐隐", "appear", "显", "隐", "淡"]) => F::Fade,
        () => F::Slide(direction?),
    })
}

/// The form of an animation, and whether it has one of its own: others are drawn as a fade, or as slow growth.
pub(crate) fn find_animation(
    name: &str,
    phase: AnimationPhase,
    is_text: bool,
) -> (AnimationForm, bool) {
    let name = name.trim().to_lowercase().replace('_', " ");
    // "Type 1" ends with its number.
    let found = named(&format!("{name} "), is_text).map(|form| own(form, phase));
    let other = match phase {
        AnimationPhase::Loop => AnimationForm::Zoom,
        _ => AnimationForm::Fade,
    };
    (found.unwrap_or(other), found.is_some())
}

/// Names such as "Zoom In" mean growth for an entrance, and for an exit that the clip becomes larger.
fn own(form: AnimationForm, phase: AnimationPhase) -> AnimationForm {
    match (form, phase) {
        (AnimationForm::Zoom, AnimationPhase::In)
        | (AnimationForm::ZoomOut, AnimationPhase::Out) => AnimationForm::Grow,
        (AnimationForm::ZoomOut, AnimationPhase::In)
        | (AnimationForm::Zoom, AnimationPhase::Out) => AnimationForm::Shrink,
        (form, _) => form,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) const EVERY_FORM: &[AnimationForm] = &[
    AnimationForm::Fade,
    AnimationForm::Slide(Direction::Left),
    AnimationForm::Slide(Direction::Right),
    AnimationForm::Slide(Direction::Up),
    AnimationForm::Slide(Direction::Down),
    AnimationForm::Fly(Direction::Up),
    AnimationForm::Grow,
    AnimationForm::Shrink,
    AnimationForm::Pop,
    AnimationForm::Bounce(Direction::Down),
    AnimationForm::Rotate(true),
    AnimationForm::Rotate(false),
    AnimationForm::Swing,
    AnimationForm::Shake,
    AnimationForm::Wipe(Direction::Right),
    AnimationForm::Wipe(Direction::Left),
    AnimationForm::Circle,
    AnimationForm::Doors,
    AnimationForm::Stripes,
    AnimationForm::Grains,
    AnimationForm::Blur,
    AnimationForm::Flip { horizontal: true },
    AnimationForm::Flip { horizontal: false },
    AnimationForm::Flicker,
    AnimationForm::Wave,
];
