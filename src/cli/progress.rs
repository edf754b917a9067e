//! Progress spinner: a sign of life for what takes more than a second.
//!
//! Shown until it is dropped, on a terminal alone.

use std::{
    io::{self, IsTerminal},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

/// After this long, somebody wonders.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is going on, shown from now on until it is dropped; not before a second has passed, and on a terminal alone.
pub(super) struct ProgressSpinner {
    working: Option<(Sender<()>, JoinHandle<()>)>,
}

impl ProgressSpinner {
    /// Says `what` is going on.
    pub(super) fn of(what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self { working: None };
        }
        let (done, waiting) = mpsc::channel();
        let shown = std::thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = indicatif::ProgressBar::new_spinner().with_message(what);
            bar.enable_steady_tick(Duration::from_millis(100));
            // Whether the sender speaks or is gone, it is done.
            let _ = waiting.recv();
            bar.finish_and_clear();
        });
        Self { working: Some((done, shown)) }
    }
}

impl Drop for ProgressSpinner {
    fn drop(&mut self) {
        if let Some((done, shown)) = self.working.take() {
            drop(done);
            // A thread that only draws has nothing to tell.
            let _ = shown.join();
        }
    }
}
