//! Whom we believe over TLS: Mozilla's authorities, compiled in, and those of a file of ours. The same
//! everywhere, whatever the machine trusts.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use service_kit::settings::SettingsProblem;

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// It is not there, or holds something else.
    #[error("cannot be read as certificates in PEM: {0}")]
    Unreadable(#[from] rustls::pki_types::pem::Error),
    /// It holds none.
    #[error("holds no certificate")]
    Empty,
    /// One of them is no authority's.
    #[error("holds a certificate that cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificates of a PEM file; none for no file.
///
/// # Errors
/// See [`CaFileError`].
pub fn authorities(ca_file: &str) -> Result<Vec<CertificateDer<'static>>, CaFileError> {
    if ca_file.is_empty() {
        return Ok(Vec::new());
    }
    let found = CertificateDer::pem_file_iter(ca_file)?.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(CaFileError::Empty) } else { Ok(found) }
}

/// A client that verifies its server against them.
///
/// # Errors
/// See [`CaFileError`].
pub fn client_config(ca_file: &str) -> Result<ClientConfig, CaFileError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for authority in authorities(ca_file)? {
        roots.add(authority)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What is wrong with the key `ca_file` of a section.
#[must_use]
pub fn ca_file_problem(ca_file: &str) -> Option<SettingsProblem> {
    let wrong = client_config(ca_file).err()?;
    Some(SettingsProblem::new("ca_file", format!("{ca_file} {wrong}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c05_a_file_of_authorities_that_is_missing_or_holds_none_is_refused() {
        assert_eq!(ca_file_problem(""), None);
        for bad in ["/nowhere/ca.pem", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let problem = ca_file_problem(bad).unwrap();
            assert!(problem.key == "ca_file" && problem.detail.starts_with(bad), "{problem:?}");
        }
    }
}
