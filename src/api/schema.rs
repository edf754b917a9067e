//! The schemas of single values: what a country code, a name or a date may be, and the sentence that
//! the API server answers when it is not.
//!
//! Each function is the whole truth about one kind of value and is attached to fields with
//! `#[schemars(schema_with = "…")]`. A limit that the schema can state (`maxLength`, `maxItems`,
//! `minimum`) is stated there, since editors understand it and the API server derives the cost of CEL
//! rules from it. A form that would be reported as an unmatched regular expression is a CEL rule
//! instead: a security officer is told what to write, not what did not match.

use kube::core::{Message, Reason, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::limits;

/// A CEL rule on the value itself; `message` is a CEL expression that names the value.
fn rule(expression: &str, message: &str) -> Value {
    json!({ "rule": expression, "messageExpression": message })
}

/// A list of at most `max` values of one kind.
fn list(item: &Schema, min: usize, max: usize) -> Schema {
    let mut schema = json_schema!({ "type": "array", "items": item, "maxItems": max });
    if min > 0 {
        schema.insert("minItems".to_owned(), json!(min));
    }
    schema
}

/// A list of facts without an order: a value may be given once.
fn set(item: &Schema, max: usize) -> Schema {
    let mut schema = list(item, 0, max);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
    schema
}

/// A list that a policy demands. Atomic: two field managers must not merge their lists into one that
/// neither wrote, because a longer list clears more. Never empty: an empty list could mean
/// "anything" to one reader and "nothing" to another.
fn demand(item: &Schema) -> Schema {
    let mut schema = list(item, 1, limits::DEMANDS);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    schema
}

/// The rule that no two entries of a list have the same name.
///
/// The names are picked out before one is chosen for the message: the API server does not know how
/// long a field of a chosen entry may be, and would refuse the rule as too costly.
pub(super) fn unique(what: &str) -> Rule {
    Rule::new("self.all(x, self.exists_one(y, y.name == x.name))")
        .message(Message::Expression(format!(
            "'there are two {what} entries named \"' + self.map(x, !self.exists_one(y, y.name == x.name), x.name)[0] + \
             '\": give each a name of its own'"
        )))
        .reason(Reason::FieldValueDuplicate)
}

/// A line of text for people.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": limits::TEXT })
}

/// A sentence of the operator's, in a status.
pub(super) fn message(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": limits::MESSAGE })
}

/// What the reader who wrote something else than a country code should write.
const COUNTRY_HINT: &str = "self == 'UK' ? '\"UK\" is not an ISO 3166-1 code: write GB' : \
     self == 'EL' ? '\"EL\" is not an ISO 3166-1 code: write GR' : ";

/// A fact's country.
pub(super) fn country(_: &mut SchemaGenerator) -> Schema {
    let message = format!(
        "{COUNTRY_HINT}self in ['EU', 'EEA'] \
         ? '\"' + self + '\" is a group of countries, and a fact names one country: write its ISO 3166-1 code, such as FR' \
         : '\"' + self + '\" is not a country code: write the two capital letters of ISO 3166-1, such as FR'"
    );
    // Longer than a code, so that "France" is answered by the sentence and not by the limit.
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule("self.matches('^[A-Z]{2}$') && !(self in ['EU', 'UK', 'EL'])", &message)],
    })
}

/// A demand's countries: codes, or the groups EU and EEA.
pub(super) fn countries(_: &mut SchemaGenerator) -> Schema {
    let message = format!(
        "{COUNTRY_HINT}'\"' + self + '\" is neither a country code nor a group: \
         write two capital letters of ISO 3166-1, such as FR, or the group EU or EEA'"
    );
    demand(&json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            "self == 'EEA' || (self.matches('^[A-Z]{2}$') && !(self in ['UK', 'EL']))",
            &message,
        )],
    }))
}

/// The identifier of a law or of a scheme of qualification.
fn identifier_of(what: &str, example: &str) -> Schema {
    let message = format!(
        "'\"' + self + '\" is not an identifier of a {what}: \
         write lower-case letters, digits and single dashes, such as {example}'"
    );
    json_schema!({
        "type": "string",
        "maxLength": limits::NAME,
        "x-kubernetes-validations": [rule("self.matches('^[a-z0-9]+(-[a-z0-9]+)*$')", &message)],
    })
}

