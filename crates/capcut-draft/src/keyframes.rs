//! The keyframes of clips, as documents have them.

use crate::document::{ClipRef, Document, micros};
use crate::edit::Edit;
use crate::error::Result;
use crate::path::PathPart;
use crate::scan::{Scan, Scanner, number, plain, unescape};
use crate::value::RawJson;

/// The keyframes of one property of a clip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyframeList {
    /// The app's name of the property, such as `KFTypePositionX`.
    pub property: String,
    /// The id of what is animated, if it is not the clip itself: `constant_material_id` of a mask.
    pub material: String,
    /// In the order of the document.
    pub points: Vec<KeyframePoint>,
}

/// A keyframe.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyframePoint {
    /// Microseconds, on the clock of the [`Dialect`](crate::Dialect).
    pub offset: i64,
    /// The first value; none if the keyframe has no number.
    pub value: Option<f64>,
    /// The number of values; 1 except for points and colours.
    pub values: usize,
    /// Whether a curve, and not a straight line, leads to or from it.
    pub is_curve: bool,
    /// The control points of the curves to it and from it: microseconds and change of the value, both from the keyframe.
    pub handles: [(f64, f64); 2],
    /// Whether it is an object; lists of damaged documents may have other values.
    pub is_object: bool,
}

impl KeyframePoint {
    /// The value of a keyframe with one value.
    pub(crate) fn single(&self) -> Option<f64> {
        self.value.filter(|_| self.values == 1)
    }
}

impl Document {
    /// The keyframes of a clip, by property.
    ///
    /// ```
    /// use capcut_draft::Document;
    /// let document = Document::parse(r#"{"tracks": [{"segments": [{"common_keyframes": [
    ///     {"property_type": "KFTypeAlpha", "keyframe_list": [{"time_offset": 500000, "values": [0.5]}]}
    /// ]}]}]}"#)?;
    /// let clip = document.all_clips().next().unwrap();
    /// let lists = document.keyframes(clip);
    /// assert_eq!((&*lists[0].property, lists[0].points[0].offset), ("KFTypeAlpha", 500_000));
    /// # Ok::<(), capcut_draft::Error>(())
    /// ```
    pub fn keyframes(&self, clip: ClipRef) -> Vec<KeyframeList> {
        self.raw(clip, &["common_keyframes"])
            .map_or_else(Vec::new, read_keyframes)
    }
}

impl Edit<'_> {
    /// Sets the time of a keyframe, in microseconds on the clock of the document. What is not an object stays.
    pub fn set_keyframe_offset(
        &mut self,
        clip: ClipRef,
        list: usize,
        index: usize,
        offset: i64,
    ) -> Result<()> {
        let mut path = list_path(list).to_vec();
        path.push(PathPart::Index(index));
        let point = self.raw_at(clip, &path);
        if point.is_none_or(|point| !point.starts_with(b"{")) {
            return Ok(());
        }
        path.push(PathPart::Key("time_offset"));
        self.set_at(clip, &path, &offset)
    }

    /// Sorts the keyframes of a list by time; those at the same time keep their order.
    pub fn sort_keyframes(&mut self, clip: ClipRef, list: usize) -> Result<()> {
        let Some(KeyframeList { points, .. }) = self.keyframes(clip).into_iter().nth(list) else {
            return Ok(());
        };
        if points.is_sorted_by_key(|point| point.offset) {
            return Ok(());
        }
        let path = list_path(list);
        let (_, items) = self.items(clip.0, &path)?;
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by_key(|index| points[*index].offset);
        let text = self.text_of(clip.0);
        let sorted: Vec<_> = order
            .into_iter()
            .map(|index| plain(items[index].of(text)))
            .collect();
        let sorted = format!("[{}]", sorted.join(","));
        self.set_at(clip, &path, &RawJson(&sorted))
    }
}

pub(crate) fn list_path(list: usize) -> [PathPart<'static>; 3] {
    [
        PathPart::Key("common_keyframes"),
        PathPart::Index(list),
        PathPart::Key("keyframe_list"),
    ]
}

