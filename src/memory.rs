//! Returns memory that large operations have freed to the operating system.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Work that takes this long may have used much memory.
pub(crate) const LONG_WORK: Duration = Duration::from_millis(100);
/// How long to wait: what follows soon after the work is freed too.
const PAUSE: Duration = Duration::from_secs(1);

static IS_PLANNED: AtomicBool = AtomicBool::new(false);

/// Gives freed memory back to the system a second from now, once for all work that ends until then.
///
/// glibc keeps freed memory in an arena for each thread: two saves of 5,000 captions left 300 MB resident, of which 30 MB
/// were in use. Other allocators need no help.
pub(crate) fn release_soon() {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if IS_PLANNED.swap(true, Ordering::Relaxed) {
        return;
    }
    runtime.spawn(async {
        tokio::time::sleep(PAUSE).await;
        IS_PLANNED.store(false, Ordering::Relaxed);
        // It takes milliseconds where much is free.
        tokio::task::spawn_blocking(release);
    });
}

/// Limits the number of arenas, before the first thread is started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the allocator of the system has no safe interface"
)]
pub(crate) fn set_up() {
    // By default there are eight for each processor, and each keeps what it once had: after three saves of 5,000 captions
    // 153 MB stayed after `release`, with two arenas 85 MB.
    // SAFETY: `mallopt` sets a parameter of the allocator; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the allocator of the system has no safe interface"
)]
fn release() {
    // SAFETY: `malloc_trim` may be called at any time from any thread; it returns pages that are free.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn release() {}
