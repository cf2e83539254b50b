//! Turns: on each draft, calls run in order of arrival, and in parallel where that cannot change the result.
//!
//! The reference server loses segments if two calls create the same track at the same time, or while a draft's
//! first video or image call is running. So the call that opens a track runs alone on it (and, for pictures,
//! alone on all of the draft's video tracks).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::Cache;
use tokio::sync::oneshot;

use crate::draft::ids::DraftId;
use crate::tool::{Group, Turn};

/// The number of idle drafts whose open tracks are remembered.
const REMEMBERED: usize = 1024;

#[derive(Clone)]
pub(crate) struct Turns {
    drafts: Arc<Mutex<DraftQueues>>,
}

struct DraftQueues {
    /// Drafts with calls.
    busy: HashMap<DraftId, DraftQueue>,
    /// The open tracks of drafts without calls.
    idle: Cache<DraftId, HashSet<String>>,
}

impl Default for Turns {
    fn default() -> Self {
        let lines = DraftQueues {
            busy: HashMap::new(),
            idle: Cache::new(REMEMBERED),
        };
        Self {
            drafts: Arc::new(Mutex::new(lines)),
        }
    }
}

/// The calls of one draft, oldest first.
#[derive(Default)]
struct DraftQueue {
    next_ticket: u64,
    entries: Vec<Entry>,
    /// Tracks on which a call has succeeded.
    open: HashSet<String>,
}

struct Entry {
    ticket: u64,
    turn: Turn,
    /// The signal to run; taken when the turn comes.
    go: Option<oneshot::Sender<()>>,
}

/// A turn, or the wait for one; dropping it lets the next calls run.
pub(crate) struct Held {
    turns: Turns,
    draft: DraftId,
    ticket: u64,
}

impl Turns {
    /// Joins the draft's queue immediately, and returns when the turn comes.
    pub(crate) async fn take(&self, draft: &DraftId, turn: Turn) -> Option<Held> {
        if turn == Turn::Free {
            return None;
        }
        let (wait, held) = {
            let mut lines = self.lock();
            let DraftQueues { busy, idle } = &mut *lines;
            let line = busy.entry(draft.clone()).or_insert_with(|| DraftQueue {
                open: idle.remove(draft).map(|(_, open)| open).unwrap_or_default(),
                ..DraftQueue::default()
            });
            let ticket = line.next_ticket;
            line.next_ticket += 1;
            let (go, wait) = oneshot::channel();
            line.entries.push(Entry {
                ticket,
                turn,
                go: Some(go),
            });
            line.advance();
            (
                wait,
                Held {
                    turns: self.clone(),
                    draft: draft.clone(),
                    ticket,
                },
            )
        };
        // The sender stays in the queue until it is used or this call leaves the queue.
        let _ = wait.await;
        Some(held)
    }

    fn lock(&self) -> MutexGuard<'_, DraftQueues> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was remembered about the draft's tracks.
    pub(crate) fn forget(&self, draft: &DraftId) {
        let mut lines = self.lock();
        lines.idle.remove(draft);
        if let Some(line) = lines.busy.get_mut(draft) {
            line.open.clear();
        }
    }
}

