//! The app, version and system that a draft is written for.
//!
//! An app recognises its own drafts by a few markers; with outdated ones it reports an "unusual path". They are
//! learned from the newest draft that the app itself saved on this machine ([`Profile::learn`]); otherwise, a
//! built-in profile is used. `docs/app-versions.md` gives the source of each marker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::draft::finished::shapes::shape;
use crate::engine::marker::{self, Marker};
use crate::error::{Error, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links};
use crate::sorting;
use crate::units::Edition;

/// The value of `version` in every draft since JianYing 3.3.
const FORMAT: i64 = 360_000;

/// How many of the newest drafts are searched for one that the app saved.
const LOOKED_AT: usize = 24;

/// The system that the app runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppOs {
    Windows,
    Macos,
}

impl AppOs {
    /// `windows` or `macos`, as in `target_os`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Macos => "macos",
        }
    }

    /// The app's value for `os` in `platform`.
    fn marker(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Macos => "mac",
        }
    }
}

impl std::str::FromStr for AppOs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "windows" | "win" => Ok(Self::Windows),
            "macos" | "mac" | "darwin" => Ok(Self::Macos),
            _ => Err(Error::invalid(format!(
                "`target_os`: \"{text}\" is not a system that the apps run on"
            ))
            .hint("use `windows` or `macos`")),
        }
    }
}

/// The system of drafts that are saved for this machine.
pub(crate) fn own_os() -> AppOs {
    if cfg!(windows) {
        AppOs::Windows
    } else {
        AppOs::Macos
    }
}

/// The lists of `materials` that contain masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskLists {
    /// `masks`: CapCut before 5.8, JianYing before 5.9.5 and 6.0.
    Old,
    /// `common_mask`: CapCut since 5.8, JianYing since 9.6.
    New,
    /// JianYing 5.9.5, and 6.1 to 9.5, for which no sample is known.
    Both,
}

impl MaskLists {
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Old => &["masks"],
            Self::New => &["common_mask"],
            Self::Both => &["common_mask", "masks"],
        }
    }
}

/// The app that a draft is written for, with its markers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub edition: Edition,
    pub os: AppOs,
    /// Such as `9.1.0`.
    pub app_version: String,
    pub version: i64,
    /// The number of the draft's scheme, such as `179.0.0`.
    pub new_version: String,
    /// The root document's `platform`, as written by an app of this version.
    pub platform: Map<String, Value>,
    /// Keys of the root document that the user's app writes but the built-in set lacks.
    pub root_extra: Map<String, Value>,
    pub origin: ProfileOrigin,
}

/// The source of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileOrigin {
    BuiltIn,
    /// The version was given; the markers are those of the nearest known version that is not newer.
    Named,
    /// Read from this draft, which the app saved.
    Learnt(PathBuf),
}

/// The evidence for the scheme number of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Seen in a draft that the app saved.
    Saved,
    /// Reported publicly.
    Reported,
    /// JianYing M.m writes the number of CapCut (M-2).m, in all cases where both are known.
    Implied,
}
use Ground::{Implied, Reported, Saved};

/// Known versions: app version, scheme number and evidence; oldest first.
type KnownVersions = &'static [(&'static str, u32, Ground)];
const CAPCUT: KnownVersions = &[
    ("3.8.0", 109, Saved),
    ("5.8.0", 131, Saved),
    ("5.9.1", 132, Saved),
    ("6.2.0", 135, Saved),
    ("6.3.0", 136, Saved),
    ("6.7.0", 140, Reported),
    ("6.9.0", 142, Saved),
    ("7.7.0", 151, Saved),
    ("7.8.0", 153, Saved),
    ("7.9.0", 155, Saved),
    // `8.0.0-beta2` writes 157 and 164.
    ("8.0.0", 157, Saved),
    ("8.1.1", 159, Saved),
    ("8.5.0", 167, Saved),
    ("8.9.1", 175, Saved),
    ("9.1.0", 179, Saved),
    ("9.2.8", 183, Reported),
    ("9.4.1", 185, Reported),
];
const JIANYING: KnownVersions = &[
    ("4.2.0", 75, Saved),
    ("4.4.0", 79, Saved),
    ("4.6.1", 83, Saved),
    ("5.4.5", 102, Saved),
    ("5.5.0", 103, Saved),
    ("5.6.0", 105, Saved),
    ("5.7.0", 107, Saved),
    ("5.9.0", 110, Saved),
    ("6.0.1", 112, Saved),
    ("7.8.0", 131, Implied),
    ("8.9.0", 142, Implied),
    ("9.9.0", 155, Implied),
    ("10.6.0", 169, Reported),
    ("10.9.0", 175, Implied),
    ("11.1.0", 179, Implied),
    ("11.4.2", 185, Reported),
    ("11.5.0", 187, Reported),
];

