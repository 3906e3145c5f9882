//! The envelope of one transaction and the MAIL and RCPT commands it becomes.

use super::capabilities::Capabilities;
use crate::address::Address;
use crate::notify::{Notify, Ret};
use std::io::Write as _;

/// One recipient of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    pub address: &'a Address,
    pub notify: Notify,
    /// As received: `rfc822;` and xtext.
    pub orcpt: Option<&'a str>,
}

/// What a transaction is about, apart from the message itself.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// None is the null reverse-path `<>`.
    pub reverse_path: Option<&'a Address>,
    pub ret: Option<Ret>,
    /// As received: xtext.
    pub envid: Option<&'a str>,
    /// Octets of the message before dot-stuffing.
    pub size: usize,
    /// The message holds octets above 127.
    pub eight_bit: bool,
    /// The header section holds octets above 127.
    pub utf8_headers: bool,
}

impl Envelope<'_> {
    /// Writes MAIL with the parameters that the server understands.
    pub(super) fn write_mail(
        &self,
        capabilities: &Capabilities,
        any_utf8_recipient: bool,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"MAIL FROM:<");
        if let Some(address) = self.reverse_path {
            write!(out, "{address}").expect("a Vec takes it");
        }
        out.push(b'>');
        if capabilities.size.is_some() {
            write!(out, " SIZE={}", self.size).expect("a Vec takes it");
        }
        if self.eight_bit && capabilities.eight_bit_mime {
            out.extend_from_slice(b" BODY=8BITMIME");
        }
        // RFC 6531 section 3.4: for an address or a header field that needs it.
        let utf8 =
            self.utf8_headers || any_utf8_recipient || self.reverse_path.is_some_and(Address::needs_smtputf8);
        if utf8 && capabilities.smtputf8 {
            out.extend_from_slice(b" SMTPUTF8");
        }
        if capabilities.dsn {
            if let Some(ret) = self.ret {
                write!(out, " RET={}", ret.as_str()).expect("a Vec takes it");
            }
            if let Some(envid) = self.envid.filter(|text| is_parameter(text)) {
                write!(out, " ENVID={envid}").expect("a Vec takes it");
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Recipient<'_> {
    pub(super) fn write_rcpt(&self, capabilities: &Capabilities, out: &mut Vec<u8>) {
        write!(out, "RCPT TO:<{}>", self.address).expect("a Vec takes it");
        if capabilities.dsn {
            if self.notify != Notify::default() {
                write!(out, " NOTIFY={}", self.notify.as_text()).expect("a Vec takes it");
            }
            if let Some(orcpt) = self.orcpt.filter(|text| is_parameter(text)) {
                write!(out, " ORCPT={orcpt}").expect("a Vec takes it");
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A parameter value that cannot become a second parameter or line (RFC 5321 section 4.1.2, esmtp-value, without `=`
/// being special: it stands in ORCPT's xtext only as `+3D`, but refusing it would lose what was accepted).
fn is_parameter(text: &str) -> bool {
    !text.is_empty() && text.len() <= 500 && text.bytes().all(|b| b.is_ascii_graphic())
}
