//! Signed links to the zip files of saved drafts, and to videos of them. A link is valid for some time, and for one file only.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Url;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::PATH;
use crate::engine::marker::hex;
use crate::error::{Error, Kind, Result};
use crate::journal::Journal;
use crate::regular_file::{self, Links, SMALL_BYTES};

/// The file with the key, in the server's data folder; also its name in a store that several servers use.
const FILE: &str = "links.key";

/// The key with which a server signs its links.
#[derive(Debug)]
pub(crate) struct LinkKey(hmac::Key);

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkTarget {
    /// The tenant to whom the file belongs.
    pub tenant: String,
    /// The key of the file in the store.
    pub key: String,
    /// The name of the downloaded file.
    pub name: String,
}

impl LinkKey {
    /// The key of the server with this data folder; it is made when it is first needed.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let path = data.join(FILE);
        let read = || regular_file::read(&path, SMALL_BYTES, Links::Refuse);
        let bytes = match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(data, &path).and_then(|()| read())
            }
            read => read,
        };
        let bytes = bytes.map_err(|error| {
            Error::new(
                Kind::Unavailable,
                format!("the key for links {} cannot be used", path.display()),
            )
            .hint("check the permissions of the data folder")
            .source(error)
        })?;
        let secret = secret(&bytes).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("the key for links {} is damaged", path.display()),
            )
            .hint("remove the file: a new key is made, and earlier links are no longer valid")
        })?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The key that all servers with this store have; it is made when it is first needed.
    pub(crate) async fn shared(journal: &Journal) -> Result<Self> {
        loop {
            if let Some(secret) = journal.value(FILE).await? {
                return Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
            }
            let secret = new_secret()
                .map_err(|error| Error::internal("a key for links cannot be made").source(error))?;
            // If another server has made one meanwhile, that one counts.
            journal.set_value(FILE, None, Some(&secret), None).await?;
        }
    }

    /// The address of the file at a server whose addresses begin with `site`, valid for some time from now.
    pub(crate) fn link(&self, site: &str, target: &LinkTarget, valid: Duration) -> Result<String> {
        let expires = seconds(SystemTime::now()).saturating_add(valid.as_secs());
        let unusable = || Error::invalid(format!("{site:?} is not the address of a server"));
        let mut url = Url::parse(site).map_err(|_| unusable())?;
        url.path_segments_mut()
            .map_err(|()| unusable())?
            .pop_if_empty()
            .extend([PATH, &*target.name]);
        let signature = hmac::sign(&self.0, &message(target, expires));
        url.query_pairs_mut()
            .append_pair("tenant", &target.tenant)
            .append_pair("key", &target.key)
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &hex(signature.as_ref()));
        Ok(url.into())
    }

    /// The target of a link, if its signature is right and it has not expired. `file` is the last part of its path,
    /// decoded, and `query` what follows the question mark.
    pub(crate) fn target(&self, file: &str, query: &str, now: SystemTime) -> Option<LinkTarget> {
        let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
        let value = |name: &str| {
            let mut found = url.query_pairs().filter(|(key, _)| key == name);
            let value = found.next()?.1.into_owned();
            // A second value could be read by others in place of the first.
            found.next().is_none().then_some(value)
        };
        let target = LinkTarget {
            tenant: value("tenant")?,
            key: value("key")?,
            name: file.to_owned(),
        };
        let expires: u64 = value("expires")?.parse().ok()?;
        let signature = from_hex(&value("signature")?)?;
        hmac::verify(&self.0, &message(&target, expires), &signature).ok()?;
        (seconds(now) < expires).then_some(target)
    }
}

/// What is signed. No part contains the separator unescaped.
fn message(target: &LinkTarget, expires: u64) -> Vec<u8> {
    let parts = (PATH, &target.tenant, &target.key, &target.name, expires);
    serde_json::to_vec(&parts).unwrap_or_default()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn secret(bytes: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(bytes).ok()?;
    from_hex(text.trim())?.try_into().ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok())
        .collect()
}

