#!/usr/bin/env python3
"""Edits drafts of other programs, and checks the result with independent readers.

    tests/external/edit_others.py target/debug/capcut-mcp examples/media

Drafts of pyCapCut, pyJianYingDraft, `capcut compile` and the reference server are opened, edited by each operation, and
saved back into their folders. Both libraries and capcut-cli must read the expected clips: track type, start, duration
and words. Neither `capcut-mcp lint` nor `capcut lint` may find more than before, and undoing the edit must give the
same bytes.

Needs what `lint_others.py` needs.
"""

import collections
import concurrent.futures
import copy
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import lint_others as others

SECOND = 1_000_000
FRAME = SECOND // 30
RECORDINGS = ("capcut_unset", "jianying_unset")


class Server:
    """The executable as an MCP server over pipes."""

    def __init__(self, executable, data):
        command = [executable, "serve", "--backend", "embedded", "--log", "error", "--data-dir", data]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.id = 0
        client = {"name": "edit_others", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})

    def ask(self, method, params):
        self.id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["result"]

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result["isError"]:
            raise SystemExit(f"FAIL {tool} {arguments}: {result}")
        return result["structuredContent"]


class Draft:
    """The clips of a draft before an operation, by track, and the operation's expected result."""

    def __init__(self, document):
        words = {text["id"]: json.loads(text["content"])["text"] for text in document["materials"]["texts"]}
        # The API's own documents count an emoji as one.
        self.new_words = "Other words 字" if document["id"].startswith("91E08AC5") else "Other 😀 words 字"
        self.tracks = [
            (track["type"], [
                [segment["target_timerange"]["start"], segment["target_timerange"]["duration"], words.get(segment["material_id"], "")]
                for segment in track["segments"]
            ])
            for track in document["tracks"]
        ]

    def first(self, kind):
        """The index of the first track of a type, which is the main track for videos, and its clips."""
        return next((index, clips) for index, (own, clips) in enumerate(self.tracks) if own == kind and clips)

    def clip(self, kind, number=0):
        index, clips = self.first(kind)
        return {"track": f"t{index + 1}", "at": clips[number][0] / SECOND}

    def end(self):
        return max(start + duration for _, clips in self.tracks for start, duration, _ in clips)

    def is_main(self):
        """Whether the first clips of video are on the main track, the lowest one for videos."""
        return self.first("video")[0] == [kind for kind, _ in self.tracks].index("video")

    def close_gaps(self):
        """The magnet of the main track closes its gaps."""
        at = 0
        for clip in self.first("video")[1] if self.is_main() else []:
            clip[0] = at
            at += clip[1]

    def rows(self):
        return sorted((kind, *clip) for kind, clips in self.tracks for clip in clips)


