//! The init on other CPUs than this machine's: built with the linker that comes with Rust, and
//! booted under Debian's kernels, emulated.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{
    Session, alone, command, make, missing_in_order, tell_apart, terminal_is_unharmed, type_command,
};
use common::{ROOT, TempDir, skip};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, elf};
use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A CPU, Rust's name for it, and ELF's.
type Cpu = (&'static str, &'static str, elf::Machine);

const CPUS: [Cpu; 3] = [
    ("x86_64", "x86_64-unknown-linux-gnu", elf::EM_X86_64),
    ("aarch64", "aarch64-unknown-linux-gnu", elf::EM_AARCH64),
    ("riscv64", "riscv64gc-unknown-linux-gnu", elf::EM_RISCV),
];

/// The other CPUs for which this machine has what is needed: `tools` are names that the CPU completes.
fn others(tools: &[&str]) -> impl Iterator<Item = Cpu> {
    CPUS.into_iter().filter(|(cpu, ..)| *cpu != ARCH).filter(move |(cpu, target, _)| {
        let mut command = command("lab/tools.sh");
        command.arg(format!("rust-{target}")).env("NO_INSTALL", "1");
        command.args(tools.iter().map(|tool| format!("{tool}{cpu}")));
        let (status, said) = Session::piped(command).end();
        if status != Some(0) {
            skip(said.trim());
        }
        status == Some(0)
    })
}

/// `make` for this CPU. What `make test` found out is about another.
fn make_for(cpu: &str, arguments: &[&str]) -> Command {
    let mut command = make(arguments);
    command.arg(format!("CPU={cpu}")).env_remove("KERNEL").env_remove("ACCEL");
    command
}

#[test]
fn the_file_is_of_the_same_kind_on_every_cpu() {
    for (cpu, target, machine) in others(&[]) {
        let (status, said) = Session::piped(make_for(cpu, &["build"])).end();
        assert_eq!(status, Some(0), "{said}");
        let read = |name| fs::read(Path::new(ROOT).join("target").join(target).join(name));
        let init = read("release/init").expect("the init");
        println!("/init for {cpu}: {} bytes", init.len());
        let file = ElfFile64::<Endianness>::parse(&*init).expect("an ELF file");
        let [segment] = file.elf_program_headers() else { panic!("{cpu}: not one segment") };
        let flags = segment.p_flags(Endianness::Little);
        assert_eq!(flags, elf::PF_R | elf::PF_X, "{cpu}");
        let found = file.elf_header().e_machine(Endianness::Little);
        assert_eq!(found, machine, "{cpu}");
        // The one of this machine is another.
        let own = fs::read(common::init()).expect("the init");
        assert_ne!(&own[18..20], &init[18..20], "{cpu}");
    }
}

#[test]
fn the_demo_runs_to_power_off_on_every_cpu() {
    let story = [
        "Run /init as init process",
        "demo: started by PID 1",
        "demo: I have a controlling terminal",
        "demo: mounted are / /proc /sys /dev /dev/pts /run",
        "demo: I sent PID 1 a SIGHUP, and it was passed on to me",
        "demo: the orphan: my parent is now PID 1",
        " exited with status 7",
        "demo: the server: SIGTERM came",
        " exited with status 0",
        "reboot: Power down",
        "picoinit: the program exited with status 0, and the machine is off",
    ];
    for (cpu, ..) in others(&["qemu-system-"]) {
        let _alone = alone();
        let (status, said) = Session::piped(make_for(cpu, &["run", "TIMEOUT=60"])).end();
        assert_eq!((status, missing_in_order(&said, &story)), (Some(0), None), "{said}");
        // Without a duty, the story is another.
        let without = ["try", "WITHOUT=reap", "TIMEOUT=60"];
        let (status, said) = Session::piped(make_for(cpu, &without)).end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("nobody reaps it: a zombie has PID"), "{said}");
    }
}

#[test]
fn a_shell_runs_and_its_status_is_reported_on_every_cpu() {
    for (cpu, ..) in others(&["qemu-system-"]) {
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
fn a_person_can_use_the_shell_on_every_cpu() {
    const PROMPT: &str = "picoinit# ";
    for (cpu, ..) in others(&["qemu-system-"]) {
        let _alone = alone();
        let mut shell = type_command(&format!("env -u KERNEL -u ACCEL make shell CPU={cpu}"));
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
