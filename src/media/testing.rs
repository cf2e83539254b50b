//! Helpers for media tests: files made by `ffmpeg`, and a media server with every kind of failure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::reader::{BytesOrigin, Guard, SourceReader};
use super::{MediaLimits, probe};

pub(super) fn has_ffmpeg() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|program| {
        Command::new(program)
            .arg("-version")
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if !found {
        eprintln!("SKIPPED: ffmpeg and ffprobe are not installed");
    }
    found
}

/// Runs `ffmpeg` with these arguments, the last of which is the file to create.
pub(super) fn ffmpeg(folder: &Path, words: &str) -> PathBuf {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ffmpeg {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join(words.split_whitespace().last().unwrap())
}

/// Probes bytes in memory.
pub(super) fn probe_bytes(
    bytes: &[u8],
    depth: probe::Depth,
) -> Result<super::Facts, probe::ProbeError> {
    let guard = Guard::new(
        &MediaLimits::default(),
        tokio_util::sync::CancellationToken::new(),
    );
    probe::read(
        &mut SourceReader::new(Box::new(BytesOrigin(bytes.to_vec())), guard),
        None,
        depth,
    )
}

/// A media server. The first part of a path, before the file name, selects its behaviour.
#[derive(Clone, Default)]
pub(super) struct MediaServer {
    state: Arc<MediaServerState>,
}

#[derive(Default)]
struct MediaServerState {
    address: Mutex<String>,
    files: Mutex<HashMap<String, Vec<u8>>>,
    requests: AtomicU64,
    bytes: AtomicU64,
    log: Mutex<Vec<String>>,
    heads: Mutex<Vec<String>>,
}

impl MediaServer {
    /// Serves until the set is dropped.
    pub(crate) async fn start(tasks: &mut JoinSet<()>) -> Self {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *server.state.address.lock().unwrap() =
            format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::clone(&server.state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    serve(&state, stream).await.ok();
                });
            }
        });
        server
    }

    pub(crate) fn add(&self, name: &str, bytes: Vec<u8>) -> &Self {
        self.state
            .files
            .lock()
            .unwrap()
            .insert(name.to_owned(), bytes);
        self
    }

    /// The address of a file, served in the given way.
    pub(crate) fn url(&self, way: &str, name: &str) -> String {
        format!("{}/{way}/{name}", self.state.address.lock().unwrap())
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that were sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.state.log.lock().unwrap().clone()
    }

    /// The value of a header in each request so far.
    pub(crate) fn asked(&self, name: &str) -> Vec<Option<String>> {
        let heads = self.state.heads.lock().unwrap();
        heads.iter().map(|head| header(head, name)).collect()
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let same = key.eq_ignore_ascii_case(name);
        same.then(|| value.trim().to_owned())
    })
}

async fn serve(state: &MediaServerState, mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let request = String::from_utf8_lossy(&buffer).into_owned();
        buffer.clear();
        let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
        state.log.lock().unwrap().push(target.clone());
        let number = state.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let path = target.split('?').next().unwrap_or_default();
        let (way, name) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or_default();
        let range = header(&request, "range").and_then(|range| {
            let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((
                from.parse::<usize>().ok()?,
                to.parse::<usize>().unwrap_or(usize::MAX - 1),
            ))
        });
        state.heads.lock().unwrap().push(request.clone());
        let file = state.files.lock().unwrap().get(name).cloned();
        let keep = if let ("tagged" | "dated" | "unkept", Some(file)) = (way, &file) {
            versioned(&mut stream, way, (&request, range), file).await?
        } else if let (Some(way), Some(file)) = (way.strip_prefix("breaks"), &file) {
            breaking(&mut stream, way, number, (&request, range), file).await?
        } else {
            answer(state, &mut stream, way, name, number, range, file).await?
        };
        if !keep {
            return Ok(());
        }
    }
}

