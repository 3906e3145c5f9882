//! How mail leaves, against name servers and mail hosts on loopback.

mod dns;
mod route;
