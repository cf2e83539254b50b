//! Frames: the right moment, place and colour.

use serde_json::json;

use crate::support::{Draft, Media, SECOND, is_near, rgb};

/// A video whose frame number is in its picture: bit n of the number is the brightness of column n.
fn counting(media: &Media, name: &str, rate: &str, more: &str) -> std::path::PathBuf {
    // 8 columns of 20 pixels.
    let light = "geq=lum='if(mod(floor(N/pow(2,floor(X/20))),2),235,16)':cb=128:cr=128";
    media.make(
        name,
        &format!("-f lavfi -i color=s=160x90:r={rate}:d=4 -vf format=yuv420p,{light} -pix_fmt yuv420p {more}"),
    )
}

fn number(picture: &tiny_skia::Pixmap) -> i64 {
    let width = picture.width() / 8;
    (0..8)
        .filter(|bit| rgb(picture, bit * width + width / 2, picture.height() / 2)[0] > 127)
        .map(|bit| 1 << bit)
        .sum()
}

/// The index of the frame of constant rate that is seen at a time, microseconds.
fn expected(at: i64, rate: (i64, i64)) -> i64 {
    at * rate.0 / (rate.1 * SECOND)
}

#[test]
fn every_rate_shows_the_frame_that_belongs_to_the_time() {
    let media = Media::new();
    for (name, rate) in [
        ("24000/1001", (24_000, 1001)),
        ("25", (25, 1)),
        ("30000/1001", (30_000, 1001)),
        ("30", (30, 1)),
        ("60", (60, 1)),
    ] {
        let file = counting(
            &media,
            "count.mp4",
            name,
            "-c:v libx264 -g 300 -bf 2 -crf 12",
        );
        let range = ((0.7, 3.0), (0.0, 3.0));
        let draft = Draft::new((160, 90), 30.0).clip("video", &file, (160, 90), range, json!({}));
        let mut renderer = draft.renderer();
        for at in [1_000, 333_400, 1_013_000, 1_750_000, 2_990_000] {
            let picture = renderer.frame(at, 160).unwrap();
            assert_eq!(
                number(&picture),
                expected(at + 700_000, rate) % 256,
                "{name} at {at}"
            );
        }
        // In order, as for a video.
        let times: Vec<i64> = (0..40).map(|n| n * 33_334).collect();
        for (at, picture) in times.iter().zip(renderer.frames(&times, 160).unwrap()) {
            assert_eq!(
                number(&picture),
                expected(at + 700_000, rate) % 256,
                "{name} at {at}"
            );
        }
    }
}

#[test]
fn a_variable_rate_holds_each_frame_until_the_next() {
    let media = Media::new();
    // Frames 0, 1, 2 of ten a second, then one a second.
    let file = media.path("count.mp4");
    let _ = counting(&media, "all.mp4", "10", "-c:v libx264 -crf 12");
    crate::support::ffmpeg(
        &format!(
            "-i {} -vf select='lt(n,3)+not(mod(n,10))' -vsync vfr -c:v libx264 -g 300 -crf 12",
            media.path("all.mp4").display()
        ),
        &file,
    );
    let draft = Draft::new((160, 90), 30.0).clip(
        "video",
        &file,
        (160, 90),
        ((0.0, 4.0), (0.0, 4.0)),
        json!({}),
    );
    let mut renderer = draft.renderer();
    for (at, shown) in [
        (0, 0),
        (150_000, 1),
        (950_000, 2),
        (1_001_000, 10),
        (1_960_000, 10),
        (2_500_000, 20),
        (3_950_000, 30),
    ] {
        assert_eq!(number(&renderer.frame(at, 160).unwrap()), shown, "at {at}");
    }
}

#[test]
fn the_last_frame_is_held_and_speed_is_followed() {
    let media = Media::new();
    let file = counting(&media, "count.mp4", "30", "-c:v libx264 -crf 12");
    let at = |source: (f64, f64), target: (f64, f64), at: i64| {
        let draft = Draft::new((160, 90), 30.0).clip(
            "video",
            &file,
            (160, 90),
            (source, target),
            json!({}),
        );
        number(&draft.renderer().frame(at, 160).unwrap())
    };
    assert_eq!(
        at((3.0, 6.0), (0.0, 6.0), 5_000_000),
        119,
        "beyond the end of the file"
    );
    assert_eq!(
        at((30.0, 2.0), (0.0, 2.0), 1_000_000),
        119,
        "the clip is beyond the end"
    );
    assert_eq!(at((0.0, 4.0), (0.0, 2.0), 1_000_100), 60, "twice as fast");
    assert_eq!(
        at((1.0, 0.5), (0.0, 2.0), 1_000_100),
        37,
        "four times slower"
    );
    let fast = at((0.0, 4.0), (0.0, 0.5), 250_100);
    assert!((fast - 60).abs() <= 4, "{fast}");
}

