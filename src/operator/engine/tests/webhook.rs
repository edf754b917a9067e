//! A policy whose pods a webhook completes: what refuses waits for the webhook, and not for ever.

use super::*;
use crate::admission::{WebhookAddress, WebhookSettings};

/// A cluster with one policy of this mode, in which the webhook's authorities are not known.
fn cluster(mode: &str) -> Cluster {
    let mut cluster = Cluster::new();
    let address = WebhookAddress::Service { namespace: "rempart-system".into(), name: "rempart-webhook".into() };
    let webhook = WebhookSettings { address, authorities: None };
    cluster.engine.settings.admission.mutation = MutationMode::Webhook(webhook);
    cluster.list_all_but_nodes(&[policy(mode)], &[pool("p")]);
    cluster.list_nodes(&[]);
    cluster
}

impl Cluster {
    fn refuses(&self) -> bool {
        !self.admission(AdmissionKind::ValidatingBinding).is_empty()
    }

    fn is_completed(&self) -> bool {
        !self.admission(AdmissionKind::Webhook).is_empty()
    }

    /// So many seconds go by.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.wait(500);
            self.step();
        }
    }
}

#[test]
fn without_an_authority_what_refuses_comes_after_a_while() {
    let mut cluster = cluster("Enforce");
    cluster.pass(14);
    assert!(!cluster.refuses() && !cluster.is_completed());
    cluster.pass(3);
    assert!(cluster.refuses() && !cluster.is_completed(), "{:?}", cluster.log);
    cluster.engine.set_authorities(Some("authorities".into()));
    cluster.pass(1);
    assert!(cluster.is_completed(), "{:?}", cluster.log);
    cluster.rest();
    assert_eq!(cluster.condition("Enforced").0, "True");
}

#[test]
fn with_an_authority_what_refuses_comes_when_the_webhook_acts() {
    let mut cluster = cluster("Enforce");
    cluster.engine.set_authorities(Some("authorities".into()));
    cluster.pass(1);
    assert!(cluster.is_completed() && !cluster.refuses());
    cluster.pass(3);
    assert!(cluster.refuses());
}

#[test]
fn what_completes_nothing_waits_for_no_authority() {
    for mode in ["Warn", "Audit"] {
        let mut cluster = cluster(mode);
        cluster.pass(2);
        assert!(cluster.refuses() && !cluster.is_completed(), "{mode}: {:?}", cluster.log);
    }
}

#[test]
fn whoever_rewrites_the_webhook_holds_nothing_up() {
    let mut cluster = cluster("Enforce");
    cluster.engine.set_authorities(Some("authorities".into()));
    let mut writes = 0;
    for _ in 0..120 {
        cluster.wait(500);
        cluster.step();
        let webhooks = cluster.log.iter().filter(|write| write.contains("rempart.state.mutations")).count();
        if webhooks > writes {
            writes = webhooks;
            let names = cluster.admission(AdmissionKind::Webhook);
            let name = names.first().unwrap().clone();
            let version = cluster.next_version().parse().unwrap();
            let altered = ObservedAdmission {
                version,
                digest: 1,
                authorities: Some(1),
                terminating: false,
                passes_for_ours: true,
            };
            let seen = WatchChange::Applied(name, altered);
            cluster.engine.observe(Observation::Admission(AdmissionKind::Webhook, seen));
        }
        if cluster.refuses() {
            break;
        }
    }
    assert!(cluster.refuses(), "{:?}", cluster.log);
    assert!(writes < 12, "{writes} writes in {:?}", cluster.log);
}
