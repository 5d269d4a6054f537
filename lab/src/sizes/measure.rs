//! What can be measured of a program without booting it.

use crate::bench;
use crate::bench::jail::{Jail, Launch};
use anyhow::{Context, Result, ensure};
use object::Endianness;
use object::elf::{
    ELFCLASS32, FileClass, FileHeader32, FileHeader64, PT_INTERP, PT_LOAD, ProgramType,
};
use object::read::elf::{FileHeader, ProgramHeader};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes, in several ways.
#[derive(Clone, Copy, Default)]
pub struct Bytes {
    /// Of the file.
    pub file: u64,
    /// Of what is loaded into memory, with what is not in the file.
    pub loaded: u64,
    /// Of the file, compressed.
    pub gzip: u64,
    /// Of an initramfs with nothing but this as /init.
    pub cpio: u64,
    /// The same, compressed.
    pub cpio_gzip: u64,
}

/// Measures all of that.
pub fn bytes(program: &Path, scratch: &Path) -> Result<Bytes> {
    let file = fs::read(program).with_context(|| program.display().to_string())?;
    let archive = archive(&[(program, "init")], scratch)?;
    Ok(Bytes {
        file: file.len() as u64,
        loaded: loaded(&file).with_context(|| program.display().to_string())?,
        gzip: gzip(&file)?.len() as u64,
        cpio: archive.len() as u64,
        cpio_gzip: gzip(&archive)?.len() as u64,
    })
}

/// What its loadable segments take; 0 of what is no ELF file, such as a script.
fn loaded(file: &[u8]) -> Result<u64> {
    Ok(segments(file)?.iter().filter(|(kind, _)| *kind == PT_LOAD).map(|(_, size)| size).sum())
}

/// Whether a program needs a loader, and so libraries that are not counted.
pub fn is_dynamic(program: &Path) -> Result<bool> {
    let file = fs::read(program).with_context(|| program.display().to_string())?;
    Ok(segments(&file)?.iter().any(|(kind, _)| *kind == PT_INTERP))
}

/// The kinds of its segments, and what each takes in memory.
fn segments(file: &[u8]) -> Result<Vec<(ProgramType, u64)>> {
    if !file.starts_with(b"\x7fELF") {
        return Ok(Vec::new());
    }
    match file.get(4).copied().map(FileClass) {
        Some(ELFCLASS32) => segments_of::<FileHeader32<Endianness>>(file),
        _ => segments_of::<FileHeader64<Endianness>>(file),
    }
}

fn segments_of<H: FileHeader<Endian = Endianness>>(file: &[u8]) -> Result<Vec<(ProgramType, u64)>> {
    let header = H::parse(file)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, file)?.iter();
    Ok(segments.map(|segment| (segment.p_type(endian), segment.p_memsz(endian).into())).collect())
}

/// What gzip -9 makes of some bytes.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    through(Command::new("gzip").args(["-9", "-n", "-c"]), bytes)
}

/// An initramfs with these files in it, packed as `make archive` does it.
pub fn archive(files: &[(&Path, &str)], scratch: &Path) -> Result<Vec<u8>> {
    let folder = scratch.join("tree");
    let _ = fs::remove_dir_all(&folder);
    let mut names = Vec::new();
    for (file, name) in files {
        let path = folder.join(name);
        for parent in Path::new(name).ancestors().skip(1).filter(|path| *path != Path::new("")) {
            fs::create_dir_all(folder.join(parent)).context("make a folder")?;
            names.push(parent.display().to_string());
        }
        fs::create_dir_all(&folder).context("make a folder")?;
        fs::copy(file, &path).with_context(|| file.display().to_string())?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).context("chmod")?;
        names.push(name.to_string());
    }
    for name in &names {
        let touch = Command::new("touch").args(["-d", "@0"]).arg(folder.join(name)).status();
        ensure!(touch.context("run touch")?.success(), "touch failed");
    }
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--format=newc", "--owner=0:0", "--reproducible", "--quiet"]);
    let packed = through(cpio.current_dir(&folder), (names.join("\n") + "\n").as_bytes());
    fs::remove_dir_all(&folder).context("remove a folder")?;
    packed
}

/// What a program makes of its input.
fn through(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}; it has to be installed"))?;
    let mut stdin = child.stdin.take().context("no input")?;
    let input = input.to_vec();
    // It may write before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().with_context(|| name.clone())?;
    writer.join().expect("the writer").with_context(|| name.clone())?;
    ensure!(output.status.success(), "{name} failed");
    Ok(output.stdout)
}

/// Its resident memory in kB, as PID 1, while its program sleeps.
pub fn rss(jail: &Jail, launch: Launch) -> Result<f64> {
    let run = jail.start(&Launch { fixed_addresses: true, ..launch })?;
    let start = Instant::now();
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    while fs::read_to_string(&children).is_ok_and(|text| text.is_empty()) {
        ensure!(start.elapsed() < PATIENCE, "it starts no program");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_secs(1));
    bench::rss(&run)
}

/// How many system calls it makes to have its program run, from its own exec
/// to the program's: its own until it starts a process, and that process's.
pub fn calls(jail: &Jail) -> Result<f64> {
    let launch = Launch {
        command: vec!["/init".into(), "/bin/true".into()],
        fresh: true,
        strace: Some("all".into()),
        ..Launch::default()
    };
    let mut run = jail.start(&launch)?;
    run.end(PATIENCE)?.context("it does not exit")?;
    count_calls(&run.trace())
}

fn count_calls(trace: &str) -> Result<f64> {
    // `PID call(...) = ...`; the second line of a call that took two has no name in this place.
    let calls: Vec<(&str, &str, &str)> = trace
        .lines()
        .filter_map(|line| {
            let (pid, rest) = line.split_once(' ')?;
            let (name, arguments) = rest.trim_start().split_once('(')?;
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            is_name.then_some((pid, name, arguments))
        })
        .collect();
    let exec = |program: &str| {
        let start = format!("\"{program}\"");
        calls.iter().position(|(_, name, arguments)| {
            *name == "execve" && arguments.starts_with(start.as_str())
        })
    };
    let first = exec("/init").context("it was never executed")?;
    let last = exec("/bin/true").context("its program was never executed")?;
    let child = calls[last].0;
    let born = calls.iter().position(|(pid, ..)| *pid == child).unwrap_or(last);
    let forks = ["fork", "vfork", "clone", "clone3"];
    let fork = calls[..born].iter().rposition(|(_, name, _)| forks.contains(name));
    let fork = fork.context("nothing starts its program")?;
    let parent = calls[fork].0;
    let counted = |index: usize| calls[index].0 != parent || index <= fork;
    Ok((first + 1..=last).filter(|&index| counted(index)).count() as f64)
}