/// Range and conditional requests.
async fn versioned(
    stream: &mut TcpStream,
    way: &str,
    (request, range): (&str, Option<(usize, usize)>),
    file: &[u8],
) -> std::io::Result<bool> {
    let sum = file
        .iter()
        .fold(file.len(), |sum, byte| sum + usize::from(*byte));
    let (marks, known) = match way {
        "tagged" => (format!("ETag: \"{sum}\"\r\n"), "if-none-match"),
        "dated" => (
            format!(
                "Last-Modified: Sat, 01 Nov 2025 10:{:02}:00 GMT\r\n",
                sum % 60
            ),
            "if-modified-since",
        ),
        _ => (
            "ETag: \"1\"\r\nCache-Control: no-store\r\n".to_owned(),
            "if-none-match",
        ),
    };
    let is_known = header(request, known).is_some_and(|known| marks.contains(&known));
    let (status, told, body) = match range {
        _ if is_known => ("304 Not Modified", String::new(), &file[..0]),
        Some((from, to)) => {
            let part = &file[from..file.len().min(to.saturating_add(1))];
            let (last, all) = (from + part.len() - 1, file.len());
            let told = format!("Content-Range: bytes {from}-{last}/{all}\r\n");
            ("206 Partial Content", told, part)
        }
        None => ("200 OK", String::new(), file),
    };
    let length = if is_known {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("HTTP/1.1 {status}\r\n{marks}{told}{length}\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    Ok(true)
}

/// The first request gets 95 % of the file, then the connection closes. `way` selects the response to the next
/// one.
async fn breaking(
    stream: &mut TcpStream,
    way: &str,
    number: u64,
    (request, range): (&str, Option<(usize, usize)>),
    file: &[u8],
) -> std::io::Result<bool> {
    let full = file.len();
    let now = match way {
        "-changes" => format!("ETag: \"{number}\"\r\n"),
        "-dated" => "Last-Modified: Sat, 01 Nov 2025 10:00:00 GMT\r\n".to_owned(),
        "-weak" => "ETag: W/\"1\"\r\n".to_owned(),
        "-unmarked" => String::new(),
        _ => "ETag: \"1\"\r\n".to_owned(),
    };
    let same = header(request, "if-range").is_none_or(|asked| now.contains(&asked));
    let (status, part, told) = match range {
        Some(_) if way == "-forbids" => {
            let answer = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await?;
            return Ok(true);
        }
        Some((from, to)) if way != "-ignores" && same => {
            // A part that is shorter than requested.
            let to = if way == "-pieces" { from + 1999 } else { to };
            let total = if way == "-lies" { full + 1 } else { full };
            let part = &file[from..full.min(to.saturating_add(1))];
            let last = from + part.len() - 1;
            let range = format!("Content-Range: bytes {from}-{last}/{total}\r\n");
            ("206 Partial Content", part, range)
        }
        _ => ("200 OK", file, String::new()),
    };
    let length = part.len();
    let head = format!("HTTP/1.1 {status}\r\n{now}{told}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let sent = if number == 1 { full * 95 / 100 } else { length };
    stream.write_all(&part[..sent]).await?;
    Ok(number != 1)
}

/// Answers one request; returns whether the connection stays open.
async fn answer(
    state: &MediaServerState,
    stream: &mut TcpStream,
    way: &str,
    name: &str,
    number: u64,
    range: Option<(usize, usize)>,
    file: Option<Vec<u8>>,
) -> std::io::Result<bool> {
    let mut say = async |head: String, body: &[u8]| {
        state.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await
    };
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n");
    let Some(file) = file else {
        say(status("404 Not Found"), &[]).await?;
        return Ok(true);
    };
    let full = file.len();
    match way {
        "ranges" | "changing" | "cjk" => {
            let Some((from, to)) = range else {
                say(
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                    &file,
                )
                .await?;
                return Ok(true);
            };
            if from >= full {
                say(format!("HTTP/1.1 416 Nope\r\nContent-Range: bytes */{full}\r\nContent-Length: 0\r\n\r\n"), &[]).await?;
                return Ok(true);
            }
            let part = &file[from..full.min(to + 1)];
            // With each request, the file has one more byte.
            let total = if way == "changing" {
                full as u64 + number
            } else {
                full as u64
            };
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes {from}-{}/{total}\r\nContent-Length: {}\r\n\r\n",
                from + part.len() - 1,
                part.len()
            );
            say(head, part).await?;
            Ok(true)
        }
        "plain" => {
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file,
            )
            .await?;
            Ok(true)
        }
        "no-length" => {
            say(
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
                &file,
            )
            .await?;
            Ok(false)
        }
        // Half of it, then the connection closes.
        "half" => {
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file[..full / 2],
            )
            .await?;
            Ok(false)
        }
        // Half the first time, all of it afterwards.
        "half-once" => {
            let body = if number == 1 {
                &file[..full / 2]
            } else {
                &file[..]
            };
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                body,
            )
            .await?;
            Ok(number != 1)
        }
        // A stated length that is too small, and a body of that length.
        "short-length" => {
            let half = full / 2;
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {half}\r\n\r\n"),
                &file[..half],
            )
            .await?;
            Ok(true)
        }
        "no-length-half" => {
            say(
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
                &file[..full / 2],
            )
            .await?;
            Ok(false)
        }
        // A few bytes, then nothing more while the connection stays open.
        "stalls" => {
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file[..100.min(full)],
            )
            .await?;
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(false)
        }
        "silent" => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(false)
        }
        "late" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file,
            )
            .await?;
            Ok(true)
        }
        "500-once" | "429-once" if number > 1 => {
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file,
            )
            .await?;
            Ok(true)
        }
        "500" | "500-once" => {
            say(status("500 Oh"), &[]).await?;
            Ok(true)
        }
        "429-once" => {
            say(status("429 Slow down"), &[]).await?;
            Ok(true)
        }
        // Refuses range requests with this status; a request for the whole file succeeds.
        "part-400" | "part-403" | "part-405" | "part-416" | "part-501" if range.is_none() => {
            say(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {full}\r\n\r\n"),
                &file,
            )
            .await?;
            Ok(true)
        }
        "part-400" | "part-403" | "part-405" | "part-416" | "part-501" => {
            let code = &way["part-".len()..];
            say(status(&format!("{code} No parts")), &[]).await?;
            Ok(true)
        }
        "403" | "410" | "503" => {
            say(status(&format!("{way} No")), &[]).await?;
            Ok(true)
        }
        "closes" => Ok(false),
        "redirect" => {
            say(
                format!(
                    "HTTP/1.1 302 Found\r\nLocation: ../ranges/{name}\r\nContent-Length: 0\r\n\r\n"
                ),
                &[],
            )
            .await?;
            Ok(true)
        }
        "loop" => {
            say(
                format!(
                    "HTTP/1.1 302 Found\r\nLocation: /loop/{name}\r\nContent-Length: 0\r\n\r\n"
                ),
                &[],
            )
            .await?;
            Ok(true)
        }
        // Redirects to the address in the file.
        "elsewhere" => {
            let to = String::from_utf8_lossy(&file).into_owned();
            say(
                format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
                &[],
            )
            .await?;
            Ok(true)
        }
        _ => panic!("unknown behaviour {way}"),
    }
}
