//! The whole init as assembly, beside the lines of its source.

use crate::binary::{Binary, Build, Content, Owner, Piece, Place, Source, bytes_by_owner};
use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use iced_x86::{
    FlowControl, Formatter, Instruction, IntelFormatter, Mnemonic, OpKind, Register,
    SymbolResolver, SymbolResult,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use syscalls::Sysno;

/// Prints everything.
pub fn run(build: &Build) -> Result<()> {
    let (source, binary) = build.read()?;
    let text = listing(&binary, &source)?;
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, such as head(1), has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("standard output"),
    }
}

/// The whole listing, and the tables of bytes.
fn listing(binary: &Binary, source: &Source) -> Result<String> {
    let pieces = binary.pieces(source)?;
    let mut text = String::new();
    let mut formatter = formatter(binary);
    let mut place: Option<&Place> = None;
    let mut heading = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        let new_heading = part(binary, piece);
        if new_heading != heading {
            heading = new_heading;
            place = None;
            let length: usize = pieces
                .iter()
                .filter(|piece| part(binary, piece) == heading)
                .map(|piece| piece.length)
                .sum();
            writeln!(text, "\n{:06x} <{heading}>: {length} bytes", piece.address)?;
        }
        match &piece.content {
            Content::Field(name, meaning) => {
                line(&mut text, binary, piece, &format!("{name}: {meaning}"), "")?;
            }
            Content::Code(instruction) => {
                let own = source.owner(&piece.places).map(|(_, place)| place);
                if own != place {
                    place = own;
                    say_place(&mut text, source, piece, own)?;
                }
                let mut code = String::new();
                formatter.format(instruction, &mut code);
                line(&mut text, binary, piece, &code, &comment(binary, &pieces[..=index]))?;
            }
            Content::Data => {
                let user = piece.places.first().map(Place::to_string).unwrap_or_default();
                let bytes = binary.bytes(piece.address, piece.length);
                line(
                    &mut text,
                    binary,
                    piece,
                    &quoted(bytes),
                    &format!("{}: {user}", piece.owner),
                )?;
            }
            Content::Padding => line(&mut text, binary, piece, "nothing refers to this", "")?,
        }
    }

    let functions = bytes_by_function(binary, &pieces);
    write!(
        text,
        "\nBytes by function, with all that was inlined into it:\n\n{}\n",
        table(&functions)?
    )?;

    let owners = bytes_by_owner(&pieces);
    let rows = |wanted: fn(&Owner) -> bool| -> Vec<(String, usize)> {
        let owners = owners.iter().filter(|(owner, _)| wanted(owner));
        owners.map(|(owner, length)| (owner.to_string(), *length)).collect()
    };
    let mut by_duty = rows(|owner| matches!(owner, Owner::Duty(_)));
    by_duty.extend(rows(|owner| !matches!(owner, Owner::Duty(_))));
    write!(
        text,
        "\nBytes by duty, code and strings, with what serves several duties or none:\n\n{}\n",
        table(&by_duty)?
    )?;
    let length = binary.image.len();
    for rows in [&functions, &by_duty] {
        let sum: usize = rows.iter().map(|(_, length)| length).sum();
        ensure!(sum == length, "the table's sum is {sum}, and the file has {length} bytes");
    }
    writeln!(text, "\nThe file has {length} bytes.")?;
    Ok(text)
}

/// How many bytes each function has, and what is not code, the longest first.
pub fn bytes_by_function(binary: &Binary, pieces: &[Piece]) -> Vec<(String, usize)> {
    let mut functions: BTreeMap<String, usize> = BTreeMap::new();
    for piece in pieces {
        *functions.entry(part(binary, piece)).or_default() += piece.length;
    }
    let mut functions: Vec<(String, usize)> = functions.into_iter().collect();
    functions.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    functions
}

/// Which part of the file a piece is in: a function, or what is not code.
fn part(binary: &Binary, piece: &Piece) -> String {
    match piece.content {
        Content::Field(..) => "ELF header and program header".into(),
        Content::Code(_) => {
            binary.function(piece.address).map(|function| function.name.clone()).unwrap_or_default()
        }
        Content::Data | Content::Padding => "strings and other data".into(),
    }
}

/// The line of the source that the next instructions come from, and by way of
/// which functions, each inlined into the next.
fn say_place(text: &mut String, source: &Source, piece: &Piece, own: Option<&Place>) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    let way: Vec<&str> = piece.places.iter().map(|place| place.function.as_str()).collect();
    let line = match own.line {
        0 => " (several lines)".to_string(),
        line => format!(":{line}"),
    };
    writeln!(text, "\n  ; {}: {}{line}, {}", piece.owner, own.file, way.join(" in "))?;
    if let Some(line) = source.line(own) {
        writeln!(text, "  ;     {}", line.trim())?;
    }
    Ok(())
}

