//! What make and the scripts of lab/ do before a boot and after it: bad input
//! is refused, tools and kernels are found, a boot is judged, and what is
//! built is the same on every machine.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{Session, alone, command, make, run, terminal_is_unharmed, type_command};
use common::{ROOT, TempDir, skip};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Programs that take the place of others, and leave a mark when they run.
struct Stubs(TempDir);

impl Stubs {
    fn new(names: &[&str]) -> Stubs {
        let stubs = Stubs(TempDir::new());
        for name in names {
            stubs.add(name, "");
        }
        stubs
    }

    /// Adds one that also does this.
    fn add(&self, name: &str, script: &str) {
        let marks = self.0.path().join("marks");
        let mark = format!("echo \"{name} $*\" >> '{}'\n{script}", marks.display());
        self.0.script(name, &mark);
    }

    /// Adds the real ones of these.
    fn add_real(&self, names: &[&str]) {
        for name in names {
            let (_, path) = run("sh", &["-c", &format!("command -v {name}")]);
            symlink(path.trim(), self.0.path().join(name)).expect("link");
        }
    }

    /// The command lines of those that ran.
    fn ran(&self) -> String {
        fs::read_to_string(self.0.path().join("marks")).unwrap_or_default()
    }

    /// A PATH with these before all others.
    fn first(&self) -> String {
        format!("{}:{}", self.only(), std::env::var("PATH").unwrap_or_default())
    }

    /// A PATH with these and no others.
    fn only(&self) -> String {
        self.0.path().to_str().expect("a path in UTF-8").to_string()
    }
}

/// Demands that `command` fails, and that this is all that it says: one line,
/// which contains `what`, and make's own.
#[track_caller]
fn demand_refusal(command: Command, what: &str) {
    let text = format!("{command:?}");
    let (status, said) = Session::piped(command).end();
    assert!(status.is_some_and(|status| status != 0), "{text} succeeds: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("make: *** ")).collect();
    assert_eq!(lines.len(), 1, "{text} says: {said}");
    assert!(lines[0].starts_with("picoinit: "), "{text} says: {said}");
    assert!(lines[0].contains(what), "{text} says nothing of {what}: {said}");
}

/// `make TARGET`, with programs that only leave a mark for cargo and for QEMU.
fn stubbed_make(stubs: &Stubs, target: &str, variable: &str) -> Command {
    let qemu = format!("QEMU={}/qemu", stubs.only());
    let mut command = make(&[target, &qemu, "NO_INSTALL=1", variable]);
    command.env("PATH", stubs.first());
    command
}

#[test]
fn bad_input_is_refused_before_anything_is_built() {
    let _alone = alone();
    let stubs = Stubs::new(&["cargo", "qemu"]);
    let log = Path::new(ROOT).join("build/console.log");
    let state = || fs::metadata(&log).and_then(|metadata| metadata.modified()).ok();
    let before = state();
    for target in ["run", "shell", "panic", "archive"] {
        for variable in [
            "KERNEL=/no/such/file",
            "KERNEL=Makefile",
            "KERNEL=src",
            "ACCEL=foo",
            "CPU=vax",
            "CPU=",
            "ROOTFS=nowhere",
            "MEM=abc",
            "MEM=-1",
            "MEM=",
            "CPUS=x",
            "TIMEOUT=x",
            "BUSYBOX=/no/such/file",
            "BUSYBOX=README.md",
            "BUSYBOX=src",
        ] {
            // make shell has its own tree.
            if (target, variable) != ("shell", "ROOTFS=nowhere") {
                demand_refusal(stubbed_make(&stubs, target, variable), variable);
            }
        }
    }
    for (target, variable) in [
        ("test", "CPU=vax"),
        ("usb", "VM=uml"),
        ("usb", "PRESS=ctrl-c"),
        ("run-usb", "KERNEL=own"),
        ("run", "OFF=TTY"),
        ("images-test", "IMAGES=disc"),
        ("quotes", "HOST=aarch64"),
        ("test", "HOST=aarch64"),
    ] {
        demand_refusal(stubbed_make(&stubs, target, variable), variable);
    }
    // Only make try makes something of these.
    for target in ["run", "shell", "panic"] {
        for variable in ["DISK=README.md", "PRESS=ctrl-c"] {
            demand_refusal(stubbed_make(&stubs, target, variable), variable);
        }
    }
    // What is for this machine's own CPU only. A foreign one wants Rust's library for it first.
    if run("lab/tools.sh", &["rust-riscv64gc-unknown-linux-gnu"]).0 == Some(0) {
        for (target, variables) in [
            ("bench", "CPU=riscv64"),
            ("disasm", "CPU=riscv64"),
            ("run-usb", "CPU=riscv64"),
            ("run", "ACCEL=kvm CPU=riscv64"),
            ("run", "CPU=riscv64 VM=uml"),
            ("try", "CPU=riscv64 DISK=README.md"),
        ] {
            let (variable, other) = variables.split_once(' ').unwrap_or((variables, "V="));
            let mut command = stubbed_make(&stubs, target, variable);
            command.arg(other).env_remove("KERNEL").env_remove("ACCEL");
            let refused = if target == "try" { other } else { variable };
            demand_refusal(command, refused);
        }
    }
    assert_eq!(stubs.ran(), "");
    assert_eq!(state(), before);

    // With nothing to refuse, both run.
    Session::piped(stubbed_make(&stubs, "build", "ACCEL=tcg")).end();
    let kernel = format!("KERNEL={}", stubs.0.join("vmlinuz"));
    write_kernel(&stubs.0.path().join("vmlinuz"));
    let mut panic = stubbed_make(&stubs, "panic", "ACCEL=tcg");
    panic.arg(kernel);
    Session::piped(panic).end();
    assert!(stubs.ran().contains("cargo build"), "{}", stubs.ran());
    assert!(stubs.ran().contains("qemu -accel tcg"), "{}", stubs.ran());
}

/// A file that passes for a kernel.
fn write_kernel(path: &Path) {
    let mut bytes = vec![0; 514];
    bytes.extend(b"HdrS");
    fs::write(path, bytes).expect("write a file");
}

#[test]
fn a_named_busybox_is_packed_if_it_can_run_without_a_c_library() {
    let _alone = alone();
    assert_eq!(run("make", &["build/busybox/bin/busybox"]).0, Some(0));
    let read = |name: &str| fs::read(Path::new(ROOT).join(name)).expect("read a file");
    // Another than the package's, by one byte that nobody reads.
    let mut bytes = read("build/busybox/bin/busybox");
    bytes.push(0);
    let folder = TempDir::new();
    let write = |name: &str, bytes: &[u8], mode| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        format!("BUSYBOX={}", path.display())
    };
    let sound = write("my busybox", &bytes, 0o755);
    let (status, said) = Session::piped(make(&["archive", "ROOTFS=shell", &sound])).end();
    assert_eq!(status, Some(0), "{said}");
    let unpack = "cpio --extract --to-stdout --quiet bin/busybox < build/shell.cpio";
    let output = command("sh").args(["-c", unpack]).output().expect("run sh");
    assert!(output.stdout == bytes, "it is another");

    // The same, as one that names a loader: its first PT_NOTE is a PT_INTERP.
    let mut dynamic = bytes.clone();
    let note = (64..).step_by(56).find(|&at| dynamic[at] == 4).expect("a program header");
    dynamic[note] = 3;
    let mut foreign = bytes.clone();
    foreign[18] = 183;
    for (name, bytes, mode, why) in [
        ("dynamic", &dynamic, 0o755, "is not linked statically"),
        ("foreign", &foreign, 0o755, "is not a BusyBox for x86_64"),
        ("text", &read("src/main.rs"), 0o755, "is not a BusyBox for x86_64"),
        ("data", &bytes, 0o644, "is not executable"),
    ] {
        let variable = write(name, bytes, mode);
        let stubs = Stubs::new(&["cargo", "qemu"]);
        for target in ["shell", "experiment"] {
            let complaint = format!("{variable} {why}");
            demand_refusal(stubbed_make(&stubs, target, &variable), &complaint);
        }
        assert_eq!(stubs.ran(), "");
    }
}

