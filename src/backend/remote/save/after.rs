//! Save options and properties of clips that no server supports: they are applied here to the saved draft, or refused
//! before the save.
//!
//! The draft is saved a second time, from the server's document and files, in the same way as the engine's drafts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{Document, Operation};
use serde_json::{Value, json};

use super::super::Remote;
use super::materials::take_files;
use crate::backend::Failure;
use crate::backend::dialect::Server;
use crate::backend::envelope::EnvelopeContent;
use crate::backend::expected::ExpectedBeyondApi;
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::engine::documents::properties;
use crate::engine::marker::Marker;
use crate::engine::package::existing::Terms;
use crate::engine::package::{self, SaveRequest, Subject, TargetMachine, WhileRunning, name};
use crate::engine::profile::{AppOs, Profile, own_os};
use crate::engine::registry;
use crate::engine::saving::{SaveWish, os_of_folder};
use crate::error::{Error, Result};
use crate::tool::{Request, settings_given};
use crate::tools::Object;

/// The options to apply after the server's save, and the properties to add.
pub(crate) struct After {
    wish: SaveWish,
    draft: DraftId,
    request: SaveRequest,
    beyond: ExpectedBeyondApi,
}

/// The arguments that no server knows, in the order of [`given`].
const OWN: [&str; 9] = [
    "name",
    "zip",
    "portable",
    "target_os",
    "target_folder",
    "app_version",
    "draft_profile",
    "overwrite",
    "refuse_while_running",
];

