// Starts the server with each configuration and makes a draft, using the official TypeScript SDK, on which Claude Desktop,
// Cursor, VS Code and similar clients are built. The configurations in examples/clients name an executable of another
// machine, which is replaced by this one; those that `connect` wrote are used unchanged.
// Usage: node clients.mjs EXECUTABLE CONFIGURATION...
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [executable, ...files] = process.argv.slice(2);
if (files.length === 0) {
  throw new Error("usage: clients.mjs EXECUTABLE CONFIGURATION...");
}

// The two lines that `connect codex` writes; strings and lists of TOML look like those of JSON there.
function table(text) {
  const field = (name) => JSON.parse(text.match(new RegExp(`^${name} = (.*)$`, "m"))[1]);
  return { command: field("command"), args: field("args") };
}

function entryOf(file) {
  const text = readFileSync(file, "utf8");
  if (file.endsWith(".toml")) {
    return table(text.slice(text.indexOf("[mcp_servers.capcut]")));
  }
  const document = JSON.parse(text);
  const servers = document.mcpServers ?? document.servers ?? document.context_servers ?? document.mcp;
  const entry = servers?.capcut;
  if (Array.isArray(entry?.command)) {
    const [command, ...args] = entry.command;
    return { command, args, env: entry.environment };
  }
  return entry;
}

for (const file of files) {
  const entry = entryOf(file);
  if (basename(entry?.command ?? "") !== "capcut-mcp") {
    throw new Error(`${file} does not start capcut-mcp`);
  }
  const isWritten = entry.command === executable;
  const home = mkdtempSync(join(tmpdir(), "capcut-mcp-client-"));
  // APIs and folders of other machines are replaced by those of this machine.
  const env = isWritten ? { ...entry.env } : { ...process.env, ...entry.env, HOME: home, CAPCUT_MCP_DATA_DIR: home };
  if (env.CAPCUT_API_URL) {
    env.CAPCUT_API_URL = "http://127.0.0.1:9";
  }
  const transport = new StdioClientTransport({ command: isWritten ? entry.command : executable, args: entry.args, env, stderr: "inherit" });
  const client = new Client({ name: "clients", version: "1" });
  await client.connect(transport);
  const { tools } = await client.listTools();
  const reply = await client.callTool({ name: "create_draft", arguments: { width: 720 } });
  if (reply.isError || !reply.structuredContent?.draft_id) {
    throw new Error(`${file}: ${JSON.stringify(reply)}`);
  }
  await client.close();
  rmSync(home, { recursive: true });
  console.log(`${file}: ${tools.length} tools, ${reply.structuredContent.draft_id}`);
}
