//! Takes in what runs.

use super::Engine;
use crate::operator::index::{Change, Observation, Touched};

impl Engine {
    /// Takes in what was seen of pods, of what makes them, and of where they may be.
    pub(super) fn observe_fleet(&mut self, observation: Observation) {
        let (index, shared) = (&mut self.index, &mut self.shared);
        let touched = match observation {
            Observation::Pod(change) => {
                let change = change.map(|mut pod| {
                    shared.pod(&mut pod);
                    pod
                });
                index.pods.observe(change)
            }
            Observation::Controller(kind, change) => {
                let change = change.map(|mut controller| {
                    shared.controller(&mut controller);
                    controller
                });
                index.controllers_of(kind).map_or(Touched::Nothing, |mirror| mirror.observe(change))
            }
            Observation::Claim(change) => index.claims.observe(change.map(|mut claim| {
                shared.claim(&mut claim);
                claim
            })),
            Observation::Namespace(change) => {
                // What else is written on a namespace is no fact.
                self.moves.unsettled |= match &change {
                    Change::Applied(name, namespace) => {
                        index.namespaces.get(name).is_none_or(|known| known.labels != namespace.labels)
                    }
                    Change::Complete => true,
                    _ => false,
                };
                index.namespaces.observe(change)
            }
            Observation::Volume(change) => index.volumes.observe(change),
            _ => Touched::Nothing,
        };
        match touched {
            Touched::Nothing => return,
            Touched::One(_) => {}
            Touched::All => self.shared.sweep(),
        }
        self.fleet_changed = true;
        self.records.look();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1 as k8s;
    use serde_json::json;

    use super::*;
    use crate::operator::{
        engine::{MoveLimits, Settings},
        index::Change,
        metrics::Metrics,
        slim::Seen,
    };
    use rempart_core::{fleet::Pod, workload::Kind};

    fn engine() -> Engine {
        Engine::new(Settings { exempt: Vec::new(), concurrency: 1, limits: MoveLimits::default() }, Metrics::default())
    }

    fn pod(name: &str, version: &str) -> Pod {
        let selector = json!({"clearance.rempart.node-restriction.kubernetes.io/state.high": "true"});
        let object = json!({
            "metadata": {"name": name, "namespace": "n", "resourceVersion": version},
            "spec": {"nodeName": "node", "nodeSelector": selector, "tolerations": [{"operator": "Exists"}]},
        });
        serde_json::from_value::<Seen<k8s::Pod, Pod>>(object).unwrap().kept.unwrap().unwrap()
    }

    fn applied(name: &str, version: &str) -> Observation {
        Observation::Pod(Change::Applied(format!("n/{name}"), pod(name, version)))
    }

    #[test]
    fn what_many_pods_share_is_kept_once() {
        let mut engine = engine();
        for name in ["a", "b"] {
            engine.observe(applied(name, "1"));
        }
        let fleet = engine.index.fleet();
        let (a, b) = (&fleet.pods["n/a"], &fleet.pods["n/b"]);
        assert!(Arc::ptr_eq(&a.wants, &b.wants) && Arc::ptr_eq(&a.said, &b.said));
        assert!(Arc::ptr_eq(&a.terms, &b.terms) && Arc::ptr_eq(&a.claims, &b.claims));
        assert!(Arc::ptr_eq(a.node.as_ref().unwrap(), b.node.as_ref().unwrap()));
        assert!(Arc::strong_count(&a.wants) == 3, "two pods and the interner");
    }

    #[test]
    fn news_of_what_runs_is_noted_and_old_news_is_not() {
        let mut engine = engine();
        for (observation, news) in [
            (applied("a", "5"), true),
            (applied("a", "4"), false),
            (Observation::Pod(Change::Unreadable("n/a".into())), false),
            (Observation::Pod(Change::Restarted), false),
            (Observation::Pod(Change::Complete), true),
            (Observation::Controller(Kind::Job, Change::Complete), true),
            (Observation::Namespace(Change::Complete), true),
            (Observation::Claim(Change::Complete), true),
            (Observation::Volume(Change::Complete), true),
        ] {
            engine.fleet_changed = false;
            let said = format!("{observation:?}");
            engine.observe(observation);
            assert_eq!(engine.fleet_changed, news, "{said}");
        }
    }

    /// Not a limit but a figure: the rest of 50,000 of them must find room in what the operator may take.
    #[test]
    fn a_pod_takes_little() {
        assert!(size_of::<Pod>() <= 128, "{} bytes", size_of::<Pod>());
    }
}
