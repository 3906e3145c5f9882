//! Who may send: logins, passwords, sessions, credentials, credits and sending domains.
