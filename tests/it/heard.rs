//! A look at the sound of a draft: silence, music over speech, speech without captions and captions without speech; that
//! what is suggested fixes it; and that a look that is cancelled stops to listen.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::sound::{RATE, voice, wave};
use crate::support::drafts::{created, saved_at, text};
use crate::support::{Client, Home, media, until};

/// When somebody speaks, without a beat.
const SPOKEN: [(f64, f64); 4] = [(0.5, 2.13), (3.31, 5.0), (6.4, 8.0), (9.2, 11.5)];

/// A steady tone.
fn music(home: &Home, seconds: f64) -> PathBuf {
    voice(
        home,
        &format!("music {seconds}.wav"),
        &[(0.0, seconds)],
        seconds,
    )
}

fn add(client: &mut Client, draft: &str, tool: &str, mut arguments: Value) {
    arguments["draft_id"] = draft.into();
    client.call(tool, arguments).expect("added");
}

fn add_picture(client: &mut Client, draft: &str, seconds: f64) {
    let picture = media("picture.jpg");
    let arguments = json!({ "image_url": text(&picture), "start": 0, "end": seconds });
    add(client, draft, "add_image", arguments);
}

fn add_sound(client: &mut Client, draft: &str, file: &Path, more: Value) {
    let mut arguments = more;
    arguments["audio_url"] = text(file).into();
    add(client, draft, "add_audio", arguments);
}

/// A draft with a picture for these seconds, and sounds.
fn draft_with(client: &mut Client, seconds: f64, sounds: &[(&Path, Value)]) -> String {
    let draft = created(client, json!({}));
    add_picture(client, &draft, seconds);
    for (file, more) in sounds {
        add_sound(client, &draft, file, more.clone());
    }
    draft
}

/// A track of its own, and more arguments.
fn on_track(name: &str, more: Value) -> Value {
    let mut arguments = more;
    arguments["track_name"] = name.into();
    arguments
}

/// Captions at times, in seconds, that are read fast enough.
fn add_captions(client: &mut Client, draft: &str, times: &[(f64, f64)]) {
    let time = |seconds: f64| {
        let millis = (seconds * 1000.0).round() as u64;
        format!("00:00:{:02},{:03}", millis / 1000, millis % 1000)
    };
    let cues: String = times
        .iter()
        .enumerate()
        .map(|(index, (start, end))| {
            format!(
                "{}\n{} --> {}\nWord {index}\n\n",
                index + 1,
                time(*start),
                time(*end)
            )
        })
        .collect();
    add(client, draft, "add_subtitle", json!({ "srt": cues }));
}

fn look(client: &mut Client, draft: &str) -> Value {
    let arguments = json!({ "draft_id": draft, "look": true });
    client.call("validate_draft", arguments).expect("a look")["look"].clone()
}

/// The findings on what is heard.
fn findings(look: &Value) -> Vec<Value> {
    let heard = [
        "long_silence",
        "music_over_speech",
        "speech_without_caption",
        "caption_without_speech",
    ];
    let all = look["findings"].as_array().expect("findings").iter();
    all.filter(|finding| heard.contains(&finding["code"].as_str().expect("a code")))
        .cloned()
        .collect()
}

/// The only finding.
fn found(client: &mut Client, draft: &str, code: &str) -> Value {
    let look = look(client, draft);
    let mut own = findings(&look);
    assert_eq!(own.len(), 1, "{look:#}");
    assert_eq!(own[0]["code"], code, "{look:#}");
    own.remove(0)
}

/// Applies what a finding suggests; it is the last one.
fn fixed(client: &mut Client, draft: &str, finding: &Value) {
    let operations = finding["operations"].clone();
    assert!(operations.is_array(), "{finding:#}");
    let edit = json!({ "draft_id": draft, "operations": operations });
    client
        .call("edit_draft", edit)
        .unwrap_or_else(|error| panic!("{error}: {finding:#}"));
    let after = look(client, draft);
    assert_eq!(findings(&after), [Value::Null; 0], "{finding:#} {after:#}");
}

fn is_near(value: &Value, seconds: f64) -> bool {
    (value.as_f64().expect("a number") - seconds).abs() < 0.06
}

