//! The init on other CPUs than this machine's: built with the linker that comes with Rust, and
//! booted under Debian's kernels, emulated.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{
    STORY, Session, alone, command, make, missing_in_order, tell_apart, terminal_is_unharmed,
    type_command,
};
use common::{ROOT, TempDir, skip};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use std::env::{self, consts::ARCH};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A CPU, Rust's name for it, and ELF's.
type Cpu = (&'static str, &'static str, elf::Machine);

const CPUS: [Cpu; 4] = [
    ("x86_64", "x86_64-unknown-linux-gnu", elf::EM_X86_64),
    ("i686", "i686-unknown-linux-gnu", elf::EM_386),
    ("aarch64", "aarch64-unknown-linux-gnu", elf::EM_AARCH64),
    ("riscv64", "riscv64gc-unknown-linux-gnu", elf::EM_RISCV),
];

/// The CPU of `make test CPU=...`; else all that this machine has not. They are skipped where
/// something is missing: Rust's library, or QEMU, if that `boots` them.
fn others(boots: bool) -> impl Iterator<Item = Cpu> {
    let asked_for = env::var("CPU").ok().filter(|cpu| cpu != ARCH);
    let is_meant = move |cpu: &str| asked_for.as_deref().map_or(cpu != ARCH, |name| name == cpu);
    CPUS.into_iter().filter(move |(cpu, ..)| is_meant(cpu)).filter(move |(cpu, target, _)| {
        let mut command = command("lab/tools.sh");
        command.arg(format!("rust-{target}")).env("NO_INSTALL", "1");
        if boots {
            let qemu = if *cpu == "i686" { "x86_64" } else { cpu };
            command.arg(format!("qemu-system-{qemu}"));
        }
        let (status, said) = Session::piped(command).end();
        if status != Some(0) {
            skip(said.trim());
        }
        status == Some(0)
    })
}

/// `make` for this CPU.
fn make_for(cpu: &str, arguments: &[&str]) -> Command {
    let mut command = make(arguments);
    command.arg(format!("CPU={cpu}"));
    forget_another(cpu, &mut command);
    command
}

/// Removes what `make test` found out, if that is not about this CPU.
fn forget_another(cpu: &str, command: &mut Command) {
    if !is_asked_for(cpu) {
        command.env_remove("KERNEL").env_remove("ACCEL");
    }
}

/// Whether this is `make test` for this CPU.
fn is_asked_for(cpu: &str) -> bool {
    env::var("CPU").is_ok_and(|asked_for| asked_for == cpu)
}

/// What is wrong with the only segment of an ELF file, and which CPU it is for.
fn look<Header: FileHeader<Endian = Endianness>>(file: &[u8]) -> (Vec<&str>, elf::Machine) {
    let endian = Endianness::Little;
    let header = Header::parse(file).expect("an ELF file");
    let segments = header.program_headers(endian, file).expect("program headers");
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let mut complaints = Vec::new();
    if loaded.clone().count() != 1 {
        complaints.push("not one segment");
    }
    if loaded.clone().any(|segment| segment.p_flags(endian) != elf::PF_R | elf::PF_X) {
        complaints.push("a segment that is not as it has to be");
    }
    (complaints, header.e_machine(endian))
}

#[test]
fn the_file_is_of_the_same_kind_on_every_cpu() {
    for (cpu, target, machine) in others(false) {
        let (status, said) = Session::piped(make_for(cpu, &["build"])).end();
        assert_eq!(status, Some(0), "{said}");
        let read = |name| fs::read(Path::new(ROOT).join("target").join(target).join(name));
        let init = read("release/init").expect("the init");
        println!("/init for {cpu}: {} bytes", init.len());
        // The fifth byte says how many bits it has.
        let look = match elf::FileClass(init[4]) {
            elf::ELFCLASS32 => look::<elf::FileHeader32<Endianness>>,
            _ => look::<elf::FileHeader64<Endianness>>,
        };
        assert_eq!(look(&init), (vec![], machine), "{cpu}");
        // The one of this machine is another.
        let own = fs::read(common::init()).expect("the init");
        assert_ne!(&own[18..20], &init[18..20], "{cpu}");
    }
    // An ordinary program is of another kind.
    let guest = fs::read(common::guest()).expect("the guest");
    let (complaints, _) = look::<elf::FileHeader64<Endianness>>(&guest);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
}

#[test]
fn on_that_cpu_the_c_compiler_links_the_same_file() {
    // Told which CPU it is for, the C compiler of this machine calls the linker as that of an
    // aarch64 machine does. There, rustc leaves it at GNU's, which cannot write such a file.
    for (cpu, target, _) in others(false).filter(|(cpu, ..)| *cpu == "aarch64") {
        let (status, said) = Session::piped(make_for(cpu, &["build"])).end();
        assert_eq!(status, Some(0), "{said}");
        let file = |folder: &Path| {
            fs::read(folder.join(target).join("release/init")).expect("read the init")
        };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linked-by-cc");
        let flags = "-Clink-arg=-fuse-ld=bfd -Clink-arg=-Wl,-maarch64linux";
        let flags = format!("target.\"cfg(unix)\".rustflags=\"{flags}\"");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--release", "--bin", "init", "--target", target]);
        cargo.args(["--config", &flags, "--target-dir"]).arg(&folder).current_dir(ROOT);
        let (status, said) = Session::piped(cargo).end();
        assert_eq!(status, Some(0), "{said}");
        assert!(file(&folder) == file(&Path::new(ROOT).join("target")), "another file");
    }
}

