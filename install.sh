#!/bin/sh
# Installs capcut-mcp on the PATH and prints the configuration for a client. A second run changes nothing unless
# the executable differs.
set -eu

usage() {
    cat <<'END'
Usage: ./install.sh [--from FILE] [--to DIR]

  --from FILE  the executable to install (default: `capcut-mcp` next to this script, or else
               a build with cargo)
  --to DIR     the folder to install into (default: ~/.local/bin)
END
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

from=
to=${HOME:?}/.local/bin
while [ $# -gt 0 ]; do
    case $1 in
    --from)
        [ $# -ge 2 ] || fail "--from needs a file"
        from=$2
        shift 2
        ;;
    --to)
        [ $# -ge 2 ] || fail "--to needs a folder"
        to=$2
        shift 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "unknown option: $1"
        ;;
    esac
done

here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$from" ]; then
    if [ -x "$here/capcut-mcp" ]; then
        from=$here/capcut-mcp
    elif command -v cargo >/dev/null 2>&1; then
        echo "Building; the build takes several minutes, nearly all of them for the last step."
        (cd "$here" && cargo build --profile dist --locked)
        from=${CARGO_TARGET_DIR:-$here/target}/dist/capcut-mcp
    else
        fail "there is no executable next to this script, and cargo is not installed (see rustup.rs)"
    fi
fi
[ -f "$from" ] || fail "$from does not exist"
[ -x "$from" ] || fail "$from is not an executable"
"$from" --version >/dev/null || fail "$from does not run on this machine"

mkdir -p "$to"
to=$(cd "$to" && pwd)
command=$to/capcut-mcp
# The checksum of the installed file. Only an unchanged file is replaced.
record=$to/.capcut-mcp.installed
changed=no
is_ours() {
    [ -f "$command" ] && [ ! -L "$command" ] && [ -f "$record" ] && [ "$(cksum <"$command")" = "$(cat "$record")" ]
}
if ! cmp -s "$from" "$command"; then
    if [ -e "$command" ] || [ -L "$command" ]; then
        is_ours || fail "$command was not installed by this script or has changed since: move it away, or install into another folder with --to"
    fi
    # A running server keeps the old file; the rename replaces it atomically.
    new=$(mktemp "$to/.capcut-mcp.XXXXXX")
    trap 'rm -f "$new"' EXIT
    cp "$from" "$new"
    chmod 755 "$new"
    sum=$(cksum <"$new")
    mv -f "$new" "$command"
    printf '%s\n' "$sum" >"$record"
    changed=yes
    echo "Installed $command ($("$command" --version))."
fi

# Adds a line to a shell's startup file, once.
add() {
    if ! grep -qsF "$2" "$1"; then
        mkdir -p "$(dirname "$1")"
        printf '\n# capcut-mcp\n%s\n' "$2" >>"$1"
        changed=yes
        echo "Added $to to the PATH in $1; open a new shell to use it."
    fi
}

case ":$PATH:" in
*":$to:"*) ;;
*)
    # The shell that reads the line expands the variable.
    # shellcheck disable=SC2016
    line="export PATH=\"$to:"'$PATH"'
    case ${SHELL:-sh} in
    */fish) add "$HOME/.config/fish/conf.d/capcut-mcp.fish" "fish_add_path \"$to\"" ;;
    */zsh) add "$HOME/.zshrc" "$line" ;;
    */bash)
        add "$HOME/.profile" "$line"
        add "$HOME/.bashrc" "$line"
        ;;
    *) add "$HOME/.profile" "$line" ;;
    esac
    ;;
esac

# The manual pages, where `man` looks for those of programs in a folder `bin`.
if [ "$(basename "$to")" = bin ] && [ -d "$here/docs/man" ]; then
    pages=$(dirname "$to")/share/man/man1
    for page in "$here"/docs/man/*.1; do
        if ! cmp -s "$page" "$pages/$(basename "$page")"; then
            mkdir -p "$pages"
            cp "$page" "$pages/"
            changed=yes
        fi
    done
fi

[ $changed = yes ] || echo "$command is already installed; nothing changed."

cat <<END

Add to a client:  $command connect claude-desktop
                  (or claude-code, cursor, vscode, …: $command connect --list)

For any other client, add this to its configuration:

  {
    "mcpServers": {
      "capcut": { "command": "$command", "args": ["serve"] }
    }
  }

Next:             capcut-mcp doctor
END
