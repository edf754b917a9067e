//! The schemas of single values: what a country code, a name or a date may be, and the sentence that
//! the API server answers when it is not.
//!
//! Each function is the whole truth about one kind of value and is attached to fields with
//! `#[schemars(schema_with = "…")]`. A limit that the schema can state (`maxLength`, `maxItems`,
//! `minimum`) is stated there, since editors understand it and the API server derives the cost of CEL
//! rules from it. A form that would be reported as an unmatched regular expression is a CEL rule
//! instead: a security officer is told what to write, not what did not match.

use std::{iter, sync::LazyLock};

use kube::core::{Message, Reason, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::limits;
use rempart_core::{coverage::SchemeLevel, jurisdiction::Jurisdiction};

/// A CEL rule on the value itself. The API server repeats the value before the message, so that the
/// message need not: `Invalid value: "fr": not a country: write …`.
fn rule(expression: &str, message: &str) -> Value {
    json!({ "rule": expression, "message": message })
}

/// A list of at most `max` values of one kind.
fn list(item: &Schema, max: usize) -> Schema {
    json_schema!({ "type": "array", "items": item, "maxItems": max })
}

/// A list of facts without an order: a value may be given once.
fn set(item: &Schema, max: usize) -> Schema {
    let mut schema = list(item, max);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
    schema
}

/// The rule that a list is left out rather than empty: an empty list may mean "anything" to one
/// reader and "nothing" to another.
fn not_empty(message: &str) -> Value {
    json!({ "rule": "self.size() > 0", "message": message, "reason": "FieldValueRequired" })
}

/// A list that a policy demands. Atomic: two field managers must not merge their lists into one that
/// neither wrote, because a longer list clears more.
fn demand(item: &Schema) -> Schema {
    let mut schema = list(item, limits::DEMANDS);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([not_empty("an empty list demands nothing: write at least one entry, or leave the list out")]),
    );
    schema
}

/// The rule that no two entries of a list have the same name.
///
/// Its reason is not `FieldValueDuplicate`, with which the API server would leave the message out.
/// The names are picked out before one is chosen for the message: the API server does not know how
/// long a field of a chosen entry may be, and would refuse the rule as too costly.
pub(super) fn unique(what: &str) -> Rule {
    Rule::new("self.all(x, self.exists_one(y, y.name == x.name))").message(Message::Expression(format!(
        "'there are two {what} entries named \"' + self.map(x, !self.exists_one(y, y.name == x.name), x.name)[0] + \
             '\": give each a name of its own'"
    )))
}

/// Of a list of preferences: no figure is in two.
pub(super) fn unique_figures() -> Rule {
    Rule::new("self.all(x, self.exists_one(y, y.by == x.by))").message(Message::Expression(
        "self.map(x, !self.exists_one(y, y.by == x.by), x.by)[0] + ' is listed twice: keep one of them'".into(),
    ))
}

/// Of a list of windows: there is one.
pub(super) fn some_window() -> Rule {
    Rule::new("self.size() > 0")
        .message("no window is listed, and nothing could ever move ahead of an end: write one, or leave windows out")
        .reason(Reason::FieldValueRequired)
}

/// Of a list of exceptions: no namespace is in two. Each is for its level and those below, so two would overlap, and
/// nobody could tell which is meant.
pub(super) fn one_exception_a_namespace() -> Rule {
    const TWICE: &str = "self.exists(o, o.name != e.name && n in o.namespaces)";
    Rule::new(format!("self.all(e, !e.namespaces.exists(n, {TWICE}))")).message(Message::Expression(format!(
        "'namespace \"' + self.map(e, e.namespaces.exists(n, {TWICE}), e.namespaces.map(n, {TWICE}, n)[0])[0] + \
            '\" is in two exceptions: leave it in one of them'"
    )))
}

/// What no line of text for people has: control characters, and those that turn a part of it round.
const UNREADABLE: &str = "[[:cntrl:]\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]";

/// A line of text for people.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::TEXT,
        "x-kubernetes-validations": [rule(
            &format!("self.trim() != '' && !self.matches('{UNREADABLE}')"),
            "not a line of text: write something, without line breaks, other control characters or marks of direction",
        )],
    })
}

/// A sentence of the operator's, in a status.
pub(super) fn message(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": limits::MESSAGE })
}

