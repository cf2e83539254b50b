//! The finished document: what the app itself would write for a draft.
//!
//! It is made from the working document, which is what the reference API would return for `query_script`.
//! There, objects have only the keys that the API's library knows, references dangle, and keyframes use a clock
//! that the app does not have. Here, every object is complete, all references resolve, times fall on frames,
//! and each segment has all the additional materials of the app. `docs/app-versions.md` describes what is known
//! about the format.

mod captions;
mod companions;
pub(crate) mod grid;
pub(crate) mod shapes;
mod side_by_side;
pub(crate) mod text;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::sorting;
use crate::units::{Micros, Range};
pub(crate) use captions::without_words;
use companions::{Companions, adjust_params};
use grid::{Grid, GridPosition, UnalignedPosition};
use shapes::{Filled, Shapes, close, write_json};
use side_by_side::side_by_side;

/// The length that the app writes for a picture.
pub(crate) const STILL: Micros = Micros(10_800_000_000);

/// What makes the app recognise a document as its own.
#[derive(Clone, Debug)]
pub(crate) struct Markers<'a> {
    pub document_id: String,
    pub name: &'a str,
    pub version: i64,
    pub new_version: &'a str,
    /// The number that `new_version` begins with; it decides which keys exist.
    pub scheme: u32,
    pub platform: &'a Map<String, Value>,
    pub root_extra: &'a Map<String, Value>,
    /// The lists of `materials` that hold masks.
    pub masks: &'a [&'a str],
    pub video_check_flag: i64,
}

/// A media file as the document refers to it.
#[derive(Clone, Debug)]
pub(crate) struct MediaFile {
    /// The value of `path`.
    pub path: String,
    /// The name shown in the app.
    pub name: String,
    /// The id of its entry in the media bin.
    pub bin_id: String,
    pub content: ContentType,
    pub width: u32,
    pub height: u32,
    /// Zero for a picture, and if it is unknown.
    pub duration: Micros,
    pub has_audio: bool,
}

/// The type of a media file's content, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    Video,
    Picture,
    MovingPicture,
    Sound,
}

/// A media file that a working document needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// `videos` or `audios`.
    pub list: &'static str,
    pub id: String,
    /// The URL or path that was given.
    pub source: String,
    pub is_picture: bool,
    /// The first position where it is used, for messages.
    pub place: String,
    /// When it is first visible on the timeline, and the position in its file then.
    pub shown: Option<(Micros, Micros)>,
}

/// Width and height of the canvas in pixels; 16 and 9 if the document does not say.
pub(crate) fn canvas(working: &Value) -> (f64, f64) {
    let side = |name: &str, unknown| working["canvas_config"][name].as_f64().unwrap_or(unknown);
    (side("width", 16.0), side("height", 9.0))
}

/// The keys of an object of a list of `materials`, or of an animation in it, with neutral values, as the apps of a
/// scheme write it.
pub(crate) fn neutral(scheme: u32, list: &str) -> &'static Map<String, Value> {
    Shapes::of_scheme(scheme).neutral(match list {
        "animation" => list,
        list => companions::kind_of(list),
    })
}

/// The media that segments of `working` use, each once, in track order.
pub(crate) fn needed(working: &Value) -> Vec<Needed> {
    let index = MaterialIndex::new(working);
    let mut seen = HashMap::new();
    let mut needed: Vec<Needed> = Vec::new();
    for track in list(&working["tracks"]) {
        let is_visible = track["type"] == "video";
        for segment in list(&track["segments"]) {
            let id = segment["material_id"].as_str().unwrap_or_default();
            let Some((list, material)) = index.main(id) else {
                continue;
            };
            let Some(list) = ["videos", "audios"].into_iter().find(|name| *name == list) else {
                continue;
            };
            let start = range(&segment["target_timerange"]).start;
            let index = *seen.entry((list, id)).or_insert_with(|| {
                let source = ["remote_url", "path"]
                    .into_iter()
                    .filter_map(|key| material[key].as_str())
                    .find(|source| !source.is_empty());
                needed.push(Needed {
                    list,
                    id: id.to_owned(),
                    source: source.unwrap_or_default().to_owned(),
                    is_picture: material["type"] == json!("photo"),
                    place: format!(
                        "track \"{}\" at {start}",
                        track["name"].as_str().unwrap_or_default(),
                    ),
                    shown: None,
                });
                needed.len() - 1
            });
            let shown = &mut needed[index].shown;
            if is_visible && list == "videos" && shown.is_none_or(|(first, _)| start < first) {
                *shown = Some((start, range(&segment["source_timerange"]).start));
            }
        }
    }
    needed
}

