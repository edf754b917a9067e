//! Watchdog that kills the lab's process groups and removes its directory when the lab ends, however it ends.
//!
//! Killing a process on drop covers errors and panics, not a SIGKILL of ourselves. The usual answer,
//! `PR_SET_PDEATHSIG`, must be set in the child between fork and exec, which takes unsafe code, and exists on Linux
//! alone. Instead one small shell reads the process groups from a pipe of which we hold the only other end: however we
//! end, the kernel closes it, and the shell kills what is left. It runs in a process group of its own, so that Ctrl-C
//! does not reach it first.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use super::{LabError, Result};

/// Keeps a list of process groups, kills them at the end of its input, and removes the directory
/// that is its argument. The last loop is for processes that still write while they die.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
dir=$1
groups=' '
while read -r verb group; do
    case $verb in
        watch) groups="$groups$group " ;;
        forget) groups="${groups%% $group *} ${groups#* $group }" ;;
        keep) dir= ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group" 2>/dev/null
done
if [ -n "$dir" ]; then
    for attempt in 1 2 3 4 5; do
        rm -rf -- "$dir" && break
        sleep 1
    done
fi
"#;

/// The shell, and our end of the pipe.
#[derive(Debug)]
pub(super) struct ProcessWatchdog {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl ProcessWatchdog {
    /// Starts the shell, and leaves the directory to it.
    pub(super) fn start(dir: TempDir) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "rempart-lab-watchdog"])
            .arg(dir.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|reason| LabError::Spawn { program: "sh".to_owned(), reason })?;
        let _ = dir.keep();
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Self { shell, pipe })
    }

    /// The directory stays.
    pub(super) fn keep(&self) -> Result<()> {
        self.tell("keep")
    }

    /// From now on the process group ends when we do.
    pub(super) fn watch(&self, group: i32) -> Result<()> {
        self.tell(&format!("watch {group}"))
    }

    /// The process group has ended; its number may soon be another's.
    pub(super) fn forget(&self, group: i32) {
        // A watchdog that is gone has nothing left to forget.
        let _ = self.tell(&format!("forget {group}"));
    }

    fn tell(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        match pipe.as_mut() {
            Some(pipe) => writeln!(pipe, "{line}")
                .map_err(|reason| LabError::Spawn { program: "the lab's watchdog".to_owned(), reason }),
            None => Err(LabError::NotRunning("the lab's watchdog".to_owned())),
        }
    }
}

impl Drop for ProcessWatchdog {
    fn drop(&mut self) {
        self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    fn group(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn what_is_watched_ends_with_us_and_what_is_forgotten_does_not() {
        let mut children = [sleeper(), sleeper(), sleeper()];
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_owned();
        let watchdog = ProcessWatchdog::start(dir).unwrap();
        for child in &children {
            watchdog.watch(group(child)).unwrap();
        }
        watchdog.forget(group(&children[1]));
        assert!(path.exists());
        drop(watchdog);
        let [first, second, third] = &mut children;
        assert!(!first.wait().unwrap().success());
        assert!(!third.wait().unwrap().success());
        assert!(second.try_wait().unwrap().is_none());
        assert!(!path.exists());
        second.kill().unwrap();
        second.wait().unwrap();
    }

    #[test]
    fn a_directory_can_be_kept() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_owned();
        let watchdog = ProcessWatchdog::start(dir).unwrap();
        watchdog.keep().unwrap();
        drop(watchdog);
        assert!(path.exists());
        std::fs::remove_dir(path).unwrap();
    }
}
