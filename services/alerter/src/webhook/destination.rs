//! Where a webhook may point: an address goes in, and is refused where it leads inside our own
//! network; names are resolved here, so that what is checked is what is connected to.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Why a webhook may not point there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an address of the web.
    #[error("is not an http or https address with a host")]
    Malformed,
    /// Everybody on the way could read it.
    #[error("is http; only https is allowed unless webhook.allow_insecure is on")]
    Insecure,
    /// The client was built without TLS.
    #[error("is https, which this build cannot speak")]
    NoTls,
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
        "http" if allow_insecure => Ok(url),
        "http" => Err(Refused::Insecure),
        "https" => Err(Refused::NoTls), // reqwest's TLS feature is off in this workspace
        _ => Err(Refused::Malformed),
    }
}

/// Resolves names for the client and gives it no internal address. One internal address among
/// public ones refuses the name: whoever mixes them means no good.
#[derive(Debug, Clone, Copy)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if found.iter().any(|address| is_internal(address.ip())) {
                return Err(Refused::Internal.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
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
        let name = Name::from_str("localhost").unwrap();
        assert!(PublicOnly.resolve(name).await.is_err());
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
