// Runs examples/n8n/workflow.json as n8n does: its expressions are evaluated as JavaScript, each item keeps the items that
// it comes from, and its MCP calls go through the official TypeScript SDK, as those of n8n's node "MCP Client".
// Arguments: the executable, the workflow, a clip.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [executable, file, clip] = process.argv.slice(2);
const workflow = JSON.parse(readFileSync(file, "utf8"));
const nodes = new Map(workflow.nodes.map((node) => [node.name, node]));

/** An item of a node's output; `from` has the items that it comes from, by the name of their node. */
const item = (json, from) => ({ json, from });

/** The value of a setting for an item. */
function evaluated(value, input) {
    if (Array.isArray(value)) return value.map((inner) => evaluated(inner, input));
    if (value && typeof value === "object")
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, evaluated(inner, input)]));
    if (typeof value !== "string" || !value.startsWith("=")) return value;
    const [, expression] = value.match(/^=\{\{([^]*)\}\}$/);
    const of = (name) => ({ item: input.from[name] });
    return new Function("$json", "$", `return (${expression});`)(input.json, of);
}

async function call(url, node, input) {
    const settings = evaluated(node.parameters, input);
    const client = new Client({ name: node.type, version: String(node.typeVersion) });
    try {
        await client.connect(new StreamableHTTPClientTransport(new URL(url)));
        const request = { name: settings.tool.value, arguments: settings.parameters.value };
        const result = await client.callTool(request, undefined, { timeout: settings.options.timeout });
        const content = result.content.map((part) => {
            try {
                return { ...part, text: JSON.parse(part.text) };
            } catch {
                return part;
            }
        });
        return { content };
    } catch (error) {
        // `onError: continueRegularOutput`, after the retries.
        return { error: error.message };
    } finally {
        await client.close();
    }
}

/** The outputs of a node for these items. */
async function execute(url, node, items, videos) {
    const map = (change) => Promise.all(items.map(async (input) => item(await change(input), input.from)));
    switch (node.type) {
        case "n8n-nodes-base.manualTrigger":
            return [items];
        case "n8n-nodes-base.set":
            if (node.parameters.mode === "raw") {
                assert.ok(Array.isArray(JSON.parse(node.parameters.jsonOutput).videos));
                return [await map(() => ({ videos }))];
            }
            return [
                await map((input) =>
                    Object.fromEntries(
                        evaluated(node.parameters.assignments.assignments, input).map((set) => [set.name, set.value]),
                    ),
                ),
            ];
        case "n8n-nodes-base.splitOut":
            return [
                items.flatMap((input) =>
                    input.json[node.parameters.fieldToSplitOut].map((json) => item(json, input.from)),
                ),
            ];
        case "n8n-nodes-base.if": {
            const holds = (input) =>
                evaluated(node.parameters.conditions.conditions, input).every((condition) => {
                    assert.deepEqual(condition.operator, { type: "string", operation: "startsWith" });
                    return String(condition.leftValue).startsWith(condition.rightValue);
                });
            return [items.filter(holds), items.filter((input) => !holds(input))];
        }
        case "@n8n/n8n-nodes-langchain.mcpClient": {
            const results = [];
            for (const input of items) results.push(item(await call(url, node, input), input.from));
            return [results];
        }
        default:
            throw new Error(`${node.name}: ${node.type} is not interpreted here`);
    }
}

/** Runs the workflow; returns the items of the nodes that nothing follows, by name. */
async function run(url, videos) {
    const ends = {};
    const queue = [["Start", [item({}, {})]]];
    while (queue.length > 0) {
        const [name, items] = queue.shift();
        const outputs = await execute(url, nodes.get(name), items, videos);
        const following = workflow.connections[name]?.main;
        if (!following) (ends[name] ??= []).push(...outputs[0].map((output) => output.json));
        for (const [index, output] of outputs.entries()) {
            for (const own of output) own.from = { ...own.from, [name]: own };
            for (const { node } of following?.[index] ?? []) if (output.length > 0) queue.push([node, output]);
        }
    }
    return ends;
}

const folder = mkdtempSync(join(tmpdir(), "capcut-n8n-"));
const server = spawn(
    executable,
    ["serve", "--http", "127.0.0.1:0", "--backend", "embedded", "--data-dir", folder, "--allow-dir", dirname(clip)],
    { stdio: ["ignore", "ignore", "pipe"] },
);
try {
    const url = await new Promise((resolve, reject) => {
        let said = "";
        server.stderr.on("data", (data) => {
            said += data;
            const found = said.match(/answers at (http:\/\/[0-9.:]+)/);
            if (found) resolve(`${found[1]}/mcp`);
        });
        server.on("exit", () => reject(new Error(said)));
    });
    const video = (title, video_url, effect_type) => ({ video_title: title, video_url, title_text: title, effect_type });
    const bad = video("Bad", join(dirname(clip), "nothing.mp4"), "fade_in");
    const odd = video("Odd", clip, "no such effect");
    const { Saved: saved, Failed: failed } = await run(url, [
        video("First", clip, "fade_in"),
        bad,
        odd,
        video("最后 \"2\"", clip, "fade_in"),
    ]);
    assert.equal(saved.length, 2);
    for (const row of saved) {
        assert.equal(row.status, "success");
        assert.match(row.draft_id, /^dfd_/);
        assert.ok(row.video_url, JSON.stringify(row));
    }
    assert.notEqual(saved[0].draft_id, saved[1].draft_id);
    assert.deepEqual(failed.map((row) => [row.config, row.status]), [[bad, "error"], [odd, "error"]]);
    for (const row of failed) assert.match(row.error, /^ERROR [a-z_]+: /);
    server.removeAllListeners("exit");
    server.kill();
    await new Promise((resolve) => server.on("exit", resolve));
    const gone = await run(url, [bad]);
    assert.match(gone.Failed[0].error, /^ERROR unavailable: /);
    console.log("the workflow of n8n: two drafts, two rows with errors, and a row without a server: ok");
} finally {
    server.removeAllListeners("exit");
    server.kill();
    rmSync(folder, { recursive: true });
}
