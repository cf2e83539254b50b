// Shows drafts in the view of MCP Apps: in the official Inspector, with Debian's Chromium. The frame must be painted, the slider, the clips and the
// keyboard must bring other frames, in both languages and both schemes, without an error in the console and without a finding of axe.
// Usage: node app.mjs EXECUTABLE INSPECTOR MEDIA [SCREENSHOT]
// INSPECTOR is its launcher, MEDIA a folder with `clip.mp4` and `logo.png`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { chromium } from "playwright-core";

const [executable, inspector, media, screenshot] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const home = mkdtempSync(join(tmpdir(), "capcut-mcp-app-"));
const children = [];

function start(command, args, env) {
  const child = spawn(command, args, { env: { ...process.env, HOME: home, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  child.text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.text += data));
  return child;
}

async function until(what, found) {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = await found();
    if (value) return value;
    assert(Date.now() < end, `${what}: not within 60 s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

// A video, a moving title, and as many captions as are wanted.
function plan(texts) {
  const caption = (n) => ({ text: `Caption ${n + 1} 字幕`, start: n * 0.1, end: n * 0.1 + 0.09, track_name: "captions" });
  return {
    name: "App",
    width: 1280,
    height: 720,
    save: false,
    visuals: [
      { video_url: join(media, "clip.mp4") },
      { image_url: join(media, "logo.png"), track_name: "logo", target_start: 0, duration: 2, scale_x: 0.4, scale_y: 0.4 },
    ],
    texts: Array.from({ length: texts }, (_, n) => caption(n)),
  };
}

// The draft of the screenshot.
const trip = {
  name: "Trip",
  width: 1280,
  height: 720,
  save: false,
  visuals: [
    { image_url: join(media, "picture.jpg"), duration: 4, fit: "cover", transition: "Dissolve" },
    { video_url: join(media, "clip.mp4") },
    { image_url: join(media, "logo.png"), track_name: "logo", target_start: 0, duration: 3, scale_x: 0.25, scale_y: 0.25, position: "top_right" },
  ],
  texts: ["Day 1", "Along the coast", "Home again"].map((text, n) => ({ text, start: 0.5 + n * 2.5, end: 2.7 + n * 2.5, font_size: 12 })),
  audio: [{ audio_url: join(media, "music.mp3"), fit: "video" }],
};

// The pixels of the canvas as one number, and its size.
const picture = (frame) =>
  frame.evaluate(() => {
    const canvas = document.querySelector("canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let sum = 0;
    for (const value of data) sum = (sum * 31 + value) >>> 0;
    return { width, height, sum };
  });
const state = (frame) => frame.locator("#state").innerText();
const isDrawn = async (frame) => /^Frame at|的画面$/.test(await state(frame));

// The least that a host does: an iframe with the policy of the specification, the handshake, calls of tools, and results of which only `content`
// arrives, as in some hosts. Checks the messages of the view, what it does with the host's context, and how it shows errors.
async function inBareHost(browser, client, draft) {
  const { contents } = await client.readResource({ uri: "ui://capcut-mcp/preview.html" });
  const policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; connect-src 'none'";
  const page = await browser.newPage({ viewport: { width: 390, height: 800 } });
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  const calls = [];
  let isBroken = false;
  await page.exposeFunction("callTool", async (params) => {
    calls.push(params);
    // A job that runs for a while.
    if (params.name === "job_status") {
      const reply = calls.length < 3 ? { status: "running", job_id: "j", done: 1, total: 4 } : { status: "complete", draft_id: draft, message: "made" };
      return { content: [{ type: "text", text: JSON.stringify(reply) }] };
    }
    return client.callTool({ name: params.name, arguments: isBroken ? { ...params.arguments, at: 1000 } : params.arguments });
  });
  await page.setContent("<!doctype html><title>Host</title><iframe title='view' sandbox='allow-scripts' style='width:100%;height:700px'></iframe>");
  await page.evaluate(({ html, policy }) => {
    const view = document.querySelector("iframe");
    window.received = [];
    window.post = (message) => view.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
    addEventListener("message", async ({ data }) => {
      window.received.push(data);
      if (data.method === "ui/initialize") {
        const hostContext = { theme: "dark", locale: "zh-Hans-CN", styles: { variables: { "--color-text-primary": "rgb(1, 2, 3)" } } };
        window.post({ id: data.id, result: { protocolVersion: "2026-01-26", hostCapabilities: {}, hostInfo: { name: "bare", version: "1" }, hostContext } });
      }
      if (data.method === "tools/call") window.post({ id: data.id, result: await window.callTool(data.params) });
    });
    view.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${policy}">`);
  }, { html: contents[0].text, policy });
  const received = (found) => until(`the message ${found}`, () => page.evaluate((found) => window.received.find((one) => one.method === found || one.id === found), found));
  const post = (message) => page.evaluate((message) => window.post(message), message);
  const begun = await received("ui/initialize");
  assert.equal(begun.params.protocolVersion, "2026-01-26");
  assert.deepEqual(begun.params.appCapabilities, { availableDisplayModes: ["inline"] });
  await received("ui/notifications/initialized");
  const frame = page.frames()[1];
  const style = (name) => frame.evaluate((name) => getComputedStyle(document.body)[name], name);
  assert.equal(await style("colorScheme"), "dark");
  assert.equal(await style("color"), "rgb(1, 2, 3)");
  assert.equal(await state(frame), "正在等待草稿…");

  await post({ method: "ui/notifications/tool-input", params: { arguments: { plan: {} } } });
  const running = { status: "running", job_id: "j" };
  await post({ method: "ui/notifications/tool-result", params: { content: [{ type: "text", text: JSON.stringify(running) }] } });
  await until("the frame after the job", () => isDrawn(frame));
  assert.deepEqual(calls.map((call) => call.name), ["job_status", "job_status", "job_status", "preview_frame"]);
  assert.equal(await frame.locator("#facts").innerText(), "made");
  assert.equal(await frame.locator("#timeline li").count(), 100);
  const { params } = await page.evaluate(() => window.received.findLast((one) => one.method === "ui/notifications/size-changed"));
  const height = await frame.evaluate(() => Math.ceil(document.body.getBoundingClientRect().height));
  assert.equal(params.height, height);
  assert(height > 300, `${height}`);
  const wide = await frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(wide <= 0, `${wide} pixels too wide`);

  // The context may change later; what is not named stays.
  await post({ method: "ui/notifications/host-context-changed", params: { theme: "light", locale: "en" } });
  await until("English", async () => /^Frame at/.test(await state(frame)));
  assert.equal(await style("colorScheme"), "light");
  assert.equal(await style("color"), "rgb(1, 2, 3)");

  // An error is shown, and the next frame removes it.
  const before = await picture(frame);
  isBroken = true;
  await frame.locator("#time").fill("3");
  const fault = frame.locator("#fault");
  await until("an error", async () => (await fault.isVisible()) && /after the end of the draft/.test(await fault.innerText()));
  assert.deepEqual(await picture(frame), before);
  isBroken = false;
  await frame.locator("#time").fill("3");
  await until("the frame after the error", async () => (await isDrawn(frame)) && !(await fault.isVisible()));

  await post({ id: "p", method: "ping" });
  assert.deepEqual((await received("p")).result, {});
  await post({ id: "u", method: "ui/unknown" });
  assert.equal((await received("u")).error.code, -32601);
  await post({ id: "t", method: "ui/resource-teardown", params: { reason: "test" } });
  assert.deepEqual((await received("t")).result, {});
  const count = calls.length;
  await frame.locator("#time").fill("1");
  await page.waitForTimeout(1000);
  assert.equal(calls.length, count, "calls after the end");
  assert.deepEqual(problems, [], "problems in the bare host");
  await page.close();
  console.log("the view in a bare host: handshake, context, job, error, ping and end: ok");
}

