//! Zip files that must not be unpacked: each is refused with its reason, and nothing is written.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Computer, Maker};

/// A zip file of a draft and of these entries.
fn zip(to: &Path, entries: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(fs::File::create(to).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in [("Trip/draft_content.json", &b"{}"[..])]
        .iter()
        .chain(entries)
    {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

/// Replaces bytes of a file by others of the same length.
fn patch(file: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).unwrap();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to replace");
    fs::write(file, bytes).unwrap();
}

#[test]
fn entries_that_lead_elsewhere_are_refused() {
    let computer = Computer::new();
    let before = computer.files();
    for (name, reason) in [
        ("../abc", "leads out of the folder"),
        ("Trip/../../a", "leads out of the folder"),
        ("Trip/..", "leads out of the folder"),
        ("/etc/abc", "has an absolute path"),
        ("C:/abc", "has a drive letter"),
        ("c:abc", "has a drive letter"),
        ("..\\abc", "has a backslash"),
        ("Trip\\a", "has a backslash"),
        ("Trip//a", "has an empty part"),
        ("Trip/./a", "has an empty part"),
        ("Trip/a\nb", "has a control character"),
        ("Trip/a\0b", "has a control character"),
    ] {
        let file = computer.home.path().join("bad.zip");
        let stand_in = "@".repeat(name.len());
        zip(&file, &[(&stand_in, b"x")]);
        patch(&file, stand_in.as_bytes(), name.as_bytes());
        let refused = computer.pull_file(&file);
        assert_eq!(refused.code, 3, "{name:?}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{name:?}: {refused:?}");
        assert!(
            refused.stderr.contains("bad.zip is not unpacked"),
            "{name:?}: {refused:?}"
        );
        assert_eq!(computer.files(), before, "{name:?}");
    }
    assert!(!computer.home.path().join("abc").exists());
}

#[test]
fn links_duplicates_and_bombs_are_refused() {
    let computer = Computer::new();
    let before = computer.files();
    let path = |name: &str| computer.home.path().join(name);
    let check = |file: PathBuf, reason: &str| {
        let refused = computer.pull_file(&file);
        assert_eq!(refused.code, 3, "{reason}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{reason}: {refused:?}");
        assert!(!refused.stderr.contains("panicked"), "{refused:?}");
        assert_eq!(computer.files(), before, "{reason}");
    };

    let file = path("link.zip");
    let mut link = ZipWriter::new(fs::File::create(&file).unwrap());
    link.start_file("Trip/draft_content.json", SimpleFileOptions::default())
        .unwrap();
    link.write_all(b"{}").unwrap();
    link.add_symlink("Trip/assets", "/etc", SimpleFileOptions::default())
        .unwrap();
    link.finish().unwrap();
    check(file, "is a link or a device");

    let file = path("twice.zip");
    zip(&file, &[("Trip/aa", b"1"), ("Trip/ab", b"2")]);
    patch(&file, b"Trip/ab", b"Trip/aa");
    check(file, "two of its entries have the same name");

    let file = path("both.zip");
    zip(&file, &[("Trip/aa", b"1"), ("Trip/aa/b", b"2")]);
    check(file, "are the same file on");

    // 100 MB of zeros in 100 kB.
    let file = path("bomb.zip");
    zip(&file, &[("Trip/assets/zeros", &vec![0; 100 << 20])]);
    check(file, "but the file has only");

    // A file that says that it is smaller than it is.
    let file = path("liar.zip");
    let content = vec![b'x'; 70_000];
    zip(&file, &[("Trip/assets/x", &content)]);
    patch(&file, &70_000_u32.to_le_bytes(), &7_000_u32.to_le_bytes());
    check(file, "is damaged");

    let file = path("two.zip");
    zip(&file, &[("Other/draft_info.json", b"{}")]);
    check(file, "it contains 2 drafts: Other, Trip");

    let file = path("secret.zip");
    zip(&file, &[("Trip/a", b"x")]);
    let mut bytes = fs::read(&file).unwrap();
    for at in 0..bytes.len() - 10 {
        // The flag of a password, in both headers of each entry.
        if bytes[at..].starts_with(b"PK\x03\x04") {
            bytes[at + 6] |= 1;
        } else if bytes[at..].starts_with(b"PK\x01\x02") {
            bytes[at + 8] |= 1;
        }
    }
    fs::write(&file, bytes).unwrap();
    check(file, "it has a password");
}

#[test]
fn files_that_are_no_draft_are_refused() {
    let computer = Computer::new();
    let before = computer.files();
    let no_draft = computer.home.path().join("photos.zip");
    let mut photos = ZipWriter::new(fs::File::create(&no_draft).unwrap());
    photos
        .start_file("a.jpg", SimpleFileOptions::default())
        .unwrap();
    photos.write_all(b"x").unwrap();
    photos.finish().unwrap();
    let damaged_document = computer.home.path().join("document.zip");
    zip(&damaged_document, &[]);
    patch(
        &damaged_document,
        b"Trip/draft_content.json",
        b"Trip/draft_contend.json",
    );
    for (file, reason) in [
        (no_draft, "contains no draft"),
        (damaged_document, "contains no draft"),
        (computer.home.file("text.zip", "hello"), "is not a zip file"),
        (computer.home.file("empty.zip", ""), "is not a zip file"),
        (
            computer.home.file("page.zip", "<html>Please log in</html>"),
            "is not a zip file",
        ),
    ] {
        let refused = computer.pull_file(&file);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
        assert_eq!(computer.files(), before);
    }
    let folder = computer.pull_file(&computer.home.path().join("我的 drafts"));
    assert_eq!(folder.code, 2, "{folder:?}");
}

#[test]
fn a_damaged_zip_file_is_recognised_wherever_the_damage_is() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let whole = fs::read(maker.zip()).unwrap();
    let before = computer.files();
    let file = computer.home.path().join("Trip.zip");
    let mut refused = 0;
    for step in 1..40 {
        let at = whole.len() * step / 40;
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let cut = whole[..at].to_vec();
        for bytes in [damaged, cut] {
            fs::write(&file, &bytes).unwrap();
            let ran = computer.pull_file(&file);
            // A bit of a name or a time in a header that nothing reads may change; then the draft is whole.
            if ran.code == 0 {
                computer.check("Trip");
                let _ = fs::remove_dir_all(computer.drafts.join("Trip"));
                fs::write(
                    computer.drafts.join("root_meta_info.json"),
                    r#"{"all_draft_store": [], "draft_ids": 0}"#,
                )
                .unwrap();
                continue;
            }
            assert_eq!(ran.code, 3, "{at}: {ran:?}");
            refused += 1;
            assert!(computer.names().is_empty(), "{at}: {ran:?}");
        }
    }
    assert!(refused > 70, "{refused}");
    fs::write(&file, &whole).unwrap();
    computer.pull_file(&file).success();
    computer.check("Trip");
    let _ = before;
}

/// A zip file whose list does not match its contents, or is of another version.
#[test]
fn the_list_of_files_must_match_the_contents() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let source = maker.zip();
    let file = computer.home.path().join("Trip.zip");
    let rewritten = |change: &dyn Fn(&mut serde_json::Value), extra: Option<&str>| {
        let mut from = zip::ZipArchive::new(fs::File::open(&source).unwrap()).unwrap();
        let mut to = ZipWriter::new(fs::File::create(&file).unwrap());
        for index in 0..from.len() {
            let mut entry = from.by_index(index).unwrap();
            let name = entry.name().unwrap().into_owned();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            if name == "MANIFEST.json" {
                let mut list = serde_json::from_slice(&content).unwrap();
                change(&mut list);
                content = list.to_string().into_bytes();
            }
            to.start_file(name, SimpleFileOptions::default()).unwrap();
            to.write_all(&content).unwrap();
        }
        if let Some(extra) = extra {
            to.start_file(extra, SimpleFileOptions::default()).unwrap();
            to.write_all(b"x").unwrap();
        }
        to.finish().unwrap();
        computer.pull_file(&file)
    };
    let hash = |list: &mut serde_json::Value| list["files"][1]["sha256"] = json!("0".repeat(64));
    let size = |list: &mut serde_json::Value| list["files"][1]["bytes"] = json!(1);
    let format = |list: &mut serde_json::Value| list["format"] = json!(99);
    let name = |list: &mut serde_json::Value| list["name"] = json!("../x");
    let path = |list: &mut serde_json::Value| list["files"][1]["path"] = json!("../x");
    let lacks = |list: &mut serde_json::Value| drop(list["files"].as_array_mut().unwrap().pop());
    let broken = |list: &mut serde_json::Value| list["files"] = json!(5);
    for (change, reason) in [
        (
            &hash as &dyn Fn(&mut serde_json::Value),
            "is not as it was packed",
        ),
        (&size, "is missing or has another size"),
        (&format, "update capcut-mcp"),
        (&name, "`MANIFEST.json` is damaged"),
        (&path, "is missing or has another size"),
        (&lacks, "is not in its list of files"),
        (&broken, "`MANIFEST.json` is damaged"),
    ] {
        let refused = rewritten(change, None);
        assert_eq!(refused.code, 3, "{reason}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{reason}: {refused:?}");
        assert!(computer.names().is_empty());
    }
    let refused = rewritten(&|_| {}, Some("Trip/extra.exe"));
    assert!(
        refused.stderr.contains("is not in its list of files"),
        "{refused:?}"
    );
    rewritten(&|_| {}, None).success();
    computer.check("Trip");
}
