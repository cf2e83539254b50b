//! `show`, `edit`, `history`, `diff`: drafts of any program at a shell.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use capcut_draft::{Document, InspectFilter};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::caller::Caller;
use crate::cli;
use crate::compose::source::{PlanFormat, PlanSource};
use crate::engine::documents::document_error;
use crate::error::{Error, Result};
use crate::exec::drafts::{NamedDraft, document_of, named};
use crate::exec::{App, Context};
use crate::local;
use crate::local::differences::differences;
use crate::local::rows::whole_text;
use crate::printable::one_line;
use crate::regular_file::{self, TEXT_BYTES};

/// Prints the tracks and clips of a draft.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp show my-video                       a draft in the app's folder, by its name
  capcut-mcp show dfd_cat_1767225600_0a1b2c3d    a draft of this program, by its id
  capcut-mcp show ./my-video --json")]
pub(super) struct ShowDraft {
    /// An id, an exact name, a draft's folder, or its document.
    draft: String,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Changes a draft: all operations or none.
///
/// An operation is a word, a clip, and values: `set c12 volume=0.5`. The clip is an id, its words or its file's name.
/// `docs/editing-drafts.md` lists the operations.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp edit my-video 'replace_text c2 \"A new title\"'
  capcut-mcp edit my-video 'set c1 volume=0.5' 'shift 10 2'
  capcut-mcp edit my-video --file operations.yaml
  capcut-mcp edit my-video 'remove t2' --dry-run")]
pub(super) struct EditOnce {
    /// An id, an exact name, a draft's folder, or its document.
    draft: String,
    /// Operations such as `set c12 volume=0.5`.
    #[arg(value_name = "OPERATION", required_unless_present = "file")]
    operations: Vec<String>,
    /// A YAML or JSON file with a list of operations; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only prints what would change.
    #[arg(long)]
    dry_run: bool,
    /// A name for the state after this.
    #[arg(long, value_name = "NAME")]
    checkpoint: Option<String>,
}

/// Prints the steps of a draft, the last one first. `call undo_draft` undoes them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp history dfd_cat_1767225600_0a1b2c3d
  capcut-mcp call undo_draft draft_id=ID steps=2")]
pub(super) struct ShowHistory {
    /// An id or an exact name.
    draft: String,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints how two drafts differ. Exit codes: 0 = they are alike, 1 = they differ.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp diff my-video dfd_cat_1767225600_0a1b2c3d
  capcut-mcp diff ./my-video \"./my-video (1)\"")]
pub(super) struct DiffDrafts {
    /// An id, an exact name, a draft's folder, or its document.
    a: String,
    /// The same.
    b: String,
}

impl ShowDraft {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let draft = named(&app, &Caller::user(), &self.draft).await?;
        let context = Context::of(&Caller::user());
        let (document, folder) = document_of(&app, &draft, &context).await?;
        if !self.json {
            return cli::print(&whole_text(&document, folder.as_deref())?);
        }
        let rows = document.inspect(&InspectFilter::default());
        let rows = rows.map_err(document_error)?;
        cli::print(&cli::json_text(
            &json!({ "summary": document.summary(), "tracks": rows }),
        ))
    }
}

impl EditOnce {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let mut operations = Vec::new();
        if let Some(file) = &self.file {
            operations.extend(listed(file)?);
        }
        for text in &self.operations {
            operations.push(Value::Object(operation(text)?));
        }
        let here = std::env::current_dir().ok();
        for operation in operations.iter_mut().filter_map(Value::as_object_mut) {
            for name in ["media", "still"] {
                let Some(Value::String(path)) = operation.get_mut(name) else {
                    continue;
                };
                if let Some(here) = &here
                    && !path.contains("://")
                    && !Path::new(path.as_str()).is_absolute()
                {
                    *path = here.join(path.as_str()).to_string_lossy().into_owned();
                }
            }
        }
        let id = match named(&app, &Caller::user(), &self.draft).await? {
            NamedDraft::Known(id) => id.0,
            NamedDraft::OnDisk(path) => {
                let opened = call(&app, "open_draft", json!({ "draft": path })).await?;
                opened["draft_id"].as_str().unwrap_or_default().to_owned()
            }
        };
        let mut arguments = json!({
            "draft_id": id,
            "operations": operations,
            "dry_run": self.dry_run,
        });
        if let Some(checkpoint) = self.checkpoint {
            arguments["checkpoint"] = checkpoint.into();
        }
        let reply = call(&app, "edit_draft", arguments).await?;
        let mut text = String::new();
        for change in strings(&reply["changes"]) {
            let _ = writeln!(text, "{}", one_line(change));
        }
        for note in strings(&reply["notes"]) {
            let _ = writeln!(text, "note: {}", one_line(note));
        }
        let id = reply["draft_id"].as_str().unwrap_or_default();
        let _ = writeln!(text, "draft {id}");
        cli::print(&text)
    }
}

