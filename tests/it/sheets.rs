//! Contact sheets of the example plans, compared with stored ones by what people see.
//!
//! Stored are 48 pixels across, so that other fonts and decoders make little difference. After a change that is meant:
//! `UPDATE=1 cargo test --test it -- sheets::`, and look at the pictures of `tests/golden/sheets`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::rendering::{has_ffmpeg, image};
use crate::support::Home;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Plan files, with the arguments that they need.
const PLANS: [(&str, &[&str]); 7] = [
    ("basic.yaml", &[]),
    (
        "batch.yaml",
        &[
            "--set",
            "title=Kettle",
            "--set",
            "line=Boils in a minute",
            "--set",
            "seconds=4",
            "--set",
            "color=#FFD400",
        ],
    ),
    ("first-draft.yaml", &[]),
    ("karaoke.yaml", &[]),
    ("picture-in-picture.json", &[]),
    ("product-ad.toml", &[]),
    ("slideshow.yaml", &[]),
];
const WIDTH: usize = 48;
/// The mean distance that may come from other fonts, decoders and rounding, and that of the worst tenth.
const MEAN: f64 = 1.5;
const WORST: f64 = 6.0;

/// A picture as colours of CIELAB.
struct Seen(Vec<[f64; 3]>);

impl Seen {
    fn of(file: &Path) -> Self {
        let said = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(file)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .expect("ffmpeg");
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        let (pixels, _) = said.stdout.as_chunks::<3>();
        Self(pixels.iter().map(|pixel| lab(*pixel)).collect())
    }

    /// The mean distance of two pictures (ΔE of 1976; people see differences from about 2), and that of the worst tenth.
    fn distance(&self, other: &Self) -> (f64, f64) {
        assert_eq!(self.0.len(), other.0.len(), "the sheets have other sizes");
        let between = |(one, two): (&[f64; 3], &[f64; 3])| {
            let squares = one.iter().zip(two).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let mut all: Vec<f64> = self.0.iter().zip(&other.0).map(between).collect();
        all.sort_by(f64::total_cmp);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        (mean(&all), mean(&all[all.len() * 9 / 10..]))
    }
}

/// CIELAB of sRGB, white D65.
fn lab(pixel: [u8; 3]) -> [f64; 3] {
    let linear = pixel.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    // The rows of sRGB's matrix, each with the white of its component.
    let rows = [
        ([0.4124, 0.3576, 0.1805], 0.9505),
        ([0.2126, 0.7152, 0.0722], 1.0),
        ([0.0193, 0.1192, 0.9505], 1.089),
    ];
    let [across, light, depth] = rows.map(|(row, white)| {
        let sum: f64 = row
            .iter()
            .zip(linear)
            .map(|(part, value)| part * value)
            .sum();
        let value = sum / white;
        if value > 0.008_856 {
            value.cbrt()
        } else {
            7.787 * value + 16.0 / 116.0
        }
    });
    [
        116.0 * light - 16.0,
        500.0 * (across - light),
        200.0 * (light - depth),
    ]
}

/// Makes the draft of a plan, and its sheet in a small size.
fn small_sheet(home: &Home, plan: &str, arguments: &[&str]) -> PathBuf {
    let drafts = home.path().join(format!("drafts of {plan}"));
    fs::create_dir_all(&drafts).expect("a folder");
    let file = format!("{ROOT}/examples/{plan}");
    let folder = drafts.display().to_string();
    let all = ["compose", &file, "--draft-folder", &folder];
    home.run(&[&all[..], arguments].concat()).success();
    let draft = fs::read_dir(&drafts).expect("drafts").flatten();
    let draft = draft.map(|entry| entry.path()).find(|path| path.is_dir());
    let mut client = home.connected();
    let answer = client.request(
        "tools/call",
        json!({ "name": "preview_frame", "arguments": { "draft": draft, "count": 6, "format": "png", "size": 320 } }),
    );
    let notes = answer["result"]["structuredContent"]["notes"].to_string();
    assert!(!notes.contains("placeholder"), "{plan}: {notes}");
    let sheet = home.file("sheet.png", image(&answer).1);
    let small = home.path().join(format!("{plan}.png"));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-nostdin", "-i"])
        .arg(sheet)
        .args(["-vf", &format!("scale={WIDTH}:-1:flags=area")])
        .arg(&small)
        .status();
    assert!(made.expect("ffmpeg").success());
    small
}

#[test]
fn the_sheets_of_the_example_plans_look_as_before() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut sheets = Vec::new();
    for (plan, arguments) in PLANS {
        let small = small_sheet(&home, plan, arguments);
        let stored = PathBuf::from(format!("{ROOT}/tests/golden/sheets/{plan}.png"));
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(stored.parent().expect("a folder")).expect("a folder");
            fs::copy(&small, &stored).expect("stored");
        }
        let (now, before) = (Seen::of(&small), Seen::of(&stored));
        let (mean, worst) = now.distance(&before);
        assert!(
            mean < MEAN && worst < WORST,
            "{plan}: {mean:.2}, the worst tenth {worst:.2}"
        );
        sheets.push((plan, now));
    }
    // Sheets of different plans are further apart, so a wrong picture would be noticed.
    for (index, (plan, one)) in sheets.iter().enumerate() {
        for (other, two) in &sheets[index + 1..] {
            if one.0.len() == two.0.len() {
                let (mean, worst) = one.distance(two);
                assert!(
                    mean > MEAN || worst > WORST,
                    "{plan} and {other}: {mean:.2}, {worst:.2}"
                );
            }
        }
    }
    let named = fs::read_dir(format!("{ROOT}/examples"))
        .expect("examples")
        .flatten();
    for name in named.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let is_plan = [".yaml", ".json", ".toml"]
            .iter()
            .any(|end| name.ends_with(end));
        assert!(
            !is_plan || PLANS.iter().any(|(plan, _)| *plan == name),
            "{name} has no sheet"
        );
    }
}
