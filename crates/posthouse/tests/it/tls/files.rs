//! One's own files, good, broken and exchanged under the running server.

use std::fs;
use std::path::PathBuf;

use super::{der, shown_by};
use crate::both_engines;
use crate::harness::server::{Setup, signal};
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse, eventually};

/// Where a pair lies in the home of a server to be.
fn put(setup: &Setup, identity: &Identity) -> [PathBuf; 2] {
    let files = ["own-cert.pem", "own-key.pem"].map(|file| setup.home().join(file));
    fs::write(&files[0], &identity.certificate_pem).unwrap();
    fs::write(&files[1], &identity.key_pem).unwrap();
    files
}

fn with_own(engine: Engine, identity: &Identity) -> (Setup, [PathBuf; 2]) {
    let setup = Posthouse::on(engine);
    let files = put(&setup, identity);
    let setup = setup
        .set_path("tls.cert", &files[0])
        .set_path("tls.key", &files[1])
        .set("http.listen_tls", "\"127.0.0.1:0\"");
    (setup, files)
}

both_engines! {
    fn a_first_start_makes_a_certificate_that_smtp_and_http_show(engine) {
        let server = Posthouse::on(engine)
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .start();
        let made = server.data().join("tls/cert.pem");
        let pem = fs::read_to_string(made).unwrap();
        for listener in ["submissions", "https"] {
            assert_eq!(der(&pem), shown_by(server.address(listener)));
        }
    }

    fn a_new_pair_is_shown_after_sighup_and_a_broken_one_is_not(engine) {
        let first = Identity::for_names(&["mail.example.com"]);
        let second = Identity::for_names(&["mail.example.com", "other.example.com"]);
        let (setup, [cert, key]) = with_own(engine, &first);
        let server = setup.start();
        assert_eq!(shown_by(server.address("https")), der(&first.certificate_pem));

        fs::write(&cert, &second.certificate_pem).unwrap();
        signal(server.pid(), "HUP");
        server.wait_for_log("does not belong to");
        assert_eq!(shown_by(server.address("https")), der(&first.certificate_pem));

        fs::write(&key, &second.key_pem).unwrap();
        signal(server.pid(), "HUP");
        eventually("the new certificate is shown", || {
            (shown_by(server.address("https")) == der(&second.certificate_pem)).then_some(())
        });
    }
}
