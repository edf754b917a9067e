//! Settings of the operator that reconcilers follow: its component, what admission is told, concurrency and limits of
//! migration.

use super::history::HistorySettings;
use crate::{
    admission::{AdmissionKind, AdmissionSettings, installed::InstalledAdmission},
    operator::component::OperatorComponent,
};

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What of the operator this is.
    pub components: &'static [OperatorComponent],
    /// What admission is told; the operator's own namespace is among the exempt ones.
    pub admission: AdmissionSettings,
    /// What the chart installs.
    pub installed: InstalledAdmission,
    /// How many nodes are written to at a time.
    pub concurrency: usize,
    /// How much may move at a time.
    pub limits: MoveLimits,
    /// Whether history is told, and as whom.
    pub history: Option<HistorySettings>,
}

impl Settings {
    /// Whether this is, or stands for, `component`.
    #[must_use]
    pub fn is(&self, component: OperatorComponent) -> bool {
        self.components.contains(&component)
    }

    /// Whether objects of a kind are followed, by the plural name.
    #[must_use]
    pub fn follows(&self, kind: &str) -> bool {
        let mutation = &self.admission.mutation;
        let is_kept = AdmissionKind::ALL.into_iter().find(|known| known.plural() == kind);
        is_kept.is_none_or(|known| mutation.keeps(known))
            && self.components.iter().any(|component| component.follows(kind, mutation))
    }
}

/// How much may move at a time, in percent of a level's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// So many are on the move together; one workload may always be.
    pub wave: u8,
    /// When more than so many would move within a minute because recorded facts changed, none does until an officer says so.
    pub breaker: u8,
}

impl Default for MoveLimits {
    fn default() -> Self {
        Self { wave: 10, breaker: 50 }
    }
}
