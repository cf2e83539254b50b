//! A real S3 server behind a proxy that can fail.

#[path = "../../s3-server/start.rs"]
mod program;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use self::program::start_s3_server;
use super::{KEY_ID, SECRET};

/// The server with the bucket `drafts`.
pub(super) struct S3 {
    /// The endpoint.
    pub(super) url: String,
    folder: TempDir,
    child: Child,
    /// After how many bytes of an answer its connection is closed; [`WHOLE`]: never, [`DOWN`]: there is no connection.
    cut: Arc<AtomicU64>,
    connections: Arc<AtomicUsize>,
}

const WHOLE: u64 = u64::MAX;
const DOWN: u64 = u64::MAX - 1;

impl S3 {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("drafts")).expect("a bucket");
        let (child, port) = start_s3_server(folder.path(), KEY_ID, SECRET);
        let cut = Arc::new(AtomicU64::new(WHOLE));
        let connections = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (cut_here, connections_here) = (Arc::clone(&cut), Arc::clone(&connections));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connections_here.fetch_add(1, Ordering::SeqCst);
                let cut = Arc::clone(&cut_here);
                thread::spawn(move || forward(client, port, &cut));
            }
        });
        Self {
            url,
            folder,
            child,
            cut,
            connections,
        }
    }

    pub(super) fn cut_at(&self, bytes: u64) {
        self.cut.store(bytes, Ordering::SeqCst);
    }

    pub(super) fn down(&self) {
        self.cut_at(DOWN);
    }

    pub(super) fn up(&self) {
        self.cut_at(WHOLE);
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The objects whose keys begin with `prefix`, as files of the server.
    pub(super) fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let root = self.folder.path().join("drafts");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path
                    .strip_prefix(&root)
                    .is_ok_and(|key| key.starts_with(prefix))
                {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

impl S3 {
    /// Makes all objects this much older.
    pub(super) fn age(&self, by: Duration) {
        for path in self.objects("") {
            let file = fs::File::options()
                .write(true)
                .open(&path)
                .expect("an object");
            let modified = file
                .metadata()
                .and_then(|found| found.modified())
                .expect("a time");
            file.set_modified(modified - by).expect("set");
        }
    }

    /// How many parts of unfinished uploads the server keeps.
    pub(super) fn parts(&self) -> usize {
        let files = fs::read_dir(self.folder.path())
            .expect("a folder")
            .flatten();
        let names = files.map(|file| file.file_name());
        names
            .filter(|name| {
                let name = name.to_string_lossy();
                name.starts_with(".upload_id-") && name.contains(".part-")
            })
            .count()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(client: TcpStream, port: u16, cut: &AtomicU64) {
    if cut.load(Ordering::SeqCst) == DOWN {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let mut asking = client.try_clone().expect("a stream");
    let mut asked = server.try_clone().expect("a stream");
    thread::spawn(move || {
        let _ = io::copy(&mut asking, &mut asked);
        let _ = asked.shutdown(Shutdown::Write);
    });
    let (mut server, mut client) = (server, client);
    let (mut sent, mut piece) = (0, [0; 16 << 10]);
    while let Ok(count @ 1..) = server.read(&mut piece) {
        let most = cut.load(Ordering::SeqCst);
        let left = usize::try_from(most.saturating_sub(sent)).unwrap_or(usize::MAX);
        if most == DOWN || client.write_all(&piece[..count.min(left)]).is_err() || left <= count {
            break;
        }
        sent += count as u64;
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
