//! What is wrong in a document. What was wrong before an edit may stay; nothing new may become wrong.

use serde::Serialize;

use crate::content::{TextContent, text_length};
use crate::document::Document;
use crate::field::material;
use crate::ops::session::overlaps;

/// Something that the apps do not write themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// Two clips of a track are over each other.
    Overlap { first: String, second: String },
    /// A clip refers to a material that does not exist.
    Dangling { clip: String, id: String },
    /// The styles of a text reach beyond its words.
    StyleRange { text: String },
    /// A clip has no length, or starts before 0.
    Time { clip: String },
}

impl Document {
    /// All problems, sorted.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for track in self.tracks() {
            problems.extend(overlaps(self, track).into_iter().map(|(first, second)| {
                Problem::Overlap {
                    first: format!("c{first}"),
                    second: format!("c{second}"),
                }
            }));
            for clip in self.clips(track) {
                let target = self.target(clip);
                if target.start < 0 || target.duration <= 0 {
                    let clip = self.short_id(clip);
                    problems.push(Problem::Time { clip });
                }
            }
        }
        problems.extend(
            self.dangling()
                .into_iter()
                .map(|dangling| Problem::Dangling {
                    clip: dangling.clip,
                    id: dangling.id,
                }),
        );
        for text in self.materials("texts") {
            let content = TextContent::read(&self.value(text, &material::CONTENT));
            let length = text_length(&content.words(), self.dialect());
            let is_beyond = content.ranges().iter().any(|range| {
                let (start, end) = (range.start.unwrap_or(0), range.end.unwrap_or(length));
                start > end || end > length
            });
            if is_beyond {
                let text = self.id(text).into_owned();
                problems.push(Problem::StyleRange { text });
            }
        }
        problems.sort();
        problems
    }
}
