//! MP4, MOV, M4A and their fragments, and still pictures in the same container (HEIC, AVIF).

use super::wire::{u16_be, u32_be, u64_be};
use super::{Depth, Probe, ProbeError, SourceReader, micros, no_sound_or_picture, picture, size};
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

const WHAT: &str = "MP4";
/// The number of boxes within one box after which a file is considered broken.
const MOST_BOXES: usize = 100_000;
const MOST_TRACKS: usize = 1000;

/// A box and the position of its content.
struct Mp4Box {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a plain fact of the file"
)]
struct Movie {
    brand: [u8; 4],
    image: Option<Image>,
    /// Units per second of the movie's own lengths.
    timescale: u64,
    duration: u64,
    turned: bool,
    tracks: Vec<Mp4Track>,
    found: bool,
    fragmented: bool,
    /// The total of all fragments, if the header has it.
    fragments_duration: u64,
    /// By track id: the default length of a sample; fragments may override it.
    defaults: Vec<(u64, u64)>,
    /// Length of all indexed segments of unknown tracks, in units and units per second.
    indexed: Option<(u64, u64)>,
    /// The end of the segments listed in indexes.
    indexed_to: u64,
    /// Not all fragments were read, as the header has their length.
    skipped: bool,
    cover_art: bool,
}

#[derive(Default)]
struct Mp4Track {
    id: u64,
    handler: [u8; 4],
    timescale: u64,
    duration: u64,
    /// Sum of the table of sample lengths.
    samples: u64,
    /// Sum of the edit list, in units of the movie.
    edits: u64,
    size: (u64, u64),
    turned: bool,
    /// The end of the last fragment, and the start of the first.
    fragments: Option<(u64, u64)>,
}

impl Mp4Track {
    /// Records a fragment from `start` to `end`.
    fn reaches(&mut self, start: u64, end: u64) {
        let (last, first) = self.fragments.unwrap_or((end, start));
        self.fragments = Some((last.max(end), first.min(start)));
    }
}

#[derive(Default)]
struct Image {
    size: (u64, u64),
    turned: bool,
}

pub(super) fn read(reader: &mut SourceReader, depth: Depth) -> Probe<Facts> {
    let mut movie = Movie::default();
    let mut at = 0;
    let mut data = false;
    // Each fragment of a remote file costs a request.
    let hops = depth == Depth::Facts && !reader.is_near();
    let mut hopped = false;
    for count in 0.. {
        if count == MOST_BOXES {
            return Err(endless());
        }
        let Some(part) = top(reader, at, movie.found && data)? else {
            break;
        };
        match &part.kind {
            b"ftyp" => movie.brand = four(&reader.bytes(part.body, 4)?),
            b"moov" => movie_header(reader, &part, &mut movie)?,
            b"meta" => movie.image = Some(image(reader, &part)?),
            b"sidx" if hops => segment_index(reader, &part, &mut movie)?,
            b"moof" if hops && at < movie.indexed_to => {
                at = movie.indexed_to;
                continue;
            }
            b"moof" => {
                fragment(reader, &part, &mut movie)?;
                if hops && !std::mem::replace(&mut hopped, true) {
                    if let Some(last) = last_fragment(reader)?.filter(|last| *last > at) {
                        at = last;
                        continue;
                    }
                    movie.skipped = movie.fragments_duration > 0;
                }
            }
            b"mdat" => data = true,
            _ => {}
        }
        at = part.end;
        let known = movie.found && (!movie.fragmented || movie.skipped);
        if hops && (known && data || is_image(&movie)) {
            break;
        }
    }
    movie.facts()
}

fn is_image(movie: &Movie) -> bool {
    !movie.found && movie.image.as_ref().is_some_and(|image| image.size.0 > 0)
}

/// The box at the file's top level that begins at `at`. Trailing data that is not a box is ignored once the
/// media is complete, as in players.
fn top(reader: &mut SourceReader, at: u64, complete: bool) -> Probe<Option<Mp4Box>> {
    let head = reader.bytes(at, 16)?;
    if head.len() < 8 {
        let there = reader.measure()?;
        return if at > there {
            Err(ProbeError::Cut(WHAT, there, at))
        } else {
            Ok(None)
        };
    }
    let kind = four(&head[4..]);
    let (size, header) = lengths(&head);
    let plausible = kind.iter().all(|c| matches!(c, 0x20..=0x7e | 0xa9));
    if complete && (!plausible || size == 0) {
        return Ok(None);
    }
    let end = if size == 0 {
        reader.measure()?
    } else {
        at.saturating_add(size)
    };
    if !plausible || end < at + header {
        return Err(ProbeError::Broken(WHAT, format!("no box at byte {at}")));
    }
    if let Some(there) = reader.len().filter(|there| end > *there) {
        return Err(ProbeError::Cut(WHAT, there, end));
    }
    Ok(Some(Mp4Box {
        kind,
        body: at + header,
        end,
    }))
}