/// Starts a command line without root's right to read every file.
const NOT_ALMIGHTY: &[&str] = &["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

#[test]
fn a_kernel_that_cannot_be_read_is_refused() {
    let folder = TempDir::new();
    let path = folder.path().join("vmlinuz");
    write_kernel(&path);
    let attempt = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        let name = folder.join("vmlinuz");
        let words = ["lab/kernel.sh", "build/kernel", &name];
        // Root could read it in spite of its mode.
        let words = if File::open(&path).is_ok() {
            [NOT_ALMIGHTY, &words].concat()
        } else {
            words.to_vec()
        };
        let mut command = command(words[0]);
        command.args(&words[1..]);
        command
    };
    demand_refusal(
        attempt(0o000),
        &format!("KERNEL={} cannot be read by you", folder.join("vmlinuz")),
    );
    let (status, said) = Session::piped(attempt(0o400)).end();
    assert_eq!((status, said.trim()), (Some(0), folder.join("vmlinuz").as_str()));
}

/// Runs a shell script as root of a mount namespace of its own; `$0` is an empty folder.
fn in_namespace(folder: &TempDir, script: &str) -> Option<Command> {
    let namespace = ["--user", "--map-root-user", "--mount"];
    let (status, said) = run("unshare", &[&namespace[..], &["true"]].concat());
    if status != Some(0) {
        skip(&format!("there is no mount namespace to be had: {said}"));
        return None;
    }
    let mut command = command("unshare");
    command.args(namespace).args(["sh", "-e", "-c", script]).arg(folder.path());
    Some(command)
}

/// Makes a /dev with little in it.
const LITTLE_DEV: &str = r#"
for name in null zero urandom; do : > "$0/$name"; mount --bind /dev/$name "$0/$name"; done
"#;
/// Adds to it a /dev/kvm that can be opened.
const FAKE_KVM: &str = r#"
: > "$0/kvm"; mount --bind /dev/null "$0/kvm"
"#;
const ENTER_DEV: &str = r#"
mount --rbind "$0" /dev
"#;

#[test]
fn kvm_is_refused_where_there_is_none() {
    let _alone = alone();
    let stubs = Stubs::new(&["cargo", "qemu"]);
    write_kernel(&stubs.0.path().join("vmlinuz"));
    let (kernel, qemu) = (stubs.0.join("vmlinuz"), stubs.0.join("qemu"));
    let attempt = |target: &str, kvm: &str| {
        let folder = TempDir::new();
        let go = format!("make {target} ACCEL=kvm NO_INSTALL=1 QEMU={qemu} KERNEL={kernel}");
        let mut command = in_namespace(&folder, &format!("{LITTLE_DEV}{kvm}{ENTER_DEV}{go}"))?;
        command.env("PATH", stubs.first());
        Some((folder, command))
    };
    for target in ["run", "shell", "panic"] {
        let Some((_folder, command)) = attempt(target, "") else { return };
        demand_refusal(command, "ACCEL=kvm");
    }
    assert_eq!(stubs.ran(), "");

    let Some((_folder, command)) = attempt("panic", FAKE_KVM) else { return };
    let (_, said) = Session::piped(command).end();
    assert!(stubs.ran().contains("qemu -accel kvm"), "{said}");
}

#[test]
fn auto_takes_kvm_only_if_a_guest_speaks_and_remembers_that() {
    // A KVM, what a guest under it says, and what follows.
    for (kvm, says, answer) in
        [(FAKE_KVM, "Linux version", "kvm"), (FAKE_KVM, "", "tcg"), ("", "Linux version", "tcg")]
    {
        let stubs = Stubs::new(&[]);
        stubs.add("qemu", &format!("echo '{says}'"));
        let cache = stubs.0.join("cache");
        for kernel in ["kernel", "another"] {
            let folder = TempDir::new();
            let go = format!("lab/accel.sh auto {cache} {}/qemu {kernel}", stubs.only());
            let script = format!("{LITTLE_DEV}{kvm}{ENTER_DEV}{go}");
            let Some(command) = in_namespace(&folder, &script) else {
                return;
            };
            let (status, said) = Session::piped(command).end();
            assert_eq!((status, said.lines().last()), (Some(0), Some(answer)), "{said}");
        }
        let tries = if kvm.is_empty() { 0 } else { 1 };
        assert_eq!(stubs.ran().lines().count(), tries, "{answer}: it is tried once");
    }
}

