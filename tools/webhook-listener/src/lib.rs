//! A receiver of webhooks without an opinion: in flow requests, out flows whatever its owner answers
//! to each.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest body that is read: an alert has a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A request's headers by their names in lower case.
pub type Headers = BTreeMap<String, String>;

/// It listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    /// Where webhooks go.
    pub url: String,
    task: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen on any free port. `answer` is asked for the status of every request, such as
    /// `204 No Content`; for `None` the connection is closed without one.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start<Answer>(answer: Answer) -> io::Result<Listener>
    where
        Answer: Fn(&Headers, &[u8]) -> Option<&'static str> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        let task = tokio::spawn(accept(listener, Arc::new(answer)));
        Ok(Listener { url, task })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<Answer>(listener: TcpListener, answer: Arc<Answer>)
where
    Answer: Fn(&Headers, &[u8]) -> Option<&'static str> + Send + Sync + 'static,
{
    while let Ok((connection, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        // A connection that breaks is the sender's to repeat.
        tokio::spawn(async move { converse(connection, &*answer).await });
    }
}

/// As much HTTP/1.1 as a webhook needs: requests with a length, one after the other.
async fn converse(
    connection: TcpStream,
    answer: &(impl Fn(&Headers, &[u8]) -> Option<&'static str> + Sync),
) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(headers) = head(&mut connection).await? {
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let Some(length) = length.filter(|length| *length <= MAX_BODY_BYTES) else {
            return connection.write_all(b"HTTP/1.1 411 Length Required\r\n\r\n").await;
        };
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        let Some(status) = answer(&headers, &body) else { return Ok(()) };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// None when the sender is done.
async fn head(connection: &mut BufReader<TcpStream>) -> io::Result<Option<Headers>> {
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers = Headers::new();
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => return Ok(Some(headers)),
        }
    }
}
