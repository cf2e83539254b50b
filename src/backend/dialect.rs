//! How known servers differ, and how to distinguish them.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::envelope::{self, EnvelopeContent};
use crate::units::Edition;

/// A kind of server that speaks the CapCut API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// CapCutAPI, also called VectCutAPI, as recorded in `tests/golden`.
    Reference,
    /// Newer VectCutAPI, which has previews and `draft_profile`.
    VectCut,
    /// VectCutAPI rewritten on FastAPI.
    FastApi,
    /// CapCutAPI 1.1.0, a fork: saves continue after the answer, and some answers have no envelope.
    Fork,
    /// CapCutAPI-Docker: saves wait in a queue, and `GET /health` answers.
    Docker,
    /// `capcut-mcp engine`.
    Engine,
}

/// The known servers, and what to expect of each.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the rows of a table"
)]
struct KnownServer {
    dialect: Dialect,
    name: &'static str,
    /// It saves drafts into the `draft_folder` of the call.
    saves_into_draft_folder: bool,
    /// If it reports that a save succeeded, it did.
    is_truthful: bool,
    /// For an unknown draft id it makes a new, empty draft with that id.
    recreates_drafts: bool,
    /// Saved drafts contain the keyframes that it acknowledged.
    keeps_keyframes: bool,
    caveats: &'static [&'static str],
}

const OPEN_TO_ALL: &str = "it listens on all interfaces without authentication: anyone on the network can use it and read files through it";
const FORGETS: &str = "it keeps drafts in memory only: a restart forgets them";
const SAYS_SAVED: &str = "it can report success for a failed save; each save is checked";

const KNOWN: [KnownServer; 6] = [
    KnownServer {
        dialect: Dialect::Reference,
        name: "CapCutAPI",
        saves_into_draft_folder: false,
        is_truthful: false,
        recreates_drafts: false,
        keeps_keyframes: true,
        caveats: &[OPEN_TO_ALL, FORGETS, SAYS_SAVED],
    },
    KnownServer {
        dialect: Dialect::VectCut,
        name: "VectCutAPI (newer than CapCutAPI)",
        saves_into_draft_folder: true,
        is_truthful: false,
        recreates_drafts: false,
        keeps_keyframes: true,
        caveats: &[
            "its preview serves any file of its machine to anyone who can reach it",
            FORGETS,
            SAYS_SAVED,
        ],
    },
    KnownServer {
        dialect: Dialect::FastApi,
        name: "VectCutAPI (FastAPI)",
        saves_into_draft_folder: true,
        is_truthful: false,
        recreates_drafts: false,
        keeps_keyframes: true,
        caveats: &[FORGETS, SAYS_SAVED],
    },
    KnownServer {
        dialect: Dialect::Fork,
        name: "CapCutAPI 1.1.0 (fork)",
        saves_into_draft_folder: false,
        is_truthful: false,
        recreates_drafts: true,
        keeps_keyframes: false,
        caveats: &[
            OPEN_TO_ALL,
            FORGETS,
            SAYS_SAVED,
            "after a restart it accepts calls on drafts that it lost; capcut-mcp checks first that the draft exists",
            "it does not keep keyframes; calls that add keyframes are refused",
        ],
    },
    KnownServer {
        dialect: Dialect::Docker,
        name: "CapCutAPI-Docker",
        saves_into_draft_folder: false,
        is_truthful: false,
        recreates_drafts: false,
        keeps_keyframes: true,
        caveats: &[
            "`GET /debug` shows its key to anyone who can reach it",
            SAYS_SAVED,
            "its save queue skips a draft that it saved within the last hour; the saved draft is compared",
        ],
    },
    KnownServer {
        dialect: Dialect::Engine,
        name: "capcut-mcp engine",
        saves_into_draft_folder: false,
        is_truthful: true,
        recreates_drafts: false,
        keeps_keyframes: true,
        caveats: &[],
    },
];