#[test]
fn the_newest_readable_kernel_is_taken() {
    let boot = TempDir::new();
    for name in ["vmlinuz-6.1.0-9", "vmlinuz-6.1.0-10", "vmlinuz-6.1.0-11", "config-6.1.0-12"] {
        write_kernel(&boot.path().join(name));
    }
    fs::write(boot.path().join("vmlinuz-6.1.0-13"), "no kernel").expect("write a file");
    let unreadable = boot.path().join("vmlinuz-6.1.0-11");
    fs::set_permissions(unreadable, fs::Permissions::from_mode(0o000)).expect("chmod");
    let downloaded = TempDir::new();
    fs::create_dir(downloaded.path().join("boot")).expect("make a folder");
    write_kernel(&downloaded.path().join("boot/vmlinuz-1"));

    let stubs = Stubs::new(&["apt-cache"]);
    stubs.add("apt-get", "case $* in *' download '*) : > x.deb ;; esac");
    stubs.add("dpkg-deb", "mkdir -p \"$3/boot\"; cp \"$KERNEL\" \"$3/boot/vmlinuz-2\"");
    let choose = |boot: &TempDir, directory: &str| {
        let script = format!(
            "mount --bind \"$0\" /boot; exec {} lab/kernel.sh {directory}",
            NOT_ALMIGHTY.join(" ")
        );
        let mut command = in_namespace(boot, &script)?;
        command.env("PATH", stubs.first());
        command.env("KERNEL", downloaded.path().join("boot/vmlinuz-1"));
        Some(Session::piped(command).end())
    };
    let empty = TempDir::new();
    let Some((_, said)) = choose(&boot, downloaded.name()) else {
        return;
    };
    assert_eq!(said, "/boot/vmlinuz-6.1.0-10\n");
    let Some((_, said)) = choose(&empty, downloaded.name()) else {
        return;
    };
    assert_eq!(said, format!("{}/boot/vmlinuz-1\n", downloaded.name()));
    assert_eq!(stubs.ran(), "");

    // None in either: it is downloaded, and only then.
    let directory = empty.join("new");
    let Some((status, said)) = choose(&TempDir::new(), &directory) else {
        return;
    };
    assert_eq!(status, Some(0), "{said}");
    assert!(said.starts_with("picoinit: there is no kernel in /boot"), "{said}");
    assert!(said.ends_with(&format!("{directory}/boot/vmlinuz-2\n")), "{said}");
    assert!(stubs.ran().contains("apt-get "), "{}", stubs.ran());
    // And where that fails, it says what to type.
    stubs.add("apt-get", "exit 1");
    let Some((status, said)) = choose(&TempDir::new(), &empty.join("none")) else {
        return;
    };
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("make run KERNEL="), "{said}");
}

/// A machine with apt-get, whose user has this number.
fn machine(user: u32) -> Stubs {
    let stubs = Stubs::new(&["there", "apt-get"]);
    stubs.add_real(&["sort", "tr"]);
    stubs.0.script("id", &format!("echo {user}\n"));
    stubs
}

/// Has lab/tools.sh look for three commands on that machine, of which two are
/// not there. Returns its exit status, and what it said.
fn look_for_tools(machine: &Stubs, no_install: &str) -> (Option<i32>, String) {
    let mut command = command("lab/tools.sh");
    command
        .args(["absent", "there", "qemu-system-x86_64"])
        .env("NO_INSTALL", no_install)
        .env("PATH", machine.only());
    Session::piped(command).end()
}

const INSTALL: &str = "apt-get install --no-install-recommends absent qemu-system-x86";

#[test]
fn missing_tools_are_named_and_not_installed_unless_that_is_allowed() {
    let may_not = machine(0);
    let no_sudo = machine(1000);
    let sudo_asks = machine(1000);
    sudo_asks.add("sudo", "exit 1");
    for (stubs, no_install, type_this) in [
        (&may_not, "1", format!("as root: {INSTALL}")),
        (&no_sudo, "", format!("as root: {INSTALL}")),
        (&sudo_asks, "", format!("sudo {INSTALL}")),
    ] {
        let (status, said) = look_for_tools(stubs, no_install);
        assert_eq!(status, Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("picoinit: missing: absent qemu-system-x86_64."), "{said}");
        assert!(said.contains(&type_this), "{said}");
        assert!(said.ends_with(". Or do without QEMU: make run VM=uml\n"), "{said}");
        assert!(!stubs.ran().contains("install"), "{}", stubs.ran());

        // Where it is not QEMU that is missing, that would not help.
        let mut command = command("lab/tools.sh");
        command.arg("absent").env("NO_INSTALL", no_install).env("PATH", stubs.only());
        let (_, said) = Session::piped(command).end();
        assert!(said.starts_with("picoinit: missing: absent."), "{said}");
        assert!(!said.contains("VM=uml"), "{said}");
    }
}

#[test]
fn missing_tools_are_installed_by_root_or_through_sudo() {
    let root = machine(0);
    let sudo = machine(1000);
    sudo.add("sudo", "[ \"$1\" = -n ] || exec \"$@\"");
    for (stubs, through) in [(&root, ""), (&sudo, "sudo ")] {
        let (status, said) = look_for_tools(stubs, "");
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains(&format!("Installing: {through}{INSTALL}")), "{said}");
        assert!(stubs.ran().contains(&format!("{through}{INSTALL} -y\n")), "{}", stubs.ran());
    }

    // A list of packages that is too old is fetched anew.
    let old_list = machine(0);
    let list = old_list.0.join("list");
    old_list.add("apt-get", &format!("[ $1 != update ] || : > {list}; [ -e {list} ] || exit 100"));
    let (status, said) = look_for_tools(&old_list, "");
    assert_eq!(status, Some(0), "{said}");
    let steps: Vec<String> = old_list
        .ran()
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(steps, ["apt-get install", "apt-get update", "apt-get install"]);

    let offline = machine(0);
    offline.add("apt-get", "exit 100");
    // Somebody who answers with no is asked once.
    let refuses = machine(0);
    refuses.add("apt-get", "exit 1");
    for (stubs, attempts) in [(&offline, 2), (&refuses, 1)] {
        let (status, said) = look_for_tools(stubs, "");
        assert_ne!(status, Some(0), "{said}");
        let last = "picoinit: not installed, so this cannot go on: absent qemu-system-x86_64";
        assert_eq!(said.lines().last(), Some(last));
        assert_eq!(stubs.ran().lines().count(), attempts, "{}", stubs.ran());
    }
}

