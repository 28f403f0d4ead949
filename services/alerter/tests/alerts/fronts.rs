//! What stands before a server in a test: TLS, good or bad, or somebody who loses an answer.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};
use uuid::Uuid;

/// An authority of one test, in a file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub file: PathBuf,
}

/// For whom a certificate is, and until when.
pub struct Claims {
    pub name: &'static str,
    pub expires: (i32, u8, u8),
}

impl Claims {
    /// Of the name that every test's server has.
    pub const GOOD: Self = Self { name: "localhost", expires: (2099, 1, 1) };
    pub const EXPIRED: Self = Self { name: "localhost", expires: (2021, 1, 1) };
    pub const OF_ANOTHER: Self = Self { name: "shop.example", expires: (2099, 1, 1) };
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("factline-ca-{}.pem", Uuid::new_v4()));
        fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    pub fn ca_file(&self) -> String {
        self.file.display().to_string()
    }

    /// What a server with such a certificate of this authority shows.
    pub fn server(&self, claims: &Claims) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = params(claims);
        acceptor(params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.file);
    }
}

/// What a server shows that nobody vouches for.
pub fn self_signed(claims: &Claims) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    acceptor(params(claims).self_signed(&key).unwrap(), &key)
}

fn params(claims: &Claims) -> CertificateParams {
    let mut params = CertificateParams::new(vec![claims.name.to_owned()]).unwrap();
    let (year, month, day) = claims.expires;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    params
}

fn acceptor(certificate: rcgen::Certificate, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// It listens until it is dropped.
pub struct Front {
    pub address: String,
    task: JoinHandle<()>,
}

impl Front {
    /// From the first byte on.
    pub async fn before(server: String, tls: TlsAcceptor) -> Self {
        Self::new(move |client| {
            let (server, tls) = (server.clone(), tls.clone());
            async move {
                let Ok(mut client) = tls.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _closed = copy_bidirectional(&mut client, &mut server).await;
            }
        })
        .await
    }

    /// From STARTTLS on, before the SMTP server.
    pub async fn starttls(server: String, tls: TlsAcceptor) -> Self {
        Self::new(move |client| {
            let (server, tls) = (server.clone(), tls.clone());
            async move {
                let mut client = BufReader::new(client);
                say(&mut client, "220 front\r\n").await;
                hear(&mut client).await; // EHLO
                say(&mut client, "250-front\r\n250 STARTTLS\r\n").await;
                if !hear(&mut client).await.starts_with("STARTTLS") {
                    return;
                }
                say(&mut client, "220 go ahead\r\n").await;
                let Ok(mut client) = tls.accept(client.into_inner()).await else { return };
                let mut server = BufReader::new(TcpStream::connect(server).await.unwrap());
                hear(&mut server).await; // the greeting, which this client has had
                let _closed = copy_bidirectional(&mut client, &mut server).await;
            }
        })
        .await
    }

    /// An SMTP server that knows nobody.
    pub async fn refusing_recipients() -> Self {
        Self::new(|client| async move {
            let mut client = BufReader::new(client);
            say(&mut client, "220 front\r\n").await;
            loop {
                let line = hear(&mut client).await;
                let answer = match line.get(..4) {
                    None => return,
                    Some("RCPT") => "550 5.1.1 nobody of that name\r\n",
                    Some(_) => "250 front\r\n",
                };
                say(&mut client, answer).await;
            }
        })
        .await
    }

    /// Hands everything on, but for the SMTP server's answer to a mail's content: that never comes.
    pub async fn losing_the_last_answer(server: String) -> Self {
        Self::new(move |client| {
            let server = server.clone();
            async move {
                let mut client = BufReader::new(client);
                let mut server = BufReader::new(TcpStream::connect(server).await.unwrap());
                let mut content = false;
                loop {
                    if !content {
                        let answer = whole_answer(&mut server).await;
                        content = answer.starts_with("354");
                        say(&mut client, &answer).await;
                    }
                    let line = hear(&mut client).await;
                    say(&mut server, &line).await;
                    if line.is_empty() || (content && line == ".\r\n") {
                        break;
                    }
                }
                whole_answer(&mut server).await;
                std::future::pending::<()>().await;
            }
        })
        .await
    }

    async fn new<F: Future<Output = ()> + Send + 'static>(
        converse: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(converse(client));
            }
        });
        Self { address, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), text: &str) {
    to.write_all(text.as_bytes()).await.unwrap();
    to.flush().await.unwrap();
}

async fn hear(from: &mut BufReader<impl AsyncRead + Unpin>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).await.unwrap();
    line
}

/// All lines of an SMTP answer.
async fn whole_answer(from: &mut BufReader<impl AsyncRead + Unpin>) -> String {
    let mut answer = String::new();
    loop {
        let line = hear(from).await;
        answer.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return answer;
        }
    }
}
