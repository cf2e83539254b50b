//! Keyframes.

use crate::document::{ClipRef, Dialect};
use crate::error::{Error, Result, nearest, quoted_list};
use crate::field::FieldValue;
use crate::grid::Seconds;
use crate::keyframes::{KeyframePoint, list_path};
use crate::kinds::ClipKind;
use crate::ops::easing::Easing;
use crate::ops::look::scaled;
use crate::ops::session::Session;
use crate::ops::{AddKeyframes, ClearKeyframes};
use crate::path::PathPart;
use crate::select::Time;
use crate::value::{RawJson, quoted};

/// What a keyframe's property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnimatedPart {
    /// The place and size of a picture.
    Place,
    Sound,
    Color,
    Mask,
}

/// A property that keyframes animate.
#[derive(Debug)]
pub(crate) struct AnimatedProperty {
    pub name: &'static str,
    /// In documents.
    pub key: &'static str,
    /// In the unit of the property.
    pub range: (f64, f64),
    /// The stored value is the given one times this.
    pub factor: f64,
    part: AnimatedPart,
}

const fn animated(
    name: &'static str,
    key: &'static str,
    range: (f64, f64),
    part: AnimatedPart,
) -> AnimatedProperty {
    AnimatedProperty {
        name,
        key,
        range,
        factor: 1.0,
        part,
    }
}

impl AnimatedProperty {
    const fn times(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }
}

use AnimatedPart::{Color, Mask, Place, Sound};

const PART: (f64, f64) = (-1.0, 1.0);
const STRENGTH: (f64, f64) = (0.0, 100.0);

// The names of colours and masks: public notes on what CapCut 9.0 has. `HightLight` and `Sensatione` are as the app has them.
pub(crate) static ANIMATED: [AnimatedProperty; 29] = [
    animated("position_x", "KFTypePositionX", (-10.0, 10.0), Place),
    animated("position_y", "KFTypePositionY", (-10.0, 10.0), Place),
    animated("rotation", "KFTypeRotation", (-36_000.0, 36_000.0), Place),
    // A uniform scale is the horizontal scale alone.
    animated("scale", "KFTypeScaleX", (0.0, 20.0), Place),
    animated("scale_x", "KFTypeScaleX", (0.0, 20.0), Place),
    animated("scale_y", "KFTypeScaleY", (0.0, 20.0), Place),
    animated("opacity", "KFTypeAlpha", (0.0, 1.0), Place),
    animated("volume", "KFTypeVolume", (0.0, 20.0), Sound),
    animated("saturation", "KFTypeSaturation", PART, Color),
    animated("contrast", "KFTypeContrast", PART, Color),
    animated("brightness", "KFTypeBrightness", PART, Color),
    animated("temperature", "KFTypeTemperature", PART, Color),
    animated("tint", "KFTypeTone", PART, Color),
    animated("highlights", "KFTypeHightLight", PART, Color),
    animated("shadows", "KFTypeShadow", PART, Color),
    animated("whites", "KFTypeWhite", PART, Color),
    animated("blacks", "KFTypeBlack", PART, Color),
    animated("exposure", "KFTypeLightSensatione", PART, Color),
    animated("sharpen", "KFTypeSharpen", (0.0, 1.0), Color),
    animated("clarity", "KFTypeClear", (0.0, 1.0), Color),
    animated("grain", "KFTypeParticle", (0.0, 1.0), Color),
    animated("vignette", "KFTypeVignetting", PART, Color),
    animated(
        "mask_center_x",
        "KFTypeCommonMaskPositionX",
        (-20.0, 20.0),
        Mask,
    ),
    animated(
        "mask_center_y",
        "KFTypeCommonMaskPositionY",
        (-20.0, 20.0),
        Mask,
    ),
    animated("mask_width", "KFTypeCommonMaskSizeWidth", (0.0, 10.0), Mask),
    animated(
        "mask_height",
        "KFTypeCommonMaskSizeHeight",
        (0.0, 10.0),
        Mask,
    ),
    animated(
        "mask_rotation",
        "KFTypeCommonMaskRotation",
        (-36_000.0, 36_000.0),
        Mask,
    ),
    animated("mask_feather", "KFTypeCommonMaskFeather", STRENGTH, Mask).times(0.01),
    animated(
        "mask_round_corner",
        "KFTypeCommonMaskRoundCorner",
        STRENGTH,
        Mask,
    )
    .times(0.01),
];