try {
  const port = await freePort();
  const server = start(executable, [
    "serve", "--http", `127.0.0.1:${port}`, "--backend", "embedded", "--data-dir", home, "--allow-dir", media,
  ]);
  const url = `http://127.0.0.1:${port}/mcp`;
  await until("the server", () => fetch(`http://127.0.0.1:${port}/health`).then((answer) => answer.ok, () => false));

  // A draft with 100 clips, made by the official SDK as a host.
  const capabilities = { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } } };
  const client = new Client({ name: "app", version: "1" }, { capabilities });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const made = await client.callTool({ name: "compose_draft", arguments: { plan: plan(98) } });
  const shown = await client.callTool({ name: "preview_frame", arguments: { draft_id: made.structuredContent.draft_id, at: 0.5 } });
  for (const [name, result] of Object.entries({ made, shown })) {
    assert(!result.isError, JSON.stringify(result));
    const { length } = JSON.stringify(result);
    assert(length < 90_000, `${name}: ${length} characters`);
    const { tracks, left_out } = result._meta["capcut-mcp/timeline"];
    assert.equal(tracks.reduce((sum, track) => sum + track.clips.length, left_out), 100);
    console.log(`${name}: ${length} characters for 100 clips`);
  }

  const [page_port, sandbox] = [await freePort(), await freePort()];
  const token = randomBytes(24).toString("hex");
  start(process.execPath, [inspector, "--web"], {
    HOST: "127.0.0.1",
    CLIENT_PORT: String(page_port),
    MCP_SANDBOX_PORT: String(sandbox),
    MCP_AUTO_OPEN_ENABLED: "false",
    MCP_INSPECTOR_API_TOKEN: token,
  });
  const base = `http://127.0.0.1:${page_port}/`;
  await until("the Inspector", () => fetch(base).then((answer) => answer.ok, () => false));

  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  // Opens the app of a tool in the Inspector, as `docs/mcp-app-review.md` of the Inspector describes.
  async function open(tool, args, options, check) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...options });
    const page = await context.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(`page: ${error}`));
    page.on("console", (message) => {
      const isOurs = message.location().url.startsWith("about:srcdoc") || /Content Security Policy/i.test(message.text());
      if (isOurs && ["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
    });
    const coded = Buffer.from(JSON.stringify(args)).toString("base64url");
    await page.goto(`${base}?serverUrl=${encodeURIComponent(url)}&transport=http&autoConnect=${token}&openApp=${tool}&appArgs=${coded}`);
    await page.waitForSelector('[data-testid="connection-status"][data-status="connected"]', { timeout: 60_000 });
    await page.click('[data-testid="open-app"]');
    const frame = await until("the view", async () => {
      for (const one of page.frames()) {
        if (await one.locator("#timeline").count().catch(() => 0)) return one;
      }
      return null;
    });
    await frame.evaluate(() => addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective}`)));
    try {
      await until("a frame", () => isDrawn(frame));
      await check(frame, page);
    } catch (error) {
      console.log(await frame.locator("body").innerText(), problems);
      await page.screenshot({ path: join(tmpdir(), "app-failed.png") });
      throw error;
    }
    assert.deepEqual(problems, [], `${tool}: problems in the view`);
    const found = await frame.evaluate(`${axe}; axe.run().then((result) => result.violations.map((one) => one.id + ": " + one.nodes[0].html))`);
    assert.deepEqual(found, [], `${tool}: findings of axe`);
    await context.close();
  }

  const draft = made.structuredContent.draft_id;
  await open("preview_frame", { draft_id: draft, at: 0.5 }, { locale: "en-GB", colorScheme: "light" }, async (frame, page) => {
    const first = await picture(frame);
    assert(first.width >= 640, `painted ${first.width} × ${first.height}`);
    assert.equal(await frame.locator("#timeline li").count(), 100);
    assert.equal(await frame.locator("html").getAttribute("lang"), "en");
    // The host gives the view its height.
    const height = await frame.evaluate(() => [innerHeight, document.body.getBoundingClientRect().height]);
    assert(height[0] > 200, `${height}`);

    // Another time by the slider, from the keyboard.
    await frame.locator("#time").focus();
    await page.keyboard.press("End");
    await until("another frame", async () => (await isDrawn(frame)) && (await picture(frame)).sum !== first.sum);
    const second = await picture(frame);
    assert(second.width >= 640);
    // A clip by the arrow keys and Enter.
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    const focused = await frame.evaluate(() => document.activeElement.ariaLabel);
    assert.match(focused, /, \d+:\d\d\.\d – /);
    await page.keyboard.press("Enter");
    await until("a third frame", async () => (await isDrawn(frame)) && (await picture(frame)).sum !== second.sum);
    // Many times at once end at the last one.
    const slider = frame.locator("#time");
    for (const time of ["0.2", "1.1", "0.4"]) await slider.fill(time);
    await until("the last time", async () => (await isDrawn(frame)) && (await state(frame)) === "Frame at 0:00.4");
  });
  await open("preview_frame", { draft_id: draft, at: 0.5 }, { locale: "zh-CN", colorScheme: "dark" }, async (frame) => {
    assert.equal(await frame.locator("html").getAttribute("lang"), "zh");
    assert.equal(await frame.locator("#label").innerText(), "时间");
  });
  await open("preview_frame", { draft_id: draft, count: 4 }, { locale: "en-GB", colorScheme: "dark" }, async (frame) => {
    assert((await picture(frame)).width >= 640);
    assert.match(await state(frame), /^Frame at \d:\d\d\.\d, /);
  });
  // A video from a plan is shown as soon as it is made.
  await open("compose_draft", { plan: plan(3) }, { locale: "en-GB", viewport: { width: 390, height: 900 } }, async (frame) => {
    assert((await picture(frame)).width >= 640);
    assert.equal(await frame.locator("#timeline li").count(), 5);
    assert.match(await frame.locator("#facts").innerText(), /5 of 5 items/);
  });
  await inBareHost(browser, client, draft);
  if (screenshot) {
    const wide = { locale: "en-GB", viewport: { width: 1500, height: 1000 } };
    const shot = { path: screenshot, type: "jpeg", quality: 80 };
    await open("compose_draft", { plan: trip }, wide, (frame) => frame.locator("body").screenshot(shot));
  }
  await browser.close();
  await client.close();
  assert(!server.text.includes("panicked"), server.text);
  console.log("the view in the Inspector: painted, by slider, keyboard and clips, in both languages: ok");
} finally {
  for (const child of children) child.kill();
  rmSync(home, { recursive: true, force: true });
}
