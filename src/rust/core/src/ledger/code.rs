//! The code that runs come from, by the hash of its bytes: the script, and what a work tree has that
//! isn't committed.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::format::digest::{Digest, Hasher};
use crate::platform::git;
use crate::platform::memory;
use crate::platform::sys::{self, Stamp};

/// The most bytes of a script, or of a difference, that are kept.
pub const MAX_KEPT_BYTES: usize = 1 << 20;
/// What is larger than this is no script.
const MAX_SCRIPT_BYTES: u64 = 64 << 20;
/// How long git may take for a difference, while a run is logged.
const DIFF_LIMIT: Duration = Duration::from_secs(1);
/// The same where somebody waits for the answer.
const ASKED_DIFF_LIMIT: Duration = Duration::from_secs(10);

/// How many states of work trees this process has seen. Each has a number of its own, so that who
/// comes back to a folder doesn't take what is there now for what was there before.
static STATES: AtomicU32 = AtomicU32::new(0);

/// Bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub digest: Digest,
    /// Unless there are more than are kept.
    pub bytes: Option<Vec<u8>>,
}

impl Seen {
    /// Everything that can be read. It is hashed as it comes, so that its size costs no memory.
    pub fn read(source: &mut dyn Read) -> io::Result<Seen> {
        let mut hasher = Hasher::default();
        let mut bytes = Some(Vec::new());
        let mut block = vec![0; 1 << 16];
        loop {
            let n = match source.read(&mut block) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            hasher.update(&block[..n]);
            bytes = bytes.filter(|kept: &Vec<u8>| kept.len() + n <= MAX_KEPT_BYTES);
            if let Some(kept) = &mut bytes {
                memory::append(kept, &block[..n])?;
            }
        }
        let digest = hasher.finish();
        Ok(Seen { digest, bytes })
    }
}

/// A script that is looked at again and again.
#[derive(Debug, Default)]
pub struct Script {
    path: PathBuf,
    stamp: Option<Stamp>,
    seen: Option<Seen>,
}

impl Script {
    /// What the file holds; `None` where it can't be read. With `once` it is what the file held when
    /// it was looked at first: R has read it by then, and goes on with that.
    pub fn look(&mut self, path: &Path, once: bool) -> Option<&Seen> {
        let is_known = self.path == path;
        if !(is_known && once) {
            let stamp = sys::stamp(path);
            if !is_known || stamp != self.stamp {
                let file = sys::open_regular(path, MAX_SCRIPT_BYTES);
                let seen = file.and_then(|file| Seen::read(&mut file.take(MAX_SCRIPT_BYTES)));
                *self = Script {
                    path: path.to_owned(),
                    stamp,
                    seen: seen.ok(),
                };
            }
        }
        self.seen()
    }

    /// What it held at the last look.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }
}

/// A folder in a repository that is looked at again and again, with what isn't committed.
#[derive(Debug)]
pub struct WorkTree {
    git: git::Watch,
    diff: Option<Seen>,
    /// What git had said, and how often it had been asked, when we looked last.
    git_version: u32,
    asked: u32,
    version: u32,
}

impl WorkTree {
    pub fn new(folder: &Path) -> WorkTree {
        WorkTree {
            git: git::Watch::new(folder),
            diff: None,
            git_version: 0,
            asked: 0,
            version: 0,
        }
    }

    pub fn git(&self) -> &git::Watch {
        &self.git
    }

    /// By what the tracked files of a dirty work tree differed from the commit at the last look.
    pub fn diff(&self) -> Option<&Seen> {
        self.diff.as_ref()
    }

