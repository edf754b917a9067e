//! Checks: a table of what is looked at, one file a family.

mod admission;
mod api_server;
mod grants;
mod namespaces;
mod nodes;
mod operator;

use super::{
    examined::{Examined, ExaminedKind},
    finding::{CheckResults, DoctorFinding, FindingCode, UncheckedFact},
};

/// One thing that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, a stable word.
    pub name: &'static str,
    /// What it asks, for people.
    pub asks: &'static str,
    /// The kinds without which nothing can be said; one that was not read is told.
    needs: &'static [ExaminedKind],
    /// Whether only a cluster can be asked it.
    pub live: bool,
    examine: fn(&Examined, &mut CheckResults),
}

/// All of them, in the order in which they are told.
pub const CHECKS: &[Check] = &[
    api_server::VERSION,
    api_server::NODE_RESTRICTION,
    api_server::CLOCK,
    operator::RELEASE,
    operator::REPLICAS,
    admission::CHART,
    admission::POLICIES,
    namespaces::GOVERNED,
    namespaces::EXEMPT,
    namespaces::LEVELS,
    nodes::POOLS,
    nodes::VIRTUAL,
    nodes::LEASES,
    grants::RIGHTS,
];

impl Check {
    /// What it comes to for `examined`.
    #[must_use]
    pub fn run(&self, examined: &Examined) -> CheckResults {
        let mut results = CheckResults::default();
        let mut is_readable = true;
        for kind in self.needs {
            if let Err(why) = examined.read(*kind) {
                results.unchecked.push(unread(self.name, *kind, &why));
                is_readable = false;
            }
        }
        if is_readable {
            (self.examine)(examined, &mut results);
        }
        results
    }
}

/// That objects of `kind` were not read, which `check` would look at.
fn unread(check: &'static str, kind: ExaminedKind, why: &str) -> UncheckedFact {
    let plural = kind.plural();
    UncheckedFact {
        checks: vec![check],
        message: format!("{plural} were not read: {why}"),
        remedy: format!(
            "give them too, as `kubectl get {plural} -A -o yaml` writes them, or --cluster with the right to list them"
        ),
    }
}

impl CheckResults {
    fn find(
        &mut self,
        code: FindingCode,
        object: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
        allows: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (object, field, message) = (object.into(), field.into(), message.into());
        self.found.push(DoctorFinding { code, object, field, message, allows: allows.into(), remedy: remedy.into() });
    }

    fn leave(&mut self, check: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.unchecked.push(UncheckedFact { checks: vec![check], message: message.into(), remedy: remedy.into() });
    }
}
