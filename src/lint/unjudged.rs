//! Lints of objects that are not judged: levels and categories that no policy of their namespace has.

use crate::{diagnostic::Diagnostic, gather::LocatedInventory};
use rempart_core::{
    plan::{PolicyRefusal, refused_statements},
    sensitivity::TemplateStatements,
};

use super::refused_by;

/// What admission would refuse of the pods that objects in `located` make which are not judged, by what they say.
pub(super) fn findings(located: &LocatedInventory<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for object in &located.unjudged {
        for said in &object.statements {
            let template = TemplateStatements { pod: said.statement.clone(), ..TemplateStatements::default() };
            // Of what is no object, nobody knows in which namespace it is to be.
            let Some(namespace) = &object.namespace else { continue };
            for refused in refused_statements(&located.inventory, namespace, &template) {
                let PolicyRefusal { refusal, .. } = &refused;
                let place = said.spans.iter().find(|(key, ..)| Some(*key) == refusal.key());
                let Some((_, _, value)) = place else { continue };
                let diagnostic = refused_by(&refused, refusal.to_string());
                found.push(diagnostic.at(object.file, *value).of(object.to_string()));
            }
        }
    }
    found
}