impl Dialect {
    fn known(self) -> &'static KnownServer {
        KNOWN
            .iter()
            .find(|known| known.dialect == self)
            .expect("every dialect is in the table: a test checks this")
    }

    pub(crate) fn name(self) -> &'static str {
        self.known().name
    }

    /// Known problems of this server.
    pub(crate) fn caveats(self) -> &'static [&'static str] {
        self.known().caveats
    }

    /// Whether our tables contain all names that it knows; a newer server may know more.
    pub(crate) fn names_are_ours(self) -> bool {
        matches!(self, Self::Reference | Self::Engine)
    }

    pub(crate) fn is_truthful(self) -> bool {
        self.known().is_truthful
    }

    pub(crate) fn recreates_drafts(self) -> bool {
        self.known().recreates_drafts
    }

    pub(crate) fn keeps_keyframes(self) -> bool {
        self.known().keeps_keyframes
    }

    pub(crate) fn saves_into_draft_folder(self) -> bool {
        self.known().saves_into_draft_folder
    }
}

/// The server at an address.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub dialect: Dialect,
    /// The app whose catalog names it knows.
    pub edition: Edition,
    /// How long it took to answer one request.
    pub latency: Duration,
    pub version: Option<String>,
    /// It keeps its drafts in the same journal as this process.
    pub same_journal: bool,
    /// It understands our own dialect in addition to the API's.
    pub takes_strict: bool,
    /// It forwards calls to another server.
    pub is_front: bool,
}

/// The answers to the requests that identify a server: status and body.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// `GET /get_mask_types`
    pub masks: Option<(u16, Vec<u8>)>,
    /// `GET /health`
    pub health: Option<(u16, Vec<u8>)>,
    /// `GET /`
    pub root: Option<(u16, Vec<u8>)>,
    /// `OPTIONS /preview/media`
    pub preview: Option<(u16, Vec<u8>)>,
    /// `OPTIONS /read_project`
    pub projects: Option<(u16, Vec<u8>)>,
    /// `GET /openapi.json`
    pub openapi: Option<(u16, Vec<u8>)>,
}

/// Whether the server says which journal its drafts are in.
pub(crate) fn names_journal(answers: &Answers) -> bool {
    let health = answers.health.as_ref().map(|(_, body)| body);
    let health = health.and_then(|body| serde_json::from_slice::<Value>(body).ok());
    health.is_some_and(|health| health["journal"].is_string())
}

