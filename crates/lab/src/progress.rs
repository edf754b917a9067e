//! Progress of work that takes seconds or minutes: a spinner on a terminal, plain lines elsewhere.
//!
//! Everything goes to standard error, so that the result of a command stays clean.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Interval between plain lines of a step that goes on.
const REMINDER: Duration = Duration::from_secs(20);

/// Display of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressDisplay {
    /// A line that is redrawn.
    Spinner,
    /// A line when a step starts, now and then while it lasts, and when it ends.
    Lines,
    /// Nothing.
    Silent,
}

impl ProgressDisplay {
    /// A spinner when standard error is a terminal, plain lines otherwise.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() { Self::Spinner } else { Self::Lines }
    }

    /// Begins a step. It counts as failed unless [`ProgressStep::done`] is called.
    pub fn step(self, title: impl Into<String>) -> ProgressStep {
        let title = title.into();
        let bar = match self {
            Self::Spinner => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}") {
                    bar.set_style(style);
                }
                bar.set_prefix(title.clone());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Self::Lines => {
                eprintln!("{title} ...");
                None
            }
            Self::Silent => None,
        };
        let now = Instant::now();
        ProgressStep { shown: self, title, bar, began: now, reminded: Mutex::new(now) }
    }
}

/// A step that goes on.
#[derive(Debug)]
pub struct ProgressStep {
    shown: ProgressDisplay,
    title: String,
    bar: Option<ProgressBar>,
    began: Instant,
    reminded: Mutex<Instant>,
}

impl ProgressStep {
    /// Says what the step is at.
    pub fn note(&self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        } else if self.shown == ProgressDisplay::Lines
            && let Ok(mut reminded) = self.reminded.lock()
            && reminded.elapsed() >= REMINDER
        {
            *reminded = Instant::now();
            eprintln!("{} ... {:.0} s, at {message}", self.title, self.began.elapsed().as_secs_f32());
        }
    }

    /// Ends the step well, with its duration.
    pub fn done(self) {
        let line = format!("{}: {:.1} s", self.title, self.began.elapsed().as_secs_f32());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.shown != ProgressDisplay::Silent {
            eprintln!("{line}");
        }
    }
}

impl Drop for ProgressStep {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
