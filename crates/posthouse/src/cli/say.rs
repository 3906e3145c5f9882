//! What a command says on standard output; whoever reads it may hang up early, as `| head` does.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// `println!` without its panic.
macro_rules! say {
    () => {
        $crate::cli::say::text(format_args!("\n"))
    };
    ($($words:tt)*) => {
        $crate::cli::say::text(format_args!("{}\n", format_args!($($words)*)))
    };
}

pub(crate) use say;

/// Writes it out. The command has done its work by then: a reader who has gone changes nothing, and a disk that is full is told.
pub fn text(words: Arguments<'_>) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_fmt(words).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("posthouse: the answer could not be written: {error}");
    }
}
