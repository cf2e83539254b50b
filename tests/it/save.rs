//! Saved drafts: which data leaves the machine, and crashes during a save.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Home, media};

/// Values that identify the machine in a draft that the app saved.
const IDS: [&str; 4] = [
    "device-0123",
    "disk-4567",
    "02:00:00:89:ab:cd",
    "26100.1742",
];

/// A drafts folder with one draft that the app saved itself.
fn folder_of_the_app(home: &mut Home) -> PathBuf {
    let drafts = home.path().join("app drafts");
    let platform = json!({
        "app_id": 359_289, "app_source": "cc", "app_version": "9.3.0", "os": "windows", "device_id": IDS[0],
        "hard_disk_id": IDS[1], "mac_address": IDS[2], "os_version": IDS[3]
    });
    let document = json!({
        "id": "x", "version": 360_000, "new_version": "184.0.0", "platform": platform,
        "last_modified_platform": platform, "tracks": [], "materials": {}
    });
    home.file("app drafts/0614/draft_content.json", document.to_string());
    home.file(
        "app drafts/root_meta_info.json",
        r#"{"all_draft_store": [], "draft_ids": 0}"#,
    );
    home.set("CAPCUT_MCP_DRAFTS_DIR", &drafts.display().to_string());
    drafts
}

fn call(home: &Home, tool: &str, arguments: Value) -> Value {
    home.call_with(&["--backend", "embedded"], tool, &arguments)
        .unwrap_or_else(|(code, told)| panic!("{tool}: {code}: {told}"))
}

fn small_draft(home: &Home, name: &str) -> Value {
    let draft = call(home, "create_draft", json!({ "name": name }))["draft_id"].clone();
    let clip = json!({ "draft_id": draft, "video_url": media("clip.mp4"), "start": 0, "end": 1 });
    call(home, "add_video", clip);
    draft
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// The words that occur in any file of the folder.
fn named<'a>(folder: &Path, words: &[&'a str]) -> Vec<&'a str> {
    let all = files(folder);
    assert!(all.len() > 4, "{all:?}");
    let bytes: Vec<u8> = all
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    words
        .iter()
        .copied()
        .filter(|word| text.contains(word))
        .collect()
}

#[test]
fn a_draft_for_another_machine_does_not_identify_this_one() {
    let mut home = Home::new();
    let drafts = folder_of_the_app(&mut home);
    let here = home.path().display().to_string();
    let words: Vec<&str> = IDS.iter().copied().chain([here.as_str()]).collect();
    let draft = small_draft(&home, "trip");
    let saved = |arguments: Value| {
        let mut all = json!({ "draft_id": draft, "overwrite": true });
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let reply = call(&home, "save_draft", all);
        PathBuf::from(reply["folder"].as_str().expect("a folder"))
    };

    // In the app's own folder, the draft contains what the app on this machine would write.
    let stays = saved(json!({}));
    assert!(stays.starts_with(&drafts));
    assert_eq!(named(&stays, &words), words);
    let content = fs::read_to_string(stays.join("draft_content.json")).unwrap();
    assert!(content.contains("184.0.0"), "copied from the app's draft");

    let out = home.path().join("out");
    for leaves in [
        json!({ "portable": true, "draft_folder": out }),
        json!({ "portable": true, "draft_folder": drafts }),
        json!({ "portable": true }),
        json!({ "target_os": "windows", "draft_folder": out }),
        json!({ "target_folder": "/Users/you/Movies/CapCut/User Data/Projects/com.lveditor.draft" }),
    ] {
        let folder = saved(leaves.clone());
        assert_eq!(named(&folder, &words), [""; 0], "{leaves}");
    }

    let zipped = saved(json!({ "zip": true }));
    let zip = fs::File::open(drafts.join("trip.zip")).expect("a zip");
    let mut zip = zip::ZipArchive::new(zip).unwrap();
    let unpacked = home.path().join("unpacked");
    zip.extract(&unpacked).unwrap();
    assert_eq!(named(&unpacked, &words), [""; 0]);
    assert_eq!(
        named(&zipped, &words),
        words,
        "the folder next to the zip is for this machine"
    );
}

