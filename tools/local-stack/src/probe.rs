//! The shortest request that each component answers only when it is ready for clients.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A component on this machine answers within milliseconds or is not ready; a second covers a
/// machine whose cores are all busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether anything accepts a connection at host:port.
pub(crate) fn connects(address: &str) -> bool {
    connect(address).is_ok()
}

/// Whether Kafka lists a broker that is up: a fenced broker, which would refuse every write,
/// is not in the list. (Metadata request, version 4: kafka.apache.org/protocol)
pub(crate) fn kafka_lists_a_broker(port: u16) -> bool {
    const METADATA: [u8; 2] = 3_u16.to_be_bytes();
    const VERSION: [u8; 2] = 4_u16.to_be_bytes();
    const CORRELATION: [u8; 4] = 1_u32.to_be_bytes();
    const NO_CLIENT_ID: [u8; 2] = (-1_i16).to_be_bytes();
    const NO_TOPICS: [u8; 4] = 0_u32.to_be_bytes();
    const CREATE_NONE: [u8; 1] = [0];
    let body =
        [METADATA.as_slice(), &VERSION, &CORRELATION, &NO_CLIENT_ID, &NO_TOPICS, &CREATE_NONE]
            .concat();
    let Ok(length) = u32::try_from(body.len()) else { return false };
    let request = [length.to_be_bytes().as_slice(), &body].concat();
    // Length, correlation id, throttle time, number of brokers: four bytes each.
    let mut answer = [0_u8; 16];
    exchange(port, &request, &mut answer).is_ok() && answer[12..] != [0, 0, 0, 0]
}

/// Whether an HTTP GET of this path is answered with 200.
pub(crate) fn http_says_ok(port: u16, path: &str) -> bool {
    const OK: &[u8] = b"HTTP/1.1 200";
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let mut answer = [0_u8; OK.len()];
    exchange(port, request.as_bytes(), &mut answer).is_ok() && answer == OK
}

/// Whether PostgreSQL lets `postgres` in. While it starts up or recovers it answers with an
/// error instead. (Protocol 3.0: postgresql.org/docs/current/protocol-message-formats.html)
pub(crate) fn postgres_lets_in(port: u16) -> bool {
    const PROTOCOL: [u8; 4] = 196_608_u32.to_be_bytes();
    const PARAMETERS: &[u8] = b"user\0postgres\0database\0postgres\0\0";
    const AUTHENTICATION: u8 = b'R';
    let Ok(length) = u32::try_from(8 + PARAMETERS.len()) else { return false };
    let request = [length.to_be_bytes().as_slice(), &PROTOCOL, PARAMETERS].concat();
    let mut answer = [0_u8; 1];
    exchange(port, &request, &mut answer).is_ok() && answer[0] == AUTHENTICATION
}

/// Whether Redis answers PING.
pub(crate) fn redis_answers(port: u16) -> bool {
    const PONG: &[u8] = b"+PONG";
    let mut answer = [0_u8; PONG.len()];
    exchange(port, b"PING\r\n", &mut answer).is_ok() && answer == PONG
}

fn exchange(port: u16, request: &[u8], answer: &mut [u8]) -> io::Result<()> {
    let mut stream = connect(&format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    stream.read_exact(answer)
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one connection with these bytes.
    fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 256];
            let _read = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        port
    }

    #[test]
    fn a_broker_list_that_is_empty_means_not_ready() {
        let none = server(&[0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let one = server(&[0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!(!kafka_lists_a_broker(none));
        assert!(kafka_lists_a_broker(one));
    }

    #[test]
    fn a_database_that_still_recovers_is_not_ready() {
        assert!(!postgres_lets_in(server(b"E\0\0\0\x40SFATAL")));
        assert!(postgres_lets_in(server(b"R\0\0\0\x08\0\0\0\0")));
    }

    #[test]
    fn an_http_error_is_not_ready() {
        assert!(!http_says_ok(server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), "/"));
        assert!(http_says_ok(server(b"HTTP/1.1 200 OK\r\n\r\n"), "/"));
    }
}
