//! Ends the lab's processes when the lab itself ends without doing so.
//!
//! Killing a process on drop covers errors and panics, not a SIGKILL of ourselves. The usual answer,
//! `PR_SET_PDEATHSIG`, must be set in the child between fork and exec, which takes unsafe code, and
//! exists on Linux alone. Instead one small shell reads the process groups from a pipe of which we
//! hold the only other end. However we end, the kernel closes it, and the shell ends what is left.
//! It runs in a process group of its own, so that Ctrl-C does not reach it first.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
};

use super::{Error, Result};

/// Keeps a list of process groups, and at the end of its input kills them.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r verb group; do
    case $verb in
        watch) groups="$groups$group " ;;
        forget) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group" 2>/dev/null
done
"#;

/// The shell, and our end of the pipe.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// Starts the shell.
    pub(super) fn start() -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "rempart-lab-watchdog"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: "sh".to_owned(), source })?;
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Self { shell, pipe })
    }

    /// From now on the process group ends when we do.
    pub(super) fn watch(&self, group: i32) -> Result<()> {
        self.tell("watch", group)
    }

    /// The process group has ended; its number may soon be another's.
    pub(super) fn forget(&self, group: i32) {
        // A watchdog that is gone has nothing left to forget.
        let _ = self.tell("forget", group);
    }

    fn tell(&self, verb: &str, group: i32) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match pipe.as_mut() {
            Some(pipe) => writeln!(pipe, "{verb} {group}")
                .map_err(|source| Error::Spawn { program: "the lab's watchdog".to_owned(), source }),
            None => Err(Error::NotRunning("the lab's watchdog".to_owned())),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.pipe.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::io::Result<Child> {
        Command::new("sleep").arg("600").process_group(0).spawn()
    }

    fn group(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap_or_default()
    }

    #[test]
    fn what_is_watched_ends_with_us_and_what_is_forgotten_does_not() -> Result<(), Box<dyn std::error::Error>> {
        let mut children = [sleeper()?, sleeper()?, sleeper()?];
        let watchdog = Watchdog::start()?;
        for child in &children {
            watchdog.watch(group(child))?;
        }
        watchdog.forget(group(&children[1]));
        drop(watchdog);
        let [first, second, third] = &mut children;
        assert!(!first.wait()?.success());
        assert!(!third.wait()?.success());
        assert!(second.try_wait()?.is_none());
        second.kill()?;
        second.wait()?;
        Ok(())
    }
}
