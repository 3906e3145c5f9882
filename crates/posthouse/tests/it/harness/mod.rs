//! What the black-box tests stand on: a Posthouse of one's own, clients that speak to it, and peers that it speaks to.
//!
//! ```ignore
//! both_engines! {
//!     fn a_signed_in_sender_reaches_the_sink(engine) {
//!         let sink = Sink::start();
//!         let server = Posthouse::on(engine).route_to(&sink).start();
//!         server.create_account("alice@example.com");
//!         let mut smtp = server.signed_in("alice@example.com");
//!         smtp.mail("alice@example.com").expect("250 2.1.0");
//!         smtp.rcpt("bob@example.net").expect("250 2.1.5");
//!         smtp.data(b"Subject: hello\r\n\r\nhello\r\n").expect("250 2.0.0");
//!         assert_eq!(sink.wait_for(1)[0].recipients, ["bob@example.net"]);
//!     }
//! }
//! ```

pub mod broken;
pub mod disk;
pub mod dns;
pub mod engine;
pub mod http;
pub mod ports;
pub mod receiver;
pub mod root;
pub mod server;
pub mod sink;
pub mod smtp;
pub mod tls;
pub mod wait;

pub use engine::Engine;
pub use receiver::{Receiver, Reply};
pub use server::{PASSWORD, Posthouse};
pub use sink::{Act, Gate, Sink, Verb};
pub use smtp::Smtp;
pub use wait::{PATIENCE, eventually};

/// Makes one test of each body for every database: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$attribute:meta])* fn $name:ident($engine:ident) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from around it")]
            use super::*;

            fn body($engine: $crate::harness::Engine) $body

            $(#[$attribute])*
            #[test]
            fn sqlite() {
                body($crate::harness::Engine::Sqlite);
            }

            $(#[$attribute])*
            #[test]
            fn postgres() {
                if $crate::harness::engine::postgres_is_here(concat!(module_path!(), "::postgres")) {
                    body($crate::harness::Engine::Postgres);
                }
            }
        }
    )+};
}
