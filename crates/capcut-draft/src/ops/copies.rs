//! Operations that copy and remove clips, with their materials and animations.

use crate::document::{ClipRef, MaterialRef, micros};
use crate::error::{Error, Result};
use crate::field::clip;
use crate::grid::Seconds;
use crate::ops::session::Session;
use crate::ops::{Duplicate, Remove};
use crate::path::PathPart;

impl Session<'_> {
    /// Removes the additional materials of a clip in these lists; returns how many there were.
    pub(crate) fn drop_companions(&mut self, own: ClipRef, lists: &[&str]) -> Result<usize> {
        let ids: Vec<String> = self
            .edit
            .companions(own, lists)
            .map(|material| self.edit.id(material).into_owned())
            .collect();
        for id in &ids {
            self.edit.drop_ref(own, id)?;
        }
        Ok(ids.len())
    }

    /// A copy of a clip directly after it in the list, with materials of its own.
    pub(crate) fn copy_clip(&mut self, own: ClipRef, purpose: &str) -> Result<ClipRef> {
        if self.edit.main_material(own).is_none() {
            return Err(Error::read_only(format!(
                "{} cannot be copied, as its material does not exist",
                self.edit.describe(own)
            )));
        }
        let track = self.edit.track_of(own);
        let list = self.edit.elements[own.0 as usize].list;
        let index = self.edit.index_in(list, own.0);
        let text = String::from_utf8_lossy(self.edit.text_of(own.0)).into_owned();
        let id = self.edit.unused_id(&self.edit.id(own), purpose);
        let copy = self.edit.add_clip(track, index + 1, &text)?;
        self.edit.set(copy, &["id"], id.as_str())?;
        let copy = self.edit.clips_by_id(&id).next().unwrap_or(copy);
        let mut refs: Vec<String> = self.edit.refs(copy).into_iter().map(Into::into).collect();
        refs.push(self.edit.material_id(copy).into_owned());
        refs.dedup();
        for old in refs {
            let materials: Vec<_> = self.edit.materials_by_id(&old).collect();
            if materials.is_empty() {
                // The reference API refers to speeds that do not exist; a copy leaves such references out.
                self.edit.drop_ref(copy, &old)?;
                continue;
            }
            let copied = materials.iter().filter(|material| {
                // A draft inside the draft is large and never edited here, so it stays shared.
                !["drafts", "text_templates"].contains(&self.edit.list_name(**material))
            });
            let copied: Vec<_> = copied.copied().collect();
            if copied.is_empty() || copied.len() != materials.len() {
                continue;
            }
            let new = self.edit.unused_id(&old, purpose);
            for material in copied {
                let list = self.edit.list_name(material).to_owned();
                let text = String::from_utf8_lossy(self.edit.text_of(material.0)).into_owned();
                let material = self.edit.add_material(&list, &text)?;
                self.edit.set(material, &["id"], new.as_str())?;
            }
            while self.edit.material_id(copy) == old
                || self.edit.refs(copy).iter().any(|id| *id == old)
            {
                self.edit.change_ref(copy, &old, &new)?;
            }
        }
        self.renew_keyframe_ids(copy, purpose)?;
        // A copy is not in the group of the original.
        if !self.edit.value(copy, &clip::GROUP).is_empty() && purpose != "split" {
            self.edit.set(copy, clip::GROUP.path, "")?;
        }
        Ok(copy)
    }

    pub(crate) fn remove(&mut self, operation: &Remove) -> Result<()> {
        let mut all = self.edit.select_all(&operation.clip)?;
        for own in all.clone() {
            all.extend(self.linked(own));
        }
        all.sort_unstable();
        all.dedup();
        let mut unused = Vec::new();
        for own in all {
            self.touch_time(own)?;
            let track = self.edit.track_of(own);
            let is_magnetic = operation.close_gap != Some(false) && self.is_magnetic(track);
            if is_magnetic || operation.close_gap == Some(true) {
                self.edit.check_times(own)?;
            }
            self.changed(format!("{} is removed", self.edit.describe(own)));
            let (first, last) = self.frames(own);
            let end = self.edit.target(own).end();
            unused.push(self.edit.material_id(own).into_owned());
            unused.extend(self.edit.refs(own).into_iter().map(String::from));
            self.edit.remove(own)?;
            if is_magnetic {
                self.close_gaps(track)?;
                self.note("the main track closes the gap, as its magnet is on".to_owned());
            } else if operation.close_gap == Some(true) {
                let later: Vec<ClipRef> = self
                    .edit
                    .clips(track)
                    .filter(|clip| self.edit.target(*clip).start >= end - 2)
                    .collect();
                for clip in later {
                    self.shift_frames(clip, first - last)?;
                }
            }
        }
        unused.sort_unstable();
        unused.dedup();
        self.edit.drop_unused(&unused)
    }

    pub(crate) fn duplicate(&mut self, operation: &Duplicate) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let to = match &operation.track {
            Some(track) => self.edit.select_track(track)?,
            None => self.edit.track_of(own),
        };
        self.edit.check_times(own)?;
        let at = operation
            .at
            .map_or(self.edit.target(own).end(), |at| at.micros);
        if at < 0 {
            return Err(Error::invalid(format!(
                "`at` is {}; the timeline begins at 0 s",
                Seconds(at)
            )));
        }
        self.touch_time(own)?;
        let is_magnetic = self.is_magnetic(to);
        let (first, last) = self.frames(own);
        let start = match operation.at {
            Some(_) => self.free_frame(to, at, own),
            None => last,
        };
        let copy = self.copy_clip(own, "copy")?;
        self.drop_companions(copy, &["transitions"])?;
        let copy = self.change_track(copy, to)?;
        self.touch_time(copy)?;
        if is_magnetic {
            self.move_among(copy, at)?;
        } else {
            let target = self.range_of_frames(start, start + last - first);
            self.set_target(copy, target)?;
        }
        self.changed(format!(
            "{} is a copy of {} from {} on",
            self.edit.describe(copy),
            self.edit.short_id(own),
            Seconds(self.edit.target(copy).start)
        ));
        Ok(())
    }

    /// Keeps the animations of a clip within its length.
    pub(crate) fn fit_animations(&mut self, own: ClipRef, length: i64) -> Result<()> {
        self.edit_animations(own, length, None)
    }

    /// As [`fit_animations`](Self::fit_animations), without animations of a type.
    pub(super) fn keep_animations(
        &mut self,
        own: ClipRef,
        except: &str,
        length: i64,
    ) -> Result<()> {
        self.edit_animations(own, length, Some(except))
    }

    fn edit_animations(&mut self, own: ClipRef, length: i64, except: Option<&str>) -> Result<()> {
        let Some(material) = self.edit.companion(own, &["material_animations"]) else {
            return Ok(());
        };
        let mut count = 0;
        while self.animation_value(material, count, "type").is_some() {
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let material = self.edit.own_copy(own, material)?;
        for index in (0..count).rev() {
            let kind = self
                .animation_value(material, index, "type")
                .unwrap_or_default();
            let kind = kind.trim_matches('"').to_owned();
            let list = [PathPart::Key("animations")];
            if except == Some(&kind) {
                self.edit.remove_item(material, &list, index)?;
                continue;
            }
            let time = |key| {
                let value = self.animation_value(material, index, key);
                value
                    .and_then(|value| micros(value.as_bytes()))
                    .unwrap_or(0)
            };
            let (start, duration) = (time("start"), time("duration"));
            let new_duration = match kind.as_str() {
                "group" => length - start.min(length),
                _ => duration.min(length),
            };
            let new_start = if kind == "out" {
                length - new_duration
            } else {
                start.min(length)
            };
            for (key, old, new) in [
                ("start", start, new_start),
                ("duration", duration, new_duration),
            ] {
                if old != new {
                    let path = [
                        PathPart::Key("animations"),
                        PathPart::Index(index),
                        PathPart::Key(key),
                    ];
                    self.edit.set_at(material, &path, &new)?;
                }
            }
        }
        self.fit_loop(own)
    }

    pub(super) fn animation_value(
        &self,
        material: MaterialRef,
        index: usize,
        key: &str,
    ) -> Option<String> {
        let path = [
            PathPart::Key("animations"),
            PathPart::Index(index),
            PathPart::Key(key),
        ];
        self.edit
            .raw_at(material, &path)
            .map(|raw| String::from_utf8_lossy(raw).into_owned())
    }
}
