//! The app's own drafts folder: its path, its list of drafts, and whether the app is running.
//!
//! The list (`root_meta_info.json`) belongs to the app, which keeps it in memory and writes it when it quits.
//! So it is changed under a lock, with a backup, atomically, and only where needed.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::draft::finished::list_mut;
use crate::draft::finished::shapes::shape;
use crate::engine::paths::{same, without_verbatim};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links};
use crate::units::{Edition, Micros};

/// The list of drafts, in the folder of all drafts.
pub(crate) const FILE: &str = "root_meta_info.json";
const BACKUP: &str = "root_meta_info.json.capcut-mcp.bak";
const LOCK: &str = ".capcut-mcp.lock";
/// Timeout for the list's lock: a change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The prefix of temporary files.
pub(crate) const TEMPORARY: &str = ".capcut-mcp-";

/// The drafts folder of the app on this machine. `defaults` are its locations unless the user moved it (see
/// `Settings::drafts_dirs`); the list there shows whether they did.
pub(crate) fn find(defaults: &[PathBuf]) -> Option<PathBuf> {
    let default = defaults.iter().find(|folder| folder.is_dir())?;
    let moved = read(&default.join(FILE)).ok().flatten().and_then(|list| {
        let newest = newest(&list).and_then(|entry| entry["draft_root_path"].as_str());
        [newest, list["root_path"].as_str()]
            .into_iter()
            .flatten()
            .map(PathBuf::from)
            .find(|folder| folder.is_absolute() && folder.is_dir())
    });
    Some(moved.unwrap_or_else(|| default.clone()))
}

/// Whether `folder` is a drafts folder of an app.
pub(crate) fn is_drafts_folder(folder: &Path) -> bool {
    folder.join(FILE).is_file()
        || folder
            .file_name()
            .is_some_and(|name| name == "com.lveditor.draft")
}

/// The list's data about a draft.
#[derive(Clone, Debug)]
pub(crate) struct RegistryEntry<'a> {
    pub name: &'a str,
    pub id: &'a str,
    /// The draft's folder.
    pub folder: &'a Path,
    /// The file that the app reads first.
    pub json_file: &'a str,
    pub duration: Micros,
    /// The size of all its media.
    pub bytes: u64,
    /// Microseconds since 1970.
    pub now: i64,
}

/// Adds a draft to the list of its folder, or updates its entry. Returns whether the list changed.
pub(crate) fn register(entry: &RegistryEntry<'_>) -> Result<bool> {
    let folder = without_verbatim(entry.folder.to_owned());
    let Some(root) = folder.parent() else {
        return Err(Error::internal("a draft's folder has no parent"));
    };
    change(root, |path, list| {
        if list.get("root_path").is_none_or(Value::is_null) {
            list["root_path"] = json!(app_path(root));
        }
        let own = own(entry, &folder, root);
        let model = newest(list).cloned();
        let Some(store) = list_mut(list, "all_draft_store") else {
            return Err(unreadable(path, "it has no list `all_draft_store`"));
        };
        if let Some(old) = store.iter_mut().find(|other| is_of(other, &folder)) {
            let created = old["tm_draft_create"].clone();
            for (key, value) in own {
                old[key.as_str()] = value;
            }
            if created.as_i64().is_some_and(|created| created > 0) {
                old["tm_draft_create"] = created;
            }
        } else {
            store.insert(0, modelled(model.as_ref(), own));
            let count = store.len();
            list["draft_ids"] = json!(count);
        }
        Ok(())
    })
}

/// What changes in the entry of a draft whose content changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryUpdate {
    /// A new name in the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Microseconds.
    pub duration: i64,
    /// The size of all its media, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Microseconds since 1970.
    pub now: i64,
}

