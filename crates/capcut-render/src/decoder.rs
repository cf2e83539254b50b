//! The frames of a video in order, decoded by one `ffmpeg` in the size that is shown.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use tiny_skia::{IntSize, Pixmap};

use crate::facts::VideoFacts;
use crate::process::{self, Process, Stop};
use crate::still::premultiply;
use crate::tools::Tools;

/// How long one frame may take. The first frame after a seek into a long group of pictures takes longest.
const FRAME: Duration = Duration::from_secs(30);
/// How many frames are decoded ahead; one more is being read.
const AHEAD: usize = 1;

/// What is decoded.
#[derive(Clone, Debug)]
pub(crate) struct VideoSource {
    pub file: PathBuf,
    pub facts: VideoFacts,
    /// Pixels of the decoded frames.
    pub size: (u32, u32),
    /// Frames that follow each other sooner than this are left out, seconds; for clips that are shown faster.
    pub step: Option<f64>,
    /// Chroma is computed between its samples. Without that, areas are as close, in 40 % of the time.
    pub is_exact: bool,
}

/// A frame and its time in the file, microseconds.
#[derive(Clone, Debug)]
pub(crate) struct TimedFrame {
    pub at: i64,
    pub picture: Arc<Pixmap>,
}

/// Where decoding begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At the time: earlier frames are decoded and left out.
    At(i64),
    /// At the key frame before the time.
    KeyFrameBefore(i64),
}

/// A running decoder. It is asked for times that increase; other times start it again.
#[derive(Debug)]
pub(crate) struct Decoder {
    source: VideoSource,
    tools: Tools,
    stop: Stop,
    running: Option<Running>,
    shown: Option<TimedFrame>,
    /// Frames after the one that is shown.
    next: VecDeque<TimedFrame>,
    /// There are no frames after `next`.
    ended: bool,
    /// The time of the first frame of the file, once it was decoded.
    first: Option<i64>,
    /// The process began at the start of the file.
    from_start: bool,
}

#[derive(Debug)]
struct Running {
    process: Arc<Process>,
    frames: Receiver<TimedFrame>,
    /// Memory of frames that are no longer shown.
    used: Sender<Vec<u8>>,
}

/// How much a frame may be after the time at which it is seen, microseconds: times are rounded on their way.
const TOLERANCE: i64 = 100;
/// Seeks are multiples of this, microseconds: FFmpeg subtracts them from the times of frames in the units of the file, and
/// these are whole numbers of the usual units (1/600, 1/1000, 1/12800, 1/15360, 1/24000, 1/90000).
const SEEK_STEP: i64 = 200_000;
/// How far ahead frames are decoded in order instead of seeking, microseconds.
const READ_ON: i64 = 1_500_000;