fn find_property(name: &str) -> Result<&'static AnimatedProperty> {
    let known = match name {
        "alpha" => "opacity",
        "uniform_scale" => "scale",
        "transform_x" => "position_x",
        "transform_y" => "position_y",
        other => other,
    };
    let hit = ANIMATED
        .iter()
        .find(|property| property.name == known || property.key == known);
    hit.ok_or_else(|| {
        let names: Vec<&str> = ANIMATED.iter().map(|property| property.name).collect();
        let near = nearest(name, names.iter().copied());
        Error::not_found(format!(
            "`property` is \"{name}\", which keyframes cannot animate"
        ))
        .hint(if near.is_empty() {
            format!("it can be {}", quoted_list(&names))
        } else {
            format!("did you mean {}?", quoted_list(&near))
        })
    })
}

/// The value between keyframes, in a straight line.
fn value_at(points: &[KeyframePoint], at: i64) -> Option<f64> {
    let after = points.iter().position(|point| point.offset >= at);
    match after {
        None => points.last()?.single(),
        Some(0) => points[0].single(),
        Some(index) => {
            let (a, b) = (points[index - 1], points[index]);
            let part = (at - a.offset) as f64 / (b.offset - a.offset).max(1) as f64;
            Some(a.single()? + (b.single()? - a.single()?) * part)
        }
    }
}

