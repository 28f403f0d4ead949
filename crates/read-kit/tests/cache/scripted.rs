//! A server that understands what a Redis client says and answers what a test wants.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What is answered to a command, by its name, as it goes over the wire; `None`: nothing, ever.
pub type Script = fn(&str) -> Option<&'static str>;

/// Dropping it ends every connection and closes the port.
pub struct Scripted {
    pub url: String,
    connections: Arc<AtomicUsize>,
    listener: JoinHandle<()>,
}

impl Scripted {
    pub async fn begin(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let listener = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                talks.spawn(talk(client, script)); // ends when the client hangs up
            }
        });
        Self { url, connections, listener }
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn talk(client: TcpStream, script: Script) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let words = number(&mut client, '*').await?;
        let mut command = String::new();
        for word in 0..words {
            let mut text = vec![0; number(&mut client, '$').await? + 2]; // and the line's end
            client.read_exact(&mut text).await?;
            if word == 0 {
                command = String::from_utf8_lossy(&text).trim_end().to_uppercase();
            }
        }
        if let Some(answer) = script(&command) {
            client.write_all(answer.as_bytes()).await?;
        }
    }
}

/// Reads a line such as `*3`.
async fn number(client: &mut BufReader<TcpStream>, sign: char) -> std::io::Result<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let number = line.trim_end().strip_prefix(sign).and_then(|number| number.parse().ok());
    number.ok_or_else(|| std::io::Error::other("the client hung up"))
}