/// A scheme of qualification.
pub(super) fn scheme(_: &mut SchemaGenerator) -> Schema {
    identifier_of("scheme", "secnumcloud")
}

/// The schemes that a policy demands.
pub(super) fn schemes(_: &mut SchemaGenerator) -> Schema {
    demand(&identifier_of("scheme", "secnumcloud"))
}

/// The laws that an offer is exposed to.
pub(super) fn laws(_: &mut SchemaGenerator) -> Schema {
    set(&identifier_of("law", "us-cloud-act"), limits::LAWS)
}

/// The laws that a policy wants no offer to be exposed to.
pub(super) fn refused_laws(_: &mut SchemaGenerator) -> Schema {
    demand(&identifier_of("law", "us-cloud-act"))
}

/// A name that becomes the value of a node label: an offer, a zone, a region.
fn label_value() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::NAME,
        "x-kubernetes-validations": [rule(
            "self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
            "'\"' + self + '\" cannot be the value of a node label: write letters, digits, dashes, dots and \
              underscores, starting and ending with a letter or digit, such as fr-par-2'",
        )],
    })
}

/// A name that becomes the value of a node label.
pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    label_value()
}

/// The regions that a qualification is limited to. Absent is the whole offer, so the list is never
/// empty.
pub(super) fn scope(_: &mut SchemaGenerator) -> Schema {
    let mut schema = set(&label_value(), limits::SCOPE);
    schema.insert("minItems".to_owned(), json!(1));
    schema
}

/// Providers or regions that a policy allows or denies.
pub(super) fn places(_: &mut SchemaGenerator) -> Schema {
    demand(&label_value())
}

/// The name of a level or category: with the policy's name it makes the name of a node label.
pub(super) fn short_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::SHORT_NAME,
        "x-kubernetes-validations": [rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "'\"' + self + '\" is not a name: write lower-case letters, digits and dashes, starting and ending \
              with a letter or digit, such as restricted'",
        )],
    })
}

/// A day of the calendar.
pub(super) fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            "!format.date().validate(self).hasValue()",
            "'\"' + self + '\" is not a day of the calendar: write year-month-day, such as 2026-11-30'",
        )],
    })
}

/// Where a fact can be checked.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::URL,
        "x-kubernetes-validations": [rule(
            "self.matches('^https?://[^ /]+') && isURL(self)",
            "'\"' + self + '\" is not a web address: write it whole, such as https://cyber.gouv.fr/'",
        )],
    })
}

/// The start of a node's `spec.providerID`.
pub(super) fn provider_id_prefix(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::TEXT,
        "x-kubernetes-validations": [rule(
            "self.matches('^[a-zA-Z][-a-zA-Z0-9+.]*://')",
            "'\"' + self + '\" is not the start of a providerID: write it from its scheme on, such as \
              scaleway://instance/fr-par-2/'",
        )],
    })
}

/// Power usage effectiveness: the whole energy of a site over that of its computers.
pub(super) fn pue(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "format": "double", "minimum": 1 })
}

/// Carbon intensity, in grams of CO2 equivalent per kilowatt-hour.
pub(super) fn carbon_intensity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "format": "double", "minimum": 0 })
}

/// A count, in a status.
pub(super) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0 })
}

/// An instant, in a status.
pub(super) fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

/// A name or date that the operator repeats in a status: no rule, it was judged where it was written.
fn echo() -> Schema {
    json_schema!({ "type": "string", "maxLength": limits::NAME })
}

/// A name or date that the operator repeats in a status.
pub(super) fn repeated(_: &mut SchemaGenerator) -> Schema {
    echo()
}

/// Names that the operator repeats in a status.
pub(super) fn repeated_list(_: &mut SchemaGenerator) -> Schema {
    let mut schema = list(&echo(), 0, limits::STATUS_LIST);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    schema
}