#[test]
fn a_long_silence_is_found_and_filled_with_what_the_file_has() {
    let home = Home::embedded();
    let mut client = home.connected();
    let music = music(&home, 20.0);
    // The file has more at its end, or at its beginning.
    for (more, start, end) in [
        (json!({ "start": 0, "end": 6 }), 6.0, 12.0),
        (
            json!({ "start": 5, "end": 12, "target_start": 5 }),
            0.0,
            5.0,
        ),
    ] {
        let draft = draft_with(&mut client, 12.0, &[(&music, more)]);
        let finding = found(&mut client, &draft, "long_silence");
        assert!(
            is_near(&finding["start"], start) && is_near(&finding["end"], end),
            "{finding:#}"
        );
        fixed(&mut client, &draft, &finding);
    }
    // A short piece is played again.
    let short = voice(&home, "short.wav", &[(0.0, 3.0)], 3.0);
    let draft = draft_with(&mut client, 12.0, &[(&short, json!({}))]);
    let finding = found(&mut client, &draft, "long_silence");
    assert_eq!(
        finding["operations"].as_array().map(Vec::len),
        Some(3),
        "{finding:#}"
    );
    fixed(&mut client, &draft, &finding);
    // Silence within a file, and a sound that is turned down: only a person knows what to hear there.
    let paused = voice(&home, "paused.wav", &[(0.0, 4.0), (8.0, 12.0)], 12.0);
    let draft = draft_with(&mut client, 12.0, &[(&paused, json!({}))]);
    let finding = found(&mut client, &draft, "long_silence");
    assert!(
        is_near(&finding["start"], 4.0) && is_near(&finding["end"], 8.0),
        "{finding:#}"
    );
    assert!(finding.get("operations").is_none(), "{finding:#}");
    let what = finding["what"].as_str().expect("a text");
    assert!(what.contains("add music or another sound there"), "{what}");
    // A draft without any sound is silent on purpose.
    let off = json!({ "end": 6, "volume": 0 });
    let draft = draft_with(&mut client, 12.0, &[(&music, off)]);
    assert!(findings(&look(&mut client, &draft)).is_empty());
}

#[test]
fn music_that_is_louder_than_speech_is_ducked() {
    let home = Home::embedded();
    let mut client = home.connected();
    let music = music(&home, 13.0);
    let voice = voice(&home, "voice.wav", &SPOKEN, 12.0);
    for (loud, excess) in [(1.0, Some(10.0)), (0.25, None)] {
        let sounds: [(&Path, Value); 2] = [
            (
                &music,
                on_track("music", json!({ "end": 12, "volume": loud })),
            ),
            (&voice, on_track("voice", json!({ "volume": 0.3162 }))),
        ];
        let draft = draft_with(&mut client, 12.0, &sounds);
        let Some(excess) = excess else {
            assert!(findings(&look(&mut client, &draft)).is_empty());
            continue;
        };
        let finding = found(&mut client, &draft, "music_over_speech");
        let value = finding["value"].as_f64().expect("decibels");
        // Levels are means of half a second, so that pauses next to words count a little.
        assert!((value - excess).abs() < 3.0, "{finding:#}");
        assert_eq!(finding["clips"].as_array().map(Vec::len), Some(2));
        assert_eq!(finding["operations"][0]["op"], "duck", "{finding:#}");
        assert!(
            is_near(&finding["start"], 0.5) && is_near(&finding["end"], 11.5),
            "{finding:#}"
        );
        fixed(&mut client, &draft, &finding);
    }
}

#[test]
fn captions_and_speech_are_compared_where_a_draft_has_both() {
    let home = Home::embedded();
    let mut client = home.connected();
    let voice = voice(&home, "voice.wav", &SPOKEN, 12.0);
    let mut draft = |captions: &[(f64, f64)]| {
        let draft = draft_with(&mut client, 12.0, &[(&voice, json!({}))]);
        if !captions.is_empty() {
            add_captions(&mut client, &draft, captions);
        }
        draft
    };
    let none = draft(&[]);
    let all = draft(&SPOKEN);
    let [first, second, third, last] = SPOKEN;
    let missing = draft(&[first, second, last]);
    let short = draft(&[first, second, third, (9.0, 9.8)]);
    let late = draft(&[first, second, (8.52, 8.9), last]);
    let extra = draft(&[first, second, third, last, (11.999, 12.0)]);
    for fine in [&none, &all, &extra] {
        let look = look(&mut client, fine);
        assert!(findings(&look).is_empty(), "{look:#}");
    }
    let finding = found(&mut client, &missing, "speech_without_caption");
    assert!(
        is_near(&finding["start"], 6.4) && is_near(&finding["end"], 8.0),
        "{finding:#}"
    );
    let what = finding["what"].as_str().expect("a text");
    assert!(what.contains("add_subtitle"), "{what}");
    let finding = found(&mut client, &short, "speech_without_caption");
    assert_eq!(finding["operations"][0]["op"], "trim", "{finding:#}");
    fixed(&mut client, &short, &finding);
    let look = look(&mut client, &late);
    let codes: Vec<Value> = findings(&look)
        .iter()
        .map(|own| own["code"].clone())
        .collect();
    assert_eq!(codes, ["speech_without_caption"], "{look:#}");
}

