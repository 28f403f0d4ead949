//! One conversation with an SMTP server (RFC 5321) for one letter. How far it came decides what a
//! failure means: before the content was handed over the server certainly has nothing, after it only
//! its answer tells.

use std::sync::atomic::{AtomicBool, Ordering};

use lettre::{
    Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use service_kit::ServiceError;
use tokio::time::timeout;

use super::{
    letter::{Letter, Sender},
    settings::{EmailSettings, Security},
};
use crate::{outbox::Outcome, tls};

/// A server that mail is handed to. Connects for each letter: there are few, and none is kept waiting
/// for a connection that has died meanwhile.
pub struct Smtp {
    settings: EmailSettings,
    host: String,
    port: u16,
    from: Sender,
    hello: ClientId,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
}

/// Where a conversation ended.
enum Failed {
    /// Before anything about the letter was said, or about nobody's letter in particular.
    Way(Error),
    /// The server does not take this letter, or not for this recipient.
    Letter(Error),
}

impl Smtp {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The settings name what cannot be used.
    pub fn new(settings: &EmailSettings) -> Result<Self, ServiceError> {
        let unusable =
            |key: &str, error: String| ServiceError::settings(format!("email.{key}: {error}"));
        let (host, port) =
            settings.server().ok_or_else(|| unusable("smtp", "is not host:port".to_owned()))?;
        let from: Sender =
            settings.from.parse().map_err(|error| unusable("from", format!("{error}")))?;
        let tls = match settings.security {
            Security::None => None,
            Security::Tls | Security::Starttls => Some(
                parameters(host, &settings.ca_file).map_err(|error| unusable("ca_file", error))?,
            ),
        };
        let credentials = (!settings.username.is_empty()).then(|| {
            Credentials::new(settings.username.clone(), settings.password.expose().to_owned())
        });
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let (settings, host) = (settings.clone(), host.to_owned());
        Ok(Self { settings, host, port, from, hello, tls, credentials })
    }

    /// Hands one letter in, once.
    pub async fn send(&self, letter: &Letter) -> Outcome {
        let message = match letter.message(&self.from) {
            Ok(message) => message,
            Err(why) => return Outcome::Rejected { why },
        };
        let handed_over = AtomicBool::new(false);
        let converse = self.converse(&message, &handed_over);
        let outcome = timeout(self.settings.pace().timeout(), converse).await;
        let may_have_it = handed_over.load(Ordering::Relaxed);
        match outcome {
            Ok(Ok(())) => Outcome::Delivered,
            Ok(Err(Failed::Letter(error))) if error.is_permanent() => {
                Outcome::Rejected { why: error.to_string() }
            }
            // A negative answer is a certain no; silence or a broken connection is none.
            Ok(Err(Failed::Letter(error))) if may_have_it && !error.is_transient() => {
                Outcome::Uncertain { why: error.to_string() }
            }
            Ok(Err(Failed::Way(error) | Failed::Letter(error))) => {
                Outcome::refused(error.to_string())
            }
            Err(_) if may_have_it => {
                Outcome::Uncertain { why: "the mail server did not answer in time".to_owned() }
            }
            Err(_) => Outcome::refused("the mail server did not answer in time"),
        }
    }

    async fn converse(&self, message: &Message, handed_over: &AtomicBool) -> Result<(), Failed> {
        let mut connection = self.connect().await.map_err(Failed::Way)?;
        let (envelope, content) = (message.envelope(), message.formatted());
        let mut parameters = Vec::new();
        let international = envelope.to().iter().any(|to| !AsRef::<str>::as_ref(to).is_ascii());
        if international && connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            parameters.push(MailParameter::SmtpUtfEight); // the server refuses them otherwise
        }
        let mail = Mail::new(envelope.from().cloned(), parameters);
        connection.command(mail).await.map_err(Failed::Way)?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            connection.command(recipient).await.map_err(Failed::Letter)?;
        }
        connection.command(Data).await.map_err(Failed::Letter)?;
        handed_over.store(true, Ordering::Relaxed);
        connection.message(&content).await.map_err(Failed::Letter)?;
        // The server has it; how it says goodbye changes nothing.
        let _goodbye = connection.quit().await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let at_once = self.tls.clone().filter(|_| self.settings.security == Security::Tls);
        let server = (self.host.as_str(), self.port);
        let within = Some(self.settings.pace().timeout());
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, within, &self.hello, at_once, None).await?;
        if let Some(tls) = self.tls.clone().filter(|_| !connection.is_encrypted()) {
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

fn parameters(host: &str, ca_file: &str) -> Result<TlsParameters, String> {
    let parameters = TlsParameters::builder(host.to_owned());
    let mut parameters = parameters.certificate_store(CertificateStore::WebpkiRoots);
    for authority in tls::authorities(ca_file).map_err(|error| error.to_string())? {
        let authority = Certificate::from_der(authority.to_vec());
        parameters = parameters.add_root_certificate(authority.map_err(|error| error.to_string())?);
    }
    parameters.build_rustls().map_err(|error| error.to_string())
}
