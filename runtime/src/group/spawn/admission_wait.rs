//! A spawn that asks its group for admission; the run that it is for is elsewhere, since this is the same code
//! for all of a group's functions.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{
    cause::Cause,
    error::{Cancelled, Origin, TaskError},
    function::TaskSpec,
    outcome::Outcome,
    panic::{Caught, drop_quietly},
    {budget, panic},
};
use crate::{
    group::state::GroupState,
    tasks::admission::{Admission, AdmittedRun, QueuedRun, Refusal},
    tasks::failure::Failure,
    tasks::refused::SpawnError,
};

pub(crate) struct AdmissionWait<'a, T, E> {
    pub(crate) group: &'a Arc<GroupState<T, E>>,
    state: SpawnState<'a, E>,
    // A pointer, so that what a run must be is asked at the spawn, and not at its `.await` again.
    error: fn(TaskError) -> E,
}

pub(crate) enum SpawnState<'a, E> {
    New {
        spec: &'static TaskSpec,
    },
    Waiting {
        spec: &'static TaskSpec,
        admission: WaitForAdmission<'a>,
        queued: QueuedRun,
        /// Of the group's waits.
        number: u64,
    },
    /// The closure panicked; the name is that of the task that it would have made. The error's conversion may have
    /// panicked, too.
    Failed {
        task: &'static str,
        error: Result<E, Caught>,
    },
    /// Before the closure was called.
    Refused {
        task: &'static str,
    },
    Done,
}

type WaitForAdmission<'a> = Pin<Box<dyn Future<Output = Result<Admission, Refusal>> + Send + 'a>>;

/// What has become of it.
pub(crate) enum AdmissionResult<'a, T, E> {
    Admitted(Admission, Option<AdmittedSpawn<'a, T, E>>),
    /// To be said once the run is dropped.
    Refused(RefusedSpawn<'a, T, E>),
}

/// It has waited, and is to be spawned.
pub(crate) struct AdmittedSpawn<'a, T, E> {
    wait: AdmittedRun,
    _guard: WaiterGuard<'a, T, E>,
}

impl<T, E> AdmittedSpawn<'_, T, E> {
    /// There is no task: the group was closed since it was admitted.
    pub(crate) fn cancel(self) {
        self.wait.finish_unspawned(Outcome::Cancelled);
    }
}

pub(crate) struct RefusedSpawn<'a, T, E> {
    reason: RefusalReason<E>,
    _guard: Option<WaiterGuard<'a, T, E>>,
}

