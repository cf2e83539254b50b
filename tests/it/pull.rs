//! `pull`: drafts from zip files and links in the app's folder of another computer.

mod hostile;
mod links;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Home, Ran, media};

/// The placeholder for the draft's folder in a document.
const TOKEN: &str = "##_draftpath_placeholder";

/// The computer on which drafts are made.
pub(super) struct Maker {
    home: Home,
    draft: Value,
}

impl Maker {
    pub(super) fn new(name: &str) -> Self {
        let home = Home::embedded();
        let draft = json!({ "name": name, "width": 640, "height": 360 });
        let draft = home.call("create_draft", &draft).expect("a draft")["draft_id"].clone();
        let maker = Self { home, draft };
        maker.add(
            "add_video",
            json!({ "video_url": media("clip.mp4"), "start": 0, "end": 1 }),
        );
        maker.text("Hello");
        maker
    }

    fn add(&self, tool: &str, mut arguments: Value) {
        arguments["draft_id"] = self.draft.clone();
        self.home
            .call(tool, &arguments)
            .unwrap_or_else(|it| panic!("{tool}: {it:?}"));
    }

    pub(super) fn text(&self, text: &str) {
        let track = format!("track {text}");
        self.add(
            "add_text",
            json!({ "text": text, "start": 0, "end": 1, "track_name": track }),
        );
    }

    /// Saves the draft; returns its zip file.
    pub(super) fn zip(&self) -> PathBuf {
        let saved = self.home.call(
            "save_draft",
            &json!({ "draft_id": self.draft, "draft_folder": self.home.path().join("made"), "zip": true }),
        );
        PathBuf::from(
            saved.expect("it is saved")["zip"]
                .as_str()
                .expect("a zip file"),
        )
    }
}

/// The computer on which drafts are opened.
pub(super) struct Computer {
    pub(super) home: Home,
    pub(super) drafts: PathBuf,
}

impl Computer {
    pub(super) fn new() -> Self {
        let mut home = Home::new();
        let list = r#"{"all_draft_store": [], "draft_ids": 0}"#;
        home.file("我的 drafts/root_meta_info.json", list);
        let drafts = home.path().join("我的 drafts");
        home.set("CAPCUT_MCP_DRAFTS_DIR", &drafts.display().to_string());
        Self { home, drafts }
    }

    pub(super) fn pull(&self, arguments: &[&str]) -> Ran {
        self.home.run(&[&["pull"], arguments].concat())
    }

    pub(super) fn pull_file(&self, zip: &Path) -> Ran {
        self.pull(&[&zip.display().to_string()])
    }

    /// The drafts in the app's folder, without hidden files.
    pub(super) fn names(&self) -> Vec<String> {
        let all = fs::read_dir(&self.drafts).expect("the folder").flatten();
        let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let is_draft =
            |name: &String| !name.starts_with('.') && !name.starts_with("root_meta_info");
        let mut names: Vec<_> = names.filter(is_draft).collect();
        names.sort();
        names
    }

