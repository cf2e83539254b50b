//! The fonts of a system, and which of them a cluster is drawn with.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use unicode_script::{Script, UnicodeScript};

use crate::clusters::is_never_seen;
use crate::faces::{self, Face, by_name, embedded_face, faces_in, name_key};
use crate::folders::{OperatingSystem, font_folders};
use crate::glyphs::GlyphCache;
use crate::layout::TextLayout;
use crate::shape::Shaper;
use crate::text::{FontChoice, Language, Text};

/// A subset of DejaVu Sans; `scripts/embedded_font.py` makes it.
const EMBEDDED: &[u8] = include_bytes!("../assets/embedded.ttf");

/// Default families, the first that is there is used for what has no font of its own.
const PLAIN: [&str; 12] = [
    "notosans",
    "sfpro",
    "helveticaneue",
    "helvetica",
    "segoeui",
    "arial",
    "inter",
    "roboto",
    "dejavusans",
    "liberationsans",
    "opensans",
    "ubuntu",
];

/// Families for Han, Kana and Hangul, best first.
const SIMPLIFIED: &[&str] = &[
    "notosanscjksc",
    "notosanssc",
    "sourcehansanssc",
    "sourcehansanscn",
    "pingfangsc",
    "microsoftyahei",
    "hiraginosansgb",
    "heitisc",
    "wenquanyimicrohei",
    "wenquanyizenhei",
    "simhei",
    "simsun",
];
const TRADITIONAL: &[&str] = &[
    "notosanscjktc",
    "notosanstc",
    "sourcehansanstc",
    "pingfangtc",
    "microsoftjhenghei",
    "heititc",
    "mingliu",
];
const JAPANESE: &[&str] = &[
    "notosanscjkjp",
    "notosansjp",
    "sourcehansans",
    "hiraginosans",
    "hiraginokakugothicpron",
    "yugothic",
    "meiryo",
    "ipagothic",
    "msgothic",
];
const KOREAN: &[&str] = &[
    "notosanscjkkr",
    "notosanskr",
    "sourcehansansk",
    "applesdgothicneo",
    "malgungothic",
    "nanumgothic",
];

/// The fonts that texts are drawn with. Clones share everything; it may be used from several threads.
#[derive(Clone)]
pub struct Fonts {
    shared: Arc<Shared>,
}

struct Shared {
    /// Where to look, at the first use.
    folders: Vec<PathBuf>,
    set: OnceLock<FontSet>,
    shaper: Mutex<Shaper>,
    glyphs: GlyphCache,
}

/// Why a font file cannot be used.
#[derive(Debug)]
pub struct FontFileError {
    path: PathBuf,
    cause: Option<std::io::Error>,
}

impl fmt::Display for FontFileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Some(cause) => write!(out, "the font file {path} cannot be read: {cause}"),
            None => write!(out, "the file {path} has no font with letters"),
        }
    }
}

impl std::error::Error for FontFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

impl fmt::Debug for Fonts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Fonts");
        out.field("folders", &self.shared.folders);
        let faces = self.shared.set.get().map(|set| set.faces.len());
        out.field("faces", &faces).finish()
    }
}

impl Fonts {
    /// The fonts in the folders of the system and of the user, then the embedded one. The folders are read at the first use.
    pub fn of_system() -> Self {
        let variable = |name: &str| env::var_os(name);
        Self::of_folders(&font_folders(OperatingSystem::current(), variable))
    }

    /// The fonts in these folders and those below, then the embedded one. The folders are read at the first use.
    pub fn of_folders(folders: &[PathBuf]) -> Self {
        Self::with_set(folders.to_vec(), OnceLock::new())
    }

    /// These fonts, and those of a file, which parts choose by its path or by the names in it.
    ///
    /// # Errors
    /// If the file cannot be read or has no font.
    pub fn with_file(&self, path: &Path) -> Result<Self, FontFileError> {
        let error = |cause| FontFileError {
            path: path.to_owned(),
            cause,
        };
        let mut added = faces::faces_of_file(path).map_err(|cause| error(Some(cause)))?;
        for face in &mut added {
            // The shapes of a colour glyph are a graph, which in a file of a stranger may take any time to paint.
            face.has_colour = false;
        }
        if added.is_empty() {
            return Err(error(None));
        }
        let mut faces = self.set().faces.clone();
        // After the system's, so that no text uses it without naming it; before the embedded one, which is last.
        let at = faces.len().saturating_sub(1);
        faces.splice(at..at, added.into_iter().map(Arc::new));
        let mut files = self.set().files.clone();
        files.push(path.to_owned());
        let set = FontSet::new(faces, files);
        Ok(Self::with_set(self.shared.folders.clone(), set.into()))
    }

