#!/usr/bin/env python3
"""Tests `capcut-mcp lint` with drafts of other programs.

    tests/external/lint_others.py target/debug/capcut-mcp examples/media

pyCapCut, pyJianYingDraft and `capcut compile` make one draft each, and `tests/golden` has folders that the reference
server wrote. `capcut-mcp lint` must find the known problems of each draft. `--fix` must fix them, and a second run must
change nothing. The libraries must still read the same segments and texts. `capcut lint` must not find more than before.

Needs `pip install pyjianyingdraft==0.3.1 pycapcut==0.0.4` and `npm install capcut-cli@0.23.0` (`CAPCUT_CLI` sets
the path of its `capcut`).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

SECOND = 1_000_000
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    try:
        return done.returncode, json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"FAIL {command}: exit code {done.returncode}: {done.stdout}{done.stderr}")


def capcut(*arguments):
    return run(os.environ.get("CAPCUT_CLI", "capcut"), *arguments)


def with_library(library, drafts, name, media):
    """A trimmed clip with a keyframe, a picture, sound, and a text with an emoji."""
    script = library.DraftFolder(str(drafts)).create_draft(name, 1080, 1920)
    for kind in ("video", "audio", "text"):
        track = getattr(library.TrackType, kind)
        if hasattr(script, "add_track"):
            script.add_track(track)
        else:
            script.append_track(library.TrackSpec(track))
    span = library.Timerange
    clip = library.VideoSegment(
        str(media / "clip.mp4"), span(0, SECOND), source_timerange=span(SECOND, SECOND)
    )
    clip.add_keyframe(library.KeyframeProperty.position_x, 0, 0.0)
    clip.add_keyframe(library.KeyframeProperty.position_x, SECOND // 2, 0.5)
    script.add_segment(clip)
    script.add_segment(library.VideoSegment(str(media / "picture.jpg"), span(SECOND, SECOND)))
    script.add_segment(library.AudioSegment(str(media / "music.mp3"), span(0, 2 * SECOND)))
    script.add_segment(library.TextSegment("Hello 😀", span(0, 2 * SECOND)))
    script.save()


def with_capcut_cli(drafts, name, media):
    spec = {
        "name": name, "width": 1080, "height": 1920, "fps": 30,
        "tracks": [
            {"type": "video", "items": [
                {"path": str(media / "clip.mp4"), "start": 0, "duration": 1},
                {"path": str(media / "picture.jpg"), "start": 1, "duration": 1, "type": "photo"},
            ]},
            {"type": "audio", "items": [{"path": str(media / "music.mp3"), "start": 0, "duration": 2}]},
            {"type": "text", "items": [{"text": "Hello 😀", "start": 0, "duration": 2}]},
        ],
    }
    file = drafts.parent / "spec.json"
    file.write_text(json.dumps(spec), encoding="utf-8")
    capcut("compile", file, "--out", drafts / name, "--template", "bundled")


def recordings():
    with zipfile.ZipFile(GOLDEN / "recorded.zip") as archive, archive.open("saved.jsonl") as lines:
        return {line["name"]: line["recording"] for line in map(json.loads, lines)}


def with_recording(recorded, media, folder):
    """Writes the folder as the server wrote it, with the media that the server received."""
    by_size = {file.stat().st_size: file for file in media.iterdir() if file.is_file()}
    for entry in recorded["tree"]:
        to = folder / entry["path"]
        text = recorded["files"].get(entry["path"])
        if text is not None:
            content = text.get("text") or ""
            if text.get("json") is not None:
                content = json.dumps(text["json"]).replace("<draft-1>", folder.name)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(content, encoding="utf-8")
        elif entry["kind"] == "file" and entry["path"].startswith("assets/"):
            to.parent.mkdir(parents=True, exist_ok=True)
            # The server converts images, so their sizes match no source.
            source = by_size.get(entry["size"])
            to.write_bytes(source.read_bytes() if source else b"\x89PNG\r\n\x1a\n")


def document(folder):
    for name in ("draft_content.json", "draft_info.json"):
        if (folder / name).is_file():
            return json.loads((folder / name).read_bytes())
    raise SystemExit(f"FAIL {folder} has no document")


def rows(draft):
    """Type, times and text of every segment."""
    texts = {text["id"]: json.loads(text["content"])["text"] for text in draft["materials"]["texts"]}
    return sorted(
        (
            track["type"],
            segment["target_timerange"]["start"],
            segment["target_timerange"]["duration"],
            texts.get(segment["material_id"], ""),
        )
        for track in draft["tracks"]
        for segment in track["segments"]
    )


def read_back(library, drafts, name):
    return rows(json.loads(library.DraftFolder(str(drafts)).load_template(name).dumps()))


def severities(report):
    return sorted(
        (issue["severity"], issue["code"]) for issue in report["issues"] if issue["severity"] != "info"
    )


def check(executable, drafts, name, lacks, readers):
    folder = drafts / name
    before = rows(document(folder))
    _, theirs_before = capcut("lint", folder, "--no-check-paths", "--no-probe")
    data = drafts.parent / "data"
    code, report = run(executable, "lint", folder, "--json", "--data-dir", data)
    found = {problem["code"] for problem in report["problems"]}
    assert lacks <= found, f"{name}: not found: {lacks - found}; found: {found}"
    assert code == (2 if any(p["severity"] == "error" for p in report["problems"]) else 1), f"{name}: {code}"

    code, fixed = run(executable, "lint", folder, "--fix", "--json", "--data-dir", data)
    assert fixed["changed"] and pathlib.Path(fixed["backup"]).is_dir(), f"{name}: {fixed}"
    assert code == 0, f"{name} is left with {json.dumps(fixed['problems'], indent=1)}"
    files = {path: path.read_bytes() for path in sorted(drafts.rglob("*")) if path.is_file()}
    _, again = run(executable, "lint", folder, "--fix", "--json", "--data-dir", data)
    assert not again["changed"] and not again["backup"], f"{name}: a second run changes {again['changed']}"
    assert files == {path: path.read_bytes() for path in sorted(drafts.rglob("*")) if path.is_file()}

    for library in readers:
        assert read_back(library, drafts, name) == before, f"{name}: {library.__name__} reads something else"
    code, theirs = capcut("lint", folder, "--no-check-paths", "--no-probe")
    left = severities(theirs)
    assert not left, f"{name}: capcut lint has {left} (before: {severities(theirs_before)}): {json.dumps(theirs)}"
    assert code == 0, f"{name}: capcut lint gives {code}"
    code, theirs = capcut("diagnose", folder)
    assert theirs["ok"] and not theirs.get("diverged") and not theirs.get("media_registration"), f"{name}: {theirs}"
    print(f"{name}: {len(found)} kinds of problems found, {len(fixed['changed'])} files fixed, readers agree")


def main():
    import pycapcut
    import pyJianYingDraft

    executable, media = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        drafts = work / "drafts"
        drafts.mkdir()
        (drafts / "root_meta_info.json").write_text('{"all_draft_store": [], "draft_ids": 0}', encoding="utf-8")
        readers = [pycapcut, pyJianYingDraft]
        libraries = {"media-unlisted", "dangling-reference", "keyframe-clock", "text-ranges", "unregistered"}
        with_library(pycapcut, drafts, "by pycapcut", media)
        check(executable, drafts, "by pycapcut", libraries, readers)
        with_library(pyJianYingDraft, drafts, "by pyjianyingdraft", media)
        check(executable, drafts, "by pyjianyingdraft", libraries, readers)
        with_capcut_cli(drafts, "by capcut-cli", media)
        check(executable, drafts, "by capcut-cli", {"markers-missing", "parts-missing"}, readers)
        for name, recording in recordings().items():
            with_recording(recording, GOLDEN / "media", drafts / name)
            lacks = {"markers-stale", "template-device", "media-moved", "media-unlisted", "dangling-reference", "unregistered"}
            check(executable, drafts, name, lacks, readers)
    finally:
        shutil.rmtree(work)
    print("lint agrees with third-party readers")


if __name__ == "__main__":
    main()
