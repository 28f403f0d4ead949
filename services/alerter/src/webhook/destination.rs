//! Where a webhook may point: an address goes in, and is refused where it leads inside our own
//! network; names are resolved here, so that what is checked is what is connected to.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use reqwest::Url;
use tower::Service;

/// Why a webhook may not point there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an address of the web.
    #[error("is not an http or https address with a host")]
    Malformed,
    /// Everybody on the way could read it.
    #[error("is http; only https is allowed unless webhook.allow_insecure is on")]
    Insecure,
    /// It leads inside our own network.
    #[error("leads to an internal address, which webhook.allow_insecure would allow")]
    Internal,
}

/// Checks an address as far as that is possible without resolving its name.
///
/// # Errors
/// See [`Refused`].
pub fn check(url: &str, allow_insecure: bool) -> Result<Url, Refused> {
    let url = Url::parse(url).map_err(|_| Refused::Malformed)?;
    let host = url.host_str().ok_or(Refused::Malformed)?;
    // A host in brackets is an IPv6 address.
    let literal = IpAddr::from_str(host.trim_matches(['[', ']'])).ok();
    if !allow_insecure && literal.is_some_and(is_internal) {
        return Err(Refused::Internal);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_insecure => Ok(url),
        "http" => Err(Refused::Insecure),
        _ => Err(Refused::Malformed),
    }
}

/// Where names are looked up.
type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Resolves names for the client, and where only public receivers are allowed gives it no internal
/// address. One internal address among public ones refuses the name: whoever mixes them means no
/// good. The client connects to what it is given here and asks again for its next connection, so a
/// name that changes its mind is caught then.
#[derive(Clone)]
pub struct Names {
    lookup: Arc<Lookup>,
    allowed: Allowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Public,
    Any,
}

impl Names {
    /// With the system's resolver; public addresses only.
    #[must_use]
    pub fn public() -> Self {
        Self { lookup: Arc::new(system), allowed: Allowed::Public }
    }

    /// With the system's resolver; for the local profile.
    #[must_use]
    pub fn any() -> Self {
        Self { lookup: Arc::new(system), allowed: Allowed::Any }
    }

    async fn resolve(self, name: String) -> Result<Addresses, Box<dyn Error + Send + Sync>> {
        let found = (self.lookup)(name).await?;
        if self.allowed == Allowed::Public && found.iter().copied().any(is_internal) {
            return Err(Refused::Internal.into());
        }
        // The port is the client's to set.
        let found: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
        Ok(found.into_iter())
    }
}

fn system(name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Names {
    type Response = Addresses;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Addresses, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name.as_str().to_owned()))
    }
}

/// Whether an address is not one of the public Internet (IANA's special-purpose registries).
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => is_internal_v6(address),
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // shared by carriers
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || (a == 192 && b == 0 && c == 0) // protocol assignments
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = || {
        let [.., high, low] = segments;
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_internal_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(), // mapped, NAT64
        [0, 0, 0, 0, 0, 0, ..] => true, // unspecified, loopback, IPv4-compatible
        [0x2002, ..] | [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => true, // tunnels to anywhere
        [0x2001, 0x0db8, ..] => true,   // documentation
        [first, ..] => first & 0xe000 != 0x2000, // all that is global begins with 001
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w09_an_address_inside_our_own_network_is_internal() {
        for internal in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(is_internal(internal.parse().unwrap()), "{internal}");
        }
        for public in ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(!is_internal(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn w09_an_address_in_another_spelling_is_still_internal() {
        for url in
            ["https://127.1/", "https://0x7f.0.0.1/", "https://2130706433/", "https://[::1]/"]
        {
            assert_eq!(check(url, false).unwrap_err(), Refused::Internal, "{url}");
        }
    }

    #[tokio::test]
    async fn w09_a_name_that_leads_inside_is_not_resolved() {
        assert!(resolved(&Names::public(), "localhost").await.is_err());
    }

    async fn resolved(names: &Names, name: &str) -> Result<Vec<SocketAddr>, String> {
        let found = names.clone().resolve(name.to_owned()).await;
        found.map(Iterator::collect).map_err(|error| error.to_string())
    }

    /// Answers the texts one after the other; an empty one is NXDOMAIN.
    fn answering(answers: &[&'static str]) -> Names {
        let left = std::sync::Mutex::new(answers.to_vec());
        let lookup = move |_| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let answer = left.lock().unwrap().remove(0);
            Box::pin(async move {
                if answer.is_empty() {
                    return Err(io::Error::other("no such name"));
                }
                Ok(answer.split(' ').map(|address| address.parse().unwrap()).collect())
            })
        };
        Names { lookup: Arc::new(lookup), allowed: Allowed::Public }
    }

    #[tokio::test]
    async fn w09_one_internal_address_among_public_ones_refuses_the_name() {
        let mixed = answering(&["1.1.1.1 10.0.0.1", "10.0.0.1 1.1.1.1", "1.1.1.1 1.0.0.1"]);
        for _ in 0..2 {
            let refused = resolved(&mixed, "mixed.example").await.unwrap_err();
            assert_eq!(refused, Refused::Internal.to_string());
        }
        assert_eq!(resolved(&mixed, "mixed.example").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn w09_a_name_that_turns_internal_after_its_first_answer_is_refused_then() {
        let rebinding = answering(&["1.1.1.1", "169.254.169.254"]);
        assert!(resolved(&rebinding, "rebinding.example").await.is_ok());
        assert!(resolved(&rebinding, "rebinding.example").await.is_err());
    }

    #[tokio::test]
    async fn w09_a_name_that_does_not_exist_leads_nowhere() {
        let unknown = answering(&[""]);
        assert_eq!(resolved(&unknown, "nowhere.example").await.unwrap_err(), "no such name");
    }

    #[test]
    fn c14_http_needs_the_local_profile() {
        assert_eq!(check("http://example.com/", false).unwrap_err(), Refused::Insecure);
        assert!(check("http://example.com/", true).is_ok());
        assert!(check("http://127.0.0.1:9/hook", true).is_ok());
        for bad in ["", "example.com", "ftp://example.com/", "file:///etc/passwd", "https://"] {
            assert_eq!(check(bad, true).unwrap_err(), Refused::Malformed, "{bad}");
        }
    }
}