/// The cover that was chosen for a working document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ChosenCover {
    /// A path or URL.
    File(String),
    /// A time on the timeline.
    At(Micros),
    /// Nothing is shown at this time.
    Nothing(Micros),
}

/// The cover that was chosen, if one was.
pub(crate) fn chosen_cover(working: &Value) -> Option<ChosenCover> {
    let cover = working.get(capcut_draft::field::root::COVER)?;
    if let Some(file) = cover["file"].as_str() {
        return Some(ChosenCover::File(file.to_owned()));
    }
    let time = Micros(cover["time"].as_i64()?);
    let tracks = list(&working["tracks"]).iter();
    let is_shown = tracks
        .filter(|track| track["type"] == "video" || track["type"] == "text")
        .flat_map(|track| list(&track["segments"]))
        .any(|segment| {
            let target = range(&segment["target_timerange"]);
            segment["visible"] != false && time >= target.start && time < target.end()
        });
    Some(if is_shown {
        ChosenCover::At(time)
    } else {
        ChosenCover::Nothing(time)
    })
}

/// A finished document, and notes about it.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    pub document: FinishedDocument<'a>,
    pub duration: Micros,
    /// What differs from the request.
    pub notes: Vec<String>,
}

/// A document whose objects are completed while it is written.
#[derive(Debug)]
pub(crate) struct FinishedDocument<'a> {
    root: Filled<'a>,
    tracks: Vec<FinishedTrack<'a>>,
    materials: MaterialLists<'a>,
    shapes: &'static Shapes,
    masks: &'a [&'a str],
}

#[derive(Debug)]
struct FinishedTrack<'a> {
    own: Filled<'a>,
    segments: Vec<FinishedSegment<'a>>,
}

#[derive(Debug)]
struct FinishedSegment<'a> {
    own: Filled<'a>,
    target: Range,
}

/// The lists of `materials` that are not empty.
type MaterialLists<'a> = HashMap<String, Vec<Filled<'a>>>;

/// Makes the finished document of `working`. `files` maps list and id to the files of [`needed`].
pub(crate) fn finish<'a>(
    working: &'a Value,
    markers: &Markers<'a>,
    files: &HashMap<(&'static str, String), MediaFile>,
) -> Finished<'a> {
    let shapes = Shapes::of_scheme(markers.scheme);
    let finishing = Finishing {
        index: MaterialIndex::new(working),
        markers,
        shapes,
        files,
        grid: Grid::new(working["fps"].as_f64().unwrap_or(30.0)),
    };
    let mut gathered = Gathered::default();
    let mut tracks: Vec<_> = list(&working["tracks"])
        .iter()
        .map(|track| finishing.track(track, &mut gathered))
        .collect();
    // The reference API always writes an empty first track, on which programs that render drafts fail.
    tracks.retain(|track| !track.segments.is_empty());
    let is_closed = main_track_first(&mut tracks);
    order(&mut tracks);
    let duration = tracks
        .iter()
        .flat_map(|track| &track.segments)
        .map(|segment| segment.target.end())
        .max()
        .unwrap_or_default();
    Finished {
        document: FinishedDocument {
            root: root(
                working,
                markers,
                (shapes, finishing.grid),
                duration,
                is_closed,
            ),
            tracks,
            materials: gathered.lists,
            shapes,
            masks: markers.masks,
        },
        duration,
        notes: gathered.notes,
    }
}