impl ShowHistory {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let draft = named(&app, &Caller::user(), &self.draft).await?;
        let NamedDraft::Known(id) = draft else {
            return Err(Error::not_found(format!("{:?} has no history here", self.draft))
                .hint("only drafts that were made or opened here have one; `open_draft` opens a draft")
                .into());
        };
        let steps = app.engine.history(&id).await?.steps();
        if self.json {
            return cli::print(&cli::json_text(&json!({ "draft_id": id, "steps": steps })));
        }
        let mut text = String::new();
        for step in steps.iter().rev() {
            let _ = write!(text, "{:>4}  {}", step.sequence, step.changes.join("; "));
            if let Some(name) = &step.checkpoint {
                let _ = write!(text, "  [{name}]");
            }
            if let Some(by) = &step.by {
                let _ = write!(text, "  by {}", one_line(&by.to_string()));
            }
            if step.is_undone {
                text.push_str("  (undone)");
            }
            text.push('\n');
        }
        if steps.is_empty() {
            text.push_str("no steps since the draft was made or opened\n");
        }
        cli::print(&text)
    }
}

impl DiffDrafts {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let mut documents: Vec<Document> = Vec::with_capacity(2);
        for draft in [&self.a, &self.b] {
            let named = named(&app, &Caller::user(), draft).await?;
            let context = Context::of(&Caller::user());
            documents.push(document_of(&app, &named, &context).await?.0);
        }
        let found = differences(&documents[0], &documents[1])?;
        if found.is_empty() {
            return cli::print("the drafts are alike\n");
        }
        cli::print(&(found.join("\n") + "\n"))?;
        Ok(ExitCode::from(1))
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Calls a tool for the user at the shell.
pub(super) async fn call(app: &Arc<App>, tool: &str, arguments: Value) -> Result<Value> {
    let spec = local::find(tool).ok_or_else(|| Error::internal("a tool is missing"))?;
    let Value::Object(arguments) = arguments else {
        return Err(Error::internal("the arguments are not an object"));
    };
    let caller = Caller::shell();
    let decoded = local::decode(spec, arguments, &caller)?;
    decoded.answer(app, Context::of(&caller)).await
}

/// The operations of a file: a list, or an object with `operations`.
fn listed(file: &Path) -> Result<Vec<Value>> {
    let read = if file.as_os_str() == "-" {
        regular_file::read_stdin(TEXT_BYTES)
    } else {
        regular_file::read_named(file, TEXT_BYTES)
    };
    let shown = file.display().to_string();
    let text =
        read.map_err(|error| Error::invalid(format!("{shown} cannot be read")).source(error))?;
    let is_json = file.extension().is_some_and(|ending| ending == "json");
    let format = if is_json {
        PlanFormat::Json
    } else {
        PlanFormat::Yaml
    };
    let source = PlanSource::read(&text.text, format)?;
    let list = match source.value {
        Value::Array(list) => Some(list),
        Value::Object(mut object) => match object.remove("operations") {
            Some(Value::Array(list)) => Some(list),
            _ => None,
        },
        _ => None,
    };
    list.ok_or_else(|| {
        Error::invalid(format!("{shown} is not a list of operations"))
            .hint("write `- {op: set, clip: c12, volume: 0.5}`, one per line")
    })
}

/// Reads `set c12 volume=0.5`: the operation, its clip and first value, and further values.
fn operation(text: &str) -> Result<Map<String, Value>> {
    let words = words(text)?;
    let Some((op, rest)) = words.split_first() else {
        return Err(Error::invalid("an operation is empty").hint("write `set c12 volume=0.5`"));
    };
    let positions: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("replace_media", &["clip", "media"][..]),
        ("replace_text", &["clip", "text"]),
        ("move", &["clip", "at"]),
        ("shift", &["from", "by"]),
        ("split", &["clip", "at"]),
        ("duplicate", &["clip", "at"]),
        ("clear", &["clip", "what"]),
        ("clear_keyframes", &["clip", "property", "time"]),
        ("add_keyframes", &["clip", "property"]),
        ("track", &["track"]),
        ("canvas", &["width", "height"]),
        ("rename", &["name"]),
    ]);
    let names = positions
        .get(op.text.as_str())
        .copied()
        .unwrap_or(&["clip"]);
    let mut operation = Map::new();
    operation.insert("op".to_owned(), op.text.clone().into());
    let mut at = 0;
    for word in rest {
        let (name, value) = match &word.key {
            Some(key) => (key.clone(), word.text.as_str()),
            None => {
                let Some(name) = names.get(at) else {
                    return Err(Error::invalid(format!(
                        "{text:?}: {:?} is one value too many",
                        word.text
                    ))
                    .hint(
                        "write further values as `name=value`, and put words with blanks in quotes",
                    ));
                };
                at += 1;
                ((*name).to_owned(), word.text.as_str())
            }
        };
        let is_text = matches!(
            name.as_str(),
            "clip"
                | "text"
                | "media"
                | "still"
                | "name"
                | "rename"
                | "track"
                | "property"
                | "what"
                | "op"
        );
        let value = if is_text {
            value.into()
        } else {
            serde_json::from_str(value).unwrap_or_else(|_| value.into())
        };
        operation.insert(name, value);
    }
    Ok(operation)
}

