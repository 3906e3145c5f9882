//! What mail is: addresses, SMTP grammar and sessions, messages, DKIM signing and delivery reports, without I/O.
