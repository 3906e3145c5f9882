//! The log on standard error: one line an event, text or JSON, never a control byte from outside.

use std::io::Write;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Starts logging for this process.
pub fn start(log: &Log) {
    // Checked when the configuration was read.
    let filter = EnvFilter::try_new(&log.level.0).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(OneLine);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
}

/// Hands each event on as one line. What others sent us may stand in it, so every control byte is escaped: nobody
/// writes a line of our log, or moves the cursor of who reads it.
struct OneLine;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for OneLine {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().lock().write_all(&one_line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn one_line(event: &[u8]) -> Vec<u8> {
    let event = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = Vec::with_capacity(event.len() + 1);
    for &byte in event {
        if byte.is_ascii_control() {
            line.extend(byte.escape_ascii());
        } else {
            line.push(byte);
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_byte_never_reaches_the_log_as_itself() {
        assert_eq!(
            one_line(b"helo=a\r\nINFO forged\x1b[2J\x00 \n"),
            b"helo=a\\r\\nINFO forged\\x1b[2J\\x00 \n"
        );
        assert_eq!(one_line("für\n".as_bytes()), "für\n".as_bytes());
    }
}