#[test]
fn the_demo_runs_to_power_off_on_every_cpu() {
    for (cpu, ..) in others(true) {
        let _alone = alone();
        let (status, said) = Session::piped(make_for(cpu, &["run", "TIMEOUT=60"])).end();
        assert_eq!((status, missing_in_order(&said, &STORY)), (Some(0), None), "{said}");
        // Without a duty, the story is another.
        let without = ["try", "WITHOUT=reap", "TIMEOUT=60"];
        let (status, said) = Session::piped(make_for(cpu, &without)).end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("nobody reaps it: a zombie has PID"), "{said}");
    }
}

#[test]
fn the_kernel_of_every_cpu_panics_without_an_init() {
    let panics = "Kernel panic - not syncing: VFS: Unable to mount root fs";
    for (cpu, ..) in others(true) {
        let _alone = alone();
        let (status, said) = Session::piped(make_for(cpu, &["panic", "TIMEOUT=60"])).end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains(panics), "{said}");
        // With one, it does not.
        let (status, said) = Session::piped(make_for(cpu, &["try", "TIMEOUT=60"])).end();
        assert_eq!(status, Some(0), "{said}");
        assert!(!said.contains("Kernel panic"), "{said}");
    }
}

#[test]
fn a_shell_runs_and_its_status_is_reported_on_every_cpu() {
    for (cpu, ..) in others(true) {
        let tree = TempDir::new();
        tree.script("etc/rc", "echo this is $(busybox uname -m)\necho status 3 > $VERDICT\n");
        fs::create_dir(tree.path().join("bin")).expect("make /bin");
        symlink("busybox", tree.path().join("bin/sh")).expect("make /bin/sh");
        let _alone = alone();
        let rootfs = format!("ROOTFS={}", tree.name());
        let (status, said) = Session::piped(make_for(cpu, &["run", "TIMEOUT=60", &rootfs])).end();
        let said = said.replace('\r', "");
        let (_, programs) = tell_apart(&said);
        assert!(programs.contains(&format!("this is {cpu}\n")), "{said}");
        assert!(status.is_some_and(|status| status != 0), "{said}");
        assert!(programs.contains("picoinit: the program exited with status 3"), "{said}");
    }
}

#[test]
fn vmrun_boots_the_machine_that_a_program_is_for() {
    for (cpu, ..) in others(true) {
        let _alone = alone();
        let busybox = format!("build/{cpu}/busybox/bin/busybox");
        let (status, said) = Session::piped(make_for(cpu, &[&busybox])).end();
        assert_eq!(status, Some(0), "{said}");
        let folder = TempDir::new();
        let path = |name| folder.path().join(name).to_str().expect("a path in UTF-8").to_string();
        let [input, output, disk] = ["input", "output", "disk"].map(path);
        // More than the courier sends over the serial port.
        fs::write(&input, (0..=255).cycle().take(50_000).collect::<Vec<u8>>()).expect("write");
        fs::write(&disk, format!("{:4096}", "a disk of 4096 bytes")).expect("write the disk");
        let vmrun = |options: &[&str], words: &[&str]| {
            let mut vmrun = command("lab/vmrun");
            vmrun.args(options).arg(&busybox).args(words).env_remove("CARGO_MANIFEST_DIR");
            forget_another(cpu, &mut vmrun);
            vmrun.stdin(fs::File::open(&input).expect("open the input"));
            vmrun.stdout(fs::File::create(&output).expect("make the output"));
            let result = vmrun.output().expect("run vmrun");
            (result.status.code(), String::from_utf8_lossy(&result.stderr).into_owned())
        };
        // A kernel for x86_64 runs programs for i686, too.
        let machine = if cpu == "i686" { "x86_64" } else { cpu };
        let copy = format!("{busybox}:/bin/busybox");
        let script = "cd /bin; ./busybox cat; ./busybox head -c 20 /dev/vda >&2; \
                      echo \" of $(./busybox uname -m)\" >&2; exit 9";
        let options = ["--timeout", "100", "--disk", &disk, "--add", &copy];
        let says = format!("a disk of 4096 bytes of {machine}\n");
        assert_eq!(vmrun(&options, &["sh", "-c", script]), (Some(9), says));
        assert!(fs::read(&input).expect("read") == fs::read(&output).expect("read"), "{cpu}");
        // This is not one.
        let (status, said) = vmrun(&["--kernel", "Cargo.toml"], &["true"]);
        assert_eq!(status, Some(201), "{said}");
        assert!(said.contains(&format!("not a Linux kernel for {machine}")), "{said}");
    }
}

#[test]
fn a_person_can_use_the_shell_on_every_cpu() {
    const PROMPT: &str = "picoinit# ";
    for (cpu, ..) in others(true) {
        let _alone = alone();
        let environment = if is_asked_for(cpu) { "" } else { "env -u KERNEL -u ACCEL " };
        let mut shell = type_command(&format!("{environment}make shell CPU={cpu}"));
        shell.wait_for(PROMPT);
        // Without Ctrl-C, this would last until the test gives up.
        shell.type_in("sh -c 'echo run$((6*7)); exec sleep 1000'\r");
        shell.wait_for("run42");
        shell.type_in("\x03");
        shell.wait_for(PROMPT);
        shell.type_in("poweroff\r");
        let (status, said) = shell.end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("reboot: Power down"), "{said}");
        assert!(terminal_is_unharmed(&said), "{said}");
    }
}