#[test]
fn corners_are_within_a_pixel_and_plain_areas_keep_their_colour() {
    let media = Media::new();
    let quarters = "-f lavfi -i color=red:s=320x180:r=30:d=1 -f lavfi -i color=lime:s=320x180:r=30:d=1 \
        -f lavfi -i color=blue:s=320x180:r=30:d=1 -f lavfi -i color=white:s=320x180:r=30:d=1 \
        -filter_complex [0][1]hstack[a];[2][3]hstack[b];[a][b]vstack,scale=out_color_matrix=bt709:out_range=tv,format=yuv444p";
    let tagged = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -c:v libx264 -crf 1";
    let file = media.make("quarters.mp4", &format!("{quarters} {tagged}"));
    let look = json!({"clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": 0.5, "y": 0.5},
        "transform": {"x": 0.25, "y": -0.25}, "flip": {"horizontal": false, "vertical": false}}});
    let draft = Draft::new((1280, 720), 30.0).clip(
        "video",
        &file,
        (640, 360),
        ((0.0, 1.0), (0.0, 1.0)),
        look,
    );
    let picture = draft.renderer().frame(400_000, 1280).unwrap();
    // 640 × 360 around (800, 450).
    let (left, top, right, bottom) = (480, 270, 1120, 630);
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
    let inside = [
        (left + 1, top + 1),
        (right - 2, top + 1),
        (left + 1, bottom - 2),
        (right - 2, bottom - 2),
    ];
    let outside = [
        (left - 2, top + 2),
        (right + 1, top + 2),
        (left + 2, bottom + 1),
        (right + 1, bottom + 1),
    ];
    for ((place, colour), out) in inside.iter().zip(colours).zip(outside) {
        let seen = rgb(&picture, place.0, place.1);
        assert!(
            is_near(seen, colour, 2),
            "{place:?}: {seen:?} instead of {colour:?}"
        );
        assert_eq!(rgb(&picture, out.0, out.1), [0, 0, 0], "{out:?}");
    }
    assert!(is_near(rgb(&picture, 640, 360), [255, 0, 0], 2));
    assert!(is_near(rgb(&picture, 960, 540), [255, 255, 255], 2));
}

#[test]
fn a_rotated_phone_video_stands_upright() {
    let media = Media::new();
    let lying = media.make(
        "lying.mp4",
        "-f lavfi -i color=red:s=160x180:r=30:d=1 -f lavfi -i color=blue:s=160x180:r=30:d=1 \
         -filter_complex [0][1]hstack,format=yuv420p -c:v libx264 -crf 8",
    );
    let file = media.path("phone.mp4");
    // Before FFmpeg 6.0 the rotation is set as a tag.
    let by_option = format!("-display_rotation 90 -i {} -c copy", lying.display());
    if !crate::support::try_ffmpeg(&by_option, &file) {
        let by_tag = format!("-i {} -c copy -metadata:s:v rotate=270", lying.display());
        crate::support::ffmpeg(&by_tag, &file);
    }
    let draft = Draft::new((360, 640), 30.0).clip(
        "video",
        &file,
        (180, 320),
        ((0.0, 1.0), (0.0, 1.0)),
        json!({}),
    );
    let picture = draft.renderer().frame(500_000, 640).unwrap();
    let (top, bottom) = (rgb(&picture, 180, 100), rgb(&picture, 180, 540));
    let is = |colour: [i32; 3]| u8::from(colour[0] > 200) + 2 * u8::from(colour[2] > 200);
    assert_eq!(
        is(top) + is(bottom),
        3,
        "{top:?} over {bottom:?}: upright, and filling the canvas"
    );
}

#[test]
fn transparent_video_shows_what_is_below() {
    let media = Media::new();
    let below = media.make(
        "below.mp4",
        "-f lavfi -i color=0x00ff00:s=160x90:r=30:d=1 -pix_fmt yuv444p -c:v libx264 -crf 1",
    );
    let alpha = "geq=r=255:g=0:b=0:a='if(lt(X,80),0,255)'";
    for (name, codec) in [
        ("a.webm", "-c:v libvpx-vp9 -pix_fmt yuva420p -b:v 1M"),
        ("a.mov", "-c:v qtrle -pix_fmt argb"),
    ] {
        let file = media.make(
            name,
            &format!("-f lavfi -i color=red:s=160x90:r=30:d=1 -vf format=rgba,{alpha} {codec}"),
        );
        let range = ((0.0, 1.0), (0.0, 1.0));
        let draft = Draft::new((160, 90), 30.0)
            .clip("video", &below, (160, 90), range, json!({}))
            .clip("video", &file, (160, 90), range, json!({}));
        let picture = draft.renderer().frame(500_000, 160).unwrap();
        let (left, right) = (rgb(&picture, 30, 45), rgb(&picture, 130, 45));
        assert!(is_near(left, [0, 255, 0], 4), "{name}: {left:?}");
        assert!(is_near(right, [255, 0, 0], 6), "{name}: {right:?}");
    }
}

