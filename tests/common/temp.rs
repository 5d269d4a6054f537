//! Folders for tests.

#![allow(dead_code)] // each test program uses its part

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed in the end.
pub struct TempDir(PathBuf);

impl TempDir {
    /// An empty one.
    pub fn new() -> TempDir {
        TempDir::new_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// An empty one with a short path, for programs that want that.
    pub fn short() -> TempDir {
        TempDir::new_in(&std::env::temp_dir())
    }

    fn new_in(folder: &Path) -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("picoinit-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                // Left behind by another process with this PID.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made.expect("make a folder");
                    return TempDir(path);
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where it is, from the project's folder if it lies there: the path of a
    /// socket has to be short.
    pub fn name(&self) -> &str {
        let path = self.0.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&self.0);
        path.to_str().expect("a path in UTF-8")
    }

    /// The path of something in it.
    pub fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.name())
    }

    /// Writes a file that can be executed, and returns its path.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a folder");
        fs::write(&path, format!("#!/bin/sh\n{text}")).expect("write a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        self.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
