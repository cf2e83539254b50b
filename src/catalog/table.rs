//! The tables in `data/`, parsed and indexed on first use.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use capcut_draft::PROPERTIES;

use super::{CatalogEntry, NameKind, Param};
use crate::units::{Edition, Micros};

/// A file of `data/`: the kind, the edition (`None` for both), and the text.
type Table = (NameKind, Option<Edition>, &'static str);

macro_rules! tables {
    ($($kind:ident $place:tt $file:literal)*) => {
        &[$((NameKind::$kind, tables!(@ $place), include_str!(concat!("data/", $file, ".tsv")))),*]
    };
    (@ shared) => { None };
    (@ $edition:ident) => { Some(Edition::$edition) };
}

/// Pairs of names of both editions that look alike, although the apps have different resources for them.
static ALIKE: &str = include_str!("data/alike.tsv");

/// The pairs of a kind that look alike: the names in CapCut and in JianYing.
pub(super) fn alike(kind: NameKind) -> impl Iterator<Item = [&'static str; 2]> {
    ALIKE.lines().filter_map(move |line| {
        let mut cells = line.split('\t');
        if cells.next()? != kind.name() {
            return None;
        }
        Some([cells.next()?, cells.next()?])
    })
}

const TABLES: &[Table] = tables! {
    Transition Capcut "transition.capcut"
    Transition Jianying "transition.jianying"
    Mask Capcut "mask.capcut"
    Mask Jianying "mask.jianying"
    VideoIntro Capcut "video_intro.capcut"
    VideoIntro Jianying "video_intro.jianying"
    VideoOutro Capcut "video_outro.capcut"
    VideoOutro Jianying "video_outro.jianying"
    VideoCombo Capcut "video_combo.capcut"
    VideoCombo Jianying "video_combo.jianying"
    TextIntro Capcut "text_intro.capcut"
    TextIntro Jianying "text_intro.jianying"
    TextOutro Capcut "text_outro.capcut"
    TextOutro Jianying "text_outro.jianying"
    TextLoop Capcut "text_loop.capcut"
    TextLoop Jianying "text_loop.jianying"
    SceneEffect Capcut "scene_effect.capcut"
    SceneEffect Jianying "scene_effect.jianying"
    CharacterEffect Capcut "character_effect.capcut"
    CharacterEffect Jianying "character_effect.jianying"
    VoiceFilter Capcut "voice_filter.capcut"
    AudioScene Jianying "audio_scene.jianying"
    Tone Jianying "tone.jianying"
    SpeechToSong Jianying "speech_to_song.jianying"
    Font shared "font.shared"
    Font Jianying "font.jianying"
    Filter shared "filter.shared"
    Filter Jianying "filter.jianying"
    BlendMode Capcut "blend_mode.capcut"
    BlendMode Jianying "blend_mode.jianying"
};

/// Data recorded from the API that no source package has: whole lines, and parameters for lines of the tables above.
static RECORDED: &str = include_str!("data/recorded.tsv");

const NO_PARAMS: &str = "-";

/// The names of one kind and edition.
pub(super) struct NameIndex {
    entries: Vec<&'static CatalogEntry>,
    exact: HashMap<&'static str, &'static CatalogEntry>,
    plain: HashMap<String, &'static CatalogEntry>,
    /// The names for the search, built on first use.
    names: OnceLock<Vec<IndexedName>>,
}

/// One of the names of an entry, prepared for comparison.
pub(super) struct IndexedName {
    pub entry: &'static CatalogEntry,
    pub plain: String,
    pub words: Vec<String>,
    /// A name in another language, or a former one.
    pub also: bool,
}

impl NameIndex {
    pub(super) fn entries(&self) -> &[&'static CatalogEntry] {
        &self.entries
    }

    /// The entry with exactly this key.
    pub(super) fn exact(&self, key: &str) -> Option<&'static CatalogEntry> {
        self.exact.get(key).copied()
    }

    /// The entry with this [`normalised`] key, display name, id or other name.
    pub(super) fn plain(&self, name: &str) -> Option<&'static CatalogEntry> {
        self.plain.get(name).copied()
    }

    pub(super) fn names(&self) -> &[IndexedName] {
        self.names.get_or_init(|| {
            self.entries
                .iter()
                .flat_map(|entry| names_of(entry))
                .collect()
        })
    }

    fn new(edition: Edition, kind: NameKind) -> Self {
        if kind == NameKind::Property {
            return Self::of_properties();
        }
        let (known, more): (Vec<_>, Vec<_>) = TABLES
            .iter()
            .enumerate()
            .filter(|(_, table)| table.0 == kind && table.1.is_none_or(|of| of == edition))
            .flat_map(|(number, _)| entries(number))
            .chain(whole_recorded(edition, kind))
            .partition(|entry| !entry.more);

        let mut exact = HashMap::new();
        let mut plain = HashMap::new();
        // The first insertion wins: keys take precedence over display names, and the API's own names over the rest.
        for group in [&known, &more] {
            for entry in group {
                exact.entry(entry.key).or_insert(*entry);
                plain.entry(normalised(entry.key)).or_insert(*entry);
            }
            for entry in group {
                plain.entry(normalised(entry.display)).or_insert(*entry);
            }
        }
        for entry in known.iter().chain(&more) {
            for name in [entry.resource_id, entry.effect_id]
                .iter()
                .chain(entry.also)
            {
                plain.entry(normalised(name)).or_insert(*entry);
            }
        }
        plain.remove("");
        Self {
            entries: known.into_iter().chain(more).collect(),
            exact,
            plain,
            names: OnceLock::new(),
        }
    }
}

