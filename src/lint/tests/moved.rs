//! What a fix moves: media that are found elsewhere, and texts that overlap.

use serde_json::{Value, json};

use super::super::MovedMedia;
use super::*;
use crate::error::Kind;

/// A draft whose video was moved away, and the options to search it below `library`.
fn without_video(library: &[(&str, Vec<u8>)]) -> (Made, LintOptions) {
    let made = Made::clean();
    made.write();
    fs::remove_file(made.folder().join("assets/a.mp4")).unwrap();
    let place = made.root.path().join("library");
    for (name, bytes) in library {
        let file = place.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let options = LintOptions {
        media: Some(MovedMedia::below(&place).unwrap()),
        ..made.options()
    };
    (made, options)
}

#[test]
fn moved_media_are_found_by_name_and_size() {
    let clip = || example("clip.mp4");
    let others = ("x/b.mp4", clip());
    let (mut made, options) =
        without_video(&[("2024/May/A.MP4", clip()), others, ("x/a.mp4", wav(4))]);
    let facts = crate::media::look(&made.root.path().join("library/x/b.mp4"), "b.mp4");
    let Ok(crate::media::FileCheck::Media(facts)) = facts else {
        panic!("an example");
    };
    let video = &mut made.document["materials"]["videos"][0];
    video["width"] = json!(facts.width);
    video["height"] = json!(facts.height);
    video["path"] = json!("/Users/me/Movies/a.mp4");
    // A compound clip uses the file as well.
    made.document["materials"]["drafts"] = json!([{"id": "D1", "draft": {
        "materials": {"videos": [made.document["materials"]["videos"][0]]}, "tracks": []
    }}]);
    made.meta["draft_materials"][0]["value"][0]["file_Path"] = json!("/Users/me/Movies/a.mp4");
    made.write();
    assert!(
        codes(&made.lint()).contains(&"media-missing"),
        "{:#?}",
        made.lint()
    );

    let fixed = fix_twice(&made.folder(), &options);
    assert_eq!(codes(&fixed.left), ["media-outside"], "{:#?}", fixed.left);
    let found = made
        .root
        .path()
        .canonicalize()
        .unwrap()
        .join("library/2024/May/A.MP4");
    let document = made.read("draft_content.json");
    let materials = &document["materials"];
    assert_eq!(materials["videos"][0]["path"], json!(found));
    let inner = &materials["drafts"][0]["draft"]["materials"]["videos"][0];
    assert_eq!(inner["path"], json!(found));
    let entries = made.read("draft_meta_info.json")["draft_materials"][0]["value"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 3);
    assert_eq!(entries[0]["file_Path"], json!(found));
    assert_eq!(entries[0]["id"], "m-a");
}

#[test]
fn none_of_several_files_is_chosen_and_files_of_another_size_are_not_found() {
    let is_any_size = |made: &mut Made| {
        made.document["materials"]["videos"][0]["width"] = json!(0);
        made.write();
    };
    let clip = || example("clip.mp4");
    let (mut made, options) = without_video(&[("1/a.mp4", clip()), ("2/a.mp4", clip())]);
    is_any_size(&mut made);
    let fixed = fix_twice(&made.folder(), &options);
    let left = fixed
        .left
        .iter()
        .find(|problem| problem.code == "media-missing");
    let what = &left.expect("none is chosen").what;
    assert!(
        what.contains("1/a.mp4") && what.contains("2/a.mp4"),
        "{what}"
    );

    // A picture, another length and another size are other files.
    let (mut made, options) = without_video(&[("a.mp4", clip()), ("1/a.mp4", example("logo.png"))]);
    made.document["materials"]["videos"][0]["duration"] = json!(60_000_000);
    is_any_size(&mut made);
    let found = codes(&lint(&made.folder(), &options).unwrap());
    assert!(found.contains(&"media-missing") && !found.contains(&"media-moved"));
    made.document["materials"]["videos"][0]["duration"] = json!(4_000_000);
    made.document["materials"]["videos"][0]["width"] = json!(31);
    made.write();
    let found = codes(&lint(&made.folder(), &options).unwrap());
    assert!(found.contains(&"media-missing") && !found.contains(&"media-moved"));

    let error = MovedMedia::below(&made.root.path().join("nowhere")).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
}

/// The start and end of the texts of each text track, after a fix.
fn untangled(texts: &[(i64, i64)]) -> (Vec<Vec<[i64; 2]>>, Vec<String>) {
    let mut made = Made::clean();
    let text = made.document["tracks"][3]["segments"][0].clone();
    let segments: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(number, (start, end))| {
            let mut text = text.clone();
            text["id"] = json!(format!("T-{number}"));
            text["target_timerange"] = json!({"start": start, "duration": end - start});
            text
        })
        .collect();
    made.document["tracks"][3]["segments"] = json!(segments);
    made.write();
    let fixed = fix_twice(&made.folder(), &made.options());
    assert!(
        fixed.left.iter().all(|problem| !problem.fixable),
        "{:#?}",
        fixed.left
    );
    let document = made.read("draft_content.json");
    let time = |segment: &Value, key: &str| segment["target_timerange"][key].as_i64().unwrap();
    let tracks = document["tracks"].as_array().unwrap()[3..]
        .iter()
        .map(|track| {
            let segments = track["segments"].as_array().unwrap().iter();
            segments
                .map(|text| {
                    [
                        time(text, "start"),
                        time(text, "start") + time(text, "duration"),
                    ]
                })
                .collect()
        });
    (tracks.collect(), fixed.notes)
}

#[test]
fn texts_that_overlap_end_where_the_next_starts_or_move_to_another_track() {
    let (tracks, notes) = untangled(&[
        (0, 2_000_000),
        (1_000_000, 3_000_000),
        (2_500_000, 4_000_000),
    ]);
    assert_eq!(
        tracks,
        [[
            [0, 1_000_000],
            [1_000_000, 2_500_000],
            [2_500_000, 4_000_000]
        ]]
    );
    let told = "the text from 0 s to 2 s ends at 1 s now, where the next one starts";
    assert_eq!((notes[0].as_str(), notes.len()), (told, 2), "{notes:?}");

    // The end is rounded down to a frame.
    let (tracks, _) = untangled(&[(0, 2_000_000), (1_010_000, 3_000_000)]);
    assert_eq!(tracks, [[[0, 1_000_000], [1_010_000, 3_000_000]]]);

    // Texts that start together, or less than a frame apart, do not vanish.
    let (tracks, notes) = untangled(&[
        (0, 2_000_000),
        (0, 1_000_000),
        (20_000, 900_000),
        (1_500_000, 4_000_000),
    ]);
    assert_eq!(
        tracks,
        [
            vec![[0, 1_500_000], [1_500_000, 4_000_000]],
            vec![[20_000, 900_000]],
            vec![[0, 1_000_000]],
        ]
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains("from 0 s to 1 s is on tracks[4] now")),
        "{notes:?}"
    );

    let unchanged = [[0, 1_000_000], [1_000_000, 4_000_000]];
    assert_eq!(
        untangled(&[(0, 1_000_000), (1_000_000, 4_000_000)]).0,
        [unchanged]
    );
}
