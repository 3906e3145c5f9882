//! The test from here: what the server finds at its own public name, and that it looks nowhere else.

use super::{browser, quoted, set_up};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::http::Http;
use crate::harness::server::Setup;
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse};

const HOST: &str = "mail.example.com";

fn resolving_with(engine: Engine, dns: &Dns) -> Setup {
    Posthouse::on(engine).set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
}

/// Presses the button and reads what it leads to.
fn tested(http: &Http, path: &str) -> String {
    let done = http.submit(path, &[]).expect(303);
    assert_eq!(done.header("location"), Some(path));
    http.get(path).expect(200).text
}

both_engines! {
    fn greeting_capabilities_and_certificate_are_shown_for_each_port(engine) {
        let dns = Dns::start();
        dns.address_of(HOST, "127.0.0.1");
        let server = set_up(resolving_with(engine, &dns).start());
        let page = tested(&browser(&server, "en"), "/smtp/test");
        for listener in ["submission", "submissions"] {
            let port = server.address(listener).port();
            let shown = page
                .split(&format!("id=\"port-{port}\""))
                .nth(1)
                .unwrap()
                .split("</section>")
                .next()
                .unwrap();
            for part in [
                "220 mail.example.com ESMTP Posthouse",
                "AUTH PLAIN LOGIN",
                "TLSv1.3",
                HOST,
                "not issued by a public",
            ] {
                assert!(shown.contains(part), "{part} is missing in\n{shown}");
            }
            assert!(shown.contains("Works, with a flaw"), "{shown}");
        }
        let french = browser(&server, "fr").get("/fr/smtp/test").expect(200).text;
        assert!(french.contains("Fonctionne, avec un défaut"), "{french}");
    }

    fn what_is_wrong_is_said_in_words(engine) {
        let dns = Dns::start();
        dns.address_of(HOST, "127.0.0.1");
        let identity = Identity::for_names(&["other.example"]);
        let setup = resolving_with(engine, &dns);
        let (cert, key) = (setup.home().join("cert.pem"), setup.home().join("key.pem"));
        std::fs::write(&cert, identity.certificate_pem).unwrap();
        std::fs::write(&key, identity.key_pem).unwrap();
        let setup = setup
            .set("tls.cert", &quoted(&cert))
            .set("tls.key", &quoted(&key));
        let server = set_up(setup.start());
        let page = tested(&browser(&server, "en"), "/smtp/test");
        assert!(
            page.contains("not for mail.example.com but for other.example"),
            "{page}"
        );

        let elsewhere = Dns::start();
        elsewhere.address_of(HOST, "127.0.0.99");
        let server = set_up(resolving_with(engine, &elsewhere).start());
        let page = tested(&browser(&server, "en"), "/smtp/test");
        assert!(
            page.contains("No connection: 127.0.0.99:") && page.contains("Does not work"),
            "{page}"
        );

        let nowhere = Dns::start();
        let server = set_up(resolving_with(engine, &nowhere).start());
        let page = tested(&browser(&server, "fr"), "/fr/smtp/test");
        assert!(page.contains("n’a pas d’adresse dans le DNS"), "{page}");
    }

    fn only_the_own_name_is_looked_at_and_once_however_many_ask(engine) {
        let dns = Dns::start();
        dns.address_of(HOST, "127.0.0.1")
            .address_of("evil.example", "127.0.0.1");
        let server = set_up(resolving_with(engine, &dns).start());
        let http = browser(&server, "en");
        http.get("/smtp/test?host=evil.example&port=22").expect(200);
        assert!(dns.asked().is_empty());
        http.submit(
            "/smtp/test?host=evil.example",
            &[("host", "evil.example"), ("port", "22")],
        )
        .expect(303);
        let once = dns.asked();
        assert!(once.iter().all(|name| name == HOST), "{once:?}");
        assert!(!once.is_empty());
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| http.submit("/smtp/test", &[]).expect(303));
            }
        });
        assert_eq!(dns.asked(), once);
    }
}
