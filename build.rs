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
    // Only the profile of the shipped executable is optimised for size.
    if ["s", "z"].contains(&&*variable("OPT_LEVEL")) && links_with_lld() {
        let list = Path::new(&variable("CARGO_MANIFEST_DIR")).join(LIST);
        for argument in [
            format!("--symbol-ordering-file={}", list.display()),
            "--no-warn-symbol-ordering".to_owned(),
        ] {
            println!("cargo:rustc-link-arg-bins=-Wl,{argument}");
        }
    }
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
