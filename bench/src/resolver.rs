//! Where the domains of the source are: the first ones each at a host of its own of this machine, where the sink listens, and all others
//! where nobody does.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// The last octet of the address of the first domain.
pub const FIRST_HOST: u8 = 2;

/// Settings by which mail to the first domains, as many as take it, goes to the sink at this port.
pub fn route(taking: u8, port: u16) -> io::Result<String> {
    let resolver = resolve(taking)?;
    Ok(format!(
        "delivery.route = \"mx\"\ndelivery.resolver = [\"{resolver}\"]\ndelivery.port = {port}\ndelivery.allow_private = true"
    ))
}

/// A name server for which every name is a host of this machine and none has a mail exchanger.
fn resolve(taking: u8) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    // Ends with the process: nothing is waited for.
    thread::spawn(move || -> io::Result<()> {
        let mut query = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut query)?;
            if let Some(answer) = answer(&query[..length], taking) {
                socket.send_to(&answer, from)?;
            }
        }
    });
    Ok(address)
}

/// RFC 1035, section 4.1: the question comes back, and with it one address where one was asked for.
fn answer(query: &[u8], taking: u8) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let name = query.get(HEAD..)?.iter().position(|&octet| octet == 0)?;
    let question = query.get(HEAD..HEAD + name + 5)?;
    let asks_address = question[name + 1..] == [0, 1, 0, 1];
    let mut answer = query[..2].to_vec();
    // An authoritative answer, recursion wanted and available; one question, no or one answer.
    answer.extend([0x85, 0x80, 0, 1, 0, u8::from(asks_address), 0, 0, 0, 0]);
    answer.extend(question);
    if asks_address {
        // The domains of the source are called d0 and so on.
        let first = question.get(2..=usize::from(question[0])).unwrap_or_default();
        let number: Option<u8> = str::from_utf8(first).ok().and_then(|first| first.parse().ok());
        let number = number.filter(|number| *number < taking);
        let last = number.map_or(1, |number| FIRST_HOST + number);
        // The name of the question, an address of the Internet, an hour, four octets.
        answer.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4]);
        answer.extend([127, 0, 0, last]);
    }
    Some(answer)
}
