//! One file with a whole draft, and a note on how to install it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::files::Documents;
use super::staging::Claim;
use super::unwritable;
use crate::engine::marker;
use crate::engine::profile::{AppOs, Profile};
use crate::error::Result;
use crate::units::Edition;

/// Packs the draft in `folder` into `to`, with `documents` in place of those that lie there.
pub(super) fn zip(
    folder: &Path,
    name: &str,
    documents: &Documents,
    profile: &Profile,
    to: &Path,
) -> Result<()> {
    let root = to.parent().unwrap_or(Path::new("."));
    let claim = Claim::new(root)?;
    let attempt = || -> io::Result<()> {
        let file = fs::File::create_new(&claim.path)?;
        let mut zip = ZipWriter::new(io::BufWriter::new(&file));
        // Pictures and sound do not get smaller, texts do.
        let stored = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file("INSTALL.txt", packed)?;
        zip.write_all(note(name, profile).as_bytes())?;
        let documents = documents.all();
        for (file, bytes) in &documents {
            zip.start_file(format!("{name}/{file}"), packed)?;
            zip.write_all(bytes)?;
        }
        let skip = |inside: &str| {
            inside == marker::FILE || documents.iter().any(|(file, _)| file == inside)
        };
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            let mut entries: Vec<_> = fs::read_dir(&next)?.collect::<io::Result<_>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let inside = path
                    .strip_prefix(folder)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                if skip(&inside) {
                    continue;
                }
                zip.start_file(format!("{name}/{inside}"), stored)?;
                io::copy(&mut fs::File::open(&path)?, &mut zip)?;
            }
        }
        zip.finish()?.flush()?;
        file.sync_all()?;
        drop(file);
        fs::rename(&claim.path, to)
    };
    attempt().map_err(|error| unwritable(to, error))
}

fn note(name: &str, profile: &Profile) -> String {
    let app = profile.edition.app();
    let folder = match profile.edition {
        Edition::Capcut => "CapCut",
        Edition::Jianying => "JianyingPro",
    };
    let (windows, macos) = (
        format!(r"%LOCALAPPDATA%\{folder}\User Data\Projects\com.lveditor.draft"),
        format!("~/Movies/{folder}/User Data/Projects/com.lveditor.draft"),
    );
    let written_for = match profile.os {
        AppOs::Windows => "Windows",
        AppOs::Macos => "macOS",
    };
    format!(
        "How to open \"{name}\" in {app} (written for {app} {version} on {written_for})

1. Quit {app}.
2. Unpack this file and put the folder \"{name}\" into {app}'s drafts folder:
     Windows: {windows}
     macOS:   {macos}
   If you moved it: {app}, Settings, Draft location.
3. Start {app}. The draft is on the home page.

All media are inside the folder. If {app} says that media are lost, choose \"Relink\" and
then the folder \"{name}/assets\".
",
        version = profile.app_version
    )
}
