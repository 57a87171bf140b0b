//! The same tasks under supervisors that are made for a handful of services, not for many tasks.

use std::{future::Future, time::Duration};

use task_supervisor::{SupervisedTask, SupervisorBuilder, TaskResult};
use taskvisor::{Supervisor, SupervisorConfig, TaskFn, TaskOutcome, TaskSpec};
use tokio_graceful_shutdown::{SubsystemBuilder, SubsystemHandle, Toplevel};
use tokio_supervised::{CancellationToken, TaskError};

/// Longer than any round: nothing that was started is dropped.
const AT_MOST: Duration = Duration::from_secs(600);

/// Each run is made of a clone.
struct Service<F>(fn() -> F);

impl<F> Clone for Service<F> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<F> SupervisedTask for Service<F>
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    // A body that must stop at its next await uses `run_until_cancelled`, as its documentation says.
    async fn run(self, token: CancellationToken) -> TaskResult {
        match token.run_until_cancelled((self.0)()).await {
            Some(ended) => Ok(ended?),
            None => Err("cancelled".into()),
        }
    }
}

/// Names are unique, and what has ended stays in its table until the supervisor ends.
pub(super) async fn task_supervisor<F>(tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let supervisor = SupervisorBuilder::new().with_stop_timeout(AT_MOST).spawn();
    for at in 0..tasks {
        let added = supervisor.add_task(&format!("service {at}"), Service(work)).await;
        added.expect("the name is new");
    }
    supervisor.shutdown().await.expect("no task is dead");
}

/// Two tokio tasks for each; it ends when the last has ended.
pub(super) async fn graceful_shutdown<F>(tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let start_all = async move |toplevel: &mut SubsystemHandle| {
        for _ in 0..tasks {
            let service = async move |service: &mut SubsystemHandle| {
                let token = service.create_cancellation_token();
                token.run_until_cancelled(work()).await.unwrap_or(Ok(()))
            };
            toplevel.start(SubsystemBuilder::new("service", service));
        }
    };
    let ended = Toplevel::new(start_all).handle_shutdown_requests(AT_MOST).await;
    ended.expect("no service fails");
}

/// Its shutdown cancels what runs: each task is waited for before.
pub(super) async fn taskvisor<F>(tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let unbounded =
        SupervisorConfig::new().with_max_registered_tasks(None).with_ownership_capacity(None);
    let supervisor = Supervisor::builder(unbounded).build().serve().expect("a runtime runs this");
    let mut started = Vec::new();
    for at in 0..tasks {
        let body = TaskFn::arc(move |_context| async move {
            work().await.map_err(|error| taskvisor::TaskError::fatal(error.to_string()))
        });
        let service = TaskSpec::once(format!("service {at}"), body);
        let added = supervisor.add(service).watch().execute().await;
        started.push(added.expect("the name is new"));
    }
    for service in started {
        let outcome = service.wait().await.expect("it has an outcome");
        assert!(matches!(outcome, TaskOutcome::Completed), "no service fails");
    }
    supervisor.shutdown().await.expect("nothing runs any more");
}
