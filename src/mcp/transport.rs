//! JSON-RPC over lines, made robust: the number of running calls is bounded, the server answers all calls before it
//! exits at the end of its input, and no input from a client can stop it.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientNotification, ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::TxJsonRpcMessage;
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::sync::CancellationToken;

use super::incoming::{Incoming, Opening, ParsedLine, not_initialized, read, too_long};
use super::request_id::IdFinder;

type Outgoing = TxJsonRpcMessage<RoleServer>;

/// A read buffer that has grown beyond this is released when it is empty.
const KEPT_BUFFER: usize = 64 << 10;

/// The limits of the transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransportLimits {
    /// The number of requests that may be under way; beyond it, nothing more is read.
    pub in_flight: usize,
    /// A longer line is refused, in bytes; no call needs as many.
    pub longest_line: usize,
    /// How long outstanding answers may take after the end of input.
    pub grace: Duration,
}

/// Lines of JSON-RPC over a reader and a writer.
pub(super) struct LineTransport<R, W> {
    read: R,
    buffer: BytesMut,
    /// How much of the buffer has been searched for the end of a line.
    searched: usize,
    /// Set while reading a line that is too long: only its id is looked for.
    skipped: Option<IdFinder>,
    ended: bool,
    /// When to stop waiting for answers after the end of input.
    deadline: Option<Instant>,
    /// Whether `initialize` has arrived, or a request of a protocol version without it. An earlier notification
    /// would make the SDK stop the service.
    started: bool,
    manners: TransportLimits,
    out: Arc<LineOutput<W>>,
}

/// The writing half, shared with the answers that are being sent.
struct LineOutput<W> {
    /// Complete lines that wait to be written. The task that gets the writer writes them all.
    waiting: Mutex<Vec<u8>>,
    writer: tokio::sync::Mutex<LineWriter<W>>,
    under_way: Mutex<HashSet<RequestId>>,
    answered: Notify,
    /// Cancelled when the client no longer reads answers.
    broken: CancellationToken,
}

struct LineWriter<W> {
    write: W,
    /// The bytes being written; kept here if the writing task is dropped halfway.
    lines: Vec<u8>,
    written: usize,
}

impl<R, W: AsyncWrite + Send + Unpin + 'static> LineTransport<R, W> {
    /// `broken` is cancelled when the writer fails, because then no answer can be delivered.
    pub(super) fn new(
        read: R,
        write: W,
        manners: TransportLimits,
        broken: CancellationToken,
    ) -> Self {
        Self {
            read,
            buffer: BytesMut::new(),
            searched: 0,
            skipped: None,
            ended: false,
            deadline: None,
            started: false,
            manners,
            out: Arc::new(LineOutput {
                waiting: Mutex::default(),
                writer: tokio::sync::Mutex::new(LineWriter {
                    write,
                    lines: Vec::new(),
                    written: 0,
                }),
                under_way: Mutex::default(),
                answered: Notify::new(),
                broken,
            }),
        }
    }

    /// Handles a message in the buffer; returns it if the service has to see it.
    fn accept(&mut self, message: Incoming) -> Option<Incoming> {
        match &message {
            JsonRpcMessage::Request(request) => {
                match Opening::of(&request.request) {
                    Opening::Starts => self.started = true,
                    Opening::Asks => {}
                    Opening::TooEarly if self.started => {}
                    Opening::TooEarly => {
                        let refused = Outgoing::error(not_initialized(), Some(request.id.clone()));
                        let _ = self.out.queue(&refused);
                        return None;
                    }
                }
                let is_new = self.out.under_way().insert(request.id.clone());
                if !is_new {
                    // The client could not tell two answers apart, and `rmcp` would answer only one of two calls
                    // with the same id.
                    let error = ErrorData::invalid_request(
                        format!(
                            "a request with the id {} is under way: give each request its own id",
                            request.id
                        ),
                        None,
                    );
                    let refused = Outgoing::error(error, Some(request.id.clone()));
                    let _ = self.out.queue(&refused);
                    return None;
                }
            }
            _ if !self.started => return None,
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // A cancelled call gets no answer.
                    self.out.done(id);
                }
            }
            _ => {}
        }
        Some(message)
    }

    /// Answers a line that is not a message: once for each request id found in it, or once for the whole line.
    fn refuse(&self, ids: &[RequestId], error: &ErrorData) {
        for id in ids {
            let refused = Outgoing::error(error.clone(), Some(id.clone()));
            let _ = self.out.queue(&refused);
        }
        if ids.is_empty() {
            let _ = self.out.queue(&Outgoing::error(error.clone(), None));
        }
    }

    /// The next line in the buffer, without its end; the last line may lack a line end.
    fn next_line(&mut self) -> Option<InputLine> {
        let newline = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| self.searched + at);
        let longest = self.manners.longest_line;
        let Some(end) = newline.or_else(|| self.ended.then_some(self.buffer.len())) else {
            self.searched = self.buffer.len();
            if self.skipped.is_some() || self.buffer.len() > longest {
                self.skip(self.buffer.len());
            }
            return None;
        };
        self.searched = 0;
        let line = if self.skipped.is_some() || end > longest {
            self.skip(end);
            let skipped = self.skipped.take();
            InputLine::TooLong(skipped.map(IdFinder::found).unwrap_or_default())
        } else {
            InputLine::Whole(self.buffer.split_to(end))
        };
        if newline.is_some() {
            self.buffer.advance(1);
            return Some(line);
        }
        let is_nothing = matches!(&line, InputLine::Whole(line) if line.is_empty());
        (!is_nothing).then_some(line)
    }

    /// Drops the first `count` bytes of the buffer, which belong to a line that is too long.
    fn skip(&mut self, count: usize) {
        let piece = self.buffer.split_to(count);
        self.skipped.get_or_insert_default().read(&piece);
        self.searched = 0;
    }
}

