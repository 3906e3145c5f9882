//! Configuration: `posthouse.toml` and the environment in, one checked [`Config`] out.
//!
//! Two stages. [`source`] finds every value with the place it came from and knows nothing of its meaning;
//! [`keys`] turns each into its type and [`checked`] holds them against each other. All problems are
//! collected, so that one start tells an operator everything that is wrong.

mod checked;
mod keys;
mod percent;
mod problem;
mod reference;
mod site;
mod source;
mod value;
mod words;

pub use checked::{CertificateFrom, Config};
pub use keys::{Accounts, Acme, Log};
pub use problem::ConfigError;
pub use reference::reference;
pub use value::{HostName, Listen, Mailbox};
pub use words::{BareLf, LogFormat};

use std::path::{Path, PathBuf};

/// What the command line says about configuration; it wins over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: this file and no other.
    pub file: Option<PathBuf>,
    /// `--data`: in place of `server.data_dir`.
    pub data_dir: Option<PathBuf>,
}

/// Reads the configuration: the named file, else `./posthouse.toml` if there is one, else the defaults; then
/// the variables of the environment over it, then the command line.
pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
    let here = Path::new("posthouse.toml");
    let file = match &overrides.file {
        Some(named) => Some(named.as_path()),
        None => here.exists().then_some(here),
    };
    let text = match file {
        Some(path) => Some((
            path.to_owned(),
            std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?,
        )),
        None => None,
    };
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    read(
        text.as_ref().map(|(path, text)| (path.as_path(), text.as_str())),
        variables,
        overrides,
    )
}

/// Both stages over given text and variables; the part that tests can drive.
fn read(
    file: Option<(&Path, &str)>,
    variables: impl IntoIterator<Item = (String, std::ffi::OsString)>,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let mut found = source::Found::new(file, variables, &mut problems)?;
    let settings = keys::Settings::read(&mut found, &mut problems);
    found.refuse_the_rest(&keys::Settings::names(), &mut problems);
    checked::Config::check(settings, &found.places, overrides, problems)
}

/// A configuration from its text alone, for tests of other modules and for the fuzzer.
#[cfg(any(test, fuzzing))]
pub fn from_text(text: &str) -> Result<Config, ConfigError> {
    read(
        Some((Path::new("posthouse.toml"), text)),
        [],
        &Overrides::default(),
    )
}

#[cfg(test)]
mod tests;
