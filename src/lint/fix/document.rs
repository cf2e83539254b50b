//! Fixes the document: markers, ids, references, order, keyframe times, and paths of media.

use std::collections::{HashMap, HashSet};

use capcut_draft::{
    ClipRef, Dialect, Document, Edit, ElementRef, ErrorKind, Field, FieldState, FieldValue,
    MaterialRef, PathPart, RawJson, Result, RootRef, Step, TextContent, TextForm, TrackRef, field,
    text_length,
};
use serde_json::Value;

use super::meta::Bin;
use super::{FixTarget, captions, new_id};
use crate::draft::finished::shapes::{Shapes, shape};
use crate::draft::finished::text::{Units, contiguous, is_contiguous};
use crate::engine::paths::{TOKEN, file_name};
use crate::engine::profile::is_template_machine;
use crate::engine::registry::app_path;
use crate::lint::folder::MediaLocation;
use crate::lint::markers::TEMPLATE_DOCUMENT;
use crate::lint::materials::{MASKS, lacks_flags, may_repeat};
use crate::lint::media::FileMaterial;
use crate::lint::range;
use crate::lint::timeline::on_segment_clock;
use crate::sorting;

/// Fixes `document`, and returns what changed.
pub(super) fn mend(
    patient: &FixTarget<'_>,
    document: &mut Document,
    bin: &Bin,
    notes: &mut Vec<String>,
) -> Result<Step> {
    let mut mender = Mender {
        patient,
        edit: document.edit(),
    };
    mender.root()?;
    mender.masks()?;
    mender.media(bin)?;
    mender.materials()?;
    mender.tracks()?;
    if patient.has("overlap") {
        captions::untangle(&mut mender.edit, notes)?;
    }
    mender.duration()?;
    Ok(mender.edit.commit())
}

struct Mender<'a> {
    patient: &'a FixTarget<'a>,
    edit: Edit<'a>,
}

