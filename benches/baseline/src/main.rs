//! A minimal MCP server: one constant tool, forwarded with a keep-alive client.

use std::os::fd::AsFd;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::net::UnixStream;

struct Baseline {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    tools: Vec<Tool>,
}

impl Baseline {
    async fn forward(&self, arguments: &Value) -> Result<Value, Box<dyn std::error::Error>> {
        let body = Full::new(Bytes::from(serde_json::to_vec(arguments)?));
        let request = Request::post(&self.url)
            .header("content-type", "application/json")
            .body(body)?;
        let answer = self.client.request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        let mut envelope: Value = serde_json::from_slice(&body)?;
        Ok(envelope["output"].take())
    }
}

impl ServerHandler for Baseline {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let output = self
            .forward(&arguments)
            .await
            .map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
        Ok(CallToolResult::structured(output).into())
    }
}

fn socket(stream: &impl AsFd) -> Option<UnixStream> {
    let fd = stream.as_fd().try_clone_to_owned().ok()?;
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.local_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let url = std::env::var("CAPCUT_API_URL").expect("CAPCUT_API_URL");
        let schema = json!({ "type": "object", "properties": {} });
        let Value::Object(schema) = schema else {
            unreachable!()
        };
        let server = Baseline {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: format!("{url}/query_draft_status"),
            tools: vec![Tool::new("query_draft_status", "Asks.", Arc::new(schema))],
        };
        let sockets = socket(&std::io::stdin()).zip(socket(&std::io::stdout()));
        let running = match sockets {
            Some(pair) => server.serve(pair).await,
            None => server.serve(rmcp::transport::stdio_pipes()).await,
        };
        if let Ok(running) = running {
            running.waiting().await.expect("the server ran");
        }
    });
}
