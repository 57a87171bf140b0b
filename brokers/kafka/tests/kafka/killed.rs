//! Kills of members, and a cluster that is away.

use std::{
    collections::{HashMap, HashSet},
    env,
    time::{Duration, Instant},
};

use testkit::random::Random;

use crate::{
    cluster::Cluster,
    worker::{WATCHDOG, Worker, look_again, until_done},
};

const KEYS: usize = 30;
const MEMBERS: usize = 3;
const WORK: Duration = Duration::from_millis(4);

/// `JOBS`, or few.
fn jobs() -> usize {
    env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2_000)
}

/// All members append to one file, whose order is that of the effects. The first line of a message is its effect; a reader
/// ignores the others, as a database with a key would.
#[test]
fn kills_lose_nothing_and_keep_the_order_of_keys() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (mut random, start, jobs) = (Random::from_environment(), Instant::now(), jobs());
    cluster.produce_in_order(jobs, KEYS);
    let member =
        || Worker::spawn(&cluster, folder.path(), "log", "all", WORK, &["--ordered"]).ready();
    let mut members: Vec<_> = (0..MEMBERS).map(|_| member()).collect();

    let (kills, stops) = (1 + jobs / 4_000, 1 + jobs / 8_000);
    for step in 1..=kills + stops {
        let wanted = jobs * step / (kills + stops + 1);
        while members[0].lines().len() < wanted {
            assert!(start.elapsed() < 10 * WATCHDOG, "{} of {wanted}", members[0].lines().len());
            look_again();
        }
        let chosen = random.below(MEMBERS);
        let left = std::mem::replace(&mut members[chosen], member());
        if step % 3 == 2 && step / 3 < stops { left.leaves_a_changing_group() } else { left.dies() }
    }
    until_done(folder.path(), jobs);
    let lines = members[0].lines();
    members.into_iter().for_each(Worker::leaves_a_changing_group);

    let (mut seen, mut last) = (HashSet::new(), HashMap::<&str, usize>::new());
    for line in &lines {
        let words: Vec<_> = line.split(' ').collect();
        let [partition, offset, _, key, job] = words[..] else { panic!("{line}") };
        if seen.insert((partition, offset)) {
            let job = job.parse().unwrap();
            let before = last.insert(key, job);
            assert!(before.is_none_or(|before| before < job), "key {key}: {before:?}, {job}");
        }
    }
    println!(
        "{jobs} jobs in {:.1?}: {} members left or killed, {} effects suppressed, 0 lost, the order of {} keys kept",
        start.elapsed(),
        kills + stops,
        lines.len() - seen.len(),
        last.len(),
    );
    assert_eq!((seen.len(), last.len()), (jobs, KEYS));
}

#[test]
fn a_member_waits_for_a_cluster_that_is_away() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    cluster.produce((0..60).map(|number| number.to_string()));
    cluster.set_down(true);
    let worker = Worker::spawn(&cluster, folder.path(), "late", "late", WORK, &[]);
    let (log, started) = (folder.path().join("late"), Instant::now());
    while !std::fs::read_to_string(&log).unwrap().contains("the queue is away") {
        assert!(started.elapsed() < WATCHDOG, "it does not say that the cluster is away");
        look_again();
    }
    cluster.set_down(false);
    let worker = worker.ready();
    until_done(folder.path(), 60);
    worker.leaves();
}