fn root<'a>(
    working: &Value,
    markers: &Markers<'a>,
    (shapes, grid): (&'static Shapes, Grid),
    duration: Micros,
    is_closed: bool,
) -> Filled<'a> {
    let mut root = Filled::of(shapes, "root", Some(markers.root_extra));
    let canvas = &working["canvas_config"];
    let mut canvas_own = canvas.as_object().cloned().unwrap_or_default();
    canvas_own
        .entry("background")
        .or_insert_with(|| Value::Null);
    root.set("canvas_config", Value::Object(canvas_own));
    let mut config = shapes.neutral("root")["config"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (key, value) in working["config"].as_object().into_iter().flatten() {
        config.insert(key.clone(), value.clone());
    }
    if !is_closed {
        // With its magnet on, the app closes gaps on the main track.
        config.insert("maintrack_adsorb".to_owned(), json!(false));
    }
    root.set("config", Value::Object(config));
    root.set("id", markers.document_id.as_str());
    root.set("name", markers.name);
    root.set("version", markers.version);
    root.set("new_version", markers.new_version);
    root.set("platform", Value::Object(markers.platform.clone()));
    root.set(
        "last_modified_platform",
        Value::Object(markers.platform.clone()),
    );
    root.set("fps", working["fps"].as_f64().unwrap_or(30.0));
    root.set("duration", duration.0);
    if let Some(marks) = marks(working, grid) {
        root.set("time_marks", marks);
    }
    root
}

/// The markers on the timeline, on frames.
fn marks(working: &Value, grid: Grid) -> Option<Value> {
    let mut marks = working
        .get("time_marks")
        .filter(|marks| marks.is_object())?
        .clone();
    for item in list_mut(&mut marks, "mark_items").into_iter().flatten() {
        if let Some(start) = item["time_range"]["start"].as_i64() {
            item["time_range"]["start"] = grid.snap(Micros(start)).0.into();
        }
    }
    Some(marks)
}

/// Moves the lowest video track to the first position, where the app expects its main track, and returns
/// whether its segments are contiguous from time 0.
fn main_track_first(tracks: &mut Vec<FinishedTrack<'_>>) -> bool {
    let lowest = tracks
        .iter()
        .position(|track| track.own.get("type") == "video");
    let Some(position) = lowest else {
        return true;
    };
    let main = tracks.remove(position);
    let mut at = Micros::ZERO;
    let is_closed = main.segments.iter().all(|segment| {
        let follows = segment.target.start == at;
        at = segment.target.end();
        follows
    });
    tracks.insert(0, main);
    is_closed
}

/// Writes the order of the tracks to every key where some version of the app looks for it.
fn order(tracks: &mut [FinishedTrack<'_>]) {
    let mut pictures = 0;
    let mut bands = HashMap::from([("effect", 11_000), ("filter", 11_000), ("adjust", 11_000)]);
    let mut texts = 14_000;
    for (position, track) in tracks.iter_mut().enumerate() {
        let kind = track
            .own
            .get("type")
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let next = |counter: &mut i64| {
            let index = *counter;
            *counter += 1;
            index
        };
        let render_index = match kind.as_str() {
            "video" => {
                let index = next(&mut pictures);
                track.own.set("flag", if index == 0 { 0 } else { 2 });
                index
            }
            "text" | "sticker" => next(&mut texts),
            "audio" => 0,
            other => bands.get_mut(other).map_or(0, next),
        };
        for segment in &mut track.segments {
            let own = &mut segment.own;
            own.set("render_index", render_index);
            own.set("track_render_index", position);
            own.set("track_attribute", track.own.get("attribute").clone());
        }
    }
}

/// The inputs for finishing a document.
struct Finishing<'a, 'f> {
    index: MaterialIndex<'a>,
    markers: &'f Markers<'a>,
    shapes: &'static Shapes,
    files: &'f HashMap<(&'static str, String), MediaFile>,
    grid: Grid,
}

/// What finishing segments produces in addition to the segments.
#[derive(Default)]
struct Gathered<'a> {
    lists: MaterialLists<'a>,
    /// The ids of the materials in the lists.
    used: HashSet<String>,
    notes: Vec<String>,
}

impl<'a> Gathered<'a> {
    fn is_first(&mut self, id: &str) -> bool {
        self.used.insert(id.to_owned())
    }

    fn put(&mut self, list: &str, material: Filled<'a>) {
        match self.lists.get_mut(list) {
            Some(materials) => materials.push(material),
            None => drop(self.lists.insert(list.to_owned(), vec![material])),
        }
    }

    /// Adds what later segments produced. If both have a material, the first is kept.
    fn add(&mut self, later: Self) {
        for (list, materials) in later.lists {
            let new = materials.into_iter().filter(|material| {
                !self
                    .used
                    .contains(material.get("id").as_str().unwrap_or_default())
            });
            self.lists.entry(list).or_default().extend(new);
        }
        self.used.extend(later.used);
        self.notes.extend(later.notes);
    }
}

