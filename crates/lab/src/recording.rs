//! Recording of the demo: what it prints, as an animated picture for the README.
//!
//! Runs the demo as a process of its own, takes its lines with the time at which each came, and returns an SVG that plays
//! them as a terminal does, the newest line at the bottom. Long waits are cut short, and lines that come together are shown one
//! after the other, so that a person can follow. The libraries that draw terminals draw what stands at the end; this moves.

use std::{fmt::Write as _, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::Instant,
};

/// How many lines are seen at a time, and how large a line and a character of it are.
const ROWS: usize = 34;
const LINE: usize = 18;
const LETTER: usize = 8;
const COLUMNS: usize = 102;
/// The least and the most time that one line takes.
const LEAST: Duration = Duration::from_millis(120);
const MOST: Duration = Duration::from_millis(1500);
/// How long the end is seen before it begins anew.
const END: Duration = Duration::from_secs(6);

/// A line, and how long after the one before it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordedLine {
    after: Duration,
    text: String,
}

/// Runs the demo and draws it. What it prints is printed too.
///
/// # Errors
/// Whatever the demo fails by, and when it cannot be run.
pub async fn record() -> Result<String> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(program);
    command.arg("demo").env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR").stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("the demo cannot be started")?;
    let output = child.stdout.take().context("the demo has no output")?;
    let (mut lines, mut recorded, mut last) = (BufReader::new(output).lines(), Vec::new(), Instant::now());
    while let Some(text) = lines.next_line().await.context("the demo prints no text")? {
        crate::terminal::print_result(&text)?;
        let now = Instant::now();
        recorded.push(RecordedLine { after: now.duration_since(last), text });
        last = now;
    }
    let status = child.wait().await.context("the demo does not end")?;
    ensure!(status.success(), "the demo failed ({status}): nothing is recorded");
    Ok(draw(&recorded))
}

/// The picture of these lines.
fn draw(lines: &[RecordedLine]) -> String {
    let (width, height) = (COLUMNS.saturating_mul(LETTER), ROWS.saturating_mul(LINE).saturating_add(LINE));
    let mut times = Vec::new();
    let mut at = Duration::ZERO;
    for line in lines {
        at = at.saturating_add(line.after.clamp(LEAST, MOST));
        times.push(at);
    }
    let whole = at.saturating_add(END).as_secs_f64();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"The demo of Rempart in a \
         terminal\">\n<style>\n\
         text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d1d7e0; white-space: pre }}\n\
         .good {{ fill: #57ab5a }} .bad {{ fill: #f47067 }} .faint {{ fill: #768390 }} .strong {{ font-weight: bold; fill: #ffffff }}\n\
         .screen {{ animation: play {whole:.2}s step-end infinite }}\n@keyframes play {{\n"
    );
    // A String takes all that is written.
    let _ = writeln!(svg, "0% {{ transform: translateY({}px) }}", ROWS.saturating_mul(LINE));
    for (index, time) in times.iter().enumerate() {
        let percent = time.as_secs_f64() / whole * 100.0;
        let shown = index.saturating_add(1).saturating_mul(LINE);
        let offset = ROWS.saturating_mul(LINE).checked_sub(shown);
        let offset = offset.map_or_else(
            || format!("-{}", shown.saturating_sub(ROWS.saturating_mul(LINE))),
            |offset| offset.to_string(),
        );
        let _ = writeln!(svg, "{percent:.3}% {{ transform: translateY({offset}px) }}");
    }
    let _ = write!(
        svg,
        "}}\n</style>\n<rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#22272e\"/>\n<g class=\"screen\">\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let y = index.saturating_add(1).saturating_mul(LINE);
        if !line.text.trim().is_empty() {
            let _ = writeln!(svg, "<text x=\"{LETTER}\" y=\"{y}\">{}</text>", spans(&line.text));
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// A line with its colours, as a terminal is told of them.
fn spans(line: &str) -> String {
    let (mut out, mut class) = (String::new(), "");
    for (index, part) in line.split('\x1b').enumerate() {
        let text = match part.strip_prefix('[').and_then(|rest| rest.split_once('m')).filter(|_| index > 0) {
            Some((codes, text)) => {
                class = class_of(codes, class);
                text
            }
            None => part,
        };
        if text.is_empty() {
            continue;
        }
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = match class {
            "" => write!(out, "{text}"),
            class => write!(out, "<tspan class=\"{class}\">{text}</tspan>"),
        };
    }
    out
}

/// How text looks after `codes`, where it was of `class` before. What nobody here writes changes nothing.
fn class_of(codes: &str, class: &'static str) -> &'static str {
    match codes {
        "0" | "" | "39" | "22" => "",
        "32" | "38;5;10" | "38;5;2" => "good",
        "31" | "38;5;9" | "38;5;1" => "bad",
        "2" => "faint",
        "1" => "strong",
        _ => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_nothing_else_is_believed() {
        assert_eq!(
            spans("a \x1b[32m✔ <b>\x1b[0m & \x1b[1mx"),
            "a <tspan class=\"good\">✔ &lt;b&gt;</tspan> &amp; <tspan class=\"strong\">x</tspan>"
        );
        assert_eq!(spans("\x1b]8;;http://x\x07y"), "]8;;http://xy");
    }

    #[test]
    fn the_newest_line_is_at_the_bottom_and_waits_are_cut_short() {
        let line = |seconds, text: &str| RecordedLine { after: Duration::from_secs(seconds), text: text.to_owned() };
        let svg = draw(&[line(0, "one"), line(60, "two")]);
        // 0.12 s and 1.5 s, and the end.
        assert!(svg.contains("animation: play 7.62s step-end infinite"), "{svg}");
        assert!(svg.contains("1.575% { transform: translateY(594px) }"), "{svg}");
        assert!(svg.contains("21.260% { transform: translateY(576px) }"), "{svg}");
        assert!(svg.contains("<text x=\"8\" y=\"36\">two</text>"), "{svg}");
    }
}
