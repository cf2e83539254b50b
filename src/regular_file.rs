//! Safe access to files that another program may have created: only regular files, read up to a size limit, and no
//! symbolic links for files of this program or of the app.
//!
//! A pipe would block the reader until someone writes, a device never ends, and in a folder that others can write
//! to a link can point anywhere. The opened file itself is checked, so that it cannot be replaced between check
//! and use.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::encoding;

/// A draft's document: 20,000 captions are about 70 MB.
pub(crate) const DOCUMENT_BYTES: u64 = 256 << 20;
/// Texts that people and models write: plans, templates, tables, subtitles, configuration.
pub(crate) const TEXT_BYTES: u64 = 64 << 20;
/// Small files of this program: markers, state files, locks.
pub(crate) const SMALL_BYTES: u64 = 16 << 20;

/// Whether the last component of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// For paths that the user chose.
    Follow,
    /// For names that this program or the app chose, in folders that others can write to.
    Refuse,
}

/// Opens a regular file for reading. Anything else is refused without blocking.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, links)
}

/// Opens a file of this program for reading and writing, without truncating it; creates it with access for the
/// owner only. For locks.
pub(crate) fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    open_with(owner_only(&mut options), path, Links::Refuse)
}

/// Opens a file for reading and appending; creates it with access for the owner only. For logs and reports.
pub(crate) fn append(path: &Path, links: Links) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    open_with(owner_only(&mut options), path, links)
}

/// The content of a regular file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64, links: Links) -> io::Result<Vec<u8>> {
    read_file(open(path, links)?, most)
}

/// The content of a file, if it is at most `most` bytes.
pub(crate) fn read_file(file: File, most: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().min(most);
    // With one byte more, the end of the file is found without growing.
    read_into(Vec::with_capacity(size as usize + 1), file, most)
}

/// A state of a file, to find out without reading it whether it was written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    bytes: u64,
    modified: Option<SystemTime>,
    /// Device and number of the file, and when it last changed in any way, in seconds and nanoseconds.
    #[cfg(unix)]
    file: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
    /// Whether a later write has another time: the time of the last change is some time ago.
    is_settled: bool,
}

impl FileState {
    /// The coarsest times of a file system, with which two writes have the same time: 2 s with FAT.
    const TICK: Duration = Duration::from_secs(3);

    pub(crate) fn new(metadata: &Metadata) -> Self {
        Self::seen(metadata, SystemTime::now())
    }

    fn seen(metadata: &Metadata, now: SystemTime) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        #[cfg(unix)]
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        #[cfg(unix)]
        let is_settled = u64::try_from(changed.0).is_ok_and(|seconds| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Self::TICK < now
        });
        // Other systems do not tell when a program sets an earlier time.
        #[cfg(not(unix))]
        let is_settled = false;
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            file: (metadata.dev(), metadata.ino()),
            #[cfg(unix)]
            changed,
            is_settled,
        }
    }

    /// Of the file itself, not of one that it links to.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|metadata| Self::new(&metadata))
    }

    /// When its content was last written; 1970 if the system does not tell.
    pub(crate) fn modified(&self) -> SystemTime {
        self.modified.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether the file at `path` certainly has the content that it had in this state.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.is_settled && self.is_same_at(path)
    }

    /// Whether the file at `path` is in this state; another program may have written it at almost the same time.
    pub(crate) fn is_same_at(&self, path: &Path) -> bool {
        Self::of(path).is_ok_and(|now| {
            let is_settled = self.is_settled;
            Self { is_settled, ..now } == *self
        })
    }

    /// Whether the file at `path` is the one in this state, which was only moved since.
    pub(crate) fn is_moved_to(&self, path: &Path) -> bool {
        Self::of(path).is_ok_and(|now| {
            let moved = Self {
                #[cfg(unix)]
                changed: self.changed,
                is_settled: self.is_settled,
                ..now
            };
            self.modified.is_some() && moved == *self
        })
    }
}

/// The content of a file, if it is at most `most` bytes; one of `known` is shared if the file has the same bytes. Copies of
/// a large document are then compared piece by piece instead of filling memory of their own.
pub(crate) fn read_shared<'a>(
    mut file: File,
    most: u64,
    known: impl IntoIterator<Item = &'a Arc<Vec<u8>>>,
) -> io::Result<Arc<Vec<u8>>> {
    let size = file.metadata()?.len();
    for bytes in known {
        if bytes.len() as u64 != size {
            continue;
        }
        if has_bytes(&mut file, bytes)? {
            return Ok(Arc::clone(bytes));
        }
        file.rewind()?;
    }
    read_file(file, most).map(Arc::new)
}

