//! Fills a template: files and words take the place of what its slots have.
//!
//! A slot is a `{{name}}` in a text or in the name of a file, a clip with that file or those words, or a clip by its
//! id. Looks, animations and lengths stay.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::document::{ClipRef, Document};
use crate::edit::Step;
use crate::error::{Error, Result, nearest, quoted_list};
use crate::field::clip;
use crate::kinds::{ClipKind, shortened};
use crate::ops::session::Session;
use crate::ops::{
    MediaFile, MediaFileKind, MediaLength, Operation, OperationReport, ReplaceMedia, ReplaceText,
};
use crate::resource::NoResources;
use crate::select::{ClipSelector, Time};

/// How many slots an error lists.
const LISTED: usize = 12;

/// Files and words, by the names of their slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotValues {
    pub media: BTreeMap<String, SlotMedia>,
    pub texts: BTreeMap<String, String>,
}

/// A file for a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotMedia {
    pub file: MediaFile,
    /// What happens if the file is shorter than the slot.
    pub length: MediaLength,
    /// For `freeze`: a picture of the file's last frame.
    pub still: Option<MediaFile>,
}

/// Clips that are shown once for each set of values, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepeatedGroup {
    pub clips: Vec<ClipSelector>,
    pub sets: Vec<SlotValues>,
}

/// What a template is filled with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateValues {
    pub values: SlotValues,
    pub repeat: Option<RepeatedGroup>,
}

/// The result of filling a template.
#[derive(Clone, Debug)]
pub struct FilledTemplate {
    pub step: Step,
    pub reports: Vec<OperationReport>,
    /// The `{{name}}` slots that have no value, by name.
    pub open: Vec<String>,
    /// The other clips with files that stay as they are.
    pub kept: Vec<String>,
}

/// A clip that a file would replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaSlot {
    pub clip: ClipRef,
    /// How much of a file it shows or plays.
    pub length: Time,
}

/// What a name of `texts` means.
enum TextSlot {
    Placeholder(String),
    Clips(Vec<ClipRef>),
}

/// A set of values with what its names mean. Names that are ids come first, as they are the most exact.
#[derive(Default)]
struct ResolvedValues<'v> {
    media: Vec<ResolvedMedia<'v>>,
    texts: Vec<(TextSlot, &'v str)>,
}

struct ResolvedMedia<'v> {
    name: &'v str,
    clips: Vec<ClipRef>,
    media: &'v SlotMedia,
}

/// A replacement in a clip of the template, or in the copy of it for a later set.
struct Replacement {
    clip: ClipRef,
    set: usize,
    name: String,
    operation: Operation,
}

impl Document {
    /// The clips that a file with this slot's name would replace.
    ///
    /// # Errors
    /// `NotFound` with the nearest names.
    pub fn media_slots(&self, name: &str, kind: MediaFileKind) -> Result<Vec<MediaSlot>> {
        let all: Vec<ClipRef> = self.all_clips().collect();
        let (_, clips) = self.named_media(name, kind, &all)?;
        Ok(clips
            .into_iter()
            .map(|clip| MediaSlot {
                clip,
                length: Time::from_micros(self.needed(clip)),
            })
            .collect())
    }

