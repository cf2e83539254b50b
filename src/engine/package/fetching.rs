//! Fetches the media of a draft into its folder: all of them, or an error that lists each missing one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::arriving::Arriving;
use super::files::BinEntry;
use super::home::DraftLocation;
use super::staging::Staging;
use super::{PackageProgress, make, name, unwritable};
use crate::draft::finished::{ContentType, MediaFile, Needed, made_id};
use crate::error::{Error, Kind, Result};
use crate::media::{Facts, Media, shown};
use crate::sorting;
use crate::units::Micros;

/// Maximum media files that are fetched at the same time.
const AT_ONCE: usize = 8;

/// A media file in the draft's folder.
#[derive(Clone, Debug)]
pub(super) struct FetchedFile {
    pub list: &'static str,
    pub id: String,
    /// `assets/video/clip.mp4`
    pub inside: String,
    pub bytes: u64,
    /// The file was already there and belongs to the user or the app.
    pub is_own: bool,
    /// What to say about it.
    pub note: Option<String>,
    facts: Facts,
}

impl FetchedFile {
    fn content(&self) -> ContentType {
        content(self.list, &self.facts)
    }

    fn duration(&self) -> Micros {
        match self.list {
            "audios" => self.facts.audio_duration.unwrap_or(self.facts.duration),
            _ => self.facts.duration,
        }
    }

    fn file_name(&self) -> &str {
        self.inside.rsplit('/').next().unwrap_or(&self.inside)
    }

    pub(super) fn named(&self, home: &DraftLocation, draft: &str) -> MediaFile {
        MediaFile {
            path: format!("{}/{}", home.media, self.inside),
            name: self.file_name().to_owned(),
            bin_id: made_id(&[draft, self.list, &self.id, "bin"]).to_lowercase(),
            content: self.content(),
            width: self.facts.width,
            height: self.facts.height,
            duration: self.duration(),
            has_audio: self.facts.has_audio,
        }
    }

    pub(super) fn entry(&self, file: &MediaFile) -> BinEntry {
        BinEntry {
            id: file.bin_id.clone(),
            name: file.name.clone(),
            inside: self.inside.clone(),
            content: file.content,
            width: file.width,
            height: file.height,
            duration: file.duration,
        }
    }
}

/// The content type of a file among the materials of `list`.
pub(super) fn content(list: &str, facts: &Facts) -> ContentType {
    match facts {
        facts if facts.is_moving_picture() => ContentType::MovingPicture,
        Facts { is_still: true, .. } => ContentType::Picture,
        Facts {
            has_video: true, ..
        } if list == "videos" => ContentType::Video,
        _ => ContentType::Sound,
    }
}

/// Fetches all media into the folder, or returns an error with the reason for each missing one. `first` gives a
/// medium that is fetched before the others, and receives its path when it is there.
pub(super) async fn fetch_all(
    (needed, longest_name): (&[Needed], usize),
    first: Option<(usize, oneshot::Sender<(PathBuf, ContentType)>)>,
    staging: &Staging,
    media: &Media,
    progress: &(dyn Fn(PackageProgress) + Send + Sync),
) -> Result<Vec<FetchedFile>> {
    let folder = &*staging.path;
    let own = own_media(needed, staging, media).await;
    staging
        .keep(own.iter().flatten().cloned().collect())
        .await?;
    let there: Vec<PathBuf> = own
        .iter()
        .flatten()
        .chain(staging.foreign())
        .cloned()
        .collect();
    let names = name::of_media(needed, &there, longest_name);
    for kind in names.iter().map(|(kind, _)| kind).collect::<HashSet<_>>() {
        make(&folder.join("assets").join(kind))?;
    }
    let arriving = Arriving::of(needed.len());
    let (first, mut tell) = first.unzip();
    // Boxed one by one: the compiler cannot see that a closure over the stream is `Send`.
    let mut work: Vec<BoxFuture<'_, (usize, Result<FetchedFile>)>> =
        Vec::with_capacity(needed.len());
    let mut in_turn: Vec<_> = needed.iter().zip(&names).enumerate().collect();
    sorting::sort_by_key(&mut in_turn, |(index, _)| Some(*index) != first);
    for (index, (needed, (kind, stem))) in in_turn {
        let arriving = &arriving;
        let tell = tell.take();
        let own = &own;
        work.push(Box::pin(async move {
            let heard = move |done: u64, of: Option<u64>| {
                if let Some(step) = arriving.bytes(index, done, of) {
                    progress(step);
                }
            };
            let result = match &own[index] {
                Some(inside) => keep_one(needed, inside, staging, media).await,
                None => fetch_one(needed, (kind, stem), folder, media, &heard).await,
            };
            if let (Some(tell), Ok(medium)) = (tell, &result) {
                // If the receiver was dropped, the path is not needed.
                let _ = tell.send((folder.join(&medium.inside), medium.content()));
            }
            progress(arriving.ended(index));
            (index, result)
        }));
    }
    let mut fetched: Vec<(usize, Result<FetchedFile>)> = futures::stream::iter(work)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    sorting::sort_by_key(&mut fetched, |(index, _)| *index);
    let mut files = Vec::with_capacity(needed.len());
    let mut failures = Vec::new();
    for (index, result) in fetched {
        match result {
            Ok(file) => files.push(file),
            Err(error) => failures.push((&needed[index], error)),
        }
    }
    if failures.is_empty() {
        return Ok(files);
    }
    Err(unfetched(failures, needed.len()))
}

