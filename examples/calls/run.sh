#!/bin/sh
# The basic workflow as single calls, from the repository's root: create → video → title → effect → save.
# Each call is a separate process; between calls, the draft is kept in the data folder.
set -eu
CAPCUT=${CAPCUT:-capcut-mcp}
calls=examples/calls

draft=$("$CAPCUT" call create_draft --json @$calls/1-create_draft.json |
    sed -n 's/.*"draft_id" *: *"\([^"]*\)".*/\1/p')
"$CAPCUT" call add_video draft_id="$draft" --json @$calls/2-add_video.json
"$CAPCUT" call add_text draft_id="$draft" --json @$calls/3-add_text.json
"$CAPCUT" call add_effect draft_id="$draft" --json @$calls/4-add_effect.json
mkdir -p drafts
"$CAPCUT" call save_draft draft_id="$draft" --json @$calls/5-save_draft.json
