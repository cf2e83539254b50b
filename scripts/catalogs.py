#!/usr/bin/env python3
"""Makes the tables of names and ids in `src/catalog/data/`.

    python3 scripts/catalogs.py [--capcut-cli DIR] [--pyjianyingdraft DIR]

The names come from two public packages:

* npm `capcut-cli` 0.23.0 (MIT): the names that the CapCut API knows, for both editions, with ids;
* PyPI `pyjianyingdraft` 0.3.1 (Apache-2.0): parameters of JianYing's effects, and further JianYing names,
  which are marked `m` ("more": the CapCut API does not know them).

Each is downloaded with `npm pack` or `pip download`, unless the folder of an unpacked copy is given.

Data that neither package has (parameters of CapCut's effects, voices, some parameters of JianYing's effects) was
recorded from the API: `catalog.jsonl` in `tests/golden/recorded.zip`.

A table has one line per name, columns separated by tabs, empty columns at the end left out:

    key  display  resource_id  effect_id  duration_ms  flags  params  also  resource_type  aspect_ratio

`display` and `effect_id` are empty where they equal `key` and `resource_id`. `flags`: `o` a transition that shows both
clips, `v` for paying users, `m` more. `params`: `name default[ min max];…`, 0 to 1 if no range is given;
`~` stands for `effects_adjust_`. `also`: names of the same resource in the other
edition, and of renamed ones, separated by `|`. `recorded.tsv` has `kind` and `edition` before these; a line without
`resource_id` only adds the parameters of a name that another table has.

Python's standard library only.
"""

import argparse
import ast
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

DATA = pathlib.Path(__file__).resolve().parent.parent / "src" / "catalog" / "data"
RECORDED = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "recorded.zip"
CLI, PYJY = "0.23.0", "0.3.1"
CLI_SOURCE = f"npm capcut-cli {CLI} (MIT, Copyright (c) 2026 Rene Zander)"
PYJY_SOURCE = f"PyPI pyjianyingdraft {PYJY} (Apache-2.0, by gary318)"
COLUMNS = ["key", "display", "resource_id", "effect_id", "duration_ms", "flags", "params", "also",
           "resource_type", "aspect_ratio"]
EDITIONS = ["capcut", "jianying"]

# kind: list in capcut-cli, module of pyjianyingdraft, name in the recordings
KINDS = {
    "transition": ("transitions", "transition_meta", "transitions"),
    "mask": ("masks", "mask_meta", "masks"),
    "video_intro": ("image_intros", "video_intro", "video_intro_animations"),
    "video_outro": ("image_outros", "video_outro", "video_outro_animations"),
    "video_combo": ("image_combos", "video_group_animation", "video_combo_animations"),
    "text_intro": ("text_intros", "text_intro", "text_intro_animations"),
    "text_outro": ("text_outros", "text_outro", "text_outro_animations"),
    "text_loop": ("text_loop_anims", "text_loop", "text_loop_animations"),
    "scene_effect": ("scene_effects", "video_scene_effect", "video_scene_effects"),
    "character_effect": ("character_effects", "video_character_effect", "video_character_effects"),
    "voice_filter": ("audio_effects", None, "audio_voice_filters"),
    "voice_character": (None, None, "audio_voice_characters"),
    "audio_scene": ("audio_effects", "audio_scene_effect", "audio_scene_sounds"),
    "tone": (None, "tone_effect", "audio_tones"),
    "speech_to_song": (None, "speech_to_song", "audio_speech_to_song"),
    "font": ("fonts", "font_meta", "fonts"),
    "filter": ("filters", "filter_meta", "filters"),
}
ONLY = {"voice_filter": "capcut", "voice_character": "capcut", "audio_scene": "jianying", "tone": "jianying"}
# One list for both editions. The additional names still come from JianYing.
SHARED = ["font", "filter"]
# The API knows all of pyjianyingdraft's names of these kinds.
KNOWN_FROM_PYJY = ["tone", "speech_to_song"]


def fetched(command, pattern, folder):
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(pathlib.Path(folder).glob(pattern))


def unpacked_cli(given, scratch):
    if given:
        return pathlib.Path(given)
    archive = fetched(["npm", "pack", "--silent", f"capcut-cli@{CLI}"], "capcut-cli-*.tgz", scratch)
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    return pathlib.Path(scratch) / "package"


