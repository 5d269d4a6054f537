//! Takes a reader at a terminal through a page, step by step.

use super::command;
use super::document::Block;
use anyhow::Result;
use nix::sys::termios::{FlushArg, tcflush};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use textwrap::{Options, WordSeparator, WordSplitter, fill};

nix::ioctl_read_bad!(window_size, libc::TIOCGWINSZ, libc::winsize);

/// Lines longer than this are hard to read.
const WIDEST: u16 = 80;

/// Shows a page.
pub struct Guide {
    width: usize,
}

impl Guide {
    /// One for the reader, if there is a terminal to read from and to write to.
    pub fn on_terminal() -> Option<Guide> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        println!("picoinit: press Enter to go from step to step, or Ctrl-D to leave");
        // SAFETY: a struct of numbers, which the call fills in.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: a descriptor of ours, and a struct as the call wants it.
        let asked = unsafe { window_size(libc::STDOUT_FILENO, &mut size) };
        let columns = if asked.is_ok() && size.ws_col > 0 { size.ws_col } else { WIDEST };
        Some(Guide { width: columns.min(WIDEST).into() })
    }

    /// Shows a part of the page, and stops where the reader is to think first.
    pub fn show(&self, block: &Block) -> Result<ControlFlow<()>> {
        match block {
            Block::Title(_) | Block::Steps(_) => {}
            Block::Section(title) => {
                if title != "Predict" {
                    println!();
                    if self.wait("Enter goes on")?.is_break() {
                        return Ok(Break(()));
                    }
                }
                println!("\n{}", title.to_uppercase());
            }
            Block::Text { lead, text } => println!("\n{}", self.wrap(lead, text)),
            Block::Lines { lines, .. } => print!("\n{lines}"),
            Block::Answer => {
                println!();
                return self.wait("Enter shows the answer");
            }
        }
        Ok(Continue(()))
    }

    fn wrap(&self, lead: &str, text: &str) -> String {
        // A table is read best as it is written.
        if text.starts_with('|') {
            return text.into();
        }
        let indent = " ".repeat(lead.len());
        let options = Options::new(self.width)
            .initial_indent(lead)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        fill(&text.replace('\n', " "), options)
    }

    /// Waits until the reader presses Enter; or leaves, with the key that ends input.
    pub fn wait(&self, what: &str) -> Result<ControlFlow<()>> {
        // Keys pressed during a boot were not meant for this.
        tcflush(io::stdin(), FlushArg::TCIFLUSH)?;
        let mut line = String::new();
        let length = command::wait_for_reader(|| {
            print!("picoinit: {what} ");
            io::stdout().flush()?;
            io::stdin().read_line(&mut line)
        })??;
        Ok(if length > 0 { Continue(()) } else { Break(()) })
    }
}
