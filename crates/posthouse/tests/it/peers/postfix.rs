//! A Postfix of the test's own: its own configuration, queue and ports, stopped when the value goes.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::root::as_root;
use crate::harness::{Smtp, eventually, ports};

pub struct Postfix {
    home: TempDir,
    address: SocketAddr,
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

impl Postfix {
    /// Takes everything from loopback and hands it to `server`, signed in, under TLS.
    pub fn relaying_through(server: SocketAddr, user: &str, password: &str) -> Self {
        Self::start(&format!(
            "mydestination =\n\
             relayhost = [{}]:{}\n\
             smtp_sasl_auth_enable = yes\n\
             smtp_sasl_password_maps = static:{user}:{password}\n\
             smtp_sasl_security_options = noanonymous\n\
             smtp_tls_security_level = encrypt\n",
            server.ip(),
            server.port()
        ))
    }

    /// Takes mail for sink.example into one Maildir.
    pub fn receiving() -> Self {
        Self::start(
            "mydestination =\n\
             virtual_mailbox_domains = sink.example\n\
             virtual_mailbox_base = HOME/mail\n\
             virtual_mailbox_maps = static:box/\n\
             virtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\n\
             virtual_minimum_uid = 1000\n",
        )
    }

    /// One with these settings beside those that every test needs.
    pub fn start(settings: &str) -> Self {
        let home = TempDir::new().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let address = ports::free();
        for directory in ["etc", "spool", "data", "mail"] {
            fs::create_dir(home.path().join(directory)).unwrap();
        }
        fs::set_permissions(home.path().join("mail"), fs::Permissions::from_mode(0o777)).unwrap();
        let main = format!("{MAIN_CF}{settings}").replace("HOME", &home.path().display().to_string());
        fs::write(home.path().join("etc/main.cf"), main).unwrap();
        fs::write(
            home.path().join("etc/master.cf"),
            MASTER_CF.replace("PORT", &address.port().to_string()),
        )
        .unwrap();
        run(as_root("chown")
            .args(["-R", "root:root"])
            .arg(home.path().join("etc"))
            .arg(home.path().join("spool")));
        run(as_root("chown").arg("postfix").arg(home.path().join("data")));
        let postfix = Self { home, address };
        run(as_root("/usr/sbin/postfix")
            .arg("-c")
            .arg(postfix.etc())
            .arg("start"));
        eventually("Postfix listens", || TcpStream::connect(postfix.address).ok());
        postfix
    }

    fn etc(&self) -> PathBuf {
        self.home.path().join("etc")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of this Postfix that has said EHLO.
    pub fn smtp(&self) -> Smtp {
        let mut smtp = Smtp::connect(self.address);
        smtp.reply().expect("220");
        smtp.ehlo().expect("250");
        smtp
    }

    /// Waits for that many messages in the Maildir and returns them all.
    pub fn wait_for_mail(&self, count: usize) -> Vec<Vec<u8>> {
        eventually(&format!("{count} messages in the Maildir"), || {
            let kept = self.mail();
            (kept.len() >= count).then_some(kept)
        })
    }

    fn mail(&self) -> Vec<Vec<u8>> {
        let new = self.home.path().join("mail/box/new");
        let listed = as_root("find").arg(&new).args(["-type", "f"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        listed
            .lines()
            .map(|path| as_root("cat").arg(Path::new(path)).output().unwrap().stdout)
            .collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = as_root("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.etc())
            .arg("stop")
            .output();
        let _ = as_root("chmod")
            .args(["-R", "a+rwX"])
            .arg(self.home.path())
            .output();
    }
}

const MAIN_CF: &str = "\
compatibility_level = 3.6
queue_directory = HOME/spool
data_directory = HOME/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = HOME/maillog
maillog_file_prefixes = HOME
myhostname = postfix.example
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
smtp_dns_support_level = disabled
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
";

const MASTER_CF: &str = "\
PORT       inet  n - n - -   smtpd
postlog    unix-dgram n - n - 1 postlogd
pickup     unix  n - n 60 1  pickup
cleanup    unix  n - n - 0   cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - -   trivial-rewrite
bounce     unix  - - n - 0   bounce
defer      unix  - - n - 0   bounce
trace      unix  - - n - 0   bounce
verify     unix  - - n - 1   verify
proxymap   unix  - - n - -   proxymap
smtp       unix  - - n - -   smtp
relay      unix  - - n - -   smtp
virtual    unix  - n n - -   virtual
error      unix  - - n - -   error
retry      unix  - - n - -   error
discard    unix  - - n - -   discard
anvil      unix  - - n - 1   anvil
scache     unix  - - n - 1   scache
";
