//! Who gets into the studio: the cookie of a browser, the pages before it is set, and requests of foreign pages.
//!
//! Browsers send cookies to every port of a machine, and with requests that another page of the same machine makes, so that
//! the origin of a request must be exactly that of the studio.

use std::sync::Arc;

use hyper::Method;
use hyper::StatusCode;
use hyper::body::{Body, Bytes};
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue, ORIGIN, SET_COOKIE};
use hyper::http::request::Parts;
use reqwest::Url;

use super::super::answer::{self, Answer};
use super::super::tenants::Tenant;
use super::super::visitors::RequestOrigin;
use super::super::{HttpServer, RequestClient};
use super::texts::Language;
use super::{StudioVisit, page, secured};
use crate::access::{Guest, PathToken};

/// The cookie of the HTTP server: the token of the caller.
const TOKEN_COOKIE: &str = "capcut_studio_token";

/// A cookie that only this program reads.
pub(in crate::http) struct PageCookie {
    pub name: String,
    /// Whether it is sent only over TLS.
    pub is_secure: bool,
}

impl PageCookie {
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<String> {
        let all = headers.get_all(COOKIE).iter();
        let pairs = all.filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|text| text.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name && !value.is_empty()).then(|| value.to_owned())
        })
    }

    /// Sets the cookie until the browser ends; an empty value removes it.
    pub(super) fn set(&self, answer: &mut Answer, value: &str) {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let age = if value.is_empty() { "; Max-Age=0" } else { "" };
        let cookie = format!(
            "{}={value}; Path=/studio; HttpOnly; SameSite=Strict{secure}{age}",
            self.name
        );
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

/// Whether a page of another origin sent the request. Links from other pages are fine: the cookie is not sent with them.
pub(super) fn is_foreign(head: &Parts) -> bool {
    let text = |value: Option<&HeaderValue>| {
        value.map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    let host = head.uri.authority().map(ToString::to_string);
    let host = host
        .or_else(|| text(head.headers.get(HOST)))
        .unwrap_or_default();
    if head.headers.get_all(ORIGIN).iter().count() > 1 {
        return true;
    }
    if let Some(origin) = text(head.headers.get(ORIGIN)) {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        return !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(&host));
    }
    let Some(site) = text(head.headers.get("sec-fetch-site")) else {
        return false;
    };
    let is_own = matches!(site.as_str(), "same-origin" | "none");
    let is_link = head.method == Method::GET
        && text(head.headers.get("sec-fetch-mode")).as_deref() == Some("navigate")
        && text(head.headers.get("sec-fetch-dest")).as_deref() == Some("document");
    !is_own && !is_link
}

/// The answer to a request of a foreign page.
pub(super) fn refused_page() -> Answer {
    let text = "only the studio's own pages can use this address";
    secured(answer::refusal(StatusCode::FORBIDDEN, text))
}

/// Whether the client shows pages.
pub(super) fn takes_pages(head: &Parts) -> bool {
    let accepts = head.headers.get(hyper::header::ACCEPT);
    accepts.is_some_and(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// The value of a form.
fn field(form: &[u8], name: &str) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let url = Url::parse(&format!("http://localhost/?{form}")).ok()?;
    let mut found = url.query_pairs().filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.trim().to_owned())
}

impl HttpServer {
    fn token_cookie(&self, visitor: &RequestOrigin<'_>, head: &Parts) -> PageCookie {
        PageCookie {
            name: TOKEN_COOKIE.to_owned(),
            is_secure: self.origin(visitor.peer, head).starts_with("https://"),
        }
    }

    /// Answers a request to the studio of this server. `path` begins with `studio`.
    pub(in crate::http) async fn studio<B>(
        self: &Arc<Self>,
        visitor: &RequestOrigin<'_>,
        head: Parts,
        body: B,
        path: &str,
        in_path: Option<PathToken>,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let path = path.strip_prefix("studio").unwrap_or_default();
        let path = path.trim_start_matches('/').to_owned();
        let language = Language::of(&head);
        if let Some(file) = page::own_file(&head, &path) {
            return secured(file);
        }
        if is_foreign(&head) {
            return refused_page();
        }
        // Anyone may ask for these, so that no one is known here.
        if head.method == Method::OPTIONS {
            return secured(answer::not_allowed("GET, HEAD, POST, PUT"));
        }
        let cookie = self.token_cookie(visitor, &head);
        if path == "sign-in" {
            return self.sign_in_to_studio(visitor, head, body, &cookie).await;
        }
        if path == "sign-out" && head.method == Method::POST {
            let mut answer = page::landing(language, "/studio/");
            cookie.set(&mut answer, "");
            return secured(answer);
        }
        let is_in_path = in_path.is_some();
        let token = in_path.or_else(|| cookie.read(&head.headers).map(PathToken::new));
        let guest = match self.studio_guest(visitor, &head, token.as_ref()).await {
            Ok(guest) => guest,
            Err(refused) if takes_pages(&head) && self.asks_for_tokens() => {
                let mut answer = page::sign_in(language, is_in_path || token.is_some());
                *answer.status_mut() = StatusCode::FORBIDDEN;
                if token.is_some() {
                    cookie.set(&mut answer, "");
                }
                drop(refused);
                return secured(answer);
            }
            Err(mut refused) => {
                *refused.status_mut() = StatusCode::FORBIDDEN;
                return secured(*refused);
            }
        };
        if let Some(token) = token.filter(|_| is_in_path) {
            // The token is no longer in the address of the page that follows.
            let mut answer = page::landing(language, &format!("/studio/{path}"));
            cookie.set(&mut answer, token.as_str());
            return secured(answer);
        }
        let tenant = match self.tenant_of(guest.as_ref(), &head.headers) {
            Ok(tenant) => tenant,
            Err(answer) => return secured(*answer),
        };
        let visit = self.visit(visitor, &tenant, guest.clone(), head, path);
        let Some(visit) = visit else {
            return secured(page::missing(language));
        };
        let answer = self.studio.answer(visit, body, &self.receiver).await;
        match guest {
            Some(guest) => self.streams.ended_with(guest, answer),
            None => answer,
        }
    }

    fn visit(
        &self,
        visitor: &RequestOrigin<'_>,
        tenant: &Tenant,
        guest: Option<Guest>,
        head: Parts,
        path: String,
    ) -> Option<StudioVisit> {
        let from = guest
            .as_ref()
            .map_or(visitor.from, |guest| guest.place(visitor.from));
        let client = RequestClient {
            from,
            site: self.site(visitor.peer, &head),
        };
        Some(StudioVisit {
            app: Arc::clone(tenant.app.as_ref()?),
            caller: client
                .caller(tenant)
                .in_manner(crate::caller::Manner::Strict),
            guest,
            head,
            path,
        })
    }

    fn asks_for_tokens(&self) -> bool {
        let gate = self.gate.as_ref();
        gate.is_some_and(|gate| gate.has_credentials().unwrap_or(true))
    }

    /// The form for a token, and what it sends.
    async fn sign_in_to_studio<B>(
        self: &Arc<Self>,
        visitor: &RequestOrigin<'_>,
        head: Parts,
        body: B,
        cookie: &PageCookie,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let language = Language::of(&head);
        let form = match head.method {
            Method::GET | Method::HEAD => return secured(page::sign_in(language, false)),
            Method::POST => self.receiver.receive(body).await,
            _ => return secured(answer::not_allowed("GET, HEAD, POST")),
        };
        let token = form.ok().and_then(|form| field(&form.bytes, "token"));
        let token = token.filter(|token| !token.is_empty()).map(PathToken::new);
        let guest = match &token {
            Some(_) => self.studio_guest(visitor, &head, token.as_ref()).await.ok(),
            None => None,
        };
        let (Some(_), Some(token)) = (guest, token) else {
            let mut answer = page::sign_in(language, true);
            *answer.status_mut() = StatusCode::FORBIDDEN;
            return secured(answer);
        };
        let mut answer = page::landing(language, "/studio/");
        cookie.set(&mut answer, token.as_str());
        secured(answer)
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/studio/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn only_the_exact_origin_is_own() {
        let host = ("host", "127.0.0.1:7000");
        for (method, headers, expected) in [
            ("GET", vec![host], false),
            (
                "POST",
                vec![host, ("origin", "http://127.0.0.1:7000")],
                false,
            ),
            (
                "POST",
                vec![host, ("origin", "http://127.0.0.1:7001")],
                true,
            ),
            (
                "POST",
                vec![host, ("origin", "http://localhost:7000")],
                true,
            ),
            ("POST", vec![host, ("origin", "null")], true),
            ("GET", vec![host, ("origin", "https://example.com")], true),
            ("GET", vec![host, ("sec-fetch-site", "none")], false),
            ("GET", vec![host, ("sec-fetch-site", "same-origin")], false),
            ("GET", vec![host, ("sec-fetch-site", "same-site")], true),
            ("POST", vec![host, ("sec-fetch-site", "cross-site")], true),
            (
                "GET",
                vec![
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                false,
            ),
            (
                "GET",
                vec![
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                ],
                true,
            ),
        ] {
            assert_eq!(
                is_foreign(&head(method, &headers)),
                expected,
                "{method} {headers:?}"
            );
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookie = PageCookie {
            name: "capcut_studio_1".to_owned(),
            is_secure: false,
        };
        let read = |text: &str| cookie.read(&head("GET", &[("cookie", text)]).headers);
        assert_eq!(read("a=b; capcut_studio_1=x").as_deref(), Some("x"));
        assert_eq!(read("capcut_studio_12=x"), None);
        assert_eq!(read("xcapcut_studio_1=x"), None);
        assert_eq!(read("capcut_studio_1="), None);
        let mut answer = answer::page(StatusCode::OK);
        cookie.set(&mut answer, "v");
        assert_eq!(
            answer.headers()[SET_COOKIE],
            "capcut_studio_1=v; Path=/studio; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn a_form_gives_its_field() {
        assert_eq!(field(b"token=a%2Bb+", "token").as_deref(), Some("a+b"));
        assert_eq!(field(b"other=1", "token"), None);
        assert_eq!(field(&[0xff], "token"), None);
    }
}
