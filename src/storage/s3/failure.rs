//! What went wrong with a request to object storage, and what to do about it.
//!
//! Only the code of an answer is shown: the rest of it repeats parts of the request, such as the access key.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use crate::error::{Error, Kind};
use crate::storage::section::StorageSection;

/// Longer codes are not shown.
const CODE: usize = 60;

/// Makes the errors of a bucket.
pub(super) struct Failures {
    /// The bucket and its service, for people.
    shown: String,
    bucket: String,
    is_virtual_hosted: bool,
}

/// The parts of a failed request that matter.
#[derive(Debug, Default, PartialEq, Eq)]
struct FailedRequest {
    /// Of HTTP.
    status: Option<u16>,
    /// Of the service.
    code: Option<String>,
    kind: Option<HttpErrorKind>,
    is_redirect: bool,
}

impl FailedRequest {
    fn of(error: &object_store::Error) -> Self {
        let mut failed = Self::default();
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(one) = cause {
            if let Some(http) = one.downcast_ref::<HttpError>() {
                failed.kind = Some(http.kind());
            }
            cause = one.source();
        }
        // The library's own type of this error is private.
        failed.add(&error.to_string());
        failed
    }

    fn add(&mut self, text: &str) {
        let after = |start: &str| text.split_once(start).map(|(_, after)| after);
        let status = after("status code: ").and_then(|after| after.get(..3)?.parse().ok());
        self.status = status;
        let code = after("<Code>").and_then(|after| after.split_once("</Code>"));
        self.code = code.map(|(code, _)| code.trim().to_owned()).filter(|code| {
            code.len() <= CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        self.is_redirect = text.contains("redirect without LOCATION")
            || status.is_some_and(|status| (300..400).contains(&status) && status != 304);
    }
}

impl Failures {
    pub(super) fn new(section: &StorageSection) -> Self {
        let shown = match &*section.endpoint {
            "" => format!(
                "object storage (bucket {} of AWS in {})",
                section.bucket,
                section.region()
            ),
            endpoint => format!("object storage (bucket {} at {endpoint})", section.bucket),
        };
        Self {
            shown,
            bucket: section.bucket.clone(),
            is_virtual_hosted: section.virtual_hosted_style,
        }
    }

    /// Whether an answer has said what is wrong.
    pub(super) fn is_explained(&self, error: &object_store::Error) -> bool {
        let failed = FailedRequest::of(error);
        failed.code.is_some() || failed.status.is_none()
    }

    pub(super) fn error(&self, error: &object_store::Error) -> Error {
        let failed = FailedRequest::of(error);
        tracing::debug!("object storage: {}", short(error));
        let (kind, what, hint) = self.described(&failed);
        let said = match (failed.status, &failed.code) {
            (Some(status), Some(code)) => format!(" (HTTP {status}, {code})"),
            (Some(status), None) => format!(" (HTTP {status})"),
            (None, Some(code)) => format!(" ({code})"),
            (None, None) => String::new(),
        };
        let described = Error::new(kind, format!("{}: {what}{said}", self.shown));
        if hint.is_empty() {
            return described;
        }
        described.at_shell(hint)
    }

    fn described(&self, failed: &FailedRequest) -> (Kind, String, String) {
        let fault = |what: &str, hint: &str| (Kind::Unavailable, what.to_owned(), hint.to_owned());
        let code = failed.code.as_deref().unwrap_or_default();
        match code {
            "InvalidAccessKeyId" | "InvalidAccessKey" => {
                return fault(
                    "it does not know the access key",
                    "check AWS_ACCESS_KEY_ID, and that it belongs to this service",
                );
            }
            "SignatureDoesNotMatch" => {
                return fault(
                    "it refuses the signature",
                    "check AWS_SECRET_ACCESS_KEY, and `region` and `endpoint` in `[storage]`",
                );
            }
            "ExpiredToken" | "InvalidToken" | "InvalidSecurityToken" | "TokenRefreshRequired" => {
                return fault(
                    "the session token is not valid, or no longer",
                    "set new values of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and restart the server",
                );
            }
            "RequestTimeTooSkewed" | "RequestExpired" => {
                return fault(
                    "the clock of this machine differs too much from that of the service",
                    "set the clock, best with NTP",
                );
            }
            "NoSuchBucket" => {
                return (
                    Kind::Unavailable,
                    format!("there is no bucket named {:?}", self.bucket),
                    "create it, or correct `bucket`, `region` or `endpoint` in `[storage]`"
                        .to_owned(),
                );
            }
            // The codes of Aliyun OSS, Tencent COS and Volcengine TOS.
            "SecondLevelDomainForbidden"
            | "PathStyleDomainForbidden"
            | "InvalidPathAccess"
            | "UnsupportedPathStyle" => {
                return fault(
                    "it refuses requests with the bucket in the path",
                    "set `virtual_hosted_style = true` in `[storage]`",
                );
            }
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException" => {
                return fault(
                    "the bucket is in another region",
                    "correct `region` and `endpoint` in `[storage]`",
                );
            }
            "QuotaExceeded"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "InsufficientCapacity"
            | "StorageQuotaExceeded" => {
                return fault(
                    "it is full",
                    "remove objects, or raise the quota of the bucket",
                );
            }
            "UserDisable" | "AccountProblem" | "UnderArrears" | "AccountArrears" => {
                return fault(
                    "the account is suspended",
                    "ask the service, and check unpaid bills",
                );
            }
            _ => {}
        }
        if failed.is_redirect {
            return fault(
                "it redirects to another address",
                "correct `region` and `endpoint` in `[storage]`",
            );
        }
        match (failed.status, failed.kind) {
            (Some(401 | 403), _) => fault(
                "access is denied",
                "the access key needs the rights to list the bucket and to read, write and delete its objects",
            ),
            (Some(404), _) => fault("no such object", ""),
            (Some(429 | 503), _) => (
                Kind::Busy,
                "it is busy".to_owned(),
                "try again later".to_owned(),
            ),
            (Some(507), _) => fault(
                "it is full",
                "remove objects, or raise the quota of the bucket",
            ),
            (Some(400), _) if !self.is_virtual_hosted => fault(
                "it refuses the request",
                "check `endpoint` and `region` in `[storage]`; many services need `virtual_hosted_style = true`",
            ),
            (Some(500..), _) => fault("it failed", "try again later"),
            (Some(_), _) => fault(
                "it refuses the request",
                "check `endpoint`, `region` and `bucket` in `[storage]`",
            ),
            (None, Some(HttpErrorKind::Timeout)) => (
                Kind::Timeout,
                "it did not answer in time".to_owned(),
                "check the network, and `endpoint` in `[storage]`".to_owned(),
            ),
            (None, Some(HttpErrorKind::Connect | HttpErrorKind::Unknown)) => fault(
                "it cannot be reached",
                "check the network, and `endpoint` in `[storage]`",
            ),
            (None, Some(_)) => fault("the connection broke off", "try again later"),
            (None, None) => fault(
                "its answer cannot be understood",
                "check that `endpoint` in `[storage]` is the address of an S3-compatible service",
            ),
        }
    }

    /// The error for a request that was not answered within a time limit.
    pub(super) fn too_slow(&self, limit: Duration) -> Error {
        Error::new(
            Kind::Timeout,
            format!(
                "{}: it did not answer within {} s",
                self.shown,
                limit.as_secs()
            ),
        )
        .at_shell("check the network, and `endpoint` in `[storage]`")
    }

    /// The error for an object that ended too early.
    pub(super) fn cut_off(&self, key: &str, error: io::Error) -> Error {
        Error::new(
            Kind::Unavailable,
            format!("{}: {key:?} could not be read to its end", self.shown),
        )
        .hint("try again")
        .source(error)
    }

    /// The error for an object whose content is not what was put.
    pub(super) fn damaged(&self, key: &str) -> Error {
        Error::new(
            Kind::Unavailable,
            format!("{}: the content of {key:?} is damaged", self.shown),
        )
        .hint("store it again under another name")
    }
}

/// An error in a few words, without anything that the service said.
pub(super) fn short(error: &object_store::Error) -> String {
    let failed = FailedRequest::of(error);
    match (failed.status, failed.code, failed.kind) {
        (Some(status), Some(code), _) => format!("HTTP {status}, {code}"),
        (Some(status), None, _) => format!("HTTP {status}"),
        (None, _, Some(kind)) => format!("the request failed ({kind:?})"),
        (None, ..) => "the answer cannot be used".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::section::{LinksOf, StorageKind};

    fn failures() -> Failures {
        Failures::new(&StorageSection {
            kind: StorageKind::S3,
            endpoint: "https://s3.example.com".to_owned(),
            bucket: "drafts".to_owned(),
            region: String::new(),
            prefix: String::new(),
            virtual_hosted_style: false,
            allow_http: false,
            links: LinksOf::Storage,
            cache_bytes: 0,
        })
    }

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    fn answered(status: &str, code: &str) -> object_store::Error {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message><AWSAccessKeyId>AKIAVERYSECRET</AWSAccessKeyId></Error>"
        );
        generic(&format!(
            "Error performing PUT https://s3.example.com/drafts/x in 1ms - Server returned non-2xx status code: {status}: {body}"
        ))
    }

    #[test]
    fn each_failure_says_what_to_do() {
        for (status, code, what, hint) in [
            (
                "403 Forbidden",
                "InvalidAccessKeyId",
                "does not know the access key",
                "AWS_ACCESS_KEY_ID",
            ),
            (
                "403 Forbidden",
                "SignatureDoesNotMatch",
                "signature",
                "AWS_SECRET_ACCESS_KEY",
            ),
            (
                "400 Bad Request",
                "ExpiredToken",
                "session token",
                "AWS_SESSION_TOKEN",
            ),
            ("403 Forbidden", "RequestTimeTooSkewed", "clock", "NTP"),
            (
                "404 Not Found",
                "NoSuchBucket",
                "no bucket named \"drafts\"",
                "`bucket`",
            ),
            (
                "403 Forbidden",
                "SecondLevelDomainForbidden",
                "bucket in the path",
                "virtual_hosted_style = true",
            ),
            (
                "403 Forbidden",
                "PathStyleDomainForbidden",
                "bucket in the path",
                "virtual_hosted_style = true",
            ),
            (
                "403 Forbidden",
                "AccessDenied",
                "access is denied",
                "rights",
            ),
            (
                "301 Moved Permanently",
                "PermanentRedirect",
                "another region",
                "`region`",
            ),
            (
                "507 Insufficient Storage",
                "XMinioStorageFull",
                "full",
                "quota",
            ),
            ("503 Service Unavailable", "SlowDown", "busy", "later"),
            (
                "500 Internal Server Error",
                "InternalError",
                "it failed",
                "later",
            ),
            (
                "400 Bad Request",
                "InvalidRequest",
                "refuses the request",
                "virtual_hosted_style",
            ),
        ] {
            let error = failures().error(&answered(status, code));
            let (message, hint_here) = (&error.message, error.next_step().unwrap_or_default());
            assert!(message.contains(what), "{code}: {message}");
            assert!(hint_here.contains(hint), "{code}: {hint_here}");
            assert!(
                message.contains("bucket drafts at https://s3.example.com"),
                "{message}"
            );
            let all = format!("{error:?} {}", error.cause());
            assert!(!all.contains("AKIA"), "{all}");
        }
    }

    #[test]
    fn answers_that_are_no_errors_of_s3_are_described_by_their_status() {
        let error = failures().error(&generic(
            "Server returned non-2xx status code: 403 Forbidden: ",
        ));
        assert!(
            error.message.ends_with("access is denied (HTTP 403)"),
            "{error}"
        );
        let error = failures().error(&generic(
            "Server returned non-2xx status code: 502 Bad Gateway: <html>secret</html>",
        ));
        assert!(error.message.ends_with("it failed (HTTP 502)"), "{error}");
        let long = format!(
            "status code: 403 Forbidden: <Code>{}</Code>",
            "A".repeat(100)
        );
        assert!(!failures().error(&generic(&long)).message.contains("AAA"));
        let redirect = "Received redirect without LOCATION, this normally indicates an incorrectly configured region";
        assert!(
            failures()
                .error(&generic(redirect))
                .message
                .contains("redirects")
        );
        assert!(
            failures()
                .error(&generic("?"))
                .message
                .contains("cannot be understood")
        );
    }

    #[test]
    fn failed_connections_are_told_from_slow_answers() {
        for (kind, expected) in [
            (HttpErrorKind::Connect, "cannot be reached"),
            (HttpErrorKind::Timeout, "did not answer in time"),
            (HttpErrorKind::Interrupted, "broke off"),
        ] {
            let error = object_store::Error::Generic {
                store: "S3",
                source: Box::new(HttpError::new(kind, io::Error::other("x"))),
            };
            let error = failures().error(&error);
            assert!(error.message.ends_with(expected), "{error}");
        }
    }
}
