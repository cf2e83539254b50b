#!/usr/bin/env python3
"""Checks saved drafts with independent readers.

    CAPCUT_TEST_DRAFT_OUT=/tmp/out cargo test --lib drafts_for_independent_readers
    tests/external/check_drafts.py /tmp/out target/debug/capcut-mcp examples

This makes the drafts of all plans in `examples` for each profile in /tmp/out, and the first draft of each plan also for
other machines: portable, for a given folder, and as a zip that is unpacked. Then it checks each draft: the readers and
linters must find no problem, and must read the segments, times and texts that the program reported before the save
(`working/NAME.json` next to the draft). Without the last two arguments, only existing drafts are checked.

Needs `pip install pyjianyingdraft==0.3.1 pycapcut==0.0.4` and `npm install capcut-cli@0.23.0` (`CAPCUT_CLI` sets
the path of its `capcut`).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

FRAME = 1_000_000 / 30

# For each profile: its edition, and whether these versions of the app store timelines in separate files.
PROFILES = {
    "capcut-win": ("capcut", True),
    "capcut-mac": ("capcut", True),
    "jianying-win": ("jianying", True),
    "jianying-mac": ("jianying", True),
    "capcut_legacy": ("capcut", False),
    "jianying_legacy": ("jianying", False),
    "jianying_pro_10": ("jianying", True),
}

# The folders for drafts on other machines.
PLACES = {"windows": "D:/My Drafts", "macos": "/Users/someone/My Drafts"}

TOKEN = "##_draftpath_placeholder_0E685133-18CE-45ED-8CB8-2904A212EC80_##"

# Names in the examples that differ in JianYing.
IN_JIANYING = {"Fly_In": "渐显", "Circle": "圆形"}


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
    """Checks that the library reads the draft and writes the same draft."""
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


def make(executable, examples, out):
    """Makes drafts of all example plans, for each profile."""
    plans = sorted(path for ending in ("yaml", "toml", "json") for path in examples.glob(f"*.{ending}"))
    for profile, (edition, _) in PROFILES.items():
        copy = out / ".plans" / edition
        shutil.copytree(examples, copy, dirs_exist_ok=True)
        for plan in plans:
            text = plan.read_text(encoding="utf-8")
            for name, theirs in IN_JIANYING.items() if edition == "jianying" else ():
                text = text.replace(name, theirs)
            (copy / plan.name).write_text(text, encoding="utf-8")
            drafts = out / f"{profile} {plan.stem}"
            (drafts / "working").mkdir(parents=True)
            (drafts / "root_meta_info.json").write_text('{"all_draft_store": [], "draft_ids": 0}', encoding="utf-8")
            options = ["--backend", "embedded", "--edition", edition, "--data-dir", out / ".data"]
            inputs = copy / f"{plan.stem}.csv"
            what = ["--template", copy / plan.name, "--inputs", inputs] if inputs.is_file() else [copy / plan.name]
            made = run([executable, *options, "compose", *what, "--draft-folder", drafts, "--draft-profile", profile, "--json"])
            event = json.loads(made.stdout.splitlines()[-1]) if made.stdout else {}
            reports = event.get("drafts") or [event.get("report", {})]
            if made.returncode != 0 or not all(report.get("folder") for report in reports):
                fail(f"{profile}: {plan.name}: exit code {made.returncode}: {made.stdout[-1500:]}{made.stderr[-1500:]}")
                continue
            for report in reports:
                script = run([executable, *options, "call", "query_script", f"draft_id={report['draft_id']}"])
                name = pathlib.Path(report["folder"]).name
                (drafts / "working" / f"{name}.json").write_text(json.loads(script.stdout)["script"], encoding="utf-8")
            make_for_others([executable, *options], profile, reports[0], drafts)
    return [media.read_bytes() for media in sorted((examples / "media").iterdir())]


def make_for_others(command, profile, report, drafts):
    """Saves the same draft for other machines, each time in a folder next to `drafts`."""
    variants = [("zip", ["zip=true"])]
    for system, place in PLACES.items():
        if profile.endswith("-win") and system == "macos" or profile.endswith("-mac") and system == "windows":
            continue
        variants.append((f"portable-{system}", ["portable=true", f"target_os={system}"]))
        variants.append((f"placed-{system}", [f"target_os={system}", f"target_folder={place}"]))
    working = drafts / "working" / f"{pathlib.Path(report['folder']).name}.json"
    for variant, arguments in variants:
        beside = drafts.with_name(f"{profile}@{variant} {drafts.name.split(' ', 1)[1]}")
        saved_into = beside / ".saved" if variant == "zip" else beside
        saved_into.mkdir(parents=True)
        saved = run([*command, "call", "save_draft", f"draft_id={report['draft_id']}", f"draft_folder={saved_into}", f"draft_profile={profile}",
                     "name=for another machine", *arguments])
        if saved.returncode != 0:
            fail(f"{beside.name}: save_draft exits with {saved.returncode}: {saved.stdout[-800:]}{saved.stderr[-800:]}")
            continue
        for packed in saved_into.glob("*.zip"):
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(beside)
        (beside / "working").mkdir()
        for folder in beside.iterdir():
            if (folder / "draft_info.json").is_file():
                shutil.copy(working, beside / "working" / f"{folder.name}.json")
                for text in (path.read_bytes() for path in folder.rglob("*.json")):
                    if str(drafts.parent).encode() in text:
                        fail(f"{beside.name}: it contains a path of this machine")


def check_timelines(label, folder, document, expected):
    """Checks that the main timeline has the same bytes and id as the draft's document."""
    project = folder / "Timelines" / "project.json"
    if project.is_file() != expected:
        fail(f"{label}: {project} exists: {project.is_file()}")
    if not expected or not project.is_file():
        return
    main = json.loads(project.read_bytes())["main_timeline_id"]
    bytes_of_root = (folder / "draft_content.json").read_bytes()
    if main != document["id"]:
        fail(f"{label}: the main timeline is {main}, the document {document['id']}")
    for name in ("draft_content.json", "draft_info.json", "template-2.tmp"):
        for path in (folder / name, folder / "Timelines" / main / name):
            if not path.is_file() or path.read_bytes() != bytes_of_root:
                fail(f"{label}: {path} is not the document")


