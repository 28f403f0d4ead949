//! The connection under HTTP: it remembers the bytes of the request head that is being read, for a
//! check that hyper does not offer, and it lingers when it closes.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Version, header};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// What hyper may buffer to find the end of a request head. Twice what any setting allows, so that
/// our own limits answer first, with a problem document.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long a closing connection swallows what still arrives. Closing with unread bytes makes the
/// kernel send a reset, which can destroy the answer before the caller reads it.
const LINGER: Duration = Duration::from_secs(1);

/// How much it swallows at most.
const LINGER_BYTES: usize = 1024 * 1024;

/// Put on a request whose head had both Content-Length and Transfer-Encoding: hyper follows the
/// latter, as RFC 9112 (6.3) allows, and drops the former, but a proxy before us may have followed
/// the other, and what follows would then be smuggled.
#[derive(Debug, Clone, Copy)]
pub(super) struct AmbiguousLength;

/// The raw bytes since the last request head was complete.
#[derive(Debug, Clone, Default)]
pub(super) struct RawHead(Arc<Mutex<Vec<u8>>>);

impl RawHead {
    fn record(&self, bytes: &[u8]) {
        let mut raw = self.bytes();
        if raw.len() + bytes.len() > 2 * MAX_HEAD_BYTES {
            raw.clear(); // a body; a head that is lost this way is refused below
        }
        raw.extend_from_slice(bytes);
    }

    /// Called when a request's head is complete. Only a request with Transfer-Encoding can be
    /// ambiguous; when the head is not among the recorded bytes it is refused too.
    pub(super) fn is_ambiguous(&self, version: Version, headers: &HeaderMap) -> bool {
        let raw = std::mem::take(&mut *self.bytes());
        version != Version::HTTP_2
            && headers.contains_key(header::TRANSFER_ENCODING)
            && (has_line(&raw, b"content-length:") || !has_line(&raw, b"transfer-encoding:"))
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // plain bytes
    }
}

fn has_line(raw: &[u8], start: &[u8]) -> bool {
    raw.split(|byte| *byte == b'\n')
        .any(|line| line.get(..start.len()).is_some_and(|line| line.eq_ignore_ascii_case(start)))
}

/// A TCP stream that records what is read and lingers.
pub(super) struct Wire {
    stream: TcpStream,
    raw: RawHead,
    linger: Option<Linger>,
}

struct Linger {
    deadline: Pin<Box<Sleep>>,
    left_bytes: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, raw: RawHead::default(), linger: None }
    }

    pub(super) fn raw_head(&self) -> RawHead {
        self.raw.clone()
    }

    /// Ready when the peer has closed, or the deadline or the limit is reached.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            deadline: Box::pin(sleep(LINGER)),
            left_bytes: LINGER_BYTES,
        });
        let mut swallowed = [0; 4096]; // a page; any size works
        loop {
            if linger.deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut swallowed);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if (1..linger.left_bytes).contains(&buffer.filled().len()) => {
                    linger.left_bytes -= buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(new) = buffer.filled().get(before..).filter(|new| !new.is_empty()) {
            this.raw.record(new);
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}
