use super::*;

#[test]
fn each_form_changes_a_clip_and_leaves_it_whole_at_its_end() {
    let mut seen: Vec<(AnimationForm, Vec<Motion>)> = Vec::new();
    for form in EVERY_FORM {
        let whole = form.motion(AnimationPhase::In, 1.0, 1.0);
        assert!(is_near_none(&whole), "{form:?} ends as {whole:?}");
        let out = form.motion(AnimationPhase::Out, 0.0, 0.0);
        assert!(is_near_none(&out), "{form:?} leaves from {out:?}");
        let parts = [0.05, 0.2, 0.45, 0.7].map(|part| form.motion(AnimationPhase::In, part, part));
        assert!(parts.iter().any(|motion| !is_near_none(motion)), "{form:?}");
        for (other, motions) in &seen {
            assert_ne!(motions, &parts, "{form:?} is as {other:?}");
        }
        seen.push((*form, parts.to_vec()));
        let turning = (1..20).map(|step| {
            let part = f64::from(step) / 20.0;
            form.motion(AnimationPhase::Loop, part, part * 3.0)
        });
        assert!(
            turning.into_iter().any(|motion| !is_near_none(&motion)),
            "{form:?}"
        );
    }
    assert!(seen.len() >= 12);
}

fn is_near_none(motion: &Motion) -> bool {
    let near = |value: f64, other: f64| (value - other).abs() < 0.011;
    near(motion.shift.0, 0.0)
        && near(motion.shift.1, 0.0)
        && near(motion.own_shift.0, 0.0)
        && near(motion.own_shift.1, 0.0)
        && near(motion.scale.0, 1.0)
        && near(motion.scale.1, 1.0)
        && near(motion.turn, 0.0)
        && near(motion.opacity, 1.0)
        && near(motion.blur, 0.0)
        && motion.reveal.is_none()
        && near(motion.letters, 1.0)
}

#[test]
fn names_of_both_editions_have_forms() {
    use AnimationForm as F;
    use AnimationPhase::{In, Loop, Out};
    use Direction::{Down, Left, Right, Up};
    for (name, phase, is_text, form) in [
        ("Fade In", In, false, F::Fade),
        ("渐显", In, false, F::Fade),
        ("Fade_Out", Out, false, F::Fade),
        ("Slide Down", In, false, F::Slide(Down)),
        ("向左滑动", In, false, F::Slide(Left)),
        ("Slide Up", Out, true, F::Slide(Up)),
        ("Zoom In", In, false, F::Grow),
        ("放大", In, false, F::Grow),
        ("缩小", In, false, F::Shrink),
        ("Rotate", In, false, F::Rotate(true)),
        ("Typewriter", In, true, F::Typewriter),
        ("打字机_II", In, true, F::Typewriter),
        ("Type 1", In, true, F::Typewriter),
        ("Wipe Right", In, true, F::Wipe(Right)),
        ("Bounce In", In, true, F::Bounce(Down)),
        ("Pop Up", In, true, F::Pop),
        ("Spring", In, true, F::Pop),
        ("Swing", In, false, F::Swing),
        ("钟摆", In, false, F::Swing),
        ("Blinds", In, false, F::Stripes),
        ("圆形开幕", In, false, F::Circle),
        ("Zoom 1", Loop, false, F::Zoom),
        ("Wave", Loop, true, F::Wave),
        ("Pendulum 1", Loop, false, F::Swing),
        ("心跳", Loop, true, F::Pulse),
        ("Blur", In, true, F::Blur),
        ("Flip", In, false, F::Flip { horizontal: true }),
    ] {
        assert_eq!(find_animation(name, phase, is_text), (form, true), "{name}");
    }
    assert_eq!(find_animation("Qxz", In, false), (F::Fade, false));
    assert_eq!(find_animation("Qxz", Loop, false), (F::Zoom, false));
}
