//! `[storage]` of `tools.toml`.

use reqwest::Url;
use serde::Deserialize;

/// Where a server keeps saved drafts and uploaded files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StorageSection {
    pub kind: StorageKind,
    /// The address of an S3-compatible service; empty for AWS.
    pub endpoint: String,
    pub bucket: String,
    /// Empty: `us-east-1`.
    pub region: String,
    /// The start of all keys in the bucket, without slashes around it.
    pub prefix: String,
    /// Whether the bucket is a part of the host's name, or else of the path.
    pub virtual_hosted_style: bool,
    /// Whether an endpoint without TLS is allowed.
    pub allow_http: bool,
    pub links: LinksOf,
    /// Maximum size of the copies of uploaded files that a server keeps for a tenant.
    pub cache_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StorageKind {
    /// The data folder.
    Folder,
    /// A bucket of a service that has the API of S3.
    S3,
}

/// Who answers the links to saved drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LinksOf {
    /// The service: links are presigned.
    Storage,
    /// This server, for services that its clients cannot reach.
    Server,
}

/// Services that refuse requests with the bucket in the path.
const VIRTUAL_HOSTED_ONLY: [&str; 2] = ["aliyuncs.com", "volces.com"];

const BUCKET: &str = "must be the name of a bucket: 3 to 63 of a-z, 0-9, - and .";
const ENDPOINT: &str = "must be an address such as \"https://s3.example.com\", without a path";
const PREFIX: &str = "must be parts of letters, digits, - and _ between slashes, such as \"drafts/team\", at most 200 bytes";

