#!/usr/bin/env python3
"""Makes drafts with other programs, for `lint` and `lint --fix` to be tried on.

    tests/external/make_foreign.py OUT
    CAPCUT_TEST_FOREIGN=OUT cargo test --lib drafts_of_other_programs
    tests/external/check_drafts.py OUT --readers-only

needs what `check_drafts.py` needs. Each folder in OUT is a drafts folder with one draft in it.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import wave

HERE = pathlib.Path(__file__).resolve().parent
CLIP = HERE.parent / "drafts" / "clip.mp4"


def library(module, root, media, sound):
    """A clip, a text with an emoji and a sound, as the library's own examples make them."""
    root.mkdir(parents=True)
    script = module.DraftFolder(str(root)).create_draft("made elsewhere", 1080, 1920)
    for kind in (module.TrackType.video, module.TrackType.audio, module.TrackType.text):
        # The one library renamed the method in its last version, the other did not.
        if hasattr(script, "add_track"):
            script.add_track(kind)
        else:
            script.append_track(module.TrackSpec(kind))
    half = module.trange("0s", "2s")
    script.add_segment(module.VideoSegment(str(media), half, source_timerange=module.trange("1s", "2s")))
    script.add_segment(module.AudioSegment(str(sound), half))
    script.add_segment(module.TextSegment("Hi 😀 there", half))
    script.save()


def with_cli(root, media):
    root.mkdir(parents=True)
    capcut = os.environ.get("CAPCUT_CLI", "capcut")
    done = subprocess.run([capcut, "init", "made elsewhere", "--drafts", str(root)], capture_output=True, text=True, timeout=60)
    folder = root / "made elsewhere"
    if done.returncode or not folder.is_dir():
        raise SystemExit(f"capcut init answers {done.returncode}: {done.stdout}{done.stderr}")
    for words in (["add-video", str(folder), str(media), "0s", "2s"], ["add-text", str(folder), "0s", "2s", "Hi there"]):
        done = subprocess.run([capcut, *words], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise SystemExit(f"capcut {words[0]} answers {done.returncode}: {done.stdout}{done.stderr}")


def main():
    import pycapcut
    import pyJianYingDraft

    out = pathlib.Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    media = out / "clip.mp4"
    shutil.copy(CLIP, media)
    # The libraries refuse a video file as sound.
    sound = out / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 3))
    library(pycapcut, out / "pycapcut", media, sound)
    library(pyJianYingDraft, out / "pyjianyingdraft", media, sound)
    with_cli(out / "capcut-cli", media)
    print("\n".join(sorted(str(path.parent.relative_to(out)) for path in out.rglob("draft_content.json"))))


if __name__ == "__main__":
    main()