/// Sentences of the operator's, in a status.
pub(super) fn messages(_: &mut SchemaGenerator) -> Schema {
    let mut schema = list(&json_schema!({ "type": "string", "maxLength": limits::MESSAGE }), limits::REASONS);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    schema
}

/// The countries that there are, as a regular expression: `A[DEF…]|B[ABD…]|…`.
///
/// Asked of the core, which must know each of them, so that no code passes here and is unknown there.
static COUNTRIES: LazyLock<String> = LazyLock::new(|| {
    let by_first_letter = ('A'..='Z').filter_map(|first| {
        let is_code = |second: &char| Jurisdiction::parse(&format!("{first}{second}")).is_ok();
        let seconds: String = ('A'..='Z').filter(is_code).collect();
        (!seconds.is_empty()).then(|| format!("{first}[{seconds}]"))
    });
    by_first_letter.collect::<Vec<_>>().join("|")
});

/// A country, or one of `groups` where a group may be named; `hint` is a CEL expression of what to
/// write instead.
fn country_or(groups: &[&str], hint: &str) -> Schema {
    let pattern = iter::once(COUNTRIES.as_str()).chain(groups.iter().copied()).collect::<Vec<_>>().join("|");
    // Longer than a code, so that "France" is answered by the sentence and not by the limit.
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": format!("self.matches('^({pattern})$')"),
            "messageExpression": format!(
                "self == 'UK' ? 'the code of the United Kingdom in ISO 3166-1 is GB: write GB' : \
                 self == 'EL' ? 'the code of Greece in ISO 3166-1 is GR: write GR' : {hint}"
            ),
        }],
    })
}

/// A fact's country.
pub(super) fn country(_: &mut SchemaGenerator) -> Schema {
    country_or(
        &[],
        "self in ['EU', 'EEA'] \
         ? 'a group of countries, and a fact is about one: write the code of the country, such as FR' \
         : 'not a country: write the two capital letters of ISO 3166-1, such as FR'",
    )
}

/// A demand's countries: codes, or groups.
pub(super) fn countries(_: &mut SchemaGenerator) -> Schema {
    demand(&country_or(
        &["EU", "EEA"],
        "'neither a country nor a group: write the two capital letters of ISO 3166-1, such as FR, \
         or the group EU or EEA'",
    ))
}

/// The identifier of a law or of a scheme of qualification.
fn identifier_of(what: &str, example: &str) -> Schema {
    let message = format!(
        "not the identifier of a {what}: write lower-case letters, digits, dashes and dots, \
         starting and ending with a letter or digit, such as {example}"
    );
    json_schema!({
        "type": "string",
        "maxLength": limits::NAME,
        "x-kubernetes-validations": [rule("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')", &message)],
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

/// How high a certificate is in its scheme.
pub(super) fn scheme_level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "maximum": i32::from(SchemeLevel::HIGHEST),
    })
}

/// The schemes that a policy demands at a level, with that.
pub(super) fn minimum_levels(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": limits::QUALIFICATIONS,
        "additionalProperties": scheme_level(generator),
        "x-kubernetes-validations": [{
            "rule": "self.all(scheme, scheme.size() <= 63 && scheme.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$'))",
            "message": "one of the names is not the identifier of a scheme: write at most 63 lower-case letters, digits, \
                dashes and dots, starting and ending with a letter or digit, such as eu-csf",
        }],
    })
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
            "not the value of a node label: write letters, digits, dashes, dots and \
              underscores, starting and ending with a letter or digit, such as fr-par-2",
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
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([not_empty(
            "an empty scope covers nothing: name at least one region, or leave the list out for the whole offer"
        )]),
    );
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
            "not a name: write lower-case letters, digits and dashes, starting and ending \
              with a letter or digit, such as restricted",
        )],
    })
}

/// A day of the calendar.
pub(super) fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            // The library of formats came with Kubernetes 1.31.
            "self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$') \
             && !(self.substring(5) in ['02-30', '02-31', '04-31', '06-31', '09-31', '11-31']) \
             && (self.substring(5) != '02-29' || (int(self.substring(0, 4)) % 4 == 0 \
             && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)))",
            "not a day of the calendar: write year-month-day, such as 2026-11-30",
        )],
    })
}

