//! Segments: their time range, content and appearance.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::draft::clip::Clip;
use crate::draft::ids::{Id, Ids};
use crate::draft::keyframe::{Keyframe, KeyframeProperty, Keyframes};
use crate::draft::material::{
    Animations, AudioEffect, Blur, Fade, FilterLayer, Mask, StickerMaterial, Transition,
    VideoEffect,
};
use crate::draft::text::TextContent;
use crate::units::{Micros, Range};

/// A time range of a track with its content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    pub id: Id,
    /// Its position among all segments of the draft, in order of creation.
    pub order: u32,
    /// The range on the timeline.
    pub target: Range,
    pub content: SegmentContent,
    /// One list per property, in the order of first use.
    pub keyframes: Vec<Keyframes>,
    /// The sequence number of the call that set a keyframe on one of the two scales only.
    pub apart_since: Option<u64>,
    /// What the other fields do not say, as properties of the list: name and value.
    pub properties: Option<Arc<Map<String, Value>>>,
}

/// What a segment shows or plays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SegmentContent {
    Picture(Box<Picture>),
    Sound(Box<Sound>),
    Text(Box<TextContent>),
    Sticker(Box<Sticker>),
    Effect(Box<VideoEffect>),
    Filter(Box<FilterLayer>),
}

/// A video or a still picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    /// The [`Media`](crate::draft::material::Media).
    #[serde(skip)]
    pub media: Id,
    /// The part of the file that is used.
    pub source: Range,
    /// Lengths in the file and on the timeline as the call requested them, if the file required others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(Micros, Micros)>,
    #[serde(skip)]
    pub speed_id: Id,
    /// `None` for still pictures.
    pub speed: Option<f64>,
    pub volume: f64,
    #[serde(default, skip_serializing_if = "Clip::is_plain")]
    pub clip: Clip,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub animations: Option<Animations>,
    /// The transition to the next segment of the track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Transition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<Blur>,
}

/// A piece of a sound file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sound {
    /// The [`Media`](crate::draft::material::Media).
    #[serde(skip)]
    pub media: Id,
    /// The part of the file that is used.
    pub source: Range,
    /// Lengths in the file and on the timeline as the call requested them, if the file required others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(Micros, Micros)>,
    #[serde(skip)]
    pub speed_id: Id,
    pub speed: f64,
    pub volume: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<AudioEffect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fade: Option<Fade>,
}

/// A sticker of the app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sticker {
    pub material: StickerMaterial,
    #[serde(default, skip_serializing_if = "Clip::is_plain")]
    pub clip: Clip,
}

impl SegmentContent {
    /// Assigns ids to all its parts, in a fixed order.
    pub(crate) fn assign(&mut self, ids: &mut Ids) {
        match self {
            Self::Picture(picture) => {
                picture.speed_id = ids.next_id();
                if let Some(animations) = &mut picture.animations {
                    animations.id = ids.next_id();
                }
                if let Some(transition) = &mut picture.transition {
                    transition.id = ids.next_id();
                }
                if let Some(mask) = &mut picture.mask {
                    mask.id = ids.next_id();
                }
                if let Some(blur) = &mut picture.blur {
                    blur.id = ids.next_id();
                }
            }
            Self::Sound(sound) => {
                sound.speed_id = ids.next_id();
                if let Some(effect) = &mut sound.effect {
                    effect.id = ids.next_id();
                }
                if let Some(fade) = &mut sound.fade {
                    fade.id = ids.next_id();
                }
            }
            Self::Text(text) => text.assign(ids),
            Self::Sticker(sticker) => sticker.material.id = ids.next_id(),
            Self::Effect(effect) => effect.id = ids.next_id(),
            Self::Filter(filter) => filter.id = ids.next_id(),
        }
    }

    /// The id of the material that the segment refers to.
    pub(crate) fn material(&self) -> Id {
        match self {
            Self::Picture(picture) => picture.media,
            Self::Sound(sound) => sound.media,
            Self::Text(text) => text.id,
            Self::Sticker(sticker) => sticker.material.id,
            Self::Effect(effect) => effect.id,
            Self::Filter(filter) => filter.id,
        }
    }

