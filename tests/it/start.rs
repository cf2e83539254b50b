//! What a new user runs first: `quickstart`, `init`, `compose --dry-run`, `doctor --test`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::support::{Answer, Home, Server, media};

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it");
                let content = fs::read(&path).expect("a file");
                found.push((name.to_string_lossy().into_owned(), content));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_dry_run_shows_the_timeline_and_leaves_nothing() {
    let home = Home::embedded();
    let plan = json!({
        "visuals": [
            { "video_url": media("clip.mp4"), "end": 2 },
            { "image_url": media("logo.png"), "duration": 3 },
        ],
        "texts": [{ "text": "Hello\nthere", "start": 1, "end": 2 }],
    });
    home.file("plan.json", plan.to_string());
    let before = files(home.path());
    let ran = home.run(&["compose", "plan.json", "--dry-run"]).success();
    assert_eq!(files(home.path()), before, "{}", ran.stdout);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].contains("3 of 3 items can be made, 5.00 s; nothing was written"),
        "{}",
        ran.stdout
    );
    for (item, times, content) in [
        ("visuals[0]", "0.00 –    2.00 s", "clip.mp4"),
        ("visuals[1]", "2.00 –    5.00 s", "logo.png"),
        ("texts[0]", "1.00 –    2.00 s", "Hello there"),
    ] {
        let line = lines.iter().find(|line| line.contains(item));
        let line = line.unwrap_or_else(|| panic!("{item}: {}", ran.stdout));
        assert!(line.contains(times) && line.contains(content), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_dry_run_finds_what_a_run_would_find() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let text = |start, end| json!({ "text": "a", "start": start, "end": end });
    let cases = [
        (json!({ "texts": [text(0, 2), text(1, 3)] }), "texts[1]"),
        (
            json!({ "texts": [{ "text": "a" , "start": 0, "end": 1, "font": "Nofont" }] }),
            "Nofont",
        ),
        (
            json!({ "visuals": [{ "image_url": format!("{}/a.png", nothing.url), "duration": 1 }] }),
            "404",
        ),
        (
            json!({ "visuals": [{ "image_url": "/nowhere/a.png", "duration": 1 }] }),
            "/nowhere/a.png",
        ),
    ];
    for (plan, found) in cases {
        home.file("plan.json", plan.to_string());
        let before = files(home.path());
        let ran = home.run(&["compose", "plan.json", "--dry-run"]);
        assert_ne!(ran.code, 0, "{plan}: {}", ran.stdout);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(told.contains(found), "{plan}: {told}");
        assert_eq!(files(home.path()), before, "{plan}");
    }
    // Several plans: each is checked, and events are JSON.
    home.file("good.json", json!({ "texts": [text(0, 2)] }).to_string());
    home.file("bad.json", json!({ "texts": [text(2, 1)] }).to_string());
    let ran = home.run(&["compose", "bad.json", "good.json", "--dry-run", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|event: &Value| event["event"] == "dry_run")
        .collect();
    assert_eq!(events.len(), 2, "{}", ran.stdout);
    assert!(events[0]["error"].is_string(), "{}", events[0]);
    assert_eq!(events[1]["report"]["totals"]["ok"], 1, "{}", events[1]);
}

#[test]
fn a_dry_run_sends_nothing_that_changes_a_server() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Circle" }])),
        _ => Answer::new(404, "text/html", "<html>Not Found</html>"),
    });
    let home = Home::remote(&server.url);
    home.file(
        "plan.json",
        json!({ "texts": [{ "text": "a", "start": 0, "end": 2 }] }).to_string(),
    );
    home.run(&["compose", "plan.json", "--dry-run"]).success();
    let changing: Vec<String> = server
        .asked()
        .into_iter()
        .map(|asked| asked.path)
        .filter(|path| {
            path.starts_with("/add_") || path.starts_with("/create") || path.starts_with("/save")
        })
        .collect();
    assert_eq!(changing, Vec::<String>::new());
}

#[test]
fn quickstart_makes_a_draft_twice() {
    let home = Home::embedded();
    for _ in 0..2 {
        let ran = home.run(&["quickstart"]).success();
        let first = ran.stdout.lines().next().expect("a line");
        let folder = first.strip_prefix("saved to ").expect("the folder first");
        let content = Path::new(folder).join("draft_content.json");
        assert!(content.is_file(), "{}", ran.stdout);
        home.run(&["lint", folder]).success();
    }
}

