//! A spawn that asks its group for admission; the run that it is for is elsewhere, since this is the same code
//! for all of a group's functions.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::super::{
    group_state::{Failure, GroupState},
    refused::SpawnError,
    slots::{Admission, Granting, Refusal, Waiting},
};
use crate::{
    Cancelled, Cause, Outcome, TaskError, budget,
    error::Origin,
    panic::{self, Caught, drop_quietly},
    spec::TaskSpec,
};

pub(super) struct Candidate<'a, T, E> {
    pub(super) group: &'a Arc<GroupState<T, E>>,
    stage: Stage<'a, E>,
    // A pointer, so that what a run must be is asked at the spawn, and not at its `.await` again.
    error: fn(TaskError) -> E,
}

pub(super) enum Stage<'a, E> {
    New {
        spec: &'static TaskSpec,
    },
    Waiting {
        spec: &'static TaskSpec,
        admission: WaitForAdmission<'a>,
        counted: Waiting,
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
pub(super) enum Answer<'a, T, E> {
    Admitted(Admission, Option<Granted<'a, T, E>>),
    /// To be said once the run is dropped.
    No(No<'a, T, E>),
}

/// It has waited, and is to be spawned.
pub(super) struct Granted<'a, T, E> {
    wait: Granting,
    _waited: Waited<'a, T, E>,
}

impl<T, E> Granted<'_, T, E> {
    /// There is no task: the group was closed since it was admitted.
    pub(super) fn in_vain(self) {
        self.wait.in_vain(Outcome::Cancelled);
    }
}

pub(super) struct No<'a, T, E> {
    why: Why<E>,
    _waited: Option<Waited<'a, T, E>>,
}

enum Why<E> {
    Failed { task: &'static str, error: Result<E, Caught> },
    Refused { task: &'static str },
    Waited { spec: &'static TaskSpec, counted: Waiting, refusal: Refusal },
}

impl<'a, T, E> Candidate<'a, T, E> {
    pub(super) fn new(
        group: &'a Arc<GroupState<T, E>>,
        stage: Stage<'a, E>,
        error: fn(TaskError) -> E,
    ) -> Self {
        Self { group, stage, error }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<'a, T, E>> {
        if !matches!(self.stage, Stage::Waiting { .. }) {
            ready!(budget::spend(cx));
        }
        let why = match self.stage {
            Stage::New { spec } => {
                self.stage = Stage::Done;
                return self.begin(spec, cx);
            }
            Stage::Waiting { .. } => return self.wait(cx),
            _ => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Failed { task, error } => Why::Failed { task, error },
                Stage::Refused { task } => Why::Refused { task },
                Stage::Done => panic!("a spawn was polled after it had ended"),
                Stage::New { .. } | Stage::Waiting { .. } => unreachable!("looked at above"),
            },
        };
        Poll::Ready(Answer::No(No { why, _waited: None }))
    }

    fn begin(&mut self, spec: &'static TaskSpec, cx: &mut Context<'_>) -> Poll<Answer<'a, T, E>> {
        if let Some(admission) = self.group.slots.try_admit(spec) {
            if admission.permit.is_some() {
                spec.local_metrics().record_wait(0);
            }
            return Poll::Ready(Answer::Admitted(admission, None));
        }
        self.wait_for_admission(spec, cx)
    }

    #[cold]
    fn wait_for_admission(
        &mut self,
        spec: &'static TaskSpec,
        cx: &mut Context<'_>,
    ) -> Poll<Answer<'a, T, E>> {
        let number = self.group.add_waiter(spec, self.error);
        let group: &'a GroupState<T, E> = self.group;
        let admission = group.slots.admit(spec, &group.scope, &group.token);
        let (admission, counted) = (Box::pin(admission), Waiting::begin(spec));
        self.stage = Stage::Waiting { spec, admission, counted, number };
        self.wait(cx)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Answer<'a, T, E>> {
        let Stage::Waiting { admission, number, .. } = &mut self.stage else {
            unreachable!("only a spawn that waits is asked to");
        };
        self.group.waiter_polled(*number, cx);
        let admitted = ready!(admission.as_mut().poll(cx));
        let Stage::Waiting { spec, counted, number, .. } =
            std::mem::replace(&mut self.stage, Stage::Done)
        else {
            unreachable!("looked at above");
        };
        let waited = Waited { group: self.group, number };
        Poll::Ready(match admitted {
            Ok(admission) => {
                let wait = counted.granted();
                Answer::Admitted(admission, Some(Granted { wait, _waited: waited }))
            }
            Err(refusal) => {
                let why = Why::Waited { spec, counted, refusal };
                Answer::No(No { why, _waited: Some(waited) })
            }
        })
    }

    /// Tells the group why nothing is spawned; with `returns`, the caller of the spawn instead, as far as it has not
    /// begun to be a task.
    pub(super) fn say(
        &self,
        no: No<'_, T, E>,
        place: &'static Location<'static>,
        returns: bool,
    ) -> Result<(), SpawnError> {
        let (task, outcome, error, text) = match no.why {
            Why::Failed { task, error } => (task, Outcome::Panicked, error, None),
            Why::Refused { task } => return self.refuse(task.into(), returns),
            Why::Waited { spec, counted, refusal } => match refusal {
                Refusal::Fired => {
                    counted.ended(Outcome::Cancelled);
                    return self.refuse(spec.into(), returns);
                }
                Refusal::WaitsForItself(rejected) => {
                    counted.ended(Outcome::Rejected);
                    if returns {
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

    fn refuse(&self, task: Origin, returns: bool) -> Result<(), SpawnError> {
        let refusal = self.refusal(task);
        let SpawnError::Cancelled(cancelled) = &refusal else { return Err(refusal) };
        let (cause, error) = (cancelled.cause(), TaskError::Cancelled(cancelled.clone()));
        let error = panic::catch(|| (self.error)(error));
        self.group.refuse(task.name(), cause, error, returns);
        if returns { Err(refusal) } else { Ok(()) }
    }

    /// Why the group takes no task: it was joined, or it is cancelled.
    pub(super) fn refusal(&self, task: Origin) -> SpawnError {
        if self.group.is_joined() {
            return SpawnError::Joined;
        }
        let cause = self.group.scope.cause().unwrap_or(Cause::Token);
        SpawnError::Cancelled(Cancelled::new(task, cause))
    }

    /// Leaves the queue, if it stands in it; then it tells when the wait is over.
    pub(super) fn give_up(&mut self) -> Option<Waited<'a, T, E>> {
        let Stage::Waiting { number, .. } = self.stage else { return None };
        drop_quietly(std::mem::replace(&mut self.stage, Stage::Done));
        Some(Waited { group: self.group, number })
    }
}

/// Tells the group when a wait is over, also where the spawn panics: outside a runtime it does.
pub(super) struct Waited<'a, T, E> {
    group: &'a GroupState<T, E>,
    number: u64,
}

impl<T, E> Drop for Waited<'_, T, E> {
    fn drop(&mut self) {
        self.group.remove_waiter(self.number);
    }
}
