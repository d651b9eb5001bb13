//! Certificates: reading them from PEM files, and saying what is wrong with them while somebody
//! is there to mend it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{Error as TlsError, InconsistentKeys, ServerConfig, version};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use crate::config::TlsFiles;

/// What connections are secured with; nothing for plain HTTP. The error says what is wrong, and
/// with which setting.
pub(crate) fn load(files: &TlsFiles) -> Result<Option<Arc<ServerConfig>>, String> {
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
        return Ok(None);
    };
    let chain = read_chain(certificate)?;
    check_time(certificate, &chain)?;
    let key_der = read_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| format!("this build cannot do TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| unusable(certificate, key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &PemError| {
        let shown = path.display();
        match error {
            PemError::Io(error) => format!("tls.certificate: cannot read {shown}: {error}"),
            error => format!("tls.certificate: {shown} is no PEM file: {error}"),
        }
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error))?;
    if chain.is_empty() {
        let shown = path.display();
        return Err(format!(
            "tls.certificate: there is no certificate in {shown}; it would begin with \
             -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(chain)
}

/// The errors of the PEM reader quote what they read, so only their kind is told.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::Io(error) => format!("tls.key: cannot read {shown}: {error}"),
        PemError::NoItemsFound => format!(
            "tls.key: there is no secret key in {shown}; it would begin with \
             -----BEGIN PRIVATE KEY-----, and must not be encrypted"
        ),
        _ => format!("tls.key: {shown} is no PEM file"),
    })
}

/// Clients would refuse a certificate outside of its time, each with an error of its own.
fn check_time(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let Some(first) = chain.first() else {
        return Ok(());
    };
    let shown = path.display();
    let certificate = EndEntityCert::try_from(first)
        .map_err(|error| format!("tls.certificate: cannot understand {shown}: {error}"))?;
    // Nobody vouches for it here; its time is looked at before that is found out.
    let verified = certificate.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &[],
        &[],
        UnixTime::now(),
        KeyUsage::server_auth(),
        None,
        None,
    );
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => Err(format!(
            "tls.certificate: {shown} expired on {}; renew it",
            date(not_after)
        )),
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => Err(format!(
            "tls.certificate: {shown} is not valid before {}; is this machine's clock right?",
            date(not_before)
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

fn unusable(certificate: &Path, key: &Path, error: &TlsError) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "tls.key: {key} is not the key of the certificate in {certificate}; the certificate \
             that belongs to it must come first there"
        ),
        error => format!("tls.key: {key} with {certificate} cannot be used: {error}"),
    }
}