/// A length of time, in hours, minutes and seconds.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            "self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && self != ''",
            "not a length of time: write hours, minutes and seconds, such as 720h for 30 days",
        )],
    })
}

/// The rule that a length of time is one; what is no length of time at all is told by the rule before.
fn longer_than_nothing(message: &str) -> Value {
    rule(&format!("{NO_LENGTH} || duration(self) > duration('0s')"), message)
}

/// That a text is no length of time.
const NO_LENGTH: &str = "!self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') || self == ''";

/// A length of time with `more` rules.
fn duration_with(generator: &mut SchemaGenerator, more: impl IntoIterator<Item = Value>) -> Schema {
    let mut schema = duration(generator);
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
        rules.extend(more);
    }
    schema
}

/// A length of time that is more than none.
pub(super) fn some_duration(generator: &mut SchemaGenerator) -> Schema {
    duration_with(
        generator,
        [longer_than_nothing(
            "no time at all: write how long, such as 72h, or leave the field out where there is no end to it",
        )],
    )
}

/// How long a window is open, at most a week.
pub(super) fn window_duration(generator: &mut SchemaGenerator) -> Schema {
    let at_most = rule(
        &format!("{NO_LENGTH} || duration(self) <= duration('168h')"),
        "longer than a week, so that it hardly closes: write at most 168h, or leave windows out where pods may move at any time",
    );
    let some =
        longer_than_nothing("a window of no length never lets anything move: write how long it is open, such as 6h");
    duration_with(generator, [some, at_most])
}

/// When a window opens, as cron says it. What single fields may be is for the conversion to say.
pub(super) fn cron(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::TEXT,
        "x-kubernetes-validations": [rule(
            "self.matches('^[^ ]+( +[^ ]+){4}$')",
            "not a schedule: write the five fields of cron (minute, hour, day of the month, month, day of the week), such as \
             0 22 * * 1-5",
        )],
    })
}

/// The name of a time zone. Which ones there are is for the conversion to say.
pub(super) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::NAME,
        "x-kubernetes-validations": [rule(
            "self.matches('^[A-Za-z][-+A-Za-z0-9_]*(/[A-Za-z0-9][-+A-Za-z0-9_]*)*$')",
            "not the name of a time zone: write it as the IANA database has it, such as Europe/Paris",
        )],
    })
}

/// The namespaces that an exception is for.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    let name = json_schema!({
        "type": "string",
        "maxLength": limits::NAME,
        "x-kubernetes-validations": [rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "not the name of a namespace: write lower-case letters, digits and dashes, starting and ending \
              with a letter or digit, such as claims",
        )],
    });
    let mut schema = set(&name, limits::EXCEPTION_NAMESPACES);
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([not_empty("an exception for nobody: name at least one namespace")]),
    );
    schema
}

/// Where a fact can be checked.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": limits::URL,
        "x-kubernetes-validations": [rule(
            "self.matches('^https?://[^ /]+') && isURL(self)",
            "not a web address: write it whole, such as https://cyber.gouv.fr/",
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
            "not the start of a providerID: write it from its scheme on, such as \
              scaleway://instance/fr-par-2/",
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

/// How much a figure counts beside others.
pub(super) fn weight(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 })
}

/// Over how many domains pods are spread at least.
pub(super) fn min_domains(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 64 })
}

/// By how many pods two domains may differ.
pub(super) fn max_skew(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 })
}

/// An amount of money, as a decimal number.
pub(super) fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            "self.matches('^[0-9]{1,12}([.][0-9]{1,9})?$')",
            "not a price: write digits with a point, such as \"0.28\"",
        )],
    })
}

/// A currency.
pub(super) fn currency(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [rule(
            "self.matches('^[A-Z]{3}$')",
            "not a currency: write its code of ISO 4217, such as EUR",
        )],
    })
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

/// The name of an object of others.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": limits::OBJECT_NAME })
}

/// A name or date that the operator repeats in a status.
pub(super) fn repeated(_: &mut SchemaGenerator) -> Schema {
    echo()
}

/// Names that the operator repeats in a status.
pub(super) fn repeated_list(_: &mut SchemaGenerator) -> Schema {
    let mut schema = list(&echo(), limits::STATUS_LIST);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    schema
}
