//! The inits that are measured.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use syscalls::Sysno;

/// An init, and what has to be known about it to measure it.
pub struct Init {
    /// What the table calls it.
    pub name: &'static str,
    /// The Debian package that it is from; none for picoinit.
    pub package: Option<&'static str>,
    /// Where its file is in the package.
    pub path: &'static str,
    /// The name of its copy.
    pub copy: &'static str,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// Whether it relies on reboot(2) to stop the machine, and does not exit otherwise.
    pub reboots: bool,
    /// What asks it to stop.
    pub stop: Signal,
    /// The system calls that it makes to print a line for each orphan.
    pub line: &'static [Sysno],
    /// How it is run, where that is not obvious, and what a reader of its row has to know.
    pub note: &'static str,
}

/// All of them, picoinit first.
pub const INITS: [Init; 8] = [
    Init {
        name: "picoinit",
        package: None,
        path: "",
        copy: "inits/picoinit",
        arguments: &["/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[Sysno::ppoll, Sysno::write],
        note: "prints a line for each process that exits or is killed. Asked to stop, it sends SIGTERM to every \
               process, after 5 s SIGKILL, and exits; only on a whole machine does it call reboot(2)",
    },
    Init {
        name: "tini",
        package: Some("tini"),
        path: "usr/bin/tini",
        copy: "inits/tini",
        arguments: &["--", "/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[],
        note: "prints nothing. Passes signals on to its program, and exits when the program does",
    },
    Init {
        name: "tini -w",
        package: Some("tini"),
        path: "usr/bin/tini",
        copy: "inits/tini",
        arguments: &["-w", "--", "/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[Sysno::getpid, Sysno::write],
        note: "the same, told to print a line for each orphan, as picoinit does",
    },
    Init {
        name: "tini-static",
        package: Some("tini"),
        path: "usr/bin/tini-static",
        copy: "inits/tini-static",
        arguments: &["--", "/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[],
        note: "tini, linked statically",
    },
    Init {
        name: "dumb-init",
        package: Some("dumb-init"),
        path: "usr/bin/dumb-init",
        copy: "inits/dumb-init",
        arguments: &["--", "/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[],
        note: "prints nothing. Passes signals on to its program's session, and exits when the program does",
    },
    Init {
        name: "catatonit",
        package: Some("catatonit"),
        path: "usr/bin/catatonit",
        copy: "inits/catatonit",
        arguments: &["--", "/load"],
        reboots: false,
        stop: Signal::SIGTERM,
        line: &[],
        note: "prints nothing. Passes signals on to its program, and exits when the program does",
    },
    Init {
        name: "busybox init",
        package: Some("busybox-static"),
        path: "bin/busybox",
        copy: "inits/init",
        arguments: &[],
        reboots: true,
        stop: Signal::SIGTERM,
        line: &[],
        note: "the file is all of BusyBox. Its program is named in /etc/inittab, as `::once:/load`. After \
               each wait for a signal it sleeps for a second, so orphans that come one at a time wait that long. \
               When its program exits, it carries on. Asked to stop, it signals every process, sleeps for a second \
               after SIGTERM and for another after SIGKILL, and calls reboot(2), which here shuts the namespace down",
    },
    Init {
        name: "runit",
        package: Some("runit"),
        path: "sbin/runit",
        copy: "inits/runit",
        arguments: &[],
        reboots: true,
        stop: Signal::SIGCONT,
        line: &[],
        note: "its program is /etc/runit/2. /etc/runit/1, which runs before it, and /etc/runit/3, which runs after it, \
               are /bin/true. It blocks SIGTERM; SIGCONT asks it to stop, if there is a file /run/runit.stopit. \
               Then it checks once a second whether its program has exited, kills it after 5 s, \
               and calls reboot(2), which here shuts the namespace down",
    },
];

/// Writes the files in which BusyBox's init and runit look for their program.
pub fn name_program(root: &Path, program: &str) -> Result<()> {
    fs::write(root.join("etc/inittab"), format!("::once:{program}\n")).context("write inittab")?;
    fs::create_dir(root.join("etc/runit")).context("make /etc/runit")?;
    for (stage, program) in [("1", "/bin/true"), ("2", program), ("3", "/bin/true")] {
        symlink(program, root.join("etc/runit").join(stage)).context("link runit's stages")?;
    }
    Ok(())
}

/// Makes the file without which runit does not stop when it is asked to.
pub fn let_runit_stop(root: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o100);
    options.open(root.join("run/runit.stopit")).context("make runit.stopit")?;
    Ok(())
}

impl Init {
    /// Where its file is; `packages` is the folder where the packages were unpacked.
    pub fn file(&self, picoinit: &Path, packages: &Path) -> PathBuf {
        match self.package {
            Some(package) => unpacked(packages, package, self.path),
            None => picoinit.into(),
        }
    }

    /// Its command line.
    pub fn command(&self) -> Vec<String> {
        let mut command = vec![format!("/{}", self.copy)];
        command.extend(self.arguments.iter().map(|word| word.to_string()));
        command
    }
}

/// Where a file of a package was unpacked: newer packages have everything in usr/.
pub fn unpacked(packages: &Path, package: &str, path: &str) -> PathBuf {
    let folder = packages.join(package);
    let moved = folder.join("usr").join(path);
    if moved.is_file() { moved } else { folder.join(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_found_where_older_and_newer_packages_have_it() {
        let packages = std::env::temp_dir().join(format!("unpacked-{}", std::process::id()));
        for name in ["old/bin", "new/usr/bin"] {
            fs::create_dir_all(packages.join(name)).expect("make a folder");
            fs::write(packages.join(name).join("busybox"), "").expect("write a file");
        }
        let found = |package| unpacked(&packages, package, "bin/busybox");
        let [old, new, none] = ["old", "new", "none"].map(found);
        fs::remove_dir_all(&packages).expect("remove the folder");
        assert_eq!(old, packages.join("old/bin/busybox"));
        assert_eq!(new, packages.join("new/usr/bin/busybox"));
        assert_eq!(none, packages.join("none/bin/busybox"));
    }
}