/// The oldest supported version: older versions store texts differently.
fn oldest(edition: Edition) -> &'static str {
    match edition {
        Edition::Capcut => "3.8.0",
        Edition::Jianying => "5.7.0",
    }
}

/// The version of the built-in profile: the newest with a complete sample (CapCut), or with known markers
/// (JianYing).
const CAPCUT_DEFAULT: &str = "9.1.0";
const JIANYING_DEFAULT: &str = "10.6.0";

/// The profiles that can be selected by name. The last three are the names of the newer reference server; the
/// legacy ones carry the markers of the Python libraries, whose drafts are known to open in many versions.
const NAMED: &[(&str, Edition, Option<AppOs>, &str)] = &[
    (
        "capcut-win",
        Edition::Capcut,
        Some(AppOs::Windows),
        CAPCUT_DEFAULT,
    ),
    (
        "capcut-mac",
        Edition::Capcut,
        Some(AppOs::Macos),
        CAPCUT_DEFAULT,
    ),
    (
        "jianying-win",
        Edition::Jianying,
        Some(AppOs::Windows),
        JIANYING_DEFAULT,
    ),
    (
        "jianying-mac",
        Edition::Jianying,
        Some(AppOs::Macos),
        JIANYING_DEFAULT,
    ),
    ("capcut_legacy", Edition::Capcut, None, "6.7.0"),
    ("jianying_legacy", Edition::Jianying, None, "5.9.0"),
    ("jianying_pro_10", Edition::Jianying, None, "10.6.0"),
];

/// The names that `draft_profile` takes.
pub(crate) fn names() -> Vec<&'static str> {
    NAMED.iter().map(|(name, ..)| *name).collect()
}

impl Profile {
    /// The built-in profile for an edition and a system.
    pub(crate) fn built_in(edition: Edition, os: AppOs) -> Self {
        let version = match edition {
            Edition::Capcut => CAPCUT_DEFAULT,
            Edition::Jianying => JIANYING_DEFAULT,
        };
        let scheme = scheme_of(edition, version).unwrap_or_default();
        Self::with_markers(edition, os, version, scheme, ProfileOrigin::BuiltIn)
    }

    /// The profile with this name; `os` applies if the name does not define one.
    pub(crate) fn named(name: &str, os: AppOs) -> Result<Self> {
        let Some((_, edition, own_os, version)) = NAMED.iter().find(|(known, ..)| *known == name)
        else {
            let names: Vec<_> = NAMED.iter().map(|(name, ..)| format!("`{name}`")).collect();
            return Err(
                Error::invalid(format!("`draft_profile`: there is no profile \"{name}\""))
                    .hint(format!("use one of {}", names.join(", "))),
            );
        };
        let mut profile = Self::for_version(*edition, own_os.unwrap_or(os), version)?;
        profile.origin = ProfileOrigin::BuiltIn;
        Ok(profile)
    }

