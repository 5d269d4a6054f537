//! The twins: programs in other languages that do the same job.
//!
//! Each is a folder of lab/sizes with a `build.sh OUT` in it, which says in
//! comments at its head what it is called, what it needs, and what tells the
//! version of that.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A twin, as its build script describes it.
pub struct Twin {
    /// What the table calls it.
    pub title: String,
    /// The name of its folder.
    pub folder: String,
    script: PathBuf,
    needs: Vec<String>,
    version: String,
}

/// What came of building a twin.
pub enum Built {
    /// The program.
    Program(PathBuf),
    /// Why there is none.
    Missing(String),
}

/// All twins in a folder, by name.
pub fn find(folder: &Path) -> Result<Vec<Twin>> {
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path().join("build.sh")))
        .filter(|script| script.is_file())
        .collect();
    scripts.sort();
    scripts.into_iter().map(Twin::read).collect()
}

impl Twin {
    fn read(script: PathBuf) -> Result<Twin> {
        let name = || script.display().to_string();
        let text = fs::read_to_string(&script).with_context(name)?;
        let field = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
            value.map(str::to_string).with_context(|| format!("{} has no `# {key}:`", name()))
        };
        let folder = script.parent().and_then(Path::file_name).unwrap_or_default();
        Ok(Twin {
            title: field("title")?,
            folder: folder.to_string_lossy().into(),
            needs: field("needs")?.split_whitespace().map(String::from).collect(),
            version: field("version")?,
            script,
        })
    }

    /// Builds it, if all that it needs is there.
    pub fn build(&self, into: &Path) -> Result<Built> {
        let missing: Vec<&str> =
            self.needs.iter().map(String::as_str).filter(|need| !is_there(need)).collect();
        if !missing.is_empty() {
            return Ok(Built::Missing(format!("not built: needs {}", missing.join(", "))));
        }
        fs::create_dir_all(into).with_context(|| into.display().to_string())?;
        let program = into.canonicalize().context("canonicalize")?.join(&self.folder);
        let _ = fs::remove_file(&program);
        let output = Command::new("sh")
            .arg("build.sh")
            .arg(&program)
            .current_dir(self.script.parent().unwrap_or(Path::new(".")))
            // What cargo tells programs about itself is none of the compiler's business.
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null())
            .output()
            .context("run sh")?;
        if !output.status.success() || !program.is_file() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("{said}");
            let error = said.lines().find(|line| line.contains("error")).unwrap_or("it failed");
            return Ok(Built::Missing(format!("not built: {error}")));
        }
        Ok(Built::Program(program))
    }

    /// The version of the compiler, in one line.
    pub fn version(&self) -> Result<String> {
        let output = Command::new("sh").args(["-c", &self.version]).output().context("run sh")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().next().unwrap_or_default().trim();
        ensure!(!line.is_empty(), "`{}` prints nothing", self.version);
        Ok(line.into())
    }
}

/// Whether a command is there; or, as `rust-target:NAME`, a target of rustc's.
fn is_there(need: &str) -> bool {
    if let Some(target) = need.strip_prefix("rust-target:") {
        let output =
            Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        let path = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
        return path.is_ok_and(|path| Path::new(&path).is_dir());
    }
    let command = ["-c", "command -v \"$0\" >/dev/null", need];
    Command::new("sh").args(command).status().is_ok_and(|status| status.success())
}
