//! JSON schemas of the documents, generated from the types that write them.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::report::history::HistoryReport;

use super::{DoctorReport, DrillReport, FailureReport, ImpactReport, LintReport, PlanReport};

/// A JSON Schema, with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonSchemaFile {
    /// The file's name, as `plan-v1.json`.
    pub file: &'static str,
    /// The schema as JSON, ending in a newline.
    pub text: String,
}

/// The schema of every document.
#[must_use]
pub fn all() -> Vec<JsonSchemaFile> {
    vec![
        JsonSchemaFile { file: "audit-v1.json", text: text::<HistoryReport<'_>>() },
        JsonSchemaFile { file: "doctor-v1.json", text: text::<DoctorReport<'_>>() },
        JsonSchemaFile { file: "drill-v1.json", text: text::<DrillReport<'_>>() },
        JsonSchemaFile { file: "failure-v1.json", text: text::<FailureReport<'_>>() },
        JsonSchemaFile { file: "impact-v1.json", text: text::<ImpactReport<'_>>() },
        JsonSchemaFile { file: "lint-v1.json", text: text::<LintReport<'_>>() },
        JsonSchemaFile { file: "plan-v1.json", text: text::<PlanReport<'_>>() },
    ]
}

/// As the documents are written, not as they are read: a field that may be null is there all the same.
fn text<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    unfold(&mut schema);
    format!("{schema:#}\n")
}

/// Takes the source's line breaks out of descriptions.
fn unfold(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            fields.values_mut().for_each(unfold);
        }
        Value::Array(items) => items.iter_mut().for_each(unfold),
        _ => {}
    }
}
