//! What one would rather not try on the machine at hand. See ../../vmrun.md for how to run it.

use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, gethostname, getpid, getuid, sethostname};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, exit};
use vmrun_example::parameter;

#[test]
fn is_root() {
    assert!(getuid().is_root());
}

#[test]
fn a_tmpfs_can_be_mounted() {
    let folder = Path::new("/tmp/mounted");
    fs::create_dir(folder).unwrap();
    let nothing = None::<&str>;
    mount(nothing, folder, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
    fs::write(folder.join("file"), [0; 1000]).unwrap();
    assert!(fs::write(folder.join("too-large"), vec![0; 2 << 20]).is_err());
    umount(folder).unwrap();
    assert!(!folder.join("file").exists());
}

#[test]
fn namespaces_can_be_made() {
    // SAFETY: the child makes system calls only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let all = CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
            let named = unshare(all).and_then(|()| sethostname("inside"));
            exit(if named.is_ok() && gethostname().is_ok_and(|name| name == "inside") { 0 } else { 1 });
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            assert_ne!(gethostname().unwrap(), "inside");
        }
    }
}

#[test]
fn a_module_can_be_unloaded_and_loaded() {
    let is_loaded = || fs::read_to_string("/proc/modules").unwrap().lines().any(|line| line.starts_with("loop "));
    assert!(is_loaded(), "vmrun --modules loop has loaded it");
    delete_module(c"loop", DeleteModuleFlags::O_NONBLOCK).unwrap();
    assert!(!is_loaded());
    let file = File::open(format!("/lib/modules/{}/loop.ko", parameter("kernel/osrelease").unwrap())).unwrap();
    finit_module(&file, c"max_loop=3", ModuleInitFlags::empty()).unwrap();
    assert!(is_loaded() && Path::new("/dev/loop2").exists() && !Path::new("/dev/loop3").exists());
}

#[test]
fn the_kernel_takes_other_parameters() {
    fs::write("/proc/sys/kernel/pid_max", "1234").unwrap();
    assert_eq!(parameter("kernel/pid_max").unwrap(), "1234");
    fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
}

#[test]
fn the_loopback_device_works() {
    let listener = TcpListener::bind("127.0.0.1:80").unwrap();
    TcpStream::connect("127.0.0.1:80").unwrap();
    assert!(listener.accept().unwrap().1.ip().is_loopback());
}

#[test]
fn there_is_nobody_else() {
    let others = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        // What has no command line is a thread of the kernel.
        (!line.is_empty() && id != getpid().as_raw() as u32).then_some(id)
    });
    // PID 1, what carries these lines out, and the leader of this session.
    assert_eq!(others.count(), 3);
}

#[test]
fn a_program_of_the_package_is_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_vmrun-example")).output().unwrap();
    assert_eq!(output.stdout, b"Linux\n");
}

#[test]
fn a_file_of_the_package_can_be_read() {
    assert!(fs::read_to_string("Cargo.toml").unwrap().contains("vmrun-example"));
}