#[test]
fn a_screen_is_a_window_where_there_is_a_desktop() {
    let look = |windows: &str, desktop: &str| {
        let stubs = machine(0);
        stubs.add_real(&["head", "grep"]);
        stubs.add("qemu-system-x86_64", &format!("printf 'none\\n{windows}'"));
        let mut command = command("lab/screen.sh");
        command.arg("qemu-system-x86_64").env("PATH", stubs.only()).env("NO_INSTALL", "1");
        command.env("DISPLAY", desktop).env_remove("WAYLAND_DISPLAY");
        Session::piped(command).end()
    };
    assert_eq!(look("gtk\\n", ":0"), (Some(0), "gtk\n".into()));
    let (status, said) = look("", ":0");
    assert_ne!(status, Some(0), "{said}");
    assert!(said.starts_with("picoinit: missing: qemu-window. Install as root: "), "{said}");
    let (status, said) = look("gtk\\n", "");
    let remote = "picoinit: there is no desktop here, so the screen is at VNC 127.0.0.1:5900.";
    assert!(status == Some(0) && said.starts_with(remote), "{said}");
    assert!(said.ends_with("\nvnc=127.0.0.1:0\n"), "{said}");
}

#[test]
fn rust_for_another_cpu_is_named_if_it_is_missing() {
    let look = |folder: &TempDir| {
        let stubs = machine(0);
        stubs.add("rustc", &format!("echo {}", folder.join("lib")));
        let mut command = command("lab/tools.sh");
        command.args(["rust-riscv64gc-unknown-linux-gnu"]).env("PATH", stubs.only());
        Session::piped(command).end()
    };
    let folder = TempDir::new();
    let (status, said) = look(&folder);
    let type_this = "picoinit: missing: Rust's library for this CPU. \
                     Type: rustup target add riscv64gc-unknown-linux-gnu\n";
    assert_eq!((status, said.as_str()), (Some(1), type_this));
    fs::create_dir(folder.path().join("lib")).expect("make a folder");
    assert_eq!(look(&folder), (Some(0), String::new()));
}

#[test]
fn rustix_is_changed_for_i686_or_refused() {
    let folder = TempDir::new();
    let line = "pub(in crate::backend) use super::vdso_wrappers::x86_via_vdso as choose;\n";
    let file = "src/backend/linux_raw/arch/mod.rs";
    let change = |source: &str| {
        let registry = TempDir::new();
        let path = registry.join("rustix-1.2.3");
        registry.script(&format!("rustix-1.2.3/{file}"), source);
        registry.script("rustix-1.2.3/Cargo.toml", "");
        let stubs = Stubs::new(&[]);
        let packages = format!(r#"echo '{{"manifest_path":"{path}/Cargo.toml"}}'"#);
        stubs.add("cargo", &packages);
        let mut command = command("lab/rustix-i686.sh");
        command.arg(folder.join("rustix")).env("PATH", stubs.first());
        Session::piped(command).end()
    };
    assert_eq!(change(line), (Some(0), String::new()));
    let changed = fs::read_to_string(folder.path().join("rustix").join(file)).expect("read it");
    assert!(changed.contains("use self::asm as choose;"), "{changed}");

    let (status, said) = change("another line");
    let complaint = "picoinit: rustix-1.2.3 is not as rustix-i686.sh knows it, ";
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with(complaint) && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("list it").count(), 0, "something is left");
}

#[test]
fn a_kernel_is_decompressed_once_or_booted_as_it_is() {
    let (_, said) =
        run("lab/kernel.sh", &["build/kernel", &std::env::var("KERNEL").unwrap_or_default()]);
    let kernel = said.lines().last().expect("a kernel").to_string();
    let folder = TempDir::new();
    let image = |kernel: &str, into: &str, path: &str| {
        let mut command = command("lab/vmlinux.sh");
        command.args([kernel, &folder.join(into)]).env("PATH", path);
        let (status, said) = Session::piped(command).end();
        assert_eq!(status, Some(0), "{said}");
        said.trim_end().to_string()
    };
    let path = std::env::var("PATH").expect("a PATH");
    let decompressed = image(&kernel, "made", &path);
    if decompressed == kernel {
        return skip("this kernel cannot be started decompressed");
    }
    let made = folder.join("made");
    assert!(decompressed.starts_with(&made), "{decompressed}");
    let bytes = fs::read(Path::new(ROOT).join(&decompressed)).expect("read it");
    assert_eq!(&bytes[..4], b"\x7fELF");
    // Once it is there, nothing is decompressed; and until it is, that takes a decompressor.
    let poor = Stubs::new(&[]);
    poor.add_real(&[
        "sh", "stat", "od", "tr", "tail", "head", "grep", "mkdir", "rm", "mv", "touch",
    ]);
    assert_eq!(image(&kernel, "made", &poor.only()), decompressed);
    assert_eq!(image(&kernel, "poor", &poor.only()), kernel);
    // It cannot be kept; it is damaged; it is none.
    fs::write(folder.path().join("file"), "").expect("write a file");
    assert_eq!(image(&kernel, "file/below", &path), kernel);
    let whole = fs::read(Path::new(ROOT).join(&kernel)).expect("read the kernel");
    let cut = folder.join("cut");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("write a file");
    assert_eq!(image(&cut, "cut.d", &path), cut);
    let none = folder.join("none");
    write_kernel(Path::new(&none));
    assert_eq!(image(&none, "none.d", &path), none);
    // A name with blanks, and quotes.
    let odd = folder.join("a 'kernel'");
    fs::write(&odd, &whole).expect("write a file");
    assert!(image(&odd, "odd", &path).ends_with("/a 'kernel'"));
    assert_ne!(image(&odd, "odd", &path), odd);
    // Another kernel is kept beside it; of five, that which nobody wanted for longest is not.
    let other = image(&kernel, "odd", &path);
    assert!(other.starts_with(&folder.join("odd")), "{other}");
    let kept = || fs::read_dir(folder.path().join("odd")).expect("read").count();
    assert_eq!(kept(), 2);
    let wanted = image(&odd, "odd", &path);
    for earlier in ["1", "2", "3"] {
        fs::create_dir(folder.path().join("odd").join(earlier)).expect("make a folder");
    }
    assert_eq!(image(&odd, "odd", &path), wanted);
    fs::write(&odd, [&whole[..], b"more"].concat()).expect("write a file");
    assert_ne!(image(&odd, "odd", &path), wanted);
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    assert_eq!((kept(), exists(&wanted), exists(&other)), (4, true, false));
}

