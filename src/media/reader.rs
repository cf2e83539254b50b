//! Random reads from any origin, through a cache of blocks, with a deadline.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{MediaLimits, timed_out};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

/// Small, but large enough that most headers need one request.
pub(super) const BLOCK: usize = 64 << 10;
/// Blocks kept: 16 MiB.
const KEPT: usize = 256;
/// Maximum blocks per request when reading a remote file sequentially: 1 MiB.
const MOST_AHEAD: usize = 16;

/// A source of bytes.
pub(super) trait ByteOrigin: Send {
    /// The whole length, if it is already known.
    fn len(&self) -> Option<u64>;

    /// The whole length; reads to the end if necessary.
    fn measure(&mut self) -> Result<u64>;

    /// Fills `buffer` from `offset` on; partially only at the end.
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Whether reading needs no request.
    fn is_near(&self) -> bool;
}

/// A deadline and a cancellation token for reading.
#[derive(Clone)]
pub(super) struct Guard {
    pub deadline: Instant,
    pub cancel: CancellationToken,
    seconds: u64,
}

impl Guard {
    pub(crate) fn new(limits: &MediaLimits, cancel: CancellationToken) -> Self {
        Self {
            deadline: Instant::now() + limits.probe_timeout(),
            cancel,
            seconds: limits.probe_timeout_s,
        }
    }

    /// The same guard with its whole time from now on.
    pub(crate) fn restarted(self) -> Self {
        Self {
            deadline: Instant::now() + Duration::from_secs(self.seconds),
            ..self
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(Kind::Cancelled, "cancelled"));
        }
        if Instant::now() >= self.deadline {
            return Err(self.late());
        }
        Ok(())
    }

    pub(crate) fn late(&self) -> Error {
        timed_out("media", "it could not be identified", self.seconds)
    }
}

/// Random reads in small pieces.
pub(super) struct SourceReader {
    origin: Box<dyn ByteOrigin>,
    blocks: HashMap<u64, Vec<u8>>,
    order: VecDeque<u64>,
    /// The block after the last one read, and how many to read together if it is requested next.
    next: u64,
    ahead: usize,
    guard: Guard,
    /// Reads so far: the deadline is checked regularly, even if all reads are served from memory.
    reads: u32,
}

impl SourceReader {
    pub(crate) fn new(origin: Box<dyn ByteOrigin>, guard: Guard) -> Self {
        Self {
            origin,
            blocks: HashMap::new(),
            order: VecDeque::new(),
            next: u64::MAX,
            ahead: 1,
            guard,
            reads: 0,
        }
    }

    /// Adds the bytes of the first response.
    pub(crate) fn first(&mut self, bytes: &[u8]) {
        self.keep(0, bytes);
        self.next = (bytes.len() / BLOCK) as u64;
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.origin.len()
    }

    pub(crate) fn measure(&mut self) -> Result<u64> {
        self.guard.check()?;
        self.origin.measure()
    }

    pub(crate) fn is_near(&self) -> bool {
        self.origin.is_near()
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Up to `count` bytes from `offset` on; fewer only at the end of the file.
    pub(crate) fn bytes(&mut self, offset: u64, count: usize) -> Result<Vec<u8>> {
        self.reads = self.reads.wrapping_add(1);
        if self.reads.is_multiple_of(4096) {
            self.guard.check()?;
        }
        let mut out = Vec::with_capacity(count.min(BLOCK));
        while out.len() < count {
            let Some(at) = offset.checked_add(out.len() as u64) else {
                break;
            };
            let within = (at % BLOCK as u64) as usize;
            let block = self.block(at / BLOCK as u64)?;
            let Some(rest) = block.get(within..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            out.extend_from_slice(&rest[..rest.len().min(count - out.len())]);
        }
        Ok(out)
    }

    fn block(&mut self, index: u64) -> Result<&[u8]> {
        if !self.blocks.contains_key(&index) {
            self.load(index)?;
        }
        Ok(self.blocks.get(&index).map_or(&[], Vec::as_slice))
    }

    fn load(&mut self, index: u64) -> Result<()> {
        self.guard.check()?;
        let Some(offset) = index.checked_mul(BLOCK as u64) else {
            return Ok(());
        };
        if self.origin.len().is_some_and(|len| offset >= len) {
            return Ok(());
        }
        self.ahead = if index == self.next && !self.origin.is_near() {
            (self.ahead * 2).min(MOST_AHEAD)
        } else {
            1
        };
        let mut buffer = vec![0; self.ahead * BLOCK];
        let filled = self.origin.fill(offset, &mut buffer)?;
        self.next = index + self.ahead as u64;
        buffer.truncate(filled);
        self.keep(index, &buffer);
        Ok(())
    }

    fn keep(&mut self, first: u64, bytes: &[u8]) {
        for (index, block) in (first..).zip(bytes.chunks(BLOCK)) {
            if self.blocks.insert(index, block.to_vec()).is_none() {
                self.order.push_back(index);
            }
        }
        while self.order.len() > KEPT {
            if let Some(old) = self.order.pop_front() {
                self.blocks.remove(&old);
            }
        }
    }
}

/// A file on this disk.
pub(super) struct FileOrigin {
    file: File,
    bytes: u64,
}

impl FileOrigin {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = regular_file::open(path, Links::Follow)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl ByteOrigin for FileOrigin {
    fn len(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn measure(&mut self) -> Result<u64> {
        Ok(self.bytes)
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        read_at(&mut self.file, offset, buffer)
            .map_err(|error| Error::media("the file cannot be read").source(error))
    }

    fn is_near(&self) -> bool {
        true
    }
}

pub(super) fn read_at(file: &mut File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Bytes in memory.
#[cfg(test)]
pub(super) struct BytesOrigin(pub Vec<u8>);

#[cfg(test)]
impl ByteOrigin for BytesOrigin {
    fn len(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn measure(&mut self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let start = (offset as usize).min(self.0.len());
        let end = (start + buffer.len()).min(self.0.len());
        buffer[..end - start].copy_from_slice(&self.0[start..end]);
        Ok(end - start)
    }

    fn is_near(&self) -> bool {
        true
    }
}