impl NameIndex {
    /// The properties of clips, by their names in both languages and what they are.
    fn of_properties() -> Self {
        let offered = PROPERTIES
            .iter()
            .filter(|property| property.only_in_app().is_none());
        let entries = offered.map(|property| {
            let words = property.evidence().map_or("", |known| known.words);
            let words = words.split('|').filter(|name| !name.is_empty());
            let also: Vec<&'static str> = property.aliases.iter().copied().chain(words).collect();
            property_entry(property.name, property.about, also.leak())
        });
        let entries: Vec<&'static CatalogEntry> = entries.collect();
        Self {
            exact: entries.iter().map(|entry| (entry.key, *entry)).collect(),
            plain: HashMap::new(),
            entries,
            names: OnceLock::new(),
        }
    }
}

/// A property of clips or an argument of tools as an entry, for the search.
pub(crate) fn property_entry(
    name: &'static str,
    about: &'static str,
    also: &'static [&'static str],
) -> &'static CatalogEntry {
    Box::leak(Box::new(CatalogEntry {
        kind: NameKind::Property,
        edition: None,
        key: name,
        display: about,
        resource_id: "",
        effect_id: "",
        duration: None,
        is_overlap: false,
        vip: false,
        params: &[],
        aspect_ratio: 1.0,
        resource_type: "",
        also,
        more: false,
    }))
}

/// The index of a kind in an edition; empty if the edition does not have the kind.
pub(super) fn index(edition: Edition, kind: NameKind) -> &'static NameIndex {
    const KINDS: usize = NameKind::ALL.len() + 1;
    static INDEXES: [[OnceLock<NameIndex>; KINDS]; 2] =
        [const { [const { OnceLock::new() }; KINDS] }; 2];
    INDEXES[edition as usize][kind as usize].get_or_init(|| NameIndex::new(edition, kind))
}

/// The form in which names are compared: lower case, without spaces, underscores and hyphens.
pub(super) fn normalised(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The words of a name, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    name.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The names of an entry, for the search.
pub(super) fn names_of(entry: &'static CatalogEntry) -> Vec<IndexedName> {
    let mut names = vec![name(entry, entry.key, false)];
    if normalised(entry.display) != normalised(entry.key) {
        names.push(name(entry, entry.display, false));
    }
    names.extend(entry.also.iter().map(|also| name(entry, also, true)));
    names
}

fn name(entry: &'static CatalogEntry, text: &str, also: bool) -> IndexedName {
    IndexedName {
        entry,
        plain: normalised(text),
        words: words(text),
        also,
    }
}

/// The entries of one of [`TABLES`]. Shared tables (fonts and filters) are parsed once for both editions.
fn entries(number: usize) -> &'static [CatalogEntry] {
    static ENTRIES: [OnceLock<Vec<CatalogEntry>>; TABLES.len()] =
        [const { OnceLock::new() }; TABLES.len()];
    ENTRIES[number].get_or_init(|| {
        let (kind, edition, text) = TABLES[number];
        let recorded = &RECORDINGS.params;
        lines(text)
            .map(|line| {
                let mut entry = entry(kind, edition, line);
                if let Some(params) = recorded.get(&(kind, edition, entry.key)) {
                    entry.params = parsed_params(params);
                }
                entry
            })
            .collect()
    })
}