#[test]
fn plans_are_saved_for_other_machines_and_versions_with_options() {
    let mut home = Home::new();
    folder_of_the_app(&mut home);
    let here = home.path().display().to_string();
    let words: Vec<&str> = IDS.iter().copied().chain([here.as_str()]).collect();
    let plan = json!({ "name": "ad", "texts": [{ "text": "Hello", "start": 0, "end": 2 }] });
    let plan = home.file("ad.json", plan.to_string()).display().to_string();
    let line = [
        "--backend",
        "embedded",
        "compose",
        &plan,
        "--draft-folder",
        "out",
        "--portable",
    ];
    home.run(&line).success();
    let folder = home.path().join("out/ad");
    assert_eq!(named(&folder, &words), [""; 0]);

    let line = [
        "--backend",
        "embedded",
        "compose",
        &plan,
        "--draft-folder",
        "old",
        "--app-version",
        "7.9.0",
    ];
    home.run(&line).success();
    let content = fs::read_to_string(home.path().join("old/ad/draft_content.json")).unwrap();
    assert!(content.contains("\"7.9.0\"") && content.contains("\"155.0.0\""));
}

/// What a drafts folder may contain in addition to drafts: the app's list, our files, zips.
const BESIDE: [&str; 4] = [
    "root_meta_info.json",
    "root_meta_info.json.capcut-mcp.bak",
    ".capcut-mcp.lock",
    "trip.zip",
];

/// The number of texts in a saved draft; checks that it is complete.
fn texts_of(folder: &Path, sources: &[Vec<u8>]) -> usize {
    let content = fs::read(folder.join("draft_content.json")).expect("the document");
    assert_eq!(
        content,
        fs::read(folder.join("draft_info.json")).expect("its mirror")
    );
    let document: Value = serde_json::from_slice(&content).expect("a whole document");
    let meta = fs::read(folder.join("draft_meta_info.json")).expect("the list of media");
    let meta: Value = serde_json::from_slice(&meta).expect("a whole list of media");
    assert_eq!(meta["draft_name"], "trip");
    let videos = document["materials"]["videos"].as_array().expect("videos");
    assert_eq!(videos.len(), sources.len());
    for (video, source) in videos.iter().zip(sources) {
        let file = Path::new(video["path"].as_str().expect("a path"));
        assert!(file.starts_with(folder), "{}", file.display());
        assert!(
            fs::read(file).expect("the file") == *source,
            "{} is incomplete",
            file.display()
        );
    }
    document["materials"]["texts"]
        .as_array()
        .expect("texts")
        .len()
}