impl StorageSection {
    /// Values that are not valid, each with its key.
    pub(crate) fn faults(&self) -> Vec<(&'static str, &'static str)> {
        if self.kind == StorageKind::Folder {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let mut check = |good: bool, key, sentence| {
            if !good {
                faults.push((key, sentence));
            }
        };
        check(is_bucket(&self.bucket), "bucket", BUCKET);
        check(
            self.prefix.is_empty() || is_prefix(&self.prefix),
            "prefix",
            PREFIX,
        );
        check(
            self.region
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "region",
            "must be the name of a region, such as \"eu-central-1\"",
        );
        let endpoint = self.endpoint_url();
        check(
            self.endpoint.is_empty() || endpoint.is_some(),
            "endpoint",
            ENDPOINT,
        );
        let Some(endpoint) = endpoint else {
            return faults;
        };
        check(
            endpoint.scheme() == "https" || self.allow_http,
            "endpoint",
            "has no TLS: use https, or set `allow_http = true` for a service on this network",
        );
        let host = endpoint.host_str().unwrap_or_default();
        let is_of = |domain: &&str| {
            host.strip_suffix(*domain)
                .is_some_and(|before| before.ends_with('.'))
        };
        check(
            self.virtual_hosted_style || !VIRTUAL_HOSTED_ONLY.iter().any(is_of),
            "virtual_hosted_style",
            "must be true: this service refuses requests with the bucket in the path",
        );
        check(
            !self.virtual_hosted_style || endpoint.domain().is_some(),
            "virtual_hosted_style",
            "must be false: the endpoint is an IP address, which cannot have the bucket in its name",
        );
        faults
    }

    pub(crate) fn region(&self) -> &str {
        if self.region.is_empty() {
            "us-east-1"
        } else {
            &self.region
        }
    }

    /// The address as the requests need it: with the bucket in the host's name, if it belongs there. `None` for AWS.
    pub(super) fn endpoint(&self) -> Option<String> {
        let mut url = self.endpoint_url()?;
        let host = url.host_str()?.to_owned();
        let before = format!("{}.", self.bucket);
        if self.virtual_hosted_style && !host.starts_with(&before) {
            url.set_host(Some(&format!("{before}{host}"))).ok()?;
        }
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    fn endpoint_url(&self) -> Option<Url> {
        let url = Url::parse(&self.endpoint).ok()?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        is_plain.then_some(url)
    }
}

fn is_bucket(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| is_inside(byte) || b"-.".contains(&byte))
        && name.bytes().next().is_some_and(is_inside)
        && name.bytes().next_back().is_some_and(is_inside)
        && !name.contains("..")
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    prefix.len() <= 200
        && prefix
            .split('/')
            .all(|part| !part.is_empty() && part.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(change: impl FnOnce(&mut StorageSection)) -> StorageSection {
        let mut section = StorageSection {
            kind: StorageKind::S3,
            endpoint: "https://s3.example.com".to_owned(),
            bucket: "drafts".to_owned(),
            region: String::new(),
            prefix: String::new(),
            virtual_hosted_style: false,
            allow_http: false,
            links: LinksOf::Storage,
            cache_bytes: 1,
        };
        change(&mut section);
        section
    }

    /// The key of the first fault.
    fn fault(change: impl FnOnce(&mut StorageSection)) -> Option<&'static str> {
        section(change).faults().first().map(|(key, _)| *key)
    }

    #[test]
    fn wrong_values_are_found() {
        assert_eq!(fault(|_| {}), None);
        for bucket in [
            "",
            "ab",
            "Drafts",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "a/b",
            "桶桶桶",
        ] {
            assert_eq!(
                fault(|it| it.bucket = bucket.to_owned()),
                Some("bucket"),
                "{bucket}"
            );
        }
        assert_eq!(fault(|it| it.bucket = "drafts-1250000000".to_owned()), None);
        for prefix in ["/a", "a/", "a//b", "..", "a/./b", "a b", "夏"] {
            assert_eq!(
                fault(|it| it.prefix = prefix.to_owned()),
                Some("prefix"),
                "{prefix}"
            );
        }
        assert_eq!(fault(|it| it.prefix = "a/b_1".to_owned()), None);
        for endpoint in [
            "s3.example.com",
            "ftp://s3.example.com",
            "https://s3.example.com/bucket",
            "https://me:secret@s3.example.com",
            "https://s3.example.com?x",
            "http://127.0.0.1:9000",
        ] {
            assert_eq!(
                fault(|it| it.endpoint = endpoint.to_owned()),
                Some("endpoint"),
                "{endpoint}"
            );
        }
        let local = |it: &mut StorageSection| {
            it.endpoint = "http://127.0.0.1:9000".to_owned();
            it.allow_http = true;
        };
        assert_eq!(fault(local), None);
        let virtual_hosted = |it: &mut StorageSection| {
            local(it);
            it.virtual_hosted_style = true;
        };
        assert_eq!(fault(virtual_hosted), Some("virtual_hosted_style"));
        assert_eq!(
            fault(|it| it.region = "eu central".to_owned()),
            Some("region")
        );
        assert_eq!(fault(|it| it.endpoint.clear()), None);
        // Nothing of it counts for a folder.
        let folder = |it: &mut StorageSection| {
            it.kind = StorageKind::Folder;
            it.bucket.clear();
        };
        assert_eq!(fault(folder), None);
    }

    #[test]
    fn the_bucket_is_in_the_host_where_the_service_wants_it() {
        for host in [
            "oss-cn-hangzhou.aliyuncs.com",
            "s3.oss-cn-hangzhou.aliyuncs.com",
            "tos-s3-cn-beijing.volces.com",
        ] {
            let endpoint = format!("https://{host}");
            assert_eq!(
                fault(|it| it.endpoint.clone_from(&endpoint)),
                Some("virtual_hosted_style"),
                "{host}"
            );
            for given in [endpoint.clone(), format!("https://drafts.{host}")] {
                let section = section(|it| {
                    it.endpoint = given;
                    it.virtual_hosted_style = true;
                });
                assert!(section.faults().is_empty());
                assert_eq!(section.endpoint(), Some(format!("https://drafts.{host}")));
            }
        }
        let path_style = section(|it| it.endpoint = "https://s3.example.com:9000/".to_owned());
        assert_eq!(
            path_style.endpoint().as_deref(),
            Some("https://s3.example.com:9000")
        );
        assert_eq!(section(|it| it.endpoint.clear()).endpoint(), None);
    }
}