/// Updates the entry of the draft in `folder`; returns whether the list has one.
pub(crate) fn update(folder: &Path, update: &EntryUpdate) -> Result<bool> {
    let folder = without_verbatim(folder.to_owned());
    let Some(root) = folder.parent().filter(|root| root.join(FILE).is_file()) else {
        return Ok(false);
    };
    if entry(&folder)?.is_none() {
        return Ok(false);
    }
    change(root, |_, list| {
        let store = list["all_draft_store"].as_array_mut();
        let entries = store.into_iter().flatten();
        for entry in entries.filter(|entry| is_of(entry, &folder)) {
            entry["tm_duration"] = json!(update.duration);
            entry["tm_draft_modified"] = json!(update.now);
            if let Some(name) = &update.name {
                entry["draft_name"] = json!(name);
            }
            if let Some(bytes) = update.bytes {
                entry["draft_timeline_materials_size"] = json!(bytes);
            }
        }
        Ok(())
    })?;
    Ok(true)
}

/// Changes the list of drafts in `root` under its lock, with a backup. Returns whether it changed.
fn change(root: &Path, edit: impl FnOnce(&Path, &mut Value) -> Result<()>) -> Result<bool> {
    let _lock = lock(root)?;
    let path = root.join(FILE);
    let before = read(&path)?;
    let mut list = before
        .clone()
        .unwrap_or_else(|| json!({"all_draft_store": [], "draft_ids": 0}));
    if !list.is_object() {
        return Err(unreadable(&path, "it is not a JSON object"));
    }
    edit(&path, &mut list)?;
    if before.as_ref() == Some(&list) {
        return Ok(false);
    }
    if before.is_some() {
        let bytes = regular_file::read(&path, DOCUMENT_BYTES, Links::Refuse)
            .map_err(|error| unwritable(&path, error))?;
        write(&root.join(BACKUP), &bytes)?;
    }
    write(&path, list.to_string().as_bytes())?;
    Ok(true)
}

/// The entry of the draft in `folder`, if the list has one.
pub(crate) fn entry(folder: &Path) -> Result<Option<Value>> {
    let Some(root) = folder.parent() else {
        return Ok(None);
    };
    let list = read(&root.join(FILE))?.unwrap_or_default();
    Ok(list["all_draft_store"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| is_of(entry, folder))
        .cloned())
}

/// A path as the app writes it: with `/` on every system.
pub(crate) fn app_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text.into_owned()
    }
}

fn is_of(entry: &Value, folder: &Path) -> bool {
    entry["draft_fold_path"]
        .as_str()
        .is_some_and(|told| same(told, folder))
}

fn own(entry: &RegistryEntry<'_>, folder: &Path, root: &Path) -> Map<String, Value> {
    let own = json!({
        "draft_name": entry.name,
        "draft_id": entry.id,
        "draft_fold_path": app_path(folder),
        "draft_root_path": app_path(root),
        "draft_json_file": app_path(&folder.join(entry.json_file)),
        "draft_cover": app_path(&folder.join("draft_cover.jpg")),
        "draft_timeline_materials_size": entry.bytes,
        "draft_is_invisible": false,
        "streaming_edit_draft_ready": true,
        "tm_draft_create": entry.now,
        "tm_draft_modified": entry.now,
        "tm_draft_removed": 0,
        "tm_duration": entry.duration.0,
    });
    own.as_object().cloned().unwrap_or_default()
}

/// An entry with the keys of the newest one, so that it looks to this version of the app like its own entries.
/// The values of the newest entry (cloud, template and other ids) are not copied.
fn modelled(model: Option<&Value>, own: Map<String, Value>) -> Value {
    let mut entry = shape("registry_entry").clone();
    for (key, value) in model.and_then(Value::as_object).into_iter().flatten() {
        if !entry.contains_key(key) {
            let neutral = match value {
                Value::Bool(_) => json!(false),
                Value::Number(number) if number.as_i64() == Some(-1) => json!(-1),
                Value::Number(_) => json!(0),
                Value::String(_) => json!(""),
                Value::Array(_) => json!([]),
                Value::Object(_) => json!({}),
                Value::Null => Value::Null,
            };
            entry.insert(key.clone(), neutral);
        }
    }
    // Remove keys that this version does not write, as they may mean something else to it.
    if let Some(model) = model.and_then(Value::as_object) {
        entry.retain(|key, _| model.contains_key(key) || own.contains_key(key));
    }
    entry.extend(own);
    Value::Object(entry)
}

