//! `/metrics` as text for Prometheus: what was counted, read from plain numbers at each scrape.
//!
//! No label names a recipient's domain or an account: their number has no bound, and neither had the answer then.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use accounts::{Accounts, Scope};
use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ipnet::IpNet;
use mail::time::Time;
use outbound::Outbound;
use outbound::tracking::Tracking;
use outbound::webhooks::Webhooks;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use store::{Clock, Db, Histogram};

use crate::http::Client;
use crate::ops::Connections;
use crate::smtp;
use crate::tls::Certificates;

/// What an answer is sent as.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whatever counts.
#[derive(Clone)]
pub struct Sources {
    pub db: Db,
    pub outbound: Outbound,
    pub webhooks: Webhooks,
    pub tracking: Tracking,
    pub smtp: Arc<smtp::Counters>,
    /// By the name of the kind of listener.
    pub connections: Arc<[(&'static str, Arc<Connections>)]>,
    pub certificates: Certificates,
    pub clock: Clock,
}

/// Who may read the answer: it tells how much this service sends.
#[derive(Clone)]
pub struct Gate {
    from: Arc<[IpNet]>,
    accounts: Accounts,
}

impl Gate {
    pub fn new(from: &[IpNet], accounts: &Accounts) -> Self {
        Self {
            from: from.into(),
            accounts: accounts.clone(),
        }
    }

    /// Whoever asks from an address of `http.metrics_from`, and an operator's key from everywhere.
    async fn opens(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        if self.from.iter().any(|range| range.contains(&peer)) {
            return true;
        }
        let key = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match key {
            Some(key) => {
                let found = self.accounts.find_key(key.trim()).await;
                found.is_ok_and(|found| found.is_some_and(|(_, scopes, _)| scopes.contains(Scope::Operator)))
            }
            None => false,
        }
    }
}

pub fn routes(sources: Sources, gate: Gate) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state((sources, gate))
}

async fn show(
    State((sources, gate)): State<(Sources, Gate)>,
    client: Client,
    headers: HeaderMap,
) -> Response {
    if !gate.opens(client.ip, &headers).await {
        let why = "Read metrics from an address of http.metrics_from or with the API key of an operator.\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    match text(&sources) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One answer.
fn text(sources: &Sources) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("posthouse");
    registry.register_collector(Box::new(sources.clone()));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.sending(&mut page)?;
        self.queue(&mut page)?;
        self.webhooks(&mut page)?;
        self.connections(&mut page)?;
        self.doors(&mut page)?;
        self.commits(&mut page)?;
        let left = self.certificates.facts().not_after.as_secs() - self.clock.now().as_secs();
        page.gauge(
            "certificate_seconds_left",
            "Until the certificate in force expires; negative since it has",
            left,
        )?;
        let names = self.certificates.link_names();
        for (name, help, count) in [
            (
                "link_certificates_issued",
                "Names of sending domains for links that have a certificate",
                names.issued,
            ),
            (
                "link_certificates_waiting",
                "Those whose first certificate is still to be ordered",
                names.waiting,
            ),
            (
                "link_certificates_failing",
                "Those whose last order failed; an older certificate may still hold",
                names.failing,
            ),
        ] {
            page.gauge(name, help, count as i64)?;
        }
        Ok(())
    }
}

impl Sources {
    fn sending(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.outbound.counters();
        page.counter(
            "messages_accepted",
            "Messages that got their 250",
            counts.accepted,
        )?;
        page.counter(
            "messages_refused",
            "Messages refused, for good or for now",
            counts.refused,
        )?;
        page.counter(
            "recipients_accepted",
            "Recipients of accepted messages",
            counts.accepted_recipients,
        )?;
        page.counter(
            "recipients_delivered",
            "Recipients that the next hop took",
            counts.delivered,
        )?;
        page.counter(
            "recipients_deferred",
            "Attempts that ended with: later",
            counts.deferred,
        )?;
        page.counter(
            "recipients_bounced",
            "Recipients refused for good",
            counts.bounced,
        )?;
        page.counter(
            "recipients_bounced_late",
            "Recipients reported as failed after their server had taken the message",
            counts.bounced_late,
        )?;
        page.counter(
            "recipients_complained",
            "Recipients that complained",
            counts.complained,
        )?;
        page.counter(
            "changed_by_link",
            "Times that recipients left a stream or came back by their link",
            counts.changed_by_link,
        )?;
        page.counter(
            "reports_of_nothing",
            "Reports that said nothing, or nothing new",
            counts.reports_of_nothing,
        )?;
        page.counter(
            "recipients_expired",
            "Recipients given up because of their age",
            counts.expired,
        )?;
        page.counter(
            "recipients_cancelled",
            "Recipients given up because somebody said so",
            counts.cancelled,
        )?;
        page.counter("reports", "Delivery status notifications sent", counts.reports)?;
        page.counter(
            "connect_failures",
            "Connections to other servers that failed",
            counts.connect_failures,
        )?;
        page.counter(
            "recipients_spilled",
            "Recipients sent to wait in the database for want of memory",
            counts.spilled,
        )?;
        page.counter(
            "leases_lost",
            "Outcomes not recorded because another node has the recipient",
            counts.leases_lost,
        )?;
        page.counter(
            "recipients_recovered",
            "Recipients that stood as in hand though nothing held them",
            counts.recovered,
        )?;
        page.counter(
            "settle_retries",
            "Settlements the database did not take at first",
            counts.settle_retries,
        )?;
        let window = self.outbound.unrecorded();
        page.gauge(
            "recipients_unrecorded",
            "Recipients the next hop took and the database does not say yet: a crash now would send to them again",
            window.recipients as i64,
        )?;
        let latency = (
            "settle_latency",
            "From the 250 of the next hop to the end of the COMMIT that records it",
            Some(Unit::Seconds),
        );
        page.histogram(latency, &window.took, 1e-6)
    }

