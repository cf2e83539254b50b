//! A log file with rotation: daily and by size.
//!
//! Several processes can write to one file, because each client starts its own. A process that finds that another one
//! has rotated the file opens the new file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::regular_file::{self, Links};

/// The size in bytes at which a file is rotated.
const LARGEST: u64 = 10 << 20;

/// How many rotated files are kept.
const KEPT: u32 = 5;

pub(crate) struct RotatingFile {
    path: PathBuf,
    file: File,
    /// The day of the file, counted from 1970, in UTC.
    day: u64,
    largest: u64,
}

impl RotatingFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            regular_file::create_own_folder(folder)?;
        }
        let file = append_to(path)?;
        let mut opened = Self {
            day: day_of(&file),
            path: path.to_owned(),
            file,
            largest: LARGEST,
        };
        opened.make_room(0, today())?;
        Ok(opened)
    }

    /// Rotates the file if its day is over or it is too large.
    fn make_room(&mut self, bytes: u64, today: u64) -> io::Result<()> {
        let full = |length: u64| length > 0 && length + bytes > self.largest;
        if today <= self.day && !full(self.file.metadata()?.len()) {
            return Ok(());
        }
        // Another process may already have rotated it.
        let there = fs::metadata(&self.path);
        let is_old = there.is_ok_and(|there| {
            full(there.len()) || (there.len() > 0 && there.modified().is_ok_and(|t| day(t) < today))
        });
        if is_old {
            for number in (1..KEPT).rev() {
                let _ = fs::rename(self.aside(number), self.aside(number + 1));
            }
            fs::rename(&self.path, self.aside(1))?;
        }
        self.file = append_to(&self.path)?;
        self.day = today;
        Ok(())
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn write_on(&mut self, bytes: &[u8], today: u64) -> io::Result<usize> {
        // If rotation fails, the line is still written: a file that is too large is better than a lost line.
        let _ = self.make_room(bytes.len() as u64, today);
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_on(bytes, today())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    regular_file::append(path, Links::Follow)
}

/// The day on which a file was last written to; today if it is new.
fn day_of(file: &File) -> u64 {
    let written = file.metadata().ok().filter(|there| there.len() > 0);
    let written = written.and_then(|there| there.modified().ok());
    written.map_or_else(today, day)
}

fn today() -> u64 {
    day(SystemTime::now())
}

fn day(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / (24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> RotatingFile {
        let mut file = RotatingFile::open(&folder.path().join("logs/x.log")).expect("it opens");
        file.largest = 10;
        file
    }

    fn read(file: &RotatingFile, number: u32) -> Option<String> {
        let path = if number == 0 {
            file.path.clone()
        } else {
            file.aside(number)
        };
        fs::read_to_string(path).ok()
    }

    #[test]
    fn a_large_file_is_rotated_and_the_oldest_is_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = open(&folder);
        for line in 0..8 {
            file.write_all(format!("line {line}\n").as_bytes())
                .expect("written");
        }
        assert_eq!(read(&file, 0).as_deref(), Some("line 7\n"));
        assert_eq!(read(&file, 1).as_deref(), Some("line 6\n"));
        assert_eq!(read(&file, KEPT).as_deref(), Some("line 2\n"));
        assert_eq!(read(&file, KEPT + 1), None);
    }

    #[test]
    fn a_new_day_starts_a_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = open(&folder);
        let now = today();
        file.write_on(b"one\n", now).expect("written");
        file.write_on(b"two\n", now).expect("written");
        file.write_on(b"three\n", now + 1).expect("written");
        assert_eq!(read(&file, 0).as_deref(), Some("three\n"));
        assert_eq!(read(&file, 1).as_deref(), Some("one\ntwo\n"));
    }

    #[test]
    fn two_processes_rotate_a_file_only_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut one, mut two) = (open(&folder), open(&folder));
        one.write_all(b"12345678\n").expect("written");
        two.write_all(b"a\n").expect("written");
        one.write_all(b"b\n").expect("written");
        two.write_all(b"c\n").expect("written");
        assert_eq!(read(&one, 0).as_deref(), Some("a\nb\nc\n"));
        assert_eq!(read(&one, 1).as_deref(), Some("12345678\n"));
        assert_eq!(read(&one, 2), None);
    }
}
