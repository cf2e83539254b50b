// Starts the server with each configuration in examples/clients and makes a draft, using the official TypeScript SDK,
// on which Claude Desktop, Cursor, VS Code and similar clients are built.
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
for (const file of files) {
  const configuration = JSON.parse(readFileSync(file, "utf8"));
  const servers = configuration.mcpServers ?? configuration.servers;
  const entry = servers?.capcut;
  if (basename(entry?.command ?? "") !== "capcut-mcp") {
    throw new Error(`${file} does not start capcut-mcp`);
  }
  const home = mkdtempSync(join(tmpdir(), "capcut-mcp-client-"));
  // APIs and folders of other machines in the configuration are replaced by those of this machine.
  const env = { ...process.env, ...entry.env, HOME: home, CAPCUT_MCP_DATA_DIR: home };
  if (env.CAPCUT_API_URL) {
    env.CAPCUT_API_URL = "http://127.0.0.1:9";
  }
  const transport = new StdioClientTransport({ command: executable, args: entry.args, env, stderr: "inherit" });
  const client = new Client({ name: "clients", version: "1" });
  await client.connect(transport);
  const { tools } = await client.listTools();
  const reply = await client.callTool({ name: "create_draft", arguments: { width: 720 } });
  if (reply.isError || !reply.structuredContent?.draft_id) {
    throw new Error(`${file}: ${JSON.stringify(reply)}`);
  }
  await client.close();
  rmSync(home, { recursive: true });
  console.log(`${basename(file)}: ${tools.length} tools, ${reply.structuredContent.draft_id}`);
}
