//! The accounts room on real databases, each test on both engines.
#![cfg(test)]

mod allowance;
mod announcements;
mod attempts;
mod audit;
mod changes;
mod credentials;
mod credits;
mod delegation;
mod device;
mod domains;
mod guard;
mod impersonation;
mod lockout;
mod passkeys;
mod people;
mod reset;
mod room;
mod senders;
mod sessions;
mod sign_in;
mod sign_up;
mod sign_up_mode;
mod smtp_credentials;
mod streams;
mod users;
mod vouchers;
