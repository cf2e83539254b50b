// The studio in Debian's Chromium, driven by playwright-core, with axe-core: the whole flow by keyboard, both languages, both
// schemes, a desktop and a phone; edits of an agent arrive; no console error, no foreign request, no finding.
// Arguments: the executable, the folder of examples, Chromium, and a folder for screenshots if they are wanted.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { chromium } from "playwright-core";

const [executable, examples, browserPath, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const home = mkdtempSync(join(tmpdir(), "studio-"));
const app = join(home, "Projects", "com.lveditor.draft");
mkdirSync(app, { recursive: true });
const env = {
    PATH: process.env.PATH,
    HOME: home,
    CAPCUT_MCP_DATA_DIR: join(home, "data"),
    CAPCUT_MCP_DRAFTS_DIR: app,
    CAPCUT_MCP_BACKEND: "embedded",
};
const media = (name) => resolve(examples, "media", name);

/** Times that a bench holds against their bounds; tests only show them. */
const missed = [];
function bound(what, ms, most) {
    if (ms > most) missed.push(`${what}: ${ms.toFixed(1)} ms (<= ${most} ms)`);
}

/** Waits until something is true; what it is about is named if it never is. */
async function until(what, done, patience = 60_000) {
    const end = Date.now() + patience;
    for (;;) {
        const value = await done();
        if (value) return value;
        assert.ok(Date.now() < end, `${what}: not within ${patience} ms`);
        await new Promise((next) => setTimeout(next, 20));
    }
}

/** Starts the studio; returns its process and the address that is valid once. */
async function studio() {
    const child = spawn(executable, ["studio", "--no-open"], { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (piece) => (said += piece));
    const link = await until("the studio says where it is", () => said.match(/http:\S+/)?.[0]);
    return { child, link, origin: new URL(link).origin };
}

const agent = new Client({ name: "example-agent", version: "1.0" });
await agent.connect(new StdioClientTransport({ command: executable, args: ["serve", "--log", "off"], env }));
async function call(tool, args) {
    const reply = await agent.callTool({ name: tool, arguments: args }, undefined, { timeout: 120_000 });
    assert.ok(!reply.isError, JSON.stringify(reply.content));
    return reply.structuredContent;
}

/** A draft with a video, a picture, sound, titles, captions, a transition and keyframes. */
async function film() {
    const plan = {
        name: "Lantern",
        width: 1280,
        height: 720,
        visuals: [
            { video_url: media("clip.mp4"), end: 4, transition: "Dissolve", transition_duration: 0.5 },
            { image_url: media("picture.jpg"), duration: 3, motion: "ken_burns" },
        ],
        audio: [{ audio_url: media("music.mp3"), end: 7, volume: 0.5 }],
        texts: [
            { text: "Light, wherever you are", start: 0.5, end: 3, font_size: 10, transform_y: -0.6 },
            { text: "Fold it. Pack it. Go.", start: 3.4, end: 6.5, font_size: 10, transform_y: -0.6 },
        ],
    };
    const made = await call("compose_draft", { plan });
    const id = made.draft_id;
    const png = { draft_id: id, image_url: media("logo.png"), start: 1, end: 6.5, track_name: "logo", scale_x: 0.3, scale_y: 0.3, transform_x: 0.7, transform_y: 0.6 };
    await call("add_image", png);
    return id;
}

for (const [name, size] of [["Weekly show", [1920, 1080]], ["Summer in the mountains", [1080, 1920]]]) {
    const plan = { name, width: size[0], height: size[1], visuals: [{ image_url: media("picture.jpg"), duration: 3, fit: "cover" }], texts: [{ text: name, start: 0, end: 3 }] };
    await call("compose_draft", { plan });
}
const draft = await film();
const { child, link, origin } = await studio();
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"] });
const complaints = [];
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", colorScheme: "light" });

function observe(page) {
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`page: ${error}`));
    page.on("request", (request) => {
        const { origin: to, protocol } = new URL(request.url());
        if (to !== origin && !["blob:", "data:"].includes(protocol)) complaints.push(`foreign request: ${request.url()}`);
    });
    page.on("response", (response) => {
        if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
    });
    return page;
}

