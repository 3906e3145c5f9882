//! `posthouse check`: each fault with its remedy.

use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::server::Setup;
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse, Sink};

fn check(setup: &Setup, more: &[&str]) -> (bool, String) {
    let output = setup.try_cli(&[&["check"], more].concat(), "");
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

both_engines! {
    fn a_good_setup_has_no_errors_before_and_beside_a_running_server(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let setup = Posthouse::on(engine).set("delivery.resolver", &format!("[\"{}\"]", dns.address()));
        let (good, said) = check(&setup, &[]);
        assert!(good && said.contains("ports: all are free") && said.contains("will be made at first start"), "{said}");
        let server = setup.start();
        let output = server.try_cli(&["check"], "");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("a server is running on it"), "{said}");
        assert!(said.contains("database: ") && said.contains(" answers"), "{said}");
    }
}

#[test]
fn a_name_without_address_is_an_error_where_mail_leaves_under_it() {
    let dns = Dns::start();
    let setup = Posthouse::on(Engine::Sqlite).resolve_with(&dns, 25);
    let (good, said) = check(&setup, &[]);
    assert!(
        !good && said.contains("ERROR  DNS: mail.example.com has no address"),
        "{said}"
    );
    assert!(said.contains("publish an A record"), "{said}");
}

#[test]
fn a_certificate_for_another_name_and_ports_in_use_are_errors() {
    let [taken, also_taken] = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let setup = Posthouse::on(Engine::Sqlite);
    let other = Identity::for_names(&["other.example.com"]);
    let [cert, key] = ["c.pem", "k.pem"].map(|file| setup.home().join(file));
    std::fs::write(&cert, other.certificate_pem).unwrap();
    std::fs::write(&key, other.key_pem).unwrap();
    let setup = setup
        .set_path("tls.cert", &cert)
        .set_path("tls.key", &key)
        .set(
            "smtp.submission",
            &format!("\"{}\"", also_taken.local_addr().unwrap()),
        )
        .set("http.listen", &format!("\"{}\"", taken.local_addr().unwrap()));
    let (good, said) = check(&setup, &[]);
    assert!(!good, "{said}");
    assert!(
        said.contains("it is for other.example.com, not for mail.example.com"),
        "{said}"
    );
    for key in ["http.listen", "smtp.submission"] {
        assert!(said.contains(&format!("({key})")), "{said}");
    }
    assert_eq!(
        said.matches("ERROR  ports: cannot listen on").count(),
        2,
        "{said}"
    );
}

#[test]
fn a_data_directory_that_cannot_be_written_to_is_an_error_whoever_may_read_it() {
    // A directory in which not even root makes files.
    let setup = Posthouse::on(Engine::Sqlite).environment("POSTHOUSE__SERVER__DATA_DIR", "/proc/self/task");
    let (good, said) = check(&setup, &[]);
    assert!(
        !good && said.contains("cannot be written to by this user"),
        "{said}"
    );
}

#[test]
fn a_mail_server_that_answers_is_told_from_one_that_does_not() {
    let sink = Sink::start();
    let dns = Dns::start();
    dns.mx("example.net", 10, "mx.example.net")
        .address_of("mx.example.net", "127.0.0.1");
    let setup = Posthouse::on(Engine::Sqlite).resolve_with(&dns, sink.address().port());
    let (_, said) = check(&setup, &["--reach", "example.net"]);
    assert!(
        said.contains("ok     delivery: mx.example.net answers on port"),
        "{said}"
    );
    drop(sink);
    let (good, said) = check(&setup, &["--reach", "example.net"]);
    assert!(!good && said.contains("ask your provider to open it"), "{said}");
}
