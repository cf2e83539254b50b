//! `validate_draft`: checks a draft folder on disk and fixes what is safe to fix.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::compose::seen::{self, DraftReview};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::drafts::NamedDraft;
use crate::exec::{App, Context};
use crate::lint::{self, Problem, Severity};
use crate::local::LocalTool;
use crate::local::look::{look, not_looked};
use crate::tool::Hints;

/// How many problems are listed per reply.
const TOLD: usize = 40;

/// Checks any draft.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ValidateDraft {
    /// Or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
    /// Or the id of a draft saved by this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// Fixes what is safe.
    #[serde(default)]
    pub fix: bool,
    /// Its picture and sound, also unsaved.
    #[serde(default)]
    pub look: bool,
    /// Problems to skip.
    #[serde(default)]
    pub offset: u32,
}

/// The problems, most severe first.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Validated {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
    /// Whether there are no errors and no warnings.
    pub ok: bool,
    pub errors: usize,
    pub warnings: usize,
    pub infos: usize,
    pub problems: Vec<Problem>,
    /// How many further problems there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<usize>,
    /// The files that were fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// The backup of these files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// With `look`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "seen::schema")]
    pub look: Option<DraftReview>,
    /// Notes on the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for ValidateDraft {
    const NAME: &'static str = "validate_draft";
    const TITLE: &'static str = "Validate draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
        // A look reads media, which may have URLs.
        open_world: true,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("offset"),
        InputRule::Alias("folder", "draft_folder"),
        InputRule::Alias("path", "draft_folder"),
        InputRule::Alias("draft", "draft_folder"),
    ];
    type Reply = Validated;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn faults(&self) -> Vec<String> {
        let is_empty = |folder: &String| folder.trim().is_empty();
        if self.draft_id.is_none() && self.draft_folder.as_ref().is_none_or(is_empty) {
            return vec!["`draft_folder` or `draft_id` is required".to_owned()];
        }
        Vec::new()
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Validated> {
        let folder = match self.checked(app).await? {
            CheckedDraft::Saved(folder) => folder,
            CheckedDraft::Unsaved(id) => {
                return Ok(Validated {
                    ok: true,
                    look: Some(look(app, &NamedDraft::Known(id), context).await?),
                    notes: vec![
                        "the draft is not saved yet: only picture and sound were checked"
                            .to_owned(),
                    ],
                    ..Validated::default()
                });
            }
        };
        // The folder of our own draft is known; any other folder comes from the caller.
        if self.draft_folder.is_some() {
            let access = &context.caller.access;
            let shown = folder.display().to_string();
            access.may_read(&folder, &shown).await?;
            if self.fix {
                access.may_write(&folder)?;
            }
        }
        // The draft and its folder identify the app; the settings apply only to new drafts.
        let options = lint::LintOptions::new(app.settings.data_dir()?, None);
        let (fix, offset) = (self.fix, self.offset as usize);
        let shown = match &self.draft_id {
            Some(id) if self.draft_folder.is_none() => NamedDraft::Known(id.clone()),
            _ => NamedDraft::OnDisk(folder.clone()),
        };
        let checked = tokio::task::spawn_blocking(move || validate(&folder, &options, fix, offset));
        let mut checked = checked
            .await
            .map_err(|error| Error::internal("the check of the draft failed").source(error))??;
        if self.look {
            match look(app, &shown, context).await {
                Ok(review) => checked.look = Some(review),
                Err(error) => checked.notes.push(not_looked(&error)),
            }
        }
        Ok(checked)
    }
}

/// What is checked.
enum CheckedDraft {
    /// The draft's folder.
    Saved(PathBuf),
    /// A draft that has no files yet, of which only picture and sound are checked.
    Unsaved(DraftId),
}

impl ValidateDraft {
    async fn checked(&self, app: &App) -> Result<CheckedDraft> {
        match (&self.draft_folder, &self.draft_id) {
            (Some(folder), _) if !folder.trim().is_empty() => {
                let edition = app.settings.edition;
                find(Path::new(folder.trim()), app.settings.drafts_dirs(edition))
                    .map(CheckedDraft::Saved)
            }
            (_, Some(id)) => {
                let Some(row) = app.journal.find(id).await? else {
                    return Err(crate::journal::unknown(id));
                };
                let folder = row.saved_to.map(PathBuf::from);
                if folder.is_none() && self.look && !self.fix {
                    return Ok(CheckedDraft::Unsaved(id.clone()));
                }
                folder.map(CheckedDraft::Saved).ok_or_else(|| {
                    Error::conflict(format!("draft {id} has not been saved to this machine yet"))
                        .hint("save it with `save_draft`, or give its folder in `draft_folder`")
                })
            }
            _ => Err(Error::invalid(
                "neither `draft_folder` nor `draft_id` is given",
            )),
        }
    }
}

