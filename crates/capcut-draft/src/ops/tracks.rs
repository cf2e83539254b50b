//! Operations on tracks and on the whole draft.

use crate::document::{ClipRef, RootRef, TrackRef};
use crate::error::{Error, Result};
use crate::field::{clip, root, track};
use crate::ops::session::{Session, main_track};
use crate::ops::{Canvas, Rename, TrackChange};

const MUTED: i64 = 1;
const HIDDEN: i64 = 2;
const LOCKED: i64 = 4;

impl Session<'_> {
    pub(crate) fn change_track_itself(&mut self, operation: &TrackChange) -> Result<()> {
        let own = self.edit.select_track(&operation.track)?;
        let switches = [
            (operation.mute, MUTED, "muted"),
            (operation.hide, HIDDEN, "hidden"),
            (operation.lock, LOCKED, "locked"),
        ];
        let has_change = switches.iter().any(|switch| switch.0.is_some())
            || operation.rename.is_some()
            || operation.order.is_some()
            || operation.remove;
        if !has_change {
            return Err(Error::invalid(
                "`track` needs a change: `mute`, `lock`, `hide`, `rename`, `order` or `remove`",
            ));
        }
        if switches.iter().any(|switch| switch.0.is_some()) {
            self.edit.usable_number(own, track::ATTRIBUTE.path)?;
        }
        let old = self.edit.value(own, &track::ATTRIBUTE);
        let mut attribute = old;
        for (on, bit, word) in switches {
            let Some(on) = on else { continue };
            attribute = if on {
                attribute | bit
            } else {
                attribute & !bit
            };
            let is = if on { "is" } else { "is not" };
            self.changed(format!("{} {is} {word}", self.edit.describe_track(own)));
        }
        if attribute != old {
            self.edit.set(own, track::ATTRIBUTE.path, &attribute)?;
            let clips: Vec<ClipRef> = self.edit.clips(own).collect();
            for clip in clips {
                if self.edit.raw(clip, clip::TRACK_ATTRIBUTE.path).is_some() {
                    self.edit
                        .set(clip, clip::TRACK_ATTRIBUTE.path, &attribute)?;
                }
            }
        }
        if let Some(name) = &operation.rename {
            self.changed(format!(
                "{} is named \"{name}\"",
                self.edit.describe_track(own)
            ));
            self.edit.set(own, track::NAME.path, name.as_str())?;
            if self.edit.raw(own, &["is_default_name"]).is_some() {
                self.edit.set(own, &["is_default_name"], &name.is_empty())?;
            }
        }
        if let Some(order) = operation.order {
            self.order_track(own, order)?;
        }
        if operation.remove {
            self.remove_track(own)?;
        }
        Ok(())
    }

    fn remove_track(&mut self, own: TrackRef) -> Result<()> {
        if self.edit.is_locked(own) {
            return Err(Error::new(
                crate::error::ErrorKind::Locked,
                format!("{} is locked", self.edit.describe_track(own)),
            )
            .hint("unlock it with `lock`: false in an operation before"));
        }
        let clips: Vec<ClipRef> = self.edit.clips(own).collect();
        let mut unused = Vec::new();
        for clip in &clips {
            unused.push(self.edit.material_id(*clip).into_owned());
            unused.extend(self.edit.refs(*clip).into_iter().map(String::from));
        }
        unused.sort_unstable();
        unused.dedup();
        self.changed(format!(
            "{} is removed with {} clips",
            self.edit.describe_track(own),
            clips.len()
        ));
        // The app needs a main track; without clips it is empty.
        if main_track(&self.edit) == Some(own) && self.edit.tracks().len() > 1 {
            self.note("the main track stays, empty, as the app needs one".to_owned());
            for clip in clips {
                self.edit.remove(clip)?;
            }
        } else {
            self.edit.remove(own)?;
        }
        self.edit.drop_unused(&unused)
    }

    /// Moves a track among the others; layers of clips follow.
    fn order_track(&mut self, own: TrackRef, order: usize) -> Result<()> {
        let tracks = self.edit.tracks();
        let count = tracks.len();
        if order >= count {
            return Err(Error::invalid(format!(
                "`order` is {order}; the draft has {count} tracks, from 0, the lowest, to {}",
                count - 1
            )));
        }
        let main =
            main_track(&self.edit).and_then(|main| tracks.iter().position(|track| *track == main));
        let from = tracks.iter().position(|track| *track == own).unwrap_or(0);
        if main.is_some_and(|main| from == main || order <= main && from > main) {
            return Err(Error::invalid(format!(
                "the main track {} stays the lowest track of videos",
                main.map_or(String::new(), |main| self.edit.describe_track(tracks[main]))
            )));
        }
        // Layers stay as numbers; their owners change. Kinds that have layers of their own keep them.
        let kind = self.edit.value(own, &track::KIND);
        let layers = |session: &Self| -> Vec<(TrackRef, Option<i64>)> {
            session
                .edit
                .tracks()
                .into_iter()
                .filter(|track| {
                    layer_band(&session.edit.value(*track, &track::KIND)) == layer_band(&kind)
                })
                .map(|track| {
                    let first = session.edit.clips(track).next();
                    (
                        track,
                        first.map(|clip| session.edit.value(clip, &clip::RENDER_INDEX)),
                    )
                })
                .collect()
        };
        let mut indices: Vec<i64> = layers(self)
            .into_iter()
            .filter_map(|layer| layer.1)
            .collect();
        indices.sort_unstable();
        self.edit.move_track(own, order)?;
        let mut indices = indices.into_iter();
        for (track, layer) in layers(self) {
            let Some(index) = layer.and_then(|_| indices.next()) else {
                continue;
            };
            if layer != Some(index) {
                self.set_in_clips(track, "render_index", index)?;
            }
        }
        for (position, track) in (0..).zip(self.edit.tracks()) {
            // Only where the document numbers its tracks.
            let stated = self.edit.clips(track).next();
            let stated = stated.and_then(|clip| self.edit.number(clip, &["track_render_index"]));
            let old = tracks.iter().position(|old| *old == track);
            if stated.map(|stated| stated as usize) == old {
                self.set_in_clips(track, "track_render_index", position)?;
            }
        }
        self.changed(format!(
            "{} is at position {order} of {count}",
            self.edit.describe_track(own)
        ));
        Ok(())
    }

    fn set_in_clips(&mut self, track: TrackRef, key: &str, value: i64) -> Result<()> {
        let clips: Vec<ClipRef> = self.edit.clips(track).collect();
        for clip in clips {
            if self.edit.raw(clip, &[key]).is_some() {
                self.edit.set(clip, &[key], &value)?;
            }
        }
        Ok(())
    }

    pub(crate) fn set_canvas(&mut self, operation: &Canvas) -> Result<()> {
        let (width, height) = (operation.width, operation.height);
        if !(16..=8192).contains(&width) || !(16..=8192).contains(&height) {
            return Err(Error::invalid(format!(
                "the canvas is {width} × {height}; both are from 16 to 8192 pixels"
            )));
        }
        self.edit
            .set(RootRef, root::CANVAS_WIDTH.path, &i64::from(width))?;
        self.edit
            .set(RootRef, root::CANVAS_HEIGHT.path, &i64::from(height))?;
        let ratio = self.edit.value(RootRef, &root::CANVAS_RATIO);
        if !["", "original"].contains(&ratio.as_str()) {
            self.edit
                .set(RootRef, root::CANVAS_RATIO.path, ratio_name(width, height))?;
        }
        self.changed(format!("the canvas is {width} × {height}"));
        Ok(())
    }

    pub(crate) fn rename(&mut self, operation: &Rename) -> Result<()> {
        if operation.name.trim().is_empty() {
            return Err(Error::invalid("`name` is empty"));
        }
        self.edit
            .set(RootRef, root::NAME.path, operation.name.as_str())?;
        self.changed(format!("the draft is named \"{}\"", operation.name));
        Ok(())
    }
}

/// Kinds of tracks that share their layers.
fn layer_band(kind: &str) -> u8 {
    match kind {
        "video" => 0,
        "text" | "sticker" => 1,
        "effect" => 2,
        "filter" => 3,
        "adjust" => 4,
        "audio" => 5,
        _ => 6,
    }
}

/// The app's name of a ratio.
fn ratio_name(width: u32, height: u32) -> &'static str {
    let known = [
        (16, 9, "16:9"),
        (9, 16, "9:16"),
        (4, 3, "4:3"),
        (3, 4, "3:4"),
        (1, 1, "1:1"),
        (2, 1, "2:1"),
    ];
    known
        .iter()
        .find(|(x, y, _)| width * y == height * x)
        .map_or("original", |(_, _, name)| name)
}