    fn queue(&self, page: &mut Page<'_>) -> fmt::Result {
        let depth = self.outbound.depth();
        page.gauge(
            "queue_queued",
            "Recipients waiting for their first attempt",
            depth.queued as i64,
        )?;
        page.gauge(
            "queue_deferred",
            "Recipients waiting for another attempt",
            depth.deferred as i64,
        )?;
        page.gauge(
            "queue_in_hand",
            "Recipients being delivered or about to be",
            depth.in_hand as i64,
        )?;
        let age = depth
            .oldest_at
            .map_or(0, |oldest: Time| self.clock.now().since(oldest).as_secs() as i64);
        page.gauge(
            "queue_oldest_seconds",
            "Age of the recipient that waits longest",
            age,
        )?;
        page.gauge(
            "outbound_connections",
            "Open connections to other servers",
            self.outbound.connections() as i64,
        )
    }

    fn webhooks(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.webhooks.counts();
        page.counter(
            "webhooks_delivered",
            "Webhook messages that their receiver took",
            counts.delivered,
        )?;
        page.counter(
            "webhook_attempts_failed",
            "Attempts at webhook messages that failed",
            counts.failed,
        )?;
        page.gauge(
            "webhooks_waiting",
            "Webhook messages waiting for an attempt, counted every 20 seconds and up to 100,000",
            counts.waiting as i64,
        )?;
        page.counter(
            "tracking_left_out",
            "Opens and clicks that came too many at once to be noted",
            self.tracking.left_out(),
        )
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let counted: Vec<_> = self
            .connections
            .iter()
            .map(|(listener, connections)| (*listener, connections.counted()))
            .collect();
        page.by_listener(
            ("connections", "Open connections of clients", MetricType::Gauge),
            counted
                .iter()
                .map(|(listener, counted)| (*listener, counted.open)),
        )?;
        page.by_listener(
            (
                "connections_opened",
                "Connections of clients that were taken",
                MetricType::Counter,
            ),
            counted
                .iter()
                .map(|(listener, counted)| (*listener, counted.opened)),
        )?;
        page.by_listener(
            (
                "connections_turned_away",
                "Connections of clients over a limit",
                MetricType::Counter,
            ),
            counted
                .iter()
                .map(|(listener, counted)| (*listener, counted.turned_away)),
        )
    }

    fn doors(&self, page: &mut Page<'_>) -> fmt::Result {
        let smtp = self.smtp.snapshot();
        page.counter(
            "smtp_tls_handshakes",
            "TLS handshakes of SMTP clients",
            smtp.tls_handshakes,
        )?;
        page.counter(
            "smtp_tls_failures",
            "TLS handshakes that failed",
            smtp.tls_failures,
        )?;
        page.counter("smtp_commands", "SMTP commands", smtp.commands)?;
        page.counter("smtp_refusals", "SMTP replies of 400 and more", smtp.refusals)?;
        page.counter("smtp_sign_ins", "AUTH that was granted", smtp.sign_ins)?;
        page.counter(
            "smtp_sign_in_failures",
            "AUTH that was not",
            smtp.sign_in_failures,
        )?;
        page.counter(
            "smtp_received_bytes",
            "Octets read from SMTP clients",
            smtp.octets_received,
        )?;
        page.counter(
            "smtp_timeouts",
            "SMTP connections ended because the client was too slow",
            smtp.timeouts,
        )
    }

    fn commits(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.db.stats();
        page.counter("commits", "Transactions committed", stats.commits)?;
        page.counter("commit_writes", "Pieces of work in them", stats.writes)?;
        page.counter("rollbacks", "Transactions rolled back", stats.rollbacks)?;
        page.gauge(
            "commit_waiting",
            "Pieces of work waiting for their commit",
            stats.waiting as i64,
        )?;
        page.histogram(
            ("commit_batch_size", "Pieces of work per commit", None),
            &stats.batch,
            1.0,
        )?;
        let latency = (
            "commit_latency",
            "From BEGIN to the end of COMMIT",
            Some(Unit::Seconds),
        );
        page.histogram(latency, &stats.latency, 1e-6)
    }
}

/// The answer while it is written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    /// One number for each kind of listener.
    fn by_listener(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (listener, value) in values {
            let labels = [("listener", listener)];
            let encoder = family.encode_family(&labels)?;
            match kind {
                MetricType::Counter => ConstCounter::new(value).encode(encoder)?,
                _ => ConstGauge::new(value as i64).encode(encoder)?,
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        (name, help, unit): (&str, &str, Option<Unit>),
        histogram: &Histogram,
        scale: f64,
    ) -> fmt::Result {
        let bounds = histogram
            .bounds
            .iter()
            .map(|bound| *bound as f64 * scale)
            .chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts.iter().copied()).collect();
        let count = histogram.counts.iter().sum();
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(histogram.sum as f64 * scale, count, &buckets, None)
    }
}
