// Counts the tokens (o200k) of the lists of tools as models read them: names, descriptions and input schemas, of the default
// list and of the profile `compose`. Fails above the bounds, which leave a margin for other tokenizers.
// Usage: node tokens.mjs EXECUTABLE
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Tiktoken } from "js-tiktoken/lite";
import ranks from "js-tiktoken/ranks/o200k_base";

// The promise is 6,000 and 2,500.
const BOUNDS = [
  { options: [], tokens: 5950 },
  { options: ["--tools", "compose"], tokens: 2450 },
];

const [executable] = process.argv.slice(2);
const encoding = new Tiktoken(ranks);
let isOver = false;
for (const { options, tokens } of BOUNDS) {
  const folder = mkdtempSync(join(tmpdir(), "tokens-"));
  const args = ["serve", "--backend", "embedded", "--data-dir", folder, ...options];
  const client = new Client({ name: "tokens", version: "1" });
  await client.connect(new StdioClientTransport({ command: executable, args }));
  const { tools } = await client.listTools();
  await client.close();
  rmSync(folder, { recursive: true, force: true });
  const counts = tools.map(({ name, description, inputSchema }) => ({
    name,
    tokens: encoding.encode(JSON.stringify({ name, description, parameters: inputSchema })).length,
  }));
  const total = counts.reduce((sum, one) => sum + one.tokens, 0);
  console.log(`${options.join(" ") || "default"}: ${tools.length} tools, ${total} tokens, at most ${tokens}`);
  if (total > tokens) {
    isOver = true;
    counts.sort((one, other) => other.tokens - one.tokens);
    console.log(counts.map((one) => `  ${one.tokens} ${one.name}`).join("\n"));
  }
}
process.exitCode = isOver ? 1 : 0;
