//! Behind a proxy: who connects is who it says, and guessers who come from everywhere lock out nobody but themselves.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};

use crate::both_engines;
use crate::harness::{Engine, PASSWORD, Posthouse, Smtp, eventually};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

/// A server behind a proxy on this machine.
fn proxied(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine)
        .set("smtp.proxies", "[\"127.0.0.0/8\"]")
        .moving_clock()
        .start();
    server.create_account(ALICE);
    server
}

/// A header of version 2 with a field behind the addresses that nobody knows.
fn version_2(command: u8, client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 16]);
    header.extend(client.octets());
    header.extend([127, 0, 0, 1, 0xc0, 0, 0, 25, 0xee, 0, 1, b'x']);
    header
}

/// A client that a proxy brings from `ip`, under TLS, that has said EHLO.
fn from(server: &Posthouse, ip: Ipv4Addr) -> Smtp {
    let mut smtp = Smtp::connect(server.address("submission"));
    smtp.send(format!("PROXY TCP4 {ip} 127.0.0.1 49152 587\r\n").as_bytes());
    smtp.reply().expect("220");
    smtp.ehlo().expect("250");
    smtp.starttls();
    smtp
}

/// Tries once with a password that was never tried before.
fn guess(server: &Posthouse, ip: Ipv4Addr, login: &str) {
    from(server, ip)
        .auth_plain(login, &format!("guess from {ip}"))
        .expect("535 5.7.8");
}

fn address(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, network, host)
}

both_engines! {
    fn a_proxy_says_for_whom_it_connects(engine) {
        let server = proxied(engine);
        let named = address(1, 9);
        from(&server, named).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        // Version 2, with TLS right behind it.
        let mut smtp = Smtp::connect(server.address("submissions"));
        smtp.send(&version_2(0x21, address(2, 9)));
        let mut smtp = smtp.into_tls();
        smtp.reply().expect("220");
        smtp.ehlo().expect("250");
        smtp.auth_plain(ALICE, "wrong").expect("535 5.7.8");
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        for ip in [named, address(2, 9)] {
            eventually("the attempt with its address", || {
                let list = http.get("/api/v1/account/sign-in-attempts").expect(200).text;
                list.contains(&format!("\"{ip}\"")).then_some(())
            });
        }
        // A header that comes in pieces is one all the same, and a proxy may look whether we are there.
        let header = version_2(0x20, Ipv4Addr::UNSPECIFIED);
        let mut smtp = Smtp::connect(server.address("submission"));
        let (head, rest) = header.split_at(7);
        smtp.send(head);
        smtp.send(rest);
        smtp.reply().expect("220");
        let mut smtp = Smtp::connect(server.address("submission"));
        smtp.send(b"PROXY UNKNOWN\r\n");
        smtp.reply().expect("220");
    }

    fn guessers_in_hundreds_of_networks_lock_nobody_out(engine) {
        let server = proxied(engine);
        let home = address(0, 77);
        from(&server, home).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        // A network each, so that no lock of one keeps the next from guessing.
        for network in 1..=220 {
            guess(&server, address(network, 1), ALICE);
        }
        from(&server, home).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        from(&server, address(230, 5)).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        // Even from the address that a guesser uses, as long as it has not used up its own ten.
        from(&server, address(7, 1)).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        for n in 0..9 {
            from(&server, address(8, 1)).auth_plain(ALICE, &format!("again {n}")).expect("535 5.7.8");
        }
        from(&server, address(8, 1)).auth_plain(ALICE, PASSWORD).expect("454 4.7.0");
        from(&server, address(8, 2)).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
    }

    fn a_network_full_of_guessers_is_locked_and_its_known_addresses_are_not(engine) {
        let server = proxied(engine);
        server.create_account(BOB);
        let home = address(0, 200);
        from(&server, home).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        // Ever other logins, so that no pair is locked before the network is.
        for host in 1..=100 {
            guess(&server, address(0, host), &format!("nobody-{host}@example.com"));
        }
        let locked = "454 4.7.0 Too many failed sign-ins, try again in 15 minutes";
        from(&server, address(0, 150)).auth_plain(BOB, PASSWORD).expect(locked);
        from(&server, address(0, 150)).auth_plain("nobody@example.com", PASSWORD).expect(locked);
        // Alice signed in from there before, and Bob lives elsewhere.
        from(&server, home).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        from(&server, home).auth_plain(BOB, PASSWORD).expect(locked);
        from(&server, address(1, 150)).auth_plain(BOB, PASSWORD).expect("235 2.7.0");
        server.pass(std::time::Duration::from_mins(16));
        from(&server, address(0, 150)).auth_plain(BOB, PASSWORD).expect("235 2.7.0");
    }
}

#[test]
fn a_proxy_that_does_not_say_for_whom_it_connects_is_hung_up_on() {
    let server = proxied(Engine::Sqlite);
    let too_long = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(), &[0; 5_000]].concat();
    // The last one says nothing at all, and is waited for until its time is over.
    for said in [
        b"EHLO client.example\r\n".as_slice(),
        b"PROXY TCP4 a b 1 2\r\n",
        &too_long,
        b"PROXY TC",
        b"",
    ] {
        let mut smtp = Smtp::connect(server.address("submission"));
        let _ = smtp.try_send(said);
        assert_eq!(smtp.expect_closed(), "", "{}", String::from_utf8_lossy(said));
    }
}

#[test]
fn nobody_else_may_speak_for_another() {
    let server = Posthouse::on(Engine::Sqlite)
        .set("smtp.proxies", "[\"192.0.2.1\"]")
        .start();
    let header = b"PROXY TCP4 198.51.100.9 127.0.0.1 49152 587\r\n";
    let mut smtp = server.smtp();
    smtp.send(header);
    assert!(!smtp.expect_closed().contains("250"));
    // Before the banner: whatever the server sees of it, no session comes of it.
    let mut early = TcpStream::connect(server.address("submission")).unwrap();
    early.write_all(header).unwrap();
    early.write_all(b"EHLO client.example\r\n").unwrap();
    let mut said = String::new();
    let _ = std::io::Read::read_to_string(&mut early, &mut said);
    assert!(!said.contains("250"), "{said}");
    let mut smtp = Smtp::connect(server.address("submission"));
    let _ = smtp.try_send(&version_2(0x21, address(1, 1)));
    assert!(!smtp.expect_closed().contains("250"));
}
