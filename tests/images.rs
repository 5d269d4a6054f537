//! Boots what has a kernel of its own in it: `make images-test`. A kernel takes minutes to build, so
//! `make test` leaves these out. The name of each test begins with that of the image.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{
    Boot, STORY, Session, alone, command, make, missing_in_order, run, terminal_is_unharmed,
    type_command,
};
use common::{ROOT, TempDir};
use std::fs;
use std::path::Path;

/// How much of a floppy FLOPPINUX 2025 leaves to its user: lab/OWN-KERNEL.md has the source.
const FLOPPINUX_FREE: u64 = 264 << 10;

/// What the tests of a machine of this machine's kernel found out is about another kernel.
fn make_image(arguments: &[&str]) -> std::process::Command {
    let mut command = make(arguments);
    command.env_remove("KERNEL");
    command
}

#[test]
fn own_kernel_runs_the_demo_and_is_built_only_once() {
    let _alone = alone();
    let (status, said) = Session::piped(make_image(&["kernel"])).end();
    assert_eq!(status, Some(0), "{said}");
    let boot = Boot::of(Session::piped(make_image(&["run", "KERNEL=own", "TIMEOUT=60"])));
    boot.demand_success();
    boot.demand(!boot.said.contains("building a kernel"), "it is there already");
    let missing = missing_in_order(&boot.said, &STORY);
    boot.demand(missing.is_none(), &format!("here, and in this order: {missing:?}"));
    boot.demand(boot.programs.contains("-own\n"), "it is that kernel");
    // The check would miss a duty.
    let boot = Boot::of(Session::piped(make_image(&["try", "KERNEL=own", "WITHOUT=mounts"])));
    boot.demand(missing_in_order(&boot.said, &STORY[1..]) == Some(STORY[2]), "the demo says so");
}

#[test]
fn own_kernel_cannot_lack_an_option_that_it_does_not_have() {
    let (status, said) = Session::piped(make_image(&["try", "KERNEL=own", "OFF=DOOM"])).end();
    assert_ne!(status, Some(0));
    assert!(said.contains("picoinit: OFF=DOOM: no option DOOM is on"), "{said}");
}

#[test]
fn own_kernel_is_not_built_from_an_option_without_effect() {
    let folder = TempDir::new();
    let fragment = folder.join("odd.config");
    fs::write(&fragment, "CONFIG_USB_SERIAL=y\n").expect("write a file");
    let directory = folder.join("kernel");
    let (status, said) = run("lab/own-kernel.sh", &["build/linux-source", &directory, &fragment]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("picoinit: CONFIG_USB_SERIAL=y has no effect"), "{said}");
}

#[test]
fn floppy_tells_the_story() {
    let _alone = alone();
    let (status, said) = Session::piped(make_image(&["floppy"])).end();
    assert_eq!(status, Some(0), "{said}");
    let boot = Boot::of(Session::piped(make_image(&["run-floppy", "TIMEOUT=60", "MEM=32"])));
    boot.demand_success();
    let missing = missing_in_order(&boot.said, &STORY);
    boot.demand(missing.is_none(), &format!("here, and in this order: {missing:?}"));
    boot.demand(boot.said.contains("boot: story"), "it came from the floppy");
    let free = free_bytes("build/floppy.img");
    boot.demand(free > FLOPPINUX_FREE, &format!("{free} bytes are free"));
}

/// How many bytes a floppy has left.
fn free_bytes(image: &str) -> u64 {
    let (_, list) = run("mdir", &["-i", image, "::"]);
    let line = list.lines().find_map(|line| line.trim().strip_suffix(" bytes free"));
    let digits: String = line.unwrap_or_default().split_whitespace().collect();
    digits.parse().unwrap_or_else(|_| panic!("no number of free bytes: {list}"))
}

#[test]
fn floppy_has_a_shell_and_keeps_what_is_saved() {
    const PROMPT: &str = "picoinit# ";
    let _alone = alone();
    let (status, said) = Session::piped(make_image(&["floppy"])).end();
    assert_eq!(status, Some(0), "{said}");
    let use_shell = |line: &str, answer: &str| {
        let mut shell = type_command("env -u KERNEL make shell-floppy MEM=32");
        shell.wait_for("boot: ");
        shell.type_in("\r");
        shell.wait_for(PROMPT);
        shell.type_in(&format!("{line}\r"));
        shell.wait_for(answer);
        shell.wait_for(PROMPT);
        // Ctrl-C reaches what runs in the foreground, and nothing else.
        shell.type_in("echo run$((6*7)); sleep 1000\r");
        shell.wait_for("run42");
        shell.type_in("\x03");
        shell.wait_for(PROMPT);
        shell.type_in("poweroff\r");
        let (status, said) = shell.end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("Power down"), "{said}");
        assert!(terminal_is_unharmed(&said), "{said}");
    };
    use_shell("echo mine > saved; echo $?", "\n0");
    let (_, saved) = run("mtype", &["-i", "build/floppy.img", "::SAVED"]);
    assert_eq!(saved, "mine\n");
    use_shell("cat saved; rm saved", "\nmine");
    let (status, saved) = run("mtype", &["-i", "build/floppy.img", "::SAVED"]);
    assert_ne!(status, Some(0), "{saved}");
}

#[test]
fn floppy_that_does_not_fit_is_refused() {
    // The scripts as they are, but the kernel is any file.
    let folder = TempDir::new();
    let lab = folder.path().join("lab");
    fs::create_dir_all(lab.join("floppy")).expect("make a folder");
    for name in ["image.sh", "syslinux.cfg"] {
        let from = Path::new(ROOT).join("lab/floppy").join(name);
        fs::copy(from, lab.join("floppy").join(name)).expect("copy");
    }
    let kernel = folder.join("kernel");
    folder.script("lab/own-kernel.sh", &format!("echo {ROOT}/{kernel}\n"));
    let (archive, image) = (folder.join("archive"), folder.join("floppy.img"));
    fs::write(Path::new(ROOT).join(&archive), "").expect("write a file");
    for (size, expected) in [(1_400_000, 1), (1_000_000, 0)] {
        fs::write(Path::new(ROOT).join(&kernel), vec![0; size]).expect("write a file");
        let mut script = command(&folder.join("lab/floppy/image.sh"));
        script.args(["source", &archive, &image, &folder.join("work")]);
        let (status, said) = Session::piped(script).end();
        assert_eq!(status, Some(expected), "{said}");
        let complaint = "picoinit: this does not fit on a floppy of 1.44 MB";
        assert_eq!(said.contains(complaint), expected == 1, "{said}");
        assert_eq!(Path::new(ROOT).join(&image).exists(), expected == 0);
    }
    assert!(free_bytes(&image) > 200_000);
}