#[test]
fn boots_are_measured_side_by_side() {
    let folder = TempDir::new();
    let table = folder.join("tables/BOOT.md");
    let kernel = folder.join("kernel");
    fs::write(Path::new(ROOT).join(&kernel), vec![0; 1_234_567]).expect("write a file");
    let measure = |image: &str, says: &str| {
        let qemu = folder.script("qemu", &format!("sleep 0.1; echo '{says}'; sleep 0.1"));
        let words =
            [&table, "3", &kernel, image, "", "", "", "initramfs", "words", &qemu, "-accel", "tcg"];
        run("lab/bench-boot.sh", &words)
    };
    let rows = |said: &str| {
        said.lines()
            .filter(|line| line.starts_with("| QEMU") || line.starts_with("| the same"))
            .count()
    };
    let (status, said) = measure("image", "demo: I am the program");
    assert_eq!((status, rows(&said)), (Some(0), 3), "{said}");
    // The first line comes a tenth of a second after the start, and as long before power off.
    let row = said.lines().find(|line| line.contains(": make run |")).expect("a row");
    let seconds = |cell: &str| cell.trim().split(' ').next()?.parse::<f64>().ok();
    assert!(row.contains("| 1,234,567 |"), "{row}");
    let times: Vec<f64> = row.split('|').skip(3).filter_map(seconds).collect();
    assert!(times.len() == 2 && times[0] >= 0.1 && times[1] - times[0] > 0.08, "{row}");
    // A kernel that is booted as it is has no third row.
    let (status, said) = measure(&kernel, "demo: I am the program");
    assert_eq!((status, rows(&said)), (Some(0), 2), "{said}");
    // A boot that fails is no result, and leaves the table as it was.
    let before = fs::read(Path::new(ROOT).join(&table)).expect("read the table");
    let (status, said) = measure("image", "Kernel panic");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(": the demo did not start. Try: make run"), "{said}");
    assert_eq!(fs::read(Path::new(ROOT).join(&table)).expect("read the table"), before);
}

#[test]
fn a_compiler_that_cannot_link_counts_as_missing() {
    let folder = TempDir::new();
    let look = |cc: &str| {
        let stubs = machine(0);
        stubs.add_real(&["mktemp", "rm"]);
        stubs.add("cc", cc);
        let mut command = command("lab/tools.sh");
        command.args(["linker"]).env("NO_INSTALL", "1").env("PATH", stubs.only());
        command.env("TMPDIR", folder.path());
        Session::piped(command).end()
    };
    assert_eq!(look(""), (Some(0), String::new()));
    let install = "picoinit: missing: linker. Install as root: \
                   apt-get install --no-install-recommends gcc libc6-dev\n";
    assert_eq!(look("exit 1"), (Some(1), install.into()));
    assert_eq!(fs::read_dir(folder.path()).expect("list it").count(), 0, "its file is left");
}

#[test]
fn cargo_is_quiet_only_where_nobody_waits_for_it() {
    let _alone = alone();
    let stubs = Stubs::new(&[]);
    stubs.add("cargo", "echo quiet=$CARGO_TERM_QUIET");
    let built = stubs.0.path();
    fs::write(built.join("init"), "").expect("write a file");
    let build = |target: &Path, words: &str| {
        // `make test` sets it for its own cargo.
        let make = format!("PATH='{}' make build TARGET='{}'", stubs.first(), target.display());
        format!("unset CARGO_TERM_QUIET; {make} {words}")
    };
    let piped = |line: &str| run("sh", &["-c", line]).1;
    assert_eq!(piped(&build(built, "")), "quiet=true\n");
    assert_eq!(piped(&build(&built.join("none"), "")), "quiet=false\n");
    assert!(piped(&build(built, "V=1")).ends_with("\nquiet=false\n"));
    let on_terminal = format!("cd '{ROOT}'; {}", build(built, ""));
    assert_eq!(Session::on_terminal(&on_terminal).end().1, "quiet=false\n");
}

#[test]
fn a_package_that_cannot_be_downloaded_is_tried_twice_and_no_other() {
    // What apt-get does for a download, and for an update of the list; and how often a
    // download is tried.
    for (download, update, attempts, complaint) in [
        ("exit 100", "exit 0", 2, "none of these packages could be downloaded: one two"),
        ("exit 100", "exit 100", 1, "the list of packages cannot be downloaded"),
        ("exit 100", "echo 'Err:1 no network'", 1, "the list of packages cannot be downloaded"),
        (": > x.deb", "exit 100", 1, ""),
    ] {
        let stubs = Stubs::new(&["apt-cache", "dpkg-deb"]);
        let script = format!("case $* in *' download '*) {download} ;; *) {update} ;; esac");
        stubs.add("apt-get", &script);
        let folder = TempDir::new();
        let mut command = command("lab/package.sh");
        command.args([&folder.join("new"), "one", "two"]).env("PATH", stubs.first());
        let (status, said) = Session::piped(command).end();
        assert_eq!(status == Some(0), complaint.is_empty(), "{said}");
        assert!(said.contains(complaint), "{said}");
        let ran = stubs.ran();
        assert_eq!(ran.matches(" download one").count(), attempts, "{ran}");
        assert!(!ran.contains(" download two"), "{ran}");
        // make would take an empty folder for the package.
        assert_eq!(folder.path().join("new").exists(), complaint.is_empty());
    }
    // One that does not exist is passed over.
    let stubs = Stubs::new(&["dpkg-deb"]);
    stubs.add("apt-cache", "case $* in *' show one') exit 100 ;; *'show one') exit 100 ;; esac");
    stubs.add("apt-get", ": > x.deb");
    let folder = TempDir::new();
    let mut command = command("lab/package.sh");
    command.args([&folder.join("new"), "one", "two"]).env("PATH", stubs.first());
    let (status, said) = Session::piped(command).end();
    assert_eq!(status, Some(0), "{said}");
    assert!(stubs.ran().contains(" download two"), "{}", stubs.ran());
}