    /// The media file it shows or plays.
    pub(crate) fn media(&self) -> Option<Id> {
        match self {
            Self::Picture(picture) => Some(picture.media),
            Self::Sound(sound) => Some(sound.media),
            _ => None,
        }
    }

    pub(crate) fn clip(&self) -> Option<&Clip> {
        match self {
            Self::Picture(picture) => Some(&picture.clip),
            Self::Text(text) => Some(&text.clip),
            Self::Sticker(sticker) => Some(&sticker.clip),
            Self::Sound(_) | Self::Effect(_) | Self::Filter(_) => None,
        }
    }

    fn clip_mut(&mut self) -> Option<&mut Clip> {
        match self {
            Self::Picture(picture) => Some(&mut picture.clip),
            Self::Text(text) => Some(&mut text.clip),
            Self::Sticker(sticker) => Some(&mut sticker.clip),
            Self::Sound(_) | Self::Effect(_) | Self::Filter(_) => None,
        }
    }
}

impl Segment {
    /// Removes the keyframes set by this call and later ones.
    pub(crate) fn without_keyframes_since(&mut self, call: u64) {
        for list in &mut self.keyframes {
            list.points.retain(|point| point.call < call);
        }
        self.keyframes.retain(|list| !list.points.is_empty());
        if self.apart_since.is_some_and(|since| since >= call)
            && let Some(clip) = self.content.clip_mut()
        {
            clip.uniform = true;
        }
    }

    /// Restores the lengths that the call requested, ignoring its file.
    pub(crate) fn as_asked(&mut self) {
        let (source, asked) = match &mut self.content {
            SegmentContent::Picture(picture) => (&mut picture.source, picture.asked),
            SegmentContent::Sound(sound) => (&mut sound.source, sound.asked),
            _ => return,
        };
        if let Some((in_file, on_timeline)) = asked {
            source.duration = in_file;
            self.target.duration = on_timeline;
        }
    }

    /// Shortens it to `length`, and the part of the file that it uses in proportion.
    pub(crate) fn cut(&mut self, length: Micros) {
        let part = if self.target.duration.0 > 0 {
            length.0 as f64 / self.target.duration.0 as f64
        } else {
            0.0
        };
        let source = match &mut self.content {
            SegmentContent::Picture(picture) => &mut picture.source,
            SegmentContent::Sound(sound) => &mut sound.source,
            _ => return,
        };
        source.duration = Micros((source.duration.0 as f64 * part) as i64);
        self.target.duration = length;
    }

    /// Whether `time` on the timeline is in it, both ends included.
    pub(crate) fn covers(&self, time: Micros) -> bool {
        self.target.start <= time && time <= self.target.end()
    }

    /// Whether the app can animate this property for this type of segment.
    pub(crate) fn can_move(&self, property: KeyframeProperty) -> bool {
        match self.content {
            SegmentContent::Picture(_) | SegmentContent::Text(_) | SegmentContent::Sticker(_) => {
                true
            }
            SegmentContent::Sound(_) => property == KeyframeProperty::Volume,
            SegmentContent::Effect(_) | SegmentContent::Filter(_) => false,
        }
    }

    /// Sets a keyframe. A keyframe on both scales has no effect if they were separated before.
    pub(crate) fn set_keyframe(
        &mut self,
        property: KeyframeProperty,
        keyframe: Keyframe,
        list_id: Id,
    ) {
        if let Some(clip) = self.content.clip_mut() {
            match property {
                KeyframeProperty::UniformScale if !clip.uniform => return,
                KeyframeProperty::ScaleX | KeyframeProperty::ScaleY => {
                    clip.uniform = false;
                    self.apart_since.get_or_insert(keyframe.call);
                }
                _ => {}
            }
        }
        let name = property.document_name();
        if let Some(list) = self
            .keyframes
            .iter_mut()
            .find(|list| list.property.document_name() == name)
        {
            list.push(keyframe);
        } else {
            self.keyframes.push(Keyframes {
                id: list_id,
                property,
                points: vec![keyframe],
            });
        }
    }
}
