# The executable in a small image; deploy/README.md says how to start it.
#
#   docker build --tag capcut-mcp .                        about 100 MB
#   docker build --tag capcut-mcp --target with-ffmpeg .   with FFmpeg and fonts
#
# The executable needs glibc 2.36 and the certificates of public authorities, nothing else. FFmpeg and fonts are needed for
# preview videos, for frames that show videos, for captions in all scripts, and for media that are neither WAV, MP3, M4A,
# FLAC, Ogg nor Opus; they take about 600 MB.

# Built on the system that it runs on: build.rs chooses what the C library can load.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --profile dist --bin capcut-mcp \
    && install -D target/dist/capcut-mcp /image/usr/local/bin/capcut-mcp \
    && install -D -m 644 -t /image/usr/share/doc/capcut-mcp LICENSE NOTICE \
    && install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt

FROM debian:12.11-slim AS base
LABEL org.opencontainers.image.title="capcut-mcp" \
    org.opencontainers.image.description="CapCut and JianYing drafts over MCP and HTTP" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
RUN install -d -m 750 -o 10001 -g 10001 /data
# Written to: /data (drafts, copies of media) and /tmp. Everything else may be read-only.
ENV HOME=/data \
    CAPCUT_MCP_DATA_DIR=/data
WORKDIR /data
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
EXPOSE 8080
# A server stops within 10 seconds of SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 CMD ["capcut-mcp", "health"]
ENTRYPOINT ["capcut-mcp"]
CMD ["serve", "--http", "0.0.0.0:8080", "--backend", "embedded"]

FROM base AS with-ffmpeg
USER 0
# Debian keeps only the newest version of a package, so a version that is named here would soon be missing.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg fonts-noto-cjk fonts-noto-color-emoji fonts-noto-core \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001

FROM base
