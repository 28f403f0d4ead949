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

/// The keys that messages are signed with: one, or while a receiver changes over, several.
#[derive(Clone)]
pub struct Signer(Vec<Hmac<Sha256>>);

/// The text holds something that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ and at least {LEAST_KEY_BYTES} bytes in base64, or several of these \
     with blanks between"
)]
pub struct InvalidKey;

impl Signer {
    /// Reads `whsec_<base64>`, or several with blanks between.
    ///
    /// # Errors
    /// There is none, or one is something else or too short.
    pub fn parse(secret: &Secret) -> Result<Self, InvalidKey> {
        let keys: Vec<_> = secret.expose().split_whitespace().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(InvalidKey) } else { Ok(Self(keys)) }
    }

    /// The value of `webhook-signature`: a signature for each key, with blanks between. A receiver
    /// takes the message when one of them is good, whichever of the keys it knows.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signature = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Result<Hmac<Sha256>, InvalidKey> {
    let encoded = text.strip_prefix("whsec_").ok_or(InvalidKey)?;
    let key = STANDARD.decode(encoded).map_err(|_| InvalidKey)?;
    if key.len() < LEAST_KEY_BYTES {
        return Err(InvalidKey);
    }
    Hmac::new_from_slice(&key).map_err(|_| InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<Signer, InvalidKey> {
        Signer::parse(&Secret::new(secret))
    }

    #[test]
    fn a_signature_is_the_one_of_the_specifications_own_libraries() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_keys_sign_as_each_of_them_alone() {
        const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const NEW: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
        let sign = |secret: &str| key(secret).unwrap().sign("a", 7, "{}");
        assert_eq!(sign(&format!("{NEW} {OLD}")), format!("{} {}", sign(NEW), sign(OLD)));
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
        let both = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3 whsec_short";
        assert_eq!(key(both).err(), Some(InvalidKey), "each of several");
        for bad in ["", " ", "whsec_", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY=", "whsec_*", "x"] {
            assert_eq!(key(bad).err(), Some(InvalidKey), "{bad}");
        }
    }
}
