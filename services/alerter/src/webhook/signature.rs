//! Signatures of Standard Webhooks 1.0: a secret and a message go in, the three headers come out
//! that let a receiver trust it.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use service_kit::settings::Secret;
use sha2::Sha256;

/// What the specification demands at least.
const LEAST_KEY_BYTES: usize = 24;

/// A key that messages are signed with.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and at least {LEAST_KEY_BYTES} bytes in base64")]
pub struct InvalidKey;

impl SigningKey {
    /// Reads `whsec_<base64>`.
    ///
    /// # Errors
    /// The text is something else, or the key is too short.
    pub fn parse(secret: &Secret) -> Result<Self, InvalidKey> {
        let encoded = secret.expose().strip_prefix("whsec_").ok_or(InvalidKey)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidKey)?;
        if key.len() < LEAST_KEY_BYTES {
            return Err(InvalidKey);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| InvalidKey)
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<SigningKey, InvalidKey> {
        SigningKey::parse(&Secret::new(secret))
    }

    #[test]
    fn a_signature_is_the_one_of_the_specifications_own_libraries() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn w10_another_time_body_or_id_has_another_signature() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = key.sign("a", 7, "{}");
        for other in [key.sign("a", 8, "{}"), key.sign("a", 7, "{ }"), key.sign("b", 7, "{}")] {
            assert_ne!(signed, other);
        }
    }

    #[test]
    fn c14_a_key_is_at_least_24_bytes_in_base64() {
        assert!(key("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3").is_ok());
        for bad in ["", "whsec_", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY=", "whsec_*", "x"] {
            assert_eq!(key(bad).err(), Some(InvalidKey), "{bad}");
        }
    }
}
