//! A request body with a limit on its size and on the time it takes. Nothing is buffered here.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the body exceeds {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("the body did not arrive in time")]
    TimedOut,
    #[error("the body was cut off")]
    Broken(#[source] axum::Error),
}

/// Errors with [`BodyFault`] when the body is larger or slower than allowed.
pub(super) struct GuardedBody {
    inner: Body,
    limit_bytes: usize,
    left_bytes: usize,
    deadline: Instant,
    /// Made at the first wait only: most bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
}

impl GuardedBody {
    pub(super) fn new(inner: Body, limit_bytes: usize, deadline: Instant) -> Self {
        Self { inner, limit_bytes, left_bytes: limit_bytes, deadline, timer: None }
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = this.left_bytes.checked_sub(length) else {
                    let limit_bytes = this.limit_bytes;
                    return Poll::Ready(Some(Err(BodyFault::TooLarge { limit_bytes })));
                };
                this.left_bytes = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyFault::Broken(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let deadline = this.deadline;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                timer.as_mut().poll(cx).map(|()| Some(Err(BodyFault::TimedOut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}