    /// The drafts in the app's list.
    pub(super) fn listed(&self) -> Vec<String> {
        let list = fs::read(self.drafts.join("root_meta_info.json")).expect("the list");
        let list: Value = serde_json::from_slice(&list).expect("JSON");
        let all = list["all_draft_store"].as_array().expect("a list");
        let mut names: Vec<_> = all
            .iter()
            .map(|entry| entry["draft_name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    }

    /// Every file in the app's folder with its content and time.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.drafts.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let modified = entry.metadata().unwrap().modified().unwrap();
                    found.insert(path.clone(), (fs::read(&path).unwrap(), modified));
                }
            }
        }
        found
    }

    /// Fails unless this draft is complete, for this computer and without problems.
    pub(super) fn check(&self, name: &str) {
        let folder = self.drafts.join(name);
        let here = folder.display().to_string();
        let text = fs::read_to_string(folder.join("draft_content.json")).expect("the document");
        assert!(!text.contains(TOKEN), "{name}");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let path = document["materials"]["videos"][0]["path"]
            .as_str()
            .expect("a path");
        assert_eq!(path, format!("{here}/assets/video/clip.mp4"));
        let clip = fs::read(media("clip.mp4")).unwrap();
        assert!(
            fs::read(path).expect("the clip") == clip,
            "the clip is whole"
        );
        let meta = fs::read(folder.join("draft_meta_info.json")).expect("the metadata");
        let meta: Value = serde_json::from_slice(&meta).expect("JSON");
        assert_eq!(meta["draft_fold_path"], here);
        assert_eq!(meta["draft_root_path"], self.drafts.display().to_string());
        assert_eq!(meta["draft_name"], name);
        let linted = self.home.run(&["lint", &here]);
        assert_eq!(linted.code, 0, "{linted:?}");
        assert!(
            linted.stdout.contains("0 errors, 0 warnings, 0 notes"),
            "{linted:?}"
        );
    }
}

#[test]
fn a_draft_is_put_into_the_apps_folder_and_a_second_pull_changes_nothing() {
    let (maker, computer) = (Maker::new("夏 Trip"), Computer::new());
    let zip = maker.zip();
    let pulled = computer.pull_file(&zip).success();
    assert!(pulled.stdout.contains("The draft is in "), "{pulled:?}");
    computer.check("夏 Trip");
    assert_eq!(computer.listed(), ["夏 Trip"]);
    let before = computer.files();
    let again = computer.pull_file(&zip).success();
    assert!(again.stdout.contains("Nothing was changed"), "{again:?}");
    assert_eq!(computer.files(), before);
    // The app opens it: it is the first in the list, with its own id.
    let shown = computer.home.run(&["show", "夏 Trip"]).success();
    assert!(shown.stdout.contains("Hello"), "{shown:?}");
    // Nothing of the computer that made it.
    let maker_home = maker.home.path().display().to_string();
    let told = before
        .values()
        .any(|(bytes, _)| String::from_utf8_lossy(bytes).contains(&maker_home));
    assert!(!told);
}

#[test]
fn the_result_is_json_if_wanted() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let zip = maker.zip().display().to_string();
    let pull = || computer.pull(&[&zip, "--json"]).success().json();
    let first = pull();
    assert_eq!(
        (&first["change"], &first["registered"]),
        (&json!("new"), &json!(true))
    );
    assert_eq!(
        first["folder"],
        computer.drafts.join("Trip").display().to_string()
    );
    assert_eq!(pull()["change"], "nothing");
    maker.text("More");
    maker.zip();
    assert_eq!(pull()["change"], "replaced");
}

#[test]
fn a_new_version_replaces_the_old_one_unless_it_was_changed_here() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let pull = || computer.pull_file(&maker.zip()).success();
    pull();
    maker.text("Second");
    let second = pull();
    assert!(
        second.stdout.contains("was replaced by the new version"),
        "{second:?}"
    );
    assert_eq!(computer.names(), ["Trip"]);
    computer.check("Trip");
    // The user edits it in the app.
    let document = computer.drafts.join("Trip/draft_content.json");
    let edited = fs::read_to_string(&document)
        .unwrap()
        .replace("Second", "Edited");
    fs::write(&document, &edited).unwrap();
    let zip = maker.home.path().join("made/Trip.zip");
    let same = computer.pull_file(&zip).success();
    assert!(
        same.stdout.contains("Nothing was changed") && same.stdout.contains("stays as it is"),
        "{same:?}"
    );
    maker.text("Third");
    let third = pull();
    assert!(
        third
            .stdout
            .contains("was changed on this computer (draft_content.json)")
            && third.stdout.contains("Trip (2)"),
        "{third:?}"
    );
    assert_eq!(computer.names(), ["Trip", "Trip (2)"]);
    assert_eq!(fs::read_to_string(&document).unwrap(), edited);
    computer.check("Trip (2)");
    assert_eq!(computer.listed(), ["Trip", "Trip (2)"]);
    let id = |name: &str| {
        let meta = fs::read(computer.drafts.join(name).join("draft_meta_info.json")).unwrap();
        serde_json::from_slice::<Value>(&meta).unwrap()["draft_id"].clone()
    };
    assert_ne!(id("Trip"), id("Trip (2)"), "the app keeps them apart");
    // The next version replaces the one that was not changed.
    maker.text("Fourth");
    let fourth = pull();
    assert!(fourth.stdout.contains("Trip (2)"), "{fourth:?}");
    assert_eq!(computer.names(), ["Trip", "Trip (2)"]);
    let text = fs::read_to_string(computer.drafts.join("Trip (2)/draft_content.json")).unwrap();
    assert!(text.contains("Fourth"));
}

