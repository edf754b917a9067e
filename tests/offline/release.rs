//! The release workflows, as far as they can be checked without running them: what they name is there.

use serde_json::Value;

#[test]
fn workflows_name_what_is_there() {
    let values = include_str!("../../charts/rempart/values.yaml");
    let makefile = include_str!("../../Makefile");
    for text in [include_str!("../../deploy/release/github.yml"), include_str!("../../deploy/release/gitlab.yml")] {
        let _: Value = serde_saphyr::from_str(text).unwrap();
        // The lines that they replace, each once; one of them quotes the second.
        for line in ["  repository: rempart", "  digest: \"\""] {
            let quoted = line.replace('"', "\\\"");
            assert!([line, &*quoted].iter().any(|line| text.contains(&format!("|^{line}$|"))), "{line}");
            assert_eq!(values.lines().filter(|found| *found == line).count(), 1, "{line}");
        }
        for target in text.split("make ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
            assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
        }
        for made in ["target/image/rempart.tar", "target/image/rempart.cdx.json"] {
            assert!(text.contains(made) && makefile.contains(made), "{made}");
        }
    }
}