    /// The profile for a version of the app. Its markers are never newer than the app: the app upgrades older
    /// drafts on opening, but refuses newer ones.
    pub(crate) fn for_version(edition: Edition, os: AppOs, app_version: &str) -> Result<Self> {
        if parts(app_version).is_none() {
            return Err(Error::invalid(format!(
                "`app_version`: \"{app_version}\" is not a version"
            ))
            .hint("use a version such as `9.1.0` or `8.5.0-beta4`, as shown in the app's About window"));
        }
        let oldest = oldest(edition);
        match scheme_of(edition, app_version).filter(|_| !is_too_old(edition, app_version)) {
            Some(scheme) => Ok(Self::with_markers(
                edition,
                os,
                app_version,
                scheme,
                ProfileOrigin::Named,
            )),
            None => Err(Error::invalid(format!(
                "`app_version`: {} {app_version} is older than the oldest supported version",
                edition.app()
            ))
            .hint(format!("use {} {oldest} or newer", edition.app()))),
        }
    }

    fn with_markers(
        edition: Edition,
        os: AppOs,
        app_version: &str,
        scheme: u32,
        origin: ProfileOrigin,
    ) -> Self {
        let (app_id, app_source) = app(edition);
        let platform = json!({
            "app_id": app_id, "app_source": app_source, "app_version": app_version,
            "device_id": "", "hard_disk_id": "", "mac_address": "",
            "os": os.marker(), "os_version": "",
        });
        Self {
            edition,
            os,
            app_version: app_version.to_owned(),
            version: FORMAT,
            new_version: format!("{scheme}.0.0"),
            platform: platform.as_object().cloned().unwrap_or_default(),
            root_extra: Map::new(),
            origin,
        }
    }

    /// The profile from the newest draft in `drafts` that the app of this edition saved itself, as plain JSON.
    /// Drafts of this program that the app never opened and drafts of other tools are ignored; encrypted drafts
    /// cannot be read and are skipped.
    pub(crate) fn learn(drafts: &Path, edition: Edition) -> Option<Self> {
        let mut documents: Vec<(SystemTime, PathBuf)> = fs::read_dir(drafts)
            .ok()?
            .flatten()
            .flat_map(|entry| {
                ["draft_content.json", "draft_info.json"].map(|name| entry.path().join(name))
            })
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        sorting::sort_by(&mut documents, |a, b| b.cmp(a));
        documents
            .into_iter()
            .take(LOOKED_AT)
            .find_map(|(_, path)| learn_from(&path, edition))
    }

    /// The draft's scheme number, which increases with the versions of both apps.
    pub(crate) fn scheme(&self) -> u32 {
        parts(&self.new_version).map_or(0, |parts| parts[0])
    }

    fn is_at_least(&self, edition: Edition, version: &[u32]) -> bool {
        self.edition == edition && parts(&self.app_version).is_some_and(|own| *own >= *version)
    }

    pub(crate) fn masks(&self) -> MaskLists {
        let own = parts(&self.app_version).unwrap_or_default();
        let before = |version: &[u32]| *own < *version;
        match self.edition {
            Edition::Capcut if before(&[5, 8]) => MaskLists::Old,
            Edition::Jianying if before(&[5, 9, 5]) => MaskLists::Old,
            Edition::Jianying if !before(&[6]) && before(&[6, 1]) => MaskLists::Old,
            Edition::Jianying if before(&[9, 6]) => MaskLists::Both,
            Edition::Capcut | Edition::Jianying => MaskLists::New,
        }
    }

    /// Whether the app stores timelines in `Timelines`; newer versions do not open a draft without it.
    pub(crate) fn has_timelines(&self) -> bool {
        self.is_at_least(Edition::Capcut, &[7, 7]) || self.is_at_least(Edition::Jianying, &[10])
    }

    /// Whether captions of the app have words with times.
    pub(crate) fn has_caption_words(&self) -> bool {
        self.is_at_least(Edition::Capcut, &[8, 9]) || self.is_at_least(Edition::Jianying, &[10, 9])
    }

    /// Whether the app restores the state in `.backup` after another program changed the draft.
    pub(crate) fn restores_backup(&self) -> bool {
        self.is_at_least(Edition::Jianying, &[11, 4])
    }

    /// Whether the app quits when it opens a draft with a dangling reference.
    pub(crate) fn needs_references(&self) -> bool {
        self.is_at_least(Edition::Jianying, &[11, 4])
    }

    /// Whether the app omits default values from its documents.
    pub(crate) fn leaves_defaults_out(&self) -> bool {
        self.is_at_least(Edition::Jianying, &[11, 5])
    }

