//! The words of a known script.

use capcut_sound::{Span, Wanted, align, analyze};

use crate::made::{Random, Sound, WaveFile, said};

const SCRIPTS: [(&str, &str); 3] = [
    (
        "en",
        "Welcome to our little workshop about sound. Today, we cut the silence out of a long interview. \
         First we listen, then we mark every pause, and finally we remove what no one misses. \
         Nothing important is lost! Music becomes quieter while somebody speaks, and it comes back in every pause. \
         Thank you for listening, and see you next week.",
    ),
    (
        "de",
        "Willkommen in unserer kleinen Werkstatt für Ton. Heute schneiden wir die Stille aus einem langen Gespräch. \
         Zuerst hören wir zu, dann markieren wir jede Pause, und zum Schluss entfernen wir, was niemand vermisst. \
         Nichts Wichtiges geht verloren! Die Musik wird leiser, während jemand spricht. Vielen Dank fürs Zuhören.",
    ),
    (
        "cmn",
        "欢 迎 来 到 我 们 的 声 音 工 作 室。 今 天， 我 们 剪 掉 采 访 里 的 停 顿。 \
         先 听 一 遍， 再 标 记 每 一 个 停 顿， 最 后 删 掉 不 需 要 的 部 分。 什 么 都 不 会 丢！ \
         有 人 说 话 的 时 候， 音 乐 会 变 小。 谢 谢 收 听， 下 周 再 见。",
    ),
];

#[test]
fn words_of_a_script_are_near_their_true_times_and_inside_speech() {
    let mut errors = Vec::new();
    for (language, script) in SCRIPTS {
        for seed in 1..=2 {
            let mut random = Random::new(seed);
            let words: Vec<&str> = script.split_whitespace().collect();
            let mut sound = Sound::silence(0.6);
            let mut truth = Vec::new();
            for word in &words {
                let Some(said) = said(language, word) else {
                    return;
                };
                truth.push(sound.duration());
                sound.add(sound.duration(), &said.0, 1.0);
                let pause = match word.chars().next_back() {
                    Some('.' | '!' | '。' | '！') => random.between(0.45, 1.1),
                    Some(',' | '，') => random.between(0.22, 0.4),
                    _ => random.between(0.0, 0.04),
                };
                sound.add(sound.duration(), &Sound::silence(pause).0, 1.0);
            }
            let file = WaveFile::of(&sound.with_noise(40.0, seed), 1);
            let found = analyze(&file.path, Wanted::SPEECH, &|| false).expect("an analysis");
            let spans = found.spoken().expect("speech");
            let times = align(&words, spans);
            assert_eq!(times.len(), words.len());
            for time in &times {
                let is_inside =
                    |span: &Span| span.start <= time.start + 1e-9 && time.end <= span.end + 1e-9;
                assert!(
                    spans.iter().any(is_inside),
                    "{language}: {time:?} is outside {spans:?}"
                );
            }
            let case: Vec<f64> = times
                .iter()
                .zip(&truth)
                .map(|(time, at)| (time.start - at).abs())
                .collect();
            let (median, p90) = at(&case);
            println!("{language} {seed}: median {median:.3} s, p90 {p90:.3} s");
            errors.extend(case);
        }
    }
    let (median, p90) = at(&errors);
    println!("all: median {median:.3} s, p90 {p90:.3} s");
    assert!(
        median <= 0.09 && p90 <= 0.3,
        "median {median:.3} s, p90 {p90:.3} s"
    );
}

fn at(errors: &[f64]) -> (f64, f64) {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[sorted.len() * 9 / 10])
}