/// Kills saves at random moments. `CAPCUT_TEST_KILLS` sets their number for longer runs.
#[cfg(unix)]
#[test]
fn a_save_can_be_killed_at_any_moment() {
    let kills: u32 =
        std::env::var("CAPCUT_TEST_KILLS").map_or(24, |text| text.parse().expect("a number"));
    let home = Home::new();
    let drafts = home.path().join("drafts");
    home.file(
        "drafts/root_meta_info.json",
        r#"{"all_draft_store": [], "draft_ids": 0}"#,
    );
    let draft = call(&home, "create_draft", json!({ "name": "trip" }))["draft_id"].clone();
    let mut sources = Vec::new();
    for number in 0..12 {
        let mut bytes = fs::read(media("clip.mp4")).unwrap();
        // A padding box makes the content of each file different.
        bytes.extend([0, 0, 0, 9, b'f', b'r', b'e', b'e', number]);
        let file = home.file(&format!("{number}.mp4"), &bytes);
        let clip = json!({ "draft_id": draft, "video_url": file, "start": 0, "end": 1, "target_start": number });
        call(&home, "add_video", clip);
        sources.push(bytes);
    }
    let folder = drafts.join("trip");
    let (mut texts, mut saved) = (0, 0);
    let save = |zip: bool| json!({ "draft_id": draft, "draft_folder": drafts, "zip": zip });
    let names = || {
        let mut names: Vec<String> = fs::read_dir(&drafts)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !BESIDE.contains(&name.as_str()))
            .collect();
        names.sort();
        names
    };
    call(&home, "save_draft", save(true));
    let started = std::time::Instant::now();
    call(&home, "save_draft", save(true));
    let mut longest = started.elapsed().mul_f64(1.2);
    let (mut killed, mut early, mut late, mut between, mut litter) = (0, 0, 0, 0, 0);
    let mut dice = Dice::new();
    for round in 1..=kills {
        let text = json!({ "draft_id": draft, "text": format!("text {round}"), "start": texts, "end": texts + 1 });
        call(&home, "add_text", text);
        texts += 1;
        let arguments = save(round % 3 == 0).to_string();
        let line = [
            "--backend",
            "embedded",
            "call",
            "save_draft",
            "--json",
            &arguments,
        ];
        let mut child = home.command(&line).spawn().expect("it starts");
        std::thread::sleep(longest.mul_f64(dice.roll()));
        let ended = child.try_wait().expect("its state");
        killed += u32::from(ended.is_none());
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");

        let list = fs::read(drafts.join("root_meta_info.json")).expect("the app's list");
        let list: Value = serde_json::from_slice(&list).expect("a whole list");
        assert_eq!(
            list["all_draft_store"].as_array().map(Vec::len),
            Some(1),
            "{list}"
        );
        litter += usize::from(names() != ["trip"]);
        if folder.exists() {
            let found = texts_of(&folder, &sources);
            assert!(
                found == saved || found == texts,
                "{found} texts, neither {saved} nor {texts}"
            );
            if ended.is_some() {
                assert_eq!(found, texts, "it was acknowledged");
            }
            if found == texts {
                late += 1
            } else {
                early += 1
            }
            saved = found;
        } else {
            assert!(ended.is_none(), "it was acknowledged but does not exist");
            between += 1;
        }
        if let Ok(zip) = fs::File::open(drafts.join("trip.zip")) {
            zip::ZipArchive::new(zip).expect("a whole zip");
        }
        if round % 4 == 0 || !folder.exists() {
            let started = std::time::Instant::now();
            call(&home, "save_draft", save(false));
            // Other tests may slow this machine down meanwhile.
            longest = started.elapsed().mul_f64(1.2);
            assert_eq!(
                texts_of(&folder, &sources),
                texts,
                "acknowledged calls are saved"
            );
            saved = texts;
            assert_eq!(names(), ["trip"], "litter");
        }
    }
    eprintln!(
        "{killed} of {kills} saves killed within {longest:?}: {early} before the draft was replaced, {between} meanwhile, \
         {late} after; {litter} left something for the next save to clear away"
    );
    assert!(
        killed > 0 && early + between > 0 && late + litter > 0,
        "the moments are not spread over the whole save"
    );
}