impl Decoder {
    pub(crate) fn new(source: VideoSource, tools: &Tools, stop: &Stop) -> Self {
        Self {
            source,
            tools: tools.clone(),
            stop: stop.clone(),
            running: None,
            shown: None,
            next: VecDeque::new(),
            ended: false,
            first: None,
            from_start: false,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The size of a decoded frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.source.size.0 as usize * self.source.size.1 as usize * 4
    }

    /// Whether a process is started for the frame at a time in the file, although none runs.
    pub(crate) fn must_start(&self, at: i64) -> bool {
        let at = at.max(0).saturating_add(TOLERANCE);
        let covers = |shown: &TimedFrame| {
            let is_after = shown.at <= at || Some(shown.at) == self.first;
            is_after && (self.ended || self.next.back().is_some_and(|last| last.at > at))
        };
        !self.is_running() && !self.shown.as_ref().is_some_and(covers)
    }

    /// Starts to decode at a time in the file, without waiting for it.
    pub(crate) fn prepare(&mut self, at: i64) -> Result<(), String> {
        if self.is_running() || self.shown.is_some() {
            return Ok(());
        }
        self.start(Start::At(at))
    }

    /// Ends the process. `keep` frames after the one that is shown are decoded before.
    pub(crate) fn pause(&mut self, keep: usize) {
        while self.next.len() < keep && !self.ended {
            match self.receive() {
                Ok(Some(frame)) => self.next.push_back(frame),
                Ok(None) | Err(_) => break,
            }
        }
        self.running = None;
    }

    /// The frame that is seen at a time in the file: the last one that is not after it; the first one before the start,
    /// and the last one after the end.
    pub(crate) fn frame(&mut self, at: i64) -> Result<Arc<Pixmap>, String> {
        let at = at.max(0).saturating_add(TOLERANCE);
        let is_before = self.shown.as_ref().is_none_or(|shown| at < shown.at);
        let known_to = self
            .next
            .back()
            .or(self.shown.as_ref())
            .map_or(i64::MIN, |frame| frame.at);
        let is_far = !self.ended && at.saturating_sub(known_to) > READ_ON;
        // A decoder that was prepared has shown nothing yet.
        let is_new = self.shown.is_none() && self.is_running();
        let is_first = self
            .shown
            .as_ref()
            .is_some_and(|shown| Some(shown.at) == self.first);
        let must_read = !self.is_running() && !self.ended && known_to <= at;
        if !is_new && (is_before && !is_first || is_far || must_read) {
            self.start(Start::At(at))?;
        }
        self.advance(at)?;
        // The frame that covers the time began before the place that was sought.
        if let Some(shown) = &self.shown
            && shown.at > at
            && Some(shown.at) != self.first
            && !self.stop.is_stopped()
        {
            self.start(Start::KeyFrameBefore(at))?;
            self.advance(at)?;
        }
        if self.shown.is_none() && !self.stop.is_stopped() {
            self.find_last(at)?;
        }
        // An FFmpeg without the decoder that knows its transparency.
        if self.shown.is_none() && self.source.facts.has_alpha && !self.stop.is_stopped() {
            self.source.facts.has_alpha = false;
            self.start(Start::At(at))?;
            self.advance(at)?;
        }
        match &self.shown {
            Some(shown) => Ok(Arc::clone(&shown.picture)),
            None => Err(self.why("it has no frame")),
        }
    }

    /// Advances to the last frame that is not after the time.
    fn advance(&mut self, at: i64) -> Result<(), String> {
        loop {
            if self.next.is_empty() && !self.ended {
                match self.receive()? {
                    Some(frame) => self.next.push_back(frame),
                    None => self.ended = true,
                }
            }
            let is_due = self
                .next
                .front()
                .is_some_and(|next| next.at <= at || self.shown.is_none());
            if !is_due {
                return Ok(());
            }
            let before = std::mem::replace(&mut self.shown, self.next.pop_front());
            if self.from_start && before.is_none() {
                self.first = self.shown.as_ref().map(|shown| shown.at);
            }
            if let (Some(running), Some(before)) = (&self.running, before)
                && let Some(picture) = Arc::into_inner(before.picture)
            {
                let _ = running.used.send(picture.take());
            }
        }
    }

    /// A time beyond the end gives no frame: the last one is shown. Streams may end before their file does.
    fn find_last(&mut self, at: i64) -> Result<(), String> {
        let end = self
            .source
            .facts
            .duration
            .map_or(at, |duration| (duration * 1e6) as i64)
            .min(at);
        for before in [500_000, 3_000_000, i64::MAX] {
            self.start(Start::At(end.saturating_sub(before).max(0)))?;
            self.advance(i64::MAX)?;
            if self.shown.is_some() || self.stop.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// The next frame of the process; `None` at the end.
    fn receive(&mut self) -> Result<Option<TimedFrame>, String> {
        let Some(running) = &self.running else {
            return Ok(None);
        };
        match running.frames.recv_timeout(FRAME) {
            Ok(frame) => Ok(Some(frame)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                running.process.kill();
                Err(format!(
                    "`ffmpeg` decoded no frame within {} s",
                    FRAME.as_secs()
                ))
            }
        }
    }

    fn why(&self, otherwise: &str) -> String {
        let messages = self
            .running
            .as_ref()
            .map(|running| running.process.messages())
            .unwrap_or_default();
        messages.last().map_or_else(
            || otherwise.to_owned(),
            |message| format!("`ffmpeg`: {message}"),
        )
    }

    /// Where the process is asked to begin, microseconds; `None` for the start of the file.
    fn seek_of(&self, start: Start) -> Option<i64> {
        let (Start::At(at) | Start::KeyFrameBefore(at)) = start;
        // The frame that covers the time begins before it.
        let frame = self
            .source
            .facts
            .fps
            .map_or(100_000.0, |fps| 1.6e6 / fps.clamp(1.0, 240.0));
        let margin = match start {
            Start::At(_) => frame.max(60_000.0) as i64,
            Start::KeyFrameBefore(_) => 0,
        };
        let seek = at.saturating_sub(margin);
        Some(seek - seek % SEEK_STEP).filter(|seek| *seek > 0)
    }

    fn start(&mut self, start: Start) -> Result<(), String> {
        self.running = None;
        self.shown = None;
        self.next.clear();
        self.ended = false;
        let seek = self.seek_of(start);
        self.from_start = seek.is_none();
        let mut command = process::command(self.tools.ffmpeg());
        // The times of the frames are read from messages of this level.
        command.args([
            "-v",
            "info",
            "-hide_banner",
            "-nostats",
            "-nostdin",
            "-threads",
            "1",
        ]);
        command.args(["-filter_threads", "1"]);
        if let Some(seek) = seek {
            if matches!(start, Start::KeyFrameBefore(_)) {
                command.arg("-noaccurate_seek");
            }
            command.args(["-ss", &format!("{:.6}", seek as f64 / 1e6)]);
        }
        // FFmpeg's own decoder leaves out the transparency of VP8 and VP9.
        if self.source.facts.has_alpha {
            match self.source.facts.codec.as_str() {
                "vp8" => drop(command.args(["-c:v", "libvpx"])),
                "vp9" => drop(command.args(["-c:v", "libvpx-vp9"])),
                _ => {}
            }
        }
        command
            .args(process::input_arguments(&self.source.file))
            .args(["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", &self.filters()])
            .args(self.tools.each_frame())
            .args(["-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"])
            .stdout(Stdio::piped());
        let (times, timed) = mpsc::channel();
        let heard = move |line: &str| match time_of(line) {
            Some(at) => {
                let _ = times.send(at);
                false
            }
            None => is_problem(line),
        };
        let process = self
            .stop
            .spawn(&mut command, heard)
            .map_err(|error| format!("`ffmpeg` cannot be started: {error}"))?;
        let Some(stdout) = process.stdout() else {
            return Err("`ffmpeg` has no output".to_owned());
        };
        let (frames, received) = mpsc::sync_channel(AHEAD);
        let (used, reused) = mpsc::channel();
        let reader = Reader {
            stdout,
            size: self.source.size,
            has_alpha: self.source.facts.has_alpha,
            offset: seek.unwrap_or(0),
            timed,
            reused,
        };
        thread::spawn(move || {
            // The end of the pipe, or of the receiver, ends it.
            let _ = reader.run(&frames);
        });
        self.running = Some(Running {
            process,
            frames: received,
            used,
        });
        Ok(())
    }

    fn filters(&self) -> String {
        let (width, height) = self.source.size;
        let facts = &self.source.facts;
        let mut filters = Vec::new();
        if let Some(step) = self.source.step {
            filters.push(format!(
                "select='isnan(prev_selected_t)+gte(t-prev_selected_t,{step:.6})'"
            ));
        }
        // Video that does not state its colours has those that players assume for its size.
        let matrix = match (facts.is_untagged, facts.width.min(facts.height)) {
            (true, 720..) => ":in_color_matrix=bt709",
            (true, _) => ":in_color_matrix=bt601",
            (false, _) => "",
        };
        if facts.is_hdr && self.tools.converts_hdr() {
            filters.push(format!(
                "zscale=w={width}:h={height}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
                 tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=gbr:r=pc,format=gbrp"
            ));
        } else {
            let flags = if self.source.is_exact {
                "bicubic+accurate_rnd"
            } else {
                "bicubic"
            };
            filters.push(format!("scale=w={width}:h={height}:flags={flags}{matrix}"));
        }
        filters.push("format=rgba".to_owned());
        filters.push("settb=1/1000000".to_owned());
        filters.push(self.tools.showinfo().to_owned());
        filters.join(",")
    }
}

/// The thread that reads frames from the pipe.
struct Reader {
    stdout: ChildStdout,
    size: (u32, u32),
    has_alpha: bool,
    /// What is added to the times of the process, microseconds.
    offset: i64,
    timed: Receiver<i64>,
    reused: Receiver<Vec<u8>>,
}

impl Reader {
    fn run(mut self, frames: &SyncSender<TimedFrame>) -> io::Result<()> {
        let size = IntSize::from_wh(self.size.0, self.size.1).ok_or(io::ErrorKind::InvalidInput)?;
        let length = self.size.0 as usize * self.size.1 as usize * 4;
        loop {
            let mut bytes = self.reused.try_recv().unwrap_or_default();
            bytes.resize(length, 0);
            self.stdout.read_exact(&mut bytes)?;
            // It is written before its frame is.
            let at = self.timed.recv_timeout(FRAME).map_err(io::Error::other)?;
            if self.has_alpha {
                premultiply(&mut bytes);
            }
            let picture = Pixmap::from_vec(bytes, size).ok_or(io::ErrorKind::InvalidData)?;
            let frame = TimedFrame {
                at: at.saturating_add(self.offset),
                picture: Arc::new(picture),
            };
            frames.send(frame).map_err(io::Error::other)?;
        }
    }
}

/// The time in a line of the filter `showinfo`, microseconds.
fn time_of(line: &str) -> Option<i64> {
    let line = line.strip_prefix("[Parsed_showinfo_")?;
    if !line.contains(" pts_time:") {
        return None;
    }
    let (_, text) = line.split_once(" pts:")?;
    let text = text.trim_start();
    let end = text.find(' ').unwrap_or(text.len());
    // A frame without a time follows the one before it.
    Some(text[..end].parse().unwrap_or(0))
}

/// Whether a message of this level helps to explain a failure.
fn is_problem(line: &str) -> bool {
    let words = [
        "rror",
        "nvalid",
        "not found",
        "No such",
        "ermission",
        "annot",
        "nknown",
        "unsupported",
        "ould not",
    ];
    words.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_frames_are_read_from_messages() {
        let line = "[Parsed_showinfo_3 @ 0x55d0] n:   1 pts:  33333 pts_time:0.033333 pos:     48 fmt:rgba";
        assert_eq!(time_of(line), Some(33_333));
        let line = "[Parsed_showinfo_3 @ 0x55d0] n:   0 pts: -41708 pts_time:-0.041708 duration:1";
        assert_eq!(time_of(line), Some(-41_708));
        assert_eq!(
            time_of("[Parsed_showinfo_3 @ 0x55d0] config in time_base: 1/1000000"),
            None
        );
        assert_eq!(time_of("Stream mapping:"), None);
    }
}
