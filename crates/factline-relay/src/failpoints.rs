//! Places in the relay where a test can stop the process dead, to kill it there.
//!
//! Only with the feature `failpoints`, and only the one named by `FACTLINE_FAILPOINT`: the process
//! says `failpoint <name>` on its standard error and that thread stands still for ever. Without the
//! feature a call is nothing.

/// Page read and encoded, nothing handed to Kafka.
pub const BEFORE_SEND: &str = "relay.before_send";
/// Kafka has acknowledged a page; its cursor is not saved.
pub const BEFORE_CURSOR: &str = "relay.before_cursor";

/// Stops here if a test asked for it.
#[cfg(feature = "failpoints")]
pub fn reach(name: &str) {
    if std::env::var("FACTLINE_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        eprintln!("failpoint {name}");
        loop {
            std::thread::park();
        }
    }
}

/// Stops here if a test asked for it: not in this build.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reach(_name: &str) {}
