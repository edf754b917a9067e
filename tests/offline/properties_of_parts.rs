//! Properties of the parts: of the claims of pools, of admission's twin, and of whatever people may type.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection as many, option, prelude::*, sample::select};
use rempart_core::{
    admission::{AdmissionRefusal, PolicyNeed, SensitivitySource},
    catalogue::Pool,
    instant::{CalendarDay, Timestamp},
    jurisdiction::{Jurisdiction, JurisdictionArea},
    keys,
    name::{CategoryName, Law, LevelName, PolicyName, PoolName, ProviderName, RegionName, Scheme},
    policy::Policy,
    pool_membership::{NodeIdentity, claims},
    selector::{Labels, Selector},
    sensitivity::{PodSensitivity, SensitivityStatement, TemplateStatements},
};

use crate::{
    property_runner::properties,
    worlds::{NameLength, labels, policies, pools, selectors},
};

fn by_name(pools: Vec<Pool>) -> BTreeMap<PoolName, Pool> {
    pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect()
}

fn provider_ids() -> impl Strategy<Value = Option<String>> {
    option::of(select(&["aws:///z1/i-1", "aws:///z2/i-1", "aws:///", "other://x"][..]).prop_map(str::to_owned))
}

/// What somebody says of a level: often one that there is, at times what only looks like one.
fn levels_said() -> impl Strategy<Value = Option<String>> {
    let known = select(&["l0", "l1", "l2", "l3"][..]).prop_map(str::to_owned);
    let odd = select(&["", " ", "L0", "l0 ", " l0", "l00", "ⅼ0", "l0\u{200b}", "l0,l1", "l٠", "l0\0", "none"][..]);
    option::of(prop_oneof![8 => known, 1 => odd.prop_map(str::to_owned)])
}

fn categories_said(separator: &'static str) -> impl Strategy<Value = Option<String>> {
    let odd = select(&["", " c0", "C0", "c9", "c0;c1", "ⅽ0"][..]);
    let one = prop_oneof![12 => select(&["c0", "c1"][..]), 1 => odd];
    option::of(many::vec(one, 1..3).prop_map(move |names| names.join(separator)))
}

type Said = [(Option<String>, Option<String>); 3];

fn said() -> impl Strategy<Value = Said> {
    let one = |separator| (levels_said(), categories_said(separator));
    (one("."), one(","), one(",")).prop_map(|(namespace, workload, pod)| [namespace, workload, pod])
}

/// A namespace, and a template or pod, that say so.
fn statements([namespace, workload, pod]: &Said) -> (SensitivityStatement, TemplateStatements) {
    fn of((sensitivity, categories): &(Option<String>, Option<String>)) -> SensitivityStatement {
        SensitivityStatement {
            sensitivity: sensitivity.as_deref().map(Into::into),
            categories: categories.as_deref().map(Into::into),
        }
    }
    (of(namespace), TemplateStatements { workload: of(workload), pod: of(pod) })
}

/// What `policy` makes of it.
fn need<'a>(policy: &'a Policy, said: &Said) -> Result<PolicyNeed<'a>, Vec<AdmissionRefusal<'a>>> {
    let (namespace, template) = statements(said);
    policy.need(HERE, &PodSensitivity::new(&namespace, [], Some(&template)))
}

fn node_selectors() -> impl Strategy<Value = Labels> {
    let names = [
        "clearance.rempart.node-restriction.kubernetes.io/p.l0",
        "clearance.rempart.node-restriction.kubernetes.io/p.gone",
        "clearance.rempart.node-restriction.kubernetes.io/pq.l0",
        "category.rempart.node-restriction.kubernetes.io/q.c0",
        "exception.rempart.node-restriction.kubernetes.io/p.x",
        "rempart.node-restriction.kubernetes.io/pool",
        "disk",
    ];
    let names = proptest::sample::select(names.map(str::to_owned).to_vec());
    many::btree_map(names, select(&["true", "false", ""][..]).prop_map(str::to_owned), 0..5)
}

