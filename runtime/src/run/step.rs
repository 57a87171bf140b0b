//! One step of a run, whatever its function: a poll, or the drop by its owner.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Around,
    body::Body,
    core::{Core, Stage},
    end::End,
    frame::{self, Frame},
    output::Verdict,
};
use crate::{
    CancellationToken,
    panic::{self, Caught},
};

/// A run, lent for one step.
pub(super) struct Step<'a> {
    pub(super) core: &'a mut Core,
    pub(super) token: &'a CancellationToken,
    pub(super) body: &'a mut dyn Body,
}

/// Polls a run. Where it ends without an error, the body has returned.
pub(super) fn poll(
    core: &mut Core,
    token: &CancellationToken,
    body: &mut dyn Body,
    cx: &mut Context<'_>,
    around: Around<'_>,
) -> Poll<End> {
    let mut step = Step { core, token, body };
    match step.core.stage {
        Stage::New | Stage::Spawned => step.poll_first(cx, around),
        Stage::Refused => Poll::Ready(step.end_cancelled()),
        Stage::Waiting => step.poll_waiting(cx, around.alarm),
        Stage::Running => step.poll_running(cx, around.alarm),
        Stage::Done => panic!("a supervised future was polled after it had ended"),
    }
}

/// The owner drops a run that has not ended.
pub(super) fn abandon(core: &mut Core, token: &CancellationToken, body: &mut dyn Body) {
    Step { core, token, body }.abandon();
}

impl Step<'_> {
    /// Polls the body, with the frame that the run has so far; a verdict is there where it has returned.
    #[inline]
    pub(super) fn poll_body(
        &mut self,
        frame: &mut Option<Arc<Frame>>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Verdict>, Caught> {
        let holds_permit = self.core.permit.is_some();
        frame::run(self.core.spec, holds_permit, frame, || panic::catch(|| self.body.poll(cx)))
    }

    /// Drops the body, or what it has returned.
    pub(super) fn drop_body(&mut self) -> Result<(), Caught> {
        panic::catch(|| self.body.discard())
    }
}
