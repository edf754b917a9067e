//! Ten policies over all namespaces: the same levels and categories, each with requirements of another kind.

/// Levels and categories that demand something in one respect.
struct PolicyTheme {
    name: &'static str,
    /// Requirements of each of [`LEVELS`], from the least sensitive up; none where empty.
    levels: [&'static str; 5],
    /// Requirements of each of [`CATEGORIES`].
    categories: [&'static str; 3],
}

/// The levels that every policy has, least to most sensitive.
pub(super) const LEVELS: [&str; 5] = ["open", "internal", "restricted", "secret", "state"];

/// The categories that every policy has.
pub(super) const CATEGORIES: [&str; 3] = ["finance", "health", "personal"];

const THEMES: [PolicyTheme; 10] = [
    PolicyTheme {
        name: "residence",
        levels: [
            "",
            "{jurisdictions: {data: [EEA, CH]}}",
            "{jurisdictions: {data: [EU]}}",
            "{jurisdictions: {data: [FR, DE]}}",
            "",
        ],
        categories: ["", "{jurisdictions: {data: [EU]}}", "{jurisdictions: {data: [EEA]}}"],
    },
    PolicyTheme {
        name: "operators",
        levels: ["", "", "{jurisdictions: {operator: [EU]}}", "{jurisdictions: {operator: [FR, DE]}}", ""],
        categories: ["", "{jurisdictions: {operator: [EU]}}", ""],
    },
    PolicyTheme {
        name: "control",
        levels: ["", "", "{jurisdictions: {controllingParty: [EEA]}}", "{jurisdictions: {controllingParty: [EU]}}", ""],
        categories: ["", "", "{jurisdictions: {controllingParty: [EEA]}}"],
    },
    PolicyTheme {
        name: "technology",
        levels: ["", "", "", "{jurisdictions: {technology: [EEA, US]}}", "{jurisdictions: {technology: [EU]}}"],
        categories: ["", "", ""],
    },
    PolicyTheme {
        name: "exposure",
        levels: [
            "",
            "{notExposedTo: [cn-national-intelligence-law]}",
            "{notExposedTo: [us-cloud-act, us-fisa-702]}",
            "{notExposedTo: [gb-investigatory-powers-act]}",
            "",
        ],
        categories: ["", "{notExposedTo: [us-cloud-act]}", ""],
    },
    PolicyTheme {
        name: "certificates",
        levels: [
            "",
            "{qualifications: [iso-27001]}",
            "",
            "{qualifications: [secnumcloud]}",
            "{qualifications: [state-cloud]}",
        ],
        categories: ["", "{qualifications: [hds]}", "{qualifications: [iso-27701]}"],
    },
    PolicyTheme {
        name: "finance",
        levels: ["", "", "", "", ""],
        categories: ["{qualifications: [c5], jurisdictions: {data: [EU]}}", "", ""],
    },
    PolicyTheme {
        name: "energy",
        levels: ["{maxPUE: 1.9}", "{maxPUE: 1.7, maxCarbonIntensity: 450}", "", "", ""],
        categories: ["", "", ""],
    },
    PolicyTheme {
        name: "suppliers",
        levels: ["", "{providers: {deny: [cloud-9]}}", "", "", "{providers: {allow: [cloud-0, cloud-1, cloud-3]}}"],
        categories: ["", "{providers: {deny: [cloud-2, cloud-9]}}", ""],
    },
    PolicyTheme {
        name: "regions",
        levels: ["", "", "", "{regions: {deny: [region-3-0, region-6-1]}}", ""],
        categories: ["{regions: {deny: [region-1-1]}}", "", ""],
    },
];

/// The ten policies.
pub(super) fn policies() -> String {
    THEMES.iter().map(policy).collect()
}

fn policy(theme: &PolicyTheme) -> String {
    let listed = |names: &[&str], requires: &[&str]| -> String {
        let entry = |(name, require): (&&str, &&str)| match *require {
            "" => format!("  - name: {name}\n"),
            require => format!("  - name: {name}\n    require: {require}\n"),
        };
        names.iter().zip(requires).map(entry).collect()
    };
    let PolicyTheme { name, levels, categories } = theme;
    format!(
        "---\napiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata:\n  name: {name}\nspec:\n  mode: \
         Enforce\n  defaultLevel: internal\n  levels:\n{}  categories:\n{}",
        listed(&LEVELS, levels),
        listed(&CATEGORIES, categories),
    )
}
