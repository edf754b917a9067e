//! Completion of every manifest of this repository: what is written says what admission would make of it, and is complete.

use std::path::Path;

use rempart::{
    completion::ManifestCompleter,
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects, PodTemplateKinds},
    manifest::{
        files::{self, FileSet},
        read::read,
        walk::FileExclusions,
    },
};

/// Asks something of every pod, so that no template is complete as it stands.
const POLICY: &str = "apiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: all, uid: 0a1b2c3d-0000}\nspec:\n  \
                      mode: Enforce\n  defaultLevel: internal\n  levels:\n  - name: internal\n    \
                      require: {qualifications: [hds]}\n";

#[test]
fn every_manifest_of_the_repository_can_be_completed_and_is_complete_then() {
    let mut sources = SourceMap::default();
    let policy = sources.add("policy", POLICY.to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = ["deploy/demo", "tests/scenarios", "charts/rempart-catalogue/examples"].map(|path| root.join(path));
    let exclusions = FileExclusions::new(&[]).unwrap();
    let mut none = |_: &str, _: &mut dyn std::io::BufRead, _: &mut SourceMap| panic!("no file is that large");
    let FileSet { files, .. } = files::gather(&paths, &exclusions, &mut std::io::empty(), &mut none, &mut sources);

    let mut gathered = GatheredObjects::new("shop");
    read(policy, sources.text(policy), &mut |found| gathered.take(policy, found));
    let located = gathered.into_inventory(&GatherSettings::default());
    let by = ManifestCompleter::new(&located, PodTemplateKinds::default(), "shop", false);
    let (mut completed, mut refused) = (0, Vec::new());
    for (file, _) in files {
        let text = sources.text(file);
        match by.complete(file, text) {
            Ok(once) => {
                let again = by.complete(file, &once.text).unwrap();
                assert_eq!((&again.text, again.objects.len()), (&once.text, 0), "{}", sources.name(file));
                // Nothing of it is lost or cannot be read any more.
                let number = |text: &str| {
                    let mut number = [0, 0];
                    read(file, text, &mut |found| number[usize::from(found.is_ok())] += 1);
                    number
                };
                assert_eq!(number(&once.text), number(text), "{}", sources.name(file));
                completed += once.objects.len();
                // Only lines that were not there are new, and of those that were none is lost but where a map in braces grew.
                let kept = text.lines().filter(|line| once.text.contains(line.trim())).count();
                assert!(text.lines().count() - kept <= 3 * once.objects.len(), "{}", sources.name(file));
            }
            Err(diagnostic) => refused.push(format!("{} {}", sources.name(file), diagnostic.code)),
        }
    }
    assert!(completed >= 60, "only {completed} objects were completed");
    assert!(refused.iter().all(|one| one.ends_with("completion/shared.yaml NotWritable")), "{refused:?}");
}
