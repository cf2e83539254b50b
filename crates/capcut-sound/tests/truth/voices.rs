//! Speech and silence.

use capcut_sound::{Analysis, Span, Wanted, analyze};

use crate::made::{Random, Sound, WaveFile, heard, music, said};

const TEXTS: [(&str, [&str; 5]); 3] = [
    (
        "en",
        [
            "Welcome to our little workshop about sound.",
            "Today we cut the silence out of an interview.",
            "Nothing is lost.",
            "Music becomes quieter while somebody speaks, and comes back in every pause.",
            "Thank you for listening, and see you next week!",
        ],
    ),
    (
        "de",
        [
            "Willkommen in unserer kleinen Werkstatt.",
            "Heute schneiden wir die Stille aus einem Gespräch heraus.",
            "Nichts geht verloren.",
            "Die Musik wird leiser, während jemand spricht, und kommt in jeder Pause zurück.",
            "Vielen Dank fürs Zuhören und bis nächste Woche!",
        ],
    ),
    (
        "cmn",
        [
            "欢迎来到我们的声音工作室。",
            "今天我们从采访里剪掉没有声音的部分。",
            "什么都不会丢。",
            "有人说话的时候，音乐会变小，停下来的时候又会变大。",
            "谢谢收听，下周再见！",
        ],
    ),
];

/// A voice at known times; `None` without espeak-ng.
fn talk(language: &str, texts: &[&str], seed: u64) -> Option<(Sound, Vec<Span>)> {
    let mut random = Random::new(seed);
    let mut sound = Sound::silence(random.between(0.4, 1.0));
    for text in texts {
        let said = said(language, text)?;
        let at = sound.duration();
        sound.add(at, &said.0, 1.0);
        sound.add(
            sound.duration(),
            &Sound::silence(random.between(0.35, 1.4)).0,
            1.0,
        );
    }
    let truth = heard(&sound);
    Some((sound, truth))
}

/// The F1 of frames of 10 ms, and the part of the true edges with a found one within 50 ms.
fn score(found: &[Span], truth: &[Span], duration: f64) -> (f64, f64) {
    let frames = |spans: &[Span]| -> Vec<bool> {
        (0..(duration * 100.0) as usize)
            .map(|index| {
                let time = (index as f64 + 0.5) / 100.0;
                spans
                    .iter()
                    .any(|span| span.start <= time && time < span.end)
            })
            .collect()
    };
    let (found_frames, true_frames) = (frames(found), frames(truth));
    let both = found_frames
        .iter()
        .zip(&true_frames)
        .filter(|(a, b)| **a && **b)
        .count();
    let count = |frames: &[bool]| frames.iter().filter(|frame| **frame).count();
    let f1 = 2.0 * both as f64 / (count(&found_frames) + count(&true_frames)).max(1) as f64;
    let edges =
        |spans: &[Span]| -> Vec<f64> { spans.iter().flat_map(|s| [s.start, s.end]).collect() };
    let found_edges = edges(found);
    let near = |edge: &&f64| {
        found_edges
            .iter()
            .any(|found| (found - **edge).abs() <= 0.05 + 1e-9)
    };
    let true_edges = edges(truth);
    let hit = true_edges.iter().filter(near).count() as f64 / true_edges.len() as f64;
    (f1, hit)
}

fn found(sound: &Sound) -> Analysis {
    let file = WaveFile::of(sound, 1);
    analyze(&file.path, Wanted::SPEECH, &|| false).expect("an analysis")
}

fn scores(change: impl Fn(&Sound, u64) -> Sound) -> Option<(f64, f64)> {
    let (mut f1, mut edges, mut count) = (0.0, 0.0, 0.0);
    for (language, texts) in TEXTS {
        for seed in 1..=2 {
            let (sound, truth) = talk(language, &texts, seed)?;
            let changed = change(&sound, seed);
            let found = found(&changed);
            let spans = found.spoken().expect("speech");
            let (case_f1, case_edges) = score(spans, &truth, sound.duration());
            println!("{language} {seed}: F1 {case_f1:.3}, edges {case_edges:.2}");
            (f1, edges, count) = (f1 + case_f1, edges + case_edges, count + 1.0);
        }
    }
    Some((f1 / count, edges / count))
}

