//! The doctor's report of time and size limits.

use super::Finding;
use crate::manifest::{LaneName, Manifest};

/// The limits of `tools.toml`, including the user's overrides.
pub(super) fn limits(manifest: &Manifest) -> Vec<Finding> {
    let (api, limits, media) = (&manifest.api, &manifest.limits, &manifest.limits.media);
    let lanes: Vec<String> = LaneName::ALL
        .into_iter()
        .map(|name| {
            let lane = manifest.lane(name);
            format!(
                "{}: {} in parallel, {} may wait, {} s per call",
                name.name(),
                lane.slots,
                lane.waiting,
                lane.timeout_s
            )
        })
        .collect();
    let longer: Vec<String> = manifest
        .tools
        .iter()
        .filter_map(|(tool, route)| Some(format!("{tool} {} s", route.timeout_s?)))
        .collect();
    vec![
        Finding::ok(
            "limits: API",
            format!(
                "connection {} s, on this machine {} s; recognising a server {} s; {} concurrent requests; \
                 an answer {} bytes; reading a draft {} s; recreating a draft {} s",
                api.connect_timeout_s,
                api.loopback_connect_timeout_s,
                api.probe_timeout_s,
                api.connections,
                limits.response_bytes,
                limits.look_timeout_s,
                limits.recover_timeout_s
            ),
        ),
        Finding::ok(
            "limits: calls",
            format!(
                "{}; waiting for its turn {} s; both branches of a video {} s; a look at a draft {} s; total for {}",
                lanes.join("; "),
                limits.queue_wait_s,
                manifest.sync.timeout_s,
                limits.review_timeout_s,
                longer.join(", ")
            ),
        ),
        Finding::ok(
            "limits: clients",
            format!(
                "a body over HTTP {} bytes, {} s, {} s between two parts; a message over MCP {} bytes; drafts in memory {} bytes; an uploaded file {} bytes; each tenant of a server {} drafts, {} bytes, {} jobs",
                limits.request_bytes,
                limits.request_timeout_s,
                limits.request_pause_s,
                limits.message_bytes,
                limits.memory_bytes,
                limits.upload_bytes,
                limits.tenant_drafts,
                limits.tenant_bytes,
                limits.tenant_jobs
            ),
        ),
        Finding::ok(
            "limits: media",
            format!(
                "connection {} s; answer {} s; probing a file {} s and {} bytes; a file {} bytes, \
                 at least {} bytes/s over {} s; {} redirects; {} tries",
                media.connect_timeout_s,
                media.answer_timeout_s,
                media.probe_timeout_s,
                media.max_probe_bytes,
                media.max_bytes,
                media.min_bytes_per_s,
                media.min_speed_window_s,
                media.redirects,
                media.tries
            ),
        )
        .hint("each can be set in your own `tools.toml` (`--config`)"),
    ]
}