/** What axe finds on the page as it is. */
async function findings(page, label) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
    for (const { id, nodes } of violations) {
        for (const node of nodes) complaints.push(`axe, ${label}: ${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`);
    }
}

async function shot(page, name) {
    if (shots) await page.screenshot({ path: join(shots, `studio-${name}.jpg`), type: "jpeg", quality: 72 });
}

const frameShown = (page) => until("the frame is shown", () => page.evaluate(() => document.getElementById("frame").naturalWidth > 0));
const status = (page, part) => until(`the page says ${part}`, async () => (await page.textContent("#status")).includes(part));

try {
    const page = observe(await context.newPage());
    await page.goto(link);
    await page.waitForURL(`${origin}/studio/`);
    console.log("the address became a cookie");

    // The whole flow by keyboard.
    const focused = (selector) => page.evaluate((selector) => document.activeElement?.matches(selector), selector);
    async function tabTo(selector) {
        for (let count = 0; count < 80; count += 1) {
            if (await focused(selector)) return;
            await page.keyboard.press("Tab");
        }
        assert.fail(`Tab does not reach ${selector}`);
    }
    await tabTo(".cards a");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${origin}/studio/draft/${draft}`);
    await page.waitForSelector("[role=option]");
    await frameShown(page);
    const navigation = await page.evaluate(() => {
        const [page] = performance.getEntriesByType("navigation");
        const files = performance.getEntriesByType("resource").filter((entry) => /studio\.(css|js)|icon/.test(entry.name));
        return page.encodedBodySize + files.reduce((sum, file) => sum + file.encodedBodySize, 0);
    });
    console.log(`${navigation} bytes compressed`);
    assert.ok(navigation <= 40 << 10, "the page is too large");

    await tabTo("[role=option]");
    await page.keyboard.press("ArrowDown");
    assert.ok(await focused("[role=option]"));
    const choose = async (part) => {
        const id = await page.evaluate((part) => {
            for (const track of state.data.tracks) for (const clip of track.clips) if ((clip.words ?? clip.media ?? "").includes(part)) return clip.id;
            return null;
        }, part);
        for (let step = 0; step < 40; step += 1) {
            const at = await page.evaluate((id) => {
                const rows = timeline.rows.map((row) => row.clips.map((clip) => clip.id));
                const now = document.activeElement.dataset.id;
                const row = rows.findIndex((ids) => ids.includes(id));
                const own = rows.findIndex((ids) => ids.includes(now));
                if (own < row) return "ArrowDown";
                if (own > row) return "ArrowUp";
                const [to, from] = [rows[row].indexOf(id), rows[row].indexOf(now)];
                return to === from ? null : to > from ? "ArrowRight" : "ArrowLeft";
            }, id);
            if (!at) return id;
            await page.keyboard.press(at);
        }
        return assert.fail(`the keys do not reach ${part}`);
    };
    const title = await choose("Light");
    await page.keyboard.press("Enter");
    assert.ok(await focused("#field-words"), "Enter leads to the form");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Light, put right in the studio");
    await tabTo("button[name=apply]");
    await page.keyboard.press("Enter");
    await status(page, "now says");
    const rows = await call("inspect_draft", { draft_id: draft, query: title });
    assert.match(JSON.stringify(rows), /Light, put right in the studio/);
    const history = async () => (await page.evaluate(async (id) => (await fetch(`/studio/draft/${id}/data`)).json(), draft)).history;
    const [step] = await history();
    assert.equal(step.by.via, "studio");
    assert.ok((await history()).some((step) => step.by?.name === "example-agent"), "the agent is named");

    // Volume, times and place.
    await tabTo("[role=option]");
    await choose("music");
    await page.keyboard.press("Enter");
    await tabTo("#field-volume");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("30");
    await page.keyboard.press("Enter");
    await until("the volume is set", () => page.evaluate(() => state.data.tracks.flatMap((track) => track.clips).some((clip) => clip.volume === 0.3)));
    await tabTo("[role=option]");
    await choose("logo");
    await page.keyboard.press("Enter");
    for (const [field, value] of [["start", "1.5"], ["length", "4"], ["position_x", "-0.7"]]) {
        await tabTo(`#field-${field}`);
        await page.keyboard.press("Control+A");
        await page.keyboard.type(value);
    }
    await page.keyboard.press("Enter");
    await until("the logo is elsewhere", () => page.evaluate(() => {
        const clip = state.data.tracks.flatMap((track) => track.clips).find((clip) => clip.media?.includes("logo"));
        return clip.start === 1.5 && clip.end === 5.5 && clip.look.position_x === -0.7;
    }));
    // Another file for the picture, from the disk of the browser.
    await tabTo("[role=option]");
    await choose("picture");
    await page.setInputFiles("#field-file-pick", media("logo.png"));
    await status(page, "logo.png");
    await page.keyboard.press("Enter");
    await tabTo("button[name=apply]");
    await page.keyboard.press("Enter");
    await until("the file is replaced", () => page.evaluate(() => !state.data.tracks.flatMap((track) => track.clips).some((clip) => clip.media?.includes("picture.jpg"))));
    // Remove, and undo in the history.
    await tabTo("[role=option]");
    await choose("Fold it");
    const clips = () => page.evaluate(() => state.data.summary.clips);
    const before = await clips();
    await page.keyboard.press("Delete");
    await until("the clip is removed", async () => (await clips()) === before - 1);
    await tabTo("[role=tab][aria-selected=true]");
    await page.keyboard.press("ArrowRight");
    assert.ok(await focused("#tab-history"));
    await tabTo("#panel-history button");
    await page.keyboard.press("Enter");
    await until("the removal is undone", async () => (await clips()) === before);
    await findings(page, "history");
    await shot(page, "history");
    // Problems, with a dark gap that an agent made.
    await tabTo("#tab-history");
    await page.keyboard.press("ArrowRight");
    await tabTo("#panel-problems button");
    await page.keyboard.press("Enter");
    await until("problems were looked for", () => page.evaluate(() => state.problems !== null));
    await findings(page, "problems");
    // Put into the app.
    await page.focus("#save");
    await page.keyboard.press("Enter");
    await status(page, "Saved");
    assert.ok(readdirSync(app).some((name) => name.startsWith("Lantern")), `${readdirSync(app)}`);
    // Player: the preview video is made, and plays.
    await page.focus("#play");
    await page.keyboard.press("Enter");
    await until("the video plays", () => page.evaluate(() => {
        const video = document.getElementById("video");
        return !video.hidden && video.currentTime > 0.2;
    }), 180_000);
    await page.focus("#play");
    await page.keyboard.press("Enter");
    await until("the video pauses", () => page.evaluate(() => document.getElementById("video").paused));
    await page.focus("#scrub");
    await page.keyboard.press("ArrowRight");
    await findings(page, "player");
    // Downloads.
    await page.focus("#downloads summary");
    await page.keyboard.press("Enter");
    const names = await page.evaluate(() => [...document.querySelectorAll("#downloads a")].filter((link) => link.checkVisibility()).map((link) => link.getAttribute("href")));
    assert.equal(names.length, 7, `${names}`);
    for (const name of names) {
        const answer = await context.request.get(origin + name);
        assert.equal(answer.status(), 200, name);
        assert.match(answer.headers()["content-disposition"], /attachment/);
    }
    await findings(page, "downloads");
    await page.keyboard.press("Escape");
    console.log("the whole flow by keyboard: ok");

    // Edits of an agent arrive.
    await page.evaluate(() => (document.getElementById("downloads").open = false));
    const arrived = [];
    for (let number = 1; number <= 5; number += 1) {
        const words = `Agent ${number}`;
        await call("edit_draft", { draft_id: draft, operations: [{ op: "replace_text", clip: title, text: words }] });
        const since = Date.now();
        await until("the edit of the agent arrives", () => page.evaluate((words) => document.querySelector(`[role=option][aria-label^="${words}"]`), words));
        arrived.push(Date.now() - since);
    }
    await status(page, "example-agent");
    console.log(`edits of an agent arrive after ${Math.min(...arrived)} to ${Math.max(...arrived)} ms`);
    bound("an edit of an agent on the page", Math.max(...arrived), 1000);

    // A conflict: the agent changes the clip while its words are being typed.
    await page.focus("#tab-problems");
    await page.keyboard.press("ArrowRight");
    await tabTo("[role=option]");
    await choose("Agent 5");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Mine");
    await call("edit_draft", { draft_id: draft, operations: [{ op: "replace_text", clip: title, text: "Theirs" }] });
    await page.waitForSelector(".conflict");
    assert.equal(await page.inputValue("#field-words"), "Mine");
    assert.match(JSON.stringify(await call("inspect_draft", { draft_id: draft, query: title })), /Theirs/);
    await findings(page, "conflict");
    await shot(page, "conflict");
    await page.focus(".conflict button");
    await page.keyboard.press("Enter");
    await status(page, 'now says "Mine"');
    assert.match(JSON.stringify(await call("inspect_draft", { draft_id: draft, query: title })), /Mine/);
    // A change that is sent before the page knows of another one is refused, and told.
    const stale = await page.evaluate(async () => send("edit", { records: state.data.records - 1, operations: [{ op: "rename", name: "Lost" }] }));
    assert.ok(stale.stale && stale.error, JSON.stringify(stale));
    console.log("conflicts are told, and nothing is overwritten");

    // The page alone, while nothing else is asked for.
    const first = [];
    for (let count = 0; count < 9; count += 1) {
        await page.goto(`${origin}/studio/draft/${draft}`);
        await frameShown(page);
        await page.waitForTimeout(300);
        first.push(await page.evaluate(() => {
            const [page] = performance.getEntriesByType("navigation");
            return page.responseStart - page.requestStart;
        }));
    }
    first.sort((a, b) => a - b);
    console.log(`first byte after ${first[0].toFixed(1)} to ${first.at(-1).toFixed(1)} ms, the median is ${first[4].toFixed(1)} ms`);
    bound("the median of the first byte", first[4], 20);

    // Both languages, both schemes, a desktop and a phone.
    await call("edit_draft", { draft_id: draft, operations: [{ op: "replace_text", clip: title, text: "Light, wherever you are" }] });
    for (const width of [1280, 390]) {
        for (const scheme of ["light", "dark"]) {
            for (const language of ["en", "zh-CN"]) {
                const label = `${width} px, ${scheme}, ${language}`;
                await page.setViewportSize({ width, height: width === 390 ? 844 : 860 });
                await page.emulateMedia({ colorScheme: scheme });
                await page.goto(`${origin}/studio/?lang=${language}`);
                await until("covers are shown", () => page.evaluate(() => [...document.querySelectorAll(".cards img")].every((image) => image.complete)));
                await findings(page, `drafts, ${label}`);
                if (language === "en" && scheme === "light") await shot(page, `drafts-${width}`);
                await page.goto(`${origin}/studio/draft/${draft}`);
                assert.equal(await page.getAttribute("html", "lang"), language);
                await page.waitForSelector("[role=option]");
                await frameShown(page);
                await page.evaluate((id) => choose(id, true), title);
                await frameShown(page);
                const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
                assert.equal(wide, 0, `${label}: the page is ${wide} px too wide`);
                await page.waitForTimeout(400);
                await findings(page, label);
                const name = { "1280 light en": "draft", "1280 dark zh-CN": "draft-dark-zh", "390 dark en": "phone" }[`${width} ${scheme} ${language}`];
                if (name) await shot(page, name);
            }
        }
    }
    console.log("two languages, two schemes, 1,280 and 390 px: no finding");

    // A thousand clips.
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.goto(`${origin}/studio/?lang=en`);
    const time = (s) => new Date(s * 1000).toISOString().slice(11, 23).replace(".", ",");
    const srt = Array.from({ length: 1000 }, (_, at) => `${at + 1}\n${time(at * 2)} --> ${time(at * 2 + 1.8)}\nCaption number ${at + 1}\n`).join("\n");
    const long = (await call("create_draft", { name: "A thousand captions", width: 640, height: 360 })).draft_id;
    await call("add_subtitle", { draft_id: long, srt });
    await page.goto(`${origin}/studio/draft/${long}`);
    await page.waitForSelector("[role=option], .block");
    assert.equal(await page.evaluate(() => state.data.summary.clips), 1000);
    await page.evaluate(() => timeline.zoomTo(60));
    await page.waitForTimeout(500);
    const scrolled = await page.evaluate(async () => {
        const longest = [];
        new PerformanceObserver((list) => longest.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
        const lanes = document.getElementById("lanes");
        let most = 0;
        const frame = () => new Promise((next) => requestAnimationFrame(next));
        for (let left = 0; left < lanes.scrollWidth; left += 400) {
            lanes.scrollLeft = left;
            await frame();
            most = Math.max(most, document.querySelectorAll("[role=option]").length);
        }
        await frame();
        return { tasks: longest.length, longest: Math.max(0, ...longest), most, width: lanes.scrollWidth };
    });
    console.log(`1,000 clips over ${scrolled.width} px: ${scrolled.tasks} long tasks, the longest ${scrolled.longest} ms; at most ${scrolled.most} clips in the page`);
    bound("the longest task while 1,000 clips scroll", scrolled.longest, 50);
    assert.ok(scrolled.most < 100, "the timeline draws more than is visible");
    await findings(page, "a thousand clips");

    // Without JavaScript.
    const plain = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 860 } });
    await plain.addCookies(await context.cookies());
    const simple = observe(await plain.newPage());
    await simple.goto(`${origin}/studio/?lang=en`);
    assert.ok((await simple.locator(".cards a").count()) >= 2);
    await simple.goto(`${origin}/studio/draft/${draft}`);
    await until("the pictures are shown", async () => (await simple.locator("img.still").count()) === 2);
    if (!(await simple.locator("video[controls]").count())) {
        await simple.locator("form[action$='/video'] button").click();
        await until("the video is made", async () => {
            await simple.goto(`${origin}/studio/draft/${draft}`);
            return simple.locator("video[controls]").count();
        });
    }
    const answer = await context.request.get(origin + (await simple.locator("video[controls]").getAttribute("src")), { headers: { Range: "bytes=0-99" } });
    assert.equal(answer.status(), 206);
    console.log("without JavaScript: a list, pictures and a player");

    // A browser without the cookie gets nothing.
    const stranger = await browser.newContext();
    for (const path of ["/studio/", `/studio/draft/${draft}`, `/studio/draft/${draft}/data`, new URL(link).pathname + new URL(link).search]) {
        assert.equal((await stranger.request.get(origin + path)).status(), 403, path);
    }
    assert.deepEqual(complaints, []);
    console.log("no console error, no foreign request, no finding of axe");
} catch (error) {
    for (const page of context.pages()) {
        console.log(`${page.url()}: ${await page.textContent("#status").catch(() => "")}`);
        if (shots) await page.screenshot({ path: join(shots, "studio-failed.jpg"), type: "jpeg" });
    }
    throw error;
} finally {
    if (complaints.length) console.log(complaints.join("\n"));
    await browser.close();
    await agent.close();
    child.kill();
    rmSync(home, { recursive: true, force: true });
}
if (process.env.STUDIO_BOUNDS && missed.length > 0) {
    console.log(`MISSED ${missed.join("\nMISSED ")}`);
    process.exitCode = 1;
}