/// Whether the rest of `source` is exactly `bytes`.
fn has_bytes(source: &mut impl io::Read, bytes: &[u8]) -> io::Result<bool> {
    let mut piece = vec![0; 128 << 10];
    let mut rest = bytes;
    loop {
        let read = match source.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            return Ok(rest.is_empty());
        }
        match rest.strip_prefix(&piece[..read]) {
            Some(after) => rest = after,
            None => return Ok(false),
        }
    }
}

/// The text of a file that the user named on the command line; it may be a pipe (`<(…)`, `/dev/stdin`).
pub(crate) fn read_named(path: &Path, most: u64) -> io::Result<Text> {
    text(read_all(File::open(path)?, most)?)
}

/// The text on stdin.
pub(crate) fn read_stdin(most: u64) -> io::Result<Text> {
    text(read_all(io::stdin().lock(), most)?)
}

/// The rest of `source`, if it is at most `most` bytes.
pub(crate) fn read_all(source: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    read_into(Vec::new(), source, most)
}

fn read_into(mut bytes: Vec<u8>, source: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {} MiB", most >> 20),
        ));
    }
    Ok(bytes)
}

/// Creates a folder with access for the owner only; missing parent folders get default permissions. An existing
/// folder is not changed.
pub(crate) fn create_own_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Makes files that the options create accessible to their owner only.
pub(crate) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Restricts an existing file or folder to its owner. A shared folder with the sticky bit, such as `/tmp`, is not
/// changed.
#[cfg(unix)]
pub(crate) fn tighten(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    const STICKY: u32 = 0o1000;
    let Ok(there) = fs::symlink_metadata(path) else {
        return;
    };
    let mode = there.permissions().mode();
    let own = mode & !0o077;
    if there.is_symlink() || mode == own || mode & STICKY != 0 {
        return;
    }
    if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(own)) {
        tracing::warn!("others can still read {}: {error}", path.display());
    }
}

/// On other systems, a user's folders are private by default.
#[cfg(not(unix))]
pub(crate) fn tighten(_path: &Path) {}

/// The text of a file, and a note if its encoding was guessed.
#[derive(Debug)]
pub(crate) struct Text {
    pub text: String,
    pub note: Option<String>,
}

/// Decodes text of any encoding: not all editors and spreadsheets write UTF-8.
fn text(bytes: Vec<u8>) -> io::Result<Text> {
    let decoded = encoding::decode(&bytes);
    if decoded.damaged {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not text (tried {})", decoded.encoding),
        ));
    }
    if decoded.guessed {
        tracing::warn!(
            "a file was read as {}, which is a guess; save the file as UTF-8 if letters are wrong",
            decoded.encoding
        );
    }
    Ok(Text {
        note: decoded.note(),
        text: decoded.text,
    })
}

fn open_with(options: &mut OpenOptions, path: &Path, links: Links) -> io::Result<File> {
    // Checked before opening too, because merely opening a device can have effects.
    let there = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    match there {
        Ok(there) => is_regular(&there)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options_of(options, links).open(path)?;
    is_regular(&file.metadata()?)?;
    Ok(file)
}

#[cfg(unix)]
fn options_of(options: &mut OpenOptions, links: Links) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let link = match links {
        Links::Follow => 0,
        Links::Refuse => libc::O_NOFOLLOW,
    };
    // Opening a pipe must not wait for its other end, and a terminal must not become the controlling one.
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | link)
}

#[cfg(windows)]
fn options_of(options: &mut OpenOptions, links: Links) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt as _;
    // Opens a link itself, which `is_regular` then refuses.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    match links {
        Links::Follow => options,
        Links::Refuse => options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT),
    }
}

