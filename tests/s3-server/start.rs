//! Starts the S3 server of the tests. Part of the unit tests and of the tests of the executable.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts the server for buckets in `folder`; returns it with its port. It is built first if it is not there: cargo does
/// that once, also if several tests ask for it.
pub(crate) fn start_s3_server(folder: &Path, key_id: &str, secret: &str) -> (Child, u16) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/s3-server");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(root.join("tests/s3-server/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .expect("cargo starts");
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the S3 server is not built: {told}");
    let program = format!("debug/s3-server{}", std::env::consts::EXE_SUFFIX);
    let mut child = Command::new(target.join(program))
        .arg(folder)
        .args([key_id, secret])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    let told = child.stdout.take().expect("its stdout");
    BufReader::new(told).read_line(&mut line).expect("a line");
    let port = line.trim().parse();
    (
        child,
        port.unwrap_or_else(|error| panic!("{error}: {line:?}")),
    )
}
