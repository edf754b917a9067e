//! Runner of properties: checks each property of the package over cases from a fixed seed and over cases from a fresh one.
//!
//! It takes a strategy for the inputs, the property as a function of them and a number of cases, and panics with the
//! smallest counterexample that it finds and the command that replays it. Case `n` of a run is drawn from the seed of the
//! run plus `n` and from nothing else: the seed of a counterexample has it as its first case, however late it was found,
//! and no file of past failures stands between a property and its cases.
//!
//! The variables are proptest's own. `PROPTEST_RNG_SEED` replays: the cases from that seed are the only ones.
//! `PROPTEST_CASES` is how many cases the fresh seed is good for; the fixed seed keeps to the property's own number.

use std::{
    hash::{BuildHasher, RandomState},
    io::Write,
    str::FromStr,
    sync::LazyLock,
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, RngSeed, TestCaseResult, TestError, TestRunner},
};

const SEED_VARIABLE: &str = "PROPTEST_RNG_SEED";
const CASES_VARIABLE: &str = "PROPTEST_CASES";

/// The seed that every run has in common.
const FIXED_SEED: u64 = 0;

/// Enough to make the largest of our worlds small, and a minute at most. Counted and not timed: shrinking is deterministic.
const SHRINK_ITERATIONS: u32 = 20_000;

/// The seed of this run alone, announced when the first property asks for it.
static FRESH_SEED: LazyLock<u64> = LazyLock::new(|| {
    // The standard library's own source of entropy. Half of it is enough, and easier to type.
    let seed = RandomState::new().hash_one(()) >> 32;
    announce(&format!(
        "properties: fixed seed {FIXED_SEED}, fresh seed {seed} (replay: {SEED_VARIABLE}={seed} cargo test)"
    ));
    seed
});

/// One property, as a test of this package.
#[derive(Debug)]
pub(crate) struct SeededProperty {
    /// Its crate, modules and name.
    pub(crate) path: &'static str,
    /// The names of its inputs.
    pub(crate) inputs: &'static str,
    /// How many cases each seed is good for.
    pub(crate) cases: u32,
}

impl SeededProperty {
    /// Checks that `test` holds of what `strategy` makes.
    pub(crate) fn check<S: Strategy>(&self, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
        let cases = variable(CASES_VARIABLE);
        if let Some(seed) = variable(SEED_VARIABLE) {
            return self.check_from(seed, cases.unwrap_or(self.cases), strategy, &test);
        }
        let fresh = *FRESH_SEED;
        self.check_from(FIXED_SEED, self.cases, strategy, &test);
        self.check_from(fresh, cases.unwrap_or(self.cases), strategy, &test);
        if let Some(cases) = cases {
            announce(&format!("properties: {} holds in {cases} cases from seed {fresh}", self.path));
        }
    }

    fn check_from<S: Strategy>(
        &self,
        first: u64,
        cases: u32,
        strategy: &S,
        test: &impl Fn(S::Value) -> TestCaseResult,
    ) {
        for case in 0..cases {
            let seed = first.wrapping_add(u64::from(case));
            if let Err(error) = TestRunner::new(one_case(seed)).run(strategy, test) {
                let found = match error {
                    TestError::Fail(why, inputs) => format!("{why}\n{} = {inputs:#?}", self.inputs),
                    TestError::Abort(why) => format!("no case could be made: {why}"),
                };
                panic!("{} fails in case {case} from seed {first}: {found}\n{}", self.path, self.replay(seed));
            }
        }
    }

    /// How to meet the case of `seed` again, as the first one.
    fn replay(&self, seed: u64) -> String {
        let package = env!("CARGO_PKG_NAME");
        let (target, test) = self.path.split_once("::").unwrap_or_default();
        let target = if target == package.replace('-', "_") { "--lib".to_owned() } else { format!("--test {target}") };
        format!("replay: {SEED_VARIABLE}={seed} cargo test --package {package} {target} -- --exact {test}")
    }
}

fn one_case(seed: u64) -> Config {
    Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: SHRINK_ITERATIONS,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    }
}

/// The number that the environment sets `name` to. What is no number is not passed over: it would replay nothing.
fn variable<T: FromStr>(name: &str) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so by the variables of proptest")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a whole number, or too large a one")))
}

/// Writes `line` where the test harness does not capture it: a seed is of use when the run that it began hangs or is
/// killed, too.
fn announce(line: &str) {
    // Whoever has closed the standard error does not want to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Defines tests, each a property of `cases` cases for each seed: `properties! { cases: 100; #[test] fn name(input in strategy) { … } }`.
macro_rules! properties {
    (cases: $cases:expr; $(
        $(#[$attribute:meta])*
        fn $name:ident($($input:pat in $strategy:expr),+ $(,)?) $body:block
    )+) => {$(
        $(#[$attribute])*
        fn $name() {
            let property = $crate::property_runner::SeededProperty {
                path: concat!(module_path!(), "::", stringify!($name)),
                inputs: stringify!(($($input),+)),
                cases: $cases,
            };
            property.check(&($($strategy,)+), |($($input,)+)| {
                $body
                Ok(())
            });
        }
    )+};
}
pub(crate) use properties;