fn is_regular(there: &Metadata) -> io::Result<()> {
    let kind = there.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_symlink() {
        "a symbolic link, which is not followed for this file"
    } else if kind.is_dir() {
        "a folder, not a file"
    } else {
        "a pipe, socket or device, not a regular file"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo runs").success());
    }

    #[test]
    fn a_write_gives_a_file_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let later = SystemTime::now() + Duration::from_secs(10);
        let written = || {
            fs::write(&path, "one").unwrap();
            FileState::seen(&fs::metadata(&path).unwrap(), later)
        };
        assert!(written().is_at(&path));
        // It was written just now: a second write may have the same time.
        assert!(!FileState::of(&path).unwrap().is_at(&path));

        let state = written();
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        assert!(state.is_moved_to(&moved));
        assert!(!state.is_moved_to(&path));
        assert!(!written().is_moved_to(&moved), "another file");

        let changes: [(&str, &dyn Fn(&Path)); 4] = [
            ("longer", &|path| fs::write(path, "longer").unwrap()),
            ("removed", &|path| fs::remove_file(path).unwrap()),
            ("replaced", &|path| {
                fs::write(path.with_extension("new"), "two").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("written, with the earlier time", &|path| {
                let before = fs::metadata(path).unwrap();
                // Until the clock of the file system has another time.
                while {
                    use std::os::unix::fs::MetadataExt as _;
                    fs::write(path, "two").unwrap();
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(before.modified().unwrap()).unwrap();
                    let now = fs::metadata(path).unwrap();
                    (now.ctime(), now.ctime_nsec()) == (before.ctime(), before.ctime_nsec())
                } {}
            }),
        ];
        for (what, change) in changes {
            let state = written();
            change(&path);
            assert!(!state.is_at(&path), "{what}");
        }
    }

    #[test]
    fn copies_share_the_bytes_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let content = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let read = |path: &Path, known: &[Arc<Vec<u8>>]| {
            read_shared(File::open(path).unwrap(), 1 << 20, known).unwrap()
        };
        // Longer than a piece, and different only in the last byte.
        let long: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
        let mut other = long.clone();
        *other.last_mut().unwrap() ^= 1;
        let known = [
            Arc::new(other.clone()),
            Arc::new(long.clone()),
            Arc::new(Vec::new()),
        ];
        for (index, bytes) in [&other, &long, &Vec::new()].into_iter().enumerate() {
            let shared = read(&content("copy", bytes), &known);
            assert!(Arc::ptr_eq(&shared, &known[index]), "{index}");
        }
        for bytes in [&long[1..], &long[..long.len() - 1], b"else"] {
            let own = read(&content("own", bytes), &known);
            assert_eq!(*own, bytes);
            assert_eq!(Arc::strong_count(&own), 1);
        }
        let too_long = File::open(content("long", &long)).unwrap();
        let refused = read_shared(too_long, 1000, &[]);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn pipes_devices_and_folders_are_refused_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        pipe(&fifo);
        let to_fifo = folder.path().join("to fifo");
        symlink(&fifo, &to_fifo).unwrap();
        let to_zero = folder.path().join("to zero");
        symlink("/dev/zero", &to_zero).unwrap();
        for path in [
            &fifo,
            &to_fifo,
            &to_zero,
            Path::new("/dev/zero"),
            folder.path(),
        ] {
            for links in [Links::Follow, Links::Refuse] {
                assert!(read(path, 10, links).is_err(), "{}", path.display());
                assert!(append(path, links).is_err(), "{}", path.display());
            }
            assert!(open_own(path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn links_are_followed_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 10, Links::Follow).unwrap(), b"x");
        let error = read(&link, 10, Links::Refuse).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(append(&link, Links::Refuse).is_err());
        assert!(open_own(&link).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }

    #[test]
    fn files_over_the_limit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(read(&file, 1 << 20, Links::Refuse).unwrap().len(), 1 << 20);
        let error = read(&file, (1 << 20) - 1, Links::Refuse).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_named(Path::new("/dev/zero"), 1 << 20).is_err());
    }

    #[test]
    fn new_files_are_for_the_owner_only_and_existing_ones_keep_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let own = folder.path().join("a/b");
        create_own_folder(&own).unwrap();
        create_own_folder(&own).unwrap();
        assert_eq!(mode(&own), 0o700);
        let lock = own.join("lock");
        open_own(&lock).unwrap();
        assert_eq!(mode(&lock), 0o600);
        fs::write(&lock, "kept").unwrap();
        open_own(&lock).unwrap();
        append(&lock, Links::Refuse).unwrap();
        assert_eq!(fs::read_to_string(&lock).unwrap(), "kept");
        append(&own.join("log"), Links::Follow).unwrap();
        assert_eq!(mode(&own.join("log")), 0o600);
    }
}
