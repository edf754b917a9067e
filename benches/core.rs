//! Benchmarks of the core and of the manifest reader, in memory, on the manifests that plans are measured on.
//!
//! `cargo bench --bench core`. What a whole command costs is measured by `rempart-lab bench`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects, LocatedInventory},
    manifest::read::read,
};
use rempart_core::{
    clearance::{ClearanceInput, Judge},
    instant::Timestamp,
    plan::{PlanAssumptions, plan},
    sensitivity::{PodSensitivity, SensitivityStatement, TemplateStatements},
};
use rempart_lab::synthetic::SyntheticOrganisation;

/// 2026-11-22: within the terms of most certificates.
const AT: i64 = 1_795_305_600;

/// How many workloads there are.
const WORKLOADS: usize = 10_000;

/// All manifests of the synthetic organisation, as files have them.
fn sources() -> SourceMap {
    let organisation = SyntheticOrganisation::of(WORKLOADS);
    let mut sources = SourceMap::default();
    for file in organisation.facts().into_iter().chain(organisation.workloads()) {
        sources.add(file.name, file.text);
    }
    sources
}

fn gather(sources: &SourceMap) -> LocatedInventory<'_> {
    let mut gathered = GatheredObjects::new("default");
    for file in sources.files() {
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
    }
    gathered.into_inventory(&GatherSettings::default())
}

/// Whether each pool is cleared for each level of each policy; what categories demand is judged along, and not counted.
fn verdicts(criterion: &mut Criterion, world: &ClearanceInput) {
    let at = Timestamp::from_seconds(AT);
    let levels: usize = world.policies.values().map(|policy| policy.levels.iter().len()).sum();
    let mut group = criterion.benchmark_group("verdicts");
    group.throughput(Throughput::Elements((world.catalogue.pools.len() * levels) as u64));
    group.bench_function("200 pools, 10 policies, 5 levels", |bencher| {
        bencher.iter(|| {
            let judge = Judge::new(black_box(world));
            let cleared = judge.pools(at).map(|pool| {
                let of = pool.policies.iter().map(|policy| {
                    (0..policy.policy().levels.iter().len()).filter(|rank| policy.cleared(*rank)).count()
                });
                of.sum::<usize>()
            });
            cleared.sum::<usize>()
        });
    });
    group.finish();
}

/// What a policy makes of statements that it understands.
fn needs(criterion: &mut Criterion, world: &ClearanceInput) {
    let statement = |sensitivity: &str, categories: Option<&str>| SensitivityStatement {
        sensitivity: Some(sensitivity.into()),
        categories: categories.map(Into::into),
    };
    let (namespace, workload) = (statement("internal", None), statement("restricted", Some("health,personal")));
    let template = TemplateStatements { workload, ..TemplateStatements::default() };
    let said = PodSensitivity::new(&namespace, [], Some(&template));
    let mut group = criterion.benchmark_group("needs");
    group.throughput(Throughput::Elements(world.policies.len() as u64));
    group.bench_function("10 policies", |bencher| {
        bencher
            .iter(|| world.policies.values().filter(|policy| policy.need("claims", black_box(&said)).is_ok()).count());
    });
    group.finish();
}

/// A whole plan, without the sentences: those are made when they are read.
fn plans(criterion: &mut Criterion, located: &LocatedInventory<'_>) {
    let at = Timestamp::from_seconds(AT);
    let mut group = criterion.benchmark_group("plans");
    group.throughput(Throughput::Elements(located.inventory.workloads.len() as u64));
    group.sample_size(20);
    group.bench_function("10000 workloads", |bencher| {
        bencher.iter(|| plan(black_box(&located.inventory), at, PlanAssumptions::default()).workloads.len());
    });
    group.finish();
}

/// From text to nodes, and from text to what is judged.
fn reading(criterion: &mut Criterion, sources: &SourceMap) {
    let bytes: usize = sources.files().map(|file| sources.text(file).len()).sum();
    let mut group = criterion.benchmark_group("reading");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.sample_size(10);
    group.bench_function("nodes", |bencher| {
        bencher.iter(|| {
            let mut objects = 0_usize;
            for file in sources.files() {
                read(file, black_box(sources.text(file)), &mut |found| objects += usize::from(found.is_ok()));
            }
            objects
        });
    });
    group.bench_function("inventory", |bencher| {
        bencher.iter_batched(|| (), |()| gather(black_box(sources)), BatchSize::PerIteration);
    });
    group.finish();
}

fn core(criterion: &mut Criterion) {
    let sources = sources();
    let located = gather(&sources);
    verdicts(criterion, &located.inventory.world);
    needs(criterion, &located.inventory.world);
    plans(criterion, &located);
    reading(criterion, &sources);
}

criterion_group!(benches, core);
criterion_main!(benches);