    /// Lays the text out. Any text gives a layout: what exceeds the limits is limited, and what no font has is drawn as a box.
    pub fn lay_out(&self, text: &Text) -> TextLayout {
        let shaper = &self.shared.shaper;
        // A panic in another thread leaves caches, which are valid at any time.
        let mut shaper = shaper.lock().unwrap_or_else(PoisonError::into_inner);
        shaper.lay_out(self.set(), &self.shared.glyphs, &text.limited())
    }

    fn with_set(folders: Vec<PathBuf>, set: OnceLock<FontSet>) -> Self {
        Self {
            shared: Arc::new(Shared {
                folders,
                set,
                shaper: Mutex::new(Shaper::new()),
                glyphs: GlyphCache::new(),
            }),
        }
    }

    fn set(&self) -> &FontSet {
        self.shared.set.get_or_init(|| {
            let mut faces: Vec<_> = faces_in(&self.shared.folders)
                .into_iter()
                .map(Arc::new)
                .collect();
            faces.extend(embedded_face(EMBEDDED).map(Arc::new));
            FontSet::new(faces, Vec::new())
        })
    }
}

/// A face with what has to be synthesised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChosenFace {
    /// Its place in [`FontSet::faces`].
    pub face: usize,
    /// The face is not bold, but has to look so.
    pub embolden: bool,
    /// The face is bold by its weight axis.
    pub bold_axis: bool,
    pub slant: bool,
}

/// Faces in the order in which they are asked for a character.
pub(crate) struct FontSet {
    /// The embedded one is last.
    pub faces: Vec<Arc<Face>>,
    /// The family of each face, as [`name_key`] makes it.
    keys: Vec<String>,
    names: HashMap<String, Vec<usize>>,
    families: HashMap<String, Vec<usize>>,
    /// All faces but pictures in colour, plain ones first.
    plain: Vec<usize>,
    /// Fonts of emoji, in colour first.
    emoji: Vec<usize>,
    /// The files that were added.
    files: Vec<PathBuf>,
}

impl FontSet {
    fn new(faces: Vec<Arc<Face>>, files: Vec<PathBuf>) -> Self {
        let mut families: HashMap<String, Vec<usize>> = HashMap::new();
        let mut keys = Vec::new();
        for (index, face) in faces.iter().enumerate() {
            let key = name_key(face.family.chars());
            families.entry(key.clone()).or_default().push(index);
            keys.push(key);
        }
        let is_added = |face: &Face| {
            face.path()
                .is_some_and(|path| files.iter().any(|f| f == path))
        };
        let embedded = faces.len().saturating_sub(1);
        let is_emoji = |index: usize| keys[index].contains("emoji") && !is_added(&faces[index]);
        let mut plain: Vec<usize> = (0..faces.len()).filter(|index| !is_emoji(*index)).collect();
        plain.sort_by_cached_key(|index| {
            let face = &faces[*index];
            let key = &keys[*index];
            let preferred = PLAIN.iter().position(|family| family == key);
            (
                *index == embedded,
                is_added(face),
                face.is_italic,
                (face.weight - 400.0).abs() as u32,
                !face.is_normal_width,
                face.is_monospaced,
                preferred.unwrap_or(PLAIN.len()),
                key.contains("lastresort"),
                key.contains("serif") || key.contains("times"),
                !key.contains("sans"),
                key.len(),
                *index,
            )
        });
        let mut emoji: Vec<usize> = (0..faces.len()).filter(|index| is_emoji(*index)).collect();
        emoji.sort_by_key(|index| (!faces[*index].has_colour, *index));
        Self {
            names: by_name(&faces),
            families,
            plain,
            emoji,
            files,
            keys,
            faces,
        }
    }

    /// The faces that the choice names; empty if there is none.
    pub(crate) fn named(&self, choice: &FontChoice) -> Vec<usize> {
        if let Some(file) = &choice.file
            && self.files.contains(file)
        {
            let of_file = |face: &Arc<Face>| face.path() == Some(file);
            let found = (0..self.faces.len()).filter(|index| of_file(&self.faces[*index]));
            return found.collect();
        }
        let family = choice.family.as_deref().unwrap_or_default();
        let key = name_key(family.chars().take(200));
        self.names.get(&key).cloned().unwrap_or_default()
    }

