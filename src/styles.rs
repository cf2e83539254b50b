//! The looks of texts that the user saved under names, in the data folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::regular_file::{self, Links, SMALL_BYTES};

/// The file in the data folder.
const FILE: &str = "text-styles.json";

/// The data folder of this process; it is set once, when the program starts.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The styles of a caller: those in a data folder. The default is that of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Styles(Option<Arc<Path>>);

/// Properties by name.
type Look = Map<String, Value>;

/// Keeps the styles in this folder.
pub(crate) fn keep_in(folder: PathBuf) {
    // A second call comes from another part of the same process, with the same folder.
    let _ = FOLDER.set(folder);
}

impl Styles {
    /// Those in this data folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self(Some(folder.into()))
    }

    fn folder(&self) -> Option<&Path> {
        self.0
            .as_deref()
            .or_else(|| FOLDER.get().map(PathBuf::as_path))
    }

    /// All styles, by name.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, Look>> {
        let Some(file) = self.folder().map(|folder| folder.join(FILE)) else {
            return Ok(BTreeMap::new());
        };
        let bytes = match regular_file::read(&file, SMALL_BYTES, Links::Follow) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(unusable(&file, "read", error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| unusable(&file, "read", error.into()))
    }

    /// The look of a style.
    pub(crate) fn find(&self, name: &str) -> Result<Look> {
        let mut all = self.all()?;
        let name = name.trim();
        if let Some(look) = all.remove(name) {
            return Ok(look);
        }
        let same = all
            .keys()
            .find(|own| own.eq_ignore_ascii_case(name))
            .cloned();
        if let Some(look) = same.and_then(|own| all.remove(&own)) {
            return Ok(look);
        }
        let names: Vec<String> = all.keys().map(|name| format!("{name:?}")).collect();
        let error = Error::not_found(format!("no style is saved as {name:?}"));
        Err(error.hint(if names.is_empty() {
        "save one with `style_presets` (profile \"full\"): {\"save\": \"Title\", \"draft_id\": …, \"clip\": \"c1\"}".to_owned()
    } else {
        format!("the saved styles are {}", names.join(", "))
    }))
    }

    /// Saves a style, in place of one of the same name; returns whether there was one.
    pub(crate) fn save(&self, name: &str, look: Look) -> Result<bool> {
        let folder = self.folder().ok_or_else(crate::settings::no_home)?;
        let mut all = self.all()?;
        let was_there = all.insert(name.trim().to_owned(), look).is_some();
        write(folder, &all)?;
        Ok(was_there)
    }

    /// Removes a style.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.find(name)?;
        let folder = self.folder().ok_or_else(crate::settings::no_home)?;
        let mut all = self.all()?;
        all.retain(|own, _| !own.eq_ignore_ascii_case(name.trim()));
        write(folder, &all)
    }
}

fn write(folder: &Path, all: &BTreeMap<String, Look>) -> Result<()> {
    let file = folder.join(FILE);
    let new = folder.join(format!("{FILE}.new"));
    let text = serde_json::to_string_pretty(all)
        .map_err(|error| Error::internal("styles cannot be written as JSON").source(error))?;
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, &file));
    written.map_err(|error| unusable(&file, "written", error))
}

fn unusable(file: &std::path::Path, what: &str, error: io::Error) -> Error {
    Error::conflict(format!(
        "the saved styles in {} cannot be {what}: {error}",
        file.display()
    ))
}