/// The media that a save could not fetch, by source: attached as the cause of the error, whose message lists
/// the same.
#[derive(Debug)]
pub(crate) struct Unfetched(pub Vec<(String, Error)>);

impl std::fmt::Display for Unfetched {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Unfetched {}

fn unfetched(failures: Vec<(&Needed, Error)>, all: usize) -> Error {
    let rows: Vec<_> = failures
        .iter()
        .map(|(needed, error)| {
            let source = shown(&needed.source);
            let reason = Error::new(error.kind, error.message.clone());
            let cause = error.source.as_ref().map(|cause| format!(": {cause}"));
            format!(
                "- {}: {source}: {}{}",
                needed.place,
                reason.message,
                cause.unwrap_or_default()
            )
        })
        .collect();
    // One invalid file makes retrying pointless; a network failure does not.
    let kind = failures
        .iter()
        .map(|(_, error)| error.kind)
        .find(|kind| *kind == Kind::Media)
        .unwrap_or(failures[0].1.kind);
    Error::new(
        kind,
        format!(
            "nothing was saved: {} of {all} media files are not available:\n{}",
            failures.len(),
            rows.join("\n")
        ),
    )
    .hint("make these files available or use others in the draft, then save again")
    .source(Unfetched(
        failures
            .into_iter()
            .map(|(needed, error)| (needed.source.clone(), error))
            .collect(),
    ))
}

pub(super) async fn fetch_one(
    needed: &Needed,
    (kind, stem): (&str, &str),
    folder: &Path,
    media: &Media,
    heard: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<FetchedFile> {
    if needed.source.is_empty() {
        return Err(Error::media("no URL or path was given"));
    }
    let place = folder.join("assets").join(kind);
    let unnamed = place.join(format!("{stem}.part"));
    let fetched = media.fetch(&needed.source, &unnamed, heard).await?;
    let facts = fetched.facts;
    check_usable(needed, &facts)?;
    let name = format!("{stem}.{}", facts.format.extension());
    let to = place.join(&name);
    tokio::fs::rename(&unnamed, &to)
        .await
        .map_err(|error| unwritable(&to, error))?;
    Ok(FetchedFile {
        list: needed.list,
        id: needed.id.clone(),
        inside: format!("assets/{kind}/{name}"),
        bytes: fetched.bytes,
        is_own: false,
        note: fetched.is_earlier.then(|| {
            let source = shown(&needed.source);
            format!("{}: {source} is not available any more; what was fetched from there earlier is used", needed.place)
        }),
        facts,
    })
}

fn check_usable(needed: &Needed, facts: &Facts) -> Result<()> {
    match needed.list {
        "audios" if !facts.has_audio => Err(Error::media("it contains no sound")),
        "videos" if !facts.has_picture() => Err(Error::media("it contains no picture")),
        _ => Ok(()),
    }
}

/// The sources in the draft's own folder, by their path there: they stay where they are, as otherwise the draft
/// could not be saved again. A file whose name does not match its format also gets a copy with a correct name.
async fn own_media(needed: &[Needed], staging: &Staging, media: &Media) -> Vec<Option<PathBuf>> {
    let Some(folder) = staging.own_folder() else {
        return vec![None; needed.len()];
    };
    let looks = needed.iter().map(|needed| async {
        let file = media.here(&needed.source).await?;
        let inside = file.strip_prefix(folder).ok()?.to_owned();
        let facts = media.facts(&needed.source).await.ok()?;
        facts.format.is_extension_of(&inside).then_some(inside)
    });
    futures::future::join_all(looks).await
}

async fn keep_one(
    needed: &Needed,
    inside: &Path,
    staging: &Staging,
    media: &Media,
) -> Result<FetchedFile> {
    let file = staging.own_folder().unwrap_or(&staging.path).join(inside);
    let facts = media.whole(&file).await?;
    let known = tokio::fs::metadata(&file).await;
    let bytes = known.map_err(|error| unwritable(&file, error))?.len();
    check_usable(needed, &facts)?;
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    Ok(FetchedFile {
        list: needed.list,
        id: needed.id.clone(),
        inside: parts.join("/"),
        bytes,
        is_own: !staging
            .marker_before()
            .is_some_and(|marker| marker.files.contains_key(&parts.join("/"))),
        note: None,
        facts,
    })
}