/// The size of a box as stated, including its header, and the size of the header.
fn lengths(head: &[u8]) -> (u64, u64) {
    match u32_be(head, 0) {
        Some(1) => (u64_be(head, 8).unwrap_or(u64::MAX).max(1), 16),
        size => (size.unwrap_or(0), 8),
    }
}

fn four(bytes: &[u8]) -> [u8; 4] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// The boxes within `from..end`.
fn each(
    reader: &mut SourceReader,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(&mut SourceReader, &Mp4Box) -> Probe<()>,
) -> Probe<()> {
    let mut at = from;
    for _ in 0..MOST_BOXES {
        if at.saturating_add(8) > end {
            return Ok(());
        }
        let head = reader.bytes(at, 16)?;
        let (size, header) = lengths(&head);
        // QuickTime ends some lists with four zero bytes.
        if head.len() < 8 || size == 0 {
            return Ok(());
        }
        let part = Mp4Box {
            kind: four(&head[4..]),
            body: at + header,
            end: at.saturating_add(size),
        };
        if part.end < part.body || part.end > end {
            return Err(ProbeError::Broken(
                WHAT,
                format!("the box at byte {at} is larger than its parent"),
            ));
        }
        visit(reader, &part)?;
        at = part.end;
    }
    Err(endless())
}

fn endless() -> ProbeError {
    ProbeError::Broken(WHAT, "it has too many boxes".to_owned())
}

impl Mp4Box {
    /// Reads up to `most` bytes from the start of its content.
    fn read(&self, reader: &mut SourceReader, most: usize) -> Probe<Vec<u8>> {
        let count = usize::try_from(self.end - self.body).map_or(most, |count| count.min(most));
        Ok(reader.bytes(self.body, count)?)
    }
}