#[test]
fn a_caption_over_a_silent_voice_is_removed_or_moved_to_what_it_says() {
    let home = Home::embedded();
    let mut client = home.connected();
    let spoken = [(0.5, 2.0), (9.0, 11.0)];
    let voice = voice(&home, "voice.wav", &spoken, 12.0);
    let steady = music(&home, 20.0);
    let draft = |seconds: f64, client: &mut Client| {
        let quiet = on_track("music", json!({ "volume": 0.1, "end": seconds }));
        draft_with(client, seconds, &[(&voice, json!({})), (&steady, quiet)])
    };
    for (captions, operation, start) in [
        (vec![(0.5, 2.0), (9.0, 11.0), (4.0, 6.0)], "remove", 4.0),
        (vec![(0.5, 2.0), (5.0, 7.0)], "move", 5.0),
    ] {
        let draft = draft(12.0, &mut client);
        add_captions(&mut client, &draft, &captions);
        let all = findings(&look(&mut client, &draft));
        let finding = all
            .iter()
            .find(|own| own["code"] == "caption_without_speech")
            .unwrap_or_else(|| panic!("{all:#?}"));
        assert_eq!(finding["operations"][0]["op"], operation, "{finding:#}");
        assert!(is_near(&finding["start"], start), "{finding:#}");
        fixed(&mut client, &draft, finding);
    }
    // What is not said: the description of a sound, and captions without a voice below them.
    let draft = draft(20.0, &mut client);
    let cues = "1\n00:00:00,500 --> 00:00:02,000\nOne\n\n2\n00:00:04,000 --> 00:00:06,000\n[Music]\n\n\
                3\n00:00:09,000 --> 00:00:11,000\nTwo\n\n4\n00:00:14,000 --> 00:00:16,000\nFour\n";
    add(&mut client, &draft, "add_subtitle", json!({ "srt": cues }));
    let look = look(&mut client, &draft);
    assert!(findings(&look).is_empty(), "{look:#}");
}

#[test]
fn what_was_not_heard_is_listed_and_not_judged() {
    let home = Home::embedded();
    let mut client = home.connected();
    let voice = voice(&home, "voice.wav", &[(0.5, 2.0)], 3.0);
    let gone = music(&home, 9.0);
    let own = on_track("music", json!({ "target_start": 3, "end": 9 }));
    let sounds: [(&Path, Value); 2] = [(&voice, json!({})), (&gone, own)];
    let draft = draft_with(&mut client, 12.0, &sounds);
    std::fs::remove_file(&gone).expect("removed");
    let look = look(&mut client, &draft);
    assert!(findings(&look).is_empty(), "{look:#}");
    let notes = look["notes"].to_string();
    assert!(
        notes.contains("sound not checked for") && notes.contains("music 9.wav"),
        "{look:#}"
    );
}

#[test]
fn a_recorded_voice_and_music_are_told_apart() {
    let home = Home::embedded();
    let mut client = home.connected();
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech.mp3");
    let song = media("music.mp3");
    let sounds: [(&Path, Value); 2] = [
        (&speech, on_track("voice", json!({ "volume": 0.2 }))),
        (&song, on_track("music", json!({ "end": 6 }))),
    ];
    let draft = draft_with(&mut client, 6.0, &sounds);
    let finding = found(&mut client, &draft, "music_over_speech");
    let (clips, operation) = (&finding["clips"], &finding["operations"][0]);
    assert_eq!(operation["clip"], clips[0], "{finding:#}");
    assert_eq!(operation["under"], json!([clips[1]]), "{finding:#}");
    let rows = client
        .call(
            "inspect_draft",
            json!({ "draft_id": draft, "query": clips[0] }),
        )
        .expect("a clip");
    assert!(rows.to_string().contains("music"), "{rows:#}");
    fixed(&mut client, &draft, &finding);
}

/// Saves a draft into a folder of its name; returns the folder and the document.
fn saved(client: &mut Client, draft: &str, target: &Path) -> (PathBuf, Value) {
    let save = json!({ "draft_id": draft, "draft_folder": text(target) });
    saved_at(&client.call("save_draft", save).expect("saved"))
}