    /// Looks again, where a look is due. The number is another one when something has changed. With
    /// `once` changes to the files don't count, as long as the commit is the same.
    pub fn look(&mut self, ledger: &Path, with_diff: bool, once: bool, now: Instant) -> u32 {
        self.git.hold(once);
        let git_version = self.git.look(ledger, now);
        let mut is_changed = git_version != self.git_version;
        self.git_version = git_version;
        if with_diff && self.asked != self.git.asked() {
            self.asked = self.git.asked();
            let diff = self.read_diff();
            let digest = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.digest);
            is_changed |= digest(&diff) != digest(&self.diff);
            self.diff = diff;
        }
        if is_changed {
            self.version = STATES.fetch_add(1, Ordering::Relaxed) + 1;
        }
        self.version
    }

    fn read_diff(&mut self) -> Option<Seen> {
        let state = self.git.state();
        let commit = match state.dirty {
            Some(true) => state.commit.clone()?,
            _ => return None,
        };
        let began = Instant::now();
        let diff = self.git.diff(&commit, DIFF_LIMIT, Seen::read);
        self.git.put_off(began.elapsed());
        diff
    }

    /// By what the tracked files differ from a commit today; `None` where git can't say.
    pub fn diff_from(&self, commit: &str) -> Option<Digest> {
        let diff = self.git.diff(commit, ASKED_DIFF_LIMIT, Seen::read);
        diff.map(|seen| seen.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_keep_is_hashed_all_the_same() {
        let most = vec![b'x'; MAX_KEPT_BYTES];
        let seen = Seen::read(&mut most.as_slice()).unwrap();
        assert_eq!(seen.digest, Digest::of(&[&most]));
        assert_eq!(seen.bytes.as_deref(), Some(most.as_slice()));
        let more = [most.as_slice(), b"x"].concat();
        let seen = Seen::read(&mut more.as_slice()).unwrap();
        assert_eq!(seen.digest, Digest::of(&[&more]));
        assert_eq!(seen.bytes, None);
    }

    #[test]
    fn a_script_is_read_again_when_it_changed_unless_it_was_read_for_good() {
        let folder = std::env::temp_dir().join(format!("fitledger-script-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("fit.R");
        let held = |seen: Option<&Seen>| seen.and_then(|seen| seen.bytes.clone());
        let (mut sourced, mut started) = (Script::default(), Script::default());
        assert_eq!(sourced.look(&path, false), None);
        std::fs::write(&path, "1").unwrap();
        for script in [&mut sourced, &mut started] {
            assert_eq!(held(script.look(&path, false)), Some(b"1".to_vec()));
        }
        std::fs::write(&path, "12").unwrap();
        assert_eq!(held(sourced.look(&path, false)), Some(b"12".to_vec()));
        assert_eq!(held(started.look(&path, true)), Some(b"1".to_vec()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(sourced.look(&path, false), None);
        assert_eq!(sourced.look(&folder, false), None);
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn changes_count_unless_what_runs_was_read_for_good() {
        let folder = std::env::temp_dir().join(format!("fitledger-tree-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let git = |args: &[&str]| {
            let settings = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
            let mut git = std::process::Command::new("git");
            let done = git
                .arg("-C")
                .arg(&folder)
                .args(settings)
                .args(args)
                .output();
            assert!(done.unwrap().status.success(), "{args:?}");
        };
        let (script, ledger) = (folder.join("fit.R"), folder.join("log.csv"));
        std::fs::write(&script, "1").unwrap();
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "one"]);

        // Git has a second to answer; on a busy machine it is asked again.
        let mut now = Instant::now();
        let mut look = |tree: &mut WorkTree, once| {
            for _ in 0..300 {
                now += Duration::from_secs(3600);
                let version = tree.look(&ledger, true, once, now);
                let dirty = tree.git().state().dirty;
                if dirty == Some(false) || dirty.is_some() && tree.diff().is_some() {
                    return version;
                }
            }
            panic!("git never answers");
        };
        let mut tree = WorkTree::new(&folder);
        let clean = look(&mut tree, true);
        assert_eq!(tree.diff(), None);
        std::fs::write(&script, "22").unwrap();
        assert_eq!(look(&mut tree, true), clean);
        let dirty = look(&mut tree, false);
        assert_ne!(dirty, clean);
        let text = tree.diff().unwrap().bytes.clone().unwrap();
        assert!(String::from_utf8(text).unwrap().contains("+22"));
        std::fs::write(&script, "333").unwrap();
        let other = look(&mut tree, false);
        assert_ne!(other, dirty);
        assert_eq!(look(&mut tree, false), other);
        git(&["commit", "-q", "-a", "-m", "two"]);
        assert_ne!(look(&mut tree, true), other);
        assert_eq!(tree.diff(), None);

        let mut again = WorkTree::new(&folder);
        assert_ne!(look(&mut again, true), clean, "each state has its number");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_is_no_script() {
        let path = std::env::temp_dir().join(format!("fitledger-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(Script::default().look(&path, false), None);
        std::fs::remove_file(&path).unwrap();
    }
}
