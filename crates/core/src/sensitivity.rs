//! Sensitivity statements: all that is said of how sensitive a pod is.
//!
//! Takes the annotations of a namespace, of controllers, of their templates and of the pod, from live objects and from
//! manifests alike, and gives one [`PodSensitivity`], which a policy judges. Who speaks for a pod is decided here and
//! nowhere else.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use super::{keys, selector::Labels};

/// Who says how sensitive a pod is. In the order in which a tie is credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SensitivitySource {
    /// A label of its namespace.
    Namespace,
    /// An annotation of its workload: of a controller, or the mirror of one that a template or the pod carries.
    Workload,
    /// An annotation of its own, or of a template that it is made from.
    Pod,
    /// Nobody: the policy's default.
    Default,
    /// The policy, whose minimum is above all that others say.
    Minimum,
}

impl fmt::Display for SensitivitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What one object says, as it stands: nothing where `None`, and an empty text is something.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensitivityStatement {
    /// The sensitivity level.
    pub sensitivity: Option<Box<str>>,
    /// The categories, joined.
    pub categories: Option<Box<str>>,
}

/// The statement of an object that says nothing.
pub const SILENT: &SensitivityStatement = &SensitivityStatement { sensitivity: None, categories: None };

impl SensitivityStatement {
    /// What `map`, a namespace's labels or an object's annotations, says.
    #[must_use]
    pub fn of(map: &Labels) -> Self {
        Self::under(map, keys::SENSITIVITY, keys::CATEGORIES)
    }

    /// What a template's or pod's annotations say on behalf of its workload: the mirror that admission keeps.
    #[must_use]
    pub fn mirrored(map: &Labels) -> Self {
        Self::under(map, keys::WORKLOAD_SENSITIVITY, keys::WORKLOAD_CATEGORIES)
    }

    fn under(map: &Labels, sensitivity: &str, categories: &str) -> Self {
        let text = |key: &str| map.get(key).map(String::as_str).map(Into::into);
        Self { sensitivity: text(sensitivity), categories: text(categories) }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.sensitivity.is_none() && self.categories.is_none()
    }
}

/// What the annotations of a pod template, or of a pod, say.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateStatements {
    /// On behalf of the workload.
    pub workload: SensitivityStatement,
    /// For the pod itself.
    pub pod: SensitivityStatement,
}

impl TemplateStatements {
    /// What `annotations` say.
    #[must_use]
    pub fn of(annotations: &Labels) -> Self {
        Self { workload: SensitivityStatement::mirrored(annotations), pod: SensitivityStatement::of(annotations) }
    }

    /// Whether they say nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.workload.is_silent() && self.pod.is_silent()
    }
}

/// What one controller says of its pods.
#[derive(Clone, Copy, Debug)]
pub struct ControllerStatements<'a> {
    /// By its own annotations; `None` where they do not reach its pods (see
    /// [`WorkloadKind::speaks_for_pods`](super::workload::WorkloadKind::speaks_for_pods)).
    pub own: Option<&'a SensitivityStatement>,
    /// By those of its template.
    pub template: &'a TemplateStatements,
}

/// All that is said about one pod: each statement once, in the order of [`SensitivitySource`].
///
/// Nobody lowers what another has raised, so that an order among statements of one source has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodSensitivity<'a> {
    statements: Vec<(SensitivitySource, &'a SensitivityStatement)>,
}

impl<'a> PodSensitivity<'a> {
    /// What is said of a pod in a namespace, by its `controllers` as they are now and, where there is one already, by the
    /// pod itself.
    pub fn new(
        namespace: &'a SensitivityStatement,
        controllers: impl IntoIterator<Item = ControllerStatements<'a>>,
        pod: Option<&'a TemplateStatements>,
    ) -> Self {
        let mut said = Self::default();
        said.add(SensitivitySource::Namespace, namespace);
        for ControllerStatements { own, template } in controllers {
            said.add(SensitivitySource::Workload, own.unwrap_or(SILENT));
            said.template(template);
        }
        if let Some(pod) = pod {
            said.template(pod);
        }
        said
    }

    fn template(&mut self, template: &'a TemplateStatements) {
        self.add(SensitivitySource::Workload, &template.workload);
        self.add(SensitivitySource::Pod, &template.pod);
    }

    fn add(&mut self, source: SensitivitySource, statement: &'a SensitivityStatement) {
        if statement.is_silent() {
            return;
        }
        if let Err(place) = self.statements.binary_search(&(source, statement)) {
            self.statements.insert(place, (source, statement));
        }
    }

    /// Who says what.
    pub fn statements(&self) -> impl Iterator<Item = (SensitivitySource, &'a SensitivityStatement)> + '_ {
        self.statements.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    fn says(level: &str) -> SensitivityStatement {
        SensitivityStatement { sensitivity: Some(level.into()), categories: None }
    }

    #[test]
    fn each_statement_counts_once_whoever_repeats_it() {
        let (secret, low) = (says("secret"), says("low"));
        let template = TemplateStatements { workload: secret.clone(), pod: SensitivityStatement::default() };
        let pod = TemplateStatements { workload: secret.clone(), pod: low.clone() };
        let controller = ControllerStatements { own: Some(&secret), template: &template };
        let said = PodSensitivity::new(SILENT, [controller], Some(&pod));
        let expected = [(SensitivitySource::Workload, &secret), (SensitivitySource::Pod, &low)];
        assert_eq!(said.statements().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_controller_is_heard_though_neither_template_nor_pod_repeats_it() {
        let (secret, silent) = (says("secret"), TemplateStatements::default());
        let controller = ControllerStatements { own: Some(&secret), template: &silent };
        let said = PodSensitivity::new(SILENT, [controller], Some(&silent));
        assert_eq!(said.statements().collect::<Vec<_>>(), [(SensitivitySource::Workload, &secret)]);
    }

    #[test]
    fn an_empty_text_is_said_and_a_missing_one_is_not() {
        let map = |text: &str| [(keys::SENSITIVITY.to_owned(), text.to_owned())].into();
        assert!(!SensitivityStatement::of(&map("")).is_silent());
        assert!(SensitivityStatement::of(&Labels::new()).is_silent());
    }
}
