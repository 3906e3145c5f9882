//! A name server on loopback, UDP and TCP, with a hand-written zone.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// What the server says about a name; one that is not in the zone does not exist.
#[derive(Clone, Debug)]
pub enum Says {
    Records(Vec<RData>),
    Fails,
    Nothing,
    /// The same over TCP only: UDP says that it was too much.
    OverTcp(Vec<RData>),
}

#[derive(Default)]
pub struct Zone {
    names: HashMap<(String, RecordType), Says>,
    aliases: HashMap<String, String>,
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}

impl Zone {
    pub fn mx(mut self, domain: &str, hosts: &[(u16, &str)]) -> Self {
        let records = hosts
            .iter()
            .map(|&(preference, host)| RData::MX(MX::new(preference, name(host))))
            .collect();
        self.names
            .insert((domain.into(), RecordType::MX), Says::Records(records));
        self
    }

    pub fn address(mut self, host: &str, ips: &[&str]) -> Self {
        for ip in ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap()) {
            let (kind, data) = match ip {
                IpAddr::V4(ip) => (RecordType::A, RData::A(A(ip))),
                IpAddr::V6(ip) => (RecordType::AAAA, RData::AAAA(AAAA(ip))),
            };
            let entry = self
                .names
                .entry((host.into(), kind))
                .or_insert_with(|| Says::Records(Vec::new()));
            if let Says::Records(records) = entry {
                records.push(data);
            }
        }
        self
    }

    pub fn alias(mut self, from: &str, to: &str) -> Self {
        self.aliases.insert(from.into(), to.into());
        self
    }

    pub fn says(mut self, domain: &str, kind: RecordType, says: Says) -> Self {
        self.names.insert((domain.into(), kind), says);
        self
    }

    fn answer(&self, query: &Message, tcp: bool) -> Option<Vec<u8>> {
        let question = query.queries.first()?;
        let mut response = Message::response(query.metadata.id, query.metadata.op_code);
        response.metadata.recursion_available = true;
        response.add_query(question.clone());
        let mut asked = question
            .name()
            .to_ascii()
            .trim_end_matches('.')
            .to_ascii_lowercase();
        while let Some(target) = self.aliases.get(&asked) {
            response.add_answer(Record::from_rdata(
                name(&asked),
                60,
                RData::CNAME(CNAME(name(target))),
            ));
            asked.clone_from(target);
        }
        match self.names.get(&(asked.clone(), question.query_type())) {
            Some(Says::Nothing) => return None,
            Some(Says::Fails) => response.metadata.response_code = ResponseCode::ServFail,
            Some(Says::OverTcp(_)) if !tcp => response.metadata.truncation = true,
            Some(Says::Records(records) | Says::OverTcp(records)) => {
                for data in records {
                    response.add_answer(Record::from_rdata(name(&asked), 60, data.clone()));
                }
            }
            None if self.names.keys().any(|(known, _)| *known == asked) => {}
            None => response.metadata.response_code = ResponseCode::NXDomain,
        }
        response.to_vec().ok()
    }
}

/// A running server: its address, and how often it was asked.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(zone: Zone) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let zone = Arc::new(zone);
        let asked = Arc::new(AtomicUsize::new(0));
        tokio::spawn(over_udp(udp, zone.clone(), asked.clone()));
        tokio::spawn(over_tcp(tcp, zone));
        Self { address, asked }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn over_udp(socket: UdpSocket, zone: Arc<Zone>, asked: Arc<AtomicUsize>) {
    let mut packet = [0; 4_096];
    while let Ok((len, from)) = socket.recv_from(&mut packet).await {
        asked.fetch_add(1, Ordering::SeqCst);
        let Ok(query) = Message::from_vec(&packet[..len]) else {
            continue;
        };
        if let Some(answer) = zone.answer(&query, false) {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

async fn over_tcp(listener: TcpListener, zone: Arc<Zone>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let zone = zone.clone();
        tokio::spawn(async move {
            while let Ok(len) = stream.read_u16().await {
                let mut packet = vec![0; len.into()];
                stream.read_exact(&mut packet).await.unwrap();
                let Some(answer) = zone.answer(&Message::from_vec(&packet).unwrap(), true) else {
                    return;
                };
                stream
                    .write_u16(u16::try_from(answer.len()).unwrap())
                    .await
                    .unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
    }
}
