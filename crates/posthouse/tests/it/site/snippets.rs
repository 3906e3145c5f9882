//! The examples of `/smtp/` are taken from the page and run as they stand, but for address and password.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{browser, quoted, set_up, unescaped};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::tls::Identity;
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};
use crate::peers::postfix::Postfix;

/// The address that the examples have.
const YOU: &str = "you@example.com";

/// A server whose certificate the examples can check, and where to find it.
struct World {
    _server: Posthouse,
    account: Http,
    page: String,
    home: TempDir,
}

impl World {
    fn new(engine: Engine, submission: &str) -> Self {
        let home = TempDir::new().unwrap();
        let identity = Identity::for_names(&["localhost"]);
        let file = |name: &str, text: &str| -> PathBuf {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let cert = file("cert.pem", &identity.certificate_pem);
        let key = file("key.pem", &identity.key_pem);
        let server = Posthouse::on(engine)
            .set("server.hostname", "\"localhost\"")
            .set("smtp.submission", submission)
            .set("tls.cert", &quoted(&cert))
            .set("tls.key", &quoted(&key))
            .start();
        server.create_account(YOU);
        let page = browser(&server, "en").get("/smtp/").expect(200).text;
        let mut account = server.http();
        account.sign_in(YOU, PASSWORD);
        Self {
            _server: server,
            account,
            page,
            home,
        }
    }

    fn snippet(&self, name: &str) -> String {
        let start = format!("<code id=\"snippet-{name}\"");
        let rest = self
            .page
            .split(&start)
            .nth(1)
            .unwrap_or_else(|| panic!("no {name} in\n{}", self.page));
        let code = rest.split_once('>').unwrap().1.split("</code>").next().unwrap();
        assert!(!code.contains('<'), "{name} holds markup: {code}");
        unescaped(code).replace("your password", PASSWORD)
    }

    fn cert(&self) -> PathBuf {
        self.home.path().join("cert.pem")
    }

    /// Runs the interpreter in `place`, where it finds its libraries, with the example on its standard input.
    fn run(&self, place: &Path, words: &[&str], text: &str) {
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env("SSL_CERT_FILE", self.cert())
            .env("NODE_EXTRA_CA_CERTS", self.cert())
            .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
            .current_dir(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&said)
        );
    }

    fn sent(&self) -> usize {
        let list = self.account.get("/api/v1/messages").expect(200).json();
        let items = list["items"].as_array().unwrap();
        for item in items {
            assert_eq!(item["subject"], "First mail", "{item}");
        }
        items.len()
    }

    fn expect_sent(&self, count: usize) {
        eventually(&format!("{count} messages are accepted"), || {
            (self.sent() == count).then_some(())
        });
    }
}

/// What `wp_mail` of `WordPress` does around the hook: it fills a `PHPMailer` in, lets the hook have it, and sends.
const WORDPRESS: (&str, &str) = (
    "<?php
require 'vendor/autoload.php';
$hooks = [];
function add_action(string $name, callable $act): void { global $hooks; $hooks[$name][] = $act; }
function get_bloginfo(string $what): string { return 'A site'; }
",
    "
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->setFrom('wordpress@localhost.example', 'WordPress', false);
$mail->addAddress('friend@example.net');
$mail->Subject = 'First mail';
$mail->Body = 'It works.';
foreach ($hooks['phpmailer_init'] as $act) { $act($mail); }
$mail->send();
",
);

fn run_all(world: &World) {
    let peers = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers"));
    let home = world.home.path();
    world.run(home, &["sh"], &world.snippet("swaks"));
    world.expect_sent(1);
    world.run(home, &["/usr/bin/python3", "-"], &world.snippet("python"));
    world.expect_sent(2);
    world.run(
        peers,
        &["node", "--input-type=module", "-"],
        &world.snippet("node"),
    );
    world.expect_sent(3);
    // Composer would put it there; this is Debian's.
    std::fs::create_dir(home.join("vendor")).unwrap();
    let library = "<?php require '/usr/share/php/libphp-phpmailer/autoload.php';";
    std::fs::write(home.join("vendor/autoload.php"), library).unwrap();
    world.run(home, &["php"], &world.snippet("php"));
    world.expect_sent(4);
    let (before, after) = WORDPRESS;
    let wordpress = format!("{before}{}{after}", world.snippet("wordpress"));
    world.run(home, &["php"], &wordpress);
    world.expect_sent(5);
    std::fs::write(home.join("main.go"), world.snippet("go")).unwrap();
    world.run(home, &["go", "run", "main.go"], "");
    world.expect_sent(6);
}

both_engines! {
    fn the_examples_send_with_starttls(engine) {
        run_all(&World::new(engine, "[\"127.0.0.1:0\"]"));
    }

    fn the_examples_send_where_tls_begins_with_the_connection(engine) {
        run_all(&World::new(engine, "[]"));
    }

    fn a_postfix_with_the_lines_of_the_page_relays_through_this_server(engine) {
        let world = World::new(engine, "[\"127.0.0.1:0\"]");
        let passwords = world.home.path().join("sasl_passwd");
        std::fs::write(&passwords, world.snippet("postfix-password")).unwrap();
        let settings = world
            .snippet("postfix")
            .replace("/etc/postfix/sasl_passwd", &passwords.display().to_string())
            .replace(
                "/etc/ssl/certs/ca-certificates.crt",
                &world.cert().display().to_string(),
            );
        // The machine's own name for itself is in no DNS.
        let postfix = Postfix::start(&format!(
            "mydestination =\nsmtp_host_lookup = native\n{settings}\n"
        ));
        let mut smtp = postfix.smtp();
        smtp.mail(YOU).expect("250");
        smtp.rcpt("friend@example.net").expect("250");
        let text = format!("From: {YOU}\r\nTo: friend@example.net\r\nSubject: First mail\r\n\r\nIt works.\r\n");
        smtp.data(text.as_bytes()).expect("250");
        world.expect_sent(1);
    }

    fn a_server_without_smtp_shows_no_examples(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.submission", "[]")
            .set("smtp.submissions", "[]")
            .start();
        let server = set_up(server);
        for lang in ["en", "fr"] {
            let http = browser(&server, lang);
            assert!(!http.get("/smtp/").expect(200).text.contains("snippet-"));
            http.get("/").expect(200);
            http.get("/help/ports-and-security").expect(200);
            http.get("/smtp/test").expect(200);
        }
    }
}
