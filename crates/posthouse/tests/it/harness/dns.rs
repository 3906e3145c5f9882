//! A name server on loopback that serves the zones a test gives it, over UDP and TCP.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

#[derive(Default)]
struct Zones {
    records: BTreeMap<String, Vec<RData>>,
    /// Names whose servers are out of order.
    broken: BTreeSet<String>,
    asked: Vec<String>,
    /// Who asked over UDP, with the number of the question: one that is sent again is the same question.
    numbers: BTreeSet<(SocketAddr, u16)>,
}

/// Answers authoritatively; a name without a record does not exist.
pub struct Dns {
    address: SocketAddr,
    zones: Arc<Mutex<Zones>>,
    stopped: Arc<AtomicBool>,
}

/// A port that is free for UDP may be taken for TCP by whatever else runs, so another one is tried.
fn one_port_for_both() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP")
}

impl Dns {
    pub fn start() -> Self {
        let (udp, tcp) = one_port_for_both();
        let address = udp.local_addr().unwrap();
        let zones = Arc::new(Mutex::new(Zones::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        udp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        {
            let (zones, stopped) = (Arc::clone(&zones), Arc::clone(&stopped));
            thread::spawn(move || serve_udp(&udp, &zones, &stopped));
        }
        {
            let (zones, stopped) = (Arc::clone(&zones), Arc::clone(&stopped));
            thread::spawn(move || serve_tcp(&tcp, &zones, &stopped));
        }
        Self {
            address,
            zones,
            stopped,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn mx(&self, name: &str, preference: u16, host: &str) -> &Self {
        self.add(name, RData::MX(MX::new(preference, absolute(host))))
    }

    /// RFC 7505: this domain takes no mail.
    pub fn null_mx(&self, name: &str) -> &Self {
        self.add(name, RData::MX(MX::new(0, Name::root())))
    }

    pub fn address_of(&self, name: &str, ip: &str) -> &Self {
        let data = match ip.parse::<IpAddr>().unwrap() {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        self.add(name, data)
    }

    pub fn alias(&self, name: &str, target: &str) -> &Self {
        self.add(name, RData::CNAME(CNAME(absolute(target))))
    }

    pub fn txt(&self, name: &str, text: &str) -> &Self {
        let strings = text
            .as_bytes()
            .chunks(255)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        self.add(name, RData::TXT(TXT::new(strings)))
    }

    /// SERVFAIL for this name until `mend`.
    pub fn fail(&self, name: &str) -> &Self {
        self.zones.lock().unwrap().broken.insert(key(name));
        self
    }

    pub fn mend(&self, name: &str) -> &Self {
        self.zones.lock().unwrap().broken.remove(&key(name));
        self
    }

    /// The names that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.zones.lock().unwrap().asked.clone()
    }

    fn add(&self, name: &str, data: RData) -> &Self {
        self.zones
            .lock()
            .unwrap()
            .records
            .entry(key(name))
            .or_default()
            .push(data);
        self
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn serve_udp(socket: &UdpSocket, zones: &Mutex<Zones>, stopped: &AtomicBool) {
    let mut packet = [0; 4096];
    while !stopped.load(Ordering::SeqCst) {
        let Ok((length, peer)) = socket.recv_from(&mut packet) else {
            continue;
        };
        if let Some(mut reply) = answer(zones, &packet[..length], Some(peer)) {
            if reply.to_vec().is_ok_and(|bytes| bytes.len() > 1232) {
                reply = reply.truncate();
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, zones: &Arc<Mutex<Zones>>, stopped: &AtomicBool) {
    for mut stream in listener.incoming().map_while(Result::ok) {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let zones = Arc::clone(zones);
        thread::spawn(move || {
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut packet).is_err() {
                    return;
                }
                let Some(reply) = answer(&zones, &packet, None) else {
                    return;
                };
                let bytes = reply.to_vec().unwrap();
                let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
                framed.extend_from_slice(&bytes);
                if stream.write_all(&framed).is_err() {
                    return;
                }
            }
        });
    }
}

fn answer(zones: &Mutex<Zones>, packet: &[u8], peer: Option<SocketAddr>) -> Option<Message> {
    let request = Message::from_vec(packet).ok()?;
    let query = request.queries.first()?.clone();
    let mut reply = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_desired = request.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let mut zones = zones.lock().unwrap();
    if peer.is_none_or(|peer| zones.numbers.insert((peer, request.metadata.id))) {
        zones.asked.push(key(&query.name().to_ascii()));
    }
    let (code, records) = look_up(&zones, &query);
    reply.metadata.response_code = code;
    reply.add_answers(records);
    Some(reply)
}

/// The records asked for, with the aliases that lead to them.
fn look_up(zones: &Zones, query: &Query) -> (ResponseCode, Vec<Record>) {
    const TTL: u32 = 60;
    let mut found = Vec::new();
    let mut name = query.name().clone();
    for _ in 0..16 {
        let here = key(&name.to_ascii());
        if zones.broken.contains(&here) {
            return (ResponseCode::ServFail, Vec::new());
        }
        let Some(records) = zones.records.get(&here) else {
            return (ResponseCode::NXDomain, found);
        };
        let alias = records.iter().find_map(|data| {
            if let RData::CNAME(target) = data {
                Some(target.0.clone())
            } else {
                None
            }
        });
        if let Some(target) = alias.filter(|_| query.query_type() != RecordType::CNAME) {
            found.push(Record::from_rdata(name, TTL, RData::CNAME(CNAME(target.clone()))));
            name = target;
            continue;
        }
        let matching = records
            .iter()
            .filter(|data| data.record_type() == query.query_type());
        found.extend(matching.map(|data| Record::from_rdata(name.clone(), TTL, data.clone())));
        break;
    }
    (ResponseCode::NoError, found)
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
