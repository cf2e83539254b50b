//! Beats of synthetic pieces.

use capcut_sound::{Beats, Wanted, analyze};

use crate::made::{RATE, Random, Sound, WaveFile, frame, harmony, said};

const BEATS: Wanted = Wanted {
    speech: false,
    loudness: false,
    beats: true,
};

fn found(sound: &Sound) -> Beats {
    let file = WaveFile::of(sound, 1);
    let found = analyze(&file.path, BEATS, &|| false).expect("an analysis");
    found.beats.expect("beats")
}

/// A short sound: a falling tone, noise, or both.
fn hit(tone: f64, noise: f64, seconds: f64, random: &mut Random) -> Vec<f32> {
    let mut phase = 0.0;
    (0..frame(seconds))
        .map(|index| {
            let time = index as f64 / f64::from(RATE);
            phase += tone * (1.0 + 2.0 * (-60.0 * time).exp()) / f64::from(RATE);
            let body = (2.0 * std::f64::consts::PI * phase).sin() * f64::from(u8::from(tone > 0.0));
            let grain = random.between(-1.0, 1.0) * noise;
            ((body + grain) * (-4.0 * time / seconds).exp()) as f32
        })
        .collect()
}

/// Beat times for a tempo that changes evenly.
fn times(from: f64, to: f64, seconds: f64) -> Vec<f64> {
    let mut times = Vec::new();
    let mut at = 0.4;
    while at < seconds - 0.5 {
        times.push(at);
        at += 60.0 / (from + (to - from) * at / seconds);
    }
    times
}

/// The F of beats within 70 ms, without those of the first 3 s.
fn score(found: &[f64], truth: &[f64]) -> f64 {
    let late =
        |times: &[f64]| -> Vec<f64> { times.iter().copied().filter(|t| *t >= 3.0).collect() };
    let (found, truth) = (late(found), late(truth));
    let mut free = found.clone();
    let mut hits = 0;
    for beat in &truth {
        if let Some(index) = free.iter().position(|time| (time - beat).abs() <= 0.07) {
            free.remove(index);
            hits += 1;
        }
    }
    2.0 * f64::from(hits) / (found.len() + truth.len()) as f64
}

fn clicks(beats: &[f64], seconds: f64, random: &mut Random) -> Sound {
    let mut sound = Sound::silence(seconds);
    for (index, beat) in beats.iter().enumerate() {
        let tone = if index % 4 == 0 { 1_600.0 } else { 1_000.0 };
        sound.add(*beat, &hit(tone, 0.1, 0.05, random), 0.5);
    }
    sound
}

fn drums(beats: &[f64], seconds: f64, random: &mut Random) -> Sound {
    let mut sound = Sound::silence(seconds);
    for (index, beat) in beats.iter().enumerate() {
        let next = beats.get(index + 1).copied().unwrap_or(beat + 0.5);
        if index % 2 == 0 {
            sound.add(*beat, &hit(60.0, 0.05, 0.25, random), 0.6);
        } else {
            sound.add(*beat, &hit(180.0, 0.9, 0.15, random), 0.4);
        }
        for eighth in [*beat, (beat + next) / 2.0] {
            sound.add(eighth, &hit(0.0, 1.0, 0.04, random), 0.12);
        }
    }
    sound
}

#[test]
fn beats_of_clicks_drums_and_ramps_are_found() {
    let seconds = 30.0;
    let mut random = Random::new(11);
    let (mut sum, mut count) = (0.0, 0.0);
    let mut least: f64 = 1.0;
    let tempos = [
        (70.0, 70.0),
        (90.0, 90.0),
        (100.0, 100.0),
        (120.0, 120.0),
        (128.0, 128.0),
        (140.0, 140.0),
        (100.0, 120.0),
        (130.0, 115.0),
    ];
    for (from, to) in tempos {
        let beats = times(from, to, seconds);
        for kind in ["clicks", "drums", "drums and music", "drums in noise"] {
            let mut sound = match kind {
                "clicks" => clicks(&beats, seconds, &mut random),
                _ => drums(&beats, seconds, &mut random),
            };
            match kind {
                "drums and music" => {
                    let bars = beats.iter().copied().step_by(4);
                    sound.add(0.0, &harmony(bars, seconds, 4).0, 0.6);
                }
                "drums in noise" => sound = sound.with_noise(15.0, 9),
                _ => {}
            }
            let found = found(&sound);
            let value = score(&found.times, &beats);
            println!(
                "{kind} {from}-{to}: F {value:.3}, {:.1} per minute, confidence {:.2}",
                found.tempo, found.confidence
            );
            (sum, count) = (sum + value, count + 1.0);
            least = least.min(found.confidence);
            assert!(found.is_certain(), "{kind} {from}: {}", found.confidence);
        }
    }
    println!("mean F {:.3}, least confidence {least:.2}", sum / count);
    assert!(sum / count >= 0.97, "mean F {:.3}", sum / count);
}

#[test]
fn noise_speech_and_silence_have_no_certain_beats() {
    let noise = Sound(vec![0.1; frame(20.0)]).with_noise(0.0, 3);
    let noise = found(&noise);
    println!("noise: {:.2}", noise.confidence);
    assert!(!noise.is_certain(), "{}", noise.confidence);
    let silent = found(&Sound::silence(20.0));
    assert!(silent.times.is_empty() && silent.confidence == 0.0);
    let text = "No one taps a foot to this sentence, however long it may be, because the rhythm of speech is that of its \
                words. Some are short. Others, on the contrary, are considerably longer, and pauses come where they like.";
    let Some(said) = said("en", text) else {
        return;
    };
    let voice = found(&said);
    println!("voice: {:.2}", voice.confidence);
    assert!(!voice.is_certain(), "{}", voice.confidence);
}
