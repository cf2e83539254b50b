//! Font files and the faces in them. A file is mapped into memory only while it is read or after a text needed it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use memmap2::{Mmap, MmapOptions};
use parley::fontique::Blob;
use skrifa::attribute::{Stretch, Style};
use skrifa::charmap::Charmap;
use skrifa::raw::{FileRef, TableProvider};
use skrifa::string::StringId;
use skrifa::{FontRef, MetadataProvider, Tag};

/// Larger files are not fonts of texts.
const MOST_BYTES: u64 = 512 << 20;
/// Limits of a system's fonts, beyond those of systems with everything installed.
const MOST_FILES: usize = 8_000;
const MOST_FOLDERS: usize = 20_000;
const DEEPEST: usize = 8;
const MOST_FACES_OF_A_FILE: u32 = 256;

/// The data of a face, on which offset tables of the file are as in a file with this face only.
pub(crate) type FaceData = Blob<u8>;

/// One face of a font file.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a font that do not depend on each other"
)]
pub(crate) struct Face {
    source: FaceSource,
    /// The English name, or the first.
    pub family: String,
    /// Names by which it can be chosen, as [`name_key`] makes them.
    names: Vec<String>,
    pub weight: f32,
    pub is_italic: bool,
    pub is_normal_width: bool,
    pub is_monospaced: bool,
    /// Whether it has pictures of characters in colour that can be drawn.
    pub has_colour: bool,
    pub has_weight_axis: bool,
    loaded: OnceLock<Option<FaceData>>,
    characters: OnceLock<Box<[(u32, u32)]>>,
}

#[derive(Debug)]
enum FaceSource {
    File { path: Arc<Path>, index: u32 },
    Memory(&'static [u8]),
}

impl Face {
    /// The data, which stays in memory. `None` if the file is gone or has changed.
    pub(crate) fn data(&self) -> Option<&FaceData> {
        let load = || self.map();
        self.loaded.get_or_init(load).as_ref()
    }

    fn map(&self) -> Option<FaceData> {
        match &self.source {
            FaceSource::File { path, index } => {
                let data = map_face(path, *index).ok()?;
                FontRef::from_index(data.as_ref(), 0).ok()?;
                Some(data)
            }
            FaceSource::Memory(bytes) => Some(Blob::new(Arc::new(*bytes))),
        }
    }

    /// Whether it has a glyph for the character. The first question reads the table of characters; the file is closed
    /// again unless a text uses it.
    pub(crate) fn has(&self, character: char) -> bool {
        let code = character as u32;
        let ranges = self
            .characters
            .get_or_init(|| self.ranges().unwrap_or_default());
        let after = ranges.partition_point(|(first, _)| *first <= code);
        after > 0 && ranges[after - 1].1 >= code
    }

    /// The characters as ranges of codes, ends included, ascending.
    fn ranges(&self) -> Option<Box<[(u32, u32)]>> {
        let data = match self.loaded.get() {
            Some(loaded) => loaded.clone()?,
            None => self.map()?,
        };
        let font = FontRef::from_index(data.as_ref(), 0).ok()?;
        let mut codes: Vec<u32> = Charmap::new(&font)
            .mappings()
            .filter(|(_, glyph)| glyph.to_u32() != 0)
            .map(|(code, _)| code)
            .take(0x11_0000)
            .collect();
        codes.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for code in codes {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 >= code => *last = code,
                _ => ranges.push((code, code)),
            }
        }
        Some(ranges.into())
    }

    /// The names by which it can be chosen.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The file, unless it is the embedded font.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.source {
            FaceSource::File { path, .. } => Some(path),
            FaceSource::Memory(_) => None,
        }
    }

    fn of_font(font: &FontRef, source: FaceSource) -> Option<Self> {
        let mut names = Vec::new();
        let mut family = None;
        for id in [
            StringId::TYPOGRAPHIC_FAMILY_NAME,
            StringId::FAMILY_NAME,
            StringId::FULL_NAME,
            StringId::POSTSCRIPT_NAME,
        ] {
            let is_family = matches!(
                id,
                StringId::TYPOGRAPHIC_FAMILY_NAME | StringId::FAMILY_NAME
            );
            if is_family && family.is_none() {
                let name = font.localized_strings(id).english_or_first();
                family = name.map(|name| name.chars().take(200).collect::<String>());
            }
            for name in font.localized_strings(id).take(64) {
                let key = name_key(name.chars().take(200));
                if !key.is_empty() && !names.contains(&key) {
                    names.push(key);
                }
            }
        }
        font.cmap().ok()?;
        let attributes = font.attributes();
        let has = |tag: &[u8; 4]| font.table_data(Tag::new(tag)).is_some();
        Some(Self {
            source,
            family: family.unwrap_or_default(),
            names,
            weight: attributes.weight.value(),
            is_italic: attributes.style != Style::Normal,
            is_normal_width: attributes.stretch == Stretch::NORMAL,
            is_monospaced: font.post().is_ok_and(|post| post.is_fixed_pitch() != 0),
            has_colour: has(b"COLR") || has(b"CBDT") || has(b"sbix"),
            has_weight_axis: font
                .axes()
                .iter()
                .any(|axis| axis.tag() == Tag::new(b"wght")),
            loaded: OnceLock::new(),
            characters: OnceLock::new(),
        })
        // Outlines or pictures: old bitmap fonts have neither in a form that can be drawn.
        .filter(|face| face.has_colour || has(b"glyf") || has(b"CFF ") || has(b"CFF2"))
    }
}