def check_times(label, document):
    """Checks that every boundary is the start of a frame, rounded down, and that no track is empty."""
    fps = document["fps"]
    for track in document["tracks"]:
        if not track["segments"]:
            fail(f"{label}: track {track['name']!r} is empty")
        for segment in track["segments"]:
            target = segment["target_timerange"]
            for time in (target["start"], target["start"] + target["duration"]):
                if time != int(round(time * fps / 1e6) * 1e6 / fps + 1e-3):
                    fail(f"{label}: {time} is not the start of a frame, rounded down")


def run(command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)


def check(drafts, folder, modules, executable, sources):
    label = f"{drafts.name}/{folder.name}"
    document = json.loads((folder / "draft_content.json").read_bytes())
    profile, _, variant = drafts.name.split(" ")[0].partition("@")
    check_timelines(label, folder, document, PROFILES[profile][1])
    check_times(label, document)
    if (folder / "draft_content.json").read_bytes() != (folder / "draft_info.json").read_bytes():
        fail(f"{label}: the two documents differ")
    for kind in ("videos", "audios"):
        for material in document["materials"][kind]:
            path = pathlib.Path(material["path"].replace(TOKEN, str(folder)))
            if variant.startswith("placed"):
                path = folder / material["path"].split(f"/{folder.name}/", 1)[-1]
            if not path.is_file() or path.stat().st_size == 0:
                fail(f"{label}: no file {path}")
            elif sources and path.read_bytes() not in sources:
                fail(f"{label}: {path} differs from its source")
    if executable:
        done = run([executable, "lint", folder, "--json", "--data-dir", drafts.parent / ".data"])
        problems = json.loads(done.stdout)["problems"] if done.stdout else done.stderr
        if done.returncode != 0 or problems:
            fail(f"{label}: our own lint exits with {done.returncode}: {problems}")
    for module in modules:
        read_with(module, drafts, folder.name, document)
    code, report = run_cli("diagnose", str(folder))
    if report.get("ok") is not True or report.get("diverged") is not False or report.get("media_registration"):
        fail(f"{label}: capcut diagnose exits with {code}: {json.dumps(report)[:1500]}")
    paths = ["--no-check-paths"] if variant else []
    code, report = run_cli("lint", str(folder), "--no-probe", *paths)
    issues = report.get("issues")
    # capcut-cli expects the masks of JianYing in a list with another name than in the app's own drafts.
    known = [i for i in issues or [] if i.get("code") == "mask-field-mismatch" and drafts.name.startswith("jianying")]
    if code != 0 or issues is None or len(issues) != len(known):
        fail(f"{label}: capcut lint exits with {code}: {json.dumps(report)[:1500]}")
    working = drafts / "working" / f"{folder.name}.json"
    if not working.is_file():
        fail(f"{label}: there is no document from before the save")
    else:
        compare(f"{label}: working document", segments(document), segments(json.loads(working.read_bytes())), FRAME)


def main():
    import pycapcut
    import pyJianYingDraft

    arguments = sys.argv[1:]
    root = pathlib.Path(arguments[0]).resolve()
    executable = pathlib.Path(arguments[1]).resolve() if len(arguments) > 1 else None
    sources = make(executable, pathlib.Path(arguments[2]), root) if executable else []
    counts = {}
    for drafts in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        is_example = " " in drafts.name
        for folder in sorted(drafts.iterdir()):
            if not (folder / "draft_content.json").is_file() or folder.name.startswith("."):
                continue
            modules = [pyJianYingDraft, pycapcut]
            check(drafts, folder, modules, executable, sources if is_example else [])
            profile = drafts.name.split(" ")[0]
            counts[profile] = counts.get(profile, 0) + 1
    made = {profile: counts.get(profile, 0) for profile in PROFILES}
    # The tests make one additional draft for each profile of a single system.
    made = {profile: count - ("-" in profile) for profile, count in made.items()}
    others = {profile: count for profile, count in counts.items() if "@" in profile}
    if executable and (len(set(made.values())) != 1 or min(made.values()) < 15 or len(others) != 4 * 3 + 3 * 5 or len(set(others.values())) != 1):
        fail(f"not every plan has a draft for each profile: {counts}")
    print(f"{counts} drafts checked, {fail.count} problems")
    return 0 if counts and not fail.count else 1


if __name__ == "__main__":
    sys.exit(main())
