//! Many live tasks: what one more costs, and what a run costs beside them.

use std::{hint::black_box, sync::Arc};

use tokio::{runtime::Runtime, sync::Semaphore};
use tokio_supervised::{CancellationToken, Group, TaskError, supervised};

use super::curve;
use crate::settings::Settings;

const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const MORE: u32 = 1_000;

#[supervised]
async fn waits(gate: Arc<Semaphore>) -> Result<(), TaskError> {
    _ = gate.acquire().await;
    Ok(())
}

#[supervised]
async fn ends(ended: Arc<Semaphore>) -> Result<(), TaskError> {
    ended.add_permits(1);
    Ok(())
}

#[supervised]
async fn inline(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// A group whose tasks wait until it is dropped.
struct Crowd<'a> {
    runtime: &'a Runtime,
    group: Option<Group<(), TaskError>>,
    gate: Arc<Semaphore>,
}

impl<'a> Crowd<'a> {
    fn gather(runtime: &'a Runtime, size: usize) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let group = Group::new(&CancellationToken::new());
        runtime.block_on(async {
            for _ in 0..size {
                group.spawn(|token| waits(token, gate.clone())).await;
            }
        });
        Self { runtime, group: Some(group), gate }
    }

    fn spawn_more(&self) {
        let group = self.group.as_ref().expect("the group exists until the drop");
        self.runtime.block_on(async {
            let ended = Arc::new(Semaphore::new(0));
            for _ in 0..MORE {
                group.spawn(|token| ends(token, ended.clone())).await;
            }
            ended.acquire_many(MORE).await.expect("it is never closed").forget();
        });
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        self.gate.close();
        let group = self.group.take().expect("it is dropped once");
        self.runtime.block_on(group.join()).expect("no task fails");
    }
}

pub(super) fn run(settings: &Settings) {
    let runtime = &settings.all_cores();
    let sizes = if settings.quick { &SIZES[..6] } else { &SIZES[..] };
    let what = "live tasks of a group: one more spawn, to its end";
    curve::draw(what, settings, MORE.into(), sizes, |size| {
        let crowd = Crowd::gather(runtime, size);
        Box::new(move || crowd.spawn_more())
    });
    let (token, calls) = (&CancellationToken::new(), settings.calls / 2);
    curve::draw("live tasks of a group: one inline run", settings, calls, sizes, |size| {
        let crowd = Crowd::gather(runtime, size);
        Box::new(move || {
            crowd.runtime.block_on(async {
                for n in 0..calls {
                    _ = black_box(inline(token, n).await);
                }
            });
        })
    });
}
