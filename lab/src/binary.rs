//! What every byte of the init is for: which function, which line of the
//! source and which duty it belongs to.
//!
//! All of it is read from a build with the profile `symbols`: the same bytes,
//! as one section of an ELF file that has symbols and line numbers, too.

use addr2line::Loader;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

/// The section that is the whole file of a release, as src/link.ld lays it out.
const IMAGE: &str = "image";

/// A file in src/ whose first line begins so is a duty.
const DUTY_MARK: &str = "//! Duty:";

/// Which init is looked at.
#[derive(Args)]
pub struct Build {
    /// The init, built with the profile `symbols`
    #[arg(long)]
    symbols: PathBuf,
    /// The init as it is shipped, which has to have the same bytes
    #[arg(long)]
    pub init: PathBuf,
    /// The folder of the project, which has the source in src/
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

impl Build {
    /// Reads it. Fails if what is shipped is not what has the symbols.
    pub fn read(&self) -> Result<(Source, Binary)> {
        let source = Source::read(&self.root)?;
        let binary = Binary::read(&self.symbols)?;
        binary.demand_same_as(&self.init)?;
        Ok((source, binary))
    }
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The function, with its module, such as `reap::report`.
    pub function: String,
    /// The file, such as `src/reap.rs`; outside the project, it begins with
    /// the package's name.
    pub file: String,
    /// The line, from 1; 0 if the compiler made the code of several.
    pub line: u32,
}

impl Place {
    /// The name of its module, if it is one of the init's own.
    pub fn module(&self) -> Option<&str> {
        self.file.strip_prefix("src/")?.strip_suffix(".rs")
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{} {}", self.file, self.function),
            line => write!(f, "{}:{line} {}", self.file, self.function),
        }
    }
}

/// The source of the init.
pub struct Source {
    root: PathBuf,
    files: BTreeMap<String, Vec<String>>,
}

impl Source {
    /// Reads src/ of the project that is in the folder `root`.
    fn read(root: &Path) -> Result<Source> {
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        let mut files = BTreeMap::new();
        // This tool is compiled for the same CPU as the init.
        let cpu = format!("{}.rs", std::env::consts::ARCH);
        for folder in ["src", "src/arch"] {
            let path = root.join(folder);
            for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
                let path = entry?.path();
                let name = path.file_name().context("a name")?.to_string_lossy();
                let is_built = folder == "src" || name == "mod.rs" || name == cpu;
                if is_built && path.extension().is_some_and(|extension| extension == "rs") {
                    let text =
                        fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                    files.insert(
                        format!("{folder}/{name}"),
                        text.lines().map(String::from).collect(),
                    );
                }
            }
        }
        Ok(Source { root, files })
    }

    /// A line of the init's own source.
    pub fn line(&self, place: &Place) -> Option<&str> {
        let index = (place.line as usize).checked_sub(1)?;
        self.files.get(&place.file)?.get(index).map(String::as_str)
    }

    /// The duties: the modules that say of themselves that they are one.
    pub fn duties(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|(name, lines)| {
            let is_duty = lines.first()?.starts_with(DUTY_MARK);
            is_duty.then(|| name.strip_prefix("src/")?.strip_suffix(".rs"))?
        })
    }

    /// What a piece of code belongs to: of the places, the innermost first, the
    /// first that is in a duty; else the first that is in another module of the
    /// init that serves several.
    pub fn owner<'a>(&self, places: &'a [Place]) -> Option<(Owner, &'a Place)> {
        let own = || places.iter().filter_map(|place| Some((place.module()?, place)));
        if let Some((module, place)) = own().find(|(module, _)| self.is_duty(module)) {
            return Some((Owner::Duty(module.into()), place));
        }
        own().next().map(|(module, place)| (Owner::Shared(module.into()), place))
    }

    fn is_duty(&self, module: &str) -> bool {
        self.duties().any(|duty| duty == module)
    }

    /// Where a label of hand-written assembly is.
    fn label(&self, name: &str) -> Option<Place> {
        let label = format!("\"{name}:\"");
        self.files.iter().find_map(|(file, lines)| {
            let index = lines.iter().position(|line| line.contains(&label))?;
            Some(Place { function: name.into(), file: file.clone(), line: index as u32 + 1 })
        })
    }

    /// A path as the compiler knew it, without what is different on each machine.
    fn short_name(&self, path: &str) -> String {
        let path = Path::new(path);
        if let Ok(own) = path.strip_prefix(&self.root) {
            return own.display().to_string();
        }
        let text = path.display().to_string();
        // A package is unpacked to registry/src/SERVER/, the standard library
        // was compiled in /rustc/COMMIT/.
        for mark in ["/registry/src/", "/rustc/"] {
            if let Some((_, rest)) = text.split_once(mark)
                && let Some((_, name)) = rest.split_once('/')
            {
                return name.into();
            }
        }
        text
    }
}

