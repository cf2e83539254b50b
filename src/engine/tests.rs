//! What holds of drafts whatever the calls: no overlaps, sorted keyframes, the same calls give the same draft.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::draft::keyframe::Property;
use crate::draft::material::StickerMaterial;
use crate::draft::segment::{Clip, Content, Sticker};
use crate::draft::text::Text;
use crate::draft::track::Kind;
use crate::draft::working;
use crate::engine::edit::{Captions, Cue, Place, Point, Points};
use crate::engine::timeline::Choice;
use crate::media::{Access, Limits};
use crate::settings::{Given, Os};
use crate::units::{Micros, Range};

fn engine(journal: &Arc<Journal>) -> Engine {
    let settings = Settings::new(Os::Linux, &|_| None, Given::default()).unwrap();
    Engine::new(
        Edition::Capcut,
        Arc::new(Media::new(Limits::default(), Access::user())),
        Arc::clone(journal),
        Options::new(&settings, Vec::new()),
    )
}

fn call() -> Call {
    Call {
        tool: "add_text",
        arguments: crate::args::Object::new(),
        manner: Manner::Strict,
    }
}

fn range(start: u8, length: u8) -> Range {
    Range::new(
        Micros(i64::from(start) * 100_000),
        Micros(i64::from(length % 8 + 1) * 100_000),
    )
}

fn choice(track: u8, kind: Kind) -> Choice {
    Choice {
        name: Some(format!("track {}", track % 4)),
        kind,
        render_index: kind.base(),
        may_make_unnamed: false,
    }
}

fn edits() -> impl Strategy<Value = Edit> {
    let sticker = (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(track, start, length)| {
        Edit::Place(Box::new(Place {
            track: choice(track, Kind::Sticker),
            target: range(start, length),
            content: Content::Sticker(Box::new(Sticker {
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
                track: choice(track, Kind::Text),
                look: Text::default(),
                cues: cues
                    .into_iter()
                    .map(|(start, length)| Cue {
                        range: range(start, length),
                        text: "a".to_owned(),
                    })
                    .collect(),
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
                        property: Property::ALL[property],
                        time: Micros(i64::from(time) * 100_000),
                        value: 0.5,
                    })
                    .collect(),
            })
        });
    prop_oneof![4 => sticker, 1 => captions, 2 => keyframes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn drafts_hold_together_whatever_the_calls(edits in prop::collection::vec(edits(), 0..40)) {
        let journal = Arc::new(Journal::in_memory());
        let live = engine(&journal);
        let new = NewDraft { name: None, note: None, width: 1080.0, height: 1920.0, edition: Edition::Capcut };
        let id = live.create(new, &call()).unwrap();
        let target = Target { draft: Some(&id), width: 0.0, height: 0.0 };
        for edit in edits {
            let before = live.read(&id, Draft::clone).unwrap();
            if live.edit(target, &call(), edit).is_err() {
                prop_assert_eq!(live.read(&id, Draft::clone).unwrap(), before);
            }
        }
        let draft = live.read(&id, Draft::clone).unwrap();
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
        // Another process has nothing but the journal.
        let folded = engine(&journal).read(&id, Draft::clone).unwrap();
        prop_assert_eq!(working::write(&folded), working::write(&draft));
        prop_assert_eq!(folded, draft);
    }
}

#[test]
fn two_processes_that_edit_one_draft_lose_nothing() {
    let journal = Arc::new(Journal::in_memory());
    let engines = [engine(&journal), engine(&journal)];
    let new = NewDraft {
        name: None,
        note: None,
        width: 1080.0,
        height: 1920.0,
        edition: Edition::Capcut,
    };
    let id = engines[0].create(new, &call()).unwrap();
    let target = Target {
        draft: Some(&id),
        width: 0.0,
        height: 0.0,
    };
    for start in 0..20_u8 {
        let edit = Edit::Captions(Box::new(Captions {
            track: choice(0, Kind::Text),
            look: Text::default(),
            cues: vec![Cue {
                range: range(start * 8, 7),
                text: start.to_string(),
            }],
        }));
        engines[usize::from(start % 2)]
            .edit(target, &call(), edit)
            .unwrap();
    }
    for engine in &engines {
        assert_eq!(engine.read(&id, Draft::len).unwrap(), 20);
    }
}

#[test]
fn a_first_call_that_fails_leaves_no_draft() {
    let journal = Arc::new(Journal::in_memory());
    let engine = engine(&journal);
    let target = Target {
        draft: None,
        width: 1080.0,
        height: 1920.0,
    };
    let nothing = Edit::Keyframes(Points {
        track: "none".to_owned(),
        points: Vec::new(),
    });
    assert!(engine.edit(target, &call(), nothing).is_err());
    assert!(journal.list(true, 10, None).unwrap().is_empty());
}
