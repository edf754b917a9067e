//! Programs: admission expressions, parsed by `kube-cel` and evaluated as an API server evaluates them.
//!
//! The parser and its macros are those of `kube-cel`. Its evaluator is not used: an optional is never equal to another
//! there, turns into its value when it is copied, and a missing field is an error after `.?` too (see the tests of
//! `kube_cel`). What is said here of errors, optionals and short circuits is what cel-go 0.26 does.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use kube_cel::cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
    parser::Parser,
};

use super::{library::Function, value::CelValue};

type Evaluated = Result<CelValue, String>;

/// An expression.
#[derive(Debug)]
pub(super) enum Program {
    Literal(CelValue),
    /// `object`, `request`, or what a macro binds.
    Name(String),
    /// `variables.name`.
    Variable(String),
    Select {
        of: Box<Self>,
        field: String,
        optional: bool,
    },
    Has {
        of: Box<Self>,
        field: String,
    },
    Index {
        of: Box<Self>,
        key: Box<Self>,
        optional: bool,
    },
    Operation(Operator, Box<[Self; 2]>),
    Not(Box<Self>),
    /// True of an error as well: a macro goes on to see whether another item decides.
    NotStrictlyFalse(Box<Self>),
    If(Box<[Self; 3]>),
    Call(Function, Vec<Self>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// `of.optMap(name, gives)`.
    OptionalMap {
        of: Box<Self>,
        name: String,
        gives: Box<Self>,
    },
    Fold(Box<Fold>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Operator {
    And,
    Or,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    In,
    Plus,
    Minus,
}

/// What a macro over a list becomes.
#[derive(Debug)]
pub(super) struct Fold {
    over: Program,
    item: String,
    result: String,
    initially: Program,
    while_true: Program,
    step: Program,
    finally: Program,
}

/// Names that are bound while a part of an expression is evaluated.
pub(super) struct Scope<'a> {
    name: &'a str,
    value: Evaluated,
    outer: Option<&'a Scope<'a>>,
}

/// What an expression may read.
pub(super) struct Inputs<'a> {
    /// `object`, `oldObject`, `request` and, in all but match conditions, `namespaceObject`.
    pub(super) names: &'a BTreeMap<&'static str, CelValue>,
    /// The variables of its policy; none in a match condition.
    pub(super) variables: &'a BTreeMap<String, Rc<Program>>,
    /// Those that have been evaluated: each once at most, and only when something reads it.
    pub(super) evaluated: RefCell<BTreeMap<String, Evaluated>>,
}

impl Program {
    /// Parses `text`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parser = Parser::default().enable_optional_syntax(true);
        Self::of(&parser.parse(text).map_err(|error| error.to_string())?)
    }

