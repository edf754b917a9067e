//! Certificate authorities of the webhook: which one signs, which ones API servers shall trust, and when a new one is due.
//!
//! A new authority is trusted for a day before it signs, and an old one until it ends, so that no API server ever meets a
//! certificate whose authority it does not know. All replicas know the same authorities, by a `Secret`, and each makes
//! itself the certificates that it shows: these are never written anywhere.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// How long an authority is valid.
const LIFETIME: Duration = Duration::days(365);
/// How old an authority is when its successor is made.
const RENEWED_AFTER: Duration = Duration::days(240);
/// How long an authority is trusted before it signs, where another one can.
const TRUSTED_BEFORE: Duration = Duration::days(1);
/// How long a certificate is valid.
const CERTIFICATE_LIFETIME: Duration = Duration::days(7);
/// How old a certificate is when the next one is made.
const CERTIFICATE_RENEWED_AFTER: Duration = Duration::days(4);
/// How far clocks may differ.
const CLOCKS: Duration = Duration::hours(1);

/// What begins the names of the entries of the `Secret`; the second at which the authority was made follows.
const ENTRY: &str = "authority-";

/// An authority.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authority {
    made: OffsetDateTime,
    /// Its certificate, in PEM.
    certificate: String,
    /// Its private key, in PEM.
    key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Authority").field("made", &self.made).finish_non_exhaustive()
    }
}

/// What the webhook shows to API servers.
#[derive(Debug)]
pub(super) struct ShownCertificate {
    /// The certificate, in DER.
    pub(super) certificate: Vec<u8>,
    /// Its private key, in DER (PKCS #8).
    pub(super) key: Vec<u8>,
    pub(super) made: OffsetDateTime,
}

/// What is to be done with the authorities that there are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthorityPlan<'a> {
    /// Which one signs; none where there is none yet.
    pub(super) signs: Option<&'a Authority>,
    /// Which ones API servers trust.
    pub(super) trusted: Vec<&'a Authority>,
    /// Whether a new one is due.
    pub(super) is_due: bool,
}

/// What is to be done with the authorities `known`, in the order in which they were made.
pub(super) fn plan(known: &[Authority], now: OffsetDateTime) -> AuthorityPlan<'_> {
    let trusted: Vec<_> = known.iter().filter(|authority| now < authority.made + LIFETIME).collect();
    let is_due = trusted.last().is_none_or(|newest| now >= newest.made + RENEWED_AFTER);
    let ready = trusted.iter().rev().find(|authority| now >= authority.made + TRUSTED_BEFORE);
    let signs = ready.or(trusted.first()).copied();
    AuthorityPlan { signs, trusted, is_due }
}

impl AuthorityPlan<'_> {
    /// What API servers trust, in PEM.
    pub(super) fn bundle(&self) -> String {
        self.trusted.iter().map(|authority| authority.certificate.as_str()).collect()
    }
}

impl Authority {
    fn params(made: OffsetDateTime) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, format!("rempart webhook {}", made.unix_timestamp()));
        (params.not_before, params.not_after) = (made - CLOCKS, made + LIFETIME);
        params
    }

    /// A new one, as of `now`.
    pub(super) fn generate(now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let made = now.replace_nanosecond(0).unwrap_or(now);
        let key = KeyPair::generate()?;
        let certificate = Self::params(made).self_signed(&key)?.pem();
        Ok(Self { made, certificate, key: key.serialize_pem() })
    }

    /// A certificate for the server of these names, as of `now`.
    pub(super) fn issue(&self, names: &[String], now: OffsetDateTime) -> Result<ShownCertificate, rcgen::Error> {
        let issuer = Issuer::new(Self::params(self.made), KeyPair::from_pem(&self.key)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "rempart webhook");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let ends = (now + CERTIFICATE_LIFETIME).min(self.made + LIFETIME);
        (params.not_before, params.not_after) = (now - CLOCKS, ends);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(ShownCertificate { certificate: certificate.der().to_vec(), key: key.serialize_der(), made: now })
    }
}

impl ShownCertificate {
    /// Whether the next one is due.
    pub(super) fn is_due(&self, now: OffsetDateTime) -> bool {
        now >= self.made + CERTIFICATE_RENEWED_AFTER || now < self.made - CLOCKS
    }
}

/// The authorities of `secret`, in the order in which they were made. What cannot be used is none.
pub(super) fn read(secret: &Secret) -> Vec<Authority> {
    let data = secret.data.as_ref();
    let text = |key: &str| data?.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let mut authorities: Vec<_> = data
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| {
            let second = name.strip_prefix(ENTRY)?.strip_suffix(".crt")?;
            let made = OffsetDateTime::from_unix_timestamp(second.parse().ok()?).ok()?;
            let (certificate, key) = (text(name)?, text(&format!("{ENTRY}{second}.key"))?);
            let is_whole = certificate.contains("-----BEGIN CERTIFICATE-----") && KeyPair::from_pem(&key).is_ok();
            is_whole.then_some(Authority { made, certificate, key })
        })
        .collect();
    authorities.sort_by_key(|authority| authority.made);
    authorities
}

/// The entries of a `Secret` of these authorities.
pub(super) fn write<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> BTreeMap<String, ByteString> {
    let entries = authorities.into_iter().flat_map(|authority| {
        let second = authority.made.unix_timestamp();
        let entry = |end, text: &String| (format!("{ENTRY}{second}.{end}"), ByteString(text.clone().into_bytes()));
        [entry("crt", &authority.certificate), entry("key", &authority.key)]
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000 + number)
    }

    #[test]
    fn an_authority_is_trusted_before_it_signs_and_after_it_has_signed() {
        let made = [0, 240].map(|number| Authority::generate(day(number)).unwrap());
        // The day; how many are known; which one signs; how many are trusted; whether one is due.
        let table = [
            (0, 0, None, 0, true),
            (0, 1, Some(0), 1, false),
            (239, 1, Some(0), 1, false),
            (240, 1, Some(0), 1, true),
            (240, 2, Some(0), 2, false),
            (241, 2, Some(1), 2, false),
            (364, 2, Some(1), 2, false),
            (365, 2, Some(1), 1, false),
        ];
        for (at, known, signs, trusted, is_due) in table {
            let known = &made[..known];
            let plan = plan(known, day(at));
            let found = plan.signs.and_then(|found| known.iter().position(|authority| authority == found));
            assert_eq!((found, plan.trusted.len(), plan.is_due), (signs, trusted, is_due), "day {at}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_cannot_be_used_is_none() {
        let authorities = [0, 1].map(|number| Authority::generate(day(number)).unwrap());
        let mut data = write(&authorities);
        assert_eq!(read(&Secret { data: Some(data.clone()), ..Secret::default() }), authorities);
        let key = data.keys().find(|name| name.contains("key")).unwrap().clone();
        data.insert(key, ByteString(b"nonsense".to_vec()));
        data.insert("authority-x.crt".into(), ByteString(b"\xff".to_vec()));
        data.insert("tls.crt".into(), ByteString(vec![]));
        assert_eq!(read(&Secret { data: Some(data), ..Secret::default() }), authorities[1..]);
        assert_eq!(read(&Secret::default()), []);
    }

    #[test]
    fn a_certificate_ends_with_its_authority() {
        let authority = Authority::generate(day(0)).unwrap();
        let names = ["rempart-webhook.rempart-system.svc".to_owned()];
        let shown = authority.issue(&names, day(363)).unwrap();
        assert!(!shown.is_due(day(366)) && shown.is_due(day(367)) && shown.is_due(day(362)));
    }
}