#[test]
fn another_draft_of_the_name_is_not_touched() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let zip = maker.zip();
    let theirs = computer
        .home
        .file("我的 drafts/Trip/draft_content.json", "{}");
    let before = computer.files();
    let refused = computer.pull_file(&zip);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("there is another draft at") && refused.stderr.contains("`--name`"),
        "{refused:?}"
    );
    assert_eq!(computer.files(), before);
    let path = zip.display().to_string();
    computer.pull(&[&path, "--name", "CON: trip."]).success();
    assert_eq!(computer.names(), ["CON_ trip", "Trip"]);
    computer.check("CON_ trip");
    assert_eq!(fs::read_to_string(theirs).unwrap(), "{}");
}

#[test]
fn a_folder_that_a_person_packed_is_put_there() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let made = maker.zip();
    let folder = made.with_extension("");
    // As the file managers of macOS and Windows pack it: without a list, with their own files.
    for (name, prefix) in [
        ("finder.zip", "Trip/"),
        ("Plain.zip", ""),
        ("deep.zip", "a/b/Trip/"),
    ] {
        let zip = computer.home.path().join(name);
        pack(&folder, prefix, &zip);
        let pulled = computer.pull(&[&zip.display().to_string(), "--name", name]);
        assert_eq!(pulled.code, 0, "{name}: {pulled:?}");
        computer.check(name);
        let again = computer.pull(&[&zip.display().to_string()]).success();
        assert!(again.stdout.contains("Nothing was changed"), "{again:?}");
        // The same draft, packed differently: the next one replaces it.
        fs::remove_dir_all(computer.drafts.join(name)).unwrap();
    }
}

/// Packs a draft's folder as other programs do.
fn pack(folder: &Path, prefix: &str, to: &Path) {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(fs::File::create(to).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(folder).unwrap().display();
            zip.start_file(format!("{prefix}{inside}"), options)
                .unwrap();
            zip.write_all(&fs::read(&path).unwrap()).unwrap();
        }
    }
    for name in [
        format!("__MACOSX/{prefix}._draft"),
        format!("{prefix}.DS_Store"),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(b"x").unwrap();
    }
    zip.finish().unwrap();
}