def unpacked_pyjy(given, scratch):
    if given:
        return pathlib.Path(given)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"pyjianyingdraft=={PYJY}"]
    archive = fetched(command, "pyjianyingdraft-*.whl", scratch)
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(scratch)
    return pathlib.Path(scratch)


def entry(key, display, resource_id, effect_id, md5, **rest):
    return {"key": key, "display": display, "resource_id": resource_id, "effect_id": effect_id, "md5": md5,
            "duration": None, "flags": "", "params": [], "also": [], "resource_type": "", "aspect_ratio": None,
            **rest}


def flags(overlap, vip, more=False):
    return "o" * bool(overlap) + "v" * bool(vip) + "m" * more


def from_cli(row):
    duration = row.get("duration", row.get("default_duration"))
    return entry(row["member"], row.get("name", row.get("title")), row["resource_id"], row["effect_id"], row["md5"],
                 duration=duration, flags=flags(row.get("is_overlap"), row.get("is_vip")),
                 resource_type=row.get("resource_type", ""), aspect_ratio=row.get("default_aspect_ratio"))


def from_recording(row):
    result = from_cli({"md5": "", **row, "member": row["name"], "name": row["display_name"]})
    result["params"] = [(p["name"], p["default"], p["min"], p["max"]) for p in row.get("params", [])]
    return result


