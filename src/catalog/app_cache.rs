//! What an app has in its cache: the resources that it downloaded, among them fonts that no table has.
//!
//! The cache is the folder `Cache` in the app's `User Data`, next to `Projects` with the drafts. A resource is in
//! `effect/ID/HASH` or `artistEffect/ID/HASH` (filters, word art), where ID is its resource id or its effect id; a folder that ends
//! in `_tmp` is an incomplete download. (Paths in drafts that CapCut 5.8 to 8.5 and JianYing 5.5 saved on Windows and macOS.)

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use super::{CatalogEntry, NameKind, lookup, own};
use crate::units::Edition;

/// The folders of a cache that have resources.
const FOLDERS: [&str; 2] = ["effect", "artistEffect"];

/// Folders that are looked at: caches have some hundred resources.
const MOST: usize = 20_000;

/// The resources in the cache of an app.
#[derive(Debug, Default)]
pub(crate) struct AppCache {
    ids: HashSet<String>,
    /// Fonts that are in no table, in the order of their names.
    fonts: Vec<&'static CatalogEntry>,
}

/// The caches that were read, each with the times of its folders then.
type KnownCaches = HashMap<(Edition, PathBuf), (Vec<Option<SystemTime>>, Arc<AppCache>)>;

impl AppCache {
    /// The first of these caches that exists. It is read again when a resource was added or removed.
    pub(crate) fn first(folders: &[PathBuf], edition: Edition) -> Option<Arc<Self>> {
        static KNOWN: LazyLock<Mutex<KnownCaches>> = LazyLock::new(Mutex::default);
        let folder = folders
            .iter()
            .find(|folder| FOLDERS.iter().any(|part| folder.join(part).is_dir()))?;
        let times: Vec<_> = FOLDERS
            .iter()
            .map(|part| {
                fs::metadata(folder.join(part))
                    .and_then(|meta| meta.modified())
                    .ok()
            })
            .collect();
        let key = (edition, folder.clone());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, cache)) = known.get(&key)
            && *then == times
        {
            return Some(Arc::clone(cache));
        }
        let cache = Arc::new(Self::read(folder, edition));
        known.insert(key, (times, Arc::clone(&cache)));
        Some(cache)
    }

    fn read(folder: &Path, edition: Edition) -> Self {
        let mut cache = Self::default();
        for part in FOLDERS {
            for resource in folders_in(&folder.join(part)).take(MOST) {
                let Some(id) = resource.file_name().and_then(|name| name.to_str()) else {
                    continue;
                };
                let Some(package) = folders_in(&resource).find(|package| is_complete(package))
                else {
                    continue;
                };
                if let Some(name) = font_in(&package)
                    && lookup(edition, &[NameKind::Font], id).is_none()
                {
                    cache.fonts.extend(own::entry(NameKind::Font, &name, id));
                }
                cache.ids.insert(id.to_owned());
            }
        }
        cache.fonts.sort_by_key(|entry| entry.key);
        cache
    }

    /// Whether the app has downloaded this resource.
    pub(crate) fn has(&self, entry: &CatalogEntry) -> bool {
        self.ids.contains(entry.resource_id) || self.ids.contains(entry.effect_id)
    }

    /// Fonts that are in no table.
    pub(crate) fn own(&self) -> &[&'static CatalogEntry] {
        &self.fonts
    }
}

fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

fn is_complete(package: &Path) -> bool {
    let is_partial = package.to_string_lossy().ends_with("_tmp");
    !is_partial && fs::read_dir(package).is_ok_and(|mut files| files.next().is_some())
}

/// The name of the font in a package: that of its file, or of the font itself where the file is called `font`.
fn font_in(package: &Path) -> Option<String> {
    let files = fs::read_dir(package).ok()?.flatten();
    let file = files.map(|file| file.path()).find(|file| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| {
            ["ttf", "otf", "ttc"].contains(&ending.to_ascii_lowercase().as_str())
        })
    })?;
    let stem = file.file_stem()?.to_str()?;
    if !stem.eq_ignore_ascii_case("font") {
        return Some(stem.to_owned());
    }
    Some(full_name(&fs::read(&file).ok()?).unwrap_or_else(|| stem.to_owned()))
}

/// The full name in the table `name` of a font (OpenType specification, name id 4), from its Windows or Unicode records.
fn full_name(font: &[u8]) -> Option<String> {
    let short = |at: usize| {
        Some(usize::from(u16::from_be_bytes(
            font.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let long = |at: usize| {
        usize::try_from(u32::from_be_bytes(font.get(at..at + 4)?.try_into().ok()?)).ok()
    };
    // A collection begins with the offset of its first font.
    let start = if font.starts_with(b"ttcf") {
        long(12)?
    } else {
        0
    };
    let tables = short(start + 4)?;
    let name = (0..tables).find_map(|table| {
        let record = start + 12 + table * 16;
        (font.get(record..record + 4)? == b"name").then(|| long(record + 8))?
    })?;
    let (records, texts) = (short(name + 2)?, name + short(name + 4)?);
    (0..records).find_map(|record| {
        let at = name + 6 + record * 12;
        let is_utf16 = matches!(short(at)?, 0 | 3);
        let is_full_name = short(at + 6)? == 4;
        let (length, offset) = (short(at + 8)?, short(at + 10)?);
        if !is_utf16 || !is_full_name {
            return None;
        }
        let text = font.get(texts + offset..texts + offset + length)?;
        let units = text
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let text: String = char::decode_utf16(units).filter_map(Result::ok).collect();
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() && *c != '#')
            .collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            fs::write(path, bytes).expect("the file");
        }
        folder
    }

    /// A font that has only a name.
    fn font(name: &str) -> Vec<u8> {
        let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut font = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        font.extend(b"name");
        font.extend([0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 99]);
        font.extend([0, 0, 0, 1, 0, 18, 0, 3, 0, 1, 4, 9, 0, 4]);
        font.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        font.extend([0, 0]);
        font.extend(text);
        font
    }

    #[test]
    fn downloaded_resources_and_unknown_fonts_are_found() {
        let dissolve = super::super::find(Edition::Capcut, NameKind::Transition, "Dissolve");
        let dissolve = dissolve.expect("a transition");
        let resource = format!("effect/{}/0a1b/config.json", dissolve.effect_id);
        let folder = made(&[
            (resource.as_str(), b"{}"),
            ("effect/7517472189348695297/d9b0/Rubik-Bold.ttf", b"font"),
            (
                "effect/7545362452553174273/f413/font.ttf",
                &font("Mahanakhon"),
            ),
            ("artistEffect/7111111111111111111/aa_tmp/x", b""),
        ]);
        let folders = [folder.path().join("absent"), folder.path().to_owned()];
        let cache = AppCache::first(&folders, Edition::Capcut).expect("the cache");
        assert!(cache.has(dissolve));
        let fonts: Vec<&str> = cache.own().iter().map(|entry| entry.key).collect();
        assert_eq!(
            fonts,
            [
                "Mahanakhon#7545362452553174273",
                "Rubik-Bold#7517472189348695297"
            ]
        );
        assert!(
            !cache.ids.contains("7111111111111111111"),
            "an incomplete download"
        );
        assert!(AppCache::first(&folders[..1], Edition::Capcut).is_none());
    }

    #[test]
    fn broken_fonts_have_no_name() {
        let whole = font("Name");
        assert_eq!(full_name(&whole).as_deref(), Some("Name"));
        for end in 0..whole.len() - 8 {
            assert_eq!(full_name(&whole[..end]), None, "{end} bytes");
        }
    }
}
