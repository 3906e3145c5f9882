//! Two thousand connections that say nothing and five hundred that dawdle: who signed in keeps his service, the others are told to come
//! back, and what a connection costs is measured.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::both_engines;
use crate::harness::server::Setup;
use crate::harness::{Posthouse, Sink, Smtp, eventually};

const ALICE: &str = "alice@example.com";
const IDLE: usize = 2_000;
const SLOW: usize = 500;
const PER_CLIENT: usize = 50;
/// A tenth is kept for clients that signed in: the crowd and one signed in are one short of the rest.
const ALLOWED: usize = 2_780;
/// What a connection may cost; a plain one of a debug build takes about 20 KiB, most of it the room for its first read and its session.
const KIB_EACH: usize = 64;

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Clients number `from` and on, each with as many connections as one may have.
fn crowd(server: &Posthouse, from: u8, connections: usize, say: &[u8]) -> Vec<Smtp> {
    let address = server.address("submission");
    let clients = (connections / PER_CLIENT) as u8;
    thread::scope(|scope| {
        let each = |client| {
            let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 7, client));
            move || {
                let open = |_| {
                    let mut smtp = Smtp::connect_from(address, ip);
                    smtp.reply().expect("220");
                    smtp.send(say);
                    smtp
                };
                (0..PER_CLIENT).map(open).collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (from..from + clients)
            .map(|client| scope.spawn(each(client)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Starts the server in a session that lets it open few files, as most are.
fn few_files(setup: Setup) -> Posthouse {
    setup.write_config();
    let serve = setup.command(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 256; exec \"$0\" \"$@\""])
        .arg(serve.get_program())
        .args(serve.get_args())
        .envs(serve.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .current_dir(setup.home());
    setup.start_by(command)
}

both_engines! {
    fn a_crowd_that_says_nothing_keeps_nobody_out_who_signed_in(engine) {
        let sink = Sink::start();
        let _ = setrlimit(Resource::Nofile, Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) });
        let setup = Posthouse::on(engine)
            .route_to(&sink)
            .set("smtp.max_connections", &ALLOWED.to_string());
        let server = few_files(setup);
        server.create_account(ALICE);
        let mut signed_in = server.signed_in(ALICE);
        let before = resident(server.pid());
        let idle = crowd(&server, 1, IDLE, b"");
        let slow = crowd(&server, 101, SLOW, b"EHLO half-a-comma");
        let each = resident(server.pid()).saturating_sub(before) / (IDLE + SLOW);
        println!("{engine:?}: {each} KiB of memory a connection");
        assert!(each < KIB_EACH, "{each} KiB a connection");

        let message = |to: &str| format!("From: <{ALICE}>\r\nSubject: {to}\r\n\r\nHello\r\n").into_bytes();
        signed_in
            .submit(ALICE, &["first@sink.example"], &message("first"))
            .expect("250 2.0.0");
        sink.wait_for_recipient("first@sink.example");
        // The last one that strangers may have, and one too many.
        let stranger = [127, 0, 7, 200].into();
        let mut last = Smtp::connect_from(server.address("submission"), stranger);
        last.reply().expect("220");
        let mut refused = Smtp::connect_from(server.address("submission"), stranger);
        refused.reply().expect("421 4.7.0");
        refused.expect_closed();
        // Whoever signed in from here lately gets in all the same, and so does the console.
        let mut again = server.signed_in(ALICE);
        again
            .submit(ALICE, &["second@sink.example"], &message("second"))
            .expect("250 2.0.0");
        sink.wait_for_recipient("second@sink.example");
        eventually("it is ready", || (server.http().get("/readyz").status == 200).then_some(()));

        drop((idle, slow));
        eventually("strangers get in again by themselves", || {
            let mut smtp = Smtp::try_connect_from(server.address("submission"), stranger).ok()?;
            (smtp.try_reply().ok()?.code() == 220).then_some(())
        });
    }
}
