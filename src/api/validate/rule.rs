//! CEL rules: those of a definition, compiled once, and judged one value at a time.
//!
//! Takes a value for CEL, and returns the rule's own sentence when it does not hold. A rule that cannot be evaluated is
//! a violation, never a pass.

use std::collections::BTreeSet;

use kube_cel::cel::{self, Program};
use serde::Deserialize;
use serde_json::Value;

use super::library::LIBRARY;
use rempart_core::text::BriefDisplay;

/// A rule on a value, with what is said when it does not hold.
#[derive(Debug)]
pub(super) struct CelRule {
    source: String,
    program: Program,
    says: RuleMessage,
    /// What kind of violation it is.
    pub(super) code: &'static str,
    /// The field that is to blame, from the value on.
    pub(super) field: Vec<String>,
    /// Every word in the rule and its message, among them every field that they read.
    words: BTreeSet<String>,
}

#[derive(Debug)]
enum RuleMessage {
    Message(String),
    Expression(Program),
}

/// A rule as a definition states it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatedRule {
    rule: String,
    message: Option<String>,
    message_expression: Option<String>,
    reason: Option<String>,
    field_path: Option<String>,
}

impl CelRule {
    /// Reads and compiles a rule; what is wrong with it otherwise.
    pub(super) fn compile(rule: Value) -> Result<Self, String> {
        let stated: StatedRule = serde_json::from_value(rule).map_err(|error| format!("no rule: {error}"))?;
        let parse = |text: &str| Program::compile(text).map_err(|error| format!("{text:?}: {error}"));
        let program = parse(&stated.rule)?;
        if program.references().has_variable("oldSelf") {
            return Err(format!("{:?} compares with the past, which is not known here", stated.rule));
        }
        let words = [&stated.rule].into_iter().chain(&stated.message_expression);
        let words = words.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).map(str::to_owned).collect();
        let says = match (&stated.message_expression, stated.message) {
            (Some(expression), _) => RuleMessage::Expression(parse(expression)?),
            (None, Some(message)) => RuleMessage::Message(message),
            (None, None) => RuleMessage::Message(format!("failed rule: {}", stated.rule)),
        };
        let code = match stated.reason.as_deref() {
            None | Some("FieldValueInvalid") => "Invalid",
            Some("FieldValueRequired") => "Required",
            Some("FieldValueForbidden") => "Forbidden",
            Some(other) => return Err(format!("the reason {other} is not known")),
        };
        let field = stated.field_path.as_deref().unwrap_or_default();
        if field.contains(['[', '\'', '"']) {
            return Err(format!("the fieldPath {field} is not understood"));
        }
        let field = field.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(Self { source: stated.rule, program, says, code, field, words })
    }

    /// Whether the rule may read the field of that name.
    ///
    /// Every word of its text is taken for a field's name, so this errs towards yes. What CEL writes otherwise than the
    /// schema does, as `__namespace__`, would not be found; no field of ours is such a word.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.words.contains(name)
    }

    /// Judges a value whose structure is right.
    ///
    /// # Errors
    /// The sentence of the rule, when it does not hold.
    pub(super) fn judge(&self, value: cel::Value) -> Result<(), String> {
        let mut scope = LIBRARY.new_inner_scope();
        scope.add_variable_from_value("self", value);
        match self.program.execute(&scope) {
            Ok(cel::Value::Bool(true)) => Ok(()),
            Ok(cel::Value::Bool(false)) => Err(match &self.says {
                RuleMessage::Message(message) => message.clone(),
                RuleMessage::Expression(program) => match program.execute(&scope) {
                    Ok(cel::Value::String(message)) => message.to_string(),
                    // As the API server does.
                    _ => format!("failed rule: {}", self.source),
                },
            }),
            Ok(_) => Err(format!("the rule {:?} has no answer", self.source)),
            Err(error) => {
                Err(format!("the rule {:?} cannot be judged: {}", self.source, BriefDisplay(&error.to_string())))
            }
        }
    }
}
