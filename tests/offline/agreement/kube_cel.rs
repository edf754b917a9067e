//! The evaluator of `kube-cel` beside ours: where both can, they give the same, and where they do not, cel-go does as ours.

use std::{cell::RefCell, collections::BTreeMap};

use kube_cel::{
    KubeCelExt as _,
    cel::{Context, Value, parser::Parser},
};
use proptest::{collection as many, prelude::*, sample::select};

use super::{
    program::{Inputs, Program},
    value::CelValue,
};
use crate::{property_runner::properties, random_requests::drafts::ODD};

/// What somebody writes, whatever the policy.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => select(&ODD[..]), 1 => select(&["x", "\u{c9}", "a.B"][..])];
    many::vec(part, 0..4).prop_map(|parts| parts.join(","))
}

/// What ours makes of `expression`, which reads nothing but `text`.
fn ours(expression: &str, text: &str) -> Result<CelValue, String> {
    let names = [("text", CelValue::text(text))].into();
    let inputs = Inputs { names: &names, variables: &BTreeMap::new(), evaluated: RefCell::default() };
    Program::parse(expression)?.evaluate(&inputs)
}

/// What the one of `kube-cel` makes of it.
fn theirs(expression: &str, text: &str) -> Result<CelValue, String> {
    let mut context = Context::default().with_all();
    context.add_variable_from_value("text", text.to_owned());
    let parsed = Parser::default().enable_optional_syntax(true).parse(expression).map_err(|error| error.to_string())?;
    converted(&Value::resolve(&parsed, &context).map_err(|error| error.to_string())?)
}

fn converted(value: &Value) -> Result<CelValue, String> {
    Ok(match value {
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Int(value) => CelValue::Int(*value),
        Value::String(text) => CelValue::text(text),
        Value::List(items) => CelValue::List(items.iter().map(converted).collect::<Result<_, _>>()?),
        other => return Err(format!("no expression here gives {other:?}")),
    })
}

properties! {
    cases: 64;

    #[test]
    fn functions_of_texts_give_what_kube_cel_gives(text in texts()) {
        for expression in [
            "text.lowerAscii()",
            "strings.quote(text)",
            "text.split(',')",
            "text.split(',', 0)",
            "text.split(',', 33)",
            "text.split(',').join('.') + text",
            "text.split(',').filter(part, part in ['x', '']).map(part, part == text ? 1 : 0)",
            "!(text in {'x': 0}) && (text.split(',').exists(part, part == 'x') || text.split('.').all(part, part != ''))",
            "[string(7), text][1]",
        ] {
            prop_assert!(ours(expression, &text).is_ok(), "{expression}");
            prop_assert_eq!(ours(expression, &text), theirs(expression, &text), "{}", expression);
        }
        for (from, to) in [(0, 0), (0, 1), (0, 64), (1, 0), (2, 3), (-1, 1)] {
            let expression = format!("text.substring({from}, {to})");
            prop_assert_eq!(ours(&expression, &text).ok(), theirs(&expression, &text).ok(), "{}", expression);
        }
    }
}

/// Each is true by cel-go. Once `kube-cel` finds so too, its evaluator can take the place of ours.
#[test]
fn only_ours_has_optionals_and_measures_in_characters() {
    for expression in [
        "optional.of(1) == optional.of(1)",
        "!{'a': 1}.?b.hasValue()",
        "!{'a': {'b': 1}}.?a.c.hasValue()",
        "{'a': 1}[?'a'] == optional.of(1)",
        "[optional.of(1)].all(found, found.hasValue())",
        "optional.of(1).optMap(found, found + 1) == optional.of(2)",
        "[optional.of(1), optional.none()].unwrapOpt() == [1]",
        "dyn('a') == 'a'",
        "'\u{e9}'.size() == 1",
    ] {
        assert_eq!(ours(expression, ""), Ok(CelValue::Bool(true)), "{expression}");
        assert_ne!(theirs(expression, ""), Ok(CelValue::Bool(true)), "{expression}");
    }
}

#[test]
fn functions_and_errors_are_those_of_cel_go() {
    for expression in [
        "[[1, 2], [], [[3]]].flatten() == [1, 2, [3]]",
        "['a', 'b', 'b'].indexOf('b') == 1 && ['a'].indexOf('b') == -1",
        "[1, 3, 2].max() == 3",
        "optional.none().orValue(1) == 1 && optional.of(2).value() == 2",
        // An error is no answer, but not where another part decides.
        "[1][5] == 1 || true",
        "!(false && [1][5] == 1) && !([1][5] == 1 && false)",
        "[0, 1].exists(i, [7][i] == 8 || i == 1)",
        "![0, 1].all(i, [7][i] == 7 && i == 5)",
        "!has({'a': 1}.b) && has({'a': 1}.a)",
        "text != 'x' && 1 <= 1 && 2 > 1 && 1 < 2",
    ] {
        assert_eq!(ours(expression, ""), Ok(CelValue::Bool(true)), "{expression}");
    }
    for expression in [
        "[].max()",
        "[1][5] == 1 || false",
        "{'a': 1}.b",
        "optional.none().value()",
        "absent",
        "1 + text",
        "[0, 1].exists(i, [7][i] == 8)",
        "text.unheardOf()",
    ] {
        assert!(ours(expression, "").is_err(), "{expression}");
    }
}