struct Recordings {
    entries: Vec<CatalogEntry>,
    params: HashMap<(NameKind, Option<Edition>, &'static str), &'static str>,
}

static RECORDINGS: LazyLock<Recordings> = LazyLock::new(|| {
    let mut recordings = Recordings {
        entries: Vec::new(),
        params: HashMap::new(),
    };
    for line in lines(RECORDED) {
        let mut cells = line.splitn(3, '\t');
        let mut cell = || cells.next().unwrap_or_default();
        let kind = cell().parse().expect("a test reads every table");
        let edition = cell().parse().ok();
        let entry = entry(kind, edition, cell());
        if entry.resource_id.is_empty() {
            let params = line.rsplit('\t').next().unwrap_or_default();
            recordings.params.insert((kind, edition, entry.key), params);
        } else {
            recordings.entries.push(entry);
        }
    }
    recordings
});

fn whole_recorded(edition: Edition, kind: NameKind) -> impl Iterator<Item = &'static CatalogEntry> {
    RECORDINGS
        .entries
        .iter()
        .filter(move |entry| entry.kind == kind && entry.edition.is_none_or(|of| of == edition))
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Columns: see `scripts/catalogs.py`.
fn entry(kind: NameKind, edition: Option<Edition>, line: &'static str) -> CatalogEntry {
    let mut cells = line.split('\t');
    let mut cell = || cells.next().unwrap_or_default();
    let or = |text: &'static str, other| if text.is_empty() { other } else { text };

    let key = cell();
    let display = or(cell(), key);
    let resource_id = cell();
    let effect_id = or(cell(), resource_id);
    let duration = cell()
        .parse()
        .ok()
        .map(|ms: f64| Micros((ms * 1e3).round() as i64));
    let flags = cell();
    let params = parsed_params(cell());
    let also = cell()
        .split('|')
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>();
    CatalogEntry {
        kind,
        edition,
        key,
        display,
        resource_id,
        effect_id,
        duration,
        is_overlap: flags.contains('o'),
        vip: flags.contains('v'),
        more: flags.contains('m'),
        params,
        also: also.leak(),
        resource_type: cell(),
        aspect_ratio: cell().parse().unwrap_or(1.0),
    }
}

/// Parses `name default[ min max];…`, where `~` stands for `effects_adjust_`. Leaks the result, because the tables
/// live as long as the process.
fn parsed_params(text: &'static str) -> &'static [Param] {
    if text.is_empty() || text == NO_PARAMS {
        return &[];
    }
    let params: Vec<Param> = text
        .split(';')
        .map(|param| {
            let mut cells = param.split(' ');
            let name = cells.next().unwrap_or_default();
            let mut number = |otherwise| {
                cells.next().map_or(otherwise, |text| {
                    text.parse().expect("a test reads every table")
                })
            };
            Param {
                name: match name.strip_prefix('~') {
                    Some(rest) => String::leak(format!("effects_adjust_{rest}")),
                    None => name,
                },
                default: number(0.0),
                min: number(0.0),
                max: number(1.0),
            }
        })
        .collect();
    params.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_names_its_source_and_has_lines() {
        for (kind, edition, text) in TABLES {
            let first = text.lines().next().unwrap();
            assert!(first.starts_with("# ") && first.contains('('), "{first}");
            assert!(lines(text).count() > 0, "{kind:?} {edition:?}");
        }
        assert!(RECORDED.starts_with("# Recorded from the answers of the CapCut API"));
        assert!(lines(RECORDED).count() > 400);
    }

    #[test]
    fn every_recorded_line_belongs_to_a_name() {
        for ((kind, edition, key), params) in &RECORDINGS.params {
            let found = index(edition.unwrap_or_default(), *kind)
                .exact(key)
                .unwrap();
            assert_eq!(found.params.is_empty(), *params == NO_PARAMS, "{key}");
        }
    }

    #[test]
    fn every_entry_has_ids_and_its_own_key() {
        let mut seen = 0;
        for edition in Edition::ALL {
            for kind in NameKind::ALL {
                let index = index(edition, kind);
                for entry in index.entries() {
                    assert!(!entry.resource_id.is_empty() && !entry.effect_id.is_empty());
                    let found = index.exact(entry.key).unwrap();
                    assert!(std::ptr::eq(found, *entry), "{kind:?} {}", entry.key);
                    seen += 1;
                }
            }
        }
        assert!(seen > 5000, "{seen}");
    }
}