/// Identifies the server, or says what the answer looks like instead; `journal` is the id of this process's
/// journal.
pub(crate) fn recognise(
    answers: &Answers,
    latency: Duration,
    journal: Option<&str>,
) -> Result<Server, String> {
    let Some((status, body)) = &answers.masks else {
        return Err("nothing".into());
    };
    let output: Option<Value> = serde_json::from_slice::<Value>(body)
        .ok()
        .filter(|envelope| *status == 200 && envelope["success"] == true)
        .map(|mut envelope| envelope["output"].take());
    let names: Vec<String> = output
        .as_ref()
        .and_then(Value::as_array)
        .map(|list| {
            list.iter()
                .filter_map(|entry| entry["name"].as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    if names.is_empty() {
        return Err(format!("{status} with {}", envelope::looks_like(body)));
    }
    let edition = if names.iter().any(|name| !name.is_ascii()) {
        Edition::Jianying
    } else {
        Edition::Capcut
    };
    let json = |answer: &Option<(u16, Vec<u8>)>| {
        answer
            .as_ref()
            .filter(|(status, _)| *status == 200)
            .and_then(|(_, body)| serde_json::from_slice::<Value>(body).ok())
            .filter(Value::is_object)
    };
    // At the top level, or in the API's envelope.
    let version = |of: &Value| {
        let text = [&of["version"], &of["output"]["version"]];
        let text = text.into_iter().find_map(Value::as_str)?;
        Some(envelope::shown(text).chars().take(VERSION_CHARS).collect())
    };
    let server = |dialect, version, same_journal| Server {
        dialect,
        edition,
        latency,
        version,
        same_journal,
        takes_strict: false,
        is_front: false,
    };
    if let Some(health) = json(&answers.health).filter(|health| health["service"] == ENGINE_NAME) {
        let mark = journal.map(mark);
        let same = mark.is_some() && health["journal"].as_str() == mark.as_deref();
        return Ok(Server {
            takes_strict: health["manners"]
                .as_array()
                .is_some_and(|manners| manners.iter().any(|manner| manner == envelope::STRICT)),
            is_front: health["servers"].is_array(),
            ..server(Dialect::Engine, version(&health), same)
        });
    }
    let health = json(&answers.health);
    let of_health = || health.as_ref().and_then(version);
    if let Some(description) = json(&answers.openapi)
        && description["paths"]["/save_draft"].is_object()
    {
        return Ok(server(Dialect::FastApi, of_health(), false));
    }
    let says = |text: &str| {
        health
            .as_ref()
            .is_some_and(|health| health["message"] == text)
    };
    if says(DOCKER_HEALTH) {
        return Ok(server(Dialect::Docker, of_health(), false));
    }
    if let Some(root) = json(&answers.root) {
        return Ok(server(Dialect::Fork, version(&root), false));
    }
    // VectCutAPI has had previews since July 2026, and reads projects since September 2026.
    let has =
        |answer: &Option<(u16, Vec<u8>)>| answer.as_ref().is_some_and(|(status, _)| *status == 200);
    let dialect = if has(&answers.preview) || has(&answers.projects) {
        Dialect::VectCut
    } else {
        Dialect::Reference
    };
    Ok(server(dialect, of_health(), false))
}

/// Moves what our own server or this process added next to the API's `output` into the output, as in our replies.
pub(super) fn join(opened: &mut EnvelopeContent) {
    let Some(output) = opened.output.as_object_mut() else {
        return;
    };
    for (name, value) in std::mem::take(&mut opened.beside) {
        match (name.as_str(), value) {
            // These name the backend of this process, not that of the server.
            ("backend" | "reason", _) => {}
            (_, value) => {
                output.insert(name, value);
            }
        }
    }
}

/// How many characters of a server's version are kept.
const VERSION_CHARS: usize = 40;
/// The health message of CapCutAPI-Docker; nothing else distinguishes it from CapCutAPI, from which it was forked.
const DOCKER_HEALTH: &str = "CapCutAPI is running normally";
const ENGINE_NAME: &str = "capcut-mcp";

/// What our own server answers to `GET /health`; [`recognise`] identifies it by this.
pub(crate) fn engine_health(edition: Edition, journal: Option<&str>) -> Value {
    let mut health = json!({
        "status": "ok",
        "service": ENGINE_NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "edition": edition.name(),
        "manners": ["api", envelope::STRICT],
    });
    if let Some(journal) = journal {
        health["journal"] = json!(mark(journal));
    }
    health
}

/// A hash of a journal's id: it identifies the journal, and does not reveal its file.
fn mark(journal: &str) -> String {
    use std::fmt::Write as _;
    let hash = Sha256::digest(journal);
    hash.iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(names: &[&str]) -> (u16, Vec<u8>) {
        let list: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        (
            200,
            json!({ "success": true, "output": list, "error": "" })
                .to_string()
                .into(),
        )
    }

    fn page() -> (u16, Vec<u8>) {
        (404, b"<!doctype html><title>404 Not Found</title>".to_vec())
    }

    fn recognised(answers: &Answers) -> Result<Server, String> {
        recognise(answers, Duration::ZERO, Some("1f-7"))
    }

    #[test]
    fn every_dialect_is_in_the_table() {
        for dialect in [
            Dialect::Reference,
            Dialect::VectCut,
            Dialect::FastApi,
            Dialect::Fork,
            Dialect::Docker,
            Dialect::Engine,
        ] {
            assert_eq!(dialect.known().dialect, dialect);
        }
    }

    #[test]
    fn recognises_the_reference_server_by_its_missing_root_and_health() {
        let answers = Answers {
            masks: Some(masks(&["Linear"])),
            health: Some(page()),
            root: Some(page()),
            preview: Some(page()),
            ..Answers::default()
        };
        let server = recognised(&answers).unwrap();
        assert_eq!(
            (server.dialect, server.edition),
            (Dialect::Reference, Edition::Capcut)
        );
    }

    #[test]
    fn recognises_fastapi_by_its_openapi_description_and_newer_servers_by_their_routes() {
        let json = |value: Value| Some((200, value.to_string().into()));
        let answers = Answers {
            masks: Some(masks(&["Linear"])),
            health: json(json!({ "status": "healthy", "version": "2.0" })),
            root: Some(page()),
            openapi: json(
                json!({ "info": { "title": "VectCutAPI" }, "paths": { "/save_draft": {} } }),
            ),
            ..Answers::default()
        };
        let server = recognised(&answers).unwrap();
        assert_eq!(
            (server.dialect, server.version.as_deref()),
            (Dialect::FastApi, Some("2.0"))
        );
        let answers = Answers {
            masks: Some(masks(&["Linear"])),
            projects: Some((200, Vec::new())),
            ..Answers::default()
        };
        assert_eq!(recognised(&answers).unwrap().dialect, Dialect::VectCut);
        let answers = Answers {
            masks: Some(masks(&["Linear"])),
            root: json(json!({ "success": true, "output": { "version": "1.1.0" } })),
            ..Answers::default()
        };
        let server = recognised(&answers).unwrap();
        assert_eq!(
            (server.dialect, server.version.as_deref()),
            (Dialect::Fork, Some("1.1.0"))
        );
    }

    #[test]
    fn recognises_the_fork_by_its_root_and_vectcut_by_its_preview() {
        let root = Some((
            200,
            br#"{"message":"CapCutAPI","version":"1.1.0"}"#.to_vec(),
        ));
        let answers = Answers {
            masks: Some(masks(&["线性"])),
            health: Some(page()),
            root,
            preview: Some(page()),
            ..Answers::default()
        };
        let server = recognised(&answers).unwrap();
        assert_eq!(
            (server.dialect, server.edition),
            (Dialect::Fork, Edition::Jianying)
        );
        assert_eq!(server.version.as_deref(), Some("1.1.0"));
        let preview = Some((200, Vec::new()));
        let answers = Answers {
            masks: Some(masks(&["Linear"])),
            health: Some(page()),
            root: Some(page()),
            preview,
            ..Answers::default()
        };
        assert_eq!(recognised(&answers).unwrap().dialect, Dialect::VectCut);
    }

    #[test]
    fn recognises_our_engine_and_whether_it_shares_the_journal() {
        for (journal, same) in [(Some("1f-7"), true), (Some("1f-8"), false), (None, false)] {
            let health = engine_health(Edition::Capcut, journal);
            let health = Some((200, health.to_string().into()));
            let answers = Answers {
                masks: Some(masks(&["Linear"])),
                health,
                root: Some(page()),
                preview: Some(page()),
                ..Answers::default()
            };
            let server = recognised(&answers).unwrap();
            assert_eq!(
                (server.dialect, server.same_journal),
                (Dialect::Engine, same)
            );
        }
    }

    #[test]
    fn other_answers_are_refused_with_what_they_look_like() {
        let text = recognised(&Answers {
            masks: Some(page()),
            ..Answers::default()
        })
        .unwrap_err();
        assert!(text.contains("404") && text.contains("Not Found"), "{text}");
        let other = Some((200, br#"{"hello":"world"}"#.to_vec()));
        let text = recognised(&Answers {
            masks: other,
            ..Answers::default()
        })
        .unwrap_err();
        assert!(text.contains("hello"), "{text}");
    }
}
