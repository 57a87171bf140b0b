//! The service behind a proxy, while its instances are replaced one after the other.

mod load;
mod proxy;

use std::path::Path;

use nix::sys::signal::Signal;

use load::Load;
use proxy::{Proxy, free_port};
use testkit::{program::Program, random::Random};

const ROUNDS: usize = 10;
const CLIENTS: usize = 8;
const NAMES: [&str; 2] = ["a", "b"];

/// It lingers for as long as the proxy may take to notice that it is not ready: seven health checks.
fn start(folder: &Path, name: &str, address: &str) -> Program {
    let (done, metrics) = (format!("{name}.done"), format!("{name}.metrics"));
    let arguments =
        ["--listen", address, "--linger", "1.5", "--done", &done, "--metrics", &metrics];
    let mut program = Program::example("service", folder, arguments);
    assert_eq!(program.next_line(), format!("READY {address}"));
    program
}

#[tokio::test]
#[ignore = "needs haproxy"]
async fn no_request_fails_while_both_instances_are_replaced_ten_times() {
    let mut random = Random::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let addresses = NAMES.map(|_| format!("127.0.0.1:{}", free_port(&mut random)));
    let mut instances = [0, 1].map(|at| Some(start(folder.path(), NAMES[at], &addresses[at])));
    let proxy = Proxy::start(folder.path(), [&addresses[0], &addresses[1]], &mut random);
    for name in NAMES {
        proxy.sees(name, "UP").await;
    }

    let load = Load::start(&proxy.address, CLIENTS);
    for _ in 0..ROUNDS {
        for at in [0, 1] {
            let (name, address) = (NAMES[at], addresses[at].clone());
            let mut old = instances[at].take().expect("each is restarted below");
            old.signal(Signal::SIGTERM);
            proxy.sees(name, "DOWN").await;
            // The clients go on meanwhile.
            let ended = tokio::task::spawn_blocking(move || old.end()).await.unwrap();
            assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
            let place = folder.path().to_owned();
            let new = tokio::task::spawn_blocking(move || start(&place, name, &address)).await;
            instances[at] = Some(new.unwrap());
            proxy.sees(name, "UP").await;
        }
    }
    let mut accepted = load.end().await;

    for mut old in instances.into_iter().flatten() {
        old.signal(Signal::SIGTERM);
        assert_eq!(old.end().status.code(), Some(0));
    }
    let done = NAMES
        .map(|name| std::fs::read_to_string(folder.path().join(format!("{name}.done"))).unwrap());
    let mut done: Vec<_> = done.iter().flat_map(|text| text.lines()).collect();
    let shares = done.len();
    done.sort_unstable();
    accepted.sort_unstable();
    println!("{} requests, {} instances replaced, 0 failed", accepted.len(), 2 * ROUNDS);
    assert_eq!(shares, accepted.len());
    assert!(done == accepted, "each accepted job was done once");
    assert!(shares > 20 * ROUNDS, "{shares}: there was hardly any load");
}
