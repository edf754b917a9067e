//! Ten policies over all namespaces: the same levels and categories, each of them demanding in another respect.

/// Levels and categories that demand something in one respect.
struct Theme {
    name: &'static str,
    /// What each of [`LEVELS`] requires, from the least sensitive up; nothing where empty.
    levels: [&'static str; 5],
    /// What each of [`CATEGORIES`] requires.
    categories: [&'static str; 3],
}

/// The levels that every policy has, least to most sensitive.
pub(super) const LEVELS: [&str; 5] = ["open", "internal", "restricted", "secret", "state"];

/// The categories that every policy has.
pub(super) const CATEGORIES: [&str; 3] = ["finance", "health", "personal"];

const THEMES: [Theme; 10] = [
    Theme {
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
    Theme {
        name: "operators",
        levels: ["", "", "{jurisdictions: {operator: [EU]}}", "{jurisdictions: {operator: [FR, DE]}}", ""],
        categories: ["", "{jurisdictions: {operator: [EU]}}", ""],
    },
    Theme {
        name: "control",
        levels: ["", "", "{jurisdictions: {controllingParty: [EEA]}}", "{jurisdictions: {controllingParty: [EU]}}", ""],
        categories: ["", "", "{jurisdictions: {controllingParty: [EEA]}}"],
    },
    Theme {
        name: "technology",
        levels: ["", "", "", "{jurisdictions: {technology: [EEA, US]}}", "{jurisdictions: {technology: [EU]}}"],
        categories: ["", "", ""],
    },
    Theme {
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
    Theme {
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
    Theme {
        name: "finance",
        levels: ["", "", "", "", ""],
        categories: ["{qualifications: [c5], jurisdictions: {data: [EU]}}", "", ""],
    },
    Theme {
        name: "energy",
        levels: ["{maxPUE: 1.9}", "{maxPUE: 1.7, maxCarbonIntensity: 450}", "", "", ""],
        categories: ["", "", ""],
    },
    Theme {
        name: "suppliers",
        levels: ["", "{providers: {deny: [cloud-9]}}", "", "", "{providers: {allow: [cloud-0, cloud-1, cloud-3]}}"],
        categories: ["", "{providers: {deny: [cloud-2, cloud-9]}}", ""],
    },
    Theme {
        name: "regions",
        levels: ["", "", "", "{regions: {deny: [region-3-0, region-6-1]}}", ""],
        categories: ["{regions: {deny: [region-1-1]}}", "", ""],
    },
];

/// The ten policies.
pub(super) fn policies() -> String {
    THEMES.iter().map(policy).collect()
}

fn policy(theme: &Theme) -> String {
    let listed = |names: &[&str], requires: &[&str]| -> String {
        let entry = |(name, require): (&&str, &&str)| match *require {
            "" => format!("  - name: {name}\n"),
            require => format!("  - name: {name}\n    require: {require}\n"),
        };
        names.iter().zip(requires).map(entry).collect()
    };
    let Theme { name, levels, categories } = theme;
    format!(
        "---\napiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata:\n  name: {name}\nspec:\n  mode: \
         Enforce\n  defaultLevel: internal\n  levels:\n{}  categories:\n{}",
        listed(&LEVELS, levels),
        listed(&CATEGORIES, categories),
    )
}
