#!/bin/sh
# Makes the media of the examples with ffmpeg's own generators: a clip, a picture, a logo, music and a voice.
# The results are committed; this file documents how they were made.
set -eu
cd "$(dirname "$0")"

quiet() {
    ffmpeg -nostdin -y -loglevel error -bitexact "$@"
}

# Four seconds of a moving test picture with a tone, 30 frames per second.
quiet -f lavfi -i testsrc2=size=480x854:rate=30:duration=4 -f lavfi -i sine=frequency=330:duration=4 \
    -vf "hue=h=20*t:s=0.7" -c:v libx264 -preset veryslow -crf 38 -pix_fmt yuv420p -c:a aac -b:a 24k -ac 1 -shortest \
    -movflags +faststart clip.mp4

# A still picture: a soft gradient.
quiet -f lavfi -i "gradients=size=720x1280:c0=0x0f2027:c1=0xf7971e:x0=0:y0=0:x1=720:y1=1280:duration=1:speed=0.00001" \
    -frames:v 1 -q:v 9 picture.jpg

# A small logo with a transparent background.
quiet -f lavfi -i "color=c=black@0:size=200x200:duration=1,format=rgba,geq=r=255:g='80+X/2':b=90:a='if(lt(hypot(X-100\,Y-100)\,90)\,255\,0)'" \
    -frames:v 1 logo.png

# Twelve seconds of music: three tones that rise and fall in volume.
quiet -f lavfi -i "aevalsrc='0.2*sin(2*PI*220*t)*(0.6+0.4*sin(PI*t/2))+0.15*sin(2*PI*277.18*t)*(0.6+0.4*sin(PI*t/3))+0.15*sin(2*PI*329.63*t)':d=12:s=22050" \
    -c:a libmp3lame -b:a 32k music.mp3

# Three seconds instead of a voice: a tone with the rhythm of syllables.
quiet -f lavfi -i "aevalsrc='0.4*sin(2*PI*180*t+3*sin(2*PI*3*t))*abs(sin(2*PI*2.5*t))':d=3:s=22050" \
    -c:a libmp3lame -b:a 24k voice.mp3

ls -l
