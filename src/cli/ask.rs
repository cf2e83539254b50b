//! Asks a running server for a page, for commands that show its state.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::redirect::Policy;

use crate::error::{Error, Kind, Result};
use crate::media::shown;

/// The limit of an answer, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The address of a page of a server. The server is given with or without a scheme, and with or without the page.
pub(super) fn page(server: &str, page: &str) -> String {
    let url = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let site = url.trim_end_matches('/');
    if site.ends_with(page) {
        site.to_owned()
    } else {
        format!("{site}{page}")
    }
}

/// The status and the text of an answer, within 15 seconds; redirects are answers. Fails with
/// [`Kind::Unavailable`] if there is no answer.
pub(super) async fn get(url: &str) -> Result<(StatusCode, String)> {
    let place = shown(url);
    // Another part of the process may already have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(15))
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| Error::internal("cannot create an HTTP client").source(error))?;
    let broken = |error: reqwest::Error| {
        Error::new(Kind::Unavailable, format!("{place}: no answer")).source(error.without_url())
    };
    let mut response = client.get(url).send().await.map_err(broken)?;
    let status = response.status();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_BYTES {
            let what = format!("{place}: the answer has more than {MAX_BYTES} bytes");
            return Err(Error::new(Kind::Unavailable, what));
        }
    }
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_and_its_page_are_the_same_address() {
        for url in [
            "http://h:1",
            "http://h:1/",
            "http://h:1/metrics",
            "h:1",
            "h:1/metrics/",
        ] {
            assert_eq!(page(url, "/metrics"), "http://h:1/metrics", "{url}");
        }
    }
}
