"""Whether the Dockerfile has everything that it needs: image.py REPOSITORY

The files that .dockerignore leaves to the build are copied to another folder, and the executable is checked there.
CARGO_TARGET_DIR may name a folder with compiled dependencies.
"""

import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def patterns(root):
    """The lines of .dockerignore in order: whether the line includes again, and the pattern."""
    lines = (root / ".dockerignore").read_text().splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [(line.startswith("!"), line.removeprefix("!")) for line in lines]


def matches(path, pattern):
    """Whether a pattern names the path or a folder above it; `*` does not match a slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def context(root):
    """The files of the repository that a build gets."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                            capture_output=True, text=True, check=True)
    for path in filter(None, listed.stdout.split("\0")):
        is_in = True
        for includes, pattern in patterns(root):
            if matches(path, pattern):
                is_in = includes
        if is_in and (root / path).is_file():
            yield path


def main(root):
    root = pathlib.Path(root).resolve()
    files = list(context(root))
    assert not any(path.startswith((".git/", "tests/", "target/", "deploy/secrets")) for path in files), files
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        for path in files:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, copy / path)
        environment = {"CARGO_TARGET_DIR": str(root / "target")} | dict(os.environ)
        subprocess.run(["cargo", "check", "--quiet", "--locked", "--bin", "capcut-mcp"], cwd=copy, env=environment, check=True)
        for needed in ["LICENSE", "NOTICE"]:
            assert (copy / needed).is_file(), needed
    print(f"the executable is built from the {len(files)} files of the image's context")


if __name__ == "__main__":
    main(sys.argv[1])
