//! An haproxy in front of two instances.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use testkit::random::Random;

/// How often the proxy is asked for the state of an instance, which it does not report by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const WATCHDOG: Duration = Duration::from_secs(60);

/// Killed on drop.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: String,
    talk: PathBuf,
}

/// Returns an unused port below the range of ephemeral ports.
pub(crate) fn free_port(random: &mut Random) -> u16 {
    loop {
        let port = 20_000 + u16::try_from(random.below(12_000)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Proxy {
    /// It checks each instance five times a second, and never sends a request twice.
    pub(crate) fn start(folder: &Path, instances: [&str; 2], random: &mut Random) -> Self {
        let address = format!("127.0.0.1:{}", free_port(random));
        let talk = folder.join("haproxy.sock");
        let [a, b] = instances;
        let text = format!(
            "global
               stats socket {}
             defaults
               mode http
               retries 0
               timeout connect 5s
               timeout client 30s
               timeout server 30s
               timeout check 10s
             frontend service
               bind {address}
               default_backend instances
             backend instances
               balance roundrobin
               option httpchk GET /readyz
               http-check expect status 200
               default-server check inter 200ms fall 1 rise 1
               server a {a}
               server b {b}\n",
            talk.display()
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("haproxy");
        // It logs each instance that comes and goes; the test queries it instead.
        command.arg("-db").arg("-f").arg(&file).stderr(Stdio::null());
        let child = command.spawn().expect("`haproxy` is in the PATH (Debian's package `haproxy`)");
        Self { child, address, talk }
    }

    /// Waits until it reports an instance as `UP` or as `DOWN`.
    pub(crate) async fn sees(&self, instance: &str, wanted: &str) {
        let (began, line) = (Instant::now(), format!("instances,{instance},"));
        loop {
            let all = self.states().await.unwrap_or_default();
            let state = all.lines().find(|state| state.starts_with(&line));
            if state.is_some_and(|state| state.split(',').any(|field| field == wanted)) {
                return;
            }
            assert!(began.elapsed() < WATCHDOG, "{instance} is not {wanted}: {all}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A line for each instance. An error before it listens.
    async fn states(&self) -> std::io::Result<String> {
        let mut talk = UnixStream::connect(&self.talk).await?;
        talk.write_all(b"show stat\n").await?;
        let mut states = String::new();
        talk.read_to_string(&mut states).await?;
        Ok(states)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail if it has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
