//! Which app, in which version and on which system, a draft is written for.
//!
//! An app tells by a few markers whether a draft is its own; with stale ones it speaks of an
//! "unusual path". They are learnt from the newest draft that the app itself saved on this machine
//! ([`Profile::learn`]); without one, a built-in profile stands in. `docs/app-versions.md` tells what
//! each of them rests on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::engine::marker::{self, Marker};
use crate::error::{Error, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links};
use crate::units::Edition;

/// The number that stands in `version` of every draft since JianYing 3.3.
const FORMAT: i64 = 360_000;

/// How many of the newest drafts are looked at for one that the app saved.
const LOOKED_AT: usize = 24;

/// The system that the app runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppOs {
    Windows,
    Macos,
}

impl AppOs {
    /// `windows` or `macos`, as `target_os` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Macos => "macos",
        }
    }

    /// As the app writes it into `platform`.
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
            _ => Err(
                Error::invalid(format!("`target_os`: \"{text}\" is no system of the apps"))
                    .hint("`windows` or `macos`"),
            ),
        }
    }
}

/// In which lists of `materials` a mask stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskLists {
    /// `masks`: CapCut before 5.8, JianYing up to 5.9.
    Old,
    /// `common_mask`: CapCut since 5.8, JianYing since 10.
    New,
    /// The JianYing versions between, of which no sample is known.
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

/// What a draft is written for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub edition: Edition,
    pub os: AppOs,
    /// Such as `9.1.0`.
    pub app_version: String,
    pub version: i64,
    /// The number of the draft's scheme, such as `179.0.0`.
    pub new_version: String,
    /// The root document's `platform`, as an app of this version fills it.
    pub platform: Map<String, Value>,
    /// Keys of the root document that the user's app writes and the built-in set lacks.
    pub root_extra: Map<String, Value>,
    pub origin: Origin,
}

/// Where a profile comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    /// The version was named, and its markers are those of the nearest known one below it.
    Named,
    /// Read from this draft, which the app saved.
    Learnt(PathBuf),
}

/// What is known of released versions: the app's and the scheme's number, oldest first.
///
/// All from drafts that the app saved, except CapCut 6.7.0, 8.5.0, 9.2.8 and 9.4.1 and JianYing
/// 5.9.0 and 10.6.0, which are reports.
const CAPCUT: &[(&str, &str)] = &[
    ("3.8.0", "109.0.0"),
    ("5.8.0", "131.0.0"),
    ("6.2.0", "135.0.0"),
    ("6.7.0", "140.0.0"),
    ("6.9.0", "142.0.0"),
    ("7.8.0", "153.0.0"),
    ("7.9.0", "155.0.0"),
    ("8.1.1", "159.0.0"),
    ("8.5.0", "167.0.0"),
    ("9.1.0", "179.0.0"),
    ("9.2.8", "183.0.0"),
    ("9.4.1", "185.0.0"),
];
const JIANYING: &[(&str, &str)] = &[
    ("5.7.0", "107.0.0"),
    ("5.9.0", "110.0.0"),
    ("10.6.0", "169.0.0"),
];

/// The version of the built-in profile: the newest with a complete sample (CapCut), and the
/// newest whose markers are known (JianYing).
const CAPCUT_DEFAULT: &str = "9.1.0";
const JIANYING_DEFAULT: &str = "10.6.0";

/// The profiles that can be named, with what they stand for. The last three are the names of the
/// newer reference server; the legacy ones carry the markers of the Python libraries whose drafts
/// are known to open in many versions.
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

impl Profile {
    /// The profile for an edition and a system about which nothing else is known.
    pub(crate) fn built_in(edition: Edition, os: AppOs) -> Self {
        let version = match edition {
            Edition::Capcut => CAPCUT_DEFAULT,
            Edition::Jianying => JIANYING_DEFAULT,
        };
        let new_version = known(edition)
            .iter()
            .find(|(name, _)| *name == version)
            .map_or("", |(_, new_version)| new_version);
        Self::with_markers(edition, os, version, new_version, Origin::BuiltIn)
    }

    /// The profile of that name; `os` decides where the name does not.
    pub(crate) fn named(name: &str, os: AppOs) -> Result<Self> {
        let Some((_, edition, own_os, version)) = NAMED.iter().find(|(known, ..)| *known == name)
        else {
            let names: Vec<_> = NAMED.iter().map(|(name, ..)| format!("`{name}`")).collect();
            return Err(
                Error::invalid(format!("`draft_profile`: there is no profile \"{name}\""))
                    .hint(format!("one of {}", names.join(", "))),
            );
        };
        let mut profile = Self::for_version(*edition, own_os.unwrap_or(os), version)?;
        profile.origin = Origin::BuiltIn;
        Ok(profile)
    }

    /// The profile for a version of the app: markers are never newer than the app, since an older
    /// draft is upgraded at opening and a newer one refused.
    pub(crate) fn for_version(edition: Edition, os: AppOs, app_version: &str) -> Result<Self> {
        let Some(wanted) = parts(app_version) else {
            return Err(
                Error::invalid(format!("`app_version`: \"{app_version}\" is no version"))
                    .hint("such as `9.1.0`, as the app's About window shows it"),
            );
        };
        let known = known(edition);
        let Some((_, new_version)) = known
            .iter()
            .rev()
            .find(|(version, _)| parts(version).is_some_and(|version| version <= wanted))
        else {
            return Err(Error::invalid(format!(
                "`app_version`: {} {app_version} is older than the drafts that can be written",
                edition.app()
            ))
            .hint(format!("{} {} or newer", edition.app(), known[0].0)));
        };
        Ok(Self::with_markers(
            edition,
            os,
            app_version,
            new_version,
            Origin::Named,
        ))
    }