#[test]
fn sounds_inside_a_compound_clip_are_heard_when_it_is_shown() {
    let home = Home::embedded();
    let mut client = home.connected();
    let steady = music(&home, 20.0);
    let voice = voice(&home, "voice.wav", &SPOKEN, 12.0);
    let quiet = on_track("voice", json!({ "volume": 0.2 }));
    let inside = draft_with(&mut client, 12.0, &[(&voice, quiet)]);
    let outside = draft_with(&mut client, 14.0, &[(&steady, json!({ "end": 14 }))]);
    // Its captions are where somebody speaks in the compound clip.
    let captions = SPOKEN.map(|(start, end)| (f64::max(start + 1.0, 2.0), end + 1.0));
    add_captions(&mut client, &outside, &captions);
    let target = home.path().join("apps");
    let (_, mut inner) = saved(&mut client, &inside, &target);
    inner["materials"]["audios"][0]["path"] = text(&voice).into();
    let (folder, mut document) = saved(&mut client, &outside, &target);
    // The picture becomes a compound clip that is shown from 2 s on, without its first second.
    document["materials"]["drafts"] = json!([{ "id": "D", "type": "combination", "draft": inner }]);
    let clip = &mut document["tracks"][0]["segments"][0];
    assert_eq!(clip["source_timerange"]["start"], 0, "{clip:#}");
    clip["extra_material_refs"]
        .as_array_mut()
        .expect("refs")
        .push("D".into());
    clip["target_timerange"] = json!({ "start": 2_000_000, "duration": 11_000_000 });
    clip["source_timerange"] = json!({ "start": 1_000_000, "duration": 11_000_000 });
    let path = ["draft_content.json", "draft_info.json"].map(|name| folder.join(name));
    for path in path.iter().filter(|path| path.is_file()) {
        std::fs::write(path, document.to_string()).expect("written");
    }
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let draft = opened.expect("opened")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let finding = found(&mut client, &draft, "music_over_speech");
    // From where the clip is cut to the end of the last word.
    assert!(
        is_near(&finding["start"], 2.0) && is_near(&finding["end"], 12.5),
        "{finding:#}"
    );
    let clips = finding["clips"].as_array().expect("clips");
    assert!(clips[1].to_string().contains('/'), "{finding:#}");
}

/// How far a process has read a file; `None` if it has not opened it.
#[cfg(target_os = "linux")]
fn read_so_far(pid: u32, file: &Path) -> Option<u64> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    files.flatten().find_map(|own| {
        let target = std::fs::read_link(own.path()).ok()?;
        let name = own.file_name();
        let info = format!("/proc/{pid}/fdinfo/{}", name.to_string_lossy());
        let info = std::fs::read_to_string(info).ok()?;
        let position = info.lines().find_map(|line| line.strip_prefix("pos:"))?;
        (target == file).then(|| position.trim().parse().ok())?
    })
}

#[cfg(target_os = "linux")]
#[test]
fn a_cancelled_look_stops_to_listen_and_leaves_no_file() {
    let home = Home::embedded();
    let mut client = home.connected();
    // Each takes seconds.
    let long = |name: &str, seed: u32| {
        let second: Vec<i16> = (0..RATE)
            .map(|index| ((index * seed) % 20_011) as i16 - 10_000)
            .collect();
        wave(&home, name, &second.repeat(900))
    };
    let other = long("other.wav", 6_007);
    let long = long("long.wav", 7_919);
    let draft = draft_with(&mut client, 12.0, &[(&long, json!({}))]);
    let call =
        json!({ "name": "validate_draft", "arguments": { "draft_id": draft, "look": true } });
    let id = client.ask("tools/call", call);
    let pid = client.child.id();
    until("the sound is read", || {
        read_so_far(pid, &long).is_some_and(|read| read > 1 << 20)
    });
    client.notify("notifications/cancelled", json!({ "requestId": id }));
    until("the sound is closed", || read_so_far(pid, &long).is_none());
    // What was heard until then is not kept.
    let folder = home.data().join("sound");
    let kept = std::fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(kept, 0, "{}", folder.display());
    // Nor later: the same work on another file, which began after it, ends.
    let analysis = json!({ "source": text(&other), "what": ["speech", "silence", "beats"] });
    client.call("analyze_audio", analysis).expect("an analysis");
    assert_eq!(std::fs::read_dir(&folder).map_or(0, Iterator::count), 1);
    assert_eq!(client.end(), 0);
}
