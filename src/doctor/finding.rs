//! Doctor findings: what would weaken the rule, as data.
//!
//! A check adds [`DoctorFinding`]s, [`UncheckedFact`]s and [`DeclaredRight`]s to its [`CheckResults`]. Nothing is passed in
//! silence: what could not be looked at is as much a result as what was found.

use schemars::JsonSchema;
use serde::Serialize;

pub use crate::diagnostic::Severity;

macro_rules! finding_codes {
    ($($code:ident => $severity:ident;)*) => {
        /// What kind of thing was found. Stable words; further ones may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[allow(missing_docs, reason = "docs/commands.md says of each what it means")]
        pub enum FindingCode {
            $($code,)*
        }

        impl FindingCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// Its name, as in documents.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)*
                }
            }

            /// How bad it is: an error lets the rule be evaded as things stand, and a warning is a right or a fact by which
            /// somebody could.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$code => Severity::$severity,)*
                }
            }
        }
    };
}

finding_codes! {
    ApiServerTooOld => Error;
    AdmissionPluginOff => Error;
    NodeRestrictionOff => Error;
    NodeAuthorizationOff => Error;
    ClockSkew => Error;
    ReleaseMissing => Error;
    SettingsDiffer => Error;
    OperatorSilent => Error;
    AdmissionMissing => Error;
    AdmissionAltered => Error;
    AdmissionForeign => Error;
    AdmissionOrphaned => Error;
    NoPolicy => Warning;
    PolicyNotEnforced => Warning;
    PolicyGovernsNothing => Warning;
    SensitiveInExemptNamespace => Error;
    ExemptNamespaceMissing => Warning;
    ExceptionNamespaceMissing => Warning;
    NamespaceWithoutLevel => Warning;
    VirtualNode => Error;
    PoolClaimable => Warning;
    NodeWithoutProviderID => Warning;
    NodeClockAhead => Warning;
    NodeClockBehind => Warning;
    AdministratorRights => Warning;
    RightsEscalatable => Warning;
    ImpersonationGranted => Warning;
    TokensCreatable => Warning;
    SecretsReadable => Warning;
    ExemptPodsWritable => Warning;
    ExemptWorkloadsWritable => Warning;
    NodesProxied => Warning;
    NodeCertificatesSignable => Warning;
    NodesCreatable => Warning;
    NodesWritable => Warning;
    BindingsCreatable => Warning;
    NodeLabelsGranted => Warning;
    NodeLabelerOnNodes => Warning;
    DeclassifyGranted => Warning;
    PoliciesWritable => Warning;
    ProvidersWritable => Warning;
    PoolsWritable => Warning;
    AdmissionWritable => Warning;
    DefinitionsWritable => Warning;
}

/// Something that weakens the rule, or by which somebody could weaken it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DoctorFinding {
    /// What kind of thing it is.
    pub code: FindingCode,
    /// The object, as `ClusterRoleBinding ci-runner`.
    pub object: String,
    /// The field of it, or the value, that matters; empty where that is the object itself.
    pub field: String,
    /// What is so, in one sentence without a full stop.
    pub message: String,
    /// What it would allow: who could do what.
    pub allows: String,
    /// What to do about it: a command, or a field and its value.
    pub remedy: String,
}

impl DoctorFinding {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UncheckedFact {
    /// The names of the checks that would have looked.
    pub checks: Vec<&'static str>,
    /// What is not known, and why, in one sentence without a full stop.
    pub message: String,
    /// How it can be checked.
    pub remedy: String,
}

/// A right that somebody is meant to have: given by a role of the chart, by Kubernetes itself, or to a subject that was
/// named as trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredRight {
    /// What it would be a finding of, otherwise.
    pub code: FindingCode,
    /// Who has it.
    pub subject: String,
    /// By which binding, and why it is no finding.
    pub by: String,
}

/// What one check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckResults {
    /// What was found.
    pub found: Vec<DoctorFinding>,
    /// What could not be looked at.
    pub unchecked: Vec<UncheckedFact>,
    /// Rights as they are meant to be.
    pub declared: Vec<DeclaredRight>,
}