/// A word of an operation, with the key in front of `=`.
struct OperationWord {
    key: Option<String>,
    text: String,
}

/// Splits at blanks, except in quotes.
fn words(text: &str) -> Result<Vec<OperationWord>> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while letters.next_if(|c| c.is_whitespace()).is_some() {}
    while letters.peek().is_some() {
        let mut word = OperationWord {
            key: None,
            text: String::new(),
        };
        let mut quote = None;
        let mut was_quoted = false;
        let mut depth = 0_usize;
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (Some(open), _) if letter == open => {
                    quote = None;
                    if depth > 0 {
                        word.text.push(letter);
                    }
                }
                (Some('"'), '\\') if depth == 0 => word.text.extend(letters.next()),
                (Some(_), _) => word.text.push(letter),
                (None, '"' | '\'') => {
                    quote = Some(letter);
                    was_quoted = true;
                    // Quotes within JSON belong to it.
                    if depth > 0 {
                        word.text.push(letter);
                    }
                }
                (None, '=') if word.key.is_none() && !was_quoted && !word.text.is_empty() => {
                    word.key = Some(std::mem::take(&mut word.text));
                }
                (None, _) if letter.is_whitespace() && depth == 0 => break,
                (None, _) => {
                    match letter {
                        '[' | '{' => depth += 1,
                        ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    word.text.push(letter);
                }
            }
        }
        if quote.is_some() {
            return Err(Error::invalid(format!("{text:?}: a quote is not closed")));
        }
        words.push(word);
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        Value::Object(operation(text).expect("an operation"))
    }

    #[test]
    fn an_operation_is_read_from_words() {
        assert_eq!(
            read("set c12 volume=0.5 bold=true"),
            json!({ "op": "set", "clip": "c12", "volume": 0.5, "bold": true })
        );
        assert_eq!(
            read(r#"replace_text "Old = title" 'It''s new'"#),
            json!({ "op": "replace_text", "clip": "Old = title", "text": "Its new" })
        );
        assert_eq!(
            read("shift 10 -2"),
            json!({ "op": "shift", "from": 10, "by": -2 })
        );
        assert_eq!(
            read("move c3 1:30 track=t2"),
            json!({ "op": "move", "clip": "c3", "at": "1:30", "track": "t2" })
        );
        assert_eq!(
            read(r#"add_keyframes c1 opacity points=[{"time": 0, "value": 1}]"#),
            json!({ "op": "add_keyframes", "clip": "c1", "property": "opacity",
                    "points": [{ "time": 0, "value": 1 }] })
        );
        assert_eq!(
            read("replace_text c1 text=42"),
            json!({ "op": "replace_text", "clip": "c1", "text": "42" })
        );
    }

    #[test]
    fn an_unreadable_operation_is_refused() {
        for (text, part) in [
            ("", "empty"),
            ("replace_text c1 A title", "too many"),
            ("replace_text c1 \"A title", "not closed"),
        ] {
            let error = operation(text).expect_err("refused");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