/// A segment with its material and file.
struct ResolvedSegment<'a, 'f> {
    segment: &'a Value,
    list: &'a str,
    material: &'a Value,
    file: Option<&'f MediaFile>,
    wanted: UnalignedPosition,
}

impl<'a, 'f> Finishing<'a, 'f> {
    /// Programs that measure the same file differ by less than this.
    const NEARLY: Micros = Micros(100_000);

    fn track(&self, track: &'a Value, gathered: &mut Gathered<'a>) -> FinishedTrack<'a> {
        let kind = track["type"].as_str().unwrap_or_default();
        let name = track["name"].as_str().unwrap_or_default();
        let mut found = self.found(track, kind, name, &mut gathered.notes);
        sorting::sort_by_key(&mut found, |found| found.wanted.target.start);
        let wanted: Vec<_> = found.iter().map(|found| found.wanted).collect();
        let places = grid::place(self.grid, &wanted);
        // The reference API uses this height for subtitle tracks only.
        let captions = kind == "text"
            && found
                .first()
                .is_some_and(|found| found.segment["render_index"] == json!(15_999));
        let placed: Vec<_> = found.iter().zip(&places).collect();
        let parts = side_by_side(&placed, |placed| {
            let mut gathered = Gathered::default();
            let mut segments = Vec::with_capacity(placed.len());
            for (found, place) in placed {
                if place.cut {
                    gathered.notes.push(format!(
                        "track \"{name}\": the segment at {} ends after {}, where its media ends",
                        found.wanted.target.start, place.target.duration
                    ));
                }
                segments.push(self.segment(kind, found, place, captions, &mut gathered));
            }
            (segments, gathered)
        });
        let mut segments = Vec::with_capacity(placed.len());
        for (part, brought) in parts {
            segments.extend(part);
            gathered.add(brought);
        }
        let mut own = Filled::of(self.shapes, "track", track.as_object());
        if captions {
            own.set("flag", 1);
        }
        FinishedTrack { own, segments }
    }

    /// The segments of a track that can be shown; notes describe the others.
    fn found(
        &self,
        track: &'a Value,
        kind: &str,
        name: &str,
        notes: &mut Vec<String>,
    ) -> Vec<ResolvedSegment<'a, 'f>> {
        let mut all = Vec::new();
        for segment in list(&track["segments"]) {
            let target = range(&segment["target_timerange"]);
            let id = segment["material_id"].as_str().unwrap_or_default();
            let Some((list, material)) = self.index.main(id) else {
                notes.push(format!(
                    "track \"{name}\": the segment at {} is left out, as its material does not exist",
                    target.start
                ));
                continue;
            };
            if target.duration <= Micros::ZERO {
                notes.push(format!(
                    "track \"{name}\": the segment at {} is left out, as it has no length",
                    target.start
                ));
                continue;
            }
            let file = ["videos", "audios"]
                .into_iter()
                .find(|name| *name == list)
                .and_then(|list| self.files.get(&(list, id.to_owned())));
            let is_still = match file {
                Some(file) => matches!(
                    file.content,
                    ContentType::Picture | ContentType::MovingPicture
                ),
                None => material["type"] == json!("photo"),
            };
            let on_a_clock = matches!(kind, "video" | "audio");
            let given = range(&segment["source_timerange"]);
            let length = file
                .map(|file| file.duration)
                .filter(|length| *length > Micros::ZERO)
                .or_else(|| material["duration"].as_i64().map(Micros))
                .filter(|length| *length > Micros::ZERO && !is_still);
            // A segment meant to last to the end of its file was placed using the length known at that time.
            let noted = material["duration"].as_i64().map(Micros);
            if let (Some(length), Some(noted)) = (length, noted)
                && noted > Micros::ZERO
                && given.end() >= noted - Self::NEARLY
                && length > noted + Micros((noted.0 / 50).max(Self::NEARLY.0))
            {
                notes.push(format!(
                    "track \"{name}\": the segment at {} uses its file up to {noted}, which was the known length when it was added; the file lasts {length}",
                    target.start
                ));
            }
            let speed = segment["speed"]
                .as_f64()
                .filter(|speed| *speed > 0.0 && !is_still)
                .unwrap_or(1.0);
            all.push(ResolvedSegment {
                segment,
                list,
                material,
                file,
                wanted: UnalignedPosition {
                    target,
                    source: on_a_clock.then_some(if is_still { Micros::ZERO } else { given.start }),
                    speed,
                    media: length.filter(|_| on_a_clock),
                },
            });
        }
        all
    }

    fn segment(
        &self,
        kind: &str,
        found: &ResolvedSegment<'a, 'f>,
        place: &GridPosition,
        captions: bool,
        gathered: &mut Gathered<'a>,
    ) -> FinishedSegment<'a> {
        let mut segment = Filled::of(self.shapes, "segment", found.segment.as_object());
        let id = found.segment["id"].as_str().unwrap_or_default();
        let refs = Companions {
            index: &self.index,
            shapes: self.shapes,
            scheme: self.markers.scheme,
            masks: self.markers.masks,
            length: place.target.duration,
            speed: found.wanted.speed,
            adjustments_at: adjustments_at(self.markers.platform),
        }
        .complete(kind, id, &found.segment["extra_material_refs"], gathered);
        segment.set("extra_material_refs", refs);
        segment.set_written("target_timerange", |out| write_json(out, &place.target));
        match place.source {
            Some(source) => segment.set_written("source_timerange", |out| write_json(out, &source)),
            None => segment.set("source_timerange", Value::Null),
        }
        segment.set("speed", found.wanted.speed);
        let volume = found.segment["volume"].as_f64().unwrap_or(1.0);
        segment.set("volume", volume);
        segment.set(
            "last_nonzero_volume",
            if volume > 0.0 { volume } else { 1.0 },
        );
        let pictured = matches!(kind, "video" | "text" | "sticker");
        if pictured {
            let neutral = &self.shapes.neutral("segment")["clip"];
            segment.set_written("clip", |out| {
                write_clip(out, &found.segment["clip"], neutral)
            });
            segment.set_written("uniform_scale", |out| {
                write_uniform_scale(out, found.segment);
            });
        } else {
            segment.set("clip", Value::Null);
            segment.set("uniform_scale", Value::Null);
        }
        if kind != "video" {
            segment.set("hdr_settings", Value::Null);
        }
        if !matches!(kind, "video" | "adjust") {
            segment.set("enable_adjust", false);
            segment.set("enable_lut", false);
        }
        segment.set(
            "common_keyframes",
            self.keyframes(
                kind,
                &found.segment["common_keyframes"],
                place,
                found.wanted.speed,
            ),
        );
        self.material(found, captions, gathered);
        FinishedSegment {
            own: segment,
            target: place.target,
        }
    }

    /// Adds the segment's material to its list, unless another segment already did.
    fn material(
        &self,
        found: &ResolvedSegment<'a, 'f>,
        captions: bool,
        gathered: &mut Gathered<'a>,
    ) {
        let id = found.material["id"].as_str().unwrap_or_default();
        let list = found.list;
        if !gathered.is_first(id) {
            return;
        }
        let kind = match list {
            "videos" => "video",
            "audios" => "audio",
            "texts" => "text",
            "video_effects" => "video_effect",
            "stickers" => "sticker",
            "effects" => "effect",
            _ => "other",
        };
        let given = found.material.as_object();
        let mut own = Filled::of(self.shapes, kind, given).without("remote_url");
        match kind {
            "video" => self.picture(&mut own, found.file),
            "audio" => sound(&mut own, found.file),
            "text" => {
                text::finish(&mut own);
                if captions {
                    own.set("type", "subtitle");
                }
            }
            "video_effect" => adjust_params(&mut own),
            _ => {}
        }
        gathered.put(list, own);
    }

    /// Keyframes on frames and on the app's clock: the material's for video and audio, the segment's for the
    /// rest.
    fn keyframes(&self, kind: &str, given: &Value, place: &GridPosition, speed: f64) -> Value {
        // Drafts of two apps use this clock. With the segment's clock, as the reference API has it, the motion
        // of any trimmed or retimed clip comes at the wrong time.
        let first = place.source.map(|source| self.grid.frame(source.start));
        let time = |frame: i64| match first {
            Some(first) => self.grid.time_at(first as f64 + frame as f64 * speed),
            None => self.grid.time(frame),
        };
        list(given)
            .iter()
            .map(|keyframe_list| {
                let mut own = keyframe_list.as_object().cloned().unwrap_or_default();
                if kind == "text" && own.get("property_type") == Some(&json!("KFTypeAlpha")) {
                    own.insert("property_type".to_owned(), json!("KFTypeGlobalAlpha"));
                }
                let offset =
                    |keyframe: &&Value| keyframe["time_offset"].as_i64().unwrap_or_default();
                let mut all: Vec<&Value> = list(&keyframe_list["keyframe_list"]).iter().collect();
                sorting::sort_by_key(&mut all, offset);
                let mut next = i64::MIN;
                let all: Vec<_> = all
                    .iter()
                    .map(|keyframe| {
                        // Of two in one frame, the later one moves to the next frame: a jump stays a jump.
                        let frame = self.grid.frame(Micros(offset(keyframe))).max(next);
                        next = frame + 1;
                        let mut own = keyframe.as_object().cloned().unwrap_or_default();
                        own.insert("time_offset".to_owned(), json!(time(frame).0));
                        if first.is_some() && speed != 1.0 {
                            stretch_handles(&mut own, speed);
                        }
                        self.shapes.fill("keyframe", own)
                    })
                    .collect();
                own.insert("keyframe_list".to_owned(), Value::Array(all));
                self.shapes.fill("keyframe_list", own)
            })
            .collect()
    }

    fn picture(&self, video: &mut Filled<'a>, file: Option<&MediaFile>) {
        video.set("check_flag", self.markers.video_check_flag);
        video.set("material_id", "");
        if let Some(file) = file {
            video.set("path", file.path.as_str());
            video.set("material_name", file.name.as_str());
            video.set("local_material_id", file.bin_id.as_str());
            video.set("width", file.width);
            video.set("height", file.height);
            video.set("has_audio", file.has_audio);
            let (kind, length) = match file.content {
                ContentType::Picture => ("photo", STILL),
                ContentType::MovingPicture => ("gif", STILL),
                ContentType::Video | ContentType::Sound => ("video", file.duration),
            };
            video.set("type", kind);
            if length > Micros::ZERO {
                video.set("duration", length.0);
            }
        } else if video.get("type") == "photo" {
            video.set("duration", STILL.0);
        }
    }
}

