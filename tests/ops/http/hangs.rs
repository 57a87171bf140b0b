//! A runtime whose workers are all blocked.

use std::{sync::mpsc, thread};

use tokio_supervised::{Pool, TaskError, ops, task};

use super::{ask, json_until, object_of, tasks_until};

/// Blocks its one worker with a task, until it is dropped.
struct Hanging {
    address: std::net::SocketAddr,
    runtime: tokio::runtime::Handle,
    ends: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Hanging {
    fn start() -> Self {
        let (started, is_started) = mpsc::channel();
        let (ends, end) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let address = ops::listen(0).unwrap();
                let pool = Pool::new(1);
                let hangs = move || {
                    started.send((address, tokio::runtime::Handle::current())).unwrap();
                    _ = end.recv();
                };
                pool.spawn(task!("hangs", |_| -> Result<(), TaskError> {
                    hangs();
                    Ok(())
                }))
                .await
                .unwrap();
                pool.drain(std::time::Duration::from_secs(60)).await.unwrap();
            });
        });
        let (address, runtime) = is_started.recv().unwrap();
        Self { address, runtime, ends: Some(ends), thread: Some(thread) }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn the_page_is_served_and_names_the_task_that_blocks_the_worker() {
    let hanging = Hanging::start();
    let address = hanging.address;
    let task = json_until(address, |json| object_of(json, "polling", "name", "hangs")).await;
    assert_eq!(task["state"], "polling");
    let first = "\nTASKS THAT BLOCK THEIR WORKER\n  hangs (task ";
    tasks_until(address, |text| text.contains(first)).await;
}

#[tokio::test]
async fn the_health_of_a_runtime_without_a_free_worker_is_503() {
    let hanging = Hanging::start();
    let answer = ask(hanging.address, "/healthz", &[]).await;
    assert_eq!(
        (answer.status, answer.text()),
        (503, "no worker thread of the runtime was free for 2s\n")
    );
}

#[tokio::test]
async fn probes_of_a_blocked_runtime_share_one_task() {
    let hanging = Hanging::start();
    let probe = || ask(hanging.address, "/healthz", &[]);
    let answers = tokio::join!(probe(), probe(), probe(), probe());
    for answer in [answers.0, answers.1, answers.2, answers.3, probe().await] {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    // The task of the pool, and the probe.
    assert_eq!(hanging.runtime.metrics().num_alive_tasks(), 2);
}

#[tokio::test]
async fn a_runtime_that_ended_after_it_hung_is_reported_so() {
    let mut hanging = Hanging::start();
    let address = hanging.address;
    assert_eq!(ask(address, "/healthz", &[]).await.status, 503);
    drop(hanging.ends.take());
    let thread = hanging.thread.take().unwrap();
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    let answer = ask(address, "/healthz", &[]).await;
    assert_eq!((answer.status, answer.text()), (503, "the runtime has ended\n"));
}