/// A run that is killed leaves the app's folder with the old draft or the new one; the next run completes it.
#[test]
fn a_killed_pull_is_repaired_by_the_next_one() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    // Enough to unpack that a kill falls into it.
    let noise: Vec<u8> = (0..24_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let zip = maker.zip();
    let folder = zip.with_extension("");
    fs::write(folder.join("assets/noise.bin"), noise).unwrap();
    let big = computer.home.path().join("Trip.zip");
    pack(&folder, "Trip/", &big);
    let line = ["pull".to_owned(), big.display().to_string()];
    let mut was_killed = 0;
    for wait in [30, 60, 100, 150, 200, 250, 300, 400] {
        let mut child = computer.home.command(&line).spawn().expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        was_killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        let _ = child.wait();
        for name in computer.names() {
            assert_eq!(name, "Trip");
            assert!(computer.drafts.join("Trip/draft_content.json").is_file());
            assert!(computer.drafts.join("Trip/.capcut-mcp.json").is_file());
        }
    }
    assert!(was_killed > 0);
    computer.pull(&[&line[1]]).success();
    computer.check("Trip");
    assert_eq!(computer.listed(), ["Trip"]);
    let all = fs::read_dir(&computer.drafts).unwrap().flatten();
    let left: Vec<_> = all
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("-tmp-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let (maker, mut computer) = (Maker::new("Trip"), Computer::new());
    let zip = maker.zip().display().to_string();
    let missing = computer.pull(&["nothing.zip"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(
        missing.stderr.contains("nothing.zip cannot be read"),
        "{missing:?}"
    );
    let missing = computer.pull(&[&zip, "--to", "nowhere"]);
    assert!(
        missing.stderr.contains("nowhere does not exist"),
        "{missing:?}"
    );
    assert!(computer.names().is_empty());
    // A folder that is not the app's: nothing is registered, and the next step says so.
    fs::create_dir(computer.home.path().join("here")).unwrap();
    let there = computer.pull(&[&zip, "--to", "here"]).success();
    assert!(
        there.stdout.contains("copy the folder \"Trip\" there"),
        "{there:?}"
    );
    assert!(
        computer
            .home
            .path()
            .join("here/Trip/draft_content.json")
            .is_file()
    );
    computer
        .home
        .set("CAPCUT_MCP_DRAFTS_DIR", "/nowhere/at/all");
    let unknown = computer.pull(&[&zip]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("the drafts folder of CapCut was not found"),
        "{unknown:?}"
    );
    for line in [
        &[][..],
        &["a.zip", "b.zip"],
        &["http://x/a.zip", "--server", "nas"],
    ] {
        assert_eq!(computer.pull(line).code, 2, "{line:?}");
    }
}

/// A disk that is full, as a limit of the size of files.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let zip = maker.zip();
    let before = computer.files();
    let pull = computer.home.command(&["pull", &zip.display().to_string()]);
    let mut command = std::process::Command::new("sh");
    // Blocks of 512 bytes: the documents fit, the clip does not.
    command
        .args(["-c", "ulimit -f 16; exec \"$0\" \"$@\""])
        .arg(pull.get_program())
        .args(pull.get_args())
        .env_clear();
    for (name, value) in pull.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("cannot be written"), "{ran:?}");
    assert_eq!(computer.files(), before);
    computer.pull_file(&zip).success();
    computer.check("Trip");
}

/// The list of processes that the computer sees has the app: a process with its name would also stop other tests.
#[cfg(target_os = "linux")]
#[test]
fn while_the_app_runs_nothing_is_written() {
    let maker = Maker::new("trip");
    let zip = maker.zip();
    let computer = Computer::new();
    let before = computer.files();
    let listed = computer.home.file("processes/4242/comm", "CapCut\n");
    let processes = listed.parent().and_then(Path::parent).expect("a folder");
    let mut inside = std::process::Command::new("unshare");
    inside.args([
        "-rm",
        "sh",
        "-c",
        "mount --bind \"$1\" /proc && shift && exec \"$@\"",
        "sh",
    ]);
    inside.arg(processes);
    let probe = inside.args(["true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("skipped: this system lets no one mount a list of processes (`unshare -rm`)");
        return;
    }
    let command = computer.home.command(&["pull", &zip.display().to_string()]);
    let mut inside = std::process::Command::new("unshare");
    inside.args([
        "-rm",
        "sh",
        "-c",
        "mount --bind \"$1\" /proc && shift && exec \"$@\"",
        "sh",
    ]);
    inside
        .arg(processes)
        .arg(command.get_program())
        .args(command.get_args());
    inside.env_clear();
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    inside.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let refused = inside.output().expect("it runs");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && told.contains("is running"),
        "{told}"
    );
    assert_eq!(computer.files(), before);
    computer.pull_file(&zip).success();
    computer.check("trip");
}