fn newest(list: &Value) -> Option<&Value> {
    list["all_draft_store"]
        .as_array()?
        .iter()
        .max_by_key(|entry| entry["tm_draft_modified"].as_i64().unwrap_or_default())
}

/// The list, `None` if there is none yet.
fn read(path: &Path) -> Result<Option<Value>> {
    let bytes = match regular_file::read(path, DOCUMENT_BYTES, Links::Refuse) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, "it cannot be read").source(error)),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice::<Value>(bytes) {
        Ok(list) if list.is_object() => Ok(Some(list)),
        Ok(_) => Err(unreadable(path, "it is not a JSON object")),
        Err(error) => {
            Err(unreadable(path, "it is not JSON (newer JianYing encrypts it)").source(error))
        }
    }
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::new(
        Kind::Conflict,
        format!("the app's list of drafts {}: {why}", path.display()),
    )
    .hint("the list was not changed; restart the app: most versions scan the folder for drafts")
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "the app's list of drafts {} cannot be written",
            path.display()
        ),
    )
    .hint("check the folder's permissions")
    .source(error)
}

/// Held while the list changes; other processes of this program wait for it. Removes temporary files of killed
/// processes.
fn lock(root: &Path) -> Result<File> {
    let path = root.join(LOCK);
    let file = open_lock(&path)?;
    let since = Instant::now();
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::Error(error) => return Err(unwritable(&path, error)),
            TryLockError::WouldBlock if since.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            TryLockError::WouldBlock => {
                return Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the app's list of drafts was not changed: {} has been held by {} for {} s",
                        path.display(),
                        holder(root).unwrap_or_else(|| "another process".to_owned()),
                        PATIENCE.as_secs()
                    ),
                )
                .hint("end that process and save again"));
            }
        }
    }
    clear(root, &[FILE, BACKUP]);
    Ok(file)
}

/// Opens the lock file without changing it, and never through a link or a pipe.
fn open_lock(path: &Path) -> Result<File> {
    regular_file::open_own(path).map_err(|error| {
        Error::new(
            Kind::Conflict,
            format!(
                "the app's list of drafts was not changed: {} cannot be locked",
                path.display()
            ),
        )
        .hint("remove the file, link or pipe with that name and save again; this program creates the file itself")
        .source(error)
    })
}

/// The process that holds the lock of a drafts folder, if any.
pub(crate) fn holder(root: &Path) -> Option<String> {
    let path = root.join(LOCK);
    let file = regular_file::open(&path, Links::Refuse).ok()?;
    // Shared, so that two checks do not take each other for the holder.
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    Some(process_holding(&file).unwrap_or_else(|| "another process".to_owned()))
}

/// The process that holds a lock on a file, if the system reports it.
#[cfg(target_os = "linux")]
fn process_holding(file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = file.metadata().ok()?.ino().to_string();
    // `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`; waiting processes have `->` as the second field.
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let of = words.get(5)?.rsplit(':').next()?;
        (words.get(1) != Some(&"->") && of == inode).then(|| words[4].to_owned())
    })?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!("process {process} ({})", name.trim()))
}

#[cfg(not(target_os = "linux"))]
fn process_holding(_file: &File) -> Option<String> {
    None
}