fn sound(audio: &mut Filled<'_>, file: Option<&MediaFile>) {
    let id = audio.get("id").as_str().unwrap_or_default();
    let music = made_id(&[id, "music"]).to_lowercase();
    audio.set("music_id", music);
    audio.set("category_id", "local");
    if let Some(file) = file {
        audio.set("path", file.path.as_str());
        audio.set("name", file.name.as_str());
        audio.set("local_material_id", file.bin_id.as_str());
        if file.duration > Micros::ZERO {
            audio.set("duration", file.duration.0);
        }
    }
}

/// Where the app has what it adjusts pictures with, if that is the same on every machine.
// JianYing on macOS (public code that was checked in the app). On Windows the folder has user and version in its path.
fn adjustments_at(platform: &Map<String, Value>) -> Option<&'static str> {
    let is = |key: &str, value: &str| platform.get(key).is_some_and(|own| own == value);
    (is("os", "mac") && is("app_source", "lv")).then_some(
        "/Applications/VideoFusion-macOS.app/Contents/Resources/DefaultAdjustBundle/combine_adjust",
    )
}

/// The handles of a curve, on the clock of a file that plays at this speed.
fn stretch_handles(keyframe: &mut Map<String, Value>, speed: f64) {
    for handle in ["left_control", "right_control"] {
        if let Some(x) = keyframe
            .get_mut(handle)
            .and_then(|handle| handle.get_mut("x"))
            && let Some(time) = x.as_f64()
        {
            *x = json!((time * speed).round());
        }
    }
}

