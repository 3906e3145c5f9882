//! The reference page of the configuration, made from the keys themselves.

use std::fmt::Write as _;

use super::keys::Settings;

/// `docs/config.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Made by `posthouse config reference`; change crates/posthouse/src/config/keys.rs instead. -->\n\n\
         Posthouse runs without a configuration file. What is here is read from the file named with `--config`, else from\n\
         `posthouse.toml` where the server is started. A key stands under its section:\n\n\
         ```toml\n[server]\nhostname = \"mail.example.com\"\n```\n\n\
         Each key can be set by a variable of the environment instead, which wins over the file:\n\
         `POSTHOUSE__SERVER__HOSTNAME=mail.example.com`. A list is written there with commas. Empty text unsets a key.\n\
         An unknown key or a value that does not fit stops the start with the line and the remedy; `posthouse check` looks\n\
         further. `posthouse config show` prints what is in force. A changed file counts from the next start; certificates are\n\
         picked up while running.\n",
    );
    for section in Settings::docs() {
        let _ = write!(page, "\n## [{}]\n\n{}\n", section.name, section.doc);
        for key in section.keys {
            let default = match key.default.as_str() {
                "\"\"" => "not set".to_owned(),
                "[]" => "none".to_owned(),
                value => format!("`{value}`"),
            };
            let variable = format!("POSTHOUSE__{}", key.name.to_uppercase().replace('.', "__"));
            let _ = write!(
                page,
                "\n### `{}`\n\n{}\n\n- Value: {}\n- Default: {default}\n- Environment: `{variable}`\n",
                key.name, key.doc, key.expected
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_says_what_the_keys_say() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        let page = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            page == reference(),
            "run `posthouse config reference > docs/config.md`"
        );
    }
}