/// Reads the lists of `common_keyframes`. What is not an object counts as a list without keyframes.
pub(crate) fn read_keyframes(text: &[u8]) -> Vec<KeyframeList> {
    let mut lists = Vec::new();
    let _ = Scanner::new(text, 0).list(0, |scanner| {
        let mut list = KeyframeList::default();
        each_member(scanner, |scanner, key| match (key, scanner.peek()) {
            (b"property_type", b'"') => {
                let property = scanner.string()?;
                list.property = unescape(property.of(text)).into_owned();
                Ok(())
            }
            (b"material_id", b'"') => {
                let material = scanner.string()?;
                list.material = unescape(material.of(text)).into_owned();
                Ok(())
            }
            (b"keyframe_list", b'[') => scanner
                .list(0, |scanner| {
                    list.points.push(read_point(scanner)?);
                    Ok(())
                })
                .map(drop),
            _ => scanner.skip(0).map(drop),
        })?;
        lists.push(list);
        Ok(())
    });
    lists
}

fn read_point(scanner: &mut Scanner<'_>) -> Scan<KeyframePoint> {
    let text = scanner.text;
    let mut point = KeyframePoint {
        is_object: scanner.peek() == b'{',
        ..KeyframePoint::default()
    };
    each_member(scanner, |scanner, key| match (key, scanner.peek()) {
        (b"time_offset", _) => {
            let offset = scanner.skip(0)?;
            point.offset = micros(offset.of(text)).unwrap_or_default();
            Ok(())
        }
        (b"curveType", b'"') => {
            let curve = scanner.string()?;
            point.is_curve = !matches!(curve.of(text), b"" | b"Line");
            Ok(())
        }
        (b"left_control", b'{') => {
            point.handles[0] = read_handle(scanner)?;
            Ok(())
        }
        (b"right_control", b'{') => {
            point.handles[1] = read_handle(scanner)?;
            Ok(())
        }
        (b"values", b'[') => scanner
            .list(0, |scanner| {
                let value = scanner.skip(0)?;
                if point.values == 0 {
                    point.value = number(value.of(text));
                }
                point.values += 1;
                Ok(())
            })
            .map(drop),
        _ => scanner.skip(0).map(drop),
    })?;
    Ok(point)
}

fn read_handle(scanner: &mut Scanner<'_>) -> Scan<(f64, f64)> {
    let text = scanner.text;
    let mut handle = (0.0, 0.0);
    each_member(scanner, |scanner, key| {
        let value = scanner.skip(0)?;
        let value = number(value.of(text)).unwrap_or_default();
        match key {
            b"x" => handle.0 = value,
            b"y" => handle.1 = value,
            _ => {}
        }
        Ok(())
    })?;
    Ok(handle)
}

/// Calls `member` with the keys of an object; skips any other value.
fn each_member<'t>(
    scanner: &mut Scanner<'t>,
    mut member: impl FnMut(&mut Scanner<'t>, &[u8]) -> Scan<()>,
) -> Scan<()> {
    if scanner.peek() != b'{' {
        return scanner.skip(0).map(drop);
    }
    let text = scanner.text;
    scanner
        .object(0, |scanner, key| member(scanner, key.of(text)))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_other_types_count_as_missing() {
        let text = br#"[7, {"keyframe_list": [null, {"time_offset": 1.9, "values": [2, 3]}], "property_type": "K"},
            {"property_type": 1, "keyframe_list": {}}]"#;
        let lists = read_keyframes(text);
        assert_eq!(lists[0], KeyframeList::default());
        assert_eq!(lists[2], KeyframeList::default());
        assert_eq!(lists[1].property, "K");
        let point = KeyframePoint {
            offset: 1,
            value: Some(2.0),
            values: 2,
            is_object: true,
            ..KeyframePoint::default()
        };
        assert_eq!(lists[1].points, [KeyframePoint::default(), point]);
        assert_eq!(point.single(), None);
    }

    #[test]
    fn curves_have_handles() {
        let text = br#"[{"material_id": "M", "keyframe_list": [
            {"curveType": "Line", "right_control": {"x": 1, "y": 2}},
            {"curveType": "FreeCurveInOut", "left_control": {"x": -5e2, "y": null}, "right_control": [7]}]}]"#;
        let list = &read_keyframes(text)[0];
        assert_eq!(list.material, "M");
        let [first, second] = &list.points[..] else {
            panic!("{list:?}");
        };
        assert_eq!((first.is_curve, first.handles[1]), (false, (1.0, 2.0)));
        assert_eq!(
            (second.is_curve, second.handles),
            (true, [(-500.0, 0.0), (0.0, 0.0)])
        );
    }
}
