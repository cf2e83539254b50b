#!/usr/bin/env python3
"""Checks the drafts that have every name of every catalog, 200 to a draft, with both linters and both readers.

    CAPCUT_TEST_FULL=1 CAPCUT_TEST_NAMES_OUT=/tmp/names cargo test --test it names::
    tests/external/check_names.py /tmp/names target/debug/capcut-mcp

Needs the same packages as `check_drafts.py`.
"""

import concurrent.futures
import json
import pathlib
import re
import sys

import check_drafts
from check_drafts import fail, read_with, run, run_cli


def check(drafts, folder, executable):
    import pycapcut
    import pyJianYingDraft

    label = f"{drafts.name}/{folder.name}"
    document = json.loads((folder / "draft_content.json").read_bytes())
    done = run([executable, "lint", folder, "--json", "--data-dir", drafts.parent / ".data"])
    problems = json.loads(done.stdout)["problems"] if done.stdout else done.stderr
    if done.returncode != 0 or problems:
        fail(f"{label}: our own lint exits with {done.returncode}: {str(problems)[:1500]}")
    for module in (pyJianYingDraft, pycapcut):
        read_with(module, drafts, folder.name, document)
    code, report = run_cli("lint", str(folder), "--no-probe")
    # Names that its tables do not have are only information. A pipe cuts off long lists of them.
    text = json.dumps(report)
    found = re.search(r'errors\W+(\d+)\W+warnings\W+(\d+)', text)
    if code != 0 or not found or found.groups() != ("0", "0"):
        fail(f"{label}: capcut lint exits with {code}: {text[:1500]}")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    executable = pathlib.Path(sys.argv[2]).resolve()
    folders = [folder for edition in sorted(root.iterdir()) if edition.is_dir() and not edition.name.startswith(".")
               for folder in sorted(edition.iterdir()) if (folder / "draft_content.json").is_file()]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(check, folder.parent, folder, executable) for folder in folders]:
            done.result()
    print(f"{len(folders)} drafts with names checked, {check_drafts.fail.count} problems")
    return 0 if len(folders) > 30 and not check_drafts.fail.count else 1


if __name__ == "__main__":
    sys.exit(main())
