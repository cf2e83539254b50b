#!/usr/bin/env python3
"""Checks saved drafts with readers that know nothing of this program.

    CAPCUT_TEST_DRAFT_OUT=/tmp/out cargo test --lib drafts_for_independent_readers
    tests/external/check_drafts.py /tmp/out

needs `pip install pyjianyingdraft==0.3.1 pycapcut==0.0.4` and `npm install capcut-cli@0.23.0`
(`CAPCUT_CLI` names its `capcut`). Each folder in OUT is a drafts folder; one that has a `working.json`
beside its drafts is compared with it as well: the same segments, times and texts. `--readers-only` leaves
`capcut lint` out, which judges the taste of other programs' drafts too.
"""

import json
import os
import pathlib
import subprocess
import sys

FRAME = 1_000_000 / 30


def fail(message):
    print(f"FAIL {message}")
    fail.count += 1


fail.count = 0


def segments(document):
    """Track type, start, end and text of every segment, in order."""
    contents = {text["id"]: json.loads(text["content"])["text"] for text in document["materials"]["texts"]}
    rows = []
    for track in document["tracks"]:
        for segment in track["segments"]:
            target = segment["target_timerange"]
            rows.append((track["type"], target["start"], target["start"] + target["duration"], contents.get(segment["material_id"], "")))
    return sorted(rows)


def compare(name, ours, theirs, tolerance):
    if len(ours) != len(theirs):
        fail(f"{name}: {len(ours)} segments, expected {len(theirs)}")
        return
    for one, other in zip(ours, theirs):
        same = one[0] == other[0] and one[3] == other[3]
        if not same or any(abs(one[i] - other[i]) > tolerance for i in (1, 2)):
            fail(f"{name}: {one}, expected {other}")


def read_with(module, drafts, name, document):
    """What the library makes of the draft, dumped again, is the draft."""
    script = module.DraftFolder(str(drafts)).load_template(name)
    dumped = json.loads(script.dumps())
    label = f"{drafts.name}/{name}: {module.__name__}"
    compare(label, segments(dumped), segments(document), 0)
    kinds = {"video": module.TrackType.video, "audio": module.TrackType.audio, "text": module.TrackType.text}
    for kind, track_type in kinds.items():
        index = 0
        for track in document["tracks"]:
            if track["type"] != kind:
                continue
            imported = script.get_imported_track(track_type, index=index)
            index += 1
            found = [(s.target_timerange.start, s.target_timerange.duration) for s in imported.segments]
            expected = [(s["target_timerange"]["start"], s["target_timerange"]["duration"]) for s in track["segments"]]
            if found != expected:
                fail(f"{label}: track {track['name']!r} has {found}, expected {expected}")


def run_cli(*arguments):
    capcut = os.environ.get("CAPCUT_CLI", "capcut")
    done = subprocess.run([capcut, *arguments], capture_output=True, text=True, timeout=120)
    try:
        return done.returncode, json.loads(done.stdout)
    except json.JSONDecodeError:
        return done.returncode, {"output": done.stdout + done.stderr}


def check(drafts, folder, modules, readers_only):
    label = f"{drafts.name}/{folder.name}"
    document = json.loads((folder / "draft_content.json").read_bytes())
    if (folder / "draft_content.json").read_bytes() != (folder / "draft_info.json").read_bytes():
        fail(f"{label}: the two documents differ")
    for kind in ("videos", "audios"):
        for material in document["materials"][kind]:
            path = pathlib.Path(material["path"])
            if not path.is_file() or path.stat().st_size == 0:
                fail(f"{label}: no file {path}")
    for module in modules:
        read_with(module, drafts, folder.name, document)
    code, report = run_cli("diagnose", str(folder))
    if report.get("ok") is not True or report.get("diverged") is not False or report.get("media_registration"):
        fail(f"{label}: capcut diagnose answers {code}: {json.dumps(report)[:1500]}")
    if readers_only:
        return
    code, report = run_cli("lint", str(folder), "--no-probe")
    issues = report.get("issues")
    # It looks for the masks of JianYing in a list of another name than the app's own drafts have.
    known = [i for i in issues or [] if i.get("code") == "mask-field-mismatch" and drafts.name.startswith("jianying")]
    if code != 0 or issues is None or len(issues) != len(known):
        fail(f"{label}: capcut lint answers {code}: {json.dumps(report)[:1500]}")
    working = drafts / "working.json"
    if working.is_file():
        compare(f"{label}: working document", segments(document), segments(json.loads(working.read_bytes())), FRAME)


def main():
    import pycapcut
    import pyJianYingDraft

    root = pathlib.Path(sys.argv[1])
    count = 0
    for drafts in sorted(path for path in root.iterdir() if path.is_dir()):
        for folder in sorted(drafts.iterdir()):
            if not (folder / "draft_content.json").is_file() or folder.name.startswith("."):
                continue
            check(drafts, folder, [pyJianYingDraft, pycapcut], "--readers-only" in sys.argv)
            count += 1
    print(f"{count} drafts checked, {fail.count} faults")
    return 0 if count and not fail.count else 1


if __name__ == "__main__":
    sys.exit(main())