impl After {
    /// The options that the server does not apply itself, and the properties of clips that its API does not have; an error
    /// if they cannot be applied here.
    pub(crate) fn new(
        remote: &Remote,
        server: &Server,
        request: &dyn Request,
        draft_name: Option<String>,
        beyond: ExpectedBeyondApi,
    ) -> Result<Option<Self>> {
        let Some(wish) = request.save_wish()? else {
            return Ok(None);
        };
        let caller = &request.call().caller;
        // The API's dialect does not have these options.
        let is_strict = caller.manner.is_strict();
        let mut given: Vec<String> = if is_strict {
            given(&wish).into_iter().map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        given.extend(names(&beyond));
        let draft_name = draft_name.filter(|_| is_strict);
        // The draft's own name is applied if possible; options of this call and properties must be applied or refused.
        let is_asked = !given.is_empty();
        let (Some(draft), true) = (request.draft(), is_asked || draft_name.is_some()) else {
            return Ok(None);
        };
        let Some(root) = root(remote, server, wish.folder.as_deref()) else {
            if !is_asked {
                return Ok(None);
            }
            let list = given.join("`, `");
            return Err(Error::invalid(format!(
                "`{list}`: {} at {} does not support this, and this machine cannot access the folder where the server keeps \
                saved drafts",
                server.dialect.name(),
                crate::media::shown(&remote.base),
            ))
            .hint(
                "if this machine can access that folder, set `api.drafts_folder` in `tools.toml` to it; otherwise omit the option, \
                or move the draft to the engine with `recover_draft` and `to: \"embedded\"`, and save it there",
            ));
        };
        if wish.while_running == WhileRunning::Refuse
            && let Some(process) = registry::running(server.edition)
        {
            return Err(Error::conflict(format!(
                "{} is running ({process}) and would overwrite its list of drafts",
                server.edition.app()
            ))
            .hint("quit the app and save again, or save without asking for this check"));
        }
        let drafts = wish
            .folder
            .as_deref()
            .map(Path::new)
            .filter(|folder| folder.is_dir() && caller.access.may_write(folder).is_ok())
            .map_or_else(|| root.clone(), Path::to_owned);
        let name = wish.name.clone().or(draft_name);
        let request = save_request(
            &wish,
            draft,
            server,
            drafts,
            name.unwrap_or_else(|| draft.to_string()),
        )?;
        let to = request.drafts.join(name::folder(&request.name));
        let is_servers = to == root.join(draft.as_str());
        let ours = Marker::read(&to).is_some_and(|marker| marker.draft == draft.as_str());
        if to.exists() && !is_servers && !ours && !request.terms.overwrite {
            return Err(Error::conflict(format!(
                "another draft exists at {}",
                to.display()
            ))
            .hint("save with another `name`, or with `overwrite`: the other draft is then kept as a backup"));
        }
        Ok(Some(Self {
            wish,
            draft: draft.clone(),
            request,
            beyond,
        }))
    }

    /// Saves a second time from the server's files, and updates the answer.
    pub(crate) async fn apply(
        self,
        remote: &Remote,
        server: &Server,
        mut script: Document,
        opened: &mut EnvelopeContent,
    ) -> Result<(), Failure> {
        let told = opened.beside.get("folder").and_then(Value::as_str);
        let Some(folder) = told.map(PathBuf::from).filter(|folder| folder.is_dir()) else {
            let mut given: Vec<String> = given(&self.wish).into_iter().map(str::to_owned).collect();
            given.extend(names(&self.beyond));
            let given = given.join("`, `");
            if given.is_empty() {
                let note = super::unnamed(server, &self.draft, &self.request.name);
                if let Some(Value::Array(notes)) = opened.beside.get_mut("notes") {
                    notes.push(json!(note));
                }
                return Ok(());
            }
            return Err(Error::conflict(format!(
                "{} saved draft {}, but its folder was not found: `{given}` could not be applied",
                remote.base, self.draft
            ))
            .hint("set `api.drafts_folder` in `tools.toml` to the folder where the server keeps saved drafts")
            .into());
        };
        let added = self.add_beyond_api(remote, server, &mut script)?;
        let aside = folder.with_file_name(format!(".capcut-mcp-server-{}", self.draft));
        take_files(&mut script, &folder, &aside)?;
        // Move the server's folder away, as the second save may use its name. The leading dot hides it from the
        // app.
        let moved = fs::rename(&folder, &aside);
        moved.map_err(|error| Failure::from(package::unwritable(&folder, error)))?;
        let subject = Subject {
            id: self.draft.to_string(),
            edition: server.edition,
            working: String::from_utf8_lossy(&script.write()).into_owned(),
            notes: Vec::new(),
        };
        // The server was allowed to read these files, and they are in a folder that the user configured.
        let media = remote.media.of(&Caller::user());
        let saved =
            package::save_document(subject, &self.request, &media, &Arc::default(), &|_| ()).await;
        let saved = match saved {
            Ok(saved) => saved,
            Err(error) => {
                let _ = fs::rename(&aside, &folder);
                return Err(error.into());
            }
        };
        let beside = &mut opened.beside;
        // Keep the notes on the server's own save.
        let mut notes: Vec<String> = match beside.remove("notes") {
            Some(Value::Array(notes)) => notes
                .iter()
                .filter_map(|note| note.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        notes.extend(saved.notes);
        notes.extend(added);
        if let Err(error) = fs::remove_dir_all(&aside) {
            notes.push(format!(
                "the server's folder {} could not be removed: {error}",
                aside.display()
            ));
        }
        beside.insert("folder".to_owned(), json!(saved.folder));
        if let Some(zip) = saved.zip {
            beside.insert("zip".to_owned(), json!(zip));
        }
        beside.insert("files".to_owned(), json!(saved.files));
        beside.insert("bytes".to_owned(), json!(saved.bytes));
        beside.insert("registered".to_owned(), json!(saved.registered));
        beside.insert("next".to_owned(), json!(saved.next));
        beside.insert("notes".to_owned(), json!(notes));
        Ok(())
    }
}

impl After {
    /// Adds what the API does not have to the server's document; returns notes about it.
    fn add_beyond_api(
        &self,
        remote: &Remote,
        server: &Server,
        script: &mut Document,
    ) -> Result<Vec<String>, Failure> {
        let names = names(&self.beyond);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut operations = Vec::new();
        let of_draft = settings_given(&self.beyond.draft);
        if !of_draft.is_empty() {
            operations.push(Operation::Settings(Box::new(self.beyond.draft.clone())));
        }
        let mut lost = Vec::new();
        let mut clips_count = 0;
        for (evidence, properties) in &self.beyond.clips {
            let clips = evidence.clips(script);
            if clips.is_empty() {
                lost.push(evidence.to_string());
            }
            clips_count += clips.len();
            operations.extend(
                clips
                    .iter()
                    .map(|clip| properties::operation(clip, properties)),
            );
        }
        let what = format!(
            "{} saved draft {}, but without all of `{}`, which its API does not have",
            remote.base,
            self.draft,
            names.join("`, `"),
        );
        if !lost.is_empty() {
            let lost = lost.join("\n- ");
            return Err(Error::conflict(format!("{what}: these clips are not in its document:\n- {lost}"))
                .hint("save again; if that does not help, move the draft to the engine with `recover_draft` and `to: \"embedded\"`")
                .into());
        }
        let set = properties::set(script, server.edition, &operations);
        if !set.unfit.is_empty() {
            return Err(properties::refused(&what, &set.unfit)
                .hint("make a draft with values that fit, as a CapCut API does not change clips")
                .into());
        }
        let mut added = Vec::new();
        if !of_draft.is_empty() {
            added.push(format!("`{}` of the draft", of_draft.join("`, `")));
        }
        if clips_count > 0 {
            let of_clips = names.iter().filter(|name| !of_draft.contains(name));
            let of_clips: Vec<&str> = of_clips.map(String::as_str).collect();
            added.push(format!(
                "`{}` of {clips_count} {}",
                of_clips.join("`, `"),
                if clips_count == 1 { "clip" } else { "clips" }
            ));
        }
        let mut notes = vec![format!(
            "added after the save, as the server's API does not have them: {}",
            added.join("; ")
        )];
        notes.extend(set.notes);
        Ok(notes)
    }
}

/// The names of what the API does not have, each once.
fn names(beyond: &ExpectedBeyondApi) -> Vec<String> {
    let names = beyond
        .clips
        .iter()
        .flat_map(|(_, properties)| properties.keys());
    let names: BTreeSet<String> = names
        .cloned()
        .chain(settings_given(&beyond.draft))
        .collect();
    names.into_iter().collect()
}

/// The body for a server: without the options that only this program knows, and with an absolute `draft_folder`.
pub(crate) fn sent(body: &Object, caller: &Caller) -> Object {
    let mut sent = body.clone();
    if !caller.manner.is_strict() {
        return sent;
    }
    sent.retain(|key, _| !OWN.contains(&key.as_str()));
    if let Some(Value::String(folder)) = sent.get_mut("draft_folder")
        && is_relative(folder)
        && let Ok(absolute) = std::path::absolute(&*folder)
    {
        *folder = absolute.to_string_lossy().into_owned();
    }
    sent
}

/// Whether a path is not absolute on any operating system.
fn is_relative(path: &str) -> bool {
    let is_drive = path.as_bytes().get(1) == Some(&b':');
    !path.is_empty() && !path.starts_with(['/', '\\', '~']) && !is_drive
}

/// The names of the options that the wish sets.
fn given(wish: &SaveWish) -> Vec<&'static str> {
    let is_given = [
        wish.name.is_some(),
        wish.zip,
        wish.portable,
        wish.target_os.is_some(),
        wish.target_folder.is_some(),
        wish.app_version.is_some(),
        wish.profile.is_some(),
        wish.overwrite,
        wish.while_running == WhileRunning::Refuse,
    ];
    let named = OWN.into_iter().zip(is_given);
    named
        .filter(|(_, given)| *given)
        .map(|(name, _)| name)
        .collect()
}

/// The folder into which the server will save, if this machine can access it.
fn root(remote: &Remote, server: &Server, wanted: Option<&str>) -> Option<PathBuf> {
    let wanted = wanted.filter(|_| server.dialect.saves_into_draft_folder());
    let own = Some(remote.manifest.api.drafts_folder.as_str());
    let places = [wanted, own].into_iter().flatten();
    places
        .map(Path::new)
        .find(|folder| folder.is_absolute() && folder.is_dir())
        .map(Path::to_owned)
}

impl Remote {
    /// Whether this machine can write into the folder where the server keeps saved drafts. If the caller of the save names
    /// it, that is known then.
    pub(in crate::backend::remote) fn can_add_to_saves(&self, server: &Server) -> bool {
        server.dialect.saves_into_draft_folder()
            || root(self, server, None).is_some_and(|root| tempfile::tempfile_in(root).is_ok())
    }
}

fn save_request(
    wish: &SaveWish,
    draft: &DraftId,
    server: &Server,
    drafts: PathBuf,
    name: String,
) -> Result<SaveRequest> {
    let leaves = wish.portable || wish.target_os.is_some() || wish.target_folder.is_some();
    let target = leaves.then(|| TargetMachine {
        os: wish.target_os.unwrap_or_else(|| {
            let folder = wish.target_folder.as_deref();
            folder.map_or_else(own_os, os_of_folder)
        }),
        folder: wish.target_folder.clone(),
    });
    let os: AppOs = target.as_ref().map_or_else(own_os, |target| target.os);
    let profile = match (&wish.profile, &wish.app_version) {
        (Some(name), _) => Profile::named(name, os)?,
        (None, Some(version)) => Profile::for_version(server.edition, os, version)?,
        (None, None) => {
            let learnt = target
                .is_none()
                .then(|| Profile::learn(&drafts, server.edition));
            learnt
                .flatten()
                .unwrap_or_else(|| Profile::built_in(server.edition, os))
        }
    };
    Ok(SaveRequest {
        drafts,
        name,
        profile,
        target,
        terms: Terms {
            draft: draft.to_string(),
            overwrite: wish.overwrite,
            ..Terms::default()
        },
        zip: wish.zip,
        while_running: wish.while_running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_makes_the_folder_absolute_and_omits_our_own_options() {
        let body = json!({ "draft_id": "d", "draft_folder": "drafts", "name": "n", "zip": true });
        let body = body.as_object().unwrap();
        let strict = sent(body, &Caller::user());
        let folder = strict["draft_folder"].as_str().unwrap();
        assert!(
            Path::new(folder).is_absolute() && folder.ends_with("drafts"),
            "{folder}"
        );
        assert_eq!(strict.len(), 2, "{strict:?}");
        for whole in [
            "/drafts",
            "C:/Users/me",
            r"C:\Users\me",
            r"\\nas\share",
            "~/Movies",
        ] {
            assert!(!is_relative(whole), "{whole}");
        }
        for relative in ["drafts", "./drafts", "../drafts"] {
            assert!(is_relative(relative), "{relative}");
        }
    }
}