/// Removes temporary files for `names` that killed processes left behind.
pub(crate) fn clear(folder: &Path, names: &[&str]) {
    let left: Vec<String> = names
        .iter()
        .map(|name| temporary(Path::new(name)))
        .collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && left.iter().any(|left| name.starts_with(left)) {
            // Its writer holds a lock until it is renamed.
            let is_held = regular_file::open(&entry.path(), Links::Refuse)
                .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
            if !is_held {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The prefix of temporary names for a file.
fn temporary(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{TEMPORARY}{name}.")
}

/// Replaces a file atomically.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = held(path, folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        let permissions = fs::metadata(path).map(|metadata| metadata.permissions());
        #[cfg(unix)]
        let permissions = permissions.or_else(|_| {
            use std::os::unix::fs::PermissionsExt as _;
            Ok::<_, std::io::Error>(fs::Permissions::from_mode(0o644))
        });
        if let Ok(permissions) = permissions {
            fs::set_permissions(file.path(), permissions)?;
        }
        file.persist(path)?;
        Ok(())
    };
    attempt().map_err(|error| {
        Error::new(
            Kind::Conflict,
            format!("{} cannot be written", path.display()),
        )
        .hint("check the folder's permissions and the free space")
        .source(error)
    })
}

/// A temporary file for `path` that [`clear`] does not remove.
fn held(path: &Path, folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(&temporary(path))
            .tempfile_in(folder)?;
        // Fails on file systems without locks, where no other process can wait.
        let _ = file.as_file().try_lock();
        // It may have been removed before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// The name of the app's process if it is running and the system lists it.
pub(crate) fn running(edition: Edition) -> Option<String> {
    processes().into_iter().find(|name| is_app(name, edition))
}

/// Whether a process of this name is the app.
fn is_app(process: &str, edition: Edition) -> bool {
    let name = process.rsplit(['/', '\\']).next().unwrap_or(process);
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let names: &[&str] = match edition {
        Edition::Capcut => &["CapCut"],
        Edition::Jianying => &["JianyingPro", "VideoFusion-macOS", "剪映专业版"],
    };
    names.contains(&name)
}

/// The names of all processes; empty if the system does not list them.
fn processes() -> Vec<String> {
    if cfg!(target_os = "linux") {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect()
    } else if cfg!(windows) {
        let rows = output("tasklist", &["/fo", "csv", "/nh"]);
        rows.lines()
            .filter_map(|row| row.split("\",\"").next())
            .map(|name| name.trim_start_matches('"').to_owned())
            .collect()
    } else {
        output("ps", &["-axco", "comm="])
            .lines()
            .map(|name| name.trim().to_owned())
            .collect()
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(folder: &'a Path, name: &'a str) -> RegistryEntry<'a> {
        RegistryEntry {
            name,
            id: "F688C949",
            folder,
            json_file: "draft_content.json",
            duration: Micros(2_000_000),
            bytes: 77,
            now: 1_795_229_216_687_989,
        }
    }

    fn list(root: &Path) -> Value {
        serde_json::from_slice(&fs::read(root.join(FILE)).unwrap()).unwrap()
    }

    #[test]
    fn a_draft_is_listed_first_with_the_keys_of_the_newest_entry() {
        let root = tempfile::tempdir().unwrap();
        let theirs = json!({
            "all_draft_store": [
                {"draft_fold_path": "/d/old", "tm_draft_modified": 1, "old_key": "x"},
                {"draft_fold_path": "/d/new", "tm_draft_modified": 9, "draft_name": "theirs",
                 "brand_new": "secret", "tm_draft_cloud_user_id": -1, "flagged": true}],
            "draft_ids": 2, "root_path": "/d", "more": [1]
        });
        fs::write(root.path().join(FILE), theirs.to_string()).unwrap();
        let folder = root.path().join("我的 draft");
        assert!(register(&entry(&folder, "我的 draft")).unwrap());
        let after = list(root.path());
        let ours = &after["all_draft_store"][0];
        assert_eq!(ours["draft_name"], "我的 draft");
        assert_eq!(ours["brand_new"], "", "the key without its value");
        assert_eq!(ours["flagged"], false);
        assert_eq!(ours["tm_draft_cloud_user_id"], -1);
        assert!(ours.get("old_key").is_none());
        assert_eq!(
            after["all_draft_store"].as_array().unwrap()[1..],
            theirs["all_draft_store"].as_array().unwrap()[..]
        );
        assert_eq!(
            (&after["draft_ids"], &after["more"]),
            (&json!(3), &json!([1]))
        );
        let backup: Value =
            serde_json::from_slice(&fs::read(root.path().join(BACKUP)).unwrap()).unwrap();
        assert_eq!(backup, theirs);
    }

    #[test]
    fn registering_twice_does_not_change_the_list_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        assert!(register(&entry(&folder, "a")).unwrap());
        let once = fs::read(root.path().join(FILE)).unwrap();
        assert!(!register(&entry(&folder, "a")).unwrap());
        assert_eq!(fs::read(root.path().join(FILE)).unwrap(), once);
        assert_eq!(
            super::entry(&folder).unwrap().unwrap()["tm_duration"],
            2_000_000
        );
    }

    #[test]
    fn an_unreadable_list_is_not_changed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE), "r3fKa8Zt0hRkQ==").unwrap();
        let folder = root.path().join("a");
        let error = register(&entry(&folder, "a")).unwrap_err();
        assert!(error.to_string().contains("encrypts"), "{error}");
        assert_eq!(
            fs::read(root.path().join(FILE)).unwrap(),
            b"r3fKa8Zt0hRkQ=="
        );
    }

    #[test]
    fn a_list_of_another_structure_is_refused_and_not_changed() {
        let root = tempfile::tempdir().unwrap();
        for shape in ["[]", "5", "{}", r#"{"all_draft_store": {}}"#] {
            fs::write(root.path().join(FILE), shape).unwrap();
            let error = register(&entry(&root.path().join("a"), "a")).unwrap_err();
            assert!(error.to_string().contains("it "), "{shape}: {error}");
            assert_eq!(fs::read_to_string(root.path().join(FILE)).unwrap(), shape);
        }
    }

    #[test]
    fn concurrent_registrations_are_all_in_the_list() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let root = root.path();
                scope.spawn(move || {
                    let name = format!("draft {number}");
                    register(&entry(&root.join(&name), &name)).unwrap();
                });
            }
        });
        assert_eq!(
            list(root.path())["all_draft_store"]
                .as_array()
                .unwrap()
                .len(),
            8
        );
        assert_eq!(list(root.path())["draft_ids"], 8);
    }

    #[test]
    fn a_moved_drafts_folder_takes_precedence_over_the_default() {
        let home = tempfile::tempdir().unwrap();
        let (default, moved) = (
            home.path().join("default"),
            home.path().join("CapCut Drafts"),
        );
        let defaults = [home.path().join("nowhere"), default.clone()];
        assert_eq!(find(&defaults), None);
        fs::create_dir(&default).unwrap();
        assert_eq!(find(&defaults), Some(default.clone()));
        let told = json!({"all_draft_store": [], "root_path": moved});
        fs::write(default.join(FILE), told.to_string()).unwrap();
        assert_eq!(find(&defaults), Some(default.clone()), "it does not exist");
        fs::create_dir(&moved).unwrap();
        assert_eq!(find(&defaults), Some(moved.clone()));
        let told = json!({"all_draft_store": [{"draft_root_path": moved, "tm_draft_modified": 3}], "root_path": ""});
        fs::write(default.join(FILE), told.to_string()).unwrap();
        assert_eq!(find(&defaults), Some(moved));
    }

    #[test]
    fn the_apps_are_recognised_by_process_name() {
        for (process, edition, expected) in [
            ("CapCut.exe", Edition::Capcut, true),
            (
                "/Applications/CapCut.app/Contents/MacOS/CapCut",
                Edition::Capcut,
                true,
            ),
            ("CapCut", Edition::Jianying, false),
            ("JianyingPro.exe", Edition::Jianying, true),
            ("VideoFusion-macOS", Edition::Jianying, true),
            ("capcut-mcp", Edition::Capcut, false),
            ("capcut-mcp.exe", Edition::Capcut, false),
        ] {
            assert_eq!(is_app(process, edition), expected, "{process}");
        }
        assert!(!processes().is_empty(), "this process at least");
    }
}