/// Position and size, with every number as a float, as the app writes them.
fn write_clip(out: &mut Vec<u8>, given: &Value, neutral: &Value) {
    let known = neutral.as_object().into_iter().flatten();
    let others = given.as_object().into_iter().flatten();
    let others = others.filter(|(key, _)| neutral.get(key).is_none());
    let all = known.map(|(key, neutral)| (key, given.get(key).unwrap_or(neutral)));
    out.push(b'{');
    for (key, value) in all.chain(others) {
        write_json(out, key);
        out.push(b':');
        match value {
            Value::Object(parts) => {
                out.push(b'{');
                for (key, part) in parts {
                    write_json(out, key);
                    out.push(b':');
                    write_json(out, &float(part));
                    out.push(b',');
                }
                close(out, b'}');
            }
            other => write_json(out, &float(other)),
        }
        out.push(b',');
    }
    close(out, b'}');
}

fn float(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Number(number) => {
            Cow::Owned(number.as_f64().map_or(Value::Null, |number| json!(number)))
        }
        other => Cow::Borrowed(other),
    }
}

fn write_uniform_scale(out: &mut Vec<u8>, segment: &Value) {
    let scale = &segment["clip"]["scale"];
    let alike = scale["x"].as_f64() == scale["y"].as_f64();
    let on = segment["uniform_scale"]["on"].as_bool().unwrap_or(true);
    let text = format!(r#"{{"on":{},"value":1.0}}"#, alike && on);
    out.extend_from_slice(text.as_bytes());
}

/// The materials of a working document by id.
pub(crate) struct MaterialIndex<'a> {
    by_id: HashMap<&'a str, (&'a str, &'a Value)>,
}