impl Mender<'_> {
    /// Sets a value of any type; an equal one stays written as it is.
    fn set(&mut self, element: impl ElementRef, path: &[&str], value: &Value) -> Result<()> {
        let old = self.edit.raw(element, path);
        let old = old.and_then(|old| serde_json::from_slice::<Value>(old).ok());
        if old.as_ref() == Some(value) {
            return Ok(());
        }
        self.edit.set(element, path, &RawJson(&value.to_string()))
    }

    /// Whether the markers are replaced, and with them the app version that the draft is for.
    fn replaces_markers(&self) -> bool {
        ["markers-missing", "markers-stale", "markers-of-other-app"]
            .iter()
            .any(|code| self.patient.has(code))
    }

    fn root(&mut self) -> Result<()> {
        let profile = &self.patient.profile;
        if self.replaces_markers() {
            let platform = Value::Object(profile.platform.clone());
            let version = field::root::VERSION.path;
            self.edit.set(RootRef, version, &profile.version)?;
            let version = field::root::NEW_VERSION.path;
            self.edit.set(RootRef, version, &*profile.new_version)?;
            self.set(RootRef, field::root::PLATFORM.whole.path, &platform)?;
            let last = field::root::LAST_MODIFIED_PLATFORM.whole.path;
            self.set(RootRef, last, &platform)?;
        }
        if self.replaces_markers() || self.patient.has("parts-missing") {
            let shapes = Shapes::of_scheme(profile.scheme());
            let wanted = shapes.neutral("root").iter().chain(&profile.root_extra);
            for (key, neutral) in wanted {
                let is_there = self.edit.raw(RootRef, &[key]).is_some();
                if !is_there && !["id", "tracks"].contains(&key.as_str()) {
                    self.set(RootRef, &[key], neutral)?;
                }
            }
        }
        let platforms = [field::root::PLATFORM, field::root::LAST_MODIFIED_PLATFORM];
        for machine in platforms.map(|platform| platform.machine) {
            let ids = machine.each_ref().map(|id| self.edit.value(RootRef, id));
            let id_at = |key: &str| {
                let index = machine.iter().position(|id| id.path.last() == Some(&key));
                index.map_or("", |index| &*ids[index])
            };
            if is_template_machine(id_at) {
                for id in &machine {
                    self.edit.set(RootRef, id.path, "")?;
                }
            }
        }
        let id = self.edit.id(RootRef);
        let is_shared = |id: &str| id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT);
        let main = &self.patient.folder.main_timeline;
        let main = main.as_ref().filter(|main| !is_shared(main));
        let is_replaced = id.is_empty() || (is_shared(&id) && self.patient.has("shared-id"));
        if is_replaced || (self.patient.has("timeline-id") && main.is_some()) {
            let id = main.cloned().unwrap_or_else(new_id);
            self.edit.set(RootRef, field::ID, &id)?;
        }
        match self.edit.state(RootRef, &field::root::FPS) {
            FieldState::Missing => Ok(()),
            FieldState::Is(fps) if fps > 0.0 => Ok(()),
            _ => self.edit.set(RootRef, field::root::FPS.path, &30.0),
        }
    }

    fn masks(&mut self) -> Result<()> {
        if !self.replaces_markers() && !self.patient.has("mask-list") {
            return Ok(());
        }
        for to in self.patient.profile.masks().names() {
            for from in MASKS.into_iter().filter(|from| from != to) {
                let masks: Vec<MaterialRef> = self.edit.materials(from).collect();
                for mask in masks {
                    let id = self.edit.id(mask);
                    if id.is_empty() || self.edit.material_in(to, &id).is_some() {
                        continue;
                    }
                    let json = self.edit.json(mask).into_owned();
                    self.edit.add_material(to, &json)?;
                }
            }
        }
        Ok(())
    }

    /// Corrects the paths of media files and the links to the list of media.
    fn media(&mut self, bin: &Bin) -> Result<()> {
        for medium in &self.patient.media {
            let Some((material, within)) = self.find(medium) else {
                continue;
            };
            let object = self.edit.raw_at(material, &within);
            if !object.is_some_and(|json| json.starts_with(b"{")) {
                continue;
            }
            self.path(medium, material, &within)?;
            if medium.is_linked
                && let Some(id) = bin.get(&(medium.list, medium.index))
                && *id != medium.link
            {
                let link = inside(&within, &field::material::LOCAL_MATERIAL_ID);
                self.edit.set_at(material, &link, id)?;
            }
        }
        Ok(())
    }

    /// The material of a medium, or the compound clip that contains it and its path in there.
    fn find(&self, medium: &FileMaterial) -> Option<(MaterialRef, Vec<PathPart<'static>>)> {
        let Some((outermost, inner)) = medium.within.split_first() else {
            let material = self.edit.materials(medium.list).nth(medium.index)?;
            return Some((material, Vec::new()));
        };
        let compound = self.edit.materials("drafts").nth(*outermost)?;
        let lists = inner.iter().map(|index| ("drafts", *index));
        let lists = lists.chain([(medium.list, medium.index)]);
        let path = lists.flat_map(|(list, index)| field::material::nested(list, index));
        Some((compound, path.collect()))
    }

    fn path(
        &mut self,
        medium: &FileMaterial,
        material: MaterialRef,
        within: &[PathPart<'static>],
    ) -> Result<()> {
        let path = inside(within, &field::material::PATH);
        if let MediaLocation::Found(file) = &medium.place {
            return self.edit.set_at(material, &path, &app_path(file));
        }
        let (MediaLocation::Inside(file) | MediaLocation::Moved(file)) = &medium.place else {
            return Ok(());
        };
        let is_renamed = self.patient.renames.contains_key(file);
        if !is_renamed && matches!(medium.place, MediaLocation::Inside(_)) {
            return Ok(());
        }
        let new = self.patient.inside(file);
        self.edit
            .set_at(material, &path, &format!("{TOKEN}/{new}"))?;
        let name = if medium.list == "videos" {
            field::material::MATERIAL_NAME
        } else {
            field::material::NAME
        };
        let name = inside(within, &name);
        let old = file.file_name().unwrap_or_default().to_string_lossy();
        let known = self.edit.raw_at(material, &name).and_then(String::read);
        if is_renamed && known.is_some_and(|known| known == old) {
            self.edit.set_at(material, &name, file_name(&new))?;
        }
        Ok(())
    }

    fn materials(&mut self) -> Result<()> {
        let lists: Vec<String> = self.edit.material_lists().map(str::to_owned).collect();
        for list in lists {
            if self.patient.has("duplicate-id") {
                self.drop_copies(&list)?;
            }
            let materials: Vec<MaterialRef> = self.edit.materials(&list).collect();
            match list.as_str() {
                "texts" => {
                    for text in materials {
                        self.text(text)?;
                    }
                }
                "videos" if self.patient.has("check-flag") => {
                    let field = field::material::CHECK_FLAG;
                    for video in materials {
                        let flag = self.edit.get(video, &field);
                        if let Some(flag) = flag.filter(|flag| lacks_flags(*flag)) {
                            let all = flag | self.patient.profile.video_check_flag();
                            self.edit.set(video, field.path, &all)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the materials of a list that are equal to an earlier one with the same id.
    fn drop_copies(&mut self, list: &str) -> Result<()> {
        let is_equal = |edit: &Edit<'_>, first, second| {
            let texts = [first, second].map(|material| edit.json(material));
            let value = |text: &str| serde_json::from_str::<Value>(text).ok();
            texts[0] == texts[1]
                || value(&texts[0]).is_some_and(|first| Some(first) == value(&texts[1]))
        };
        let mut seen: HashMap<String, MaterialRef> = HashMap::new();
        let materials: Vec<MaterialRef> = self.edit.materials(list).collect();
        for material in materials {
            let id = self.edit.id(material).into_owned();
            let kind = self.edit.value(material, &field::material::KIND);
            if id.is_empty() || may_repeat(list, &kind) {
                continue;
            }
            match seen.get(&id) {
                None => drop(seen.insert(id, material)),
                Some(first) if is_equal(&self.edit, *first, material) => {
                    self.edit.remove(material)?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn text(&mut self, text: MaterialRef) -> Result<()> {
        let mut content = TextContent::read(&self.edit.value(text, &field::material::CONTENT));
        if content.form() != TextForm::Json {
            return Ok(());
        }
        let words = content.words().into_owned();
        let styles: Vec<Value> = serde_json::from_str(content.styles()).unwrap_or_default();
        if styles.is_empty() || is_contiguous(&words, &styles) {
            return Ok(());
        }
        let end = content.ranges().last().and_then(|range| range.end);
        let characters = text_length(&words, Dialect::Api);
        let units = if end == Some(characters) && characters != text_length(&words, Dialect::App) {
            Units::CodePoints
        } else {
            Units::Utf16
        };
        let styles = Value::Array(contiguous(&words, &styles, units));
        if content.set_styles(&styles.to_string()) {
            let path = field::material::CONTENT.path;
            let done = self.edit.set(text, path, content.as_str());
            // A text with half of a surrogate pair stays as it is.
            return done.or_else(|error| match error.kind {
                ErrorKind::ReadOnly => Ok(()),
                _ => Err(error),
            });
        }
        Ok(())
    }

    fn tracks(&mut self) -> Result<()> {
        let mut ids = HashSet::new();
        for track in self.edit.tracks() {
            if !self.edit.is_object(track) {
                continue;
            }
            self.unique(track, &mut ids)?;
            let name = self.edit.get(track, &field::track::NAME);
            if name.is_none() && self.patient.has("track-name") {
                for (key, neutral) in shape("track") {
                    let old = self.edit.raw(track, &[key]);
                    if old.is_none_or(|old| old == b"null") {
                        self.set(track, &[key], neutral)?;
                    }
                }
            }
            let kind = self.edit.value(track, &field::track::KIND);
            let clips: Vec<ClipRef> = self.edit.clips(track).collect();
            for clip in clips {
                if !self.edit.is_object(clip) {
                    continue;
                }
                self.unique(clip, &mut ids)?;
                self.edit.drop_dangling_refs(clip)?;
                if self.edit.check_times(clip).is_ok() {
                    self.speed(&kind, clip)?;
                    self.keyframes(&kind, clip)?;
                }
                let position = field::clip::POSITION;
                if kind == "audio" && self.edit.get(clip, &position).is_some() {
                    self.edit.set(clip, position.path, &RawJson("null"))?;
                }
            }
            self.sort(track)?;
        }
        Ok(())
    }

    /// Sorts the clips of a track by time.
    fn sort(&mut self, track: TrackRef) -> Result<()> {
        let mut clips: Vec<ClipRef> = self.edit.clips(track).collect();
        let start = |clip: &ClipRef| self.edit.target(*clip).start;
        let has_times = |clip: &ClipRef| self.edit.check_times(*clip).is_ok();
        if clips.is_sorted_by_key(start) || !clips.iter().all(has_times) {
            return Ok(());
        }
        sorting::sort_by_key(&mut clips, start);
        for (index, clip) in clips.into_iter().enumerate() {
            self.edit.move_clip(clip, track, index)?;
        }
        Ok(())
    }

    fn unique(&mut self, element: impl ElementRef, ids: &mut HashSet<String>) -> Result<()> {
        let id = self.edit.id(element).into_owned();
        if !id.is_empty() && ids.insert(id) {
            return Ok(());
        }
        let id = new_id();
        self.edit.set(element, field::ID, &id)?;
        ids.insert(id);
        Ok(())
    }

    fn speed(&mut self, kind: &str, clip: ClipRef) -> Result<()> {
        let field = field::clip::SPEED;
        let speed = match self.edit.state(clip, &field) {
            FieldState::Missing => 1.0,
            FieldState::Is(speed) if speed > 0.0 => speed,
            _ => {
                let source = self.edit.source(clip).unwrap_or_default();
                let implied = source.duration as f64 / self.edit.target(clip).duration as f64;
                let is_usual =
                    (implied - 1.0).abs() < 1e-3 || !implied.is_normal() || implied < 0.0;
                let speed = if !matches!(kind, "video" | "audio") || is_usual {
                    1.0
                } else {
                    implied
                };
                self.edit.set(clip, field.path, &speed)?;
                speed
            }
        };
        let field = field::material::SPEED;
        let refs: Vec<String> = self.edit.refs(clip).into_iter().map(Into::into).collect();
        for id in refs {
            let Some(material) = self.edit.material_in("speeds", &id) else {
                continue;
            };
            let has_curve = self.edit.get(material, &field::material::CURVE_SPEED);
            let own = match self.edit.state(material, &field) {
                FieldState::Missing => Some(1.0),
                FieldState::Is(own) => Some(own),
                _ => None,
            };
            if has_curve.is_none() && own != Some(speed) {
                self.edit.set(material, field.path, &speed)?;
            }
        }
        Ok(())
    }

    fn keyframes(&mut self, kind: &str, clip: ClipRef) -> Result<()> {
        let target = self.edit.target(clip);
        let source = self.edit.source(clip);
        let source = source.filter(|_| matches!(kind, "video" | "audio"));
        let speed = self.edit.value(clip, &field::clip::SPEED);
        let lists = self.edit.keyframes(clip);
        let times = || {
            let points = lists.iter().flat_map(|list| &list.points);
            let points = points.filter(|point| point.is_object);
            points.map(|point| point.offset)
        };
        let shift = match (times().min(), times().max()) {
            (Some(first), Some(last))
                if on_segment_clock(source.map(range), range(target), first, last) =>
            {
                source.filter(|_| self.patient.has("keyframe-clock"))
            }
            _ => None,
        };
        for (list, keyframes) in lists.iter().enumerate() {
            if let Some(source) = shift {
                for (index, point) in keyframes.points.iter().enumerate() {
                    let on_source = source.start + (point.offset as f64 * speed).round() as i64;
                    self.edit
                        .set_keyframe_offset(clip, list, index, on_source)?;
                }
            }
            self.edit.sort_keyframes(clip, list)?;
        }
        Ok(())
    }

    fn duration(&mut self) -> Result<()> {
        if !self.patient.has("duration") {
            return Ok(());
        }
        let end = self.edit.end();
        self.edit.set(RootRef, field::root::DURATION.path, &end)
    }
}

/// The path of a field of a material that may be in a compound clip.
fn inside<T>(
    within: &[PathPart<'static>],
    field: &Field<MaterialRef, T>,
) -> Vec<PathPart<'static>> {
    let keys = field.path.iter().map(|key| PathPart::Key(key));
    within.iter().copied().chain(keys).collect()
}
