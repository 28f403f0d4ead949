//! How often one client may ask: beyond that it gets 429 with `Retry-After`, before any work.
//!
//! A token bucket for each client, kept as one number: the time at which its bucket would be full
//! again (the generic cell rate algorithm, ITU-T I.371, 5.4.1). A client is an address; of IPv6 the
//! network of 64 bits, for one subscriber has all addresses of it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::HttpSettings;
use crate::Problem;

/// Clients that are remembered at once, about 5 MB. More than connections can be open: who is
/// forgotten has either asked nothing for long, or has let that many others come after it.
const MAX_CLIENTS: usize = 100_000;

/// Forgetting clients whose bucket is full costs about a millisecond when all places are taken: not
/// for each newcomer.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// The address at the other end of the connection; put on every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// A handle, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RateLimit {
    /// One request's worth of time.
    interval: Duration,
    /// How far ahead of time a bucket may be: all of the burst but the request that asks.
    burst: Duration,
    clients: Arc<Mutex<Clients>>,
}

#[derive(Debug)]
struct Clients {
    full_at: HashMap<IpAddr, Instant>,
    forgotten_at: Instant,
}

impl RateLimit {
    /// None when the settings ask for no limit.
    pub(super) fn of(settings: &HttpSettings) -> Option<Self> {
        let per_minute = settings.client_requests_per_minute;
        let interval = Duration::from_secs(60).checked_div(per_minute)?;
        let burst = interval.saturating_mul(settings.client_burst_requests.saturating_sub(1));
        let clients = Clients { full_at: HashMap::new(), forgotten_at: Instant::now() };
        Some(Self { interval, burst, clients: Arc::new(Mutex::new(clients)) })
    }

    /// # Errors
    /// 429 when the client has asked too often.
    pub(super) fn admit(&self, Peer(address): Peer, now: Instant) -> Result<(), Problem> {
        self.take(client(address), now).map_err(|wait| {
            metrics::counter!("factline_http_rate_limited_total").increment(1);
            // Whole seconds, upwards: who comes back earlier only hears it again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Problem::too_many_requests(u32::try_from(seconds).unwrap_or(u32::MAX))
                .detail("this address asks more often than it may")
        })
    }

    /// Takes one request out of the client's bucket, or says how long it has to wait for one.
    fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = clients.full_at.get(&client).copied().unwrap_or(now).max(now);
        let ahead = full_at.duration_since(now);
        if let Some(wait) = ahead.checked_sub(self.burst).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if clients.has_place_for(&client, now) {
            clients.full_at.insert(client, full_at + self.interval);
        }
        Ok(())
    }
}

impl Clients {
    /// A newcomer that finds no place goes unlimited: better than turning it away for what others
    /// did, and the bounds on connections and requests in flight hold for it too.
    fn has_place_for(&mut self, client: &IpAddr, now: Instant) -> bool {
        if self.full_at.len() < MAX_CLIENTS || self.full_at.contains_key(client) {
            return true;
        }
        if now.duration_since(self.forgotten_at) >= FORGET_EVERY {
            self.forgotten_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < MAX_CLIENTS
    }
}

fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: u32, burst: u32) -> RateLimit {
        let interval = Duration::from_secs(60) / per_minute;
        let clients = Clients { full_at: HashMap::new(), forgotten_at: Instant::now() };
        let clients = Arc::new(Mutex::new(clients));
        RateLimit { interval, burst: interval * (burst - 1), clients }
    }

    fn address(text: &str) -> IpAddr {
        client(text.parse().unwrap())
    }

    #[test]
    fn h33_a_burst_is_admitted_and_then_one_request_for_each_interval() {
        let (limit, one, now) = (limit(60, 3), address("192.0.2.1"), Instant::now());
        for _ in 0..3 {
            assert_eq!(limit.take(one, now), Ok(()));
        }
        assert_eq!(limit.take(one, now), Err(Duration::from_secs(1)));
        let almost = now + Duration::from_millis(999);
        assert_eq!(limit.take(one, almost), Err(Duration::from_millis(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(limit.take(one, later), Ok(()));
        assert_eq!(limit.take(one, later), Err(Duration::from_secs(1)));
        assert_eq!(limit.take(address("192.0.2.2"), later), Ok(()), "another client");
        let much_later = now + Duration::from_secs(3_600);
        for _ in 0..3 {
            assert_eq!(limit.take(one, much_later), Ok(()), "no more than the burst is saved up");
        }
        assert!(limit.take(one, much_later).is_err());
    }

    #[test]
    fn h33_an_ipv6_network_is_one_client_and_so_is_a_mapped_address() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn h33_the_memory_for_clients_is_bounded_and_those_at_rest_are_forgotten_first() {
        let (limit, now) = (limit(60, 1), Instant::now());
        let nth = |n: u32| IpAddr::V4(n.into());
        for n in 0..u32::try_from(MAX_CLIENTS).unwrap() {
            assert_eq!(limit.take(nth(n), now), Ok(()));
        }
        let newcomer = nth(u32::MAX);
        for _ in 0..2 {
            assert_eq!(limit.take(newcomer, now), Ok(()), "nobody is turned away for others");
        }
        assert!(limit.take(nth(0), now).is_err(), "and nobody escapes by it");
        let later = now + Duration::from_secs(2);
        assert_eq!(limit.take(newcomer, later), Ok(()));
        assert!(limit.take(newcomer, later).is_err());
        assert_eq!(limit.clients.lock().unwrap().full_at.len(), 1);
    }
}