impl<'a> MaterialIndex<'a> {
    fn new(document: &'a Value) -> Self {
        let by_id = document["materials"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(name, materials)| {
                list(materials).iter().filter_map(move |material| {
                    Some((material["id"].as_str()?, (name.as_str(), material)))
                })
            })
            .collect();
        Self { by_id }
    }

    /// The material of a segment, with the name of its list.
    fn main(&self, id: &str) -> Option<(&'a str, &'a Value)> {
        self.by_id.get(id).copied()
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The list at a key, if the value is an object that has one.
pub(crate) fn list_mut<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Vec<Value>> {
    value.get_mut(key)?.as_array_mut()
}

pub(crate) fn range(value: &Value) -> Range {
    let micros = |key: &str| {
        value[key]
            .as_i64()
            .or_else(|| value[key].as_f64().map(|number| number as i64))
            .unwrap_or_default()
    };
    Range::new(Micros(micros("start")), Micros(micros("duration")))
}

/// An id derived from `parts`, in the format of the app's ids.
pub(crate) fn made_id(parts: &[&str]) -> String {
    uuid::Uuid::new_v3(&uuid::Uuid::NAMESPACE_OID, parts.join("\0").as_bytes())
        .to_string()
        .to_uppercase()
}

impl FinishedDocument<'_> {
    pub(crate) fn color_space(&self) -> i64 {
        self.root.get("color_space").as_i64().unwrap_or_default()
    }

    pub(crate) fn render_index_track_mode_on(&self) -> bool {
        let is_on = self.root.get("render_index_track_mode_on");
        is_on.as_bool().unwrap_or_default()
    }

    /// Writes it as compact JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.root.write(
            out,
            &[
                ("tracks", &|out| {
                    write_all(out, &self.tracks, FinishedTrack::write)
                }),
                ("materials", &|out| self.write_lists(out)),
            ],
        );
    }
}

impl FinishedDocument<'_> {
    /// Writes the app's lists in its order, including empty ones, then other lists by name.
    fn write_lists(&self, out: &mut Vec<u8>) {
        let known = self.shapes.neutral("root")["materials"]
            .as_object()
            .expect("a test counts the lists");
        let known = known
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "common_mask")
            .chain(self.masks.iter().copied());
        let known: Vec<&str> = known.collect();
        let others = self.materials.keys().map(String::as_str);
        let mut others: Vec<_> = others.filter(|name| !known.contains(name)).collect();
        others.sort_unstable();
        out.push(b'{');
        for name in known.into_iter().chain(others) {
            write_json(out, name);
            out.push(b':');
            write_filled(out, self.materials.get(name).map_or(&[], Vec::as_slice));
            out.push(b',');
        }
        close(out, b'}');
    }
}

impl FinishedTrack<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let write = |segment: &FinishedSegment<'_>, out: &mut Vec<u8>| segment.own.write(out, &[]);
        let segments = |out: &mut Vec<u8>| write_all(out, &self.segments, write);
        self.own.write(out, &[("segments", &segments)]);
    }
}

fn write_filled(out: &mut Vec<u8>, all: &[Filled<'_>]) {
    write_all(out, all, |filled, out| filled.write(out, &[]));
}

fn write_all<T: Sync>(out: &mut Vec<u8>, all: &[T], write: impl Fn(&T, &mut Vec<u8>) + Sync) {
    out.push(b'[');
    let parts = side_by_side(all, |part| {
        let mut out = Vec::new();
        for one in part {
            write(one, &mut out);
            out.push(b',');
        }
        out
    });
    for part in parts {
        out.extend(part);
    }
    close(out, b']');
}

#[cfg(test)]
mod tests;
