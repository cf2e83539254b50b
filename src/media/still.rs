//! Pictures of frames of a video, made by `ffmpeg`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::{Media, ffmpeg};
use crate::error::{Error, Result};

/// How long `ffmpeg` may take for one try.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Where the last frame is searched: this long before the end. Streams may end before their file does.
const BEFORE_END: [f64; 3] = [0.5, 3.0, f64::MAX];

impl Media {
    /// The path of a picture of the last frame of a video that lasts `seconds`, in `folder`. It is made once.
    pub(crate) async fn last_frame(
        &self,
        source: &str,
        seconds: f64,
        folder: &Path,
    ) -> Result<PathBuf> {
        let tries = BEFORE_END.map(|before| Frames::From((seconds - before).max(0.0)));
        self.frame(source, "last-frame", &tries, folder).await
    }

    /// The path of a picture of the frame at a time of a video, in `folder`. It is made once.
    pub(crate) async fn frame_at(
        &self,
        source: &str,
        seconds: f64,
        folder: &Path,
    ) -> Result<PathBuf> {
        let name = format!("frame-{}", (seconds * 1e3).round());
        self.frame(source, &name, &[Frames::At(seconds)], folder)
            .await
    }

    async fn frame(
        &self,
        source: &str,
        what: &str,
        tries: &[Frames],
        folder: &Path,
    ) -> Result<PathBuf> {
        let failed = |error: io::Error| {
            Error::internal(format!(
                "a picture cannot be stored in {}",
                folder.display()
            ))
            .source(error)
        };
        tokio::fs::create_dir_all(folder).await.map_err(failed)?;
        let here = self.here(source).await;
        // Dropped at the end: a fetched video is only needed for its picture.
        let fetched = tempfile::tempdir_in(folder).map_err(failed)?;
        let file = match here {
            Some(file) => file,
            None => {
                let to = fetched.path().join("video");
                self.fetch(source, &to, &|_, _| {}).await?;
                to
            }
        };
        let folder = folder.to_owned();
        let shown = super::shown(source);
        let source = source.to_owned();
        let (what, tries) = (what.to_owned(), tries.to_vec());
        tokio::task::spawn_blocking(move || {
            let _fetched = fetched;
            let name = name_of(&file, &source, &what)
                .map_err(|error| Error::media(format!("{shown} cannot be read")).source(error))?;
            let picture = folder.join(name);
            if picture.is_file() {
                return Ok(picture);
            }
            let partial = tempfile::Builder::new()
                .suffix(".png")
                .tempfile_in(&folder)
                .map_err(|error| Error::internal("a picture cannot be stored").source(error))?;
            for frames in tries {
                if write(&file, frames, partial.path())? {
                    partial.persist(&picture).map_err(|error| {
                        Error::internal("a picture cannot be stored").source(error)
                    })?;
                    return Ok(picture);
                }
            }
            Err(Error::media(format!(
                "`ffmpeg` cannot read this frame of {shown}"
            )))
        })
        .await
        .map_err(|error| Error::internal("a picture could not be made").source(error))?
    }
}

/// The name of the picture: of the video, and of its state.
fn name_of(file: &Path, source: &str, what: &str) -> io::Result<String> {
    let known = std::fs::metadata(file)?;
    let modified = known.modified()?.duration_since(UNIX_EPOCH);
    let key = format!(
        "{source}\0{}\0{}",
        known.len(),
        modified.unwrap_or_default().as_nanos()
    );
    let hash = Sha256::digest(key);
    let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{what}-{hash}.png"))
}

/// Frames of a video, by a time in seconds.
#[derive(Clone, Copy)]
enum Frames {
    /// The last one after it.
    From(f64),
    /// The one at it.
    At(f64),
}

/// Writes each frame over the one before; returns whether there was one.
fn write(file: &Path, frames: Frames, to: &Path) -> Result<bool> {
    let (Frames::From(from) | Frames::At(from)) = frames;
    let start = format!("{from:.3}");
    let options = [
        "-v", "error", "-nostdin", "-y", "-threads", "1", "-ss", &start,
    ];
    let mut command = ffmpeg::reading("ffmpeg", &options, file);
    if matches!(frames, Frames::At(_)) {
        command.args(["-frames:v", "1"]);
    }
    command
        .args([
            "-an", "-sn", "-dn", "-update", "1", "-f", "image2", "-c:v", "png",
        ])
        .arg(to);
    let ended = run(&mut command).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::media("`ffmpeg` is not installed"),
        _ => Error::media("`ffmpeg` cannot be started").source(error),
    })?;
    let length = std::fs::metadata(to).map_or(0, |known| known.len());
    Ok(ended && length > 0)
}

/// Runs a program to its end, or kills it after [`PATIENCE`]; returns whether it was successful.
fn run(command: &mut Command) -> io::Result<bool> {
    let mut child = command.stdout(std::process::Stdio::null()).spawn()?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
}