    fn of(expression: &IdedExpr) -> Result<Self, String> {
        let boxed = |part: &IdedExpr| Self::of(part).map(Box::new);
        let all = |parts: &[IdedExpr]| parts.iter().map(Self::of).collect::<Result<Vec<_>, _>>();
        Ok(match &expression.expr {
            Expr::Literal(literal) => Self::Literal(match literal {
                LiteralValue::Boolean(value) => CelValue::Bool(*value.inner()),
                LiteralValue::Int(value) => CelValue::Int(*value.inner()),
                LiteralValue::String(value) => CelValue::text(value.inner()),
                LiteralValue::Null => CelValue::Null,
                other => return Err(format!("no expression of ours has {other:?}")),
            }),
            Expr::Ident(name) => Self::Name(name.clone()),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "variables" => Self::Variable(select.field.clone()),
                _ if select.test => Self::Has { of: boxed(&select.operand)?, field: select.field.clone() },
                _ => Self::Select { of: boxed(&select.operand)?, field: select.field.clone(), optional: false },
            },
            Expr::List(list) if list.optional_indices.is_empty() => Self::List(all(&list.elements)?),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) if !entry.optional => {
                        Ok((Self::of(&entry.key)?, Self::of(&entry.value)?))
                    }
                    other => Err(format!("no expression of ours has {other:?}")),
                });
                Self::Map(entries.collect::<Result<_, _>>()?)
            }
            Expr::Comprehension(fold) => Self::Fold(Box::new(Fold {
                over: Self::of(&fold.iter_range)?,
                item: fold.iter_var.clone(),
                result: fold.accu_var.clone(),
                initially: Self::of(&fold.accu_init)?,
                while_true: Self::of(&fold.loop_cond)?,
                step: Self::of(&fold.loop_step)?,
                finally: Self::of(&fold.result)?,
            })),
            Expr::Call(call) => match (&call.target, call.func_name.as_str(), call.args.as_slice()) {
                (None, operators::CONDITIONAL, [condition, yes, no]) => {
                    Self::If(Box::new([Self::of(condition)?, Self::of(yes)?, Self::of(no)?]))
                }
                (None, operators::LOGICAL_NOT, [of]) => Self::Not(boxed(of)?),
                (None, operators::NOT_STRICTLY_FALSE, [of]) => Self::NotStrictlyFalse(boxed(of)?),
                (None, operators::INDEX, [of, key]) => {
                    Self::Index { of: boxed(of)?, key: boxed(key)?, optional: false }
                }
                (None, operators::OPT_INDEX, [of, key]) => {
                    Self::Index { of: boxed(of)?, key: boxed(key)?, optional: true }
                }
                (None, operators::OPT_SELECT, [of, field]) => match Self::of(field)? {
                    Self::Literal(CelValue::Text(field)) => {
                        Self::Select { of: boxed(of)?, field: field.to_string(), optional: true }
                    }
                    other => return Err(format!("{other:?} names no field")),
                },
                (Some(of), "optMap", [name, gives]) => match &name.expr {
                    Expr::Ident(name) => Self::OptionalMap { of: boxed(of)?, name: name.clone(), gives: boxed(gives)? },
                    other => return Err(format!("{other:?} is no name")),
                },
                (None, name, [left, right]) if Operator::named(name).is_some() => {
                    let operator = Operator::named(name).ok_or("no operator")?;
                    Self::Operation(operator, Box::new([Self::of(left)?, Self::of(right)?]))
                }
                (target, name, arguments) => {
                    let (name, target) = match target.as_deref().map(|target| (&target.expr, target)) {
                        // A namespace of functions, and no value.
                        Some((Expr::Ident(space), _)) if ["strings", "optional"].contains(&space.as_str()) => {
                            (format!("{space}.{name}"), None)
                        }
                        Some((_, target)) => (name.to_owned(), Some(target)),
                        None => (name.to_owned(), None),
                    };
                    let arguments = target.into_iter().chain(arguments).map(Self::of).collect::<Result<Vec<_>, _>>()?;
                    let function = Function::named(&name, arguments.len());
                    Self::Call(function.ok_or_else(|| format!("no such function: {name}"))?, arguments)
                }
            },
            other => return Err(format!("no expression of ours has {other:?}")),
        })
    }

    /// What it gives.
    pub(super) fn evaluate(&self, inputs: &Inputs<'_>) -> Evaluated {
        self.within(inputs, None)
    }

    fn within(&self, inputs: &Inputs<'_>, scope: Option<&Scope<'_>>) -> Evaluated {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Name(name) => {
                let mut inner = scope;
                while let Some(Scope { name: bound, value, outer }) = inner {
                    if name == bound {
                        return value.clone();
                    }
                    inner = *outer;
                }
                inputs.names.get(name.as_str()).cloned().ok_or_else(|| format!("undeclared reference to {name}"))
            }
            Self::Variable(name) => inputs.variable(name),
            Self::Select { of, field, optional } => of.within(inputs, scope)?.select(field, *optional),
            Self::Has { of, field } => Ok(CelValue::Bool(of.within(inputs, scope)?.has(field))),
            Self::Index { of, key, optional } => {
                of.within(inputs, scope)?.index(&key.within(inputs, scope)?, *optional)
            }
            Self::Operation(operator, sides) => {
                let [left, right] = sides.each_ref().map(|side| move || side.within(inputs, scope));
                operator.apply(left, right)
            }
            Self::Not(of) => Ok(CelValue::Bool(!of.within(inputs, scope)?.as_bool()?)),
            Self::NotStrictlyFalse(of) => Ok(CelValue::Bool(of.within(inputs, scope) != Ok(CelValue::Bool(false)))),
            Self::If(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if condition.within(inputs, scope)?.as_bool()? { yes } else { no };
                chosen.within(inputs, scope)
            }
            Self::Call(function, arguments) => {
                let arguments: Result<Vec<_>, _> =
                    arguments.iter().map(|argument| argument.within(inputs, scope)).collect();
                function.call(&arguments?)
            }
            Self::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| item.within(inputs, scope)).collect();
                Ok(CelValue::List(items?.into()))
            }
            Self::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    match key.within(inputs, scope)? {
                        CelValue::Text(key) => map.insert(key, value.within(inputs, scope)?),
                        other => return Err(format!("unsupported key: {other:?}")),
                    };
                }
                Ok(CelValue::Map(Rc::new(map)))
            }
            Self::OptionalMap { of, name, gives } => match of.within(inputs, scope)? {
                CelValue::Optional(None) => Ok(CelValue::Optional(None)),
                CelValue::Optional(Some(value)) => {
                    let scope = Scope { name, value: Ok((*value).clone()), outer: scope };
                    gives.within(inputs, Some(&scope)).map(CelValue::some)
                }
                other => Err(format!("no such overload: optMap of {other:?}")),
            },
            Self::Fold(fold) => fold.within(inputs, scope),
        }
    }
}

