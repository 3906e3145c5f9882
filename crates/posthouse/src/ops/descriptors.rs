//! Room for as many connections as the configuration allows: each takes a file descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// What is open beside the connections of clients: databases, connections to other servers, HTTP.
const OTHERS: u64 = 1_024;

/// Raises the limit of this process to what the system lets it have, and says so where that is too little.
///
/// The lower one that a session begins with is for programs that use `select`, which this one does not.
pub fn make_room(connections: usize) {
    let given = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: given.maximum,
        maximum: given.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        debug!(%error, "the limit of open files stays as it was");
    }
    let needed = connections as u64 + OTHERS;
    // No limit at all is none.
    if let Some(limit) = getrlimit(Resource::Nofile)
        .current
        .filter(|limit| *limit < needed)
    {
        warn!(
            limit,
            needed,
            "fewer files may be open than connections are allowed: raise LimitNOFILE or lower smtp.max_connections"
        );
    }
}