/// A line of input.
enum InputLine {
    Whole(BytesMut),
    /// The ids that were found in it.
    TooLong(Vec<RequestId>),
}

impl<W> LineOutput<W> {
    fn under_way(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, id: &RequestId) {
        self.under_way().remove(id);
        self.answered.notify_waiters();
    }

    /// Appends a message to the waiting ones.
    fn queue(&self, message: &Outgoing) -> io::Result<()> {
        let mut waiting = self.waiting();
        let before = waiting.len();
        if let Err(error) = serde_json::to_writer(&mut *waiting, message) {
            waiting.truncate(before);
            return Err(error.into());
        }
        waiting.push(b'\n');
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin> LineOutput<W> {
    /// Writes all waiting lines. Can be dropped at any await: the next flush continues where it stopped.
    async fn flush(&self) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        let result = writer.write_all_of(|lines| {
            lines.clear();
            std::mem::swap(&mut *self.waiting(), lines);
        });
        let result = result.await;
        if result.is_err() {
            self.broken.cancel();
        }
        result
    }
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    async fn write_all_of(&mut self, refill: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        loop {
            while self.written < self.lines.len() {
                let count = self.write.write(&self.lines[self.written..]).await?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.written += count;
            }
            self.written = 0;
            if self.lines.capacity() > KEPT_BUFFER {
                self.lines = Vec::new();
            }
            refill(&mut self.lines);
            if self.lines.is_empty() {
                return self.write.flush().await;
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, item: Outgoing) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let id = match &item {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let queued = self.out.queue(&item);
        drop(item);
        let out = Arc::clone(&self.out);
        async move {
            let result = match queued {
                Ok(()) => out.flush().await,
                Err(error) => Err(error),
            };
            if let Some(id) = id {
                out.done(&id);
            }
            result
        }
    }

    // The service drops this future whenever another event arrives; everything that was read stays in `self`.
    async fn receive(&mut self) -> Option<Incoming> {
        loop {
            if self.out.broken.is_cancelled() {
                return None;
            }
            if !self.out.waiting().is_empty() && self.out.flush().await.is_err() {
                return None;
            }
            loop {
                let answered = self.out.answered.notified();
                if self.out.under_way().len() < self.manners.in_flight {
                    break;
                }
                answered.await;
            }
            if let Some(line) = self.next_line() {
                let read = match line {
                    InputLine::Whole(line) => read(&line),
                    InputLine::TooLong(ids) => {
                        ParsedLine::Refused(ids, too_long(self.manners.longest_line))
                    }
                };
                match read {
                    ParsedLine::Message(message) => {
                        if let Some(message) = self.accept(*message) {
                            return Some(message);
                        }
                    }
                    ParsedLine::Nothing => {}
                    ParsedLine::Refused(ids, error) => {
                        tracing::warn!("message refused: {}", error.message);
                        self.refuse(&ids, &error);
                    }
                }
                continue;
            }
            if self.ended {
                return self.end().await;
            }
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(8 << 10);
            let broken = self.out.broken.clone();
            let read = tokio::select! {
                read = self.read.read_buf(&mut self.buffer) => read,
                () = broken.cancelled() => return None,
            };
            match read {
                Ok(1..) => {}
                Ok(0) => self.ended = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!("stdin: {error}");
                    self.ended = true;
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.out.flush().await
    }
}

impl<R, W> LineTransport<R, W> {
    /// After the end of input: waits for the outstanding answers, then ends.
    async fn end(&mut self) -> Option<Incoming> {
        let grace = self.manners.grace;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + grace);
        loop {
            let answered = self.out.answered.notified();
            if self.out.under_way().is_empty() {
                return None;
            }
            tokio::select! {
                () = answered => {}
                () = self.out.broken.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("stdin has ended and some calls are still not answered");
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rmcp::model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerConfig,
    };
    use rmcp::service::RequestContext;
    use rmcp::{ServerHandler, ServiceExt};
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, DuplexStream};

    use super::*;

    /// Answers each call after the number of milliseconds in the tool's name, and counts the calls under way.
    #[derive(Clone, Default)]
    struct Waiter {
        now: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
        cancelled: Arc<AtomicUsize>,
    }

    impl ServerHandler for Waiter {
        fn get_info(&self) -> ServerConfig {
            ServerConfig::default()
        }

        async fn call_tool(
            &self,
            request: CallToolRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<CallToolResponse, ErrorData> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let ms = request.name.parse().unwrap_or(0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(ms)) => {}
                () = context.ct.cancelled() => {
                    self.cancelled.fetch_add(1, Ordering::SeqCst);
                }
            }
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(CallToolResult::success(vec![ContentBlock::text("done")]).into())
        }
    }

    const LIMITS: TransportLimits = TransportLimits {
        in_flight: 4,
        longest_line: 1 << 20,
        grace: Duration::from_mins(1),
    };

    fn initialize() -> String {
        line(&json!({
            "jsonrpc": "2.0", "id": "start", "method": "initialize",
            "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } },
        }))
    }

    fn call(id: i64, ms: u64) -> String {
        line(&json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": ms.to_string(), "arguments": { "a": 1 } },
        }))
    }

    fn line(message: &Value) -> String {
        format!("{message}\n")
    }

    /// Sends all input together, closes it, and returns the answers that arrive until the server ends.
    async fn talk(waiter: Waiter, input: impl AsRef<[u8]>) -> Vec<Value> {
        let (theirs, mut ours) = tokio::io::duplex(1 << 20);
        let (out_theirs, mut out_ours) = tokio::io::duplex(1 << 20);
        let broken = CancellationToken::new();
        let lines = LineTransport::new(theirs, out_theirs, LIMITS, broken.clone());
        let serving = tokio::spawn(serve(waiter, lines, broken));
        ours.write_all(input.as_ref()).await.expect("written");
        drop(ours);
        let mut answers = String::new();
        out_ours.read_to_string(&mut answers).await.expect("UTF-8");
        serving.await.expect("no panic");
        answers
            .lines()
            .map(|line| serde_json::from_str(line).expect("one JSON message per line"))
            .collect()
    }

    async fn serve(
        waiter: Waiter,
        lines: LineTransport<DuplexStream, DuplexStream>,
        broken: CancellationToken,
    ) {
        if let Ok(running) = waiter.serve_with_ct(lines, broken).await {
            running.waiting().await.expect("no panic");
        }
    }

    fn ids(answers: &[Value]) -> Vec<Value> {
        answers.iter().map(|a| a["id"].clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_request_with_an_id_under_way_is_refused() {
        let waiter = Waiter::default();
        let most = waiter.most.clone();
        let input = initialize() + &call(7, 1000).repeat(20) + &call(8, 1000);
        let answers = talk(waiter, input).await;
        let with = |id: i64| answers.iter().filter(move |answer| answer["id"] == id);
        assert_eq!(with(7).count(), 20, "{answers:#?}");
        assert_eq!(with(7).filter(|it| it["result"].is_object()).count(), 1);
        let refused = with(7).find(|it| it["error"].is_object()).expect("refused");
        let message = refused["error"]["message"].as_str().expect("a text");
        assert!(message.contains("id 7 is under way"), "{message}");
        assert_eq!(with(8).filter(|it| it["result"].is_object()).count(), 1);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_id_can_be_reused() {
        let (theirs, mut ours) = tokio::io::duplex(1 << 20);
        let (out_theirs, out_ours) = tokio::io::duplex(1 << 20);
        let broken = CancellationToken::new();
        let lines = LineTransport::new(theirs, out_theirs, LIMITS, broken.clone());
        let serving = tokio::spawn(serve(Waiter::default(), lines, broken));
        let mut answers = tokio::io::BufReader::new(out_ours).lines();
        for message in [initialize(), call(7, 1), call(7, 1)] {
            ours.write_all(message.as_bytes()).await.expect("written");
            let answer = answers.next_line().await.expect("read").expect("a line");
            assert!(answer.contains("\"result\""), "{answer}");
        }
        drop(ours);
        serving.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn outstanding_answers_are_sent_after_the_end_of_input() {
        let input = initialize() + &call(1, 20_000) + &call(2, 10);
        let answers = talk(Waiter::default(), input.trim_end()).await;
        assert_eq!(ids(&answers), [json!("start"), json!(2), json!(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_at_the_end_of_input_has_a_limit() {
        let input = initialize() + &call(1, 10_000_000);
        let answers = talk(Waiter::default(), input).await;
        assert_eq!(ids(&answers), [json!("start")]);
    }

    #[tokio::test(start_paused = true)]
    async fn work_in_flight_is_bounded() {
        let waiter = Waiter::default();
        let calls: String = (0..50).map(|id| call(id, 10)).collect();
        let answers = talk(waiter.clone(), initialize() + &calls).await;
        assert_eq!(answers.len(), 51);
        assert!(waiter.most.load(Ordering::SeqCst) <= LIMITS.in_flight);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_ends_and_gets_no_answer() {
        let waiter = Waiter::default();
        let cancel = line(&json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 },
        }));
        let input = initialize() + &call(1, 50_000) + &cancel + &call(2, 10);
        let answers = talk(waiter.clone(), input).await;
        assert_eq!(ids(&answers), [json!("start"), json!(2)]);
        assert_eq!(waiter.cancelled.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn line_ends_byte_order_marks_and_blank_lines_are_accepted() {
        let notification = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
        let input = format!(
            "\n\r\n{notification}\u{feff}{}\r\n  \n{}",
            initialize().trim_end(),
            call(7, 1).trim_end()
        );
        let answers = talk(Waiter::default(), input).await;
        assert_eq!(ids(&answers), [json!("start"), json!(7)]);
    }

    #[tokio::test(start_paused = true)]
    async fn invalid_lines_are_refused_and_later_ones_answered() {
        const INVALID: i64 = -32600;
        const NOT_JSON: i64 = -32700;
        let long = "x".repeat(LIMITS.longest_line + 1);
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let text = |text: &str| {
            format!(
                r#"{{"method":"tools/call","params":{{"name":"1","arguments":{{"a":{text}}}}},"jsonrpc":"2.0","id":7}}"#
            )
        };
        for (line, code, id) in [
            (b"nonsense".to_vec(), NOT_JSON, json!(null)),
            (b"{\"a\":".to_vec(), NOT_JSON, json!(null)),
            (b"\0".to_vec(), NOT_JSON, json!(null)),
            (text(r#""\ud83d""#).into(), NOT_JSON, json!(7)),
            (text(r#""\ude00 ""#).into(), NOT_JSON, json!(7)),
            (text("1e400").into(), NOT_JSON, json!(7)),
            (text("NaN").into(), NOT_JSON, json!(7)),
            (text("-Infinity").into(), NOT_JSON, json!(7)),
            (text("\"a\tb\"").into(), NOT_JSON, json!(7)),
            (text("\"a\u{1b}b\"").into(), NOT_JSON, json!(7)),
            (text(&deep).into(), NOT_JSON, json!(7)),
            (text("'a'").into(), NOT_JSON, json!(7)),
            (
                b"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"\xff\xfe\"}".to_vec(),
                NOT_JSON,
                json!("x"),
            ),
            (
                br#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"na"#.to_vec(),
                NOT_JSON,
                json!(6),
            ),
            (
                format!("{} garbage", call(1, 1).trim_end()).into(),
                NOT_JSON,
                json!(1),
            ),
            (
                format!(r#"{{"id":9,"method":"{long}"}}"#).into(),
                INVALID,
                json!(9),
            ),
            (
                format!(r#"{{"method":"{long}","id":9}}"#).into(),
                INVALID,
                json!(9),
            ),
            (long.clone().into(), INVALID, json!(null)),
            (b"[]".to_vec(), INVALID, json!(null)),
            (
                format!("[{}]", call(1, 1).trim_end()).into(),
                INVALID,
                json!(1),
            ),
            (b"17".to_vec(), INVALID, json!(null)),
            (b"{}".to_vec(), INVALID, json!(null)),
            (b"{\"id\":3}".to_vec(), INVALID, json!(3)),
            (
                br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(),
                INVALID,
                json!(null),
            ),
            (
                br#"{"jsonrpc":"1.0","id":4,"method":"tools/call","params":{"name":"1"}}"#.to_vec(),
                INVALID,
                json!(4),
            ),
        ] {
            let shown = String::from_utf8_lossy(&line[..line.len().min(90)]).into_owned();
            let refusal = |answers: &[Value]| {
                let errors: Vec<_> = answers.iter().filter(|a| !a["error"].is_null()).collect();
                assert_eq!(errors.len(), 1, "{shown}: {answers:?}");
                assert_eq!(errors[0]["error"]["code"], code, "{shown}: {}", errors[0]);
                assert_eq!(errors[0]["id"], id, "{shown}: {}", errors[0]);
                assert_eq!(errors[0]["jsonrpc"], "2.0");
            };
            // Before `initialize`, between calls, and as the last line without a line end.
            let greeting = initialize();
            let input = [
                &line[..],
                b"\r\n",
                greeting.as_bytes(),
                call(5, 1).as_bytes(),
            ]
            .concat();
            let answers = talk(Waiter::default(), input).await;
            assert!(ids(&answers).contains(&json!(5)), "{shown}");
            refusal(&answers);
            let input = [greeting.as_bytes(), &line].concat();
            refusal(&talk(Waiter::default(), input).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_on_a_shared_line_is_answered() {
        let (one, two) = (call(1, 1), call(2, 1));
        let (one, two) = (one.trim_end(), two.trim_end());
        let result = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
        for line in [
            format!("[{one},{two},{result}]"),
            format!("[{one},{two},NaN]"),
            format!("{one} {two}"),
            format!("{one}{two}"),
        ] {
            let answers = talk(Waiter::default(), initialize() + &line).await;
            assert_eq!(ids(&answers[1..]), [json!(1), json!(2)], "{line}");
            assert!(answers[1..].iter().all(|it| it["error"].is_object()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_request_is_answered_with_an_initialize_line_to_send() {
        let list = line(&json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" }));
        let other = line(&json!({ "jsonrpc": "2.0", "id": "o", "method": "no/such" }));
        let ping = line(&json!({ "jsonrpc": "2.0", "id": 4, "method": "ping" }));
        let note = line(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        let early = [ping, note.clone(), call(7, 1), list, other, note].concat();
        let answers = talk(Waiter::default(), early.clone()).await;
        assert_eq!(
            ids(&answers),
            [json!(4), json!(7), json!(3), json!("o")],
            "{answers:?}"
        );
        assert!(answers[0]["result"].is_object());
        let mut line_to_send = String::new();
        for answer in &answers[1..] {
            let message = answer["error"]["message"].as_str().expect("an error");
            assert!(message.starts_with("send `initialize` first"), "{message}");
            let at = message.find('{').expect("a line");
            line_to_send = format!("{}\n", &message[at..]);
        }
        // As the message says: that line, then the same request again.
        let answers = talk(Waiter::default(), early + &line_to_send + &call(7, 1)).await;
        let [.., greeting, done] = &answers[..] else {
            panic!("{answers:?}");
        };
        assert!(greeting["result"]["serverInfo"].is_object(), "{greeting}");
        assert!(done["result"].is_object() && done["id"] == 7, "{done}");
    }

    /// A call with this id, damaged at a position that leaves the id intact.
    fn damaged(id: &Value, random: &mut fastrand::Rng) -> Vec<u8> {
        const VALUES: [&[u8]; 18] = [
            br#""\ud83d""#,
            br#""hi \ude00 there""#,
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"01",
            b"+1",
            b"'a'",
            b"undefined",
            b"\"\xff\xfe\"",
            b"\"\xc3\"",
            b"\"a\tb\"",
            b"\"\\x41\"",
            b"[1,]",
            b"{\"a\":1,}",
            b"{\"a\":1,\"a\":2}",
            b"None",
            b"/* why */ 1",
        ];
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        let long = format!("\"{}\"", "x".repeat(1000));
        let mut value = match random.usize(..VALUES.len() + 2) {
            0 => deep.into_bytes(),
            1 => long.into_bytes(),
            other => VALUES[other - 2].to_vec(),
        };
        let arguments = [b"{\"a\":", &*value, b",\"b\":[true,null,\"x\"]}"].concat();
        value = [b"{\"name\":\"1\",\"arguments\":", &*arguments, b"}"].concat();
        // A byte removed or replaced, so that quotes and braces may be unbalanced.
        let mutations = random.usize(..3);
        for _ in 0..mutations {
            let at = random.usize(..value.len());
            if random.bool() {
                value.remove(at);
            } else {
                value[at] = *random.choice(b"{}[],:\"x0\\ \x00\xff").expect("a byte");
            }
        }
        let mut members = [
            b"\"jsonrpc\":\"2.0\"".to_vec(),
            b"\"method\":\"tools/call\"".to_vec(),
            format!("\"id\": {id}").into_bytes(),
            [b"\"params\":", &*value].concat(),
        ];
        random.shuffle(&mut members);
        let mut line = [b"{", &*members.join(&b","[..]), b"}"].concat();
        if mutations == 0 && random.u8(..4) == 0 {
            line.extend_from_slice(b" trailing");
        }
        line.retain(|byte| *byte != b'\n');
        line
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_damaged_lines_are_answered_by_id() {
        const LINES: i64 = 10_000;
        const AT_ONCE: usize = 500;
        let mut random = fastrand::Rng::with_seed(13);
        let all: Vec<i64> = (0..LINES).collect();
        for some in all.chunks(AT_ONCE) {
            let mut input = initialize().into_bytes();
            let mut sent = Vec::new();
            for number in some {
                let id = if number % 3 == 0 {
                    json!(format!("call {number}"))
                } else {
                    json!(number)
                };
                let line = damaged(&id, &mut random);
                input.extend_from_slice(&line);
                input.push(b'\n');
                sent.push((id, line));
            }
            let answers = ids(&talk(Waiter::default(), input).await);
            for (id, line) in sent {
                let shown = String::from_utf8_lossy(&line);
                assert!(answers.contains(&id), "no answer to {shown}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn notifications_get_no_answer() {
        let input = [
            initialize().as_str(),
            "{\"jsonrpc\":\"2.0\",\"method\":\"unknown/method\"}\n",
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":{}}}\n",
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":[1]}\n",
            "{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{}}\n\n \t \n",
            &call(5, 1),
        ]
        .concat();
        let answers = talk(Waiter::default(), input).await;
        assert_eq!(ids(&answers), [json!("start"), json!(5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_cancels_its_calls() {
        let waiter = Waiter::default();
        let (theirs, mut ours) = tokio::io::duplex(1 << 16);
        let (out_theirs, out_ours) = tokio::io::duplex(1 << 16);
        let broken = CancellationToken::new();
        let lines = LineTransport::new(theirs, out_theirs, LIMITS, broken.clone());
        let serving = tokio::spawn(serve(waiter.clone(), lines, broken));
        ours.write_all((initialize() + &call(1, 100_000)).as_bytes())
            .await
            .expect("written");
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(out_ours);
        ours.write_all(call(2, 1).as_bytes())
            .await
            .expect("written");
        serving.await.expect("the server ends");
        assert_eq!(waiter.cancelled.load(Ordering::SeqCst), 1);
    }
}