/// The namespace that everything is said in.
const HERE: &str = "n0";

properties! {
    cases: 1000;

    #[test]
    fn a_place_has_one_owner_or_none(
        declared in many::vec(pools(NameLength::Short), 0..4),
        labels in labels(),
        id in provider_ids(),
    ) {
        let declared = by_name(declared);
        let place = NodeIdentity { labels: &labels, provider_id: id.as_deref() };
        let found = claims(&declared, place);
        prop_assert_eq!(found.owner().is_some(), found.by.len() == 1);
        for (name, pool) in &declared {
            let claimed = found.by.contains(&name);
            let matches = !pool.selector.is_empty() && pool.selector.matches(&labels);
            let proven = match (&pool.provider_id_prefix, &id) {
                (None, _) => true,
                (Some(prefix), Some(id)) => id.starts_with(prefix),
                (Some(_), None) => false,
            };
            prop_assert_eq!(claimed, matches && proven);
            prop_assert_eq!(found.mismatched.contains(&name), matches && !proven);
        }
    }

    #[test]
    fn a_further_claim_ends_ownership_and_a_further_pool_never_moves_it(
        declared in many::vec(pools(NameLength::Short), 0..4),
        further in pools(NameLength::Short),
        labels in labels(),
        id in provider_ids(),
    ) {
        let declared = by_name(declared);
        let place = NodeIdentity { labels: &labels, provider_id: id.as_deref() };
        let Some(owner) = claims(&declared, place).owner() else { return Ok(()) };
        let name = PoolName::parse("further").unwrap();
        let mut more = declared.clone();
        more.insert(name.clone(), Pool { name: name.clone(), ..further });
        let after = claims(&more, place);
        let expected = if after.by.contains(&&name) { None } else { Some(owner) };
        prop_assert_eq!(after.owner(), expected);
    }

    #[test]
    fn what_demands_nothing_matches_everything(selector in selectors(), labels in labels()) {
        if selector.is_empty() {
            prop_assert!(selector.matches(&labels) && selector.matches(&Labels::new()));
        }
        prop_assert!(Selector::default().is_empty());
    }

    #[test]
    fn the_effective_level_is_the_most_sensitive_that_is_said(policy in policies(NameLength::Short), said in said()) {
        let ranks: Vec<Option<usize>> =
            said.iter().filter_map(|(level, _)| level.as_deref()).map(|level| policy.levels.rank(level)).collect();
        let categories: BTreeSet<&str> = said
            .iter()
            .zip([".", ",", ","])
            .filter_map(|((_, joined), separator)| joined.as_deref().map(|joined| joined.split(separator)))
            .flatten()
            .collect();
        let known = ranks.iter().all(Option::is_some)
            && categories.iter().all(|name| policy.categories.keys().any(|known| known.as_str() == *name));
        let need = need(&policy, &said);
        prop_assert_eq!(need.is_ok(), known, "{:?}", said);
        let Ok(need) = need else { return Ok(()) };
        let expected = ranks.iter().flatten().copied().max();
        let minimum = policy.levels.minimum_rank();
        let heard = expected.unwrap_or(policy.levels.default_rank());
        prop_assert_eq!(need.rank, heard.max(minimum));
        prop_assert_eq!(need.level, &policy.levels.at(need.rank).unwrap().name);
        let first = said.iter().position(|(level, _)| level.as_deref() == Some(need.level.as_str()));
        let source = if heard < minimum { Some(SensitivitySource::Minimum) } else { None };
        let source = source.unwrap_or_else(|| first.map_or(SensitivitySource::Default, |i| [SensitivitySource::Namespace, SensitivitySource::Workload, SensitivitySource::Pod][i]));
        prop_assert_eq!(need.source, source, "a tie is credited to the first");
        prop_assert_eq!(need.categories.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(), categories.clone());
        let applies = policy.exceptions.iter().find(|(_, exception)| exception.namespaces.contains(HERE));
        let applies = applies.filter(|(_, exception)| need.rank <= exception.rank && policy.levels.demands_at(need.rank));
        let applies = applies.map(|(name, _)| name);
        prop_assert_eq!(need.exception, applies);
        let of_level = applies.map_or_else(
            || policy.clearance_key(need.rank),
            |name| Some(format!("exception.rempart.node-restriction.kubernetes.io/{}.{name}", policy.name)),
        );
        let keys: BTreeSet<_> = of_level
            .into_iter()
            .chain(categories.iter().filter_map(|name| policy.category_key(name)))
            .collect();
        prop_assert_eq!(need.keys, keys);
    }

    #[test]
    fn a_level_has_a_key_once_it_or_a_level_below_demands(policy in policies(NameLength::Short)) {
        let mut demanded = false;
        for (rank, level) in policy.levels.iter().enumerate() {
            demanded |= level.require.is_some();
            let key = format!("clearance.rempart.node-restriction.kubernetes.io/{}.{}", policy.name, level.name);
            prop_assert_eq!(policy.clearance_key(rank), demanded.then_some(key));
        }
        prop_assert_eq!(policy.clearance_key(policy.levels.iter().len()), None);
        for (name, require) in &policy.categories {
            let key = format!("category.rempart.node-restriction.kubernetes.io/{}.{name}", policy.name);
            prop_assert_eq!(policy.category_key(name.as_str()), require.is_some().then_some(key));
        }
    }

    #[test]
    fn who_says_it_never_matters(policy in policies(NameLength::Short), said in said()) {
        let level_and_keys = |need: PolicyNeed<'_>| (need.rank, need.keys);
        let turned = {
            let [namespace, workload, pod] = said.clone();
            // Levels change hands; categories stay, for a namespace joins them by another sign.
            [(pod.0, namespace.1), (namespace.0, pod.1), (workload.0, workload.1)]
        };
        let before = need(&policy, &said).map(level_and_keys).ok();
        let after = need(&policy, &turned).map(level_and_keys).ok();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn to_raise_one_statement_never_lowers_the_level(
        policy in policies(NameLength::Short),
        said in said(),
        who in 0..3_usize,
        to in any::<prop::sample::Index>(),
    ) {
        let Ok(before) = need(&policy, &said) else { return Ok(()) };
        let held = said[who].0.as_deref().and_then(|level| policy.levels.rank(level)).unwrap_or(0);
        let raised = held.max(to.index(policy.levels.iter().len()));
        // Whoever was silent may have left the word to the default: who speaks below it is not raising.
        if said.iter().all(|(level, _)| level.is_none()) && raised < policy.levels.default_rank() {
            return Ok(());
        }
        let mut louder = said.clone();
        louder[who].0 = policy.levels.at(raised).map(|level| level.name.to_string());
        let after = need(&policy, &louder).unwrap();
        prop_assert!(after.rank >= before.rank.min(raised.max(before.rank)), "{said:?} {louder:?}");
        prop_assert!(after.rank >= before.rank);
    }

    #[test]
    fn completion_is_idempotent_and_keeps_to_its_own_keys(
        policy in policies(NameLength::Short),
        said in said(),
        selector in node_selectors(),
    ) {
        let Ok(need) = need(&policy, &said) else { return Ok(()) };
        let once = policy.complete(&need, &selector);
        prop_assert_eq!(&policy.complete(&need, &once), &once);
        for key in selector.keys().chain(once.keys()) {
            if need.keys.contains(key) {
                prop_assert_eq!(once.get(key).map(String::as_str), Some(keys::GRANTED));
            } else if keys::asks_of(&policy.name, key) {
                prop_assert!(!once.contains_key(key), "{key} is not needed");
            } else {
                prop_assert_eq!(once.get(key), selector.get(key), "{} is not the policy's", key);
            }
        }
        prop_assert!(need.keys.iter().all(|key| once.contains_key(key)));
        prop_assert!(need.keys.iter().all(|key| keys::asks_of(&policy.name, key) && keys::is_stamp(key)));
    }

    #[test]
    fn a_level_that_is_not_there_is_never_judged(policy in policies(NameLength::Short), level in any::<String>(), who in 0..3_usize) {
        prop_assume!(policy.levels.rank(&level).is_none());
        let mut said = Said::default();
        said[who].0 = Some(level.clone());
        let refusals = need(&policy, &said).unwrap_err();
        prop_assert_eq!(refusals.len(), 1);
        let message = refusals[0].to_string();
        prop_assert!(message.contains("rempart.dev/sensitivity"), "{message}");
        prop_assert!(level.chars().count() > 1024 || message.contains("l0"), "names those that there are: {message}");
    }

    #[test]
    fn a_refusal_is_bounded_whatever_is_said(policy in policies(NameLength::Short), level in any::<String>(), times in 1..2000_usize) {
        let long = level.repeat(times);
        let said = [(Some(long.clone()), Some(long.clone())), (Some(long.clone()), Some(long.clone())), (None, Some(long))];
        if let Err(refusals) = need(&policy, &said) {
            prop_assert!(refusals.len() <= 6);
            for refusal in refusals {
                prop_assert!(refusal.to_string().chars().count() <= 2000, "{refusal}");
            }
        }
    }

    #[test]
    fn nothing_that_can_be_typed_panics(text in any::<String>(), bytes in many::vec(any::<u8>(), 0..40)) {
        let policy = PolicyName::parse("p").unwrap();
        for text in [text.as_str(), &String::from_utf8_lossy(&bytes), &text.to_uppercase()] {
            let _ = (LevelName::parse(text), CategoryName::parse(text), PoolName::parse(text), Scheme::parse(text));
            let _ = (Law::parse(text), RegionName::parse(text), ProviderName::parse(text));
            let _ = (Jurisdiction::parse(text), JurisdictionArea::parse(text), keys::is_stamp(text), keys::asks_of(&policy, text));
            if let Ok(day) = CalendarDay::parse(text) {
                prop_assert!(day.starts() < day.ends());
            }
            for refused in [
                LevelName::parse(text).err().map(|error| error.to_string()),
                CalendarDay::parse(text).err().map(|error| error.to_string()),
                Jurisdiction::parse(text).err().map(|error| error.to_string()),
            ] {
                prop_assert!(refused.is_none_or(|message| (20..1000).contains(&message.len())));
            }
        }
    }

    #[test]
    fn a_day_is_its_instants(days in 0..400_000_i64, second in 0..86_400_i64) {
        // From year 1970 to beyond 3000.
        let instant = Timestamp::from_seconds(days * 86_400 + second);
        let text: String = instant.to_string().chars().take(10).collect();
        let day = CalendarDay::parse(&text).unwrap();
        prop_assert!(day.starts() <= instant && instant < day.ends());
        prop_assert_eq!(day.to_string(), text);
        prop_assert_eq!(CalendarDay::ending_at(day.ends()), day);
    }
}

/// Whether `policy` refuses `level` alone.
fn refuses(policy: &Policy, level: &str) -> bool {
    let said = [(Some(level.to_owned()), None), (None, None), (None, None)];
    need(policy, &said).is_err()
}

properties! {
    cases: 256;

    #[test]
    fn what_only_looks_like_a_level_is_refused(policy in policies(NameLength::Short), i in any::<prop::sample::Index>()) {
        let names: Vec<_> = policy.levels.iter().map(|level| level.name.to_string()).collect();
        let name = i.get(&names);
        prop_assert!(!refuses(&policy, name));
        for lookalike in [
            String::new(),
            name.to_uppercase(),
            format!(" {name}"),
            format!("{name} "),
            format!("{name}\n"),
            format!("{name}\u{200b}"),
            format!("\u{feff}{name}"),
            format!("{name}\0"),
            name.replace('l', "ӏ"),
            name.replace('0', "О"),
            format!("{name},{name}"),
            format!("\"{name}\""),
        ] {
            prop_assert!(lookalike == *name || refuses(&policy, &lookalike), "{lookalike:?}");
        }
    }
}
