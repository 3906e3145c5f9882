use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::rdata::MX;
use hickory_proto::rr::{Name, RData, RecordType};
use mail::address::Domain;
use outbound::route::{Plan, PlanFailure, Route, Router, RouterSettings, Via};

use crate::dns::{Says, Server, Zone};

fn router(server: SocketAddr, route: &str, allow_private: bool) -> Router {
    router_within(Duration::from_secs(10), server, route, allow_private)
}

fn router_within(resolver_timeout: Duration, server: SocketAddr, route: &str, allow_private: bool) -> Router {
    Router::new(RouterSettings {
        route: Route::parse(route).unwrap(),
        hostname: "us.example".into(),
        resolver: vec![server],
        resolver_timeout,
        port: 25,
        allow_private,
    })
    .unwrap()
}

async fn plan(router: &Router, domain: &str) -> Result<Arc<Plan>, Arc<PlanFailure>> {
    router.plan(&Domain::parse(domain).unwrap()).await
}

async fn verdict(zone: Zone, domain: &str) -> String {
    let server = Server::start(zone).await;
    refusal(&router(server.address, "mx", false), domain).await
}

async fn refusal(router: &Router, domain: &str) -> String {
    match plan(router, domain).await {
        Ok(plan) => panic!("there is a plan: {plan:?}"),
        Err(failure) => format!("{} {}", failure.verdict.as_str(), failure.enhanced),
    }
}

fn hosts(plan: &Plan) -> Vec<String> {
    let Via::Smtp { hosts, .. } = &plan.via else {
        panic!("not over SMTP: {plan:?}")
    };
    hosts
        .iter()
        .map(|host| format!("{} {} {:?}", host.preference, host.name, host.addresses))
        .collect()
}