impl Session<'_> {
    fn set_offset(&mut self, own: ClipRef, group: usize, index: usize, offset: i64) -> Result<()> {
        self.edit.set_keyframe_offset(own, group, index, offset)
    }

    /// Moves keyframes that count from the clip's start when that moves by `moved`; those before it are dropped,
    /// and one at the start keeps the value there.
    pub(crate) fn cut_keyframes_before(&mut self, own: ClipRef, moved: i64) -> Result<()> {
        for (group, list) in self.edit.keyframes(own).iter().enumerate() {
            self.cut_group(own, group, &list.points, moved, true)?;
            self.move_group(own, group, -moved)?;
        }
        Ok(())
    }

    fn points(&self, own: ClipRef, group: usize) -> Vec<KeyframePoint> {
        let list = self.edit.keyframes(own).into_iter().nth(group);
        list.map_or_else(Vec::new, |list| list.points)
    }

    fn move_group(&mut self, own: ClipRef, group: usize, by: i64) -> Result<()> {
        for (index, point) in self.points(own, group).iter().enumerate() {
            self.set_offset(own, group, index, (point.offset + by).max(0))?;
        }
        Ok(())
    }

    /// Keeps the keyframes after a time (`keep_after`) or before it, and one at the time itself.
    fn cut_group(
        &mut self,
        own: ClipRef,
        group: usize,
        points: &[KeyframePoint],
        at: i64,
        keep_after: bool,
    ) -> Result<()> {
        let lost = |point: &KeyframePoint| {
            if keep_after {
                point.offset < at
            } else {
                point.offset > at
            }
        };
        // What cannot be interpolated stays as it is.
        if !points.iter().any(lost) || points.iter().any(|point| point.single().is_none()) {
            return Ok(());
        }
        let has_edge = points.iter().any(|point| point.offset == at);
        let value = value_at(points, at);
        // The nearest lost keyframe becomes the one at the edge.
        let edge = if keep_after {
            points.iter().rposition(lost)
        } else {
            points.iter().position(lost)
        };
        for index in (0..points.len()).rev() {
            if !lost(&points[index]) {
                continue;
            }
            if Some(index) == edge && !has_edge {
                self.set_offset(own, group, index, at)?;
                if let Some(value) = value {
                    let mut path = list_path(group).to_vec();
                    path.extend([
                        PathPart::Index(index),
                        PathPart::Key("values"),
                        PathPart::Index(0),
                    ]);
                    self.edit.set_at(own, &path, &value)?;
                }
            } else {
                self.edit.remove_item(own, &list_path(group), index)?;
            }
        }
        Ok(())
    }

    /// Distributes the keyframes of a clip that was split at `at`, on the clock of the keyframes.
    pub(crate) fn split_keyframes(&mut self, left: ClipRef, right: ClipRef, at: i64) -> Result<()> {
        let on_source = self.keyframes_on_source_clock(left);
        for (group, list) in self.edit.keyframes(left).iter().enumerate() {
            self.cut_group(left, group, &list.points, at, false)?;
            self.cut_group(right, group, &list.points, at, true)?;
            if !on_source {
                self.move_group(right, group, -at)?;
            }
        }
        Ok(())
    }

    /// Stretches keyframes that count from the clip's start, with the handles of their curves.
    pub(crate) fn stretch_keyframes(&mut self, own: ClipRef, factor: f64) -> Result<()> {
        for (group, list) in self.edit.keyframes(own).iter().enumerate() {
            for (index, point) in list.points.iter().enumerate() {
                let offset = self.grid.floor((point.offset as f64 * factor) as i64);
                self.set_offset(own, group, index, offset)?;
                for handle in ["left_control", "right_control"] {
                    let mut path = list_path(group).to_vec();
                    path.extend([
                        PathPart::Index(index),
                        PathPart::Key(handle),
                        PathPart::Key("x"),
                    ]);
                    let time = self.edit.raw_at(own, &path).and_then(f64::read);
                    if let Some(time) = time.filter(|time| *time != 0.0) {
                        self.edit.set_at(own, &path, &(time * factor).round())?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn renew_keyframe_ids(&mut self, own: ClipRef, purpose: &str) -> Result<()> {
        for (group, list) in self.edit.keyframes(own).iter().enumerate() {
            let mut paths = vec![vec![
                PathPart::Key("common_keyframes"),
                PathPart::Index(group),
            ]];
            for index in 0..list.points.len() {
                let mut path = list_path(group).to_vec();
                path.push(PathPart::Index(index));
                paths.push(path);
            }
            for mut path in paths {
                path.push(PathPart::Key("id"));
                let Some(raw) = self.edit.raw_at(own, &path) else {
                    continue;
                };
                let old = String::from_utf8_lossy(raw).trim_matches('"').to_owned();
                let seed = format!("{}{purpose}", self.edit.id(own));
                let new = self.edit.unused_id(&old, &seed);
                self.edit.set_at(own, &path, new.as_str())?;
            }
        }
        Ok(())
    }

    pub(crate) fn add_keyframes(&mut self, operation: &AddKeyframes) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let property = find_property(&operation.property)?;
        let kind = self.edit.clip_kind(own);
        let is_picture = matches!(kind, ClipKind::Video | ClipKind::Image | ClipKind::Compound);
        let fits = match property.part {
            AnimatedPart::Sound => {
                matches!(kind, ClipKind::Video | ClipKind::Audio | ClipKind::Compound)
            }
            AnimatedPart::Color => is_picture || kind == ClipKind::Adjust,
            AnimatedPart::Mask => is_picture,
            AnimatedPart::Place => {
                !matches!(kind, ClipKind::Audio | ClipKind::Effect | ClipKind::Filter)
            }
        };
        if !fits {
            return Err(Error::invalid(format!(
                "{} has no `{}` to animate",
                self.edit.describe(own),
                property.name
            )));
        }
        if operation.points.is_empty() {
            return Err(Error::invalid(
                "`points` is empty; give at least one {\"time\", \"value\"}",
            ));
        }
        self.touch(own)?;
        self.edit.check_times(own)?;
        let general = operation.easing.as_ref().map(Easing::read).transpose()?;
        let target = self.edit.target(own);
        let mut points = Vec::with_capacity(operation.points.len());
        for point in &operation.points {
            let (low, high) = property.range;
            if !(low..=high).contains(&point.value) {
                return Err(Error::invalid(format!(
                    "the value {} of `{}` is outside {low} to {high}",
                    point.value, property.name
                )));
            }
            if point.time.micros < target.start || point.time.micros > target.end() {
                return Err(Error::invalid(format!(
                    "{} is not within {}, which lasts from {} to {} on the timeline",
                    Seconds(point.time.micros),
                    self.edit.describe(own),
                    Seconds(target.start),
                    Seconds(target.end())
                )));
            }
            let easing = match &point.easing {
                Some(easing) => Easing::read(easing)?,
                None => general.flatten(),
            };
            points.push((point.time.micros, point.value, easing));
        }
        let count = self.put_points(own, property.name, &points)?;
        self.changed(format!(
            "{} has {count} keyframes of {}",
            self.edit.short_id(own),
            property.name
        ));
        Ok(())
    }

    /// Sets keyframes: times on the timeline in microseconds, values in the unit of the property, and how each moves to
    /// the next. Returns how many the property has.
    pub(super) fn put_points(
        &mut self,
        own: ClipRef,
        property: &str,
        points: &[(i64, f64, Option<Easing>)],
    ) -> Result<usize> {
        let property = find_property(property)?;
        let is_text = self.edit.clip_kind(own) == ClipKind::Text;
        let key = if is_text && property.name == "opacity" && self.edit.dialect() == Dialect::App {
            "KFTypeGlobalAlpha"
        } else {
            property.key
        };
        if matches!(property.name, "scale_x" | "scale_y") {
            self.edit.set(own, &["uniform_scale", "on"], &false)?;
        }
        if property.part == AnimatedPart::Color {
            self.require_adjustment(own, property.name)?;
        }
        let material = if property.part == AnimatedPart::Mask {
            self.constant_id_of_mask(own)?
        } else {
            String::new()
        };
        let group = self.keyframe_group(own, key, &material)?;
        for (time, value, _) in points {
            let offset = self.keyframe_offset(own, *time);
            self.put_keyframe(own, group, offset, scaled(*value, property.factor))?;
        }
        for (time, _, easing) in points {
            if let Some(easing) = easing {
                let offset = self.keyframe_offset(own, *time);
                self.ease(own, group, offset, *easing)?;
            }
        }
        Ok(self.points(own, group).len())
    }

    /// Moves the value from a keyframe to the next one along a curve.
    fn ease(&mut self, own: ClipRef, group: usize, offset: i64, easing: Easing) -> Result<()> {
        let points = self.points(own, group);
        let index = points.iter().position(|point| point.offset == offset);
        let Some(index) = index.filter(|index| index + 1 < points.len()) else {
            return Ok(());
        };
        let (first, second) = (points[index], points[index + 1]);
        let (Some(from), Some(to)) = (first.single(), second.single()) else {
            return Ok(());
        };
        let [right, left] = easing.handles(second.offset - first.offset, to - from);
        for (index, handle, (x, y)) in [
            (index, "right_control", right),
            (index + 1, "left_control", left),
        ] {
            let mut path = list_path(group).to_vec();
            path.extend([PathPart::Index(index), PathPart::Key("curveType")]);
            self.edit.set_at(own, &path, "FreeCurveInOut")?;
            path.pop();
            path.push(PathPart::Key(handle));
            let handle = format!("{{\"x\":{x:?},\"y\":{y:?}}}");
            self.edit.set_at(own, &path, &RawJson(&handle))?;
        }
        Ok(())
    }

    /// The id by which keyframes refer to the mask of a clip; it stays when the app writes the mask again.
    fn constant_id_of_mask(&mut self, own: ClipRef) -> Result<String> {
        let masks = self.masks(own)?;
        let known = masks.iter().find_map(|mask| {
            let id = self.edit.text(*mask, &["constant_material_id"])?;
            (!id.is_empty()).then(|| id.into_owned())
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let id = self
            .edit
            .unused_id(&self.edit.id(own), "constant_material_id");
        for mask in masks {
            self.edit
                .set(mask, &["constant_material_id"], id.as_str())?;
        }
        Ok(id)
    }

    /// Removes all keyframes of a property, by its name in documents.
    pub(super) fn drop_keyframes_of(&mut self, own: ClipRef, key: &str) -> Result<()> {
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

    /// The offset of a keyframe at a time on the timeline, on a frame and on the clock of the clip's keyframes.
    fn keyframe_offset(&self, own: ClipRef, time: i64) -> i64 {
        let start = self.edit.target(own).start;
        let time = self.grid.floor(time).max(start) - start;
        let frames = self.grid.frame_of_sum(time);
        if self.keyframes_on_source_clock(own) {
            self.on_keyframe_clock(own, frames as f64 * 1e6 / self.grid.fps() + 1e-3)
        } else {
            self.grid.time(frames)
        }
    }

    /// A time from the start of a clip, in microseconds, on the clock of its keyframes.
    fn on_keyframe_clock(&self, own: ClipRef, time: f64) -> i64 {
        if !self.keyframes_on_source_clock(own) {
            return time.floor() as i64;
        }
        let clock = self.edit.clock(own);
        if clock.curve.is_empty() {
            clock.source.start + (time * self.speed(own)).floor() as i64
        } else {
            clock
                .source_at(clock.target.start + time.floor() as i64)
                .floor() as i64
        }
    }

    /// The index of the group of a property, which is created if it is missing.
    fn keyframe_group(&mut self, own: ClipRef, key: &str, material: &str) -> Result<usize> {
        let groups = self.edit.keyframes(own);
        if let Some(known) = groups.iter().position(|group| group.property == key) {
            return Ok(known);
        }
        let path = [PathPart::Key("common_keyframes")];
        if self
            .edit
            .raw(own, &["common_keyframes"])
            .is_none_or(|raw| raw == b"null")
        {
            self.edit.set_at(own, &path, &RawJson("[]"))?;
        }
        let id = self.edit.unused_id(&self.edit.id(own), key);
        let json = format!(
            "{{\"id\":{},\"keyframe_list\":[],\"material_id\":{},\"property_type\":{}}}",
            quoted(&id),
            quoted(material),
            quoted(key)
        );
        self.edit
            .insert_item(own, &path, groups.len(), json.as_bytes())?;
        Ok(groups.len())
    }

    fn put_keyframe(&mut self, own: ClipRef, group: usize, offset: i64, value: f64) -> Result<()> {
        let points = self.points(own, group);
        if let Some(known) = points.iter().position(|point| point.offset == offset) {
            let mut path = list_path(group).to_vec();
            path.extend([
                PathPart::Index(known),
                PathPart::Key("values"),
                PathPart::Index(0),
            ]);
            return self.edit.set_at(own, &path, &value);
        }
        let index = points.iter().filter(|point| point.offset < offset).count();
        let seed = format!("{group}/{offset}");
        let id = self.edit.unused_id(&self.edit.id(own), &seed);
        let json = format!(
            "{{\"curveType\":\"Line\",\"graphID\":\"\",\"id\":{},\"left_control\":{{\"x\":0.0,\"y\":0.0}},\"right_control\":{{\"x\":0.0,\"y\":0.0}},\"string_value\":\"\",\"time_offset\":{offset},\"values\":[{value:?}]}}",
            quoted(&id)
        );
        self.edit
            .insert_item(own, &list_path(group), index, json.as_bytes())
    }

    pub(crate) fn clear_keyframes(&mut self, operation: &ClearKeyframes) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let property = operation
            .property
            .as_deref()
            .map(find_property)
            .transpose()?;
        self.touch(own)?;
        let target = self.edit.target(own);
        let is_at = |time: Time, point: &KeyframePoint| {
            // A tool may have put the keyframe between two frames.
            let exact = self.on_keyframe_clock(own, (time.micros - target.start) as f64);
            point.offset == self.keyframe_offset(own, time.micros)
                || (point.offset - exact).abs() < self.grid.one()
        };
        let goes = |point: &KeyframePoint| operation.time.is_none_or(|time| is_at(time, point));
        let all = self.edit.keyframes(own);
        let groups: Vec<(String, Vec<bool>)> = all
            .into_iter()
            .map(|list| (list.property, list.points.iter().map(goes).collect()))
            .collect();
        let mut count = 0;
        for (index, (key, goes)) in groups.iter().enumerate().rev() {
            let fits = property.is_none_or(|property| {
                property.key == key || property.name == "opacity" && key == "KFTypeGlobalAlpha"
            });
            let gone = goes.iter().filter(|goes| **goes).count();
            if !fits || (gone == 0 && !goes.is_empty()) {
                continue;
            }
            count += gone;
            if gone == goes.len() {
                self.edit
                    .remove_item(own, &[PathPart::Key("common_keyframes")], index)?;
                continue;
            }
            for point in (0..goes.len()).rev().filter(|point| goes[*point]) {
                self.edit.remove_item(own, &list_path(index), point)?;
            }
        }
        if count == 0 {
            self.note(format!("{} has no such keyframes", self.edit.short_id(own)));
        } else {
            self.changed(format!(
                "{count} keyframes of {} are removed",
                self.edit.short_id(own)
            ));
        }
        Ok(())
    }
}