#[test]
fn tools_that_are_there_are_not_looked_for_further() {
    let stubs = machine(0);
    let mut command = command("lab/tools.sh");
    command.args(["there", "sort"]).env("PATH", stubs.only());
    assert_eq!(Session::piped(command).end(), (Some(0), String::new()));
    assert_eq!(stubs.ran(), "");
}

/// Has lab/boot.sh run, in place of QEMU, a shell script that knows $LOG and
/// $VERDICT. A log is there already, from an earlier boot.
fn judge(expect: &str, timeout: u32, qemu: &str) -> (Option<i32>, String) {
    judge_with(expect, timeout, qemu, &[], "")
}

/// The same, with more arguments, and with WITHOUT.
fn judge_with(
    expect: &str,
    timeout: u32,
    qemu: &str,
    arguments: &[&str],
    without: &str,
) -> (Option<i32>, String) {
    let folder = TempDir::new();
    let log = folder.path().join("console.log");
    fs::write(&log, "Kernel panic - not syncing\n").expect("write a file");
    let mut command = judged(&folder.join("boot.1"), expect, timeout, qemu);
    command.args(arguments).env("WITHOUT", without);
    let result = Session::piped(command).end();
    let left = fs::read_dir(folder.path()).expect("list it").map(|file| file.expect("a file"));
    let left: Vec<_> = left.map(|file| file.file_name()).collect();
    assert!(left.iter().all(|name| name == "console.log"), "left: {left:?}");
    result
}

/// lab/boot.sh with a shell script in place of QEMU, and with a folder for the boot's files.
fn judged(folder: &str, expect: &str, timeout: u32, qemu: &str) -> Command {
    let mut command = command("lab/boot.sh");
    command
        .args([expect, &timeout.to_string(), folder, "sh", "-c", qemu])
        .env("LOG", format!("{folder}/console.log"))
        .env("VERDICT", format!("{folder}/verdict"));
    command
}

const SAY_PANIC: &str = "echo '[ 1.0] Kernel panic - not syncing: why' > $LOG;";
const SAY_0: &str = "printf 'status 0\\r\\n' > $VERDICT;";

#[test]
fn a_boot_is_judged_by_what_was_said() {
    for (expect, qemu) in
        [("verdict", SAY_0.to_string()), ("panic", SAY_PANIC.to_string()), ("shell", String::new())]
    {
        let (status, said) = judge(expect, 9, &qemu);
        assert_eq!(status, Some(0), "{expect}: {qemu}: {said}");
    }
    for (expect, qemu, complaint) in [
        ("verdict", String::new(), "no verdict: the machine stopped"),
        ("verdict", "printf 'status' > $VERDICT".into(), "no verdict: "),
        ("verdict", "echo status x > $VERDICT".into(), "no verdict: "),
        ("verdict", "echo all is well > $VERDICT".into(), "no verdict: "),
        ("verdict", "echo status 0 1 > $VERDICT".into(), "no verdict: "),
        (
            "verdict",
            format!("{SAY_0} {SAY_0} cat $VERDICT $VERDICT > x; mv x $VERDICT"),
            "no verdict: ",
        ),
        ("verdict", "echo status 3 > $VERDICT".into(), "the program exited with status 3"),
        ("verdict", format!("{SAY_0} {SAY_PANIC}"), "panicked: "),
        ("verdict", format!("{SAY_0} exit 3"), "sh exited with status 3"),
        ("panic", SAY_0.into(), "the kernel did not panic"),
        ("panic", format!("{SAY_PANIC} exit 3"), "sh exited with status 3"),
        ("shell", SAY_PANIC.into(), "panicked: "),
        ("shell", "exit 3".into(), "sh exited with status 3"),
        // A machine that is stopped from outside has no result.
        ("verdict", format!("{SAY_0} exit 143"), "sh exited with status 143"),
        ("panic", format!("{SAY_PANIC} exit 143"), "sh exited with status 143"),
    ] {
        let (status, said) = judge(expect, 9, &qemu);
        assert_eq!(status, Some(1), "{expect}: {qemu}: {said}");
        assert!(said.starts_with(&format!("picoinit: {complaint}")), "{expect}: {qemu}: {said}");
        assert_eq!(said.lines().count(), 2, "{expect}: {qemu}: {said}");
    }
}

#[test]
fn a_boot_that_hangs_is_stopped() {
    // The second ignores the request to stop.
    for qemu in ["exec sleep 1000", "trap '' TERM; exec sleep 1000"] {
        let (status, said) = judge("verdict", 1, &format!("{SAY_0} {qemu}"));
        assert_eq!(status, Some(1), "{said}");
        assert!(said.starts_with("picoinit: hung: "), "{said}");
    }
}

#[test]
fn a_person_may_stop_a_shell_from_outside() {
    let said = "picoinit: the machine was stopped from outside\n".to_string();
    assert_eq!(judge("shell", 9, "exit 143"), (Some(0), said));
}

#[test]
fn what_may_help_is_said_and_only_then() {
    let (kvm, tcg) = (["-accel", "kvm", ""], ["-accel", "tcg", ""]);
    for (qemu, arguments, without, hint, is_said) in [
        ("exec sleep 1000", kvm, "", "ACCEL=tcg", true),
        ("exec sleep 1000", tcg, "", "ACCEL=tcg", false),
        ("", kvm, "", "ACCEL=tcg", false),
        ("", tcg, "mounts", "make try", true),
        ("", tcg, "", "make try", false),
        ("exec sleep 1000", tcg, "spawn", "starts no program", true),
        ("exec sleep 1000", tcg, "reap", "starts no program", false),
    ] {
        let (status, said) = judge_with("verdict", 1, qemu, &arguments, without);
        assert_eq!(status, Some(1), "{said}");
        assert_eq!(said.contains(hint), is_said, "{qemu} {arguments:?} {without}: {said}");
    }
}

