//! A small crate whose tests need root, and a kernel to play with.

/// The value of a kernel parameter, a file below /proc/sys.
///
/// ```
/// assert_eq!(vmrun_example::parameter("kernel/ostype").unwrap(), "Linux");
/// ```
pub fn parameter(name: &str) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/sys/{name}"))?.trim_end().to_string())
}
