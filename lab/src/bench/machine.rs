//! What the measurements were made with.

use super::inits::INITS;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

/// One line for each thing, as `what: which`.
pub fn describe(packages: &Path) -> Result<Vec<String>> {
    let mut lines = here()?;
    let mut seen = Vec::new();
    for package in INITS.iter().filter_map(|init| init.package) {
        if !seen.contains(&package) {
            seen.push(package);
            lines.push(format!("{package}: {}", version(packages, package)?));
        }
    }
    Ok(lines)
}

/// The machine, and picoinit.
pub fn here() -> Result<Vec<String>> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let value = |text: &str, key: &str, separator: char| {
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(separator));
        value.map_or("unknown".into(), |(_, value)| value.trim().trim_matches('"').to_string())
    };
    let count = available_parallelism().map_or(0, |count| count.get());
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's version")?;
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    Ok(vec![
        format!("date: {}", output("date", &["-u", "+%Y-%m-%d"])?),
        format!("CPU: {}, {count} processors", value(&cpuinfo, "model name", ':')),
        format!("kernel: Linux {}", kernel.trim()),
        format!("system: {}", value(&system, "PRETTY_NAME", '=')),
        format!("compiler: {}", output("rustc", &["--version"])?),
        format!("picoinit: {}, {}", env!("CARGO_PKG_VERSION"), commit().unwrap_or_default()),
    ])
}

/// The commit that is measured, and whether anything in it was changed. Texts and
/// charts do not count: they are what is being written.
fn commit() -> Result<String> {
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"])?;
    let status = ["status", "--porcelain", "--", ":!*.md", ":!*.svg"];
    let changed = !output("git", &status)?.is_empty();
    Ok(commit + if changed { "-dirty" } else { "" })
}

/// How long the machine's processors have been busy, all together.
pub fn busy() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, then idle and iowait, then irq, softirq, steal; in
    // hundredths of a second on every Linux (USER_HZ).
    let ticks = numbers.iter().take(8).sum::<u64>() - numbers.iter().skip(3).take(2).sum::<u64>();
    Ok(Duration::from_millis(10 * ticks))
}

/// What a program prints.
pub fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().context(program.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// The version of an unpacked Debian package: its changelog begins with
/// `name (version) ...`. If it was only built again, a second changelog says so.
pub fn version(packages: &Path, package: &str) -> Result<String> {
    let folder = packages.join(package).join("usr/share/doc").join(package);
    for name in ["changelog.Debian.amd64.gz", "changelog.Debian.gz", "changelog.gz"] {
        let path = folder.join(name);
        if path.exists() {
            let text = output("gzip", &["-dc", &path.to_string_lossy()])?;
            let version = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
            return Ok(version.with_context(|| path.display().to_string())?.0.into());
        }
    }
    Ok("unknown".into())
}
