//! Preview videos: complete, of the right length, and never a half file.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use capcut_render::{Problem, VideoOptions};
use serde_json::json;

use crate::support::{Draft, Media, SECOND, decoded, is_near, rgb};

fn options(to: i64, overwrite: bool) -> VideoOptions {
    VideoOptions {
        range: (0, to),
        longest: 1280,
        overwrite,
    }
}

fn go_on(_: f32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What `ffprobe` says about the first video or audio stream.
fn probed(file: &Path, entries: &str) -> Vec<String> {
    let said = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", entries, "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.trim().split([',', '\n']).map(str::to_owned).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn each_rate_gives_its_frames_and_no_layer_is_missing_on_the_first() {
    let media = Media::new();
    let red = media.make(
        "red.mp4",
        "-f lavfi -i color=red:s=320x180:r=25:d=3 -c:v libx264 -g 250",
    );
    let blue = media.make(
        "blue.mp4",
        "-f lavfi -i color=blue:s=320x180:r=30000/1001:d=3 -c:v libx264 -g 250",
    );
    let small = json!({"clip": {"alpha": 1.0, "scale": {"x": 0.5, "y": 0.5}, "rotation": 0.0,
        "transform": {"x": 0.0, "y": 0.0}, "flip": {"horizontal": false, "vertical": false}}});
    for (fps, rate) in [
        (23.976, "24000/1001"),
        (25.0, "25/1"),
        (29.97, "30000/1001"),
        (30.0, "30/1"),
        (60.0, "60/1"),
    ] {
        let draft = Draft::new((320, 180), fps)
            .clip(
                "video",
                &red,
                (320, 180),
                ((0.37, 1.0), (0.0, 1.0)),
                json!({}),
            )
            .clip(
                "video",
                &blue,
                (320, 180),
                ((0.71, 1.0), (0.0, 1.0)),
                small.clone(),
            );
        let target = media.path("out.mp4");
        let report = draft
            .renderer()
            .video(&target, options(SECOND, true), &mut go_on)
            .unwrap();
        assert_eq!(report.frames, fps.round() as u64);
        let said = probed(
            &target,
            "stream=r_frame_rate,nb_frames,pix_fmt,width,height,codec_type",
        );
        assert_eq!(
            said,
            [
                "video",
                "320",
                "180",
                "yuv420p",
                rate,
                &report.frames.to_string()
            ],
            "{fps}"
        );
        for frame in [0, 1, report.frames - 1] {
            let picture = decoded(&target, frame, &media);
            assert!(
                is_near(rgb(&picture, 20, 20), [255, 0, 0], 12),
                "{fps} {frame}: {:?}",
                rgb(&picture, 20, 20)
            );
            assert!(
                is_near(rgb(&picture, 160, 90), [0, 0, 255], 12),
                "{fps} {frame}: {:?}",
                rgb(&picture, 160, 90)
            );
        }
    }
}

#[test]
fn many_clips_and_layers_use_at_most_four_decoders_and_show_the_right_one() {
    let media = Media::new();
    let colours = ["red", "lime", "blue", "white", "yellow", "aqua", "fuchsia"];
    let values = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [255, 255, 0],
        [0, 255, 255],
        [255, 0, 255],
    ];
    // Seven layers beside each other, and twelve short clips over one half.
    let mut draft = Draft::new((700, 100), 10.0);
    for (index, colour) in colours.iter().enumerate() {
        let file = media.make(
            &format!("{colour}.mp4"),
            &format!("-f lavfi -i color={colour}:s=100x100:r=10:d=4 -c:v libx264"),
        );
        let x = (index as f64 - 3.0) / 3.5;
        let look = json!({"clip": {"alpha": 1.0, "scale": {"x": 1.0, "y": 1.0}, "transform": {"x": x, "y": 0.0}}});
        draft = draft.clip("video", &file, (100, 100), ((0.0, 3.0), (0.0, 3.0)), look);
    }
    for index in 0..12 {
        let file = media.path(&format!("{}.mp4", colours[index % 7]));
        let look = json!({"clip": {"alpha": 1.0, "scale": {"x": 0.5, "y": 0.5}, "transform": {"x": 0.0, "y": 0.0}}});
        let range = ((0.5, 0.25), (index as f64 * 0.25, 0.25));
        draft = draft.clip("video", &file, (100, 100), range, look);
    }
    let target = media.path("out.mp4");
    let report = draft
        .renderer()
        .video(&target, options(3 * SECOND, false), &mut go_on)
        .unwrap();
    assert!(report.decoders <= 4, "{}", report.decoders);
    assert_eq!(report.frames, 30);
    for frame in [0_u64, 7, 13, 29] {
        let picture = decoded(&target, frame, &media);
        for (index, colour) in values.iter().enumerate() {
            let seen = rgb(&picture, index as u32 * 100 + 8, 50);
            assert!(
                is_near(seen, *colour, 16),
                "{frame}, layer {index}: {seen:?}"
            );
        }
        let above = values[(frame as usize * 100 / 250) % 7];
        let seen = rgb(&picture, 350, 50);
        assert!(
            is_near(seen, above, 16),
            "{frame}: {seen:?} instead of {above:?}"
        );
    }
}

#[test]
fn an_existing_file_is_kept_unless_it_may_be_replaced() {
    let media = Media::new();
    let picture = media.make("p.png", "-f lavfi -i color=red:s=64x64:d=1 -frames:v 1");
    let draft = Draft::new((64, 64), 10.0).clip(
        "photo",
        &picture,
        (64, 64),
        ((0.0, 1.0), (0.0, 1.0)),
        json!({}),
    );
    let target = media.path("out.mp4");
    fs::write(&target, "mine").unwrap();
    let error = draft
        .renderer()
        .video(&target, options(SECOND, false), &mut go_on)
        .unwrap_err();
    assert_eq!(error.problem, Problem::Exists);
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    draft
        .renderer()
        .video(&target, options(SECOND, true), &mut go_on)
        .unwrap();
    assert_eq!(probed(&target, "stream=nb_frames"), ["10"]);
}

#[test]
fn cancelling_leaves_nothing() {
    let media = Media::new();
    let video = media.make(
        "v.mp4",
        "-f lavfi -i testsrc=s=640x360:r=30:d=20 -c:v libx264 -preset ultrafast",
    );
    let draft = Draft::new((640, 360), 30.0).clip(
        "video",
        &video,
        (640, 360),
        ((0.0, 20.0), (0.0, 600.0)),
        json!({}),
    );
    let folder = media.path("out");
    fs::create_dir(&folder).unwrap();
    let mut calls = 0;
    let mut cancel = |done: f32| {
        calls += 1;
        assert!(done < 0.9);
        if done > 0.001 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let made = draft.renderer().video(
        &folder.join("v.mp4"),
        options(600 * SECOND, false),
        &mut cancel,
    );
    assert_eq!(made.unwrap_err().problem, Problem::Cancelled);
    assert!(calls > 1);
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_nothing() {
    let media = Media::new();
    let disk = media.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=200k", "none"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!(
            "a_full_disk_leaves_nothing: skipped: a small file system cannot be mounted here"
        );
        return;
    }
    let noise = media.make("v.mp4", "-f lavfi -i nullsrc=s=320x180:r=30:d=3 -vf geq=random(1)*255:128:128 -c:v libx264 -preset ultrafast");
    let draft = Draft::new((320, 180), 30.0).clip(
        "video",
        &noise,
        (320, 180),
        ((0.0, 3.0), (0.0, 3.0)),
        json!({}),
    );
    let made = draft
        .renderer()
        .video(&disk.join("v.mp4"), options(3 * SECOND, false), &mut go_on);
    let left = names(&disk);
    let unmounted = Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    let error = made.unwrap_err();
    assert_eq!(error.problem, Problem::Storage, "{error}");
    assert_eq!(left, [""; 0]);
}