#[test]
fn hdr_is_noted() {
    let media = Media::new();
    let file = media.make(
        "hdr.mp4",
        "-f lavfi -i color=gray:s=160x90:r=30:d=1 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none \
         -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -tag:v hvc1",
    );
    let draft = Draft::new((160, 90), 30.0).clip(
        "video",
        &file,
        (160, 90),
        ((0.0, 1.0), (0.0, 1.0)),
        json!({}),
    );
    let mut renderer = draft.renderer();
    let picture = renderer.frame(500_000, 160).unwrap();
    assert!(rgb(&picture, 80, 45)[0] > 60, "it is drawn");
    let notes = renderer.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.subject == "HDR" && !note.clip.is_empty()),
        "{notes:?}"
    );
}

#[test]
fn stills_are_upright_and_missing_files_are_noted() {
    let media = Media::new();
    let jpeg = media.make("p.jpg", "-f lavfi -i color=red:s=40x80:d=1 -f lavfi -i color=blue:s=40x80:d=1 -filter_complex [0][1]hstack -frames:v 1 -q:v 2");
    // EXIF orientation 6: turned by 90° clockwise to be upright.
    let mut bytes = std::fs::read(&jpeg).unwrap();
    let exif = [
        &[0xff, 0xe1, 0, 34][..],
        b"Exif\0\0",
        b"MM\0*\0\0\0\x08",
        &[0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    bytes.splice(2..2, exif);
    std::fs::write(&jpeg, bytes).unwrap();
    let webp = media.make(
        "p.webp",
        "-f lavfi -i color=lime:s=64x64:d=1 -frames:v 1 -c:v libwebp -lossless 1",
    );
    let range = ((0.0, 2.0), (0.0, 2.0));
    let draft = Draft::new((80, 80), 30.0)
        .clip("photo", &webp, (64, 64), range, json!({}))
        .clip("photo", &jpeg, (80, 80), range, json!({}));
    let picture = draft.renderer().frame(0, 80).unwrap();
    assert!(
        is_near(rgb(&picture, 40, 10), [254, 0, 0], 4),
        "{:?}",
        rgb(&picture, 40, 10)
    );
    assert!(
        is_near(rgb(&picture, 40, 70), [0, 0, 254], 4),
        "{:?}",
        rgb(&picture, 40, 70)
    );

    let draft = Draft::new((80, 80), 30.0)
        .clip(
            "video",
            &media.path("gone 影片.mp4"),
            (80, 80),
            range,
            json!({}),
        )
        .clip("photo", &media.path("gone.png"), (80, 80), range, json!({}));
    let mut renderer = draft.renderer();
    renderer.frame(1_000_000, 80).unwrap();
    let texts: Vec<_> = renderer
        .notes()
        .iter()
        .map(|note| note.text.clone())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("gone 影片.mp4") && texts[1].contains("gone.png"),
        "{texts:?}"
    );
}

#[test]
fn without_ffmpeg_pictures_are_drawn_and_videos_are_noted() {
    let media = Media::new();
    let video = counting(&media, "v.mp4", "30", "-c:v libx264");
    let picture = media.make("p.png", "-f lavfi -i color=red:s=40x40:d=1 -frames:v 1");
    let half = json!({"clip": {"scale": {"x": 0.5, "y": 0.5}, "alpha": 1.0}});
    let range = ((0.0, 2.0), (0.0, 2.0));
    let draft = Draft::new((160, 90), 30.0)
        .clip("video", &video, (160, 90), range, json!({}))
        .clip("photo", &picture, (40, 40), range, half);
    let mut renderer = draft.renderer_with(None);
    let drawn = renderer.frame(1_000_000, 160).unwrap();
    assert!(is_near(rgb(&drawn, 80, 45), [254, 0, 0], 3));
    assert!(rgb(&drawn, 10, 10)[0] > 20, "a placeholder");
    assert!(
        renderer.notes().iter().any(|note| note.subject == "ffmpeg"),
        "{:?}",
        renderer.notes()
    );
}

#[test]
fn clips_beyond_the_most_layers_are_noted() {
    let media = Media::new();
    let red = media.make("red.png", "-f lavfi -i color=red:s=8x8 -frames:v 1");
    let whole = ((0.0, 1.0), (0.0, 1.0));
    let with = |clips: usize| {
        let mut draft = Draft::new((8, 8), 10.0);
        for _ in 0..clips {
            draft = draft.clip("photo", &red, (8, 8), whole, json!({}));
        }
        let mut renderer = draft.renderer();
        renderer.frame(0, 8).unwrap();
        let noted = renderer
            .notes()
            .iter()
            .filter(|note| note.subject == "layers");
        noted.count()
    };
    assert_eq!((with(249), with(260)), (0, 1));
}