/// A name without what people write differently: capitals, spaces, hyphens.
pub(crate) fn name_key(name: impl Iterator<Item = char>) -> String {
    name.filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The faces of a font that is part of the program.
pub(crate) fn embedded_face(bytes: &'static [u8]) -> Option<Face> {
    let font = FontRef::new(bytes).ok()?;
    Face::of_font(&font, FaceSource::Memory(bytes))
}

/// The faces of all font files in the folders.
pub(crate) fn faces_in(folders: &[PathBuf]) -> Vec<Face> {
    let mut faces = Vec::new();
    for file in font_files(folders) {
        faces.extend(faces_of_file(&file).unwrap_or_default());
    }
    faces
}

/// The faces of a file.
pub(crate) fn faces_of_file(path: &Path) -> std::io::Result<Vec<Face>> {
    let map = map_file(path)?;
    let file = FileRef::new(&map)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    let path: Arc<Path> = path.into();
    let source = |index| FaceSource::File {
        path: Arc::clone(&path),
        index,
    };
    Ok(match file {
        FileRef::Font(font) => Face::of_font(&font, source(0)).into_iter().collect(),
        FileRef::Collection(collection) => (0..collection.len().min(MOST_FACES_OF_A_FILE))
            .filter_map(|index| Face::of_font(&collection.get(index).ok()?, source(index)))
            .collect(),
    })
}

/// The font files of the folders and those below them, in the order of folders, then of names.
fn font_files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(PathBuf, usize)> = folders.iter().rev().map(|f| (f.clone(), 0)).collect();
    let mut opened = 0;
    while let Some((folder, depth)) = open.pop() {
        // A link may lead back to a folder above.
        let Ok(real) = fs::canonicalize(&folder) else {
            continue;
        };
        opened += 1;
        if !seen.insert(real) || opened > MOST_FOLDERS {
            continue;
        }
        let only_fonts = folder.ends_with("AssetsV2");
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort_unstable();
        let mut inner = Vec::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if ["ttf", "otf", "ttc", "otc"]
                .iter()
                .any(|known| ending == *known)
            {
                if files.len() < MOST_FILES && path.is_file() {
                    files.push(path);
                }
            } else if depth < DEEPEST
                && (!only_fonts || name.starts_with("com_apple_MobileAsset_Font"))
                && path.is_dir()
            {
                inner.push((path, depth + 1));
            }
        }
        open.extend(inner.into_iter().rev());
    }
    files
}

fn open_font(path: &Path) -> std::io::Result<File> {
    // Opening a pipe would wait for a writer.
    let metadata = fs::metadata(path)?;
    let unusable = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    if !metadata.is_file() {
        return Err(unusable("not a regular file"));
    }
    if metadata.len() > MOST_BYTES {
        return Err(unusable("larger than 512 MiB"));
    }
    File::open(path)
}

#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe: truncating a font file while it is used ends the process, as with every program that maps fonts"
)]
fn map_file(path: &Path) -> std::io::Result<Mmap> {
    let file = open_font(path)?;
    // SAFETY: the bytes are read as a font only, by parsers that check every offset.
    unsafe { Mmap::map(&file) }
}

/// The file as if it had only the face at `index`: the layout engine takes the first face of a file. Of a collection a
/// private copy of the first page is changed; the rest stays shared with the file.
#[expect(unsafe_code, reason = "as in `map_file`")]
fn map_face(path: &Path, index: u32) -> std::io::Result<FaceData> {
    /// `ttcf`, version, number of faces, then an offset for each.
    const OFFSETS: usize = 12;
    let file = open_font(path)?;
    // SAFETY: as in `map_file`; changes are not written to the file.
    let mut map = unsafe { MmapOptions::new().map_copy(&file) }?;
    if map.starts_with(b"ttcf") {
        let at = OFFSETS + 4 * index as usize;
        let offset: Option<[u8; 4]> = map.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        let offset = offset.ok_or(std::io::ErrorKind::InvalidData)?;
        map[8..OFFSETS].copy_from_slice(&1_u32.to_be_bytes());
        map[OFFSETS..OFFSETS + 4].copy_from_slice(&offset);
    }
    Ok(Blob::new(Arc::new(map)))
}

/// Finds faces by their names.
pub(crate) fn by_name(faces: &[Arc<Face>]) -> HashMap<String, Vec<usize>> {
    let mut found: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, face) in faces.iter().enumerate() {
        for name in face.names() {
            found.entry(name.clone()).or_default().push(index);
        }
    }
    found
}