    /// `check_flag` of a video material: it controls which parts of the material the app reads.
    pub(crate) fn video_check_flag(&self) -> i64 {
        let version = parts(&self.app_version).unwrap_or_default();
        match self.edition {
            Edition::Capcut if version >= vec![5, 8] => 62_978_047,
            Edition::Jianying if version >= vec![10] => 65_535,
            Edition::Capcut | Edition::Jianying => 63_487,
        }
    }

    /// The file that the app reads first; it depends only on the system.
    pub(crate) fn primary_file(&self) -> &'static str {
        match self.os {
            AppOs::Macos => "draft_info.json",
            AppOs::Windows => "draft_content.json",
        }
    }

    /// The same profile without data that identifies a machine.
    #[must_use]
    pub(crate) fn portable(mut self) -> Self {
        for (key, value) in &mut self.platform {
            if DEVICE.contains(&key.as_str()) {
                *value = json!("");
            }
        }
        self
    }
}

/// The keys of `platform` that identify a machine.
const DEVICE: &[&str] = &["device_id", "hard_disk_id", "mac_address", "os_version"];

/// `app_id` and `app_source` in `platform`.
pub(crate) fn app(edition: Edition) -> (i64, &'static str) {
    match edition {
        Edition::Capcut => (359_289, "cc"),
        Edition::Jianying => (3704, "lv"),
    }
}

/// The edition that an `app_source` stands for.
pub(crate) fn edition_of(app_source: &str) -> Option<Edition> {
    Edition::ALL
        .into_iter()
        .find(|edition| app(*edition).1 == app_source)
}

/// The edition that an `app_id` stands for.
pub(crate) fn edition_of_id(app_id: i64) -> Option<Edition> {
    Edition::ALL
        .into_iter()
        .find(|edition| app(*edition).0 == app_id)
}

/// Whether this program cannot write drafts of a version, because it is too old.
pub(crate) fn is_too_old(edition: Edition, app_version: &str) -> bool {
    match (parts(app_version), parts(oldest(edition))) {
        (Some(version), Some(oldest)) => version < oldest,
        _ => false,
    }
}

/// The scheme number of a version: that of the newest known version that is not newer.
pub(crate) fn scheme_of(edition: Edition, app_version: &str) -> Option<u32> {
    let wanted = parts(app_version)?;
    let known = match edition {
        Edition::Capcut => CAPCUT,
        Edition::Jianying => JIANYING,
    };
    known
        .iter()
        .rev()
        .find(|(version, ..)| parts(version).is_some_and(|version| version <= wanted))
        .map(|(_, scheme, _)| *scheme)
}

/// Whether the local id of a material links it to the app's list of media. Pictures and the sounds of the app's library
/// have none; sounds of the user had one up to CapCut 8.9 and JianYing 10.9.
pub(crate) fn is_linked_to_media_list(list: &str, kind: &str, new_version: &str) -> bool {
    const LAST_LINKED_SOUND: u32 = 175;
    match (list, kind) {
        ("videos", "video") => true,
        ("audios", "extract_music") => parts(new_version)
            .and_then(|parts| parts.first().copied())
            .is_some_and(|scheme| scheme <= LAST_LINKED_SOUND),
        _ => false,
    }
}

/// The numbers of a version without trailing zeros; `None` if it is not a version. A beta suffix, as in
/// `8.5.0-beta4`, is ignored.
pub(crate) fn parts(version: &str) -> Option<Vec<u32>> {
    let (numbers, beta) = version.split_once('-').unwrap_or((version, "beta"));
    let is_beta = beta.starts_with(|first: char| first.is_ascii_alphabetic())
        && beta
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let numbers: Option<Vec<u32>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    let mut numbers = numbers.filter(|_| is_beta)?;
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

/// The machine ids in the reference server's template. CapCut itself writes the first of them on some Macs, so
/// all three must match.
const TEMPLATE_MACHINE: [(&str, &str); 3] = [
    ("device_id", "c4ca4238a0b923820dcc509a6f75849b"),
    ("hard_disk_id", "307563e0192a94465c0e927fbc482942"),
    ("mac_address", "c3371f2d4fb02791c067ce44d8fb4ed5"),
];

/// Whether a `platform`, read by `field`, has the machine ids of the reference server's template.
pub(crate) fn is_template_machine<'p>(field: impl Fn(&str) -> &'p str) -> bool {
    TEMPLATE_MACHINE
        .iter()
        .all(|(key, value)| field(key) == *value)
}