def operations(draft, media):
    """Name, operations, and the expected clips of each edit."""

    def edit(name, change, *operations):
        expected = copy.deepcopy(draft)
        change(expected)
        return name, list(operations), expected.rows()

    def nothing(_):
        pass

    def clip_of(kind, number=0):
        return lambda expected: expected.first(kind)[1][number]

    text, sound, main = clip_of("text"), clip_of("audio"), clip_of("video")
    text_id, sound_id, main_id = (draft.clip(kind) for kind in ("text", "audio", "video"))
    later = draft.end() + SECOND
    starts = {kind: draft.first(kind)[1][0][0] / SECOND for kind in ("text", "audio", "video")}
    half = SECOND // 2

    def changed(clip, **values):
        def change(expected):
            for key, value in values.items():
                clip(expected)[{"start": 0, "duration": 1, "words": 2}[key]] = value
        return change

    def split(kind):
        def change(expected):
            clips = expected.first(kind)[1]
            start, duration, words = clips[0]
            clips[0:1] = [[start, half, words], [start + half, duration - half, words]]
        return change

    def last(clips):
        clips.append(clips.pop(0))
        clips[-1][0] = 900 * SECOND

    def on_main(change):
        def both(expected):
            change(expected.first("video")[1])
            expected.close_gaps()
        return both

    def halve_speed(expected):
        sound(expected)[1] //= 2

    def add_copy(expected):
        clips = expected.first("text")[1]
        clips.append([later, *clips[0][1:]])

    def shorten(clips):
        clips[0][1] = half

    def shift_from(start):
        def change(expected):
            for _, clips in expected.tracks:
                for clip in clips:
                    clip[0] += SECOND if clip[0] >= start else 0
        return change

    def use_voice(expected):
        clip = sound(expected)
        clip[1] = min(clip[1], media["voice"])

    second = draft.first("video")[1][1][0]
    text_track, main_track = text_id["track"], main_id["track"]
    points = [{"time": starts["text"], "value": 0.2}, {"time": starts["text"] + 0.4, "value": 1}]
    on_video = [{"time": starts["video"], "value": 1}, {"time": starts["video"] + 0.4, "value": 1.5}]
    return [
        edit("move", changed(text, start=later), {"op": "move", "clip": text_id, "at": later / SECOND}),
        edit("move on the main track", on_main(last), {"op": "move", "clip": main_id, "at": 900}),
        edit("trim", changed(text, duration=half), {"op": "trim", "clip": text_id, "duration": 0.5}),
        edit("trim on the main track", on_main(shorten), {"op": "trim", "clip": main_id, "duration": 0.5}),
        edit("split a text", split("text"), {"op": "split", "clip": text_id, "at": starts["text"] + 0.5}),
        edit("split a video", split("video"), {"op": "split", "clip": main_id, "at": 0.5}),
        edit("split a sound", split("audio"), {"op": "split", "clip": sound_id, "at": starts["audio"] + 0.5}),
        edit("set", nothing, {"op": "set", "clip": text_id, "font_size": 21, "font_color": "#00ff00", "bold": True},
             {"op": "set", "clip": main_id, "opacity": 0.5, "scale": 1.5, "rotation": 10},
             {"op": "set", "clip": sound_id, "volume": 0.5, "fade_in": 0.2}),
        edit("set the speed", halve_speed, {"op": "set", "clip": sound_id, "speed": 2}),
        edit("replace_text", changed(text, words=draft.new_words), {"op": "replace_text", "clip": text_id, "text": draft.new_words}),
        edit("replace_media", use_voice, {"op": "replace_media", "clip": sound_id, "media": str(media["folder"] / "voice.mp3")}),
        edit("remove a text", lambda expected: expected.first("text")[1].pop(0), {"op": "remove", "clip": text_id}),
        edit("remove on the main track", on_main(lambda clips: clips.pop(0)), {"op": "remove", "clip": main_id}),
        edit("duplicate", add_copy, {"op": "duplicate", "clip": text_id, "at": later / SECOND}),
        edit("add_keyframes", nothing, {"op": "add_keyframes", "clip": text_id, "property": "opacity", "points": points},
             {"op": "add_keyframes", "clip": main_id, "property": "scale", "points": on_video}),
        edit("clear_keyframes", nothing, {"op": "clear_keyframes", "clip": main_id}),
        edit("clear", nothing, *({"op": "clear", "clip": main_id, "what": what} for what in ("transition", "effect", "mask", "animation"))),
        edit("shift all", shift_from(0), {"op": "shift", "from": 0, "by": 1}),
        edit("shift the rest", shift_from(second), {"op": "shift", "from": second / SECOND, "by": 1}),
        edit("track", nothing, {"op": "track", "track": text_track, "mute": True, "rename": "Words"},
             {"op": "track", "track": main_track, "hide": True, "lock": True}),
        edit("canvas and rename", nothing, {"op": "canvas", "width": 1280, "height": 720}, {"op": "rename", "name": "Renamed"}),
    ]


def differences(found, expected):
    """The rows that differ; times may differ by a frame where the document has times between frames."""
    if len(found) != len(expected):
        return f"{len(found)} clips, expected {len(expected)}: {found}, expected {expected}"
    for one, other in zip(found, expected):
        off_grid = any(abs(time * 30 / SECOND - round(time * 30 / SECOND)) > 1e-4 for time in other[1:3])
        tolerance = FRAME + 1 if off_grid else 2
        if (one[0], one[3]) != (other[0], other[3]) or any(abs(one[i] - other[i]) > tolerance for i in (1, 2)):
            return f"{one}, expected {other}"
    return None


def by_capcut_cli(folder):
    """The rows that capcut-cli reads; it gives words in a list of their own."""
    words = {text["id"]: text["text"] for text in others.capcut("texts", folder)[1]}
    return sorted(
        (row["type"], row["start_us"], row["duration_us"], words.get(row["id"], ""))
        for row in others.capcut("segments", folder)[1]
    )


def findings(executable, folder, data):
    """What both linters find, counted by program, severity and code."""
    _, ours = others.run(executable, "lint", folder, "--json", "--data-dir", data)
    _, theirs = others.capcut("lint", folder, "--no-check-paths", "--no-probe")
    ours = ours["problems"]
    found = [("capcut-mcp", problem["severity"], problem["code"]) for problem in ours if problem["severity"] != "info"]
    found += [("capcut", *issue) for issue in others.severities(theirs)]
    return collections.Counter(found)