enum RefusalReason<E> {
    Failed { task: &'static str, error: Result<E, Caught> },
    Refused { task: &'static str },
    Admission { spec: &'static TaskSpec, queued: QueuedRun, refusal: Refusal },
}

impl<'a, T, E> AdmissionWait<'a, T, E> {
    pub(crate) fn new(
        group: &'a Arc<GroupState<T, E>>,
        state: SpawnState<'a, E>,
        error: fn(TaskError) -> E,
    ) -> Self {
        Self { group, state, error }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<AdmissionResult<'a, T, E>> {
        if !matches!(self.state, SpawnState::Waiting { .. }) {
            ready!(budget::spend(cx));
        }
        let reason = match self.state {
            SpawnState::New { spec } => {
                self.state = SpawnState::Done;
                return self.start(spec, cx);
            }
            SpawnState::Waiting { .. } => return self.wait(cx),
            _ => match std::mem::replace(&mut self.state, SpawnState::Done) {
                SpawnState::Failed { task, error } => RefusalReason::Failed { task, error },
                SpawnState::Refused { task } => RefusalReason::Refused { task },
                SpawnState::Done => panic!("a spawn was polled after it had ended"),
                SpawnState::New { .. } | SpawnState::Waiting { .. } => {
                    unreachable!("matched above")
                }
            },
        };
        Poll::Ready(AdmissionResult::Refused(RefusedSpawn { reason, _guard: None }))
    }

    fn start(
        &mut self,
        spec: &'static TaskSpec,
        cx: &mut Context<'_>,
    ) -> Poll<AdmissionResult<'a, T, E>> {
        if let Some(admission) = self.group.slots.try_admit(spec) {
            if admission.permit.is_some() {
                spec.local_metrics().record_wait(0);
            }
            return Poll::Ready(AdmissionResult::Admitted(admission, None));
        }
        self.wait_for_admission(spec, cx)
    }

    #[cold]
    fn wait_for_admission(
        &mut self,
        spec: &'static TaskSpec,
        cx: &mut Context<'_>,
    ) -> Poll<AdmissionResult<'a, T, E>> {
        let number = self.group.add_waiter(spec, self.error);
        let group: &'a GroupState<T, E> = self.group;
        let admission = group.slots.admit(spec, &group.scope, &group.token);
        let (admission, queued) = (Box::pin(admission), QueuedRun::start(spec));
        self.state = SpawnState::Waiting { spec, admission, queued, number };
        self.wait(cx)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<AdmissionResult<'a, T, E>> {
        let SpawnState::Waiting { admission, number, .. } = &mut self.state else {
            unreachable!("only a waiting spawn is polled here");
        };
        self.group.waiter_polled(*number, cx);
        let admitted = ready!(admission.as_mut().poll(cx));
        let SpawnState::Waiting { spec, queued, number, .. } =
            std::mem::replace(&mut self.state, SpawnState::Done)
        else {
            unreachable!("matched above");
        };
        let guard = WaiterGuard { group: self.group, number };
        Poll::Ready(match admitted {
            Ok(admission) => {
                let wait = queued.admitted();
                AdmissionResult::Admitted(admission, Some(AdmittedSpawn { wait, _guard: guard }))
            }
            Err(refusal) => {
                let reason = RefusalReason::Admission { spec, queued, refusal };
                AdmissionResult::Refused(RefusedSpawn { reason, _guard: Some(guard) })
            }
        })
    }

    /// Tells the group why nothing is spawned; with `return_error`, the caller of the spawn instead, as far as it has
    /// not begun to be a task.
    pub(crate) fn report_refusal(
        &self,
        refused: RefusedSpawn<'_, T, E>,
        place: &'static Location<'static>,
        return_error: bool,
    ) -> Result<(), SpawnError> {
        let (task, outcome, error, text) = match refused.reason {
            RefusalReason::Failed { task, error } => (task, Outcome::Panicked, error, None),
            RefusalReason::Refused { task } => return self.refuse(task.into(), return_error),
            RefusalReason::Admission { spec, queued, refusal } => match refusal {
                Refusal::Cancelled => {
                    queued.finish(Outcome::Cancelled);
                    return self.refuse(spec.into(), return_error);
                }
                Refusal::Deadlock(rejected) => {
                    queued.finish(Outcome::Rejected);
                    if return_error {
                        return Err(rejected.into());
                    }
                    let text = rejected.to_string().into();
                    let error = panic::catch(|| (self.error)(TaskError::Rejected(rejected)));
                    (spec.name(), Outcome::Rejected, error, Some(text))
                }
            },
        };
        match error {
            Ok(error) => self.group.fail(Failure { task, place, outcome, error, text }),
            Err(caught) => self.group.fail_untold(task, caught),
        }
        Ok(())
    }

    fn refuse(&self, task: Origin, return_error: bool) -> Result<(), SpawnError> {
        let refusal = self.refusal(task);
        let SpawnError::Cancelled(cancelled) = &refusal else { return Err(refusal) };
        let (cause, error) = (cancelled.cause(), TaskError::Cancelled(cancelled.clone()));
        let error = panic::catch(|| (self.error)(error));
        self.group.refuse(task.name(), cause, error, return_error);
        if return_error { Err(refusal) } else { Ok(()) }
    }

    /// Why the group takes no task: it was joined, or it is cancelled.
    pub(crate) fn refusal(&self, task: Origin) -> SpawnError {
        if self.group.is_joined() {
            return SpawnError::Joined;
        }
        let cause = self.group.scope.cause().unwrap_or(Cause::Token);
        SpawnError::Cancelled(Cancelled::new(task, cause))
    }

    /// Leaves the queue, if it stands in it; then it tells when the wait is over.
    pub(crate) fn cancel(&mut self) -> Option<WaiterGuard<'a, T, E>> {
        let SpawnState::Waiting { number, .. } = self.state else { return None };
        drop_quietly(std::mem::replace(&mut self.state, SpawnState::Done));
        Some(WaiterGuard { group: self.group, number })
    }
}

/// Tells the group when a wait is over, also where the spawn panics: outside a runtime it does.
pub(crate) struct WaiterGuard<'a, T, E> {
    group: &'a GroupState<T, E>,
    number: u64,
}

impl<T, E> Drop for WaiterGuard<'_, T, E> {
    fn drop(&mut self) {
        self.group.remove_waiter(self.number);
    }
}
