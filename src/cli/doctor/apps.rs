//! The drafts folders of the apps, and what the apps' lists of drafts say.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Finding;
use super::files::Files;
use crate::engine::profile::edition_of;
use crate::printable::counted;
use crate::settings::{Os, Settings};
use crate::units::Edition;

/// The edition of the configured folder: by its path, else by a draft in it, else the edition of the settings.
pub(super) fn edition_of_named(settings: &Settings, files: &dyn Files) -> Edition {
    let Some(dir) = &settings.drafts_dir else {
        return settings.edition;
    };
    let path = dir.to_string_lossy();
    let of_draft = || {
        let names = files.folders(dir);
        let documents = names.iter().flat_map(|name| {
            let document = |file| files.read(&settings.os.join(dir, &[name, file]));
            ["draft_info.json", "draft_content.json"].map(document)
        });
        documents
            .flatten()
            .find_map(|text| edition_of_document(&text))
    };
    Edition::of_path(&path)
        .or_else(of_draft)
        .unwrap_or(settings.edition)
}

fn edition_of_document(text: &str) -> Option<Edition> {
    #[derive(Deserialize)]
    struct Document {
        last_modified_platform: Platform,
    }
    #[derive(Deserialize)]
    struct Platform {
        app_source: String,
    }
    let document: Document = serde_json::from_str(text).ok()?;
    edition_of(&document.last_modified_platform.app_source)
}

/// The drafts folder of an app.
pub(super) fn drafts(
    settings: &Settings,
    edition: Edition,
    data: Option<&Path>,
    files: &dyn Files,
) -> Finding {
    let what = match edition {
        Edition::Capcut => "CapCut's drafts",
        Edition::Jianying => "JianYing's drafts",
    };
    let dirs = settings.drafts_dirs(edition);
    if dirs.is_empty() {
        let kept = data.map_or_else(
            || "the data folder".to_owned(),
            |data| data.display().to_string(),
        );
        return Finding::note(
            what,
            format!("{} does not run on {}", edition.app(), settings.os),
        )
        .hint(format!(
            "drafts are kept below {kept}; give `draft_folder` when saving to put them elsewhere"
        ));
    }
    let Some(dir) = dirs.iter().find(|dir| files.is_folder(dir)) else {
        let looked: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let looked = looked.join(", ");
        return if settings.drafts_dir.is_some() {
            Finding::problem(what, format!("{looked} does not exist"))
                .hint("its path comes from `CAPCUT_MCP_DRAFTS_DIR`")
        } else {
            Finding::note(what, format!("none in {looked}")).hint(format!(
                "start {} once, or set its folder with `CAPCUT_MCP_DRAFTS_DIR`",
                edition.app()
            ))
        };
    };
    let registry = Registry::read(settings.os, dir, files);
    let moved = registry
        .root_path
        .as_deref()
        .map(Path::new)
        .filter(|root| !same_folder(root, dir) && files.is_folder(root));
    let root = moved.unwrap_or(dir);
    let count = files
        .folders(root)
        .iter()
        .filter(|name| is_draft(settings.os, root, name, files))
        .count();
    let mut detail = format!("{} ({})", root.display(), counted(count, "draft"));
    if let Some(version) = registry.newest {
        // Writing to a string cannot fail.
        let _ = write!(detail, ", format version {version}");
    }
    let finding = Finding::ok(what, detail);
    if moved.is_some() {
        finding.hint(format!(
            "the app's settings use it instead of {}",
            dir.display()
        ))
    } else {
        finding
    }
}

fn is_draft(os: Os, root: &Path, name: &str, files: &dyn Files) -> bool {
    [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
    ]
    .iter()
    .any(|file| files.is_file(&os.join(root, &[name, file])))
}

/// Compares paths; those in the app's files have `/` on every system.
fn same_folder(one: &Path, other: &Path) -> bool {
    let plain = |path: &Path| {
        path.to_string_lossy()
            .replace('\\', "/")
            .trim_end_matches('/')
            .to_lowercase()
    };
    plain(one) == plain(other)
}

/// What `root_meta_info.json` says about the drafts next to it.
#[derive(Default)]
struct Registry {
    root_path: Option<String>,
    newest: Option<String>,
}

impl Registry {
    fn read(os: Os, dir: &Path, files: &dyn Files) -> Self {
        let file = os.join(dir, &["root_meta_info.json"]);
        let Some(document) = files
            .read(&file)
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        else {
            return Self::default();
        };
        let entries = document["all_draft_store"].as_array();
        let versions = entries.into_iter().flatten().filter_map(|entry| {
            let text = entry["draft_new_version"].as_str()?;
            let parts: Vec<u32> = text
                .split('.')
                .map_while(|part| part.parse().ok())
                .collect();
            (!parts.is_empty()).then(|| (parts, text.to_owned()))
        });
        Self {
            root_path: document["root_path"]
                .as_str()
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
            newest: versions.max().map(|(_, text)| text),
        }
    }
}
