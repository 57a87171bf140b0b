//! The clients of the TCP servers: each sends a line, waits for its answer, and comes again after some lines.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
};

use super::{BY_HAND, Round, SUPERVISED, alternate, process::Server};
use crate::settings::Settings;

/// Below the servers' limit.
const CLIENTS: usize = 64;

/// Of one connection. Each leaves a port behind that cannot be used for a while.
const LINES: usize = 200;

const LINE: &[u8] = b"a line of the load, in lower case\n";

pub(super) fn rounds(settings: &Settings) -> Vec<[Round; 2]> {
    let long = Duration::from_millis(if settings.quick { 500 } else { 1_000 });
    let runtime = &settings.all_cores();
    let servers = [SUPERVISED, BY_HAND].map(Server::start);
    let [ours, hand] = &servers;
    let side = |server| Box::new(move || round(runtime, server, long)) as Box<dyn FnMut() -> Round>;
    alternate(settings.rounds, [side(ours), side(hand)])
}

fn round(runtime: &Runtime, server: &Server, long: Duration) -> Round {
    let (before, start) = (server.processor_time(), Instant::now());
    let mut latencies = runtime.block_on(all_clients(server.address, start + long));
    let (took, after) = (start.elapsed(), server.processor_time());
    let (answers, last) = (latencies.len(), latencies.len() * 99 / 100);
    let (_, p99, _) = latencies.select_nth_unstable(last);
    let processor_time = after.zip(before).map(|(after, before)| (after - before) / answers as u32);
    Round { throughput: answers as f64 / took.as_secs_f64(), p99: Some(*p99), processor_time }
}

async fn all_clients(server: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(server, until));
    }
    let all = clients.join_all().await.into_iter();
    all.flat_map(|latencies| latencies.expect("the server answers")).collect()
}

async fn client(server: SocketAddr, until: Instant) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut answer = Vec::new();
    while Instant::now() < until {
        let mut stream = BufReader::new(TcpStream::connect(server).await?);
        stream.get_ref().set_nodelay(true)?;
        for _ in 0..LINES {
            let sent = Instant::now();
            if sent >= until {
                break;
            }
            stream.write_all(LINE).await?;
            answer.clear();
            stream.read_until(b'\n', &mut answer).await?;
            latencies.push(sent.elapsed());
            assert!(answer.eq_ignore_ascii_case(LINE), "an answer is its line");
        }
    }
    Ok(latencies)
}
