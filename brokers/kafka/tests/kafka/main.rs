//! The workers of a topic, as processes, on a mock cluster that speaks Kafka's protocol.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod cluster;
mod conformance;
mod killed;
mod worker;

use std::time::Duration;

use cluster::{Cluster, PARTITIONS};
use worker::{Worker, refusals, until_done};

/// The number of messages that the workers of one member may run at once.
const AT_ONCE: usize = 8;

/// The time that a message takes: one member does 160 in a second.
const QUICK: Duration = Duration::from_millis(50);

/// Between two batches of twelve: more than one member can do, and less than two.
const FEED: Duration = Duration::from_millis(50);

fn numbers(to: usize) -> impl Iterator<Item = String> {
    (0..to).map(|number| number.to_string())
}

#[test]
fn each_message_is_processed_once_while_members_come_and_go() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let start = |name| Worker::start(&cluster, folder.path(), name, QUICK);

    let feed = cluster.feed(2, FEED);
    let first = start("first");
    first.does(120);
    // It joins under load: the first one drains what it has to give away.
    let second = start("second");
    second.does(120);
    first.leaves();
    let third = start("third");
    third.does(120);
    second.leaves();
    third.does(120);
    let jobs = feed.end();
    let done = until_done(folder.path(), jobs);
    third.leaves();

    let twice = done.values().filter(|times| **times > 1).count();
    let refused = refusals(folder.path(), &["first", "second", "third"]);
    println!(
        "{jobs} jobs, 3 members, 4 rebalances: {twice} done twice, {refused} commits refused, 0 lost"
    );
    assert_eq!(done.len(), jobs);
    assert!(twice == 0 || refused > 0, "{twice} done twice");
}

#[test]
fn a_revoked_partition_is_drained_first() {
    let slow = Duration::from_millis(1_500);
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());

    // A little more than one member can do: it always has as much under way as it can.
    let feed = cluster.feed(1, Duration::from_secs(1));
    let first = Worker::start(&cluster, folder.path(), "first", slow);
    first.does(1);
    let second = Worker::start(&cluster, folder.path(), "second", slow);
    second.does(1);
    let jobs = feed.end();
    let done = until_done(folder.path(), jobs);
    first.leaves();
    second.leaves();

    let twice = done.values().filter(|times| **times > 1).count();
    assert!(twice == 0 || refusals(folder.path(), &["first", "second"]) > 0, "{twice} done twice");
}

#[test]
fn a_killed_member_loses_nothing_and_repeats_little() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let start = |name| Worker::start(&cluster, folder.path(), name, QUICK);

    let feed = cluster.feed(2, FEED);
    let killed = start("killed");
    let heir = start("heir");
    heir.does(120);
    killed.does(120);
    let before = killed.lines().len();
    killed.dies();
    heir.does(120);
    let jobs = feed.end();
    let done = until_done(folder.path(), jobs);
    heir.leaves();

    let again: usize = done.values().map(|times| times - 1).sum();
    println!("{jobs} jobs, 1 member killed after {before}: {again} done again, 0 lost");
    assert_eq!(done.len(), jobs);
    assert!(again < before, "{again} of {before}: what is done is committed about once a second");
}

#[test]
fn a_poisoned_message_is_dead_lettered_and_affects_no_other() {
    const JOBS: usize = 300;
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    cluster.produce(
        numbers(JOBS).map(|job| if job.ends_with('7') { "seven".to_owned() } else { job }),
    );
    let worker = Worker::start(&cluster, folder.path(), "worker", QUICK);
    let done = until_done(folder.path(), JOBS - JOBS / 10);
    // A worker that stops returns what waits for another attempt.
    let dead = cluster.dead_letters(JOBS / 10);
    worker.leaves();
    assert_eq!(done.len() + dead.len(), JOBS);
    for (_, reason) in dead {
        assert!(reason.starts_with("task `square` panicked at "), "{reason}");
    }
}

#[test]
fn committed_messages_are_not_processed_again_after_a_restart() {
    let jobs = AT_ONCE * PARTITIONS as usize;
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    for round in 1..=3 {
        cluster.produce(numbers(jobs));
        let worker = Worker::start(&cluster, folder.path(), "worker", QUICK);
        let done = until_done(folder.path(), round * jobs);
        worker.leaves();
        assert!(done.values().all(|times| *times == 1), "round {round}: {done:?}");
    }
}

#[test]
fn a_busy_member_takes_part_in_a_rebalance() {
    // Every slot of the first one is taken for longer than the test.
    let long = Duration::from_secs(9);
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    cluster.produce(numbers(2 * AT_ONCE));
    let busy = Worker::start(&cluster, folder.path(), "busy", long);
    let idle = Worker::start(&cluster, folder.path(), "idle", QUICK);
    // Its share of the partitions, as soon as the first one has drained them.
    idle.does(1);
    busy.leaves();
    until_done(folder.path(), 2 * AT_ONCE);
    idle.leaves();
}
