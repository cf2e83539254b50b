//! The HTTP connections to services.
//!
//! A creation is never sent twice from here: each request has a connection of its own, as a reset of an idle one would not say
//! whether the request arrived, and nothing is retried or redirected. [`download`] fetches results.

mod download;
mod form;

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::kinds;
use super::section::is_here;
use super::service::{
    CreationRefusal, OutgoingBody, ServiceAnswer, ServiceRequest, ServiceSettings, in_seconds,
};
use super::unquoted::unquoted;
use crate::error::{Error, Kind, Origin, Result};
use crate::media::http::{innermost, never_written};

/// Time limit for a connection, with TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// When a service that could not be reached is asked again.
const SOON: Duration = Duration::from_secs(1);
/// How much of an answer that is not a success is read.
const FAULT_BYTES: u64 = 64 << 10;

/// Sends requests to services; one for the whole process.
#[derive(Default)]
pub(super) struct ServiceWire {
    /// For services elsewhere: with the system's proxy, if there is one.
    outside: OnceLock<Client>,
    /// For this machine, with TLS.
    here: OnceLock<Client>,
    /// For this machine, without TLS.
    plain: OnceLock<Client>,
    downloads: download::DownloadClients,
}

impl ServiceWire {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Sends a request and reads the answer, at most `most_bytes`.
    ///
    /// # Errors
    /// If there is no answer with a status below 300: the kind of service reads the others. What surely was not sent is
    /// [`Accepted::No`](super::service::Accepted::No).
    pub(super) async fn send(
        &self,
        settings: &ServiceSettings,
        outgoing: ServiceRequest,
        timeout: Duration,
        most_bytes: u64,
    ) -> Result<ServiceAnswer, CreationRefusal> {
        let words = words_of(&outgoing.body);
        let (client, request) = self.request(settings, outgoing).await?;
        let request = request
            .build()
            .map_err(|error| CreationRefusal::refused(not_built(settings, error)))?;
        let sent = tokio::time::timeout(timeout, exchange(&client, settings, request, most_bytes));
        let answer = sent.await.unwrap_or_else(|_| {
            Err(CreationRefusal::uncertain(Error::new(
                Kind::Timeout,
                format!(
                    "provider `{}`: no complete answer within {} s",
                    settings.name,
                    in_seconds(timeout)
                ),
            )))
        })?;
        if answer.status.as_u16() < 300 {
            return Ok(answer);
        }
        let mut refusal = match kinds::of(settings.section.kind()) {
            Some(kind) => kind.refusal(settings, &answer),
            None => CreationRefusal::refused(Error::internal("a program has no HTTP answers")),
        };
        // Services quote what was sent to them; logs show errors.
        let words = words.iter().map(String::as_str);
        refusal.error.message = unquoted(&refusal.error.message, words);
        Err(refusal)
    }

    /// The request, for the client that sends it.
    async fn request(
        &self,
        settings: &ServiceSettings,
        outgoing: ServiceRequest,
    ) -> Result<(Client, RequestBuilder), CreationRefusal> {
        let url = url(settings, &outgoing.path).map_err(CreationRefusal::refused)?;
        let client = self.client(&url).map_err(CreationRefusal::refused)?;
        let mut request = client.request(outgoing.method, url);
        for (name, mut value) in outgoing.headers {
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request = match outgoing.body {
            OutgoingBody::Nothing => request,
            OutgoingBody::Json(value) => {
                let body = serde_json::to_vec(&value).map_err(|error| {
                    CreationRefusal::refused(
                        Error::internal("the request could not be written").source(error),
                    )
                })?;
                request.header(CONTENT_TYPE, "application/json").body(body)
            }
            OutgoingBody::Form { fields, file } => {
                let form = form::Form::new(&fields, &file).await;
                form.map_err(CreationRefusal::refused)?.add_to(request)
            }
        };
        Ok((client, request))
    }

    fn client(&self, url: &Url) -> Result<Client> {
        let (is_here, is_plain) = (is_here(url), url.scheme() == "http");
        let slot = match (is_here, is_plain) {
            (_, true) => &self.plain,
            (true, false) => &self.here,
            (false, false) => &self.outside,
        };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        // An error means that it is installed already; it is the same provider everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none());
        if is_here || is_plain {
            client = client.no_proxy();
        }
        if is_plain {
            // Loading the certificates of the system takes megabytes.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| {
            Error::internal("the HTTP client for providers could not be created").source(error)
        })?;
        Ok(slot.get_or_init(|| client).clone())
    }
}

