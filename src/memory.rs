//! How much memory this process holds, where the system says (Linux).

/// Bytes held now.
pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most bytes held so far.
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_peak_is_not_below_what_is_held() {
        let held = super::resident().unwrap();
        assert!(held > 0 && super::peak().unwrap() >= held);
    }
}
