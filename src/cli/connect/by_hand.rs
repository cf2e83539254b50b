//! What to enter in clients that have no configuration file.

use std::path::Path;

use super::clients::Shape;
use super::document::ConfigFormat;
use super::server::{self, LaunchCommand, ServeOptions};
use crate::cli::init;
use crate::error::{Error, Result};

/// The server's address as containers see it: the host's name in them, and a port that nothing else has there.
const FROM_CONTAINERS: &str = "http://host.docker.internal:8080/mcp";

/// The identifier of the server in the workflow files of `examples`.
const IDENTIFIER: &str = super::NAME;

/// The instructions for this client.
pub(super) fn steps(
    client: &str,
    name: &str,
    server: &LaunchCommand,
    words: &ServeOptions,
) -> Result<String> {
    let block = |server: &LaunchCommand| {
        let entry = server.entry(Shape::Plain);
        let block = ConfigFormat::Json.block("mcpServers", name, &entry);
        block.map_err(|fault| Error::internal(fault.message))
    };
    Ok(match client {
        "cherry-studio" => {
            let arguments = server.args.join("\n              ");
            let link = server::link(client, name, server).unwrap_or_default();
            format!(
                "In Cherry Studio open Settings, MCP Servers, Add Server, and enter:

  Name:       {name}
  Type:       STDIO
  Command:    {}
  Arguments:  {arguments}

Each argument is on its own line. Or open this link, which fills in the same values:

  {link}
",
                server.command
            )
        }
        "dify" => dify(name, server, words),
        "n8n" => n8n(server, words),
        _ => block(server)?,
    })
}

/// The commands that make a token for a client and start the server for containers.
fn commands(client: &str, server: &LaunchCommand, words: &ServeOptions) -> String {
    let command = init::quoted(Path::new(&server.command));
    let written = |(name, value): &(&str, String)| -> String {
        let words = server::words_of(name, value).into_iter();
        words
            .map(|word| format!(" {}", init::quoted(Path::new(&word))))
            .collect()
    };
    let data_dir: String = words
        .iter()
        .filter(|(name, _)| *name == "--data-dir")
        .map(written)
        .collect();
    let options: String = words.iter().map(written).collect();
    format!(
        "  {command} token add {client}{data_dir}
  {command} serve --http 0.0.0.0:8080{options}"
    )
}

fn dify(name: &str, server: &LaunchCommand, words: &ServeOptions) -> String {
    format!(
        "1. Start the server on the machine with Dify's containers. They reach it over the network, so it needs a token,
   which the first command prints:

{}

2. Let Dify's proxy reach it. In Dify's folder `docker`, add to `.env`

  SSRF_PROXY_ALLOW_PRIVATE_DOMAINS=host.docker.internal

   and, on Linux, to `docker-compose.override.yml`

  services:
    ssrf_proxy:
      extra_hosts: [\"host.docker.internal:host-gateway\"]

   Then: docker compose up -d --force-recreate ssrf_proxy

3. In Dify open Tools, MCP, Add MCP Server (HTTP), and enter:

  Server URL:         {FROM_CONTAINERS}
  Name:               {name}
  Server Identifier:  {name}
  Headers:            Authorization: Bearer TOKEN
  Timeout:            30
  SSE Read Timeout:   300

The workflow files in examples/dify expect the identifier `{IDENTIFIER}`. The text of a failed call starts with
`ERROR `: Dify does not stop a workflow then, so branch on it.
",
        commands("dify", server, words)
    )
}

fn n8n(server: &LaunchCommand, words: &ServeOptions) -> String {
    format!(
        "1. Start the server. If n8n runs in a container, it reaches the server over the network, so it needs a token, which
   the first command prints:

{}

   On Linux, n8n's container also needs `--add-host host.docker.internal:host-gateway`. If n8n runs on this machine
   without a container, its address is http://127.0.0.1:8080/mcp.

2. In n8n add a credential of the type Bearer Auth with the token.

3. Import examples/n8n/workflow.json, or add the node MCP Client (or MCP Client Tool for an AI Agent):

  Server Transport:   HTTP Streamable
  MCP Endpoint URL:   {FROM_CONTAINERS}
  Authentication:     Bearer Auth
  Timeout:            300000
",
        commands("n8n", server, words)
    )
}
