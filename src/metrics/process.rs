//! What the process uses, by the names that Prometheus' client libraries have for it.
//!
//! The numbers come from `/proc`, which only Linux has; elsewhere these metrics are absent.

use std::fs;

/// Memory, processor time and open files of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProcessUse {
    /// Bytes.
    pub resident_memory: u64,
    /// Of all threads, in user and system mode.
    pub cpu_seconds: f64,
    pub open_files: u64,
}

impl ProcessUse {
    /// `None` where the system does not say.
    pub(super) fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let schedule = fs::read_to_string("/proc/self/stat").ok()?;
        let open = fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Self {
            resident_memory: resident(&status)?,
            cpu_seconds: cpu(&schedule)?,
            // Without the one that reads the folder.
            open_files: open.saturating_sub(1) as u64,
        })
    }

    /// In the text format of Prometheus.
    pub(super) fn write(self, text: &mut String) {
        let Self {
            resident_memory,
            cpu_seconds,
            open_files,
        } = self;
        text.push_str(&format!(
            "# HELP process_cpu_seconds_total Processor time in seconds.\n\
             # TYPE process_cpu_seconds_total counter\n\
             process_cpu_seconds_total {cpu_seconds}\n\
             # HELP process_open_fds Open file descriptors.\n\
             # TYPE process_open_fds gauge\n\
             process_open_fds {open_files}\n\
             # HELP process_resident_memory_bytes Resident memory in bytes.\n\
             # TYPE process_resident_memory_bytes gauge\n\
             process_resident_memory_bytes {resident_memory}\n"
        ));
    }
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// User and system time of `/proc/self/stat`, in seconds. Its unit is a hundredth of a second on all systems that Rust
/// supports (`USER_HZ`).
fn cpu(schedule: &str) -> Option<f64> {
    // The second field is the name in parentheses, which may contain spaces.
    let (_, fields) = schedule.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_linux_are_read() {
        assert_eq!(
            resident("VmPeak:\t 10 kB\nVmRSS:\t   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(resident("VmPeak:\t 10 kB\n"), None);
        let schedule = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu(schedule), Some(2.0));
        assert_eq!(cpu("7 (a"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_use_of_this_process_is_plausible() {
        let used = ProcessUse::now().expect("/proc");
        assert!(used.resident_memory > 1 << 20, "{used:?}");
        assert!(used.cpu_seconds >= 0.0 && used.open_files >= 3, "{used:?}");
    }
}
