//! The sound of clips: split off from videos, muted, and its loudness over time.

use serde_json::{Map, Value, json};

use crate::document::{ClipRef, Dialect, MaterialRef, TrackRef};
use crate::error::{Error, Result};
use crate::field::{clip, material, track};
use crate::grid::TimeRange;
use crate::kinds::ClipKind;
use crate::ops::session::{Session, index_of_start};
use crate::ops::{AddKeyframes, KeyframeValue, SplitAudio};
use crate::path::PathPart;
use crate::select::ClipSelector;
use crate::value::quoted;

/// The keyframes of loudness in documents.
const VOLUME_KEY: &str = "KFTypeVolume";

/// The additional materials of a video that are about its sound.
const OF_SOUND: [&str; 6] = [
    "speeds",
    "placeholder_infos",
    "audio_fades",
    "sound_channel_mappings",
    "loudnesses",
    "vocal_separations",
];

/// The name of a new track for sounds of videos.
const TRACK: &str = "original_sound";

impl Session<'_> {
    pub(crate) fn split_audio(&mut self, operation: &SplitAudio) -> Result<()> {
        for own in self.edit.select_all(&operation.clip)? {
            self.split_off_sound(own, operation.track.as_deref())?;
        }
        Ok(())
    }

    fn split_off_sound(&mut self, own: ClipRef, to: Option<&str>) -> Result<()> {
        let kind = self.require_inside(own)?;
        let main = self.edit.main_material(own);
        let has_sound = |main: &MaterialRef| self.edit.raw(*main, &["has_audio"]) != Some(b"false");
        let Some(main) = main.filter(|main| kind == ClipKind::Video && has_sound(main)) else {
            return Err(Error::invalid(format!(
                "{} has no sound that can be split off",
                self.edit.describe(own)
            )));
        };
        self.touch(own)?;
        self.edit.check_times(own)?;
        let target = self.edit.target(own);
        let to = self.track_for_sound(to, target)?;
        self.touch_track(to);
        let sound = self.add_sound(main)?;
        let text = self.edit.text_of(own.0);
        let mut members: Map<String, Value> = serde_json::from_slice(text).map_err(|_| {
            Error::read_only(format!(
                "{} is written in a form that cannot be copied",
                self.edit.describe(own)
            ))
        })?;
        let id = self.edit.unused_id(&self.edit.id(own), "sound");
        let refs = self.copied_companions(own)?;
        let layer = self.edit.clips(to).next();
        let layer = layer.and_then(|other| self.edit.number(other, &["track_render_index"]));
        let index = self.edit.tracks().iter().position(|other| *other == to);
        for (key, value) in [
            ("id", json!(id)),
            ("material_id", json!(sound)),
            ("extra_material_refs", json!(refs)),
            ("clip", Value::Null),
            ("hdr_settings", Value::Null),
            ("uniform_scale", Value::Null),
            ("group_id", json!("")),
            ("enable_adjust", json!(false)),
            ("enable_lut", json!(false)),
            ("render_index", json!(0)),
            (
                "track_attribute",
                json!(self.edit.value(to, &track::ATTRIBUTE)),
            ),
            (
                "track_render_index",
                layer.map_or_else(|| json!(index.unwrap_or(0)), |layer| json!(layer as i64)),
            ),
        ] {
            if members.contains_key(key) || matches!(key, "extra_material_refs" | "clip") {
                members.insert(key.to_owned(), value);
            }
        }
        if let Some(Value::Array(groups)) = members.get_mut("common_keyframes") {
            groups.retain(|group| group["property_type"] == VOLUME_KEY);
        }
        let place = index_of_start(&self.edit, self.edit.clips(to), target.start);
        let copy = self
            .edit
            .add_clip(to, place, &Value::Object(members).to_string())?;
        self.renew_keyframe_ids(copy, "sound")?;
        self.report_clip(copy);
        self.drop_companions(own, &["audio_fades"])?;
        self.drop_keyframes(own, VOLUME_KEY)?;
        self.set_mute(own, true)?;
        self.changed(format!(
            "the sound of {} is {} on {}, and the video is muted",
            self.edit.short_id(own),
            self.edit.short_id(copy),
            self.edit.describe_track(to)
        ));
        Ok(())
    }

    /// A track of sounds that is free at this time; a new one if there is none.
    fn track_for_sound(&mut self, wanted: Option<&str>, target: TimeRange) -> Result<TrackRef> {
        if let Some(wanted) = wanted {
            let found = self.edit.select_track(wanted)?;
            if self.edit.value(found, &track::KIND) != "audio" {
                return Err(Error::invalid(format!(
                    "{} is not a track of sounds",
                    self.edit.describe_track(found)
                )));
            }
            return Ok(found);
        }
        let is_free = |own: &TrackRef| {
            self.edit.value(*own, &track::KIND) == "audio"
                && !self.edit.is_locked(*own)
                && self.edit.clips(*own).all(|clip| {
                    let other = self.edit.target(clip);
                    other.end() <= target.start || other.start >= target.end()
                })
        };
        let tracks = self.edit.tracks();
        if let Some(found) = tracks.iter().copied().find(is_free) {
            return Ok(found);
        }
        let names: Vec<String> = tracks
            .iter()
            .map(|own| self.edit.value(*own, &track::NAME))
            .collect();
        let numbered = (2..).map(|number| format!("{TRACK} {number}"));
        let name = std::iter::once(TRACK.to_owned())
            .chain(numbered)
            .find(|name| !names.contains(name))
            .unwrap_or_default();
        let like = tracks.first().map(|own| self.edit.id(*own).into_owned());
        let id = self.edit.unused_id(&like.unwrap_or_default(), &name);
        let json = format!(
            "{{\"attribute\":0,\"flag\":0,\"id\":{},\"is_default_name\":false,\"name\":{},\"segments\":[],\"type\":\"audio\"}}",
            quoted(&id),
            quoted(&name)
        );
        self.edit.add_track(tracks.len(), &json)
    }

    /// Adds the sound of a video as a sound of its own; returns its id.
    fn add_sound(&mut self, video: MaterialRef) -> Result<String> {
        let text = |key| {
            self.edit
                .text(video, &[key])
                .unwrap_or_default()
                .into_owned()
        };
        let id = self.edit.unused_id(&self.edit.id(video), "sound");
        let mut members = self.resources.neutral("audios");
        // The API's own type for the sound of a video is that of every file.
        let kind = match self.edit.dialect() {
            Dialect::Api => "extract_music",
            Dialect::App => "video_original_sound",
        };
        let duration = self.edit.value(video, &material::DURATION);
        let own = json!({
            "id": id, "type": kind, "name": text("material_name"), "path": text("path"),
            "duration": duration, "category_name": "local", "check_flag": 1, "music_id": id,
            "wave_points": [],
        });
        if let Value::Object(own) = own {
            members.extend(own);
        }
        match self.edit.dialect() {
            Dialect::Api => {
                members.insert("remote_url".to_owned(), text("remote_url").into());
                members.insert("local_material_id".to_owned(), id.as_str().into());
            }
            Dialect::App => {
                let linked = text("local_material_id");
                members.insert("local_material_id".to_owned(), linked.into());
            }
        }
        self.edit
            .add_material("audios", &Value::Object(members).to_string())?;
        Ok(id)
    }

    /// Copies of what a video has for its sound; returns their ids.
    fn copied_companions(&mut self, own: ClipRef) -> Result<Vec<String>> {
        let all: Vec<MaterialRef> = self.edit.companions(own, &OF_SOUND).collect();
        let mut ids = Vec::new();
        for companion in all {
            let list = self.edit.list_name(companion).to_owned();
            let text = String::from_utf8_lossy(self.edit.text_of(companion.0)).into_owned();
            let id = self.edit.unused_id(&self.edit.id(companion), "sound");
            let copy = self.edit.add_material(&list, &text)?;
            self.edit.set(copy, &["id"], id.as_str())?;
            ids.push(id);
        }
        Ok(ids)
    }

    fn drop_keyframes(&mut self, own: ClipRef, key: &str) -> Result<()> {
        let groups = self.edit.keyframes(own);
        for (index, _) in groups
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, group)| group.property == key)
        {
            self.edit
                .remove_item(own, &[PathPart::Key("common_keyframes")], index)?;
        }
        Ok(())
    }

    /// Turns the sound of a clip off, or on as loud as it was before.
    pub(super) fn set_mute(&mut self, own: ClipRef, on: bool) -> Result<()> {
        let now = self.edit.value(own, &clip::VOLUME);
        let last = ["last_nonzero_volume"];
        if on {
            if now > 0.0 {
                self.edit.set(own, &last, &now)?;
            }
            return self.edit.set(own, clip::VOLUME.path, &0.0);
        }
        if now > 0.0 {
            return Ok(());
        }
        let before = self.edit.usable_number(own, &last)?;
        let before = before.filter(|before| *before > 0.0).unwrap_or(1.0);
        self.edit.set(own, clip::VOLUME.path, &before)
    }

    /// Sets the loudness of a clip over time, in place of what it was.
    pub(super) fn set_volume_curve(
        &mut self,
        own: ClipRef,
        points: &[KeyframeValue],
    ) -> Result<()> {
        self.drop_keyframes(own, VOLUME_KEY)?;
        if points.is_empty() {
            return Ok(());
        }
        self.add_keyframes(&AddKeyframes {
            clip: ClipSelector::Text(self.edit.id(own).into_owned()),
            property: "volume".to_owned(),
            easing: None,
            points: points.to_vec(),
        })
    }
}
