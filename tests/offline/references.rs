//! Names in policies that nothing in the catalogue bears.

use rempart::convert;
use rempart_core::{clearance::ClearanceInput, references::dangling};

#[test]
fn a_misspelt_name_is_told_and_a_known_one_is_not() {
    let mut world = ClearanceInput::default();
    let provider = serde_saphyr::from_str(
        "{operator: {name: A, jurisdiction: FR}, offers: [{name: o, exposedTo: [xx-law], zones: [{name: z, region: r1, country: FR}], qualifications: [{scheme: hds, validFrom: \"2020-01-01\"}]}]}",
    )
    .unwrap();
    let provider = convert::provider("acme", &provider).value.unwrap();
    world.catalogue.providers.insert(provider.name.clone(), provider);
    let policy = serde_saphyr::from_str(
        "{mode: Enforce, defaultLevel: low, levels: [{name: low, require: {providers: {allow: [acme], deny: [acne]}, regions: {allow: [r1], deny: [r2]}, qualifications: [hds, hsd], notExposedTo: [xx-law, us-cloud-act, us-cloudact]}}]}",
    )
    .unwrap();
    let policy = convert::policy("state", &policy).value.unwrap();
    let told: Vec<_> = dangling(&world, &policy).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            r#""acne" in providers.deny of level low"#,
            r#""r2" in regions.deny of level low"#,
            r#""hsd" in qualifications of level low"#,
            r#""us-cloudact" in notExposedTo of level low"#,
        ]
    );
}
