//! What to enter in clients that have no configuration file.

use super::clients::Shape;
use super::document::ConfigFormat;
use super::server::{self, LaunchCommand, ServeOptions};
use crate::error::{Error, Result};

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
                "In Cherry Studio open Settings, MCP Servers, Add LaunchCommand, and enter:

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
        "dify" => {
            let folder = "/app/storage";
            let inside = LaunchCommand::new(
                format!("{folder}/capcut-mcp"),
                words,
                Some(&format!("{folder}/capcut-mcp-data")),
            );
            format!(
                "In the settings of a Dify plugin that starts MCP servers over stdio, enter:

{}
The command runs inside the plugin's container: copy a Linux executable of capcut-mcp to {folder}, which is
a volume, so that the executable and the drafts persist. In the container, 127.0.0.1 is the container itself;
a CapCut API on the host is http://host.docker.internal:9000 (`--api-url`). The container must be able to
reach the media, too.
Dify's built-in MCP client connects over HTTP only, which this version does not serve.
",
                block(&inside)?
            )
        }
        _ => block(server)?,
    })
}
