//! The bill of materials: which crates the binary is made of, and the certificates beside it, each with its version and
//! licence, in `CycloneDX`.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, MetadataCommand, PackageId};
use cyclonedx_bom::{
    external_models::uri::Purl,
    models::{
        bom::{Bom, SpecVersion},
        component::{Classification, Component, Components},
        license::{LicenseChoice, Licenses},
        metadata::Metadata,
    },
};

/// The package of the binary.
const PACKAGE: &str = "rempart";
/// The package of the certificates.
const AUTHORITIES: &str = "webpki-root-certs";
/// What it is built for.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The bill of the workspace of `manifest`, in JSON.
pub(crate) fn of(manifest: &Path) -> anyhow::Result<Vec<u8>> {
    let options = ["--locked".to_owned(), "--filter-platform".to_owned(), PLATFORM.to_owned()];
    let metadata = MetadataCommand::new().manifest_path(manifest).other_options(options).exec()?;
    let resolved = metadata.resolve.as_ref().context("nothing is resolved")?;
    let root = metadata.packages.iter().find(|package| package.name == PACKAGE).context("there is no such package")?;
    // What is built for tests, or runs during the build alone, is not in the binary.
    let mut linked: BTreeSet<&PackageId> = BTreeSet::new();
    let authorities = metadata.packages.iter().find(|package| package.name == AUTHORITIES);
    let mut next = vec![&root.id, &authorities.context("there are no authorities")?.id];
    while let Some(id) = next.pop() {
        if linked.insert(id)
            && let Some(node) = resolved.nodes.iter().find(|node| node.id == *id)
        {
            let is_linked =
                |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            next.extend(node.deps.iter().filter(|dependency| is_linked(&dependency.dep_kinds)).map(|found| &found.pkg));
        }
    }
    let component = |package: &cargo_metadata::Package, class| {
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let purl = Purl::new("cargo", &name, &version)?;
        let mut component = Component::new(class, &name, &version, Some(purl.to_string()));
        component.purl = Some(purl);
        component.licenses = package.license.as_deref().map(|license| Licenses(vec![choice(license)]));
        anyhow::Ok(component)
    };
    let mut packages: Vec<_> =
        metadata.packages.iter().filter(|package| package.id != root.id && linked.contains(&package.id)).collect();
    packages.sort_by_key(|package| (package.name.to_string(), package.version.clone()));
    let components: Result<Vec<_>, _> =
        packages.into_iter().map(|package| component(package, Classification::Library)).collect();
    let bom = Bom {
        metadata: Some(Metadata {
            component: Some(component(root, Classification::Application)?),
            ..Metadata::default()
        }),
        components: Some(Components(components?)),
        ..Bom::default()
    };
    let mut text = Vec::new();
    bom.output_as_json(&mut text, SpecVersion::V1_5)?;
    text.push(b'\n');
    Ok(text)
}

/// An old way to write `OR` is read as that.
fn choice(license: &str) -> LicenseChoice {
    let license = license.replace('/', " OR ");
    LicenseChoice::expression(&license.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_crate_has_a_licence_and_none_of_the_tests_is_there() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let bill: Value = serde_json::from_slice(&of(&manifest).unwrap()).unwrap();
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        for name in ["kube", "rempart-core", AUTHORITIES] {
            assert!(named(name).is_some(), "{name}");
        }
        assert!(named("proptest").is_none() && named("rempart-lab").is_none());
        for component in components {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
    }
}