fn new_secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(secret)
}

/// Makes a key, unless another process does so first. Only its owner can read it.
fn create(data: &Path, path: &Path) -> io::Result<()> {
    let secret = new_secret()?;
    fs::create_dir_all(data)?;
    let mut file = tempfile::Builder::new()
        .prefix(".links-")
        .tempfile_in(data)?;
    writeln!(file, "{}", hex(&secret))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> LinkTarget {
        LinkTarget {
            tenant: "local".to_owned(),
            key: "drafts/dfd_1/0001-ab.zip".to_owned(),
            name: "夏 & trip?#1.zip".to_owned(),
        }
    }

    /// The file and the query of a link, as a server gets them.
    fn parts(link: &str) -> (String, String) {
        let url = Url::parse(link).unwrap();
        let mut file = Url::parse("http://x/").unwrap();
        let last = url.path_segments().unwrap().next_back().unwrap();
        file.set_query(Some(&format!("f={}", last.replace('&', "%26"))));
        let file = file.query_pairs().next().unwrap().1.into_owned();
        (file, url.query().unwrap().to_owned())
    }

    #[test]
    fn a_link_leads_to_its_file_until_it_expires() {
        let data = tempfile::tempdir().unwrap();
        let key = LinkKey::of(data.path()).unwrap();
        for site in ["http://nas:8080", "https://x.test/capcut/"] {
            let link = key.link(site, &target(), Duration::from_mins(1)).unwrap();
            assert!(
                link.starts_with(&format!("{}/drafts/", site.trim_end_matches('/'))),
                "{link}"
            );
            assert!(link.is_ascii() && !link.contains(' '), "{link}");
            let (file, query) = parts(&link);
            let now = SystemTime::now();
            assert_eq!(key.target(&file, &query, now), Some(target()));
            // Another process of the same server.
            let other = LinkKey::of(data.path()).unwrap();
            assert_eq!(other.target(&file, &query, now), Some(target()));
            let later = now + Duration::from_secs(61);
            assert_eq!(key.target(&file, &query, later), None);
        }
    }

    #[test]
    fn a_changed_link_is_not_valid() {
        let data = tempfile::tempdir().unwrap();
        let key = LinkKey::of(data.path()).unwrap();
        let link = key
            .link("http://x", &target(), Duration::from_mins(1))
            .unwrap();
        let (file, query) = parts(&link);
        let now = SystemTime::now();
        for (from, to) in [
            ("local", "other"),
            ("dfd_1", "dfd_2"),
            ("expires=1", "expires=2"),
            ("signature=", "signature=00"),
            ("signature=", "signatur="),
            ("tenant=local", "tenant=local&tenant=local"),
            ("&expires", "&expires=9&expires"),
        ] {
            let changed = query.replacen(from, to, 1);
            assert_ne!(changed, query);
            assert_eq!(key.target(&file, &changed, now), None, "{changed}");
        }
        for at in 0..query.len() {
            let mut changed = query.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.target(&file, &changed, now), None, "{changed}");
        }
        assert_eq!(key.target("other.zip", &query, now), None);
        assert_eq!(key.target(file.trim_end_matches(".zip"), &query, now), None);
        assert_eq!(key.target(&file, "", now), None);
        let other = tempfile::tempdir().unwrap();
        let other = LinkKey::of(other.path()).unwrap();
        assert_eq!(other.target(&file, &query, now), None);
    }

    #[test]
    fn a_damaged_key_is_an_error() {
        let data = tempfile::tempdir().unwrap();
        for text in ["", "00", "zz".repeat(32).as_str(), &"0".repeat(66)] {
            fs::write(data.path().join(FILE), text).unwrap();
            let error = LinkKey::of(data.path()).unwrap_err();
            assert!(error.to_string().contains("remove the file"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        LinkKey::of(data.path()).unwrap();
        let mode = fs::metadata(data.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
