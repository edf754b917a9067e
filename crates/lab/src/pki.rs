//! Certificate authority of one control plane, and the certificates that it signs.
//!
//! It takes a subject and returns the paths of a certificate and its key, both in PEM. Keys are readable by their owner
//! alone.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::{LabError, Result};

/// A certificate with its private key, as files in PEM.
#[derive(Clone, Debug)]
pub(super) struct TlsCredentials {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Signs for one control plane, and keeps its files in one directory.
#[derive(Debug)]
pub(super) struct CertificateAuthority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    credentials: TlsCredentials,
    service_accounts: TlsCredentials,
    issued: AtomicU32,
}

impl CertificateAuthority {
    /// A new authority, with a key pair for `ServiceAccount` tokens beside it.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(LabError::file("create", dir))?;
        let failed = |reason| LabError::Certificate { subject: "the certificate authority".to_owned(), reason };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "rempart-lab");
        let certificate = params.self_signed(&key).map_err(failed)?;
        let credentials = write_pair(dir, "ca", &certificate.pem(), &key)?;
        let signing = KeyPair::generate().map_err(failed)?;
        let service_accounts = write_pair(dir, "service-accounts", &signing.public_key_pem(), &signing)?;
        Ok(Self {
            dir: dir.to_owned(),
            issuer: Issuer::new(params, key),
            credentials,
            service_accounts,
            issued: AtomicU32::new(1),
        })
    }

    /// The authority's own certificate and key.
    pub(super) fn credentials(&self) -> &TlsCredentials {
        &self.credentials
    }

    /// The public (as `certificate`) and private key of `ServiceAccount` tokens.
    pub(super) fn service_accounts(&self) -> &TlsCredentials {
        &self.service_accounts
    }

    /// A certificate for a server on the loopback interface, under the names a cluster gives it.
    pub(super) fn server(&self, name: &str) -> Result<TlsCredentials> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))),
        ];
        for dns in ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
            let dns = dns.try_into().map_err(|source| certificate_error(name, source))?;
            params.subject_alt_names.push(SanType::DnsName(dns));
        }
        self.sign(name, params)
    }

    /// A certificate with which a client is `user`, a member of `group`.
    pub(super) fn client(&self, user: &str, group: Option<&str>) -> Result<TlsCredentials> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&self.unique(user), params)
    }

    /// A file name for what belongs to `user`, different each time: two tests may be the same user
    /// at once, and `system:node:a` would be awkward on a command line.
    pub(super) fn unique(&self, user: &str) -> String {
        let tame = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", user.chars().map(tame).collect::<String>())
    }

    fn sign(&self, stem: &str, mut params: CertificateParams) -> Result<TlsCredentials> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(|source| certificate_error(stem, source))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|source| certificate_error(stem, source))?;
        write_pair(&self.dir, stem, &certificate.pem(), &key)
    }
}

fn certificate_error(subject: &str, reason: rcgen::Error) -> LabError {
    LabError::Certificate { subject: subject.to_owned(), reason }
}

fn write_pair(dir: &Path, stem: &str, public: &str, key: &KeyPair) -> Result<TlsCredentials> {
    let certificate = dir.join(format!("{stem}.crt"));
    let private = dir.join(format!("{stem}.key"));
    write_private(&certificate, public)?;
    write_private(&private, &key.serialize_pem())?;
    Ok(TlsCredentials { certificate, key: private })
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, content: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(LabError::file("write", path))
}
