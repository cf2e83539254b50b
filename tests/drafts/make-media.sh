#!/bin/sh
# Makes the small clip that the tests of saving put into drafts: 4 s, 64x36, with sound.
cd "$(dirname "$0")" || exit 1
exec ffmpeg -v error -y -f lavfi -i testsrc=size=64x36:rate=10:duration=4 -f lavfi -i sine=frequency=440:sample_rate=8000:duration=4 \
  -c:v libx264 -preset veryslow -crf 40 -g 20 -pix_fmt yuv420p -c:a aac -b:a 16k -movflags +faststart -fflags +bitexact -flags:v +bitexact -flags:a +bitexact clip.mp4
