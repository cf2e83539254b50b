//! What `ffprobe` says about a media file.

use serde::Deserialize;

/// The options of the question, before the input.
pub(crate) const QUESTION: [&str; 7] = [
    "-v",
    "error",
    "-of",
    "json",
    "-show_entries",
    "stream=codec_type,codec_name,width,height,pix_fmt,color_space,color_transfer,r_frame_rate,avg_frame_rate,duration,\
     start_time,channels,sample_rate:stream_disposition=attached_pic:stream_tags=alpha_mode,rotate:\
     stream_side_data=rotation:format=duration",
    "-hide_banner",
];

/// The facts that decoding needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MediaFacts {
    pub video: Option<VideoFacts>,
    pub sound: Option<SoundFacts>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VideoFacts {
    pub codec: String,
    /// Pixels of the picture as it is shown, after rotation.
    pub width: u32,
    pub height: u32,
    /// It has transparent parts.
    pub has_alpha: bool,
    /// Its light is that of HDR video.
    pub is_hdr: bool,
    /// It does not state its colour matrix.
    pub is_untagged: bool,
    /// Frames per second; `None` if it is not known.
    pub fps: Option<f64>,
    /// Seconds; `None` if it is not known.
    pub duration: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SoundFacts {
    pub channels: u32,
    /// Samples per second.
    pub rate: u32,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    #[serde(default)]
    pix_fmt: String,
    color_space: Option<String>,
    color_transfer: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    channels: u32,
    sample_rate: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Default, Deserialize)]
struct Tags {
    #[serde(alias = "ALPHA_MODE")]
    alpha_mode: Option<String>,
    rotate: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl MediaFacts {
    pub(crate) fn of(json: &[u8]) -> Option<Self> {
        let said: Said = serde_json::from_slice(json).ok()?;
        let is_video =
            |stream: &&Stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0;
        let video = said
            .streams
            .iter()
            .find(is_video)
            .filter(|video| video.width > 0 && video.height > 0);
        let sound = said
            .streams
            .iter()
            .find(|stream| stream.codec_type == "audio");
        Some(Self {
            video: video.map(|video| video.facts(&said.format)),
            sound: sound
                .filter(|sound| sound.channels > 0)
                .map(|sound| SoundFacts {
                    channels: sound.channels,
                    rate: sound
                        .sample_rate
                        .as_deref()
                        .and_then(|rate| rate.parse().ok())
                        .unwrap_or(44_100),
                }),
        })
    }
}

impl Stream {
    fn facts(&self, format: &Format) -> VideoFacts {
        let turned = self.side_data_list.iter().find_map(|data| data.rotation);
        let turned = turned
            .or_else(|| self.tags.rotate.as_deref()?.parse().ok())
            .unwrap_or(0.0);
        let is_sideways = (turned.rem_euclid(180.0) - 90.0).abs() < 45.0;
        let (width, height) = if is_sideways {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let seconds = |text: &Option<String>| {
            let seconds: f64 = text.as_deref()?.parse().ok()?;
            (seconds.is_finite() && seconds > 0.0).then_some(seconds)
        };
        let pixels = self.pix_fmt.as_str();
        let has_alpha = [
            "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "pal8", "gbrap", "rgb32", "bgr32",
        ];
        let has_alpha = pixels.starts_with("yuva")
            || pixels.starts_with("ayuv")
            || has_alpha.iter().any(|name| pixels.starts_with(name))
            || self.tags.alpha_mode.as_deref() == Some("1");
        VideoFacts {
            codec: self.codec_name.clone(),
            width,
            height,
            has_alpha,
            is_hdr: matches!(
                self.color_transfer.as_deref(),
                Some("smpte2084" | "arib-std-b67")
            ),
            is_untagged: self
                .color_space
                .as_deref()
                .is_none_or(|space| space == "unknown"),
            fps: [&self.avg_frame_rate, &self.r_frame_rate]
                .into_iter()
                .find_map(|rate| quotient(rate.as_deref()?)),
            duration: seconds(&self.duration).or_else(|| seconds(&format.duration)),
        }
    }
}

/// A rate such as `30000/1001`.
fn quotient(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let rate = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_phone_video_is_measured_as_it_is_shown() {
        let said = br#"{"streams":[{"codec_type":"audio","channels":1,"sample_rate":"48000"},
            {"codec_type":"video","codec_name":"h264","width":1920,"height":1080,"pix_fmt":"yuv420p",
             "avg_frame_rate":"30000/1001","r_frame_rate":"30/1","side_data_list":[{"rotation":-90}]}],
            "format":{"duration":"4.2"}}"#;
        let facts = MediaFacts::of(said).unwrap();
        let video = facts.video.unwrap();
        assert_eq!((video.width, video.height), (1080, 1920));
        assert_eq!(video.duration, Some(4.2));
        assert!(
            (video.fps.unwrap() - 29.97).abs() < 0.001 && video.is_untagged && !video.has_alpha
        );
        assert_eq!(
            facts.sound,
            Some(SoundFacts {
                channels: 1,
                rate: 48_000
            })
        );
    }

    #[test]
    fn cover_art_is_not_a_video_and_alpha_is_recognised() {
        let art = br#"{"streams":[{"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}}]}"#;
        assert_eq!(MediaFacts::of(art), Some(MediaFacts::default()));
        let webm = br#"{"streams":[{"codec_type":"video","codec_name":"vp9","width":9,"height":9,
            "pix_fmt":"yuv420p","color_transfer":"smpte2084","tags":{"ALPHA_MODE":"1"}}]}"#;
        let video = MediaFacts::of(webm).unwrap().video.unwrap();
        assert!(video.has_alpha && video.is_hdr);
        assert_eq!(MediaFacts::of(b"{"), None);
    }
}
