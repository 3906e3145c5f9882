//! The command line of sendmail, as far as programs that call it go.

use std::path::PathBuf;

/// The code of sysexits.h for a recipient that is none.
pub const NO_USER: u8 = 67;

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `-f` or `-r`.
    pub sender: Option<String>,
    /// `-F`.
    pub full_name: Option<String>,
    /// `-t`.
    pub from_header: bool,
    /// `-i` or `-oi`.
    pub dots_are_text: bool,
    pub recipients: Vec<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--config` and `--data`, behind the command like everywhere.
    pub config: Option<PathBuf>,
    pub data: Option<PathBuf>,
}

impl Wanted {
    pub fn read(arguments: &[String]) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                wanted.recipients.push(argument.clone());
                continue;
            };
            if flag == "-" {
                wanted.recipients.extend(rest.by_ref().cloned());
                break;
            }
            if let Some(long) = flag.strip_prefix('-') {
                wanted.long(long, &mut rest)?;
                continue;
            }
            let (letter, value) = flag.split_at(flag.chars().next().map_or(0, char::len_utf8));
            match letter {
                "f" | "r" => wanted.sender = Some(value_of(letter, value, &mut rest)?),
                "F" => wanted.full_name = Some(value_of(letter, value, &mut rest)?),
                "i" => wanted.dots_are_text = true,
                "t" => {
                    wanted.from_header = true;
                    wanted.dots_are_text |= value == "i";
                }
                "o" => {
                    let value = value_of(letter, value, &mut rest)?;
                    wanted.dots_are_text |= value == "i";
                }
                // Reports, envelope ids, body types, verbosity, error modes: what they ask for is what happens anyway.
                "B" | "N" | "R" | "V" | "X" | "O" | "C" | "L" | "p" | "h" => {
                    drop(value_of(letter, value, &mut rest)?);
                }
                "b" if value == "m" => {}
                "b" => {
                    return Err(format!(
                        "-b{value} is another program's work; `posthouse serve` serves"
                    ));
                }
                "e" | "m" | "n" | "v" | "U" | "G" | "q" => {}
                _ => return Err(format!("-{flag} is not a flag of sendmail that is known here")),
            }
        }
        Ok(wanted)
    }

    /// The options that are ours.
    fn long<'a>(&mut self, option: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "account" => self.account = Some(value_of("-account", value, rest)?),
            "config" => self.config = Some(value_of("-config", value, rest)?.into()),
            "data" => self.data = Some(value_of("-data", value, rest)?.into()),
            _ => {
                return Err(format!(
                    "--{name} is not known here; there are --account, --config and --data"
                ));
            }
        }
        Ok(())
    }
}

/// The rest of the argument, or the next one.
fn value_of<'a>(
    letter: &str,
    value: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<String, String> {
    if !value.is_empty() {
        return Ok(value.to_owned());
    }
    rest.next()
        .cloned()
        .ok_or_else(|| format!("-{letter} wants a value behind it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wanted::read(&arguments)
    }

    #[test]
    fn what_php_cron_and_mutt_say_is_understood() {
        let php = read("-t -i").unwrap();
        assert!(php.from_header && php.dots_are_text);
        let php_with_sender = read("-t -i -fwww@example.com").unwrap();
        assert_eq!(php_with_sender.sender.as_deref(), Some("www@example.com"));
        let cron = read("-FCronDaemon -i -B8BITMIME -oem root@example.com").unwrap();
        assert_eq!(cron.recipients, ["root@example.com"]);
        assert_eq!(cron.full_name.as_deref(), Some("CronDaemon"));
        let mutt = read("-oem -oi -f me@example.com -- you@example.net them@example.org").unwrap();
        assert!(mutt.dots_are_text);
        assert_eq!(mutt.recipients, ["you@example.net", "them@example.org"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(read("-bs").unwrap_err().contains("-bs"));
        assert!(read("-f").unwrap_err().contains("wants a value"));
        assert!(read("-k").unwrap_err().contains("-k"));
        assert!(read("--bcc x").unwrap_err().contains("--bcc"));
    }

    #[test]
    fn our_own_options_stand_anywhere() {
        let wanted =
            read("-t --config /etc/posthouse.toml bob@example.net --account=alice@example.com").unwrap();
        assert_eq!(wanted.config, Some(PathBuf::from("/etc/posthouse.toml")));
        assert_eq!(wanted.account.as_deref(), Some("alice@example.com"));
        assert_eq!(wanted.recipients, ["bob@example.net"]);
    }
}
