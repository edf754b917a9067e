//! Placements of an answer from the history as comma-separated values (RFC 4180): a line for each pod, policy and span.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and obeys it: such a text gets an apostrophe
//! before it. Controls are shown.

use std::io::{self, Write};

use crate::{history::answer::HistoryAnswer, terminal::visible};

const HEADER: [&str; 22] = [
    "namespace",
    "workload",
    "pod",
    "uid",
    "node",
    "pool",
    "provider",
    "offer",
    "region",
    "zone",
    "policy",
    "level",
    "levelFrom",
    "categories",
    "exception",
    "inForce",
    "compliance",
    "from",
    "sinceBefore",
    "until",
    "end",
    "certain",
];

/// Writes the placements of `answer`.
///
/// # Errors
/// Those of `out`.
pub fn csv(answer: &HistoryAnswer<'_>, out: &mut dyn Write) -> io::Result<()> {
    line(out, &HEADER.map(str::to_owned))?;
    for held in &answer.placements {
        let pod = &held.what;
        let of_place = |part: fn(&crate::history::entry::PoolPlace) -> &String| {
            pod.place.as_ref().map(|place| part(place).clone()).unwrap_or_default()
        };
        for verdict in pod.policies.iter().filter(|verdict| answer.question.is_of(verdict)) {
            let cells = [
                pod.namespace.clone(),
                pod.workload.clone(),
                pod.pod.clone(),
                pod.uid.clone(),
                pod.node.clone(),
                of_place(|place| &place.pool),
                of_place(|place| &place.provider),
                of_place(|place| &place.offer),
                of_place(|place| &place.region),
                of_place(|place| &place.zone),
                verdict.policy.clone(),
                verdict.level.clone().unwrap_or_default(),
                verdict.level_from.clone().unwrap_or_default(),
                verdict.categories.join(" "),
                verdict.exception.clone().unwrap_or_default(),
                verdict.in_force.to_string(),
                verdict.compliance.as_str().to_owned(),
                held.span.from.to_string(),
                held.since_before.to_string(),
                held.span.until.to_string(),
                held.end.as_str().to_owned(),
                held.certain.to_string(),
            ];
            line(out, &cells)?;
        }
    }
    Ok(())
}

fn line(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    for (index, text) in cells.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(out, "{separator}{}", cell(text))?;
    }
    out.write_all(b"\r\n")
}

/// A text as a cell.
fn cell(text: &str) -> String {
    let text = visible(text);
    let guard = if text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', ';', '\'']) {
        return text.into_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("api", "api"),
            ("=1+1", "\"'=1+1\""),
            (" @SUM(A1)", "\"' @SUM(A1)\""),
            ("-2", "\"'-2\""),
            ("\t=1", "␉=1"),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("a\r\nb", "a␍␊b"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