#[test]
fn an_error_number_of_the_program_is_explained() {
    let say = |line: &str| judge("verdict", 9, &format!("echo 'init: {line}' > $LOG")).1;
    let explained = say("cannot run /etc/rc: errno 13");
    assert!(explained.contains("\npicoinit: errno 13: it is not executable"), "{explained}");
    for line in ["cannot mount /proc: errno 13", "cannot run /etc/rc: errno 5"] {
        let said = say(line);
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[test]
fn a_checkout_that_cannot_be_written_to_is_refused() {
    let folder = TempDir::new();
    let attempt = |how: &str| {
        let go =
            format!("mount --bind . \"$0\"; cd \"$0\"; {how} make check ACCEL=tcg NO_INSTALL=1");
        let command = in_namespace(&folder, &go)?;
        Some(command)
    };
    let Some(command) = attempt("mount -o remount,bind,ro .;") else { return };
    demand_refusal(command, "nothing can be written to ");
    let Some(command) = attempt("") else { return };
    assert_eq!(Session::piped(command).end(), (Some(0), String::new()));
}

#[test]
fn an_emulator_that_is_named_is_not_looked_for_in_packages() {
    let stubs = machine(0);
    stubs.add_real(&["make", "sed", "sh", "stty", "test"]);
    let attempt = |qemu: &str| {
        let mut command = make(&["check", qemu, "ACCEL=tcg", "NO_INSTALL=1"]);
        command.env("PATH", stubs.first());
        command
    };
    demand_refusal(attempt("QEMU=qemu-foo"), "QEMU=qemu-foo: there is no such program");
    assert_eq!(Session::piped(attempt("QEMU=there")).end(), (Some(0), String::new()));
}

/// The lab's tool.
const LAB: &str = "target/x86_64-unknown-linux-gnu/release/picoinit-lab";

#[test]
fn a_tool_that_is_missing_is_no_fault_of_an_init() {
    assert_eq!(run("make", &["lab-tool"]).0, Some(0));
    let scratch = TempDir::new();
    let look = |stubs: &Stubs| {
        let mut command = command(LAB);
        command.args(["conform", "lab/boot.sh", "--only", "pid", "--scratch", scratch.name()]);
        command.env("PATH", stubs.only());
        Session::piped(command).end()
    };
    let missing = "picoinit: strace is missing; install it: some rows are checked with it\n";
    assert_eq!(look(&Stubs::new(&[])), (Some(1), missing.into()));
    let (_, said) = look(&Stubs::new(&["strace"]));
    assert!(!said.contains("strace"), "{said}");
}

/// The targets that write a table, and the option that says where it goes.
#[test]
fn tables_that_git_tracks_are_written_only_when_that_is_asked_for() {
    for target in ["bench", "sizes", "ladder", "costs", "kernels"] {
        let written = |record: &str| {
            let (_, said) = run("make", &["-n", target, "ACCEL=tcg", record]);
            let tables = |folder: &str| {
                said.contains(&format!("--output {folder}/"))
                    || said.contains(&format!("kernels.sh build/kernels {folder}/KERNELS.md"))
            };
            (tables("build/tables"), tables("lab"))
        };
        assert_eq!(written("RECORD="), (true, false), "{target}");
        assert_eq!(written("RECORD=1"), (false, true), "{target}");
    }
}

#[test]
fn an_experiment_asks_only_for_the_tools_that_it_uses() {
    let tools = |number: &str| {
        let (_, said) = run("make", &["-n", "experiment", &format!("N={number}"), "ACCEL=tcg"]);
        let mut lines = said.lines().filter_map(|line| line.strip_prefix("lab/tools.sh"));
        lines.next_back().expect("what it asks for").trim().to_string()
    };
    assert_eq!(tools("1"), "");
    assert_eq!(tools("3"), "readelf static-linker");
    assert_eq!(tools("15"), "debugfs e2fsck mke2fs");
}

/// What does to a terminal what QEMU and the firmware do.
const HARM: &str = r#"stty raw isig -echo; printf "\033[?7l""#;

#[test]
fn the_terminal_is_left_as_it_was() {
    let folder = TempDir::new();
    let boot = |qemu: &str| format!("lab/boot.sh shell 0 {} sh -c '{qemu}'", folder.join("boot.1"));
    let (_, said) = type_command(&boot(HARM)).end();
    assert!(terminal_is_unharmed(&said), "{said}");
    let (_, said) = type_command(HARM).end();
    assert!(!terminal_is_unharmed(&said), "{said}");

    let mut session = type_command(&boot(&format!("{HARM}; echo ready; exec sleep 1000")));
    session.wait_for("ready");
    session.type_in("\x03");
    let (status, said) = session.end();
    assert_ne!(status, Some(0), "{said}");
    assert!(terminal_is_unharmed(&said), "{said}");
}

#[test]
fn a_boot_that_is_ended_from_outside_leaves_nothing_behind() {
    let folder = TempDir::new();
    let machine = |path: &str| {
        let script = "echo ready; exec sleep 1000";
        let mut command = judged(&folder.join("boot.1"), "shell", 0, script);
        command.env("PATH", path);
        Session::piped(command)
    };
    // What this timeout(1) is sent does not reach the machine, as while the real one forks.
    let stubs = Stubs::new(&[]);
    stubs.add("timeout", r#"shift 3; "$@" & wait"#);
    let path = std::env::var("PATH").expect("a PATH");
    for path in [&path, &stubs.first()] {
        let mut session = machine(path);
        session.wait_for("ready");
        session.signal(Signal::SIGTERM);
        // Everything that it started has exited when nobody has its output open any more.
        let (status, said) = session.end();
        assert_eq!(status, None, "killed by the same signal: {said}");
        assert!(!folder.path().join("boot.1").exists(), "its files are left");
    }
    // The request comes before the machine starts, or while it does.
    stubs.add("timeout", r#"kill $PPID; shift 3; exec "$@""#);
    let (status, said) = machine(&stubs.first()).end();
    assert_eq!(status, None, "{said}");
}

#[test]
fn two_boots_at_once_have_verdicts_of_their_own() {
    let folder = TempDir::new();
    // Each reports, and waits until the other has reported, too.
    let boot = |directory: &str, me: u32, other: u32| {
        let [mine, others] = [me, other].map(|number| folder.join(&format!("reported-{number}")));
        let report = format!(
            "echo status {me} > $VERDICT; : > {mine}; until [ -e {others} ]; do sleep 0.01; done"
        );
        Session::piped(judged(&folder.join(directory), "verdict", 9, &report))
    };
    let boots = |directories: [&str; 2]| {
        let boots = [boot(directories[0], 0, 3), boot(directories[1], 3, 0)];
        let said = boots.map(|boot| boot.end().1);
        fs::remove_file(folder.path().join("reported-0")).expect("remove a file");
        fs::remove_file(folder.path().join("reported-3")).expect("remove a file");
        said[0].contains("exited with status 0") && said[1].contains("exited with status 3")
    };
    assert!(boots(["boot.1", "boot.2"]));
    assert!(!boots(["boot.1", "boot.1"]));

    // The folder that make gives to each.
    let folder_of = || {
        let (_, said) = run("make", &["-n", "archive"]);
        let word = said.split_whitespace().find(|word| word.starts_with("build/boot."));
        word.expect("a folder").to_string()
    };
    assert_ne!(folder_of(), folder_of());
}

#[test]
fn what_a_killed_boot_left_is_removed() {
    let _alone = alone();
    let left = |pid: u32| Path::new(ROOT).join(format!("build/boot.{pid}"));
    let mut dead = command("true").spawn().expect("run true");
    dead.wait().expect("wait");
    let living = std::process::id();
    for pid in [dead.id(), living] {
        fs::create_dir_all(left(pid).join("tree")).expect("make a folder");
    }
    assert_eq!(run("make", &["check", "ACCEL=tcg"]).0, Some(0));
    assert!(!left(dead.id()).exists(), "it is still there");
    assert!(left(living).exists(), "that of a boot that goes on is gone, too");
    fs::remove_dir_all(left(living)).expect("remove it");
}

#[test]
fn standard_input_may_be_closed() {
    let folder = TempDir::new();
    let boot = |input: &str| {
        let directory = folder.join("boot.1");
        let words = format!("sh -c 'echo status 0 > {directory}/verdict'");
        run("sh", &["-c", &format!("lab/boot.sh verdict 9 {directory} {words} {input}")])
    };
    let (status, said) = boot("<&-");
    assert_eq!((status, said.lines().count()), (Some(0), 1), "{said}");
    assert_eq!(boot("</dev/null"), (status, said));
}

#[test]
fn a_shell_needs_a_terminal() {
    let _alone = alone();
    let stubs = Stubs::new(&["cargo", "qemu"]);
    let vmlinuz = stubs.0.join("vmlinuz");
    write_kernel(Path::new(&vmlinuz));
    let shell = || stubbed_make(&stubs, "shell", &format!("KERNEL={vmlinuz}"));
    demand_refusal(shell(), "make shell needs a terminal");
    assert_eq!(stubs.ran(), "");
    // On one, it goes on.
    let path = stubs.first();
    let line = format!(
        "cd '{ROOT}'; PATH='{path}' make shell NO_INSTALL=1 QEMU={}/qemu \
                        KERNEL={vmlinuz} ACCEL=tcg",
        stubs.only()
    );
    let (_, said) = Session::on_terminal(&line).end();
    assert!(stubs.ran().contains("cargo build"), "{said}");
}

/// The project's files in another folder, with nothing that was built.
fn copy_project(to: &Path) {
    fs::create_dir(to).expect("make a folder");
    let script = r#"find . -mindepth 1 -maxdepth 1 ! -name target ! -name build ! -name .git -exec cp -R {} "$0" \;"#;
    let status = command("sh").args(["-c", script]).arg(to).status();
    assert!(status.expect("run sh").success());
}

/// What `make archive` makes in this folder: /init, and the initramfs.
fn build_in(folder: &Path, umask: &str) -> (Vec<u8>, Vec<u8>) {
    let mut command = command("sh");
    command
        .args(["-c", "umask $0; exec make archive ROOTFS=demo NO_INSTALL=1", umask])
        .current_dir(folder)
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR");
    let (status, said) = Session::piped(command).end();
    assert_eq!(status, Some(0), "{said}");
    let read = |name: &str| fs::read(folder.join(name)).expect("read what was built");
    (read("target/x86_64-unknown-linux-gnu/release/init"), read("build/demo.cpio"))
}

#[test]
fn what_is_built_does_not_depend_on_where_and_by_whom() {
    let folder = TempDir::new();
    let (here, there) = (folder.path().join("here"), folder.path().join("over there"));
    copy_project(&here);
    copy_project(&there);
    let built = build_in(&here, "022");
    assert!(built == build_in(&there, "077"), "it differs");

    // One more byte in one file.
    fs::write(there.join("initramfs/demo/etc/more"), "x").expect("write a file");
    let more = build_in(&there, "077");
    assert!(built.0 == more.0 && built.1 != more.1, "the archive does not depend on its files");
}

#[test]
fn another_init_is_packed_with_what_it_needs() {
    let folder = TempDir::new();
    let busybox = folder.script("busybox", "");
    let path = |name: &str| folder.path().join(name);
    // As the package has been unpacked before: a program that is linked dynamically.
    for package in ["tini/usr/bin", "runit/usr/sbin"] {
        fs::create_dir_all(path("build/peers").join(package)).expect("make a folder");
    }
    fs::copy("/bin/true", path("build/peers/tini/usr/bin/tini")).expect("copy");
    fs::copy("/bin/true", path("build/peers/runit/usr/sbin/runit")).expect("copy");
    fs::create_dir_all(path("build/busybox/bin")).expect("make a folder");
    fs::copy(&busybox, path("build/busybox/bin/busybox")).expect("copy");
    for (name, start) in [("tini", "exec /.init/tini -- \"$@\""), ("runit", "exec /.init/runit")] {
        let tree = path(&format!("tree.{name}"));
        fs::create_dir_all(tree.join("bin")).expect("make a folder");
        let words = [&folder.join("build"), name, &tree.to_string_lossy(), ""];
        let (status, said) = run("lab/other-init.sh", &words);
        assert_eq!((status, said.as_str()), (Some(0), ""));
        let script = fs::read_to_string(tree.join("init")).expect("an /init");
        assert!(script.starts_with("#!/bin/sh\n") && script.contains(start), "{script}");
        assert!(tree.join(".init").join(name).exists());
        assert!(tree.join("lib64/ld-linux-x86-64.so.2").exists(), "no loader");
        assert!(tree.join("bin/busybox").exists(), "no shell for the script");
    }
    // One that is none of these is a file, or refused.
    let (_, said) = run("lab/check.sh", &["CPU=x86_64", "DUTIES=", "INIT=sinit"]);
    assert!(said.contains("INIT=sinit: there is no such file"), "{said}");
}
