//! How we remember: the database seam over SQLite and PostgreSQL, migrations, leases and the event log.