    /// Plans to fill the draft as a template; the document stays as it is.
    ///
    /// ```
    /// use capcut_draft::{Document, SlotValues, TemplateValues};
    /// # let text = include_str!("../tests/data/small.json");
    /// let mut document = Document::parse(text)?;
    /// let texts = [("Title".to_owned(), "Summer".to_owned())].into();
    /// let values = SlotValues { texts, ..SlotValues::default() };
    /// let filled = document.plan_template(&TemplateValues { values, repeat: None })?;
    /// document.apply(&filled.step)?;
    /// assert!(document.inspect(&Default::default())?.iter().any(|track| {
    ///     track.clips.iter().any(|clip| clip.words.as_deref() == Some("Summer"))
    /// }));
    /// # Ok::<(), capcut_draft::Error>(())
    /// ```
    ///
    /// # Errors
    /// All names that are no slots, or the first replacement that is not possible.
    pub fn plan_template(&mut self, template: &TemplateValues) -> Result<FilledTemplate> {
        self.require_editable()?;
        let all: Vec<ClipRef> = self.all_clips().collect();
        let group = match &template.repeat {
            Some(repeat) => self.group(repeat)?,
            None => Vec::new(),
        };
        let mut faults = Vec::new();
        let values = self.resolve(&template.values, &all, &mut faults);
        let sets = template.repeat.iter().flat_map(|repeat| &repeat.sets);
        let sets: Vec<ResolvedValues<'_>> = sets
            .map(|set| self.resolve(set, &group, &mut faults))
            .collect();
        if let Some(error) = joined(faults) {
            return Err(error);
        }
        let mut open = BTreeSet::new();
        let mut kept = Vec::new();
        let mut replacements = Vec::new();
        for clip in &all {
            let is_repeated = group.contains(clip);
            let count = if is_repeated { sets.len() } else { 1 };
            for set in 0..count {
                let mut layers = Vec::with_capacity(2);
                layers.extend(sets.get(set).filter(|_| is_repeated));
                layers.push(&values);
                let found = self.replacement(*clip, &layers, &mut open, &mut kept);
                replacements.extend(found.map(|(name, operation)| Replacement {
                    clip: *clip,
                    set,
                    name,
                    operation,
                }));
            }
        }
        kept.dedup();
        let numbers: HashMap<ClipRef, u32> = all
            .iter()
            .map(|clip| (*clip, self.elements[clip.0 as usize].number))
            .collect();
        let mut session = Session::new(self.edit(), &NoResources);
        let mut reports = Vec::new();
        let mut copies = Vec::new();
        if sets.len() > 1 {
            session.begin();
            copies = session.repeat_group(&group, sets.len() - 1)?;
            session.finish().map_err(|error| {
                error.hint("add the clip that is in the way to `clips` of `repeat`, or end it with the group")
            })?;
            reports.push(session.report("repeat"));
        }
        for Replacement {
            clip,
            set,
            name,
            mut operation,
        } in replacements
        {
            let number = match set.checked_sub(1) {
                Some(copy) => group
                    .iter()
                    .position(|own| *own == clip)
                    .map_or(0, |at| copies[copy][at]),
                None => numbers[&clip],
            };
            let own = ClipSelector::Text(format!("c{number}"));
            match &mut operation {
                Operation::ReplaceMedia(operation) => operation.clip = own,
                Operation::ReplaceText(operation) => operation.clip = own,
                _ => {}
            }
            let done = session.run(&operation);
            reports.push(done.map_err(|mut error| {
                error.message = format!("slot \"{name}\": {}", error.message);
                error
            })?);
        }
        Ok(FilledTemplate {
            step: session.edit.step(),
            reports,
            open: open.into_iter().collect(),
            kept,
        })
    }

    /// The clips of a group, with those that the app groups with them, by start.
    fn group(&self, repeat: &RepeatedGroup) -> Result<Vec<ClipRef>> {
        if repeat.clips.is_empty() {
            return Err(Error::invalid("`repeat` has no `clips`")
                .hint("list the clips to repeat, such as [\"c1\", \"c5\"]"));
        }
        if repeat.sets.is_empty() {
            return Err(Error::invalid("`repeat` has no `sets`").hint(
                "give one set of `media` and `texts` for each time that the clips are shown",
            ));
        }
        let mut group = Vec::new();
        for selector in &repeat.clips {
            for own in self.select_all(selector)? {
                let linked = self.value(own, &clip::GROUP);
                let others = self.all_clips().filter(|other| {
                    !linked.is_empty() && self.value(*other, &clip::GROUP) == linked
                });
                group.extend(others);
                group.push(own);
            }
        }
        group.sort_unstable();
        group.dedup();
        group.sort_by_key(|clip| self.target(*clip).start);
        Ok(group)
    }

