#!/usr/bin/env python3
"""Makes the fonts of the tests: emoji of squares, whose colours are known. Needs fonttools 4.60.1."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables.otTables import CompositeMode, ExtendMode, PaintFormat

RED, GREEN, BLUE = (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1)


def square(left: int, bottom: int, right: int, top: int):
    pen = TTGlyphPen(None)
    pen.moveTo((left, bottom))
    pen.lineTo((left, top))
    pen.lineTo((right, top))
    pen.lineTo((right, bottom))
    pen.closePath()
    return pen.glyph()


def solid(glyph: str, colour: int, alpha: float = 1.0):
    paint = {"Format": PaintFormat.PaintSolid, "PaletteIndex": colour, "Alpha": alpha}
    return {"Format": PaintFormat.PaintGlyph, "Glyph": glyph, "Paint": paint}


def make(name: str, layers: dict) -> None:
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "grin", "joy", "all", "left", "top"])
    font.setupCharacterMap({0x1F600: "grin", 0x1F602: "joy"})
    empty = TTGlyphPen(None).glyph()
    whole = square(0, 0, 1000, 1000)
    glyphs = {".notdef": empty, "grin": whole, "joy": whole, "all": whole}
    font.setupGlyf(glyphs | {"left": square(0, 0, 500, 1000), "top": square(0, 500, 1000, 1000)})
    font.setupHorizontalMetrics({glyph: (1000, 0) for glyph in font.font.getGlyphOrder()})
    font.setupHorizontalHeader(ascent=1000, descent=0)
    font.setupNameTable({"familyName": f"Squares Emoji {name}", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=1000, sTypoDescender=0)
    font.setupPost()
    font.setupCPAL([[RED, GREEN, BLUE]])
    font.setupCOLR(layers)
    folder = Path(__file__).parent / name
    folder.mkdir(exist_ok=True)
    font.font["head"].created = font.font["head"].modified = 3_800_000_000
    font.font.recalcTimestamp = False
    font.save(folder / "squares.ttf")


# Red, its left half green; and in the colour of the text.
make("v0", {"grin": [("all", 0), ("left", 1)], "joy": [("all", 0xFFFF)]})
gradient = {
    "Format": PaintFormat.PaintLinearGradient,
    "ColorLine": {
        "Extend": ExtendMode.PAD,
        "ColorStop": [
            {"StopOffset": 0, "PaletteIndex": 0, "Alpha": 1},
            {"StopOffset": 1, "PaletteIndex": 2, "Alpha": 1},
        ],
    },
    "x0": 0, "y0": 0, "x1": 1000, "y1": 0, "x2": 0, "y2": 1000,
}
make(
    "v1",
    {
        # From red at the left to blue at the right.
        "grin": {"Format": PaintFormat.PaintGlyph, "Glyph": "all", "Paint": gradient},
        # The left half of a green square, moved to the right half, where the top is red.
        "joy": {
            "Format": PaintFormat.PaintTranslate,
            "dx": 500,
            "dy": 0,
            "Paint": {
                "Format": PaintFormat.PaintComposite,
                "CompositeMode": CompositeMode.SRC_ATOP,
                "SourcePaint": solid("top", 0),
                "BackdropPaint": solid("left", 1),
            },
        },
    },
)
