//! What git says of the folder in which a run is made. Never slow, never an error.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use crate::platform::sys;

/// How long an answer about changed files stays good.
const DIRTY_GOOD_FOR: Duration = Duration::from_secs(10);
/// How long git may take to look for changed files.
const DIRTY_LIMIT: Duration = Duration::from_secs(1);
/// The most that is read of a file of a repository: packed refs can be long, nothing else is.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The commit that is checked out, and whether the files differ from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub commit: Option<String>,
    pub branch: Option<String>,
    /// `None` when git could not say in time.
    pub dirty: Option<bool>,
}

/// A repository that is looked at again and again.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    repository: Option<Repository>,
    state: State,
    stamps: Vec<Option<Stamp>>,
    asked_dirty: Option<Instant>,
    /// Ledgers, as they were named: they and what lies beside them don't count as changes.
    ignored: Vec<PathBuf>,
    version: u32,
}

#[derive(Debug)]
struct Repository {
    root: PathBuf,
    /// Where HEAD is.
    git_dir: PathBuf,
    /// Where the refs are: elsewhere than HEAD in a linked work tree.
    common_dir: PathBuf,
}

/// A file as stat sees it.
type Stamp = (SystemTime, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Watch {
    pub fn new(folder: &Path) -> Watch {
        Watch {
            folder: folder.to_owned(),
            repository: Repository::find(folder),
            state: State::default(),
            stamps: Vec::new(),
            asked_dirty: None,
            ignored: Vec::new(),
            version: 0,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The top folder of the repository, if there is one.
    pub fn root(&self) -> Option<&Path> {
        self.repository
            .as_ref()
            .map(|repository| repository.root.as_path())
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Looks again, where a look is due. The number grows when something has changed.
    pub fn look(&mut self, ledger: &Path, now: Instant) -> u32 {
        let Some(repository) = &self.repository else {
            return self.version;
        };
        let ledger = std::path::absolute(ledger).unwrap_or_else(|_| ledger.to_owned());
        if !self.ignored.contains(&ledger) {
            self.ignored.push(ledger);
            self.asked_dirty = None;
        }
        let before = self.state.clone();
        let stamps = repository.stamps(self.state.branch.as_deref());
        if stamps != self.stamps || self.version == 0 {
            (self.state.commit, self.state.branch) = repository.head();
            self.stamps = repository.stamps(self.state.branch.as_deref());
            self.asked_dirty = None;
        }
        if self
            .asked_dirty
            .is_none_or(|asked| now.duration_since(asked) >= DIRTY_GOOD_FOR)
        {
            self.state.dirty = repository.is_dirty(&self.ignored);
            self.asked_dirty = Some(now);
        }
        if self.version == 0 || self.state != before {
            self.version += 1;
        }
        self.version
    }
}

impl Repository {
    fn find(folder: &Path) -> Option<Repository> {
        let root = folder
            .ancestors()
            .find(|folder| folder.join(".git").exists())?;
        let marker = root.join(".git");
        let git_dir = if marker.is_dir() {
            marker
        } else {
            root.join(read(&marker)?.strip_prefix("gitdir:")?.trim())
        };
        let common_dir = match read(&git_dir.join("commondir")) {
            Some(path) => git_dir.join(path.trim()),
            None => git_dir.clone(),
        };
        Some(Repository {
            root: root.to_owned(),
            git_dir,
            common_dir,
        })
    }

    fn stamps(&self, branch: Option<&str>) -> Vec<Option<Stamp>> {
        let mut stamps = vec![
            stamp(&self.git_dir.join("HEAD")),
            stamp(&self.common_dir.join("packed-refs")),
        ];
        stamps.extend(branch.map(|name| stamp(&self.common_dir.join("refs/heads").join(name))));
        stamps
    }

    /// The commit and the branch; neither where HEAD can't be read.
    fn head(&self) -> (Option<String>, Option<String>) {
        let Some(head) = read(&self.git_dir.join("HEAD")) else {
            return (None, None);
        };
        let head = head.trim();
        let Some(reference) = head.strip_prefix("ref:").map(str::trim) else {
            return (commit(head), None);
        };
        let inside = Path::new(reference)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside || !reference.starts_with("refs/") {
            return (None, None);
        }
        let branch = reference.strip_prefix("refs/heads/").map(str::to_owned);
        let loose = read(&self.common_dir.join(reference));
        let found = loose
            .and_then(|text| commit(text.trim()))
            .or_else(|| self.packed(reference));
        (found, branch)
    }

    fn packed(&self, reference: &str) -> Option<String> {
        let packed = read(&self.common_dir.join("packed-refs"))?;
        packed.lines().find_map(|line| {
            let (id, name) = line.split_once(' ')?;
            (name == reference).then(|| commit(id))?
        })
    }

    /// Whether the repository's own configuration names filters, or may: git would run them on
    /// changed files, and who unpacks somebody's archive has not agreed to run what is in it.
    fn brings_filters(&self) -> bool {
        let configs = [
            self.common_dir.join("config"),
            self.git_dir.join("config.worktree"),
        ];
        configs.iter().any(|path| match read(path) {
            Some(text) => {
                let text = text.to_ascii_lowercase();
                text.contains("[filter") || text.contains("[include")
            }
            None => std::fs::symlink_metadata(path).is_ok(),
        })
    }

    /// Runs nothing that the repository could name: filters are looked for first, hooks, a file
    /// system monitor, a look into submodules, and fetching what is missing are turned off.
    fn is_dirty(&self, ignored: &[PathBuf]) -> Option<bool> {
        if self.brings_filters() {
            return None;
        }
        let mut git = Command::new("git");
        git.arg("--no-optional-locks")
            .args(["-c", "core.fsmonitor=false"])
            .args(["-c", "core.hooksPath=/dev/null"])
            .arg("-C")
            .arg(&self.root)
            .args(["status", "--porcelain", "-z", "--ignore-submodules=dirty"])
            .args(["--", ":/"])
            .args(ignored.iter().flat_map(|ledger| self.exclude(ledger)))
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        says_anything(git.spawn().ok()?, DIRTY_LIMIT)
    }

    /// The pathspecs that leave a ledger and the files beside it out.
    fn exclude(&self, ledger: &Path) -> Vec<OsString> {
        let root = self
            .root
            .canonicalize()
            .unwrap_or_else(|_| self.root.clone());
        let inside = without_links(ledger);
        let Some(inside) = inside.strip_prefix(root).ok().and_then(slashed) else {
            return Vec::new();
        };
        let pattern: String = inside
            .chars()
            .flat_map(|c| "*?[\\".contains(c).then_some('\\').into_iter().chain([c]))
            .collect();
        ["", ".objects/**", ".torn-*"]
            .map(|ending| OsString::from(format!(":(top,exclude,glob){pattern}{ending}")))
            .to_vec()
    }
}

/// The text of a regular file; a pipe doesn't hang us.
fn read(path: &Path) -> Option<String> {
    let file = sys::never_block(OpenOptions::new().read(true))
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The path of a file that need not be there yet, without links in its folder.
fn without_links(file: &Path) -> PathBuf {
    match (file.parent().map(Path::canonicalize), file.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

/// A relative path with forward slashes.
fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    parts.map(|parts| parts.join("/"))
}

fn commit(id: &str) -> Option<String> {
    let is_hash = matches!(id.len(), 40 | 64) && id.bytes().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| id.to_owned())
}

/// Whether a command that succeeds prints anything, if it ends or prints in time.
fn says_anything(mut child: Child, limit: Duration) -> Option<bool> {
    let mut output = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    // Without a thread to be had the end of the channel is the answer that doesn't come.
    let reader = std::thread::Builder::new().spawn(move || {
        let first = output.read(&mut [0]);
        drop(send.send(first));
    });
    let first = receive.recv_timeout(limit);
    let answer = match first {
        Ok(Ok(0)) => child
            .wait()
            .ok()
            .filter(|status| status.success())
            .map(|_| false),
        Ok(Ok(_)) => Some(true),
        _ => None,
    };
    drop(child.kill());
    drop(child.wait());
    drop(reader.map(|reader| reader.join()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path =
                std::env::temp_dir().join(format!("fitledger-{name}-{}", std::process::id()));
            drop(std::fs::remove_dir_all(&path));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path.canonicalize().unwrap())
        }

        fn git(&self, args: &[&str]) {
            let done = Command::new("git")
                .arg("-C")
                .arg(&self.0)
                .args([
                    "-c",
                    "user.name=a",
                    "-c",
                    "user.email=a@example.com",
                    "-c",
                    "commit.gpgsign=false",
                ])
                .args(args)
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "git {args:?}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn outside_a_repository_there_is_nothing_to_see() {
        let mut watch = Watch::new(Path::new("/"));
        assert_eq!(watch.look(Path::new("/log.csv"), Instant::now()), 0);
        assert_eq!(*watch.state(), State::default());
    }

    #[test]
    fn commits_branches_and_changes_are_seen() {
        let folder = Folder::new("git");
        folder.git(&["init", "-q", "-b", "main"]);
        std::fs::write(folder.0.join("a.R"), "1").unwrap();
        folder.git(&["add", "."]);
        folder.git(&["commit", "-q", "-m", "one"]);

        let ledger = folder.0.join("runs").join("log[1].csv");
        std::fs::create_dir_all(folder.0.join("runs/log[1].csv.objects/ab")).unwrap();
        std::fs::write(&ledger, "x").unwrap();
        std::fs::write(folder.0.join("runs/log[1].csv.objects/ab/cd"), "x").unwrap();
        std::fs::write(folder.0.join("runs/log[1].csv.torn-60-abc"), "x").unwrap();

        let mut now = Instant::now();
        // Git has a second to answer. On a busy machine it may take longer, and is asked again.
        let answered = |watch: &mut Watch, now: &mut Instant| {
            for _ in 0..300 {
                let version = watch.look(&ledger, *now);
                if watch.state().dirty.is_some() {
                    return version;
                }
                *now += DIRTY_GOOD_FOR;
            }
            panic!("git never answers");
        };
        let mut watch = Watch::new(&folder.0.join("runs"));
        assert_eq!(watch.root(), Some(folder.0.as_path()));
        let first = answered(&mut watch, &mut now);
        assert_eq!(watch.state().branch.as_deref(), Some("main"));
        assert_eq!(watch.state().commit.as_ref().map(String::len), Some(40));
        assert_eq!(watch.state().dirty, Some(false), "the ledger is no change");
        assert_eq!(watch.look(&ledger, now), first, "nothing has changed");

        std::fs::write(folder.0.join("a.R"), "2").unwrap();
        assert_eq!(watch.look(&ledger, now), first, "too soon to ask again");
        now += DIRTY_GOOD_FOR;
        let second = answered(&mut watch, &mut now);
        assert!(second > first);
        assert_eq!(watch.state().dirty, Some(true));

        let old = watch.state().commit.clone();
        folder.git(&["commit", "-q", "-a", "-m", "two"]);
        assert!(answered(&mut watch, &mut now) > second);
        assert_ne!(watch.state().commit, old);
        assert_eq!(watch.state().dirty, Some(false));

        folder.git(&["pack-refs", "--all"]);
        let packed = Watch::new(&folder.0);
        assert_eq!(packed.repository.unwrap().head().0, watch.state().commit);

        folder.git(&["checkout", "-q", "--detach"]);
        watch.look(&ledger, now);
        assert_eq!(watch.state().branch, None);
    }

    #[test]
    #[cfg(unix)]
    fn a_repository_from_elsewhere_runs_nothing() {
        let folder = Folder::new("hostile");
        let trap = |name: &str| format!("touch {}/ran-{name}", folder.0.display());
        let ran = || {
            let entries = std::fs::read_dir(&folder.0).unwrap().flatten();
            entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("ran-"))
                .count()
        };
        folder.git(&["init", "-q", "-b", "main"]);
        std::fs::write(folder.0.join("a.txt"), "1").unwrap();
        folder.git(&["add", "."]);
        folder.git(&["commit", "-q", "-m", "one"]);
        let hooks = folder.0.join("hooks");
        std::fs::create_dir(&hooks).unwrap();
        let hook = hooks.join("post-index-change");
        std::fs::write(&hook, format!("#!/bin/sh\n{}\n", trap("hook"))).unwrap();
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        folder.git(&["config", "core.hooksPath", hooks.to_str().unwrap()]);
        folder.git(&["config", "core.fsmonitor", &trap("fsmonitor")]);
        std::fs::write(folder.0.join("a.txt"), "2").unwrap();
        let dirty = || {
            let mut watch = Watch::new(&folder.0);
            watch.look(&folder.0.join("log.csv"), Instant::now());
            watch.state().dirty
        };
        assert_eq!(dirty(), Some(true));
        assert_eq!(ran(), 0);

        std::fs::write(folder.0.join(".gitattributes"), "*.txt filter=x").unwrap();
        for key in ["clean", "process"] {
            folder.git(&["config", &format!("filter.x.{key}"), &trap(key)]);
        }
        assert_eq!(dirty(), None);
        assert_eq!(ran(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn pipes_and_references_that_lead_elsewhere_are_nothing_to_see() {
        let folder = Folder::new("odd-head");
        folder.git(&["init", "-q", "-b", "main"]);
        let head = folder.0.join(".git/HEAD");
        let seen = || {
            let mut watch = Watch::new(&folder.0);
            watch.look(&folder.0.join("log.csv"), Instant::now());
            (watch.state().commit.clone(), watch.state().branch.clone())
        };
        std::fs::write(folder.0.join("secret"), "0".repeat(40)).unwrap();
        for odd in [
            "ref: ../secret",
            "ref: refs/../../secret",
            "ref: /etc/hostname",
        ] {
            std::fs::write(&head, odd).unwrap();
            assert_eq!(seen(), (None, None), "{odd}");
        }
        let pipe = |path: &Path| {
            let done = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(done.success());
        };
        std::fs::remove_file(&head).unwrap();
        pipe(&head);
        assert_eq!(seen(), (None, None));
        std::fs::remove_dir_all(folder.0.join(".git")).unwrap();
        pipe(&folder.0.join(".git"));
        assert_eq!(seen(), (None, None));
    }

    #[test]
    #[cfg(unix)]
    fn a_slow_answer_is_no_answer() {
        let slow = Command::new("sleep")
            .arg("300")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        assert_eq!(says_anything(slow, Duration::from_millis(50)), None);
        assert!(
            start.elapsed() < Duration::from_secs(200),
            "nobody waits for its end"
        );
    }
}