#[test]
fn a_repeated_plan_replaces_its_draft_but_an_edited_one_only_with_overwrite() {
    let home = Home::embedded();
    let plan = |name: &str, text: &str| {
        let plan = json!({ "name": "Trip", "texts": [{ "text": text, "start": 0, "end": 2 }] });
        home.file(name, plan.to_string()).display().to_string()
    };
    let first = plan("a.json", "Hello");
    let compose = |file: &str, more: &[&str]| {
        let line = [&["compose", file, "--draft-folder", "out", "--json"], more].concat();
        let ran = home.run(&line);
        let event: Value =
            serde_json::from_str(ran.stdout.lines().last().unwrap_or("null")).unwrap();
        (ran.code, event["report"].clone())
    };
    let folder = |report: &Value| {
        let folder = Path::new(report["folder"].as_str().unwrap_or_default());
        folder
            .file_name()
            .unwrap_or_default()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (code, report) = compose(&first, &[]);
    assert_eq!((code, folder(&report).as_str()), (0, "Trip"), "{report}");
    // Only its text changed: it counts as the same plan.
    plan("a.json", "Hello again");
    let (code, report) = compose(&first, &[]);
    assert_eq!((code, folder(&report).as_str()), (0, "Trip"), "{report}");
    assert!(
        report["notes"].to_string().contains("is kept in"),
        "{report}"
    );
    let document = home.path().join("out/Trip/draft_content.json");
    assert!(
        fs::read_to_string(&document)
            .unwrap()
            .contains("Hello again")
    );
    // Another plan with the same name.
    let other = plan("b.json", "Other");
    for _ in 0..2 {
        let (code, report) = compose(&other, &[]);
        assert_eq!(
            (code, folder(&report).as_str()),
            (0, "Trip (2)"),
            "{report}"
        );
        assert!(report["notes"].to_string().contains("Trip (2)"), "{report}");
    }
    fs::write(&document, "{\"edited\": 1}").unwrap();
    let (code, report) = compose(&first, &[]);
    let error = report["save_error"].as_str().unwrap_or_default();
    assert!(code == 1 && error.contains("--overwrite"), "{report}");
    assert_eq!(fs::read_to_string(&document).unwrap(), "{\"edited\": 1}");
    let (code, report) = compose(&first, &["--overwrite"]);
    assert_eq!((code, folder(&report).as_str()), (0, "Trip"), "{report}");
    assert!(
        report["notes"].to_string().contains("had been edited"),
        "{report}"
    );
}

#[test]
fn rows_with_the_same_name_get_separate_folders_and_reuse_them() {
    let home = Home::embedded();
    let template = json!({ "name": "Ad", "texts": [{ "text": "${words}", "start": 0, "end": 2 }] });
    let template = home
        .file("ad.json", template.to_string())
        .display()
        .to_string();
    let rows = home
        .file("rows.csv", "words\none\ntwo\nthree\nfour\n")
        .display()
        .to_string();
    let texts = || {
        let out = home.path().join("out");
        ["Ad", "Ad (2)", "Ad (3)", "Ad (4)"].map(|name| {
            let document = fs::read_to_string(out.join(name).join("draft_content.json")).unwrap();
            let words = ["one", "two", "three", "four"];
            *words
                .iter()
                .find(|word| document.contains(&format!("\\\"{word}\\\"")))
                .unwrap()
        })
    };
    let line = [
        "compose",
        "--template",
        &template,
        "--inputs",
        &rows,
        "--draft-folder",
        "out",
        "--jobs",
        "4",
    ];
    home.run(&line).success();
    let first = texts();
    let mut sorted = first;
    sorted.sort_unstable();
    assert_eq!(sorted, ["four", "one", "three", "two"]);
    for more in [&[][..], &["--overwrite"]] {
        home.run(&[&line[..], more].concat()).success();
        assert_eq!(texts(), first);
    }
    assert!(!home.path().join("out/Ad (5)").exists());
}

#[test]
fn over_http_an_edited_draft_is_replaced_only_with_overwrite() {
    let home = Home::embedded();
    let drafts = home.path().join("drafts");
    fs::create_dir(&drafts).unwrap();
    let engine = home.engine(&["--allow-dir", &drafts.display().to_string()]);
    let draft = engine.output("/create_draft", &json!({})).unwrap()["draft_id"].clone();
    let text = json!({ "draft_id": draft, "text": "Hello", "start": 0, "end": 1 });
    engine.output("/add_text", &text).unwrap();
    let save = json!({ "draft_id": draft, "draft_folder": drafts });
    for _ in 0..2 {
        engine.output("/save_draft", &save).unwrap();
    }
    let document = drafts
        .join(draft.as_str().unwrap())
        .join("draft_content.json");
    fs::write(&document, "{\"edited\": 1}").unwrap();
    let error = engine.output("/save_draft", &save).unwrap_err();
    assert!(
        error.contains("was changed since") && error.contains("`overwrite`"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&document).unwrap(), "{\"edited\": 1}");
    let save = json!({ "draft_id": draft, "draft_folder": drafts, "overwrite": true });
    engine.output("/save_draft", &save).unwrap();
    assert!(fs::read_to_string(&document).unwrap().contains("Hello"));
    let backups = fs::read_dir(drafts.join(".capcut-mcp-backup")).unwrap();
    let kept: Vec<String> = backups
        .map(|entry| fs::read_to_string(entry.unwrap().path().join("draft_content.json")).unwrap())
        .collect();
    assert_eq!(kept, ["{\"edited\": 1}"]);
}

#[test]
fn a_drafts_folder_in_a_missing_folder_is_an_error() {
    let home = Home::embedded();
    let draft = small_draft(&home, "trip");
    for more in [
        json!({}),
        json!({ "portable": true }),
        json!({ "target_os": "windows" }),
    ] {
        let mut save =
            json!({ "draft_id": draft, "draft_folder": home.path().join("not/there/drafts") });
        save.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (code, error) = home.call("save_draft", &save).unwrap_err();
        assert!(
            code == 2 && error.contains("not does not exist"),
            "{code}: {error}"
        );
    }
    assert!(!home.data().join("drafts").exists());
    // The last folder of the path is created.
    let reply = call(
        &home,
        "save_draft",
        json!({ "draft_id": draft, "draft_folder": home.path().join("new") }),
    );
    assert!(
        reply["folder"].as_str().unwrap().ends_with("new/trip"),
        "{reply}"
    );
}

#[cfg(unix)]
#[test]
fn a_locked_list_of_drafts_is_waited_for_and_its_holder_named() {
    let home = Home::embedded();
    let drafts = home.path().join("drafts");
    home.file(
        "drafts/root_meta_info.json",
        r#"{"all_draft_store": [], "draft_ids": 0}"#,
    );
    let draft = small_draft(&home, "trip");
    let lock = fs::File::create(drafts.join(".capcut-mcp.lock")).unwrap();
    lock.lock().unwrap();
    let reply = call(
        &home,
        "save_draft",
        json!({ "draft_id": draft, "draft_folder": drafts }),
    );
    assert_eq!(reply["registered"], false, "{reply}");
    let notes = reply["notes"].to_string();
    assert!(notes.contains("has been held by"), "{notes}");
    if cfg!(target_os = "linux") {
        assert!(
            notes.contains(&format!("process {}", std::process::id())),
            "{notes}"
        );
    }
    assert!(drafts.join("trip/draft_content.json").is_file());
    drop(lock);
    let reply = call(
        &home,
        "save_draft",
        json!({ "draft_id": draft, "draft_folder": drafts }),
    );
    assert_eq!(reply["registered"], true, "{reply}");
}

/// The executable with a limit for the size of the files that it writes, in blocks of 512 bytes.
#[cfg(unix)]
pub(crate) fn limited(home: &Home, blocks: u32, line: &[&str]) -> crate::support::Ran {
    let command = home.command(&[""; 0]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()])
        .arg(command.get_program())
        .args(line)
        .current_dir(home.path())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdin(std::process::Stdio::null());
    limited.output().expect("sh runs").into()
}

