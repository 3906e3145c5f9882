//! Rebuilds the release binary when the console it embeds was built anew; a debug binary reads the files from disk.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=../../console/dist");
    }
}
