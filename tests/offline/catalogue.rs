//! The chart of providers and policies to begin with: that it can be judged, and promises no more than it should.

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::LazyLock};

use rempart_core::instant::CalendarDay;
use rempart_lab::chart::{CATALOGUE, ChartRenderer};
use serde_json::Value;

static RENDERER: LazyLock<ChartRenderer> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap().block_on(ChartRenderer::locate()).unwrap());

const POLICIES: [&str; 4] = ["state", "health", "gdpr", "seal"];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(CATALOGUE)
}

fn render(settings: &[String]) -> Result<String, String> {
    let arguments = settings.iter().map(|setting| format!("--set={setting}"));
    RENDERER.template_of(CATALOGUE, arguments).map_err(|error| error.to_string())
}

fn enabled() -> Vec<String> {
    POLICIES.map(|policy| format!("policies.{policy}.enabled=true")).to_vec()
}

fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// What `rempart` prints, and whether it ends well.
fn rempart(arguments: &[&str]) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    let output = command.args(arguments).env_clear().env("HOME", "/nonexistent").output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.success())
}

#[test]
fn lint_finds_no_error_in_the_catalogue_with_any_choice_of_policies() {
    let pools = folder().join("examples/pools.yaml");
    let choices = enabled();
    for settings in std::iter::once(&[][..]).chain(choices.chunks(1)).chain([&choices[..]]) {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        fs::write(file.path(), render(settings).unwrap()).unwrap();
        let files = [file.path().to_str().unwrap(), pools.to_str().unwrap()];
        let (told, good) = rempart(&["lint", files[0], files[1], "--at", "2026-11-28"]);
        assert!(good && told.contains("\n0 errors, "), "{settings:?}: {told}");
    }
}

#[test]
fn no_policy_comes_unasked_and_none_enforces_unasked() {
    assert_eq!(of_kind(&objects(&render(&[]).unwrap()), "PlacementPolicy").len(), 0);
    let asked = objects(&render(&enabled()).unwrap());
    let asked = of_kind(&asked, "PlacementPolicy");
    assert_eq!(asked.len(), POLICIES.len());
    let names = |policy: &Value, list: &str| -> Vec<String> {
        let found = policy["spec"][list].as_array().unwrap().iter();
        found.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    for policy in &asked {
        assert_eq!(policy["spec"]["mode"], "Audit", "{policy}");
        // Several of them may govern one namespace, and refuse what they do not know.
        for list in ["levels", "categories"] {
            assert_eq!(names(policy, list), names(asked[0], list), "{policy}");
        }
    }
    let text = render(&["policies.state.enabled=true".to_owned(), "policies.state.mode=Enforce".to_owned()]).unwrap();
    assert_eq!(of_kind(&objects(&text), "PlacementPolicy")[0]["spec"]["mode"], "Enforce");
}

#[test]
fn every_fact_says_where_and_when_it_was_checked() {
    let objects = objects(&render(&[]).unwrap());
    let providers = of_kind(&objects, "CloudProvider");
    let files = fs::read_dir(folder().join("files/providers")).unwrap();
    let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let names: BTreeSet<_> =
        providers.iter().map(|one| format!("{}.yaml", one["metadata"]["name"].as_str().unwrap())).collect();
    assert_eq!(names, files, "the value providers does not name every file");
    let mut looked_at = 0;
    for provider in providers {
        let name = provider["metadata"]["name"].as_str().unwrap();
        let day = |value: &Value| CalendarDay::parse(value.as_str().unwrap_or_default());
        assert!(day(&provider["spec"]["checked"]).is_ok(), "{name} does not say when it was checked");
        for offer in provider["spec"]["offers"].as_array().unwrap() {
            for found in offer["qualifications"].as_array().into_iter().flatten() {
                assert!(
                    found["source"].as_str().is_some_and(|source| source.starts_with("https://")),
                    "{name}: {found}"
                );
                // The one number that was not found.
                assert!(found["reference"].is_string() || name == "worldline", "{name}: {found}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 14, "{looked_at}");
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let refused = |setting: &str| render(&[setting.to_owned()]).expect_err(setting);
    for setting in ["policies.state.mode=Warning", "providers={outscale,ovh}", "polices.state.enabled=true", "keep=2"] {
        assert!(refused(setting).contains("values don't meet the specifications"), "{}", refused(setting));
    }
    let zone = "zones.numspot/paas[0].name=z,zones.numspot/paas[0].region=r,zones.numspot/paas[0].country=FR";
    assert!(refused(zone).contains("The value zones names numspot/paas, and no provider"), "{}", refused(zone));
    let text = render(&[zone.replace("/paas", "/iaas")]).unwrap();
    assert!(text.contains("- country: FR\n      name: z\n      region: r"), "{text}");
}