def by_library(library, folder):
    """The rows that a library reads. It knows one name of the document, and the reference server writes the other."""
    if (folder / "draft_content.json").is_file():
        return others.read_back(library, folder.parent, folder.name)
    with tempfile.TemporaryDirectory() as scratch:
        copied = pathlib.Path(scratch) / "draft"
        copied.mkdir()
        shutil.copy(folder / "draft_info.json", copied / "draft_content.json")
        return others.read_back(library, copied.parent, copied.name)


def check(executable, readers, folder, operation, expected, before, data):
    """What is wrong with an edited draft."""
    problems = []
    read = [(library.__name__, by_library(library, folder)) for library in readers]
    for name, rows in [*read, ("capcut-cli", by_capcut_cli(folder))]:
        difference = differences(rows, expected)
        if difference:
            problems.append(f"{name} reads {difference}")
    new = findings(executable, folder, data) - before
    if operation.startswith(("split", "duplicate")):
        # A copy has the problems of its original.
        new = {finding: count for finding, count in new.items() if finding not in before}
    if operation == "shift the rest":
        # It is asked for a gap.
        new = {finding: count for finding, count in new.items() if finding[2] != "main-track-gap"}
    if new:
        problems.append(f"new findings: {dict(new)}")
    return problems


def documents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("draft_*.json*") if "meta" not in path.name}


def edit(server, folder, operation, arguments):
    """Edits a draft in its folder, after the edit was undone once."""
    before = documents(folder)
    draft_id = server.call("open_draft", draft=str(folder))["draft_id"]
    answer = server.call("edit_draft", draft_id=draft_id, operations=arguments)
    # Not every draft has something to clear.
    assert answer["changes"] or operation.startswith("clear"), f"{folder.name}: {answer}"
    if answer["changes"]:
        server.call("undo_draft", draft_id=draft_id)
        server.call("save_draft", draft_id=draft_id)
        assert documents(folder) == before, f"{folder.name}: undone, it is not as it was"
        server.call("undo_draft", draft_id=draft_id, redo=True)
    server.call("save_draft", draft_id=draft_id)
    assert (documents(folder) != before) == bool(answer["changes"]), f"{folder.name}: {answer}"


def make_drafts(drafts, media):
    import pycapcut
    import pyJianYingDraft

    others.with_library(pycapcut, drafts, "pycapcut", media)
    others.with_library(pyJianYingDraft, drafts, "pyjianyingdraft", media)
    others.with_capcut_cli(drafts, "capcut-cli", media)
    recorded = others.recordings()
    for name in RECORDINGS:
        others.with_recording(recorded[name], others.GOLDEN / "media", drafts / name)
    return ["pycapcut", "pyjianyingdraft", "capcut-cli", *RECORDINGS], [pycapcut, pyJianYingDraft]


def main():
    executable, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    work = pathlib.Path(tempfile.mkdtemp())
    failed = 0
    try:
        drafts = work / "drafts"
        drafts.mkdir()
        (drafts / "root_meta_info.json").write_text('{"all_draft_store": [], "draft_ids": 0}', encoding="utf-8")
        names, readers = make_drafts(drafts, folder)
        import pyJianYingDraft

        voice = pyJianYingDraft.AudioMaterial(str(folder / "voice.mp3")).duration
        media = {"folder": folder, "voice": voice // FRAME * FRAME}
        server = Server(executable, work / "data")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            edits = []
            for name in names:
                draft = Draft(others.document(drafts / name))
                for operation, arguments, expected in operations(draft, media):
                    copied = drafts / f"{name}, {operation}"
                    shutil.copytree(drafts / name, copied)
                    before = pool.submit(findings, executable, copied, work / "data")
                    edits.append((copied, operation, arguments, expected, before))
            checks = []
            for copied, operation, arguments, expected, before in edits:
                before = before.result()
                edit(server, copied, operation, arguments)
                task = pool.submit(check, executable, readers, copied, operation, expected, before, work / "data")
                checks.append((copied.name, task))
            for name, task in checks:
                for problem in task.result():
                    print(f"FAIL {name}: {problem}")
                    failed += 1
        server.process.stdin.close()
        server.process.wait(10)
    finally:
        shutil.rmtree(work)
    print(f"{len(checks)} edited drafts are read as expected, {failed} problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