/// An address of a service.
fn url(settings: &ServiceSettings, path: &str) -> Result<Url> {
    let base = settings.section.base_url();
    Url::parse(&format!("{base}{path}")).map_err(|error| {
        Error::invalid(format!(
            "provider `{}`: `base_url` \"{base}\" is not an address: {error}",
            settings.name
        ))
    })
}

/// The texts of a request that errors must not repeat.
fn words_of(body: &OutgoingBody) -> Vec<String> {
    fn collect(value: &Value, words: &mut Vec<String>) {
        match value {
            // Shorter ones are names of models and formats, which an error may repeat.
            Value::String(text)
                if text.len() >= 40 || !text.is_ascii() || text.contains(char::is_whitespace) =>
            {
                words.push(text.clone());
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
            Value::Object(values) => values.values().for_each(|value| collect(value, words)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    if let OutgoingBody::Json(value) = body {
        collect(value, &mut words);
    }
    words
}

fn not_built(settings: &ServiceSettings, error: reqwest::Error) -> Error {
    Error::internal(format!(
        "provider `{}`: the request could not be built",
        settings.name
    ))
    .source(innermost(&error.without_url()))
}

async fn exchange(
    client: &Client,
    settings: &ServiceSettings,
    request: reqwest::Request,
    most_bytes: u64,
) -> Result<ServiceAnswer, CreationRefusal> {
    let response = client
        .execute(request)
        .await
        .map_err(|error| unanswered(settings, error))?;
    read(settings, response, most_bytes).await
}

/// Why a request has no answer.
fn unanswered(settings: &ServiceSettings, error: reqwest::Error) -> CreationRefusal {
    let name = &settings.name;
    let host = url(settings, "").ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
    if error.is_builder() {
        return CreationRefusal::refused(not_built(settings, error));
    }
    if error.is_connect() || never_written(&error) {
        let late = if error.is_timeout() {
            format!(" within {} s", CONNECT.as_secs())
        } else {
            String::new()
        };
        let error = Error::new(
            Kind::Unsent,
            format!("provider `{name}`: no connection to {host}{late}"),
        )
        .hint(format!(
            "check `base_url` in `[providers.{name}]`, and that the service is running"
        ))
        .with_origin(Origin::Connection)
        .source(innermost(&error.without_url()));
        return CreationRefusal::busy(error, SOON);
    }
    CreationRefusal::uncertain(
        Error::new(
            Kind::Unavailable,
            format!("provider `{name}`: {host} closed the connection before it answered"),
        )
        .with_origin(Origin::Connection)
        .source(innermost(&error.without_url())),
    )
}

async fn read(
    settings: &ServiceSettings,
    mut response: Response,
    most_bytes: u64,
) -> Result<ServiceAnswer, CreationRefusal> {
    let status = response.status();
    let is_success = status.as_u16() < 300;
    let most = if is_success {
        most_bytes
    } else {
        FAULT_BYTES.min(most_bytes)
    };
    let headers = response.headers().clone();
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // The status of a failure says enough.
            Err(_) if !is_success => break,
            Err(error) => {
                return Err(CreationRefusal::uncertain(
                    Error::new(
                        Kind::Unavailable,
                        format!(
                            "provider `{}`: the answer broke off after {} bytes",
                            settings.name,
                            body.len()
                        ),
                    )
                    .with_origin(Origin::Connection)
                    .source(innermost(&error.without_url())),
                ));
            }
        };
        if (body.len() + chunk.len()) as u64 > most {
            if !is_success {
                break;
            }
            return Err(CreationRefusal::uncertain(too_large(settings, most)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ServiceAnswer {
        status,
        headers,
        body,
    })
}

fn too_large(settings: &ServiceSettings, most: u64) -> Error {
    Error::media(format!(
        "provider `{}`: the result has more than {most} bytes",
        settings.name
    ))
    .hint("ask for a shorter or smaller one, or raise `generate.asset_bytes` in `tools.toml`")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;

    use super::super::service::Accepted;
    use super::testing::{Script, post, serve, settings_at};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn send(base: &str, most: u64) -> Result<ServiceAnswer, CreationRefusal> {
        let wire = ServiceWire::new();
        wire.send(
            &settings_at(base),
            post(json!({ "input": "a text with words" })),
            SECOND,
            most,
        )
        .await
    }

    #[tokio::test]
    async fn an_answer_is_read_whole() {
        let server = serve(vec![Script::text(200, "", "{\"a\":1}")]);
        let answer = send(&server.url, 100).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, &b"{\"a\":1}"[..])
        );
        let asked = server.asked();
        assert!(
            asked[0].starts_with("POST /v1/audio/speech HTTP/1.1\r\n"),
            "{asked:?}"
        );
        assert!(
            asked[0].contains("authorization: Bearer key-1234567890\r\n"),
            "{asked:?}"
        );
        assert!(
            asked[0].ends_with("{\"input\":\"a text with words\"}"),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn what_was_not_sent_was_not_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        drop(listener);
        let refusal = send(&base, 100).await.unwrap_err();
        assert_eq!(
            (refusal.accepted, refusal.again),
            (Accepted::No, Some(SOON))
        );
        assert_eq!(refusal.error.kind, Kind::Unsent);
        let refusal = send("http://no-such-host.invalid/v1", 100)
            .await
            .unwrap_err();
        assert_eq!(refusal.accepted, Accepted::No);
    }

    #[tokio::test]
    async fn what_was_sent_may_have_been_accepted() {
        for script in [
            Script::raw(""),
            Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut"),
            Script::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"),
            Script::raw("not HTTP\r\n\r\n"),
            Script::silent(),
            Script::text(500, "", "{}"),
            Script::text(200, "", &"x".repeat(200)),
        ] {
            let server = serve(vec![script]);
            let refusal = send(&server.url, 100).await.unwrap_err();
            assert_eq!(
                (refusal.accepted, refusal.again),
                (Accepted::Maybe, None),
                "{}",
                refusal.error
            );
            assert_eq!(server.asked().len(), 1);
        }
    }

    #[tokio::test]
    async fn refusals_are_read_by_the_kind_without_the_words_that_were_sent() {
        let text = r#"{"error":{"code":"bad","message":"cannot say 'a text with words' with key-1234567890"}}"#;
        crate::secrets::know("key-1234567890");
        let server = serve(vec![Script::text(400, "", text)]);
        let refusal = send(&server.url, 4096).await.unwrap_err();
        assert_eq!((refusal.accepted, refusal.again), (Accepted::No, None));
        let text = refusal.error.to_string();
        assert!(
            text.contains("(bad): cannot say '…'") && !text.contains("key-12"),
            "{text}"
        );
        let server = serve(vec![Script::text(429, "Retry-After: 3\r\n", "slow down")]);
        let refusal = send(&server.url, 4096).await.unwrap_err();
        assert_eq!(refusal.again, Some(Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let server = serve(vec![Script::text(307, "Location: /elsewhere\r\n", "")]);
        let refusal = send(&server.url, 100).await.unwrap_err();
        assert_eq!((refusal.accepted, refusal.again), (Accepted::No, None));
        assert_eq!(server.asked().len(), 1);
    }

    #[tokio::test]
    async fn a_long_failure_is_read_in_part() {
        let server = serve(vec![Script::text(400, "", &"x".repeat(1 << 20))]);
        let refusal = send(&server.url, 4 << 20).await.unwrap_err();
        assert_eq!(refusal.accepted, Accepted::No);
        // The body of the failure is cut off.
        let server = serve(vec![Script::raw(
            "HTTP/1.1 429 Busy\r\nContent-Length: 50\r\n\r\n{\"err",
        )]);
        assert!(send(&server.url, 4096).await.unwrap_err().again.is_some());
    }

    #[tokio::test]
    async fn each_request_has_its_own_connection() {
        let server = serve(vec![
            Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ]);
        let (wire, settings) = (ServiceWire::new(), settings_at(&server.url));
        for _ in 0..2 {
            wire.send(&settings, post(json!({})), SECOND, 10)
                .await
                .unwrap();
        }
        assert_eq!(server.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_file_is_sent_as_a_form() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("voice \"1\".mp3");
        std::fs::write(&file, b"ID3 and \r\n samples").unwrap();
        let server = serve(vec![Script::text(200, "", "{}")]);
        let mut outgoing = post(json!({}));
        outgoing.body = OutgoingBody::Form {
            fields: vec![("model".to_owned(), "whisper-1".to_owned())],
            file: file.clone(),
        };
        let (wire, settings) = (ServiceWire::new(), settings_at(&server.url));
        wire.send(&settings, outgoing, SECOND, 10).await.unwrap();
        let asked = &server.asked()[0];
        let (_, boundary) = asked.split_once("boundary=").unwrap();
        let boundary = boundary.split("\r\n").next().unwrap();
        let (_, body) = asked.split_once("\r\n\r\n").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"sound.mp3\"\r\nContent-Type: application/octet-stream\r\n\r\nID3 and \r\n samples\r\n--{boundary}--\r\n"
        );
        assert_eq!(body, expected);
        assert!(
            asked.contains(&format!("content-length: {}\r\n", expected.len())),
            "{asked}"
        );
        std::fs::remove_file(&file).unwrap();
        let mut outgoing = post(json!({}));
        outgoing.body = OutgoingBody::Form {
            fields: Vec::new(),
            file,
        };
        let refusal = wire
            .send(&settings, outgoing, SECOND, 10)
            .await
            .unwrap_err();
        assert_eq!(refusal.accepted, Accepted::No);
    }

    #[test]
    fn short_names_may_be_repeated_in_errors() {
        let body = OutgoingBody::Json(
            json!({ "model": "tts-1", "input": " Say this. ", "content": [{ "text": "x".repeat(50) }] }),
        );
        assert_eq!(words_of(&body), [" Say this. ".to_owned(), "x".repeat(50)]);
    }
}

#[cfg(test)]
mod testing {
    //! A server that answers each connection as its script says.

    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use reqwest::Method;

    use super::*;
    use crate::providers::section::ProviderSection;
    use crate::secrets::Hidden;

    #[derive(Clone)]
    pub(super) enum Script {
        Raw(Vec<u8>),
        Silent,
    }

    impl Script {
        pub(super) fn raw(text: &str) -> Self {
            Self::Raw(text.as_bytes().to_vec())
        }

        /// The request is read, and the connection stays open without an answer.
        pub(super) fn silent() -> Self {
            Self::Silent
        }

        pub(super) fn text(status: u16, headers: &str, body: &str) -> Self {
            let length = body.len();
            Self::raw(&format!(
                "HTTP/1.1 {status} ServiceAnswer\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            ))
        }
    }

    pub(super) struct ScriptedServer {
        /// The base address of a service, `http://127.0.0.1:PORT/v1`.
        pub url: String,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl ScriptedServer {
        pub(super) fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }
    }

    pub(super) fn serve(scripts: Vec<Script>) -> ScriptedServer {
        serve_with(|_| scripts)
    }

    /// The scripts may name the address.
    pub(super) fn serve_with(scripts: impl FnOnce(SocketAddr) -> Vec<Script>) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scripts = scripts(address);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                let text = request(&stream);
                log.lock().unwrap().push(text);
                match script {
                    Script::Raw(bytes) => {
                        let _ = (&stream).write_all(&bytes);
                    }
                    Script::Silent => {
                        thread::spawn(move || (&stream).read_to_end(&mut Vec::new()));
                    }
                }
            }
        });
        ScriptedServer {
            url: format!("http://{address}/v1"),
            asked,
        }
    }

    fn request(mut stream: &TcpStream) -> String {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length = length.map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            match stream.read(&mut buffer) {
                Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                _ => return text,
            }
        }
    }

    pub(super) fn settings_at(base: &str) -> ServiceSettings {
        let section: ProviderSection = toml::from_str(&format!(
            "kind = \"openai\"\nmakes = \"speech\"\nmodel = \"m\"\nkey_env = \"K\"\nbase_url = \"{base}\""
        ))
        .unwrap();
        ServiceSettings {
            name: "p".to_owned(),
            section,
            key: Some(Hidden("key-1234567890".to_owned())),
            app_id: None,
        }
    }

    pub(super) fn post(body: Value) -> ServiceRequest {
        ServiceRequest {
            method: Method::POST,
            path: "/audio/speech".to_owned(),
            headers: kinds::credentials(&settings_at("http://127.0.0.1/v1")).unwrap(),
            body: OutgoingBody::Json(body),
        }
    }
}