#[tokio::test]
async fn a_domain_goes_to_its_mail_hosts_by_preference_over_both_families() {
    let zone = Zone::default()
        .mx("b.example", &[(20, "mx2.b.example"), (10, "MX1.b.example")])
        .mx("c.example", &[(5, "mx1.b.example"), (5, "mx2.b.example")])
        .address("mx1.b.example", &["8.8.8.8", "2606:4700::1"])
        .address("mx2.b.example", &["8.8.4.4", "10.0.0.1"]);
    let server = Server::start(zone).await;
    let router = router(server.address, "mx", false);
    let b = plan(&router, "b.example").await.unwrap();
    assert_eq!(
        hosts(&b),
        [
            "10 mx1.b.example [8.8.8.8, 2606:4700::1]",
            "20 mx2.b.example [8.8.4.4]"
        ]
    );
    assert_eq!(b.lane.as_str(), "mx1.b.example,mx2.b.example");
    assert_eq!(plan(&router, "c.example").await.unwrap().lane, b.lane);
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_mail_host_behind_aliases_too() {
    let zone = Zone::default()
        .alias("b.example", "web.b.example")
        .address("web.b.example", &["8.8.8.8"]);
    let server = Server::start(zone).await;
    let plan = plan(&router(server.address, "mx", false), "b.example")
        .await
        .unwrap();
    assert_eq!(hosts(&plan), ["0 b.example [8.8.8.8]"]);
}

#[tokio::test]
async fn each_dead_end_has_its_own_verdict() {
    let nothing = || Zone::default();
    assert_eq!(
        verdict(nothing().mx("b.example", &[(0, ".")]), "b.example").await,
        "bounced 5.1.10"
    );
    assert_eq!(verdict(nothing(), "b.example").await, "bounced 5.1.2");
    assert_eq!(
        verdict(
            nothing().says("b.example", RecordType::MX, Says::Fails),
            "b.example"
        )
        .await,
        "deferred 4.4.3"
    );
    let silent = Server::start(nothing().says("b.example", RecordType::MX, Says::Nothing)).await;
    let impatient = router_within(Duration::from_millis(200), silent.address, "mx", false);
    assert_eq!(refusal(&impatient, "b.example").await, "deferred 4.4.3");
    let lost = nothing().mx("b.example", &[(1, "mx.b.example")]);
    assert_eq!(verdict(lost, "b.example").await, "bounced 5.4.4");
    let failing =
        nothing()
            .mx("b.example", &[(1, "mx.b.example")])
            .says("mx.b.example", RecordType::A, Says::Fails);
    assert_eq!(verdict(failing, "b.example").await, "deferred 4.4.3");
    let private = nothing()
        .mx("b.example", &[(1, "mx.b.example")])
        .address("mx.b.example", &["192.168.1.1", "fd00::1"]);
    assert_eq!(verdict(private, "b.example").await, "bounced 5.4.4");
    let us = nothing()
        .mx("b.example", &[(1, "us.example"), (2, "mx.b.example")])
        .address("mx.b.example", &["8.8.8.8"]);
    assert_eq!(verdict(us, "b.example").await, "bounced 5.4.6");
}

#[tokio::test]
async fn an_endless_chain_of_aliases_is_no_way() {
    let mut zone = Zone::default()
        .address("n12.b.example", &["8.8.8.8"])
        .mx("n12.b.example", &[(1, "n12.b.example")]);
    for n in 0..12 {
        zone = zone.alias(&format!("n{n}.b.example"), &format!("n{}.b.example", n + 1));
    }
    assert_eq!(verdict(zone, "n0.b.example").await, "bounced 5.4.6");
}

#[tokio::test]
async fn an_answer_too_big_for_udp_is_fetched_over_tcp() {
    let many = (0..60)
        .map(|n| RData::MX(MX::new(n, Name::from_ascii(format!("mx{n}.b.example.")).unwrap())))
        .collect();
    let mut zone = Zone::default().says("b.example", RecordType::MX, Says::OverTcp(many));
    for n in 0..60 {
        zone = zone.address(&format!("mx{n}.b.example"), &["8.8.8.8"]);
    }
    let server = Server::start(zone).await;
    let plan = plan(&router(server.address, "mx", false), "b.example")
        .await
        .unwrap();
    assert_eq!(hosts(&plan).len(), 20);
}

#[tokio::test]
async fn answers_are_kept_and_a_burst_asks_once() {
    let zone = Zone::default()
        .mx("b.example", &[(1, "mx.b.example")])
        .address("mx.b.example", &["127.0.0.1"]);
    let server = Server::start(zone).await;
    let router = router(server.address, "mx", true);
    let burst = (0..50).map(|_| {
        let router = router.clone();
        tokio::spawn(async move { plan(&router, "b.example").await.is_ok() })
    });
    for task in burst.collect::<Vec<_>>() {
        assert!(task.await.unwrap());
    }
    assert!(server.asked() <= 4, "asked {} times", server.asked());
    assert!(plan(&router, "gone.example").await.is_err());
    let asked = server.asked();
    assert!(plan(&router, "gone.example").await.is_err());
    assert_eq!(server.asked(), asked);
}

#[tokio::test]
async fn a_smarthost_takes_all_domains_and_may_be_private() {
    let zone = Zone::default().address("hub.b.example", &["10.0.0.9"]);
    let server = Server::start(zone).await;
    let by_name = router(server.address, "smtps://u:p@hub.b.example", false);
    let plan_a = plan(&by_name, "a.example").await.unwrap();
    assert_eq!(hosts(&plan_a), ["0 hub.b.example [10.0.0.9]"]);
    assert_eq!(plan_a.lane.as_str(), "hub.b.example:465");
    assert_eq!(plan(&by_name, "z.example").await.unwrap(), plan_a);
    let asked = server.asked();
    let by_address = router(server.address, "smtp://127.0.0.1:26", false);
    assert_eq!(
        hosts(&plan(&by_address, "a.example").await.unwrap()),
        ["0 127.0.0.1 [127.0.0.1]"]
    );
    assert_eq!(server.asked(), asked);
    let gone = router(server.address, "smtp://gone.b.example", false);
    assert_eq!(
        plan(&gone, "a.example").await.unwrap_err().enhanced.to_string(),
        "4.4.3"
    );
}

#[tokio::test]
async fn the_local_inbox_asks_nobody() {
    let server = Server::start(Zone::default()).await;
    let plan = plan(&router(server.address, "capture", false), "a.example")
        .await
        .unwrap();
    assert_eq!((plan.lane.as_str(), &plan.via), ("capture", &Via::Capture));
    assert_eq!(server.asked(), 0);
}
