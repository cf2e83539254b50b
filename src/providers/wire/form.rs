//! A form with fields and one file, which is streamed.

use std::path::Path;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, RequestBuilder};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::error::{Error, Result};

/// How much of the file is read at a time.
const PIECE: usize = 64 << 10;

pub(super) struct Form {
    boundary: String,
    before: Vec<u8>,
    file: File,
    bytes: u64,
    after: Vec<u8>,
}

impl Form {
    /// # Errors
    /// If the file cannot be read.
    pub(super) async fn new(fields: &[(String, String)], path: &Path) -> Result<Self> {
        let unread =
            |error| Error::media(format!("{} cannot be read", path.display())).source(error);
        let file = File::open(path).await.map_err(unread)?;
        let bytes = file.metadata().await.map_err(unread)?.len();
        let boundary = format!(
            "capcut-mcp-{:016x}{:016x}",
            fastrand::u64(..),
            fastrand::u64(..)
        );
        let mut before = String::new();
        for (name, value) in fields {
            let name = quoted(name);
            before.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        // Services go by the ending of the name; the rest is not theirs to know.
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .filter(|ending| {
                ending.len() <= 8 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
            .unwrap_or("wav");
        before.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"sound.{ending}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        ));
        Ok(Self {
            after: format!("\r\n--{boundary}--\r\n").into_bytes(),
            boundary,
            before: before.into_bytes(),
            file,
            bytes,
        })
    }

    pub(super) fn add_to(self, request: RequestBuilder) -> RequestBuilder {
        let length = self.before.len() as u64 + self.bytes + self.after.len() as u64;
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        request
            .header(CONTENT_TYPE, kind)
            .header(CONTENT_LENGTH, length)
            .body(self.into_body())
    }

    fn into_body(self) -> Body {
        enum Part {
            Before(Vec<u8>),
            File,
            End,
        }
        let start = (Part::Before(self.before), self.file, self.bytes, self.after);
        let pieces =
            futures::stream::try_unfold(start, |(part, mut file, left, after)| async move {
                let end = |after: Vec<u8>, file| Some((after, (Part::End, file, 0, Vec::new())));
                Ok::<_, std::io::Error>(match part {
                    Part::Before(bytes) => Some((bytes, (Part::File, file, left, after))),
                    Part::File if left == 0 => end(after, file),
                    Part::File => {
                        let mut piece = vec![0; PIECE.min(left as usize)];
                        let count = file.read(&mut piece).await?;
                        if count == 0 {
                            return Err(std::io::Error::other(
                                "the file became shorter while it was sent",
                            ));
                        }
                        piece.truncate(count);
                        let left = left - count as u64;
                        Some((piece, (Part::File, file, left, after)))
                    }
                    Part::End => None,
                })
            });
        Body::wrap_stream(pieces)
    }
}

/// A name within quotation marks.
fn quoted(name: &str) -> String {
    let escaped = |letter: char| match letter {
        '"' => "%22".to_owned(),
        '\r' => "%0D".to_owned(),
        '\n' => "%0A".to_owned(),
        letter => letter.to_string(),
    };
    name.chars().map(escaped).collect()
}
