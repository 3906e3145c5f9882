//! The configuration file: whatever it holds, it is read, or each thing that is wrong is named with its line.
#![no_main]
#![allow(dead_code, unused_imports, reason = "what only the command line uses")]

use libfuzzer_sys::fuzz_target;

// Posthouse itself is a program and not a library.
#[path = "../../crates/posthouse/src/config/mod.rs"]
mod config;

#[path = "../../crates/posthouse/src/site/color.rs"]
mod color;

mod site {
    pub use super::color::Color;
}

fuzz_target!(|text: &str| {
    if let Err(error) = config::from_text(text) {
        let said = error.to_string();
        assert!(!said.is_empty());
        assert!(said.lines().all(|line| !line.trim().is_empty()), "{said}");
    }
});
