//! Places the functions that every server executes next to each other in the shipped executable. The system loads an
//! executable in blocks of several pages, so scattered functions load nearly all of it. This halves a server's memory.
//!
//! `build/order.txt` lists their names, hottest first; `scripts/order.py` generates it. The linker skips names that no
//! longer exist, so a list from another compiler costs only memory.

use std::env;
use std::path::Path;
use std::process::Command;

const LIST: &str = "build/order.txt";

fn main() {
    println!("cargo:rerun-if-changed={LIST}");
    if is_dist() && links_with_lld() {
        let list = Path::new(&variable("CARGO_MANIFEST_DIR")).join(LIST);
        let mut arguments = vec![
            format!("--symbol-ordering-file={}", list.display()),
            "--no-warn-symbol-ordering".to_owned(),
            // One copy of functions with equal code: no code here compares functions by address.
            "--icf=all".to_owned(),
        ];
        if reads_packed_relocations() {
            // They take 20 KB in place of 600 KB.
            arguments.push("-zpack-relative-relocs".to_owned());
        }
        for argument in arguments {
            println!("cargo:rustc-link-arg-bins=-Wl,{argument}");
        }
    }
}

/// Whether the executable that is shipped is built: the profile `dist` has a folder of its own.
fn is_dist() -> bool {
    let output = variable("OUT_DIR");
    Path::new(&output)
        .ancestors()
        .any(|folder| folder.ends_with("dist"))
}

/// Whether the C library of this machine, on which the executable is built, can load packed relocations: glibc 2.36 can.
/// An executable for other machines is therefore built on the oldest of them.
fn reads_packed_relocations() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let Ok(answer) = asked else { return false };
    let text = String::from_utf8_lossy(&answer.stdout);
    let version = text.trim().strip_prefix("glibc 2.");
    version.and_then(|minor| minor.split('.').next()?.parse::<u32>().ok()) >= Some(36)
}

/// Whether rustc links with its own LLD, its default on this target. Other linkers do not support such lists.
fn links_with_lld() -> bool {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let is_native = variable("TARGET") == TARGET && variable("HOST") == TARGET;
    let wishes = variable("CARGO_ENCODED_RUSTFLAGS");
    let is_default = env::var_os("RUSTC_LINKER").is_none()
        && !["linker", "link-self-contained", "fuse-ld"]
            .iter()
            .any(|wish| wishes.contains(wish));
    is_native && is_default && has_lld(TARGET)
}

fn has_lld(target: &str) -> bool {
    let asked = Command::new(variable("RUSTC"))
        .args(["--print", "sysroot"])
        .output();
    let Ok(answer) = asked else { return false };
    let sysroot = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    Path::new(&sysroot)
        .join("lib/rustlib")
        .join(target)
        .join("bin/rust-lld")
        .is_file()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