/// One line: address, bytes, what they are, and a comment.
fn line(
    text: &mut String,
    binary: &Binary,
    piece: &Piece,
    what: &str,
    comment: &str,
) -> Result<()> {
    const WIDTH: usize = 10;
    let bytes = binary.bytes(piece.address, piece.length);
    for (index, bytes) in bytes.chunks(WIDTH).enumerate() {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let address = piece.address + (index * WIDTH) as u64;
        let (what, comment) = if index == 0 { (what, comment) } else { ("", "") };
        let comment = if comment.is_empty() { String::new() } else { format!("; {comment}") };
        let line = format!("  {address:06x}  {:30}  {what:40}  {comment}", bytes.join(" "));
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

/// What the last of these pieces, an instruction, means that its operands do not say.
fn comment(binary: &Binary, pieces: &[Piece]) -> String {
    let [before @ .., Piece { content: Content::Code(instruction), .. }] = pieces else {
        return String::new();
    };
    if instruction.mnemonic() == Mnemonic::Syscall {
        let call = call_number(before).and_then(|number| Sysno::new(number as usize));
        return call.map(|call| format!("{}(2)", call.name())).unwrap_or_default();
    }
    match binary.reference(instruction) {
        Some(address) if binary.function(address).is_none() => quoted(string_at(binary, address)),
        _ => String::new(),
    }
}

/// The number that these instructions leave in rax, where they are so simple
/// that it can be seen: a constant is moved there, or pushed and popped, perhaps
/// by way of another register.
fn call_number(before: &[Piece]) -> Option<u64> {
    let mut wanted = Register::RAX;
    for piece in before.iter().rev() {
        let Content::Code(instruction) = &piece.content else { return None };
        let mnemonic = instruction.mnemonic();
        match instruction.flow_control() {
            // A branch that is not taken changes no register.
            FlowControl::Next | FlowControl::ConditionalBranch => {}
            // Nor does a system call, but for these three.
            _ if mnemonic == Mnemonic::Syscall
                && ![Register::RAX, Register::RCX, Register::R11].contains(&wanted) => {}
            _ => return None,
        }
        let is_target = instruction.op_count() > 0
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().full_register() == wanted;
        let is_read_only = matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push);
        match mnemonic {
            Mnemonic::Push if wanted == Register::None => {
                return match instruction.op0_kind() {
                    OpKind::Register => None,
                    _ => Some(instruction.immediate(0)),
                };
            }
            _ if !is_target || is_read_only => {}
            Mnemonic::Pop => wanted = Register::None,
            Mnemonic::Mov if instruction.op1_kind() == OpKind::Register => {
                wanted = instruction.op1_register().full_register();
            }
            Mnemonic::Mov if is_constant(instruction.op1_kind()) => {
                return Some(instruction.immediate(1));
            }
            Mnemonic::Xor if instruction.op1_register() == instruction.op0_register() => {
                return Some(0);
            }
            _ => return None,
        }
    }
    None
}

/// Whether an operand is a number in the instruction itself.
fn is_constant(kind: OpKind) -> bool {
    !matches!(kind, OpKind::Register | OpKind::Memory)
}

/// The bytes from an address to the 0 that ends a C string, or to the end of a line.
fn string_at(binary: &Binary, address: u64) -> &[u8] {
    let bytes = &binary.image[(address - binary.base) as usize..];
    let end = bytes.iter().position(|byte| [0, b'\n'].contains(byte));
    &bytes[..end.unwrap_or(bytes.len())]
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn table(rows: &[(String, usize)]) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.add_rows(rows.iter().map(|(name, length)| [name.clone(), length.to_string()]));
    let sum: usize = rows.iter().map(|(_, length)| length).sum();
    table.add_row(["together".to_string(), sum.to_string()]);
    table.column_mut(1).context("a column")?.set_cell_alignment(CellAlignment::Right);
    Ok(table)
}

/// The names of functions, for jumps and calls.
struct Names(Vec<(u64, String)>);

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        _: &Instruction,
        _: u32,
        _: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let (_, name) = self.0.iter().find(|(start, _)| *start == address)?;
        Some(SymbolResult::with_str(address, name))
    }
}

fn formatter(binary: &Binary) -> IntelFormatter {
    let names = binary.functions.iter().map(|function| (function.start, function.name.clone()));
    let mut formatter = IntelFormatter::with_options(Some(Box::new(Names(names.collect()))), None);
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    formatter
}
