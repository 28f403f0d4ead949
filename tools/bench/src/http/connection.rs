//! One keep-alive HTTP/1.1 connection, as little as a load generator needs: a request's bytes out,
//! an answer's status and body in. It costs the same whichever server is at the other end.

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// A connection and what was read from it beyond the last answer.
pub(crate) struct Connection {
    stream: TcpStream,
    read: BytesMut,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers, as they came.
    pub(crate) head: BytesMut,
    pub(crate) body: BytesMut,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = std::str::from_utf8(&self.head).ok()?.split("\r\n");
        let mut headers = lines.filter_map(|line| line.split_once(':'));
        headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, read: BytesMut::with_capacity(4096) })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// The connection ends, or the answer is none that this client reads: it must state its length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        self.stream.write_all(request).await?;
        loop {
            if let Some((status, head_bytes, body_bytes)) = head(&self.read)? {
                while self.read.len() < head_bytes + body_bytes {
                    self.fill().await?;
                }
                let head = self.read.split_to(head_bytes);
                return Ok(Answer { status, head, body: self.read.split_to(body_bytes) });
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(Failure::new("the server closed a connection")),
            _ => Ok(()),
        }
    }
}

/// Status, bytes of the head, bytes of the body; none when the head is not complete.
fn head(read: &[u8]) -> Result<Option<(u16, usize, usize)>, Failure> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let told = || Failure::new("the server answered something else than HTTP/1.1 with a length");
    let text = std::str::from_utf8(&read[..end]).map_err(|_| told())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|status| status.get(..3)?.parse().ok()).ok_or_else(told)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Some((status, end + 4, length.ok_or_else(told)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 201 Created\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(&answer[..20]).unwrap(), None);
        assert_eq!(head(answer).unwrap(), Some((201, answer.len() - 2, 2)));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