fn movie_header(reader: &mut SourceReader, moov: &Mp4Box, movie: &mut Movie) -> Probe<()> {
    movie.found = true;
    each(reader, moov.body, moov.end, &mut |reader, part| {
        match &part.kind {
            b"mvhd" => {
                let bytes = part.read(reader, 112)?;
                (movie.timescale, movie.duration) = times(&bytes);
                movie.turned = turned(&bytes, if bytes.first() == Some(&1) { 48 } else { 36 });
            }
            b"trak" if movie.tracks.len() < MOST_TRACKS => {
                let mut track = Mp4Track::default();
                trak(reader, part, &mut track)?;
                movie.tracks.push(track);
            }
            b"mvex" => {
                movie.fragmented = true;
                each(reader, part.body, part.end, &mut |reader, part| {
                    let bytes = part.read(reader, 24)?;
                    match &part.kind {
                        b"mehd" => {
                            movie.fragments_duration = sized(&bytes, 4, bytes.first() == Some(&1));
                        }
                        b"trex" => {
                            let id = u32_be(&bytes, 4).unwrap_or(0);
                            movie.defaults.push((id, u32_be(&bytes, 12).unwrap_or(0)));
                        }
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            b"udta" => movie.cover_art |= has_cover(reader, part)?,
            _ => {}
        }
        Ok(())
    })
}

/// A 32-bit number, or a 64-bit one in boxes of version 1; 0 if it means "unknown".
fn sized(bytes: &[u8], at: usize, long: bool) -> u64 {
    let unknown = if long { u64::MAX } else { u64::from(u32::MAX) };
    let value = if long {
        u64_be(bytes, at)
    } else {
        u32_be(bytes, at)
    };
    value.filter(|value| *value != unknown).unwrap_or(0)
}

/// Units per second and length from `mvhd` or `mdhd`.
fn times(bytes: &[u8]) -> (u64, u64) {
    let long = bytes.first() == Some(&1);
    let at = if long { 20 } else { 12 };
    (u32_be(bytes, at).unwrap_or(0), sized(bytes, at + 4, long))
}

/// Whether the matrix at `at` rotates the picture by 90° or 270°.
fn turned(bytes: &[u8], at: usize) -> bool {
    let entry = |index: usize| u32_be(bytes, at + 4 * index).unwrap_or(0);
    entry(0) == 0 && entry(4) == 0 && entry(1) != 0 && entry(3) != 0
}

fn trak(reader: &mut SourceReader, part: &Mp4Box, track: &mut Mp4Track) -> Probe<()> {
    each(reader, part.body, part.end, &mut |reader, part| {
        match &part.kind {
            b"tkhd" => {
                let bytes = part.read(reader, 96)?;
                let long = bytes.first() == Some(&1);
                track.id = u32_be(&bytes, if long { 20 } else { 12 }).unwrap_or(0);
                let matrix = if long { 52 } else { 40 };
                track.turned = turned(&bytes, matrix);
                // Only until the sample description gives the size: this one is scaled.
                let pixels = |at| u32_be(&bytes, at).unwrap_or(0) >> 16;
                if track.size == (0, 0) {
                    track.size = (pixels(matrix + 36), pixels(matrix + 40));
                }
            }
            b"edts" => each(reader, part.body, part.end, &mut |reader, part| {
                if &part.kind == b"elst" {
                    track.edits = edits(&part.read(reader, 1 << 20)?);
                }
                Ok(())
            })?,
            b"mdia" => each(reader, part.body, part.end, &mut |reader, part| {
                match &part.kind {
                    b"mdhd" => (track.timescale, track.duration) = times(&part.read(reader, 36)?),
                    b"hdlr" => {
                        track.handler = four(part.read(reader, 12)?.get(8..).unwrap_or_default());
                    }
                    b"minf" => each(reader, part.body, part.end, &mut |reader, part| {
                        if &part.kind == b"stbl" {
                            return sample_tables(reader, part, track);
                        }
                        Ok(())
                    })?,
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })
}

fn edits(bytes: &[u8]) -> u64 {
    let long = bytes.first() == Some(&1);
    let entry = if long { 20 } else { 12 };
    let count = u32_be(bytes, 4).unwrap_or(0) as usize;
    bytes
        .get(8..)
        .unwrap_or_default()
        .chunks_exact(entry)
        .take(count)
        .fold(0, |sum: u64, entry| {
            sum.saturating_add(sized(entry, 0, long))
        })
}

fn sample_tables(reader: &mut SourceReader, stbl: &Mp4Box, track: &mut Mp4Track) -> Probe<()> {
    each(reader, stbl.body, stbl.end, &mut |reader, part| {
        match &part.kind {
            b"stsd" => {
                let bytes = part.read(reader, 64)?;
                // The first description, after its own header: 24 bytes, then width and height.
                let (width, height) = (u16_be(&bytes, 40), u16_be(&bytes, 42));
                if let (b"vide", Some(width @ 1..), Some(height @ 1..)) =
                    (&track.handler, width, height)
                {
                    track.size = (width, height);
                }
            }
            b"stts" => track.samples = sample_lengths(reader, part)?,
            _ => {}
        }
        Ok(())
    })
}

fn sample_lengths(reader: &mut SourceReader, part: &Mp4Box) -> Probe<u64> {
    const STEP: u64 = 32 << 10;
    let mut sum: u64 = 0;
    let mut at = part.body + 8;
    while at < part.end {
        let bytes = reader.bytes(at, STEP.min(part.end - at) as usize)?;
        for entry in bytes.chunks_exact(8) {
            let (count, length) = (u32_be(entry, 0).unwrap_or(0), u32_be(entry, 4).unwrap_or(0));
            // ffmpeg reads a negative length as 1.
            let length = if length > u64::from(u32::MAX / 2) {
                1
            } else {
                length
            };
            sum = sum.saturating_add(count * length);
        }
        if bytes.len() < 8 {
            break;
        }
        at += STEP;
    }
    Ok(sum)
}

/// Whether there is a cover where iTunes stores it: `meta/ilst/covr`.
fn has_cover(reader: &mut SourceReader, udta: &Mp4Box) -> Probe<bool> {
    let mut found = false;
    each(reader, udta.body, udta.end, &mut |reader, part| {
        if &part.kind != b"meta" {
            return Ok(());
        }
        let body = meta_body(reader, part)?;
        each(reader, body, part.end, &mut |reader, part| {
            if &part.kind != b"ilst" {
                return Ok(());
            }
            each(reader, part.body, part.end, &mut |_, part| {
                found |= &part.kind == b"covr";
                Ok(())
            })
        })
    })?;
    Ok(found)
}

/// QuickTime's `meta` has no version and flags; in all other files it has them.
fn meta_body(reader: &mut SourceReader, part: &Mp4Box) -> Probe<u64> {
    let plain = part.read(reader, 8)?.get(4..) == Some(b"hdlr");
    Ok(if plain { part.body } else { part.body + 4 })
}

/// The properties of a picture: those of the main picture if the file identifies them; otherwise the largest
/// size, as smaller ones belong to tiles and thumbnails.
fn image(reader: &mut SourceReader, meta: &Mp4Box) -> Probe<Image> {
    let mut properties = Vec::new();
    let mut main = None;
    let mut owners = Vec::new();
    let body = meta_body(reader, meta)?;
    each(reader, body, meta.end, &mut |reader, part| {
        if &part.kind == b"pitm" {
            let bytes = part.read(reader, 8)?;
            main = wide(&bytes, 4, bytes.first() != Some(&0));
        }
        if &part.kind != b"iprp" {
            return Ok(());
        }
        each(reader, part.body, part.end, &mut |reader, part| {
            match &part.kind {
                b"ipco" => each(reader, part.body, part.end, &mut |reader, part| {
                    properties.push((part.kind, part.read(reader, 40)?));
                    Ok(())
                })?,
                b"ipma" => owners.push(part.read(reader, 1 << 20)?),
                _ => {}
            }
            Ok(())
        })
    })?;
    let own = main.and_then(|main| owners.iter().find_map(|table| associated(table, main)));
    let is_own = |index: usize| own.as_ref().is_none_or(|own| own.contains(&(index + 1)));
    let mut image = Image::default();
    let mut shown = None;
    for (index, (kind, bytes)) in properties.iter().enumerate() {
        let number = |at| u32_be(bytes, at).unwrap_or(0);
        match kind {
            b"ispe" if is_own(index) => {
                let size = (number(4), number(8));
                if size.0 * size.1 > image.size.0 * image.size.1 {
                    image.size = size;
                }
            }
            // Encoders work in blocks: if the size is not a multiple of a block, this is the part that is shown.
            b"clap" if own.is_some() && is_own(index) => {
                let part = |at| number(at).checked_div(number(at + 4));
                shown = part(0).zip(part(8));
            }
            b"irot" if is_own(index) => {
                image.turned = bytes.first().is_some_and(|angle| angle % 2 == 1);
            }
            _ => {}
        }
    }
    if let Some(shown @ (1.., 1..)) = shown
        && shown.0 <= image.size.0
        && shown.1 <= image.size.1
    {
        image.size = shown;
    }
    Ok(image)
}

/// A number of two or four bytes.
fn wide(bytes: &[u8], at: usize, is_wide: bool) -> Option<u64> {
    if is_wide {
        u32_be(bytes, at)
    } else {
        u16_be(bytes, at)
    }
}

/// The numbers of an item's properties according to `ipma`, counted from 1.
fn associated(table: &[u8], item: u64) -> Option<Vec<usize>> {
    let wide_ids = *table.first()? > 0;
    let wide_numbers = *table.get(3)? & 1 != 0;
    let mut at = 8;
    for _ in 0..u32_be(table, 4)? {
        let id = wide(table, at, wide_ids)?;
        at += if wide_ids { 4 } else { 2 };
        let count = usize::from(*table.get(at)?);
        at += 1;
        let size = if wide_numbers { 2 } else { 1 };
        let numbers = table.get(at..at + count * size)?;
        if id == item {
            // The first bit marks a property that readers must understand.
            let number = |bytes: &[u8]| match *bytes {
                [high, low] => usize::from(high & 0x7f) << 8 | usize::from(low),
                _ => usize::from(bytes[0] & 0x7f),
            };
            return Some(numbers.chunks_exact(size).map(number).collect());
        }
        at += count * size;
    }
    None
}

/// An index of segments: of the whole file at its start, or of one segment before each segment.
fn segment_index(reader: &mut SourceReader, part: &Mp4Box, movie: &mut Movie) -> Probe<()> {
    let bytes = part.read(reader, 1 << 20)?;
    let long = bytes.first() == Some(&1);
    let at = if long { 28 } else { 20 };
    let (Some(id), Some(timescale @ 1..), Some(count)) =
        (u32_be(&bytes, 4), u32_be(&bytes, 8), u16_be(&bytes, at + 2))
    else {
        return Ok(());
    };
    let begin = sized(&bytes, 12, long);
    let offset = sized(&bytes, if long { 20 } else { 16 }, long);
    let entries = bytes.get(at + 4..).unwrap_or_default();
    let (mut length, mut size) = (0, 0);
    for entry in entries.chunks_exact(12).take(count as usize) {
        // The first bit marks a reference to a further index.
        size += u32_be(entry, 0).unwrap_or(0) & 0x7fff_ffff;
        length += u32_be(entry, 4).unwrap_or(0);
    }
    let end = part.end.saturating_add(offset).saturating_add(size);
    if length == 0 || reader.len().is_some_and(|there| end > there) {
        return Ok(());
    }
    movie.indexed_to = movie.indexed_to.max(end);
    if let Some(track) = movie.tracks.iter_mut().find(|track| track.id == id) {
        let units = |count: u64| {
            let units = u128::from(count) * u128::from(track.timescale) / u128::from(timescale);
            u64::try_from(units).unwrap_or(u64::MAX)
        };
        track.reaches(units(begin), units(begin.saturating_add(length)));
        return Ok(());
    }
    let longer = movie.indexed.is_none_or(|(units, per_second)| {
        u128::from(length) * u128::from(per_second) > u128::from(units) * u128::from(timescale)
    });
    if longer {
        movie.indexed = Some((length, timescale));
    }
    Ok(())
}

/// The start of the last fragment from the table at the end of the file (`mfra`, whose size is in its last bytes).
fn last_fragment(reader: &mut SourceReader) -> Probe<Option<u64>> {
    let Some(there) = reader.len() else {
        return Ok(None);
    };
    let tail = reader.bytes(there.saturating_sub(16), 16)?;
    let size = u32_be(&tail, 12).filter(|_| tail.get(4..8) == Some(b"mfro"));
    let Some(at) = size.and_then(|size| there.checked_sub(size)) else {
        return Ok(None);
    };
    if reader.bytes(at, 8)?.get(4..) != Some(b"mfra") {
        return Ok(None);
    }
    // The earliest of the tracks' last fragments, so that no track misses its own.
    let mut last = None;
    each(reader, at + 8, there, &mut |reader, part| {
        if &part.kind == b"tfra" {
            let head = part.read(reader, 16)?;
            let long = head.first() == Some(&1);
            let sizes = u32_be(&head, 8).unwrap_or(0);
            let numbers = 3 + (sizes >> 4 & 3) + (sizes >> 2 & 3) + (sizes & 3);
            let entry = numbers + if long { 16 } else { 8 };
            let from = part.end.saturating_sub(entry).max(part.body);
            let bytes = reader.bytes(from, entry as usize)?;
            let offset = sized(&bytes, if long { 8 } else { 4 }, long);
            last = Some(last.map_or(offset, |known: u64| known.min(offset)));
        }
        Ok(())
    })?;
    let Some(last) = last else { return Ok(None) };
    Ok((reader.bytes(last, 8)?.get(4..) == Some(b"moof")).then_some(last))
}

fn fragment(reader: &mut SourceReader, moof: &Mp4Box, movie: &mut Movie) -> Probe<()> {
    each(reader, moof.body, moof.end, &mut |reader, part| {
        if &part.kind != b"traf" {
            return Ok(());
        }
        let (mut id, mut default, mut start, mut sum) = (0, 0, None, 0_u64);
        each(reader, part.body, part.end, &mut |reader, part| {
            match &part.kind {
                b"tfhd" => {
                    let bytes = part.read(reader, 32)?;
                    let flags = u32_be(&bytes, 0).unwrap_or(0);
                    id = u32_be(&bytes, 4).unwrap_or(0);
                    let at =
                        8 + if flags & 1 == 0 { 0 } else { 8 } + if flags & 2 == 0 { 0 } else { 4 };
                    default = match flags & 8 {
                        0 => movie
                            .defaults
                            .iter()
                            .find(|(track, _)| *track == id)
                            .map_or(0, |d| d.1),
                        _ => u32_be(&bytes, at).unwrap_or(0),
                    };
                }
                b"tfdt" => {
                    let bytes = part.read(reader, 12)?;
                    start = Some(sized(&bytes, 4, bytes.first() == Some(&1)));
                }
                b"trun" => sum = run(reader, part, default)?.saturating_add(sum),
                _ => {}
            }
            Ok(())
        })?;
        if let Some(track) = movie.tracks.iter_mut().find(|track| track.id == id) {
            let start = start.unwrap_or_else(|| track.fragments.map_or(0, |(end, _)| end));
            track.reaches(start, start.saturating_add(sum));
        }
        Ok(())
    })
}

/// The total length of the samples of one run.
fn run(reader: &mut SourceReader, part: &Mp4Box, default: u64) -> Probe<u64> {
    let head = part.read(reader, 8)?;
    let (Some(flags), Some(count)) = (u32_be(&head, 0), u32_be(&head, 4)) else {
        return Ok(0);
    };
    if flags & 0x100 == 0 {
        return Ok(count * default);
    }
    let fields = [0x100, 0x200, 0x400, 0x800]
        .iter()
        .filter(|flag| flags & **flag != 0)
        .count();
    let mut at = part.body + 8;
    at += if flags & 1 == 0 { 0 } else { 4 };
    at += if flags & 4 == 0 { 0 } else { 4 };
    let entry = 4 * fields;
    let step = (32 << 10) / entry * entry;
    let mut left = count as usize;
    let mut sum: u64 = 0;
    while left > 0 && at < part.end {
        let bytes = reader.bytes(at, step.min((part.end - at) as usize))?;
        let entries = bytes.chunks_exact(entry).take(left);
        if entries.len() == 0 {
            break;
        }
        left -= entries.len();
        sum += entries
            .map(|entry| u32_be(entry, 0).unwrap_or(0))
            .sum::<u64>();
        at += step as u64;
    }
    Ok(sum)
}

impl Movie {
    fn facts(self) -> Probe<Facts> {
        if !self.found {
            return match self.image {
                Some(Image {
                    size: (width, height),
                    turned,
                }) if width > 0 => {
                    let (width, height) = if turned {
                        (height, width)
                    } else {
                        (width, height)
                    };
                    let format = if self.brand.starts_with(b"avi") {
                        MediaFormat::Avif
                    } else {
                        MediaFormat::Heic
                    };
                    picture("HEIC", format, width, height, Micros::ZERO)
                }
                _ => Err(ProbeError::Broken(
                    WHAT,
                    "its index (`moov`) is missing: the recording was not finished, or the file is cut off"
                        .to_owned(),
                )),
            };
        }
        let video = self.tracks.iter().find(|track| &track.handler == b"vide");
        let audio = self.tracks.iter().find(|track| &track.handler == b"soun");
        let Some(main) = video.or(audio) else {
            return Err(no_sound_or_picture());
        };
        let (width, height) = match video {
            Some(track) => {
                let (width, height) = track.size;
                let turned = track.turned != self.turned;
                size(
                    WHAT,
                    if turned { height } else { width },
                    if turned { width } else { height },
                )?
            }
            None => (0, 0),
        };
        let duration = self.length(main);
        if duration == Micros::ZERO {
            return Err(ProbeError::Broken(
                WHAT,
                "its length is missing or 0".to_owned(),
            ));
        }
        Ok(Facts {
            format: match (&self.brand, video) {
                (b"qt  ", _) => MediaFormat::Mov,
                // An animated picture.
                (b"avis", Some(_)) => MediaFormat::Avif,
                (_, Some(_)) => MediaFormat::Mp4,
                (_, None) => MediaFormat::M4a,
            },
            is_still: false,
            width,
            height,
            duration,
            audio_duration: audio.map(|track| self.length(track)),
            has_video: video.is_some(),
            has_audio: audio.is_some(),
            cover_art: self.cover_art,
            bytes: None,
        })
    }

    fn length(&self, track: &Mp4Track) -> Micros {
        let own = self.own_length(track);
        if own > Micros::ZERO && !self.skipped {
            return own;
        }
        if let Some((units, per_second)) = self.indexed {
            return micros(units, per_second);
        }
        micros(self.fragments_duration.max(self.duration), self.timescale)
    }

    /// The shortest of the lengths from header, samples and edits, as in ffmpeg.
    fn own_length(&self, track: &Mp4Track) -> Micros {
        let edits = match self.timescale {
            0 => 0,
            scale => {
                let units = u128::from(track.edits) * u128::from(track.timescale);
                u64::try_from((units + u128::from(scale) / 2) / u128::from(scale)).unwrap_or(0)
            }
        };
        if let Some((end, first)) = track.fragments {
            let length = track.samples.saturating_add(end - first);
            return micros(length, track.timescale);
        }
        let shortest = [track.duration, track.samples, edits]
            .into_iter()
            .filter(|length| *length > 0)
            .min();
        match shortest {
            // In a fragmented file, the header describes only samples outside the fragments.
            Some(length) if !self.fragmented || track.samples > 0 => {
                micros(length, track.timescale)
            }
            _ => Micros::ZERO,
        }
    }
}