fn learn_from(document: &Path, edition: Edition) -> Option<Profile> {
    let folder = document.parent()?;
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let marker = Marker::read(folder);
    // Our unchanged drafts are recognised by age, without reading them: the marker is written last.
    if marker.is_some() && modified(document)? <= modified(&folder.join(marker::FILE))? {
        return None;
    }
    let bytes = regular_file::read(document, DOCUMENT_BYTES, Links::Refuse).ok()?;
    if bytes.first() != Some(&b'{') || marker.is_some_and(|marker| marker.wrote(&bytes)) {
        return None;
    }
    let root: BTreeMap<&str, &RawValue> = serde_json::from_slice(&bytes).ok()?;
    let field = |key: &str| -> Option<Value> { serde_json::from_str(root.get(key)?.get()).ok() };
    let Some(Value::Object(platform)) = field("last_modified_platform") else {
        return None;
    };
    let text = |key: &str| {
        platform
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    // Generators do not know a machine's ids: if there are any, the app saved the draft.
    if text("device_id").is_empty()
        || is_template_machine(text)
        || edition_of(text("app_source")) != Some(edition)
    {
        return None;
    }
    let app_version = text("app_version");
    parts(app_version)?;
    let new_version = field("new_version")?.as_str()?.to_owned();
    if new_version.is_empty() {
        return None;
    }
    let known = shape("root");
    let root_extra = root
        .iter()
        .filter(|(key, _)| !known.contains_key(**key))
        .filter_map(|(key, raw)| {
            let value: Value = serde_json::from_str(raw.get()).ok()?;
            Some(((*key).to_owned(), neutral(&value)))
        })
        .collect();
    Some(Profile {
        edition,
        os: match text("os") {
            "windows" => AppOs::Windows,
            "mac" => AppOs::Macos,
            _ => return None,
        },
        app_version: app_version.to_owned(),
        version: field("version")
            .and_then(|value| value.as_i64())
            .unwrap_or(FORMAT),
        new_version,
        root_extra,
        origin: ProfileOrigin::Learnt(document.to_owned()),
        platform,
    })
}

/// A neutral value of the same type: the key may be needed, but its content belongs to another draft.
fn neutral(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!(false),
        Value::Number(number) if number.is_f64() => json!(0.0),
        Value::Number(_) => json!(0),
        Value::String(_) => json!(""),
        Value::Array(_) => json!([]),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), neutral(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved_by_the_app() -> Value {
        json!({
            "version": 360_000, "new_version": "187.0.0", "tracks": [], "materials": {},
            "config": {"video_mute": true},
            "brand_new": {"list": [1], "deep": {"name": "secret"}},
            "last_modified_platform": {
                "app_id": 359_289, "app_source": "cc", "app_version": "9.6.1", "os": "windows",
                "os_version": "10.0.26100", "device_id": "d1", "hard_disk_id": "h1",
                "mac_address": "m1", "new_in_platform": 3
            }
        })
    }

    fn put(drafts: &Path, name: &str, text: &str) {
        let folder = drafts.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("draft_content.json"), text).unwrap();
    }

    #[test]
    fn markers_are_learned_from_a_draft_that_the_app_saved() {
        let drafts = tempfile::tempdir().unwrap();
        put(drafts.path(), "app", &saved_by_the_app().to_string());
        let profile = Profile::learn(drafts.path(), Edition::Capcut).unwrap();
        assert_eq!(profile.new_version, "187.0.0");
        assert_eq!(profile.app_version, "9.6.1");
        assert_eq!(profile.os, AppOs::Windows);
        assert_eq!(profile.platform["new_in_platform"], 3);
        assert_eq!(
            profile.root_extra["brand_new"],
            json!({"list": [], "deep": {"name": ""}}),
            "a new key is copied, its content is not"
        );
        assert!(!profile.root_extra.contains_key("config"));
        assert!(Profile::learn(drafts.path(), Edition::Jianying).is_none());
    }

    #[test]
    fn a_portable_profile_does_not_identify_a_machine() {
        let drafts = tempfile::tempdir().unwrap();
        put(drafts.path(), "app", &saved_by_the_app().to_string());
        let profile = Profile::learn(drafts.path(), Edition::Capcut).unwrap();
        assert_eq!(profile.platform["device_id"], "d1");
        let platform = Value::Object(profile.portable().platform).to_string();
        for secret in ["d1", "h1", "m1", "26100"] {
            assert!(!platform.contains(secret), "{secret} in {platform}");
        }
    }

    #[test]
    fn drafts_of_tools_and_unreadable_drafts_are_not_learned_from() {
        let drafts = tempfile::tempdir().unwrap();
        let mut tool = saved_by_the_app();
        tool["last_modified_platform"]["device_id"] = json!("");
        put(drafts.path(), "tool", &tool.to_string());
        let mut template = saved_by_the_app();
        for (key, value) in TEMPLATE_MACHINE {
            template["last_modified_platform"][key] = json!(value);
        }
        put(drafts.path(), "template", &template.to_string());
        put(drafts.path(), "encrypted", "r3fKa8Zt0hRkQ==");
        put(drafts.path(), "broken", "{\"version\": 3");
        assert_eq!(Profile::learn(drafts.path(), Edition::Capcut), None);
        assert_eq!(
            Profile::learn(&drafts.path().join("nowhere"), Edition::Capcut),
            None
        );
    }

    #[test]
    fn a_version_between_two_known_ones_uses_the_older_markers() {
        let check = |edition, version, expected: &str| {
            let profile = Profile::for_version(edition, AppOs::Macos, version).unwrap();
            assert_eq!(profile.new_version, expected, "{version}");
            assert_eq!(profile.platform["app_version"], version);
        };
        check(Edition::Capcut, "9.1.0", "179.0.0");
        check(Edition::Capcut, "9.1", "179.0.0");
        check(Edition::Capcut, "9.0.5", "175.0.0");
        check(Edition::Capcut, "12.0", "185.0.0");
        check(Edition::Jianying, "6.0", "110.0.0");
        check(Edition::Jianying, "8.2.0", "131.0.0");
        check(Edition::Jianying, "11.4", "179.0.0");
        let old = Profile::for_version(Edition::Capcut, AppOs::Macos, "2.2.0").unwrap_err();
        assert!(old.to_string().contains("CapCut 3.8.0 or newer"), "{old}");
        let old = Profile::for_version(Edition::Jianying, AppOs::Macos, "5.6.0").unwrap_err();
        assert!(old.to_string().contains("JianYing 5.7.0 or newer"), "{old}");
        for text in [
            "new",
            "",
            "9.",
            "8.5.0-",
            "8.5.0-4",
            "8.5.0 beta4",
            "v9.1",
            "9.1.0-beta/x",
        ] {
            let error = Profile::for_version(Edition::Capcut, AppOs::Macos, text).unwrap_err();
            assert!(error.to_string().contains("is not a version"), "{error}");
        }
    }

    #[test]
    fn a_beta_has_the_markers_of_its_version() {
        let profile = |version| Profile::for_version(Edition::Capcut, AppOs::Macos, version);
        for (version, scheme) in [
            ("8.5.0-beta4", 167),
            ("8.0.0-beta2", 157),
            ("9.1-rc.1", 179),
        ] {
            let profile = profile(version).unwrap();
            assert_eq!(profile.scheme(), scheme, "{version}");
            assert_eq!(profile.platform["app_version"], version);
        }
        let drafts = tempfile::tempdir().unwrap();
        let mut beta = saved_by_the_app();
        beta["last_modified_platform"]["app_version"] = json!("8.5.0-beta4");
        beta["last_modified_platform"]["os"] = json!("mac");
        beta["new_version"] = json!("167.0.0");
        put(drafts.path(), "beta", &beta.to_string());
        let learnt = Profile::learn(drafts.path(), Edition::Capcut).unwrap();
        assert_eq!(learnt.app_version, "8.5.0-beta4");
        assert!(learnt.has_timelines());
        assert_eq!(learnt.masks(), MaskLists::New);
    }

    #[test]
    fn the_first_template_id_alone_counts_as_a_real_machine() {
        let drafts = tempfile::tempdir().unwrap();
        let mut app = saved_by_the_app();
        app["last_modified_platform"]["device_id"] = json!(TEMPLATE_MACHINE[0].1);
        put(drafts.path(), "app", &app.to_string());
        assert!(Profile::learn(drafts.path(), Edition::Capcut).is_some());
    }

    #[test]
    fn known_versions_and_their_scheme_numbers_are_sorted() {
        for known in [CAPCUT, JIANYING] {
            assert!(known.is_sorted_by_key(|(version, ..)| parts(version).unwrap()));
            assert!(known.is_sorted_by_key(|(_, scheme, _)| *scheme));
        }
    }

    #[test]
    fn the_timelines_folder_exists_since_capcut_7_7_and_jianying_10() {
        let check = |edition, version, expected| {
            let profile = Profile::for_version(edition, AppOs::Windows, version).unwrap();
            assert_eq!(profile.has_timelines(), expected, "{version}");
        };
        for (version, expected) in [
            ("6.9", false),
            ("7.6.9", false),
            ("7.7", true),
            ("8.0.0-beta2", true),
            ("10.0", true),
        ] {
            check(Edition::Capcut, version, expected);
        }
        for (version, expected) in [
            ("5.9", false),
            ("8.2", false),
            ("9.9", false),
            ("10", true),
            ("11.5", true),
        ] {
            check(Edition::Jianying, version, expected);
        }
    }

    #[test]
    fn every_named_profile_has_all_required_markers() {
        for (name, edition, ..) in NAMED {
            let profile = Profile::named(name, AppOs::Windows).unwrap();
            assert_eq!(profile.edition, *edition);
            assert_eq!(profile.version, 360_000);
            assert!(!profile.new_version.is_empty(), "{name}");
            assert_eq!(profile.platform["app_id"], app(*edition).0);
        }
        let error = Profile::named("capcut-linux", AppOs::Windows).unwrap_err();
        assert!(error.to_string().contains("`jianying_pro_10`"), "{error}");
    }

    #[test]
    fn masks_flags_and_the_primary_file_depend_on_the_version() {
        let check = |name: &str, os, masks, flag, file| {
            let profile = Profile::named(name, os).unwrap();
            assert_eq!(profile.masks(), masks, "{name}");
            assert_eq!(profile.video_check_flag(), flag, "{name}");
            assert_eq!(profile.primary_file(), file, "{name}");
        };
        let (content, info) = ("draft_content.json", "draft_info.json");
        check(
            "capcut-win",
            AppOs::Windows,
            MaskLists::New,
            62_978_047,
            content,
        );
        check("capcut-mac", AppOs::Macos, MaskLists::New, 62_978_047, info);
        check(
            "jianying-win",
            AppOs::Windows,
            MaskLists::New,
            65_535,
            content,
        );
        check(
            "jianying_legacy",
            AppOs::Windows,
            MaskLists::Old,
            63_487,
            content,
        );
        check(
            "jianying_legacy",
            AppOs::Macos,
            MaskLists::Old,
            63_487,
            info,
        );
        for (version, lists) in [
            ("5.9.4", MaskLists::Old),
            ("5.9.5", MaskLists::Both),
            ("6.0.1", MaskLists::Old),
            ("8.1", MaskLists::Both),
            ("9.6", MaskLists::New),
        ] {
            let profile = Profile::for_version(Edition::Jianying, AppOs::Windows, version).unwrap();
            assert_eq!(profile.masks(), lists, "{version}");
            assert_eq!(profile.primary_file(), content, "{version}");
        }
    }
}