#[test]
fn speech_is_found_in_clean_voices() {
    let Some((f1, edges)) = scores(|sound, _| sound.clone()) else {
        return;
    };
    assert!(f1 >= 0.98 && edges >= 0.9, "F1 {f1:.3}, edges {edges:.3}");
}

#[test]
fn speech_is_found_in_noise_30_db_below() {
    let Some((f1, edges)) = scores(|sound, seed| sound.with_noise(30.0, seed)) else {
        return;
    };
    assert!(f1 >= 0.98 && edges >= 0.9, "F1 {f1:.3}, edges {edges:.3}");
}

#[test]
fn speech_is_found_in_noise_20_db_below() {
    let Some((f1, edges)) = scores(|sound, seed| sound.with_noise(20.0, seed)) else {
        return;
    };
    assert!(f1 >= 0.96, "F1 {f1:.3}, edges {edges:.3}");
}

#[test]
fn speech_is_found_above_quiet_music() {
    let with_music = |sound: &Sound, seed: u64| {
        let mut mixed = sound.clone();
        let below = music(sound.duration(), seed);
        let factor = sound.strength() / below.strength() * 10f32.powf(-30.0 / 20.0);
        mixed.add(0.0, &below.0[..sound.0.len().min(below.0.len())], factor);
        mixed
    };
    let Some((f1, edges)) = scores(with_music) else {
        return;
    };
    assert!(f1 >= 0.95, "F1 {f1:.3}, edges {edges:.3}");
}

#[test]
fn a_short_voice_in_a_long_silence_is_found() {
    let Some(said) = said("en", "Only this is said.") else {
        return;
    };
    let mut sound = Sound::silence(60.0);
    sound.add(31.0, &said.0, 0.4);
    let found = found(&sound);
    let spans = found.spoken().expect("speech");
    assert!((spans[0].start - 31.0).abs() <= 0.05, "{spans:?}");
    assert!(
        (spans[spans.len() - 1].end - 31.0 - said.duration()).abs() <= 0.1,
        "{spans:?}"
    );
    let [before, after] = &found.silence[..] else {
        panic!("{:?}", found.silence);
    };
    assert!(before.start == 0.0 && (before.end - 31.0).abs() < 0.1);
    assert!((after.end - 60.0).abs() < 0.02);
}

#[test]
fn pauses_are_found_in_a_noisy_recording_between_digital_silence() {
    let (language, texts) = &TEXTS[0];
    let Some((sound, truth)) = talk(language, texts, 3) else {
        return;
    };
    let noisy = sound.with_noise(30.0, 3);
    let mut padded = Sound::silence(4.0);
    padded.add(4.0, &noisy.0, 1.0);
    padded.add(padded.duration(), &Sound::silence(4.0).0, 1.0);
    let truth: Vec<Span> = truth
        .iter()
        .map(|span| Span::new(span.start + 4.0, span.end + 4.0))
        .collect();
    let found = found(&padded);
    let (f1, edges) = score(found.spoken().expect("speech"), &truth, padded.duration());
    assert!(f1 >= 0.97, "F1 {f1:.3}, edges {edges:.3}");
}

#[test]
fn silence_and_noise_have_no_speech() {
    let silent = found(&Sound::silence(3.0));
    assert!(silent.is_silent() && silent.spoken().is_none());
    assert_eq!(silent.silence, [Span::new(0.0, 3.0)]);
    let mut noise = Sound::silence(10.0);
    noise.0.iter_mut().enumerate().for_each(|(index, sample)| {
        *sample = if index % 2 == 0 { 0.1 } else { -0.1 };
    });
    let noise = found(&noise.with_noise(0.0, 5));
    assert!(
        !noise.is_silent() && noise.spoken().is_none(),
        "{:?}",
        noise.speech
    );
    assert!(noise.silence.is_empty());
}
