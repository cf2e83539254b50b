//! Properties of drafts for any calls: no overlaps, sorted keyframes, the same calls give the same draft.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::draft::clip::Clip;
use crate::draft::keyframe::KeyframeProperty;
use crate::draft::material::{Fade, MediaKind, MediaProperties, StickerMaterial};
use crate::draft::segment::{Picture, SegmentContent, Sound, Sticker};
use crate::draft::text::TextContent;
use crate::draft::track::TrackKind;
use crate::draft::working;
use crate::engine::edit::{Caption, Captions, Learnt, Point, Points, SegmentPlacement, Used};
use crate::engine::timeline::TrackChoice;
use crate::journal::{self, SyncMode};
use crate::media::MediaLimits;
use crate::settings::{Given, Os};
use crate::units::{Micros, Range};

fn engine(journal: &Arc<Journal>) -> Engine {
    engine_with(journal, 64 << 20)
}

fn engine_with(journal: &Arc<Journal>, memory_bytes: usize) -> Engine {
    let settings = Settings::new(Os::Linux, &|_| None, Given::default()).unwrap();
    Engine::new(
        Edition::Capcut,
        MediaStore::new(MediaLimits::default(), None),
        Arc::clone(journal),
        EngineOptions {
            memory_bytes,
            ..EngineOptions::new(&settings)
        },
    )
}

fn call() -> Call {
    Call {
        tool: "add_text",
        arguments: crate::args::Object::new(),
        caller: Caller::user(),
        normalized: crate::args::normalize::Normalized::default(),
    }
}

fn range(start: u8, length: u8) -> Range {
    Range::new(
        Micros(i64::from(start) * 100_000),
        Micros(i64::from(length % 8 + 1) * 100_000),
    )
}

fn choice(track: u8, kind: TrackKind) -> TrackChoice {
    TrackChoice {
        name: Some(format!("track {}", track % 4)),
        kind,
        render_index: kind.base(),
        may_make_unnamed: false,
    }
}

fn edits() -> impl Strategy<Value = Edit> {
    let sticker = (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(track, start, length)| {
        Edit::Place(Box::new(SegmentPlacement {
            track: choice(track, TrackKind::Sticker),
            target: range(start, length),
            content: SegmentContent::Sticker(Box::new(Sticker {
                material: StickerMaterial::default(),
                clip: Clip::default(),
            })),
            media: None,
        }))
    });
    let captions = (
        any::<u8>(),
        prop::collection::vec((any::<u8>(), any::<u8>()), 0..4),
    )
        .prop_map(|(track, cues)| {
            Edit::Captions(Box::new(Captions {
                track: choice(track, TrackKind::Text),
                look: TextContent::default(),
                cues: cues
                    .into_iter()
                    .map(|(start, length)| Caption {
                        range: range(start, length),
                        text: "a".to_owned(),
                        number: 0,
                        words: Vec::new(),
                        look: None,
                    })
                    .collect(),
                further: Vec::new(),
            }))
        });
    let keyframes = (
        any::<u8>(),
        prop::collection::vec((0_usize..11, any::<u8>()), 1..4),
    )
        .prop_map(|(track, points)| {
            Edit::Keyframes(Points {
                track: format!("track {}", track % 4),
                points: points
                    .into_iter()
                    .map(|(property, time)| Point {
                        property: KeyframeProperty::OF_API[property],
                        time: Micros(i64::from(time) * 100_000),
                        value: 0.5,
                        easing: None,
                    })
                    .collect(),
            })
        });
    let media = (any::<u8>(), any::<u8>(), any::<u8>(), 0..5_usize).prop_map(
        |(track, start, length, what)| {
            let target = range(start, length);
            let source = Range::new(Micros::ZERO, target.duration);
            let picture = |speed| {
                SegmentContent::Picture(Box::new(Picture {
                    source,
                    asked: (length % 2 == 0).then_some((target.duration, target.duration)),
                    speed,
                    volume: 1.0,
                    ..Picture::default()
                }))
            };
            let (kind, media, content) = match what {
                0 | 1 => (TrackKind::Video, Some(MediaKind::Video), picture(Some(1.0))),
                2 => (TrackKind::Video, Some(MediaKind::Photo), picture(None)),
                3 => {
                    let sound = Sound {
                        source,
                        speed: 1.0,
                        volume: 1.0,
                        fade: Some(Fade::default()),
                        ..Sound::default()
                    };
                    (
                        TrackKind::Audio,
                        Some(MediaKind::Audio),
                        SegmentContent::Sound(Box::new(sound)),
                    )
                }
                _ => (
                    TrackKind::Effect,
                    None,
                    SegmentContent::Effect(Box::default()),
                ),
            };
            Edit::Place(Box::new(SegmentPlacement {
                track: choice(track, kind),
                target,
                content,
                media: media.map(|kind| Used {
                    kind,
                    source: source_of(track),
                    folder: (track % 3 == 0).then(|| "/drafts".to_owned()),
                    known: MediaProperties::default(),
                    given: Micros::ZERO,
                }),
            }))
        },
    );
    let learnt = (any::<u8>(), any::<u8>(), 0..3_usize).prop_map(|(track, length, kind)| {
        Edit::Learn(vec![Learnt {
            kind: [MediaKind::Video, MediaKind::Photo, MediaKind::Audio][kind],
            source: source_of(track),
            known: MediaProperties {
                width: 640,
                height: 360,
                duration: Micros(i64::from(length) * 50_000),
                read: true,
            },
        }])
    });
    let folder = Just(Edit::Folder("/elsewhere".to_owned()));
    prop_oneof![4 => sticker, 1 => captions, 2 => keyframes, 5 => media, 2 => learnt, 1 => folder]
}