#[cfg(unix)]
#[test]
fn a_file_size_limit_is_an_error_that_says_what_was_saved() {
    let home = Home::embedded();
    let mut clip = fs::read(media("clip.mp4")).unwrap();
    let length: u32 = 3 << 20;
    clip.extend(length.to_be_bytes());
    clip.extend(b"free");
    clip.resize(clip.len() + length as usize - 8, 7);
    let blocks = u32::try_from(clip.len()).unwrap() / 512;
    let clip = home.file("large.mp4", clip);
    let draft = call(&home, "create_draft", json!({ "name": "trip" }))["draft_id"].clone();
    let video = json!({ "draft_id": draft, "video_url": clip, "start": 0, "end": 1 });
    call(&home, "add_video", video);
    let drafts = home.path().join("drafts");
    let save =
        |zip: bool| json!({ "draft_id": draft, "draft_folder": drafts, "zip": zip }).to_string();
    // The `sh` of some systems counts blocks of 1024 bytes; half a file is too small with either.
    let ran = limited(
        &home,
        blocks / 4,
        &["call", "save_draft", "--json", &save(false)],
    );
    assert!(ran.code > 0 && ran.stderr.starts_with("error: "), "{ran:?}");
    assert!(!drafts.join("trip").exists());
    // The clip fits, but the zip file of it and the documents does not.
    let unit = if limited(
        &home,
        blocks + 8,
        &["call", "save_draft", "--json", &save(false)],
    )
    .code
        == 0
    {
        1
    } else {
        2
    };
    fs::remove_dir_all(drafts.join("trip")).ok();
    let ran = limited(
        &home,
        (blocks + 8) * unit,
        &["call", "save_draft", "--json", &save(true)],
    );
    if ran.code == 0 {
        eprintln!("SKIPPED: `ulimit -f` counts larger blocks here");
        return;
    }
    assert!(ran.stderr.contains("the draft itself is saved"), "{ran:?}");
    assert!(!ran.stderr.contains("ZipWriter"), "{ran:?}");
    assert!(drafts.join("trip/draft_content.json").is_file());
    let mut names: Vec<_> = fs::read_dir(&drafts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["trip"]);
}

