//! Certificates of an ACME authority where several processes share one database.

use std::fs;
use std::time::Duration;

use super::acme::{Authority, certificate_of, verified};
use super::{der, shown_as, shown_by};
use crate::harness::dns::Dns;
use crate::harness::engine::postgres_is_here;
use crate::harness::server::signal;
use crate::harness::tls::Identity;
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};

/// Less than a third of a life of ninety days is left then.
const TO_BE_RENEWED: Duration = Duration::from_hours(24 * 64);
/// Longer than any node may have the turn to itself.
const LEASE_OVER: Duration = Duration::from_mins(6);

fn issued(server: &Posthouse) -> usize {
    let log = server.log();
    let said = log.iter().filter(|line| {
        line["message"]
            .to_string()
            .contains("certificate issued by the ACME authority")
    });
    said.count()
}

/// How many certificates each node was issued, once it is so many in all: the log may tell of one after it is shown.
fn all_issued(nodes: [&Posthouse; 2], count: usize) -> [usize; 2] {
    eventually(&format!("{count} certificates are issued"), || {
        let each = nodes.map(issued);
        (each.iter().sum::<usize>() >= count).then_some(each)
    })
}

#[test]
fn one_node_orders_another_proves_both_show_and_the_one_left_renews() {
    if !postgres_is_here("one_node_orders_another_proves_both_show_and_the_one_left_renews") {
        return;
    }
    let dns = Dns::start();
    dns.address_of("mail.example.com", "127.0.0.1");
    let authority = Authority::to_be();
    // What the first node kept in files, and what it kept them for.
    let setup = Authority::with_links(authority.asked_by(Posthouse::on(Engine::Postgres)), &dns);
    let tls = setup.data().join("tls");
    fs::create_dir_all(tls.join("links")).unwrap();
    let old = Identity::near_its_end(&["mail.example.com"]);
    fs::write(
        tls.join("acme.pem"),
        format!("{}{}", old.key_pem, old.certificate_pem),
    )
    .unwrap();
    let home = setup.home().to_owned();
    let mut first = setup.start();
    first.wait_for_log("no certificate from the ACME authority");
    let second = Authority::with_links(authority.proven_by(first.beside()), &dns).start();
    let shown = |server: &Posthouse| shown_by(server.address("https"));
    assert_eq!(
        [shown(&first), shown(&second)],
        [(); 2].map(|()| der(&old.certificate_pem)),
        "both show what one had"
    );

    // The second waits as the first does, so the first alone orders, and the authority finds the proof on the second.
    let _pebble = authority.start(&home, &dns);
    signal(first.pid(), "HUP");
    let new = eventually("both show the new one", || {
        let [one, two] = [shown(&first), shown(&second)];
        (one == two && one != der(&old.certificate_pem)).then_some(one)
    });
    assert_eq!(all_issued([&first, &second], 1), [1, 0]);

    // A name of a sending domain, whichever node orders it.
    let http = first.owner("alice@example.com");
    let mut beside = second.http();
    beside.sign_in("alice@example.com", PASSWORD);
    let domain = verified(&http, &dns, "shop.example");
    let named = |server: &Posthouse| shown_as("links.shop.example", server.address("https"));
    let links = eventually("both show one for the name", || {
        let [one, two] = [named(&first), named(&second)];
        (one == two && one != new).then_some(one)
    });
    let ordered: usize = all_issued([&first, &second], 2).iter().sum();
    assert_eq!(ordered, 2, "each was ordered once");
    assert_eq!(certificate_of(&http, &domain), certificate_of(&beside, &domain));
    assert_eq!(certificate_of(&beside, &domain)["state"], "issued");

    // The first dies; when their time has come the second renews both by itself.
    let before = issued(&second);
    first.kill();
    second.pass(TO_BE_RENEWED);
    eventually("the one left has renewed both", || {
        let both_new = shown(&second) != new && named(&second) != links;
        (both_new && issued(&second) == before + 2).then_some(())
    });

    // It comes back, and shows what it did not order; what is removed goes on both.
    first.pass(TO_BE_RENEWED);
    first.start_again();
    assert_eq!([shown(&first), named(&first)], [shown(&second), named(&second)]);
    let mut beside = second.http();
    beside.sign_in("alice@example.com", PASSWORD);
    beside.delete(&format!("/api/v1/domains/{domain}")).expect(204);
    eventually("no node shows the name's any more", || {
        (named(&first) == shown(&first) && named(&second) == shown(&second)).then_some(())
    });
}

#[test]
fn an_order_that_its_node_did_not_live_to_end_passes_to_another() {
    if !postgres_is_here("an_order_that_its_node_did_not_live_to_end_passes_to_another") {
        return;
    }
    let dns = Dns::start();
    dns.address_of("mail.example.com", "127.0.0.1");
    let authority = Authority::to_be();
    // It takes the order and says nothing more.
    let silent = authority.silent();
    let setup = authority.asked_by(Posthouse::on(Engine::Postgres)).moving_clock();
    let home = setup.home().to_owned();
    let mut first = setup.start();
    let open = silent.accept().unwrap();
    let second = authority.proven_by(first.beside()).moving_clock().start();
    first.kill();
    drop((open, silent));
    let _pebble = authority.start(&home, &dns);
    signal(second.pid(), "HUP");
    let own = der(&fs::read_to_string(second.data().join("tls/cert.pem")).unwrap());
    second.wait_for_log("asked to reload");
    assert_eq!(
        shown_by(second.address("https")),
        own,
        "the turn is still the first one's"
    );
    second.pass(LEASE_OVER);
    eventually("the second has ordered", || {
        (shown_by(second.address("https")) != own).then_some(())
    });
}