    /// What the names of a set of values mean among these clips.
    fn resolve<'v>(
        &self,
        values: &'v SlotValues,
        among: &[ClipRef],
        faults: &mut Vec<Error>,
    ) -> ResolvedValues<'v> {
        let mut media = Vec::new();
        for (name, value) in &values.media {
            match self.named_media(name, value.file.kind, among) {
                Ok((is_id, clips)) => media.push((
                    is_id,
                    ResolvedMedia {
                        name,
                        clips,
                        media: value,
                    },
                )),
                Err(error) => faults.push(error),
            }
        }
        let mut texts = Vec::new();
        for (name, words) in &values.texts {
            match self.named_text(name, among) {
                Ok((is_id, slot)) => texts.push((is_id, (slot, words.as_str()))),
                Err(error) => faults.push(error),
            }
        }
        media.sort_by_key(|(is_id, _)| !is_id);
        texts.sort_by_key(|(is_id, _)| !is_id);
        ResolvedValues {
            media: media.into_iter().map(|(_, media)| media).collect(),
            texts: texts.into_iter().map(|(_, text)| text).collect(),
        }
    }

    fn by_exact_id(&self, name: &str, among: &[ClipRef]) -> Option<ClipRef> {
        let is_named = |clip: &ClipRef| {
            self.short_id(*clip).eq_ignore_ascii_case(name) || self.id(*clip) == name
        };
        among.iter().copied().find(is_named)
    }

    /// The clips with a file that have this name, and whether it is an id.
    fn named_media(
        &self,
        name: &str,
        kind: MediaFileKind,
        among: &[ClipRef],
    ) -> Result<(bool, Vec<ClipRef>)> {
        let wanted = bare(name);
        if let Some(clip) = self.by_exact_id(wanted, among) {
            return Ok((true, vec![clip]));
        }
        let labels: Vec<(ClipRef, String)> = among
            .iter()
            .filter(|clip| takes_file(self.clip_kind(**clip)))
            .filter_map(|clip| Some((*clip, self.media_name(*clip)?)))
            .collect();
        let hits = matches(&labels, wanted);
        if hits.is_empty() {
            return Err(no_slot(
                "media",
                name,
                labels.iter().map(|(_, label)| bare(stem(label))),
            ));
        }
        let fits = |clip: &ClipRef| {
            (self.clip_kind(*clip) == ClipKind::Audio) == (kind == MediaFileKind::Audio)
        };
        // A sound and a picture may have the same name. If none fits, the replacement says why.
        let fitting: Vec<ClipRef> = hits.iter().copied().filter(fits).collect();
        Ok((false, if fitting.is_empty() { hits } else { fitting }))
    }

    /// What a name of `texts` means, and whether it is an id.
    fn named_text(&self, name: &str, among: &[ClipRef]) -> Result<(bool, TextSlot)> {
        let wanted = bare(name);
        let labels: Vec<(ClipRef, String)> = among
            .iter()
            .filter_map(|clip| Some((*clip, self.words(*clip)?)))
            .collect();
        let placeholders: BTreeSet<&str> = labels
            .iter()
            .flat_map(|(_, words)| placeholders(words))
            .map(|(_, name)| name)
            .collect();
        let lower = wanted.to_lowercase();
        if placeholders.iter().any(|own| own.to_lowercase() == lower) {
            return Ok((false, TextSlot::Placeholder(lower)));
        }
        if let Some(clip) = self.by_exact_id(wanted, among) {
            return Ok((true, TextSlot::Clips(vec![clip])));
        }
        let hits = matches(&labels, wanted);
        if hits.is_empty() {
            let words = labels.iter().map(|(_, words)| words.as_str());
            let words = words.filter(|words| self::placeholders(words).next().is_none());
            return Err(no_slot(
                "texts",
                name,
                placeholders.into_iter().chain(words),
            ));
        }
        Ok((false, TextSlot::Clips(hits)))
    }

    /// The name of the slot and the operation for a clip, from the first layer that has a value for it.
    fn replacement(
        &self,
        clip: ClipRef,
        layers: &[&ResolvedValues<'_>],
        open: &mut BTreeSet<String>,
        kept: &mut Vec<String>,
    ) -> Option<(String, Operation)> {
        let own = ClipSelector::Text(String::new());
        for layer in layers {
            let of_media = layer.media.iter().find(|media| media.clips.contains(&clip));
            if let Some(found) = of_media {
                let operation = ReplaceMedia {
                    clip: own,
                    media: found.media.file.clone(),
                    source_start: Time::from_micros(self.part(clip, found)),
                    length: found.media.length,
                    still: found.media.still.clone(),
                };
                return Some((
                    found.name.to_owned(),
                    Operation::ReplaceMedia(Box::new(operation)),
                ));
            }
            let of_words = layer
                .texts
                .iter()
                .find(|(slot, _)| matches!(slot, TextSlot::Clips(clips) if clips.contains(&clip)));
            if let Some((_, words)) = of_words {
                let text = (*words).to_owned();
                let name = shortened(&self.words(clip).unwrap_or_default(), 24).into_owned();
                return Some((
                    name,
                    Operation::ReplaceText(ReplaceText { clip: own, text }),
                ));
            }
        }
        let Some(words) = self.words(clip) else {
            let label = self
                .media_name(clip)
                .filter(|_| takes_file(self.clip_kind(clip)));
            if let Some(label) = label {
                match placeholders(&label).next() {
                    Some((_, name)) => {
                        open.insert(name.to_owned());
                    }
                    None => kept.push(self.describe(clip)),
                }
            }
            return None;
        };
        let mut text = String::with_capacity(words.len());
        let mut names = Vec::new();
        let mut at = 0;
        for (span, name) in placeholders(&words) {
            let lower = name.to_lowercase();
            let value = layers.iter().find_map(|layer| {
                let mut texts = layer.texts.iter();
                texts.find_map(|(slot, value)| match slot {
                    TextSlot::Placeholder(own) if *own == lower => Some(*value),
                    _ => None,
                })
            });
            let Some(value) = value else {
                open.insert(name.to_owned());
                continue;
            };
            text.push_str(&words[at..span.start]);
            text.push_str(value);
            at = span.end;
            names.push(name);
        }
        text.push_str(&words[at..]);
        let name = names.join(", ");
        (!names.is_empty()).then(|| {
            (
                name,
                Operation::ReplaceText(ReplaceText { clip: own, text }),
            )
        })
    }

    /// How much of its file a clip uses.
    fn needed(&self, clip: ClipRef) -> i64 {
        let speed = self.number(clip, &["speed"]).filter(|speed| *speed > 0.0);
        (self.target(clip).duration as f64 * speed.unwrap_or(1.0)).round() as i64
    }

    /// Where a clip starts in the new file. Clips with parts of one file show the same parts of the new one, if that
    /// is long enough.
    fn part(&self, clip: ClipRef, found: &ResolvedMedia<'_>) -> i64 {
        let start = |clip: ClipRef| {
            let source = self.range(clip, &["source_timerange"]);
            source.map_or(0, |source| source.start)
        };
        let first = found.clips.iter().map(|clip| start(*clip)).min();
        let part = start(clip) - first.unwrap_or(0);
        let length = found.media.file.duration.map_or(0, |length| length.micros);
        if part + self.needed(clip) <= length {
            part
        } else {
            0
        }
    }
}