#[test]
fn leftovers_of_a_killed_fix_are_removed_and_a_fixed_draft_can_be_saved_again() {
    let home = Home::embedded();
    let draft = small_draft(&home, "trip");
    let drafts = home.path().join("drafts");
    let save = json!({ "draft_id": draft, "draft_folder": drafts });
    let reply = call(&home, "save_draft", save.clone());
    let folder = PathBuf::from(reply["folder"].as_str().unwrap());
    for name in [
        ".capcut-mcp-draft_content.json.AbCdEf",
        ".capcut-mcp-draft_meta_info.json.123456",
    ] {
        fs::write(folder.join(name), "half").unwrap();
    }
    home.run(&["lint", &folder.display().to_string(), "--fix"])
        .success();
    let names: Vec<String> = files(&folder)
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name.starts_with(".capcut-mcp-"))
        .collect();
    assert_eq!(names, [""; 0]);
    call(&home, "save_draft", save);
}

#[test]
fn a_missing_temporary_folder_is_named() {
    let mut home = Home::embedded();
    let gone = home.path().join("gone");
    home.set("TMPDIR", &gone.display().to_string());
    home.set("TMP", &gone.display().to_string());
    let server = crate::support::media_server();
    let draft = call(&home, "create_draft", json!({}))["draft_id"].clone();
    let sound =
        json!({ "draft_id": draft, "audio_url": format!("{}/plain/music.mp3", server.url) });
    let (code, error) = home.call("add_audio", &sound).unwrap_err();
    assert!(
        code == 4 && error.contains(&gone.display().to_string()),
        "{code}: {error}"
    );
}

/// Random numbers from 0 to 1, different in each run.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(now.expect("after 1970").as_nanos() as u64 | 1)
    }

    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn lint(home: &Home, folder: &Path, options: &[&str]) -> Value {
    let mut arguments = vec!["lint", folder.to_str().expect("a path"), "--json"];
    arguments.extend(options);
    home.run(&arguments).success().json()
}

/// A drafts folder of an app, into which drafts for other machines are saved.
#[test]
fn drafts_for_other_machines_are_valid_and_fixing_them_adds_no_local_path() {
    let mut home = Home::embedded();
    let drafts = folder_of_the_app(&mut home);
    let draft = small_draft(&home, "any");
    let here = home.path().canonicalize().expect("the folder is there");
    let here = here.display().to_string();
    for (name, options) in [
        ("portable", json!({ "portable": true })),
        (
            "windows",
            json!({ "target_os": "windows", "target_folder": "D:/Drafts" }),
        ),
        (
            "macos",
            json!({ "target_os": "macos", "target_folder": "/Users/someone/Drafts" }),
        ),
        // A path that could also exist on this machine.
        (
            "alike",
            json!({ "target_os": "macos", "target_folder": "/mnt/other machine" }),
        ),
        ("zipped", json!({ "zip": true })),
    ] {
        let mut save = json!({ "draft_id": draft, "draft_folder": drafts, "name": name });
        save.as_object_mut()
            .expect("an object")
            .extend(options.as_object().expect("an object").clone());
        call(&home, "save_draft", save);
        let folder = if name == "zipped" {
            let file = fs::File::open(drafts.join("zipped.zip")).expect("the zip");
            let to = home.path().join("unpacked");
            zip::ZipArchive::new(file)
                .expect("a zip")
                .extract(&to)
                .expect("it unpacks");
            to.join(name)
        } else {
            drafts.join(name)
        };
        assert_eq!(lint(&home, &folder, &[])["problems"], json!([]), "{name}");
        // Adds a problem that `--fix` repairs to each document.
        for file in files(&folder) {
            let is_document = ["draft_content.json", "draft_info.json", "template-2.tmp"]
                .iter()
                .any(|document| file.ends_with(document));
            if is_document {
                let text = fs::read_to_string(&file).expect("a document");
                let mut document: Value = serde_json::from_str(&text).expect("JSON");
                document["duration"] = json!(1);
                fs::write(&file, document.to_string()).expect("a document");
            }
        }
        lint(&home, &folder, &["--fix"]);
        assert_eq!(lint(&home, &folder, &[])["problems"], json!([]), "{name}");
        for file in files(&folder) {
            let bytes = fs::read(&file).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&here), "{}", file.display());
        }
    }
}