impl Held {
    /// The call succeeded, so its track exists.
    pub(crate) fn succeeded(&self) {
        if let Some(line) = self.turns.lock().busy.get_mut(&self.draft) {
            let track = line
                .entries
                .iter()
                .find(|entry| entry.ticket == self.ticket);
            if let Some(Turn::Track { track, .. }) = track.map(|entry| &entry.turn) {
                let track = track.clone();
                line.open.insert(track);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut lines = self.turns.lock();
        let DraftQueues { busy, idle } = &mut *lines;
        let Some(line) = busy.get_mut(&self.draft) else {
            return;
        };
        line.entries.retain(|entry| entry.ticket != self.ticket);
        line.advance();
        if line.entries.is_empty()
            && let Some(line) = busy.remove(&self.draft)
        {
            idle.insert(self.draft.clone(), line.open);
        }
    }
}

impl DraftQueue {
    /// Lets all calls run that no earlier call holds back.
    fn advance(&mut self) {
        let mut earlier = Earlier::default();
        for Entry { turn, go, .. } in &mut self.entries {
            if earlier.alone {
                break;
            }
            let opens = match turn {
                Turn::Track { track, .. } => !self.open.contains(track),
                Turn::Alone | Turn::Free => false,
            };
            if go.is_some()
                && !earlier.holds_back(turn, opens)
                && let Some(go) = go.take()
            {
                // Sending fails if the receiver was dropped; its entry will be removed.
                let _ = go.send(());
            }
            earlier.add(turn, opens);
        }
    }
}

/// What the earlier calls are doing. They are few: searching a list is faster than hashing a name.
#[derive(Default)]
struct Earlier<'a> {
    any: bool,
    alone: bool,
    /// Tracks in use, and whether the next call there has to wait.
    tracks: Vec<(&'a str, bool)>,
    groups: Vec<Group>,
    opening: Vec<Group>,
}

impl<'a> Earlier<'a> {
    fn add(&mut self, turn: &'a Turn, opens: bool) {
        match turn {
            Turn::Free => return,
            Turn::Alone => self.alone = true,
            Turn::Track {
                group,
                track,
                dependent,
            } => {
                let exclusive = *dependent || opens;
                match self.tracks.iter_mut().find(|(name, _)| name == track) {
                    Some((_, waits)) => *waits |= exclusive,
                    None => self.tracks.push((track, exclusive)),
                }
                add(&mut self.groups, *group);
                if opens {
                    add(&mut self.opening, *group);
                }
            }
        }
        self.any = true;
    }

    fn holds_back(&self, turn: &Turn, opens: bool) -> bool {
        match turn {
            Turn::Free => false,
            Turn::Alone => self.any,
            Turn::Track {
                group,
                track,
                dependent,
            } => {
                let on_track = self
                    .tracks
                    .iter()
                    .find(|(name, _)| name == track)
                    .is_some_and(|(_, exclusive)| *exclusive || *dependent || opens);
                let in_group = match group {
                    // The server creates its own video track before the first requested one.
                    Group::Visual => {
                        self.opening.contains(group) || (opens && self.groups.contains(group))
                    }
                    Group::Audio | Group::Other => opens && self.opening.contains(group),
                };
                self.alone || on_track || in_group
            }
        }
    }
}

fn add(groups: &mut Vec<Group>, group: Group) {
    if !groups.contains(&group) {
        groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::FutureExt;

    use super::*;

    struct Test {
        turns: Turns,
        draft: DraftId,
    }

    type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Held>> + 'a>>;

    fn test() -> Test {
        Test {
            turns: Turns::default(),
            draft: DraftId("d".into()),
        }
    }

    fn on(group: Group, track: &str) -> Turn {
        Turn::Track {
            group,
            track: track.into(),
            dependent: false,
        }
    }

    fn dependent(group: Group, track: &str) -> Turn {
        Turn::Track {
            group,
            track: track.into(),
            dependent: true,
        }
    }

    impl Test {
        /// Asks for a turn; returns it if it comes immediately.
        fn ask(&self, turn: Turn) -> Result<Held, Waiting<'_>> {
            let mut wait: Waiting<'_> = Box::pin(self.turns.take(&self.draft, turn));
            match (&mut wait).now_or_never() {
                Some(held) => Ok(held.unwrap()),
                None => Err(wait),
            }
        }

        fn open(&self, group: Group, track: &str) {
            let held = self.ask(on(group, track)).ok().unwrap();
            held.succeeded();
        }
    }

    fn came(wait: &mut Waiting<'_>) -> bool {
        wait.now_or_never().is_some()
    }

    #[test]
    fn the_call_that_opens_a_track_runs_alone_and_later_ones_in_parallel() {
        let test = test();
        let opening = test.ask(on(Group::Audio, "a")).ok().unwrap();
        let mut second = test.ask(on(Group::Audio, "a")).err().unwrap();
        let mut third = test.ask(on(Group::Audio, "a")).err().unwrap();
        opening.succeeded();
        drop(opening);
        assert!(came(&mut second) && came(&mut third));
    }

    #[test]
    fn after_a_failed_opening_the_next_call_opens_the_track() {
        let test = test();
        let opening = test.ask(on(Group::Audio, "a")).ok().unwrap();
        let mut second = test.ask(on(Group::Audio, "a")).err().unwrap();
        let mut third = test.ask(on(Group::Audio, "a")).err().unwrap();
        drop(opening);
        let second_held = (&mut second).now_or_never().unwrap();
        assert!(!came(&mut third));
        drop(second_held);
        assert!(came(&mut third));
    }

    #[test]
    fn audio_and_picture_tracks_open_in_parallel_but_two_picture_tracks_do_not() {
        let test = test();
        let _audio = test.ask(on(Group::Audio, "a")).ok().unwrap();
        let image = test.ask(on(Group::Visual, "i")).ok().unwrap();
        let mut video = test.ask(on(Group::Visual, "v")).err().unwrap();
        image.succeeded();
        drop(image);
        let video = (&mut video).now_or_never().unwrap().unwrap();
        assert!(
            test.ask(on(Group::Visual, "i")).is_err(),
            "a video track is being opened"
        );
        video.succeeded();
        drop(video);
        assert!(test.ask(on(Group::Visual, "i")).is_ok());
    }

    #[test]
    fn a_track_name_is_one_track_in_all_groups() {
        let test = test();
        let _audio = test.ask(on(Group::Audio, "x")).ok().unwrap();
        assert!(test.ask(on(Group::Other, "x")).is_err());
    }

    #[test]
    fn a_dependent_call_waits_for_the_one_before_and_holds_back_its_track() {
        let test = test();
        test.open(Group::Audio, "a");
        test.open(Group::Audio, "b");
        let first = test.ask(on(Group::Audio, "a")).ok().unwrap();
        let mut second = test.ask(dependent(Group::Audio, "a")).err().unwrap();
        let mut third = test.ask(on(Group::Audio, "a")).err().unwrap();
        assert!(test.ask(on(Group::Audio, "b")).is_ok());
        drop(first);
        let second = (&mut second).now_or_never().unwrap();
        assert!(!came(&mut third));
        drop(second);
        assert!(came(&mut third));
    }

    #[test]
    fn a_save_waits_for_earlier_calls_and_holds_back_later_ones() {
        let test = test();
        test.open(Group::Audio, "a");
        let first = test.ask(on(Group::Audio, "a")).ok().unwrap();
        let mut save = test.ask(Turn::Alone).err().unwrap();
        let mut third = test.ask(on(Group::Audio, "a")).err().unwrap();
        drop(first);
        let save = (&mut save).now_or_never().unwrap();
        assert!(!came(&mut third));
        drop(save);
        assert!(came(&mut third));
    }

    #[test]
    fn a_call_that_stops_waiting_leaves_the_line() {
        let test = test();
        let first = test.ask(Turn::Alone).ok().unwrap();
        let second = test.ask(Turn::Alone).err().unwrap();
        let mut third = test.ask(Turn::Alone).err().unwrap();
        drop(second);
        assert!(!came(&mut third));
        drop(first);
        assert!(came(&mut third));
        drop(third);
        assert!(!test.turns.lock().busy.contains_key(&test.draft));
    }

    #[test]
    fn drafts_do_not_wait_for_each_other() {
        let test = test();
        let _first = test.ask(Turn::Alone).ok().unwrap();
        let other = DraftId("e".into());
        assert!(
            test.turns
                .take(&other, Turn::Alone)
                .now_or_never()
                .is_some()
        );
    }
}