impl Fold {
    fn within(&self, inputs: &Inputs<'_>, outer: Option<&Scope<'_>>) -> Evaluated {
        let CelValue::List(items) = self.over.within(inputs, outer)? else {
            return Err("no such overload: a macro over what is no list".to_owned());
        };
        let mut result = self.initially.within(inputs, outer);
        for item in items.iter() {
            let accumulated = Scope { name: &self.result, value: result.clone(), outer };
            if self.while_true.within(inputs, Some(&accumulated)) == Ok(CelValue::Bool(false)) {
                break;
            }
            let scope = Scope { name: &self.item, value: Ok(item.clone()), outer: Some(&accumulated) };
            result = self.step.within(inputs, Some(&scope));
        }
        self.finally.within(inputs, Some(&Scope { name: &self.result, value: result, outer }))
    }
}

impl Inputs<'_> {
    fn variable(&self, name: &str) -> Evaluated {
        if let Some(known) = self.evaluated.borrow().get(name) {
            return known.clone();
        }
        let program = self.variables.get(name).ok_or_else(|| format!("undeclared reference to variables.{name}"))?;
        let value = program.evaluate(self);
        self.evaluated.borrow_mut().insert(name.to_owned(), value.clone());
        value
    }
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            operators::LOGICAL_AND => Self::And,
            operators::LOGICAL_OR => Self::Or,
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::Unequal,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::AtMost,
            operators::GREATER => Self::Greater,
            operators::IN => Self::In,
            operators::ADD => Self::Plus,
            operators::SUBSTRACT => Self::Minus,
            _ => return None,
        })
    }

    fn apply(self, left: impl FnOnce() -> Evaluated, right: impl FnOnce() -> Evaluated) -> Evaluated {
        match self {
            Self::And => decide(false, left(), right),
            Self::Or => decide(true, left(), right),
            Self::Equal => Ok(CelValue::Bool(left()? == right()?)),
            Self::Unequal => Ok(CelValue::Bool(left()? != right()?)),
            Self::In => left()?.is_in(&right()?),
            Self::Plus => left()?.plus(&right()?),
            Self::Minus => left()?.minus(&right()?),
            Self::Less | Self::AtMost | Self::Greater => match (left()?, right()?) {
                (CelValue::Int(left), CelValue::Int(right)) => Ok(CelValue::Bool(match self {
                    Self::Less => left < right,
                    Self::AtMost => left <= right,
                    _ => left > right,
                })),
                (left, right) => Err(format!("no such overload: {left:?} and {right:?} compared")),
            },
        }
    }
}

/// `&&` and `||`: a side that is `decisive` decides, whatever becomes of the other, an error too.
fn decide(decisive: bool, left: Evaluated, right: impl FnOnce() -> Evaluated) -> Evaluated {
    let left = left.and_then(|value| value.as_bool());
    if left == Ok(decisive) {
        return Ok(CelValue::Bool(decisive));
    }
    let right = right().and_then(|value| value.as_bool());
    if right == Ok(decisive) { Ok(CelValue::Bool(decisive)) } else { left.and(right).map(CelValue::Bool) }
}