fn source_of(track: u8) -> String {
    format!("/media/{}", track % 6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn drafts_are_consistent_after_any_calls(edits in prop::collection::vec(edits(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let journal = journal::in_memory();
        let live = engine(&journal);
        let new = NewDraft { name: None, note: None, width: 1080.0, height: 1920.0, edition: Edition::Capcut, settings: Box::default() };
        let id = runtime.block_on(live.create(new, &call())).unwrap();
        let target = CallTarget { draft: Some(&id), width: 0.0, height: 0.0 };
        for edit in edits {
            let before = runtime.block_on(live.read(&id, Draft::clone)).unwrap();
            if runtime.block_on(live.edit(target, &call(), edit)).is_err() {
                prop_assert_eq!(runtime.block_on(live.read(&id, Draft::clone)).unwrap(), before);
            }
        }
        let draft = runtime.block_on(live.read(&id, Draft::clone)).unwrap();
        for track in &draft.tracks {
            let in_time: Vec<_> = track.in_time().collect();
            prop_assert_eq!(in_time.len(), track.segments().len());
            for pair in in_time.windows(2) {
                prop_assert!(pair[0].target.end() <= pair[1].target.start);
            }
            for list in in_time.iter().flat_map(|segment| &segment.keyframes) {
                prop_assert!(list.points.is_sorted_by_key(|point| point.offset));
            }
        }
        // Another process has only the journal.
        let folded = runtime.block_on(engine(&journal).read(&id, Draft::clone)).unwrap();
        prop_assert_eq!(working::write(&folded), working::write(&draft));
        prop_assert_eq!(folded, draft);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In every process, a draft is as if the calls had never been made; or unchanged if other calls need them.
    #[test]
    fn calls_taken_back_leave_no_trace(
        edits in prop::collection::vec((edits(), any::<bool>()), 1..20),
        more in edits(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let journal = journal::in_memory();
        let (live, other) = (engine(&journal), engine(&journal));
        let new = || NewDraft { name: None, note: None, width: 1080.0, height: 1920.0, edition: Edition::Capcut, settings: Box::default() };
        let id = runtime.block_on(live.create(new(), &call())).unwrap();
        let target = CallTarget { draft: Some(&id), width: 0.0, height: 0.0 };
        let mut taken = BTreeSet::new();
        let mut kept = Vec::new();
        let mut sequence = 1;
        for (edit, take) in edits {
            if runtime.block_on(live.edit(target, &call(), edit.clone())).is_ok() {
                if take {
                    taken.insert(sequence);
                } else {
                    kept.push(edit);
                }
                sequence += 1;
            }
        }
        let before = runtime.block_on(live.read(&id, Draft::clone)).unwrap();
        prop_assert_eq!(&runtime.block_on(other.read(&id, Draft::clone)).unwrap(), &before);
        match runtime.block_on(live.take_back(&id, taken, &Caller::user())) {
            Ok(()) => {
                let fresh = runtime.block_on(live.create(new(), &call())).unwrap();
                let target = CallTarget { draft: Some(&fresh), width: 0.0, height: 0.0 };
                for edit in kept {
                    runtime.block_on(live.edit(target, &call(), edit)).unwrap();
                }
                let count = |draft: &Draft| -> Vec<(String, usize)> {
                    let tracks = draft.tracks.iter();
                    tracks.map(|track| (track.name.to_string(), track.segments().len())).collect()
                };
                prop_assert_eq!(runtime.block_on(live.read(&id, count)).unwrap(), runtime.block_on(live.read(&fresh, count)).unwrap());
            }
            Err(_) => prop_assert_eq!(&runtime.block_on(live.read(&id, Draft::clone)).unwrap(), &before),
        }
        // Edits continue in every process, with the same ids.
        let _ = runtime.block_on(other.edit(target, &call(), more));
        let folded = runtime.block_on(engine(&journal).read(&id, Draft::clone)).unwrap();
        prop_assert_eq!(&runtime.block_on(live.read(&id, Draft::clone)).unwrap(), &folded);
        prop_assert_eq!(&runtime.block_on(other.read(&id, Draft::clone)).unwrap(), &folded);
    }
}

/// Each process has its own connection, and both edit at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_editing_one_draft_lose_no_edits() {
    let folder = tempfile::tempdir().unwrap();
    let engines = [(); 2].map(|()| {
        let journal = journal::at(folder.path(), SyncMode::Normal);
        Arc::new(engine(&journal))
    });
    let new = NewDraft {
        name: None,
        note: None,
        width: 1080.0,
        height: 1920.0,
        edition: Edition::Capcut,
        settings: Box::default(),
    };
    let id = engines[0].create(new, &call()).await.unwrap();
    let edits = (0..30_u8).map(|start| {
        let (engine, id) = (Arc::clone(&engines[usize::from(start % 2)]), id.clone());
        tokio::spawn(async move {
            let target = CallTarget {
                draft: Some(&id),
                width: 0.0,
                height: 0.0,
            };
            let edit = Edit::Captions(Box::new(Captions {
                track: choice(0, TrackKind::Text),
                look: TextContent::default(),
                cues: vec![Caption {
                    range: range(start * 8, 7),
                    text: start.to_string(),
                    number: 0,
                    words: Vec::new(),
                    look: None,
                }],
                further: Vec::new(),
            }));
            engine.edit(target, &call(), edit).await.unwrap();
        })
    });
    for edit in edits.collect::<Vec<_>>() {
        edit.await.unwrap();
    }
    let [one, other] = &engines;
    let draft = one.read(&id, Draft::clone).await.unwrap();
    assert_eq!(draft.len(), 30);
    assert_eq!(other.read(&id, Draft::clone).await.unwrap(), draft);
}

/// A record of a newer engine may contain something that this one does not know.
#[tokio::test]
async fn a_draft_edited_by_a_newer_engine_is_refused() {
    let journal = journal::in_memory();
    let engine = engine(&journal);
    let new = NewDraft {
        name: None,
        note: None,
        width: 1080.0,
        height: 1920.0,
        edition: Edition::Capcut,
        settings: Box::default(),
    };
    let id = engine.create(new, &call()).await.unwrap();
    let newer = NewRecord::of(&call(), None::<&()>, &(), VERSION + 1).unwrap();
    let added = journal.append(ENGINE, &id, &newer, CallPosition::End).await;
    assert_eq!(added.unwrap(), Appended::Done(1));
    for engine in [engine, self::engine(&journal)] {
        let error = engine.read(&id, Draft::len).await.unwrap_err();
        assert!(error.lasting, "{error}");
        assert!(error.to_string().contains("newer capcut-mcp"), "{error}");
    }
}

#[tokio::test]
async fn a_first_call_that_fails_leaves_no_draft() {
    let journal = journal::in_memory();
    let engine = engine(&journal);
    let target = CallTarget {
        draft: None,
        width: 1080.0,
        height: 1920.0,
    };
    let nothing = Edit::Keyframes(Points {
        track: "none".to_owned(),
        points: Vec::new(),
    });
    assert!(engine.edit(target, &call(), nothing).await.is_err());
    assert!(journal.list(true, 10, None).await.unwrap().is_empty());
}

/// Drafts beyond the limit leave the memory and are read from the journal again.
#[tokio::test]
async fn drafts_in_memory_have_a_maximum_size() {
    const MEMORY_BYTES: usize = 100_000;
    let journal = journal::in_memory();
    let engine = engine_with(&journal, MEMORY_BYTES);
    let mut drafts = Vec::new();
    for _ in 0..30 {
        let new = NewDraft {
            name: None,
            note: None,
            width: 1080.0,
            height: 1920.0,
            edition: Edition::Capcut,
            settings: Box::default(),
        };
        let id = engine.create(new, &call()).await.unwrap();
        let cues = (0..20).map(|start| Caption {
            range: range(start * 8, 7),
            text: start.to_string(),
            number: 0,
            words: Vec::new(),
            look: None,
        });
        let edit = Edit::Captions(Box::new(Captions {
            track: choice(0, TrackKind::Text),
            look: TextContent::default(),
            cues: cues.collect(),
            further: Vec::new(),
        }));
        let target = CallTarget {
            draft: Some(&id),
            width: 0.0,
            height: 0.0,
        };
        engine.edit(target, &call(), edit).await.unwrap();
        let draft = engine.read(&id, Draft::clone).await.unwrap();
        drafts.push((id, draft));
        assert!(engine.drafts.bytes() <= MEMORY_BYTES + 25_000);
    }
    for (id, draft) in drafts {
        assert_eq!(engine.read(&id, Draft::clone).await.unwrap(), draft);
        assert!(engine.drafts.bytes() <= MEMORY_BYTES + 25_000);
    }
}

/// Concurrent edits of many drafts share transactions; readers must not see an edit twice or too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_edits_of_many_drafts_are_applied_once() {
    const DRAFTS: usize = 12;
    const EDITS: u8 = 30;
    let folder = tempfile::tempdir().unwrap();
    let journal = journal::at(folder.path(), SyncMode::Normal);
    let engine = Arc::new(engine(&journal));
    let work = (0..DRAFTS).map(|_| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            let new = NewDraft {
                name: None,
                note: None,
                width: 1080.0,
                height: 1920.0,
                edition: Edition::Capcut,
                settings: Box::default(),
            };
            let id = engine.create(new, &call()).await.unwrap();
            let edits = (0..EDITS).map(|start| {
                let (engine, id) = (Arc::clone(&engine), id.clone());
                tokio::spawn(async move {
                    let target = CallTarget {
                        draft: Some(&id),
                        width: 0.0,
                        height: 0.0,
                    };
                    let edit = Edit::Captions(Box::new(Captions {
                        track: choice(0, TrackKind::Text),
                        look: TextContent::default(),
                        cues: vec![Caption {
                            range: range(start * 8, 7),
                            text: start.to_string(),
                            number: 0,
                            words: Vec::new(),
                            look: None,
                        }],
                        further: Vec::new(),
                    }));
                    let placed = engine.edit(target, &call(), edit).await.unwrap();
                    let segments = engine.read(&id, Draft::len).await.unwrap();
                    (placed.segment_id.unwrap(), segments)
                })
            });
            let mut ids = Vec::new();
            for edit in edits.collect::<Vec<_>>() {
                let (segment, segments) = edit.await.unwrap();
                assert!((1..=usize::from(EDITS)).contains(&segments));
                ids.push(segment);
            }
            (id, ids)
        })
    });
    for draft in work.collect::<Vec<_>>() {
        let (id, mut segments) = draft.await.unwrap();
        let live = engine.read(&id, Draft::clone).await.unwrap();
        assert_eq!(live.len(), usize::from(EDITS));
        segments.sort();
        segments.dedup();
        assert_eq!(
            segments.len(),
            usize::from(EDITS),
            "each segment has its own id"
        );
        let folded = self::engine(&journal)
            .read(&id, Draft::clone)
            .await
            .unwrap();
        assert_eq!(folded, live);
    }
}
