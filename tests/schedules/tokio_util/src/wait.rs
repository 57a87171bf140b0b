//! Waits for a token.

use std::{
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{sync::CancellationToken, token::Node};

pin_project! {
    /// Waits for a borrowed token.
    #[must_use]
    pub struct WaitForCancellationFuture<'a> {
        node: &'a Node,
        entry: Option<u64>,
        // Not `Unpin`, like tokio-util's: code that would need it does not compile here either.
        #[pin]
        pinned: PhantomPinned,
    }

    impl PinnedDrop for WaitForCancellationFuture<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.entry.take().into_iter().for_each(|entry| this.node.forget(entry));
        }
    }
}

pin_project! {
    /// Waits for an owned token.
    #[must_use]
    #[derive(Debug)]
    pub struct WaitForCancellationFutureOwned {
        token: CancellationToken,
        entry: Option<u64>,
        #[pin]
        pinned: PhantomPinned,
    }

    impl PinnedDrop for WaitForCancellationFutureOwned {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.entry.take().into_iter().for_each(|entry| this.token.node().forget(entry));
        }
    }
}

impl<'a> WaitForCancellationFuture<'a> {
    pub(crate) fn new(node: &'a Node) -> Self {
        Self { node, entry: None, pinned: PhantomPinned }
    }
}

impl WaitForCancellationFutureOwned {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { token, entry: None, pinned: PhantomPinned }
    }
}

impl Future for WaitForCancellationFuture<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.node.poll(this.entry, cx.waker())
    }
}

impl Future for WaitForCancellationFutureOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.token.node().poll(this.entry, cx.waker())
    }
}
