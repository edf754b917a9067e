//! Certificate authorities of the webhook: which one signs, which ones API servers shall trust, and when a new one is due.
//!
//! A new authority is trusted for a day before it signs, and an old one until it ends, so that no API server ever meets a
//! certificate whose authority it does not know. All replicas know the same authorities, by a `Secret`, and each makes
//! itself the certificates that it shows: these are never written anywhere.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use time::{Duration, OffsetDateTime};
use yasna::{
    ASN1Result, BERReader, Tag,
    tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME},
};

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
    ends: OffsetDateTime,
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
    made: OffsetDateTime,
    /// When API servers take it for ended.
    pub(super) ends: OffsetDateTime,
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

/// What is to be done with the authorities `known`, in the order in which they were made. One of the future was made by a
/// clock that is wrong, and would stand in the way of all that follow.
pub(super) fn plan(known: &[Authority], now: OffsetDateTime) -> AuthorityPlan<'_> {
    let counts = |authority: &&Authority| authority.made <= now + CLOCKS && now < authority.ends;
    let trusted: Vec<_> = known.iter().filter(counts).collect();
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
        Ok(Self { made, ends: made + LIFETIME, certificate, key: key.serialize_pem() })
    }

    /// The one after `known`, as of `now`: no two are of one second.
    pub(super) fn after(known: &[Self], now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        Self::generate(known.last().map_or(now, |last| now.max(last.made + Duration::SECOND)))
    }

    /// A certificate for the server of these names, as of `now`.
    pub(super) fn issue(&self, names: &[String], now: OffsetDateTime) -> Result<ShownCertificate, rcgen::Error> {
        let issuer = Issuer::new(Self::params(self.made), KeyPair::from_pem(&self.key)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "rempart webhook");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let ends = (now + CERTIFICATE_LIFETIME).min(self.ends);
        (params.not_before, params.not_after) = (now - CLOCKS, ends);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(ShownCertificate { certificate: certificate.der().to_vec(), key: key.serialize_der(), made: now, ends })
    }

    /// The authority of this certificate and key, both in PEM, that was made at `made`. None where they are not one
    /// certificate of that moment and the key to it.
    fn read(made: OffsetDateTime, certificate: String, key: String) -> Option<Self> {
        let mut found = CertificateDer::pem_slice_iter(certificate.as_bytes());
        let (Some(Ok(der)), None) = (found.next(), found.next()) else { return None };
        let facts = yasna::parse_der(&der, CertificateFacts::read).ok()?;
        let is_whole = facts.begins == made - CLOCKS
            && KeyPair::from_pem(&key).is_ok_and(|key| key.subject_public_key_info() == facts.public_key);
        is_whole.then_some(Self { made, ends: facts.ends, certificate, key })
    }
}

/// What a certificate says itself.
struct CertificateFacts {
    begins: OffsetDateTime,
    ends: OffsetDateTime,
    /// In DER.
    public_key: Vec<u8>,
}

impl CertificateFacts {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "a method of one lifetime is none of all")]
    fn read(certificate: BERReader<'_, '_>) -> ASN1Result<Self> {
        certificate.read_sequence(|certificate| {
            let facts = certificate.next().read_sequence(|fields| {
                // Version, serial number, algorithm, issuer; then how long it is valid, its subject and the key of that.
                fields.next().read_tagged(Tag::context(0), |version| version.read_u8())?;
                for _ in 0..3 {
                    fields.next().read_der()?;
                }
                let (begins, ends) =
                    fields.next().read_sequence(|times| Ok((instant(times.next())?, instant(times.next())?)))?;
                fields.next().read_der()?;
                let public_key = fields.next().read_der()?;
                // Its extensions.
                fields.read_optional(|extensions| extensions.read_tagged_der())?;
                Ok(Self { begins, ends, public_key })
            })?;
            // The algorithm and the signature.
            certificate.next().read_der()?;
            certificate.next().read_der()?;
            Ok(facts)
        })
    }
}

fn instant(time: BERReader<'_, '_>) -> ASN1Result<OffsetDateTime> {
    match time.lookahead_tag()? {
        TAG_UTCTIME => Ok(*time.read_utctime()?.datetime()),
        TAG_GENERALIZEDTIME => Ok(*time.read_generalized_time()?.datetime()),
        _ => Err(yasna::ASN1Error::new(yasna::ASN1ErrorKind::Invalid)),
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
            Authority::read(made, certificate, key)
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
    fn an_authority_of_the_future_is_none() {
        let made = [0, 100].map(|number| Authority::generate(day(number)).unwrap());
        let plan = plan(&made, day(99));
        assert_eq!((plan.trusted, plan.is_due), (vec![&made[0]], false));
        // By as much as clocks may differ it is one.
        assert_eq!(super::plan(&made, day(100) - CLOCKS).trusted.len(), 2);
    }

    #[test]
    fn an_authority_is_one_certificate_of_its_moment_and_the_key_to_it() {
        let [one, other] = [0, 0].map(|number| Authority::generate(day(number)).unwrap());
        let read = |made, certificate: &str, key: &str| Authority::read(made, certificate.into(), key.into());
        assert_eq!(read(day(0), &one.certificate, &one.key).as_ref(), Some(&one));
        let cut = &one.certificate[..one.certificate.len() / 2];
        let shorter = one.certificate.replacen("\nMII", "\nMIIB", 1);
        for (made, certificate, key) in [
            (day(0), one.certificate.as_str(), other.key.as_str()),
            (day(1), &one.certificate, &one.key),
            (day(0), &format!("{}{}", one.certificate, other.certificate), &one.key),
            (day(0), cut, &one.key),
            (day(0), &shorter, &one.key),
            (day(0), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &one.key),
            (day(0), "", &one.key),
            (day(0), &one.certificate, ""),
        ] {
            assert_eq!(read(made, certificate, key), None, "{certificate}");
        }
    }

    #[test]
    fn a_certificate_ends_with_its_authority() {
        let authority = Authority::generate(day(0)).unwrap();
        let names = ["rempart-webhook.rempart-system.svc".to_owned()];
        let shown = authority.issue(&names, day(363)).unwrap();
        assert_eq!(shown.ends, day(365));
        assert!(!shown.is_due(day(366)) && shown.is_due(day(367)) && shown.is_due(day(362)));
    }
}