/// What a byte belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// The ELF header and the program header.
    Header,
    /// A duty, by the name of its module.
    Duty(String),
    /// A module that serves several duties.
    Shared(String),
    /// Nothing.
    Padding,
}

impl Display for Owner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Owner::Header => "(ELF header)",
            Owner::Duty(name) | Owner::Shared(name) => name,
            Owner::Padding => "(padding)",
        })
    }
}

/// Some bytes of the file that belong together.
pub struct Piece {
    /// The address of the first; the file is loaded as a whole.
    pub address: u64,
    /// How many they are.
    pub length: usize,
    /// What they are.
    pub content: Content,
    /// What they belong to.
    pub owner: Owner,
    /// Where they come from, the innermost of inlined functions first.
    pub places: Vec<Place>,
}

/// What some bytes are.
pub enum Content {
    /// A field of a header: its name, and what its value means.
    Field(&'static str, String),
    /// An instruction.
    Code(Instruction),
    /// What instructions refer to.
    Data,
    /// Nothing: bytes between others.
    Padding,
}

/// A function as the linker knows it; what was inlined is inside others.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The address of its first byte.
    pub start: u64,
    /// The address after its last one.
    pub end: u64,
}

/// A field of a header: its name, how many bytes it has, and what a value means.
type Field = (&'static str, usize, fn(u64) -> String);

/// The init, taken to pieces.
pub struct Binary {
    /// The bytes of the file.
    pub image: Vec<u8>,
    /// The address of the first.
    pub base: u64,
    /// Its functions, by address.
    pub functions: Vec<Function>,
    loader: Loader,
}

impl Binary {
    /// Reads a build with the profile `symbols`.
    fn read(path: &Path) -> Result<Binary> {
        let name = || path.display().to_string();
        let bytes = fs::read(path).with_context(name)?;
        let file = object::File::parse(&*bytes).with_context(name)?;
        let section = file.section_by_name(IMAGE).with_context(|| {
            format!("{} has no section {IMAGE}: build it with --profile symbols", name())
        })?;
        let base = section.address();
        let image = section.data().with_context(name)?.to_vec();

        let end = base + image.len() as u64;
        let mut labels: Vec<(u64, u64, String)> = file
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()))
            // A constant is what the code that refers to it belongs to.
            .filter(|symbol| symbol.kind() != SymbolKind::Data)
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
            .filter(|(address, ..)| (base..end).contains(address))
            .map(|(address, size, name)| (address, size, short_function(name)))
            .collect();
        labels.sort();
        labels.dedup_by_key(|(address, ..)| *address);
        // A generic function is compiled once for each type that it is used with.
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        for (.., name) in &mut labels {
            let copy = copies.entry(name.clone()).or_default();
            *copy += 1;
            if *copy > 1 {
                *name = format!("{name}, copy {copy}");
            }
        }
        let functions = labels
            .iter()
            .enumerate()
            .map(|(index, (start, size, name))| {
                // Hand-written assembly has labels, but no sizes.
                let next = labels.get(index + 1).map_or(end, |next| next.0);
                let end = if *size > 0 { start + size } else { next };
                Function { name: name.clone(), start: *start, end }
            })
            .collect();
        let loader = Loader::new(path).map_err(|error| anyhow!("{}: {error}", name()))?;
        Ok(Binary { image, base, functions, loader })
    }

    /// Fails unless the release has the same bytes.
    fn demand_same_as(&self, release: &Path) -> Result<()> {
        let bytes = fs::read(release).with_context(|| release.display().to_string())?;
        ensure!(
            bytes == self.image,
            "{} is not what the build with symbols is: {} bytes there, {} here, and byte number {} is the first that differs. Build both from the same source, with the same features",
            release.display(),
            bytes.len(),
            self.image.len(),
            bytes.iter().zip(&self.image).take_while(|(one, other)| one == other).count()
        );
        Ok(())
    }

    /// The function that an address is in.
    pub fn function(&self, address: u64) -> Option<&Function> {
        self.functions.iter().find(|function| (function.start..function.end).contains(&address))
    }

    /// Where an instruction comes from, the innermost of inlined functions first.
    pub fn places(&self, source: &Source, address: u64) -> Result<Vec<Place>> {
        let broken = |error| anyhow!("no line number for {address:#x}: {error}");
        let mut frames = self.loader.find_frames(address).map_err(broken)?;
        let mut places = Vec::new();
        while let Some(frame) = frames.next().map_err(|error| anyhow!("{error}"))? {
            let Some(function) = frame.function else { continue };
            let function = short_function(&function.raw_name()?);
            let location = frame.location;
            let file = location.as_ref().and_then(|location| location.file).unwrap_or("");
            let line = location.as_ref().and_then(|location| location.line).unwrap_or(0);
            places.push(Place { function, file: source.short_name(file), line });
        }
        if places.is_empty() {
            // Hand-written assembly has no line numbers.
            let label = self.function(address).and_then(|function| source.label(&function.name));
            places.extend(label);
        }
        Ok(places)
    }

    /// The bytes of a piece.
    pub fn bytes(&self, address: u64, length: usize) -> &[u8] {
        let start = (address - self.base) as usize;
        &self.image[start..start + length]
    }

    /// The address of the bytes that an instruction refers to, if it refers to some.
    pub fn reference(&self, instruction: &Instruction) -> Option<u64> {
        let operands = (0..instruction.op_count()).filter_map(|operand| {
            Some(match instruction.op_kind(operand) {
                OpKind::Memory => instruction.memory_displacement64(),
                OpKind::Immediate32 => u64::from(instruction.immediate32()),
                OpKind::Immediate32to64 => instruction.immediate32to64() as u64,
                OpKind::Immediate64 => instruction.immediate64(),
                _ => return None,
            })
        });
        let end = self.base + self.image.len() as u64;
        operands.into_iter().find(|address| (self.base..end).contains(address))
    }

    /// The whole file, every byte once, in order.
    pub fn pieces(&self, source: &Source) -> Result<Vec<Piece>> {
        let mut pieces = self.header()?;
        let mut at = self.base + pieces.iter().map(|piece| piece.length as u64).sum::<u64>();
        // Who refers to which address that is not code.
        let mut users: BTreeMap<u64, (Owner, Vec<Place>)> = BTreeMap::new();
        let mut gaps = Vec::new();
        for function in &self.functions {
            if function.start >= self.base + self.image.len() as u64 {
                continue;
            }
            ensure!(at <= function.start, "{} overlaps what is before it", function.name);
            gaps.push((at, function.start));
            let code = self.bytes(function.start, (function.end - function.start) as usize);
            let decoder = Decoder::with_ip(64, code, function.start, DecoderOptions::NONE);
            for instruction in decoder {
                let address = instruction.ip();
                ensure!(!instruction.is_invalid(), "{address:#x} is no instruction");
                let places = self.places(source, address)?;
                // An instruction that the compiler added has no line. It belongs
                // to what comes before it.
                let found = source.owner(&places).map(|(owner, _)| owner);
                let before = || pieces.last().map(|piece: &Piece| piece.owner.clone());
                let owner = found.or_else(before).with_context(|| {
                    format!("{address:#x} ({}) belongs to no file in src/", function.name)
                })?;
                if let Some(target) = self.reference(&instruction)
                    && self.function(target).is_none()
                {
                    users.entry(target).or_insert_with(|| (owner.clone(), places.clone()));
                }
                let (length, content) = (instruction.len(), Content::Code(instruction));
                pieces.push(Piece { address, length, content, owner, places });
            }
            at = function.end;
        }
        gaps.push((at, self.base + self.image.len() as u64));
        for (start, end) in gaps {
            self.divide_data(start, end, &users, &mut pieces);
        }
        pieces.sort_by_key(|piece| piece.address);

        let mut next = self.base;
        for piece in &pieces {
            ensure!(piece.address == next, "{next:#x} is in two pieces, or in none");
            next += piece.length as u64;
        }
        ensure!(next == self.base + self.image.len() as u64, "the pieces are not the whole file");
        Ok(pieces)
    }

    /// Divides what is not code at the addresses that code refers to. Where a
    /// string is the end of another, each has the bytes from its own address on.
    fn divide_data(
        &self,
        start: u64,
        end: u64,
        users: &BTreeMap<u64, (Owner, Vec<Place>)>,
        pieces: &mut Vec<Piece>,
    ) {
        let mut starts: BTreeSet<u64> = users.range(start..end).map(|(at, _)| *at).collect();
        starts.insert(start);
        let starts: Vec<u64> = starts.into_iter().collect();
        for (index, &address) in starts.iter().enumerate() {
            let next = starts.get(index + 1).copied().unwrap_or(end);
            if next == address {
                continue;
            }
            let (content, owner, places) = match users.get(&address) {
                Some((owner, places)) => (Content::Data, owner.clone(), places.clone()),
                None => (Content::Padding, Owner::Padding, Vec::new()),
            };
            pieces.push(Piece {
                address,
                length: (next - address) as usize,
                content,
                owner,
                places,
            });
        }
    }

    /// The two headers, field by field: elf(5).
    fn header(&self) -> Result<Vec<Piece>> {
        let fields: [Field; 26] = [
            ("e_ident: magic", 4, |_| "0x7f ELF".into()),
            ("e_ident: class", 1, |value| one_of(value, &[(2, "64 bits")])),
            ("e_ident: byte order", 1, |value| one_of(value, &[(1, "little endian")])),
            ("e_ident: version", 1, number),
            ("e_ident: ABI and padding", 9, |_| "none".into()),
            ("e_type", 2, |value| one_of(value, &[(2, "ET_EXEC: loaded where it was linked")])),
            ("e_machine", 2, |value| one_of(value, &[(62, "EM_X86_64")])),
            ("e_version", 4, number),
            ("e_entry", 8, hexadecimal),
            ("e_phoff", 8, |value| format!("program header at {value}")),
            ("e_shoff", 8, |value| one_of(value, &[(0, "no section table")])),
            ("e_flags", 4, number),
            ("e_ehsize", 2, bytes),
            ("e_phentsize", 2, bytes),
            ("e_phnum", 2, number),
            ("e_shentsize", 2, number),
            ("e_shnum", 2, number),
            ("e_shstrndx", 2, number),
            ("p_type", 4, |value| one_of(value, &[(1, "PT_LOAD")])),
            ("p_flags", 4, |value| {
                one_of(value, &[(5, "readable, executable"), (7, "writable and executable")])
            }),
            ("p_offset", 8, number),
            ("p_vaddr", 8, hexadecimal),
            ("p_paddr", 8, hexadecimal),
            ("p_filesz", 8, bytes),
            ("p_memsz", 8, bytes),
            ("p_align", 8, hexadecimal),
        ];
        if !self.image.starts_with(b"\x7fELF") {
            bail!("the image does not begin with an ELF header");
        }
        let mut address = self.base;
        let mut pieces = Vec::new();
        for (name, length, meaning) in fields {
            let mut value = [0; 8];
            let bytes = self.bytes(address, length);
            value[..length.min(8)].copy_from_slice(&bytes[..length.min(8)]);
            let content = Content::Field(name, meaning(u64::from_le_bytes(value)));
            pieces.push(Piece {
                address,
                length,
                content,
                owner: Owner::Header,
                places: Vec::new(),
            });
            address += length as u64;
        }
        Ok(pieces)
    }
}

/// How many bytes each owner has.
pub fn bytes_by_owner(pieces: &[Piece]) -> BTreeMap<Owner, usize> {
    let mut bytes = BTreeMap::new();
    for piece in pieces {
        *bytes.entry(piece.owner.clone()).or_default() += piece.length;
    }
    bytes
}

fn number(value: u64) -> String {
    value.to_string()
}

fn bytes(value: u64) -> String {
    format!("{value} bytes")
}

fn hexadecimal(value: u64) -> String {
    format!("{value:#x}")
}

fn one_of(value: u64, names: &[(u64, &str)]) -> String {
    let name = names.iter().find(|(number, _)| *number == value);
    name.map_or_else(|| number(value), |(_, name)| name.to_string())
}

/// The name of a function without the crate, and without what the compiler
/// numbers: `reap::report`.
fn short_function(name: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    let name = name.strip_prefix("picoinit::").unwrap_or(&name);
    name.replace("::{{closure}}", " (closure)").replace("<_>", "")
}