fn takes_file(kind: ClipKind) -> bool {
    matches!(kind, ClipKind::Video | ClipKind::Image | ClipKind::Audio)
}

/// A name without the braces of a placeholder.
fn bare(name: &str) -> &str {
    let name = name.trim();
    let inner = name
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    inner.map_or(name, str::trim)
}

/// A file's name without its extension.
fn stem(label: &str) -> &str {
    label.rsplit_once('.').map_or(label, |(stem, _)| stem)
}

/// The clips whose label is this name: exactly, in another case, or without its extension and braces.
fn matches(labels: &[(ClipRef, String)], name: &str) -> Vec<ClipRef> {
    let lower = name.to_lowercase();
    let tests: [&dyn Fn(&str) -> bool; 3] = [
        &|label| label == name,
        &|label| label.to_lowercase() == lower,
        &|label| bare(stem(label)).to_lowercase() == lower,
    ];
    for test in tests.iter().filter(|_| !name.is_empty()) {
        let hits = labels.iter().filter(|(_, label)| test(label));
        let hits: Vec<ClipRef> = hits.map(|(clip, _)| *clip).collect();
        if !hits.is_empty() {
            return hits;
        }
    }
    Vec::new()
}

/// The `{{name}}` in a text: where they are, and the names.
fn placeholders(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let open = at + text[at..].find("{{")?;
            let close = open + text[open..].find("}}")?;
            // Of `{{{{name}}`, the last braces count.
            let open = text[..close].rfind("{{").unwrap_or(open);
            at = close + 2;
            let name = text[open + 2..close].trim();
            if !name.is_empty() && !name.contains(['{', '}', '\n']) {
                return Some((open..at, name));
            }
        }
    })
}

fn no_slot<'n>(list: &str, name: &str, slots: impl Iterator<Item = &'n str>) -> Error {
    let mut slots: Vec<&str> = slots.filter(|slot| !slot.is_empty()).collect();
    slots.sort_unstable();
    slots.dedup();
    let error = Error::not_found(format!("`{list}`: no slot is called \"{name}\""));
    let near = nearest(bare(name), slots.iter().copied());
    if !near.is_empty() {
        return error.hint(format!("did you mean {}?", quoted_list(&near)));
    }
    if slots.is_empty() {
        return error
            .hint("there are none of this kind here; name a clip by its id, such as \"c1\"");
    }
    let more = match slots.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    slots.truncate(LISTED);
    let shown: Vec<String> = slots
        .iter()
        .map(|slot| format!("\"{}\"", shortened(slot, 24)))
        .collect();
    error.hint(format!(
        "the slots are {}{more}; a clip's id works as well",
        shown.join(", ")
    ))
}

/// One error for all.
fn joined(mut faults: Vec<Error>) -> Option<Error> {
    if faults.len() < 2 {
        return faults.pop();
    }
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Some(Error::not_found(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_in_words() {
        let found = |text| placeholders(text).map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(found("{{title}} by {{ author }}"), ["title", "author"]);
        assert_eq!(found("{{标题}}"), ["标题"]);
        assert_eq!(found("{{{{a}} {{}} {b} }} {{"), ["a"]);
        assert!(found("{{a\nb}}").is_empty());
    }
}