/// A folder by its path, or by its name in one of the drafts folders.
fn find(folder: &Path, drafts: &[PathBuf]) -> Result<PathBuf> {
    if folder.is_absolute() {
        return Ok(folder.to_owned());
    }
    drafts
        .iter()
        .map(|drafts| drafts.join(folder))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| {
            Error::not_found(format!(
                "`draft_folder`: there is no draft \"{}\"",
                folder.display()
            ))
            .hint("give the absolute path of the draft's folder, or, for a draft of this program, its id or exact name as `draft_id`")
        })
}

fn validate(
    folder: &Path,
    options: &lint::LintOptions,
    fix: bool,
    offset: usize,
) -> Result<Validated> {
    let mut fixed = None;
    let mut problems = if fix {
        let done = lint::fix(folder, options)?;
        let left = done.left.clone();
        fixed = Some(done);
        left
    } else {
        lint::lint(folder, options)?
    };
    let count = |severity| {
        problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    };
    let (errors, warnings, infos) = (
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Info),
    );
    problems.drain(..offset.min(problems.len()));
    let more = problems.len().checked_sub(TOLD).filter(|more| *more > 0);
    problems.truncate(TOLD);
    let (changed, backup, mut notes) = match fixed {
        Some(fixed) => (Some(fixed.changed), fixed.backup, fixed.notes),
        None => (None, None, Vec::new()),
    };
    if more.is_some() {
        notes.push(format!("continue with `offset`: {}", offset + TOLD));
    }
    Ok(Validated {
        draft_folder: Some(folder.to_string_lossy().into_owned()),
        ok: errors + warnings == 0,
        errors,
        warnings,
        infos,
        problems,
        more,
        changed,
        backup: backup.map(|backup| backup.to_string_lossy().into_owned()),
        look: None,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_draft_is_named_by_its_path_or_by_its_name_in_a_drafts_folder() {
        let drafts = tempfile::tempdir().unwrap();
        fs::create_dir(drafts.path().join("my trip")).unwrap();
        let folders = [PathBuf::from("/nowhere"), drafts.path().to_owned()];
        let found = find(Path::new("my trip"), &folders).unwrap();
        assert_eq!(found, drafts.path().join("my trip"));
        assert_eq!(find(&found, &[]).unwrap(), found);
        let error = find(Path::new("other"), &folders).unwrap_err();
        assert!(error.to_string().contains("\"other\""), "{error}");
    }

    #[test]
    fn problems_are_counted_and_fixes_are_reported() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("draft");
        fs::create_dir(&folder).unwrap();
        let segments: Vec<_> = (0..60)
            .map(|n| json!({"id": format!("S{n}"), "speed": 1.0}))
            .collect();
        let document = json!({
            "id": "D", "fps": 30.0, "canvas_config": {"width": 9, "height": 16}, "materials": {},
            "tracks": [{"id": "T", "type": "text", "name": "", "segments": segments}]
        });
        fs::write(folder.join("draft_content.json"), document.to_string()).unwrap();
        let options = lint::LintOptions::new(root.path(), None);

        let seen = validate(&folder, &options, false, 0).unwrap();
        assert!(!seen.ok && seen.errors > 60 && seen.changed.is_none() && seen.backup.is_none());
        assert_eq!(seen.problems.len(), TOLD);
        assert_eq!(
            seen.problems.len() + seen.more.unwrap(),
            seen.errors + seen.warnings + seen.infos
        );

        let fixed = validate(&folder, &options, true, 0).unwrap();
        assert!(fixed.errors < seen.errors);
        let changed = fixed.changed.unwrap();
        assert!(
            changed.contains(&"draft_meta_info.json".to_owned()),
            "{changed:?}"
        );
        assert!(
            Path::new(&fixed.backup.unwrap())
                .join("draft_content.json")
                .is_file()
        );
    }

    #[test]
    fn a_call_must_name_a_draft() {
        let call = |value| -> ValidateDraft { serde_json::from_value(value).unwrap() };
        assert_eq!(call(json!({"fix": true})).faults().len(), 1);
        assert!(call(json!({"draft_folder": "/d"})).faults().is_empty());
    }
}