#[test]
fn each_plan_of_init_can_be_made_as_it_is_written() {
    let home = Home::embedded();
    for (kind, file) in [
        ("slideshow", "slideshow.yaml"),
        ("ad", "my plans/ad.toml"),
        ("karaoke", "karaoke.yml"),
        ("batch", "b/batch.yaml"),
    ] {
        let ran = home.run(&["init", kind, file]).success();
        let text = fs::read_to_string(home.path().join(file)).expect("the plan");
        assert!(text.starts_with("# "), "{kind} has comments: {text}");
        assert!(!text.contains("examples/"), "{kind}: {text}");
        let next = ran.stdout.lines().last().expect("a line");
        let next = next.strip_prefix("next: ").expect("the next command");
        let next = next.split("   ").next().expect("the command");
        // As the shell reads it.
        let words: Vec<&str> = next
            .split('"')
            .enumerate()
            .flat_map(|(at, part)| {
                if at % 2 == 1 {
                    vec![part]
                } else {
                    part.split_whitespace().collect()
                }
            })
            .collect();
        assert_eq!(words[0], "capcut-mcp");
        home.run(&words[1..]).success();
        // A second time nothing is written.
        let before = files(home.path());
        let again = home.run(&["init", kind, file]).success();
        assert!(!again.stdout.contains("wrote"), "{}", again.stdout);
        assert_eq!(files(home.path()), before);
        // What the user changed stays.
        home.file(file, "mine");
        let ran = home.run(&["init", kind, file]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert_eq!(
            fs::read_to_string(home.path().join(file)).expect("it"),
            "mine"
        );
    }
}

#[test]
fn a_slideshow_takes_the_media_of_a_folder_in_the_order_of_their_names() {
    let home = Home::embedded();
    for (name, sample) in [
        ("photos/10.jpg", "picture.jpg"),
        ("photos/2 a: \"b\".jpg", "picture.jpg"),
        ("photos/3.mp4", "clip.mp4"),
        ("photos/song.mp3", "music.mp3"),
        ("photos/.hidden.jpg", "picture.jpg"),
        ("photos/notes.txt", "captions.srt"),
    ] {
        home.file(name, fs::read(media(sample)).expect("a sample"));
    }
    home.run(&["init", "slideshow", "trip.yaml", "--from", "photos"])
        .success();
    let ran = home
        .run(&["compose", "trip.yaml", "--dry-run", "--json"])
        .success();
    let event: Value =
        serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
    let items = event["report"]["items"].as_array().expect("items");
    assert_eq!(items.len(), 5, "{event}");
    let text = fs::read_to_string(home.path().join("trip.yaml")).expect("the plan");
    let places: Vec<usize> = ["2 a: \\\"b\\\".jpg", "3.mp4", "10.jpg", "song.mp3"]
        .iter()
        .map(|name| text.find(name).unwrap_or_else(|| panic!("{name}: {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    fs::create_dir(home.path().join("empty")).expect("a folder");
    let ran = home.run(&["init", "slideshow", "none.yaml", "--from", "empty"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!home.path().join("none.yaml").exists());
}

#[test]
fn doctor_makes_and_deletes_a_test_draft() {
    let home = Home::embedded();
    let ran = home.run(&["doctor", "--test"]).success();
    assert!(
        ran.stdout.contains("made, saved, checked and deleted"),
        "{}",
        ran.stdout
    );
    let drafts = home.call("list_drafts", &json!({})).expect("the drafts");
    assert_eq!(drafts["drafts"], json!([]), "{drafts}");
    let left: Vec<String> = files(&home.data())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        left.iter().all(|name| name.starts_with("journal")),
        "{left:?}"
    );
    // Where nothing can be written it says so.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let locked = home.path().join("locked");
        fs::create_dir(&locked).expect("a folder");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("its mode");
        // The administrator may write everywhere.
        if fs::create_dir(locked.join("probe")).is_err() {
            let data = locked.join("data");
            let ran = home.run(&["doctor", "--test", "--data-dir", &data.to_string_lossy()]);
            assert_eq!(ran.code, 1, "{}", ran.stdout);
            assert!(ran.stdout.contains("BAD   test draft"), "{}", ran.stdout);
        }
    }
    // A file where the folder should be.
    let data = home.file("a-file", "x");
    let ran = home.run(&["doctor", "--test", "--data-dir", &data.to_string_lossy()]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("BAD   test draft"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("Drafts cannot be made"),
        "{}",
        ran.stdout
    );
}