    /// The face for a cluster. `named`: what [`Self::named`] gave; `last`: the face of the cluster before.
    /// `None` if no face has its first visible character.
    pub(crate) fn choose(
        &self,
        cluster: &str,
        wanted: &Wanted,
        last: Option<ChosenFace>,
    ) -> Option<ChosenFace> {
        let style = wanted.choice;
        let styled = |faces: &[usize]| self.best(faces, style.bold, style.italic);
        let first = cluster.chars().find(|character| !is_never_seen(*character));
        let Some(first) = first else {
            // Spaces and controls look like what is before them; only the spaces of emoji are too wide.
            let last = last.filter(|last| !self.emoji.contains(&last.face));
            return last
                .or_else(|| styled(wanted.named))
                .or_else(|| self.finished(*self.plain.first()?, style));
        };
        let named = styled(wanted.named).filter(|chosen| self.covers(chosen.face, cluster));
        if named.is_some() && !wanted.is_emoji {
            return named;
        }
        let script = first.script();
        let is_common = matches!(script, Script::Common | Script::Inherited);
        // Digits and signs within a text of another script look as that script's font draws them.
        if !wanted.is_emoji
            && wanted.named.is_empty()
            && let Some(last) = last
            && is_common
            && self.covers(last.face, cluster)
            && !self.emoji.contains(&last.face)
        {
            return Some(last);
        }
        let mut partial = None;
        for face in self.candidates(first, script, wanted) {
            if self.covers(face, cluster) {
                return named
                    .filter(|_| !self.emoji.contains(&face))
                    .or_else(|| self.finished(face, style));
            }
            if partial.is_none() && self.faces[face].has(first) {
                partial = Some(face);
            }
        }
        named.or_else(|| self.finished(partial?, style))
    }

    /// Faces that may have the character, in the order of preference.
    fn candidates<'a>(
        &'a self,
        first: char,
        script: Script,
        wanted: &Wanted,
    ) -> impl Iterator<Item = usize> + 'a {
        let is_wide = matches!(first as u32, 0x2E80..=0x2FFF | 0x3000..=0x33FF | 0xFE30..=0xFE4F | 0xFF00..=0xFFEF);
        let families: Vec<&[&str]> = match script {
            Script::Hangul => vec![KOREAN],
            Script::Hiragana | Script::Katakana => vec![JAPANESE],
            Script::Han | Script::Bopomofo => in_order(wanted.language),
            _ if is_wide => in_order(wanted.language),
            _ => Vec::new(),
        };
        let of_families = families.into_iter().flatten().filter_map(|family| {
            let faces = self.families.get(*family).map_or(&[][..], Vec::as_slice);
            self.best(faces, false, false).map(|chosen| chosen.face)
        });
        let name = match script {
            Script::Common | Script::Inherited | Script::Unknown | Script::Latin => String::new(),
            _ => name_key(script.full_name().chars()),
        };
        let of_script = self
            .plain
            .iter()
            .copied()
            .filter(move |face| !name.is_empty() && self.keys[*face].contains(&name));
        let emoji = self.emoji.iter().copied();
        let (before, after) = if wanted.is_emoji {
            (Some(emoji), None)
        } else {
            (None, Some(emoji))
        };
        before
            .into_iter()
            .flatten()
            .chain(of_families)
            .chain(of_script)
            .chain(self.plain.iter().copied())
            .chain(after.into_iter().flatten())
    }

    /// Whether the face has every character of the cluster that is seen.
    fn covers(&self, face: usize, cluster: &str) -> bool {
        let face = &self.faces[face];
        let mut seen = cluster
            .chars()
            .filter(|character| !is_never_seen(*character));
        seen.all(|character| face.has(character))
    }

    /// The face, or one of its family with the style, or what has to be synthesised.
    fn finished(&self, face: usize, style: &FontChoice) -> Option<ChosenFace> {
        if !style.bold && !style.italic || self.faces[face].has_colour {
            return Some(ChosenFace {
                face,
                embolden: false,
                bold_axis: false,
                slant: false,
            });
        }
        let family = self.families.get(&self.keys[face])?;
        self.best(family, style.bold, style.italic)
    }

    /// The face that is nearest to the style.
    fn best(&self, faces: &[usize], bold: bool, italic: bool) -> Option<ChosenFace> {
        let weight = if bold { 700.0 } else { 400.0 };
        let face = faces.iter().copied().min_by_key(|index| {
            let face = &self.faces[*index];
            (
                face.is_italic != italic,
                !face.is_normal_width,
                !(bold && face.has_weight_axis),
                (face.weight - weight).abs() as u32,
                *index,
            )
        })?;
        let found = &self.faces[face];
        let is_light = found.weight < 600.0;
        Some(ChosenFace {
            face,
            embolden: bold && is_light && !found.has_weight_axis,
            bold_axis: bold && is_light && found.has_weight_axis,
            slant: italic && !found.is_italic,
        })
    }
}

/// What a cluster asks for.
pub(crate) struct Wanted<'a> {
    pub choice: &'a FontChoice,
    pub named: &'a [usize],
    pub language: Language,
    pub is_emoji: bool,
}

/// The families for Han, those of the language first.
fn in_order(language: Language) -> Vec<&'static [&'static str]> {
    match language {
        Language::SimplifiedChinese => vec![SIMPLIFIED, TRADITIONAL, JAPANESE, KOREAN],
        Language::TraditionalChinese => vec![TRADITIONAL, SIMPLIFIED, JAPANESE, KOREAN],
        Language::Japanese => vec![JAPANESE, SIMPLIFIED, TRADITIONAL, KOREAN],
        Language::Korean => vec![KOREAN, TRADITIONAL, SIMPLIFIED, JAPANESE],
    }
}
