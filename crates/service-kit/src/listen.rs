//! Opening a port, with an error that a person can act on.

use std::{io::ErrorKind, net::SocketAddr};

use tokio::net::TcpListener;

use crate::ServiceError;

/// Listens on an address; port 0 takes any free one. `setting` names the key it came from.
///
/// # Errors
/// One sentence that names the address, the setting and the cause.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, ServiceError> {
    TcpListener::bind(address).await.map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::AddrInUse => "another process already listens there".to_owned(),
            ErrorKind::PermissionDenied => "this user may not open that port".to_owned(),
            ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        ServiceError::new(format!("cannot listen on {address} ({setting}): {cause}"))
    })
}
