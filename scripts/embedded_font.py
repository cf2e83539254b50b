#!/usr/bin/env python3
"""Makes crates/capcut-text/assets/embedded.ttf: what is drawn where a system has no fonts.

    pip install fonttools==4.60.1
    python3 scripts/embedded_font.py /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

The source is DejaVu Sans 2.37 (Debian: fonts-dejavu-core). Latin with accents, Greek, Cyrillic, digits, punctuation,
currency signs, arrows and common symbols remain. The licence allows changes under a name without "Bitstream" and "Vera".
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

RANGES = """
0020-007E 00A0-017F 0192 0218-021B 02C6-02C7 02D8-02DD 0300-0304 0306-030C 0327-0328
0384-038A 038C 038E-03A1 03A3-03CE 0400-045F 0490-0491
1E80-1E85 1E9E 1EF2-1EF3 2010-2015 2018-2022 2026 2030 2032-2033 2039-203A 2044 20AC 20B9 20BD 20BF 2116 2122 2126
2190-2199 21D0-21D4 2202 2206 220F 2211-2212 221A 221E 222B 2248 2260 2264-2265
25A0-25A1 25AA-25AB 25B2 25B6 25BC 25C0 25CA 25CB 25CF 2605-2606 2660 2663 2665-2666 266A-266B 2713-2714 2717-2718
FB01-FB02 FFFD
"""


def main(source: str) -> None:
    unicodes = []
    for part in RANGES.split():
        first, _, last = part.partition("-")
        unicodes.extend(range(int(first, 16), int(last or first, 16) + 1))
    options = subset.Options()
    options.hinting = False
    options.notdef_outline = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.layout_features = ["kern", "mark", "mkmk", "ccmp", "liga", "locl"]
    font = TTFont(source, recalcTimestamp=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=unicodes)
    subsetter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4):
            record.string = "CapCut MCP Embedded Sans"
        elif record.nameID == 6:
            record.string = "CapCutMCPEmbeddedSans"
    out = Path(__file__).parent.parent / "crates/capcut-text/assets/embedded.ttf"
    font.save(out)
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