    fn with_markers(
        edition: Edition,
        os: AppOs,
        app_version: &str,
        new_version: &str,
        origin: Origin,
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
            new_version: new_version.to_owned(),
            platform: platform.as_object().cloned().unwrap_or_default(),
            root_extra: Map::new(),
            origin,
        }
    }

    /// The profile of the newest draft in `drafts` that the app of this edition saved itself, in
    /// plain JSON. Drafts of ours that the app never opened do not count, nor do those of other
    /// tools; encrypted ones cannot be read and are passed over.
    pub(crate) fn learn(drafts: &Path, edition: Edition) -> Option<Self> {
        let mut documents: Vec<(SystemTime, PathBuf)> = fs::read_dir(drafts)
            .ok()?
            .flatten()
            .flat_map(|entry| {
                ["draft_content.json", "draft_info.json"].map(|name| entry.path().join(name))
            })
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        documents.sort_by(|a, b| b.cmp(a));
        documents
            .into_iter()
            .take(LOOKED_AT)
            .find_map(|(_, path)| learn_from(&path, edition))
    }

    pub(crate) fn masks(&self) -> MaskLists {
        let version = parts(&self.app_version).unwrap_or_default();
        match self.edition {
            Edition::Capcut if version < vec![5, 8] => MaskLists::Old,
            Edition::Jianying if version < vec![6] => MaskLists::Old,
            Edition::Jianying if version < vec![10] => MaskLists::Both,
            Edition::Capcut | Edition::Jianying => MaskLists::New,
        }
    }

    /// `check_flag` of a picture's material: it gates what the app reads of it.
    pub(crate) fn video_check_flag(&self) -> i64 {
        let version = parts(&self.app_version).unwrap_or_default();
        match self.edition {
            Edition::Capcut if version >= vec![5, 8] => 62_978_047,
            Edition::Jianying if version >= vec![10] => 65_535,
            Edition::Capcut | Edition::Jianying => 63_487,
        }
    }

    /// The file that the app reads first.
    pub(crate) fn primary_file(&self) -> &'static str {
        let version = parts(&self.app_version).unwrap_or_default();
        match (self.edition, self.os) {
            (_, AppOs::Macos) => "draft_info.json",
            (Edition::Jianying, AppOs::Windows) if version >= vec![6] => "draft_info.json",
            (_, AppOs::Windows) => "draft_content.json",
        }
    }

    /// The same without anything that tells one machine from another.
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

/// What in `platform` belongs to one machine.
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

fn known(edition: Edition) -> &'static [(&'static str, &'static str)] {
    match edition {
        Edition::Capcut => CAPCUT,
        Edition::Jianying => JIANYING,
    }
}

/// The numbers of a version, `None` unless there are only numbers.
pub(crate) fn parts(version: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

/// The ids that the reference server's template stamps on everybody's drafts.
const TEMPLATE_DEVICE: &str = "c4ca4238a0b923820dcc509a6f75849b";

fn learn_from(document: &Path, edition: Edition) -> Option<Profile> {
    let folder = document.parent()?;
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let marker = Marker::read(folder);
    // Ours are known by their age without being read: the marker is written last.
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
    // No generator knows a machine's ids: where they stand, the app has saved.
    let device = text("device_id");
    if device.is_empty()
        || device == TEMPLATE_DEVICE
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
    let known = crate::draft::finished::shapes::root_keys();
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
        origin: Origin::Learnt(document.to_owned()),
        platform,
    })
}

/// A value of the same shape that says nothing: a key may be needed, its content belongs to another draft.
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
    fn markers_are_learnt_from_a_draft_that_the_app_saved() {
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
            "a new key comes along, its content does not"
        );
        assert!(!profile.root_extra.contains_key("config"));
        assert!(Profile::learn(drafts.path(), Edition::Jianying).is_none());
    }

    #[test]
    fn a_portable_profile_names_no_machine() {
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
    fn drafts_of_tools_encrypted_and_broken_ones_teach_nothing() {
        let drafts = tempfile::tempdir().unwrap();
        let mut tool = saved_by_the_app();
        tool["last_modified_platform"]["device_id"] = json!("");
        put(drafts.path(), "tool", &tool.to_string());
        let mut template = saved_by_the_app();
        template["last_modified_platform"]["device_id"] = json!(TEMPLATE_DEVICE);
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
    fn a_version_between_two_known_ones_takes_the_older_markers() {
        let check = |edition, version, expected: &str| {
            let profile = Profile::for_version(edition, AppOs::Macos, version).unwrap();
            assert_eq!(profile.new_version, expected, "{version}");
            assert_eq!(profile.platform["app_version"], version);
        };
        check(Edition::Capcut, "9.1.0", "179.0.0");
        check(Edition::Capcut, "9.0.5", "167.0.0");
        check(Edition::Capcut, "12.0", "185.0.0");
        check(Edition::Jianying, "8.2.0", "110.0.0");
        check(Edition::Jianying, "11.4", "169.0.0");
        let old = Profile::for_version(Edition::Capcut, AppOs::Macos, "2.2.0").unwrap_err();
        assert!(old.to_string().contains("CapCut 3.8.0 or newer"), "{old}");
        assert!(Profile::for_version(Edition::Capcut, AppOs::Macos, "new").is_err());
    }

    #[test]
    fn every_named_profile_has_the_markers_that_an_app_asks_for() {
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
    fn masks_flags_and_the_first_file_follow_the_version() {
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
        check("jianying-win", AppOs::Windows, MaskLists::New, 65_535, info);
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
        let between = Profile::for_version(Edition::Jianying, AppOs::Windows, "8.1").unwrap();
        assert_eq!(between.masks(), MaskLists::Both);
    }
}
