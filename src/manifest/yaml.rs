//! The events of YAML, from its parser to the composer.

use std::borrow::Cow;

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};

use super::{
    compose::{CollectionKind, NodeComposer},
    document::{DEPTH, DocumentPart},
    scalar::{ScalarMeaning, YamlScalar},
    syntax,
};
use crate::diagnostic::{Diagnostic, position::TextSpan};

/// Reads `part` as YAML.
///
/// # Errors
/// What keeps the rest of it from being read.
pub(super) fn compose<'t>(part: DocumentPart<'t>, composer: &mut NodeComposer<'t, '_>) -> Result<(), Diagnostic> {
    let mut parser = Parser::new_from_str_with_options(part.text, options());
    while let Some(next) = parser.next_event() {
        let (event, at) = next.map_err(|error| syntax::diagnose(part, &error))?;
        let start = part.position(&at.start);
        let span = || TextSpan { start, end: part.position(&at.end) };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut span = span();
                let scalar = if at.is_empty() && tag.is_none() && style == ScalarStyle::Plain {
                    // The parser says `~` for what is missing, and where it noticed, which may be some lines later.
                    span.end = span.start;
                    YamlScalar { text: Cow::Borrowed(""), plain: true }
                } else {
                    YamlScalar { text, plain: style == ScalarStyle::Plain }
                };
                match tag {
                    None => composer.scalar(span, scalar, anchor)?,
                    Some(tag) => {
                        let scalar = tagged(scalar, &tag).unwrap_or_else(|(code, message)| {
                            composer.refuse(part.error(code, span, message));
                            YamlScalar::string("")
                        });
                        composer.scalar(span, scalar, anchor)?;
                    }
                }
            }
            Event::SequenceStart(_, anchor, _) => composer.open(CollectionKind::List, start, anchor)?,
            Event::MappingStart(_, anchor, _) => composer.open(CollectionKind::Map, start, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                composer.close((!at.is_empty()).then(|| part.position(&at.end)))?;
            }
            Event::Alias(anchor) => composer.alias(anchor, span())?,
            Event::DocumentEnd => composer.finish(),
            _ => {}
        }
    }
    Ok(())
}

fn options() -> Options {
    let mut options = granit_parser::options! {
        // As in kubectl: a block that ends with the file without a line break has none either.
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    options.set_emit_comments(false);
    options
}

/// What `scalar` is when a tag says so. Tags of one's own make strings, as in kubectl.
fn tagged<'t>(scalar: YamlScalar<'t>, tag: &Tag) -> Result<YamlScalar<'t>, (&'static str, String)> {
    let name = tag.suffix_in_namespace("tag:yaml.org,2002:");
    let name = match name.as_deref() {
        Some("binary") => {
            return Err(("TagUnsupported", "the tag !!binary is not supported: write the text itself".to_owned()));
        }
        Some(name @ ("int" | "float" | "bool" | "null")) => name,
        _ => return Ok(YamlScalar { plain: false, ..scalar }),
    };
    let scalar = YamlScalar { plain: true, ..scalar };
    let fits = match scalar.meaning() {
        ScalarMeaning::Null => name == "null",
        ScalarMeaning::Bool(_) => name == "bool",
        ScalarMeaning::Int(_) | ScalarMeaning::Unsigned(_) => name == "int" || name == "float",
        ScalarMeaning::Float(_) => name == "float",
        ScalarMeaning::Text(_) => false,
    };
    if fits { Ok(scalar) } else { Err(("TagMismatch", format!("the tag !!{name} does not fit {}", scalar.describe()))) }
}