def from_pyjy(folder, module):
    """Reads the names of one module without running it."""
    tree = ast.parse((folder / "pyJianYingDraft" / "metadata" / f"{module}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        kind, key = node.value.func.id, node.targets[0].id
        values = [[tuple(ast.literal_eval(v) for v in call.args) for call in argument.elts]
                  if isinstance(argument, ast.List) else ast.literal_eval(argument) for argument in node.value.args]
        if kind == "EffectMeta":
            name, vip, resource, effect, md5, params = values
            yield entry(key, name, resource, effect, md5, flags=flags(False, vip), params=params)
        elif kind == "AnimationMeta":
            name, vip, seconds, resource, effect, md5 = values
            yield entry(key, name, resource, effect, md5, flags=flags(False, vip), duration=round(seconds * 1e6))
        elif kind == "TransitionMeta":
            name, vip, resource, effect, md5, seconds, overlap = values
            yield entry(key, name, resource, effect, md5, flags=flags(overlap, vip), duration=round(seconds * 1e6))
        elif kind == "MaskMeta":
            name, shape, resource, effect, md5, aspect = values
            yield entry(key, name, resource, effect, md5, resource_type=shape, aspect_ratio=aspect)


def plain(name):
    """The form in which names are compared; same as `normalised` in `src/catalog.rs`."""
    return "".join(c for c in name.lower() if not c.isspace() and c not in "_-")


def add_more(known, others):
    """Adds the entries that only pyjianyingdraft has, and its parameters and new names for known resources."""
    keys = {plain(e["key"]): e for e in known}
    resources = {}
    for e in known:
        resources.setdefault(e["resource_id"], e)
    more = []
    for other in others:
        same_name, same_resource = keys.get(plain(other["key"])), resources.get(other["resource_id"])
        if same_name and same_name["resource_id"] == other["resource_id"]:
            same_name["params"] = other["params"]
        elif same_name:
            pass  # The name now refers to another resource; the API's entry is kept.
        elif same_resource:
            same_resource["also"].append(other["key"])
        else:
            other["flags"] += "m"
            more.append(other)
            keys[plain(other["key"])] = other
            resources[other["resource_id"]] = other
    return more


def link(capcut, jianying):
    """Adds to each entry the names that the same resource, or the same file, has in the other edition."""
    for mine, theirs in [(capcut, jianying), (jianying, capcut)]:
        resources, files = {}, {}
        for e in theirs:
            resources.setdefault(e["resource_id"], []).append(e)
            files.setdefault(e["md5"], []).append(e)
        for e in mine:
            same = resources.get(e["resource_id"], [])
            # A file that several resources share identifies none of them.
            if not same and e["md5"] and len({o["resource_id"] for o in files.get(e["md5"], [])}) == 1:
                same = files[e["md5"]]
            names = [plain(n) for n in [e["key"], e["display"], *e["also"]]]
            for other in same:
                if plain(other["key"]) not in names:
                    names.append(plain(other["key"]))
                    e.setdefault("linked", []).append(other["key"])


def number(value):
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def params_text(params):
    def one(name, default, low, high):
        name = name.replace("effects_adjust_", "~", 1) if name.startswith("effects_adjust_") else name
        limits = "" if (low, high) == (0, 1) else f" {number(low)} {number(high)}"
        return f"{name} {number(default)}{limits}"

    return ";".join(one(*p) for p in params)


def line(e, *before):
    duration = "" if e["duration"] is None else number(e["duration"] / 1000)
    cells = [*before, e["key"], e["display"] if e["display"] != e["key"] else "", e["resource_id"],
             e["effect_id"] if e["effect_id"] != e["resource_id"] else "", duration, e["flags"],
             params_text(e["params"]), "|".join(e["also"] + e.get("linked", [])), e["resource_type"],
             "" if e["aspect_ratio"] is None else number(e["aspect_ratio"])]
    assert not any(c in cell for cell in cells for c in "\t\n\r"), cells
    return "\t".join(cells).rstrip("\t")


def write(name, source, lines):
    text = f"# {source}; made by scripts/catalogs.py; columns: {' '.join(COLUMNS)}\n" + "".join(f"{l}\n" for l in lines)
    (DATA / name).write_text(text, "utf-8")
    print(f"{len(lines):5} lines {len(text.encode()):7} bytes  {name}")


def recorded_lines(tables):
    with zipfile.ZipFile(RECORDED) as archive, archive.open("catalog.jsonl") as lines:
        recorded = {line["name"]: line["recording"] for line in map(json.loads, lines)}
    for kind, (_, _, name) in KINDS.items():
        for edition in ["shared", *EDITIONS]:
            path = f"enum_{name}.{edition}"
            table = {e["key"]: e for e in tables.get((kind, edition), [])}
            for row in map(from_recording, recorded.get(path, [])):
                known = table.get(row["key"])
                if known is None:
                    yield line(row, kind, edition)
                    continue
                fields = ["display", "resource_id", "effect_id", "duration", "flags", "resource_type", "aspect_ratio"]
                if any(known[f] != row[f] for f in fields):
                    sys.exit(f"{path}: {row['key']} is {row}, the package has {known}")
                if known["params"] != row["params"]:
                    # A single dash means that there are no parameters, although the package has some.
                    yield "\t".join([kind, edition, row["key"], "", "", "", "", "", params_text(row["params"]) or "-"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ["--capcut-cli", "--pyjianyingdraft"]:
        parser.add_argument(option, metavar="DIR")
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        cli = json.loads((unpacked_cli(arguments.capcut_cli, scratch) / "dist" / "enums.json").read_text("utf-8"))
        pyjy_folder = unpacked_pyjy(arguments.pyjianyingdraft, scratch)
        pyjy = {kind: list(from_pyjy(pyjy_folder, module)) for kind, (_, module, _) in KINDS.items() if module}

    tables, more = {}, {}
    for kind, (in_cli, _, _) in KINDS.items():
        for edition in EDITIONS:
            if ONLY.get(kind, edition) != edition or (kind in SHARED and edition == "capcut"):
                continue
            place = "shared" if kind in SHARED else edition
            known = [from_cli(row) for row in cli[edition].get(in_cli, [])]
            if edition == "jianying" and kind in KNOWN_FROM_PYJY:
                known = pyjy[kind]
            elif edition == "jianying":
                more[kind] = add_more(known, pyjy[kind])
            if known:
                tables[kind, place] = known
        link(tables.get((kind, "capcut"), []), tables.get((kind, "jianying"), []) + more.get(kind, []))

    for (kind, place), known in tables.items():
        sources = [PYJY_SOURCE] if kind in KNOWN_FROM_PYJY else [CLI_SOURCE]
        further = more.get(kind, []) if place == "jianying" else []
        if place != "capcut" and kind not in KNOWN_FROM_PYJY:
            sources.append(PYJY_SOURCE)
        elif any(e.get("linked") for e in known):
            sources.append(f"Chinese names from {PYJY_SOURCE}")
        write(f"{kind}.{place}.tsv", "; ".join(sources), [line(e) for e in [*known, *further]])
    for kind in SHARED:
        write(f"{kind}.jianying.tsv", PYJY_SOURCE, [line(e) for e in more[kind]])
    write("recorded.tsv", "Recorded from the answers of the CapCut API (Apache-2.0); `kind edition` before the columns",
          list(recorded_lines(tables)))


if __name__ == "__main__":
    main()
