//! What git says of the folder in which a run is made. Never slow, never an error.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::platform::sys::{self, Stamp, stamp};

/// How long an answer about changed files stays good.
const DIRTY_GOOD_FOR: Duration = Duration::from_secs(10);
/// How long git may take to look for changed files.
const DIRTY_LIMIT: Duration = Duration::from_secs(1);
/// After an answer git is left alone for so many times as long as that took, so that it never takes
/// more than this part of the time of a script that logs much.
const REST: u32 = 20;
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
    /// Where the commit that is checked out stands: in the folder of the refs, unless a path says otherwise.
    refs: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    /// How often git was asked about changed files.
    asked: u32,
    /// When to ask again; at once, if there is no time.
    due: Option<Instant>,
    /// Whether not to ask again while HEAD stays.
    is_held: bool,
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

/// What is checked out.
#[derive(Debug, Default)]
struct Head {
    commit: Option<String>,
    branch: Option<String>,
    /// The files that say so, beside HEAD itself.
    refs: Vec<PathBuf>,
}

impl Watch {
    pub fn new(folder: &Path) -> Watch {
        Watch {
            folder: folder.to_owned(),
            repository: Repository::find(folder),
            state: State::default(),
            refs: Vec::new(),
            stamps: Vec::new(),
            asked: 0,
            due: None,
            is_held: false,
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

    /// How often git was asked about changed files: a number that grows when there is news to be had of them.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Looks again, where a look is due. The number grows when something has changed.
    pub fn look(&mut self, ledger: &Path, now: Instant) -> u32 {
        let Some(repository) = &self.repository else {
            return self.version;
        };
        let ledger = std::path::absolute(ledger).unwrap_or_else(|_| ledger.to_owned());
        if !self.ignored.contains(&ledger) {
            self.ignored.push(ledger);
            self.due = None;
        }
        let before = self.state.clone();
        if self.version == 0 || repository.stamps(&self.refs) != self.stamps {
            let head = repository.head();
            (self.state.commit, self.state.branch) = (head.commit, head.branch);
            self.refs = head.refs;
            self.stamps = repository.stamps(&self.refs);
            self.due = None;
        }
        let is_settled = self.is_held && self.state.dirty.is_some();
        if self.due.is_none_or(|due| now >= due && !is_settled) {
            let began = Instant::now();
            self.state.dirty = repository.is_dirty(&self.ignored);
            self.asked = self.asked.wrapping_add(1);
            self.due = Some(now + DIRTY_GOOD_FOR.max(began.elapsed() * REST));
        }
        if self.version == 0 || self.state != before {
            self.version += 1;
        }
        self.version
    }

    /// What is made of the difference of the tracked files from a commit, as git prints it; `None`
    /// where git can't say, or not in time. What isn't tracked is no part of it.
    pub fn diff<T>(
        &self,
        commit: &str,
        limit: Duration,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Option<T> {
        let repository = self.repository.as_ref()?;
        repository.diff(commit, &self.ignored, limit, read)
    }

    /// Whether what git has answered stays good while HEAD does. An answer that didn't come doesn't.
    pub fn hold(&mut self, hold: bool) {
        self.is_held = hold;
    }

    /// Puts the next question off, after git took so long for another one.
    pub fn put_off(&mut self, took: Duration) {
        self.due = self.due.map(|due| due + took * REST);
    }
}

impl Repository {
    /// The repository around a folder, by git's own rules: a folder `.git` that holds none is passed over, a file
    /// `.git` that leads to none is the end of the search.
    fn find(folder: &Path) -> Option<Repository> {
        let folder = std::path::absolute(folder).ok()?;
        folder.ancestors().find_map(|root| {
            let marker = root.join(".git");
            if marker.is_dir() {
                return Repository::at(root, marker).map(Some);
            }
            let text = marker.is_file().then(|| read(&marker))?;
            let git_dir = text
                .as_deref()
                .and_then(|text| text.strip_prefix("gitdir: "));
            let git_dir = git_dir.map(|path| root.join(without_line_ends(path)));
            Some(git_dir.and_then(|git_dir| Repository::at(root, git_dir)))
        })?
    }

    /// The repository in this folder, if it is one: it has a HEAD, objects and references.
    fn at(root: &Path, git_dir: PathBuf) -> Option<Repository> {
        let common_dir = match read(&git_dir.join("commondir")) {
            Some(path) => git_dir.join(without_line_ends(&path)),
            None => git_dir.clone(),
        };
        // What a linked work tree has is kept in the repository itself: nobody leads us to one that doesn't know of it.
        let is_known = git_dir == common_dir || {
            let (own, common) = (
                git_dir.canonicalize().ok()?,
                common_dir.canonicalize().ok()?,
            );
            own.starts_with(common)
        };
        let head = read(&git_dir.join("HEAD")).filter(|_| is_known)?;
        let reference = head.strip_prefix("ref:").map(str::trim);
        let leads = reference.map_or_else(
            || commit(head.trim()).is_some(),
            |reference| reference.starts_with("refs/"),
        );
        let is_whole = leads
            && ["objects", "refs"]
                .iter()
                .all(|name| common_dir.join(name).is_dir());
        is_whole.then(|| Repository {
            root: root.to_owned(),
            git_dir,
            common_dir,
        })
    }

    fn stamps(&self, refs: &[PathBuf]) -> Vec<Option<Stamp>> {
        let mut stamps = vec![
            stamp(&self.git_dir.join("HEAD")),
            stamp(&self.common_dir.join("packed-refs")),
        ];
        stamps.extend(refs.iter().map(|path| stamp(&self.common_dir.join(path))));
        stamps
    }

    fn head(&self) -> Head {
        if self.common_dir.join("reftable").is_dir() {
            return self.head_of_tables();
        }
        let mut head = Head::default();
        let Some(text) = read(&self.git_dir.join("HEAD")) else {
            return head;
        };
        let mut text = text.trim().to_owned();
        // A branch may be but another name of one. Git follows no more of them than so many.
        for _ in 0..5 {
            let Some(reference) = text.strip_prefix("ref:").map(str::trim) else {
                head.commit = commit(&text);
                break;
            };
            let inside = Path::new(reference)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if !inside || !reference.starts_with("refs/") {
                break;
            }
            if head.refs.is_empty() {
                head.branch = reference.strip_prefix("refs/heads/").map(str::to_owned);
            }
            head.refs.push(PathBuf::from(reference));
            let loose = read(&self.common_dir.join(reference)).map(|text| text.trim().to_owned());
            let is_known = |text: &String| text.starts_with("ref:") || commit(text).is_some();
            match loose.filter(is_known).or_else(|| self.packed(reference)) {
                Some(found) => text = found,
                None => break,
            }
        }
        head
    }

    /// Refs in tables, which git itself has to read. One that can't says nothing.
    fn head_of_tables(&self) -> Head {
        let ask = |question: &[&str]| {
            let asked = self.git().args(question).spawn().ok()?;
            let answer = whole_answer(asked, DIRTY_LIMIT, read_text)?;
            Some(without_line_ends(&answer).to_owned())
        };
        let reference = ask(&["symbolic-ref", "--quiet", "HEAD"]);
        let branch = reference
            .as_deref()
            .and_then(|name| name.strip_prefix("refs/heads/"));
        Head {
            commit: ask(&["rev-parse", "--verify", "--quiet", "HEAD"]).and_then(|id| commit(&id)),
            branch: branch.map(str::to_owned),
            // A linked work tree has tables of its own, too.
            refs: [&self.common_dir, &self.git_dir]
                .map(|folder| folder.join("reftable/tables.list"))
                .to_vec(),
        }
    }

    fn packed(&self, reference: &str) -> Option<String> {
        let packed = read(&self.common_dir.join("packed-refs"))?;
        packed.lines().find_map(|line| {
            let (id, name) = line.split_once(' ')?;
            (name == reference).then(|| commit(id))?
        })
    }

    /// Whether the repository's own configuration names what would be run on changed files, or may: filters of git's, or
    /// something for a filter that the user has set up, as git-lfs has extensions. Who unpacks somebody's archive has not
    /// agreed to run what is in it.
    fn may_name_programs(&self, limit: Duration) -> bool {
        let mut says_more = false;
        for path in [
            self.common_dir.join("config"),
            self.git_dir.join("config.worktree"),
        ] {
            match read(&path).as_deref().map(worst_section) {
                Some(Section::Harmless) => {}
                Some(Section::OfOthers) => says_more = true,
                Some(Section::Runs) => return true,
                None if std::fs::symlink_metadata(&path).is_err() => {}
                None => return true,
            }
        }
        says_more && self.has_filters(limit)
    }

    /// Whether any configuration that git reads names filters, or git doesn't say.
    fn has_filters(&self, limit: Duration) -> bool {
        let asked = self.git().args(["config", "--list", "--name-only"]).spawn();
        let names = asked
            .ok()
            .and_then(|child| whole_answer(child, limit, read_text));
        names.is_none_or(|names| names.lines().any(|name| name.starts_with("filter.")))
    }

    /// Git, asked of the files of the work tree but for ledgers. It runs nothing that the repository
    /// could name: where that may be in its configuration it isn't asked at all, and hooks, a file system monitor,
    /// a look into submodules, and fetching what is missing are turned off. Nor does it write, take
    /// a lock, or look at another work tree than the one around us.
    ///
    /// It is told which repository to look at, so that it reads no other configuration than the one that we
    /// looked at. Since git trusts whoever tells it, it is asked before whether it trusts that repository.
    fn ask(&self, question: &[&str], ignored: &[PathBuf], limit: Duration) -> Option<Child> {
        if self.may_name_programs(limit) || !self.is_gits_choice(limit) {
            return None;
        }
        let mut git = self.git();
        git.args(question)
            .args(["--", ":/"])
            .args(ignored.iter().flat_map(|ledger| self.exclude(ledger)))
            .env("GIT_DIR", &self.git_dir)
            .env("GIT_COMMON_DIR", &self.common_dir)
            .env("GIT_WORK_TREE", &self.root);
        git.spawn().ok()
    }

    /// Whether git, left to itself, takes the same repository, and one of an owner whom it trusts.
    fn is_gits_choice(&self, limit: Duration) -> bool {
        let asked = self.git().args(["rev-parse", "--absolute-git-dir"]).spawn();
        let path = asked
            .ok()
            .and_then(|child| whole_answer(child, limit, read_text));
        let theirs = path.and_then(|path| Path::new(without_line_ends(&path)).canonicalize().ok());
        theirs.is_some_and(|theirs| self.git_dir.canonicalize().is_ok_and(|ours| ours == theirs))
    }

    /// Git at the top of the work tree, without what the environment says of another repository.
    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.args(["--no-optional-locks", "--no-pager"])
            .args(["-c", "core.fsmonitor=false"])
            .args(["-c", "core.hooksPath=/dev/null"])
            .arg("-C")
            .arg(&self.root)
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for name in [
            "GIT_DIR",
            "GIT_COMMON_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_NAMESPACE",
            "GIT_PREFIX",
            "GIT_DIFF_OPTS",
        ] {
            git.env_remove(name);
        }
        git
    }

    fn is_dirty(&self, ignored: &[PathBuf]) -> Option<bool> {
        let question = [
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=normal",
            "--ignore-submodules=dirty",
        ];
        says_anything(self.ask(&question, ignored, DIRTY_LIMIT)?, DIRTY_LIMIT)
    }

    /// The plumbing, since `git diff` itself writes to the index, and its output is what each user
    /// has set up. The full hashes stand for the contents of binary files.
    fn diff<T>(
        &self,
        commit: &str,
        ignored: &[PathBuf],
        limit: Duration,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Option<T> {
        let commit = self::commit(commit)?;
        let question = [
            "diff-index",
            "--patch",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--no-color",
            "--submodule=short",
            "--ignore-submodules=dirty",
            &commit,
        ];
        whole_answer(self.ask(&question, ignored, limit)?, limit, |output| {
            read(output)
        })
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

/// What a section of a configuration may have git run as it looks for changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    /// Nothing that isn't turned off.
    Harmless,
    /// What programs beside git make of it.
    OfOthers,
    /// Filters, or what another file says.
    Runs,
}

/// The sections that git itself reads, but for filters and inclusions, and those of tools that are no filters.
const HARMLESS_SECTIONS: &str = " advice alias am apply attr blame branch browser bundle checkout clean clone color column commit \
    commitgraph completion core credential diff difftool extensions fastimport feature fetch format fsck gc gitflow gitcvs gitweb gpg \
    grep gui guitool help http i18n imap index init instaweb interactive log lsrefs mailinfo mailmap maintenance man merge mergetool \
    notes pack pager pretty promisor protocol pull push rebase receive reftable remote remotes repack rerere revert safe sendemail \
    sequencer showbranch sparse splitindex ssh stash status submodule svn svn-remote tag tar trailer transfer uploadarchive uploadpack \
    url user versionsort web worktree ";

/// The worst of all sections. What only looks like the beginning of one counts, too.
fn worst_section(config: &str) -> Section {
    let config = config.to_ascii_lowercase();
    let sections = config.split('[').skip(1).map(|section| {
        let end = section.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let name = &section[..end.unwrap_or(section.len())];
        if name.starts_with("filter") || name.starts_with("include") {
            Section::Runs
        } else if HARMLESS_SECTIONS.contains(&format!(" {name} ")) || is_plain_lfs(section) {
            Section::Harmless
        } else {
            Section::OfOthers
        }
    });
    sections.max().unwrap_or(Section::Harmless)
}

/// What git-lfs itself writes into the configuration of a repository. Its extensions are programs, and where it stores what
/// it reads can be anywhere.
fn is_plain_lfs(section: &str) -> bool {
    let Some((header, body)) = section.split_once(']') else {
        return false;
    };
    let is_of_server = header.starts_with("lfs \"http") && !header.contains('\\');
    let known: &[&str] = match header {
        "lfs" => &["repositoryformatversion"],
        _ if is_of_server => &["access", "locksverify"],
        _ => return false,
    };
    let keys = body
        .lines()
        .map(|line| line.split('=').next().unwrap_or_default().trim());
    keys.filter(|key| !key.is_empty())
        .all(|key| known.contains(&key))
}

/// The text of a regular file; a pipe doesn't hang us.
fn read(path: &Path) -> Option<String> {
    let file = sys::open_regular(path, MAX_FILE_BYTES).ok()?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What git takes off a path that stands in a file: a blank at its end is part of it.
fn without_line_ends(path: &str) -> &str {
    path.trim_end_matches(['\n', '\r'])
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
    let first = read_within(&mut child, limit, |output| output.read_exact(&mut [0]));
    let answer = match first {
        Some(Ok(())) => Some(true),
        Some(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
            let status = child.wait().ok();
            status.filter(|status| status.success()).map(|_| false)
        }
        _ => None,
    };
    drop(child.kill());
    drop(child.wait());
    answer
}

fn read_text(output: &mut ChildStdout) -> io::Result<String> {
    let mut text = String::new();
    output.read_to_string(&mut text).map(|_| text)
}

/// What is made of all that a command prints which succeeds in time.
fn whole_answer<T>(
    mut child: Child,
    limit: Duration,
    read: impl FnOnce(&mut ChildStdout) -> io::Result<T>,
) -> Option<T> {
    let answer = read_within(&mut child, limit, read).and_then(Result::ok);
    if answer.is_none() {
        drop(child.kill());
    }
    let ended_well = child.wait().is_ok_and(|status| status.success());
    answer.filter(|_| ended_well)
}

/// What is made of a command's output. A command that is not through with it in time is ended, and
/// then there is nothing.
fn read_within<T>(
    child: &mut Child,
    limit: Duration,
    read: impl FnOnce(&mut ChildStdout) -> T,
) -> Option<T> {
    let mut output = child.stdout.take()?;
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // Without a thread to be had nobody would end it: then nothing is read.
        let watchdog = std::thread::Builder::new().spawn_scoped(scope, move || {
            let in_time = is_done.recv_timeout(limit) != Err(RecvTimeoutError::Timeout);
            if !in_time {
                drop(child.kill());
            }
            in_time
        });
        let watchdog = watchdog.ok()?;
        let answer = read(&mut output);
        drop(done);
        watchdog.join().ok()?.then_some(answer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than git is ever left alone.
    const HOUR: Duration = Duration::from_secs(3600);

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

    /// A repository with one commit of two files, and a look at it.
    fn committed(name: &str) -> (Folder, Watch) {
        let folder = Folder::new(name);
        folder.git(&["init", "-q", "-b", "main"]);
        std::fs::write(folder.0.join("a.txt"), "1\n").unwrap();
        std::fs::write(folder.0.join("b.bin"), [0; 9]).unwrap();
        folder.git(&["add", "."]);
        folder.git(&["commit", "-q", "-m", "one"]);
        let mut watch = Watch::new(&folder.0);
        watch.look(&folder.0.join("log.csv"), Instant::now());
        (folder, watch)
    }

    fn diff(watch: &Watch, commit: &str) -> Option<String> {
        watch.diff(commit, HOUR, |output| {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        })
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn what_a_configuration_may_run_is_told_by_its_sections() {
        for (config, worst) in [
            ("", Section::Harmless),
            (
                "[core]\n\tbare = false\n[branch \"main\"]\n\tremote = origin\n",
                Section::Harmless,
            ),
            (
                "[lfs]\n\trepositoryformatversion = 0\n[lfs \"https://host/x.git/info/lfs\"]\n\taccess = basic\n",
                Section::Harmless,
            ),
            ("[filter \"x\"]\n\tclean = x\n", Section::Runs),
            (
                "[core] bare = false\n[core] [FILTER.x]\n\tclean = x\n",
                Section::Runs,
            ),
            ("[includeIf \"gitdir:/\"]\n\tpath = x\n", Section::Runs),
            ("[lfs \"extension.x\"]\n\tclean = x\n", Section::OfOthers),
            ("[lfs.extension.x]\n\tclean = x\n", Section::OfOthers),
            ("[lfs \"e\\xtension.x\"]\n\tclean = x\n", Section::OfOthers),
            ("[lfs \"http\\s://x\"]\n\taccess = x\n", Section::OfOthers),
            ("[lfs]\n\tstorage = /home/ann\n", Section::OfOthers),
            ("[lfs] storage = /home/ann\n", Section::OfOthers),
            (
                "[lfs]\n\trepositoryformatversion = \\\n[lfs \"extension.x\"]\nclean = x\n",
                Section::OfOthers,
            ),
            ("[annex]\n\tfreezecontent-command = x\n", Section::OfOthers),
            ("[core \"", Section::Harmless),
            ("[", Section::OfOthers),
        ] {
            assert_eq!(worst_section(config), worst, "{config}");
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
                *now += HOUR;
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
        now += HOUR;
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
        assert_eq!(
            packed.repository.unwrap().head().commit,
            watch.state().commit
        );

        // Another name of a branch.
        folder.git(&["symbolic-ref", "refs/heads/other", "refs/heads/main"]);
        folder.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
        watch.look(&ledger, now);
        assert_eq!(watch.state().branch.as_deref(), Some("other"));
        let before = watch.state().commit.clone();
        assert!(before.is_some());
        std::fs::write(folder.0.join("a.R"), "3").unwrap();
        folder.git(&["commit", "-q", "-a", "-m", "three"]);
        watch.look(&ledger, now);
        assert!(watch.state().commit.is_some());
        assert_ne!(watch.state().commit, before);

        folder.git(&["checkout", "-q", "--detach"]);
        watch.look(&ledger, now);
        assert_eq!(watch.state().branch, None);
    }

    #[test]
    fn files_that_are_not_tracked_count_whatever_status_shows() {
        let (folder, mut watch) = committed("untracked");
        folder.git(&["config", "status.showUntrackedFiles", "no"]);
        std::fs::write(folder.0.join("new.R"), "1").unwrap();
        let mut now = Instant::now();
        for _ in 0..300 {
            now += HOUR;
            watch.look(&folder.0.join("log.csv"), now);
            if watch.state().dirty.is_some() {
                break;
            }
        }
        assert_eq!(watch.state().dirty, Some(true));
    }

    #[test]
    fn a_repository_that_claims_the_folder_of_another_is_none() {
        let (private, _) = committed("private");
        let (folder, _) = committed("claims");
        let common = private.0.join(".git");
        std::fs::write(folder.0.join(".git/commondir"), common.to_str().unwrap()).unwrap();
        assert!(Watch::new(&folder.0).root().is_none());

        // A work tree that the repository knows of.
        let linked = Folder::new("linked");
        let path = linked.0.join("tree");
        private.git(&["worktree", "add", "-q", "--detach", path.to_str().unwrap()]);
        let mut watch = Watch::new(&path);
        watch.look(&path.join("log.csv"), Instant::now());
        assert_eq!(watch.root(), Some(path.as_path()));
        assert!(watch.state().commit.is_some());
    }

    /// As git lays them out; the git that is here may not read them, and then nothing is known.
    #[test]
    fn what_stands_for_a_head_beside_tables_of_refs_is_no_branch() {
        let (folder, _) = committed("tables");
        let git = folder.0.join(".git");
        std::fs::create_dir(git.join("reftable")).unwrap();
        std::fs::write(git.join("reftable/tables.list"), "").unwrap();
        std::fs::write(git.join("HEAD"), "ref: refs/heads/.invalid\n").unwrap();
        folder.git(&["config", "core.repositoryformatversion", "1"]);
        let config = git.join("config");
        let old = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, old + "[extensions]\n\trefStorage = reftable\n").unwrap();
        let mut watch = Watch::new(&folder.0);
        watch.look(&folder.0.join("log.csv"), Instant::now());
        assert_eq!(
            (&watch.state().commit, &watch.state().branch),
            (&None, &None)
        );
    }

    #[test]
    fn a_difference_is_of_what_is_tracked_and_is_the_same_for_everybody() {
        let (folder, watch) = committed("diff");
        let commit = watch.state().commit.clone().unwrap();
        let now = || diff(&watch, &commit);
        assert_eq!(now().as_deref(), Some(""));
        let index = || std::fs::read(folder.0.join(".git/index")).unwrap();
        let before = index();

        // Written again with the same bytes, not tracked, or the ledger: no difference.
        for name in ["a.txt", "b.bin"] {
            let path = folder.0.join(name);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
        std::fs::write(folder.0.join("new.txt"), "x").unwrap();
        std::fs::write(folder.0.join("log.csv"), "x").unwrap();
        assert_eq!(now().as_deref(), Some(""));
        assert_eq!(index(), before, "asking writes nothing");

        std::fs::write(folder.0.join("a.txt"), "2\n").unwrap();
        let changed = now().unwrap();
        assert!(changed.contains("\n-1\n+2\n"), "{changed}");
        folder.git(&["add", "a.txt"]);
        assert_eq!(now().as_ref(), Some(&changed), "staged or not");
        for (key, value) in [
            ("diff.context", "0"),
            ("diff.noprefix", "true"),
            ("diff.mnemonicPrefix", "true"),
            ("diff.algorithm", "patience"),
            ("core.abbrev", "7"),
            ("color.ui", "always"),
        ] {
            folder.git(&["config", key, value]);
        }
        assert_eq!(now().as_ref(), Some(&changed), "whatever is set up");
        folder.git(&["commit", "-q", "-m", "two"]);
        assert_eq!(now().as_ref(), Some(&changed), "committed meanwhile");

        std::fs::write(folder.0.join("b.bin"), [0, 1]).unwrap();
        let binary = now();
        std::fs::write(folder.0.join("b.bin"), [0, 2]).unwrap();
        assert_ne!(now(), binary, "bytes that aren't text count");

        for odd in ["HEAD", "--output=x", "", &"0".repeat(40)] {
            assert_eq!(diff(&watch, odd), None, "{odd}");
        }
        assert!(!folder.0.join("x").exists());
    }

    #[test]
    fn a_difference_without_end_is_no_answer() {
        let (folder, watch) = committed("long-diff");
        std::fs::write(folder.0.join("a.txt"), "2\n".repeat(1 << 20)).unwrap();
        let commit = watch.state().commit.clone().unwrap();
        let limit = Duration::from_millis(20);
        let slow = watch.diff(&commit, limit, |output| {
            std::thread::sleep(limit * 10);
            io::copy(output, &mut io::sink())
        });
        assert_eq!(slow, None);
        let stopped = watch.diff(&commit, HOUR, |_| Err::<(), _>(io::Error::other("enough")));
        assert_eq!(stopped, None);
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
        std::fs::write(folder.0.join(".gitattributes"), "*.txt diff=x").unwrap();
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
        for key in [
            "diff.external",
            "diff.x.command",
            "diff.x.textconv",
            "core.pager",
            "pager.diff-index",
        ] {
            folder.git(&["config", key, &trap(key)]);
        }
        std::fs::write(folder.0.join("a.txt"), "2").unwrap();
        let dirty = || {
            let mut watch = Watch::new(&folder.0);
            watch.look(&folder.0.join("log.csv"), Instant::now());
            let commit = watch.state().commit.clone().unwrap();
            (watch.state().dirty, diff(&watch, &commit))
        };
        let (is_dirty, changed) = dirty();
        assert_eq!(is_dirty, Some(true));
        assert!(changed.unwrap().contains("\n+2"));
        assert_eq!(ran(), 0);

        // Whose files its own configuration would show.
        let elsewhere = Folder::new("elsewhere");
        std::fs::write(elsewhere.0.join("a.txt"), "secret").unwrap();
        folder.git(&["config", "core.worktree", elsewhere.0.to_str().unwrap()]);
        assert!(!dirty().1.unwrap().contains("secret"));

        std::fs::write(folder.0.join(".gitattributes"), "*.txt filter=x").unwrap();
        for key in ["clean", "process"] {
            folder.git(&["config", &format!("filter.x.{key}"), &trap(key)]);
        }
        assert_eq!(dirty(), (None, None));
        assert_eq!(ran(), 0);
    }

    /// A repository that would run a command on `a.txt`, in whatever way `.git` leads to it.
    #[cfg(unix)]
    fn with_a_filter(name: &str) -> Folder {
        let folder = Folder::new(name);
        folder.git(&["init", "-q", "-b", "main"]);
        std::fs::write(folder.0.join("a.txt"), "1").unwrap();
        std::fs::write(folder.0.join(".gitattributes"), "*.txt filter=x").unwrap();
        folder.git(&["add", "."]);
        folder.git(&["commit", "-q", "-m", "one"]);
        let trap = format!("touch {}/ran; cat", folder.0.display());
        folder.git(&["config", "filter.x.clean", &trap]);
        std::fs::write(folder.0.join("a.txt"), "22").unwrap();
        folder
    }

    #[cfg(unix)]
    fn copy_all(from: &Path, to: &Path) {
        let copied = Command::new("cp").arg("-R").arg(from).arg(to).status();
        assert!(copied.unwrap().success());
    }

    /// A configuration that names nothing to run.
    const PLAIN: &str = "[core]\n\tbare = false\n";

    #[test]
    #[cfg(unix)]
    fn no_other_repository_is_asked_than_the_one_whose_configuration_was_read() {
        use std::fs::{create_dir, remove_dir_all, rename, write};
        let lead = |name: &str, lead: &dyn Fn(&Path) -> PathBuf| {
            let folder = with_a_filter(name);
            let beside = lead(&folder.0);
            let mut watch = Watch::new(&beside);
            watch.look(&beside.join("log.csv"), Instant::now());
            assert_eq!(watch.state().dirty, None, "{name}");
            assert_eq!(diff(&watch, &"1".repeat(40)), None, "{name}");
            assert!(!folder.0.join("ran").exists(), "{name}");
        };
        lead("git-bare", &|top| {
            for part in ["HEAD", "config", "objects", "refs", "index"] {
                rename(top.join(".git").join(part), top.join(part)).unwrap();
            }
            remove_dir_all(top.join(".git")).unwrap();
            create_dir(top.join(".git")).unwrap();
            top.to_owned()
        });
        lead("git-above", &|top| {
            std::fs::create_dir_all(top.join("inner/.git")).unwrap();
            top.join("inner")
        });
        for (name, kept) in [("git-no-head", "objects"), ("git-no-objects", "HEAD")] {
            lead(name, &|top| {
                let inner = top.join("inner");
                std::fs::create_dir_all(&inner).unwrap();
                copy_all(&top.join(".git"), &inner.join(".git"));
                for part in ["HEAD", "objects"].iter().filter(|part| **part != kept) {
                    let path = inner.join(".git").join(part);
                    rename(path, top.join("aside")).unwrap();
                }
                write(inner.join(".git/config"), PLAIN).unwrap();
                inner
            });
        }
        for end in [" ", "\t", "\u{a0}", " \n", "\u{b}\r\n"] {
            let blank = end.trim_end_matches(['\n', '\r']);
            lead("git-blank", &|top| {
                copy_all(&top.join(".git"), &top.join("real"));
                rename(top.join(".git"), top.join(format!("real{blank}"))).unwrap();
                write(top.join("real/config"), PLAIN).unwrap();
                write(top.join(".git"), format!("gitdir: real{end}")).unwrap();
                top.to_owned()
            });
            lead("git-common", &|top| {
                copy_all(&top.join(".git"), &top.join("c"));
                rename(top.join(".git"), top.join(format!("c{blank}"))).unwrap();
                write(top.join("c/config"), PLAIN).unwrap();
                create_dir(top.join(".git")).unwrap();
                for part in ["HEAD", "index"] {
                    std::fs::copy(top.join("c").join(part), top.join(".git").join(part)).unwrap();
                }
                write(top.join(".git/commondir"), format!("../c{end}")).unwrap();
                top.to_owned()
            });
        }
        // What git refuses altogether.
        for text in [
            "gitdir:real",
            "gitdir:\treal",
            "gitdir:  real",
            " gitdir: real",
            "real",
        ] {
            lead("git-marker", &|top| {
                rename(top.join(".git"), top.join("real")).unwrap();
                write(top.join("real/config"), PLAIN).unwrap();
                write(top.join(".git"), text).unwrap();
                top.to_owned()
            });
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_linked_work_tree_and_a_git_dir_elsewhere_are_seen() {
        let (folder, _) = committed("linked");
        folder.git(&["worktree", "add", "-q", "tree"]);
        folder.git(&["init", "-q", "--separate-git-dir", "kept"]);
        for top in [folder.0.clone(), folder.0.join("tree")] {
            let mut watch = Watch::new(&top);
            let mut now = Instant::now();
            for content in ["1\n", "3\n"] {
                std::fs::write(top.join("a.txt"), content).unwrap();
                now += HOUR;
                watch.look(&top.join("log.csv"), now);
                let commit = watch.state().commit.clone().unwrap();
                let changed = diff(&watch, &commit).unwrap();
                assert_eq!(changed.is_empty(), content == "1\n", "{changed}");
            }
        }
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
        // Git waits for somebody to write to it, until we end that.
        let attributes = folder.0.join(".gitattributes");
        std::fs::write(&head, "ref: refs/heads/main").unwrap();
        std::fs::write(folder.0.join("a.txt"), "1").unwrap();
        folder.git(&["add", "."]);
        folder.git(&["commit", "-q", "-m", "one"]);
        std::fs::write(folder.0.join("a.txt"), "22").unwrap();
        pipe(&attributes);
        let mut watch = Watch::new(&folder.0);
        watch.look(&folder.0.join("log.csv"), Instant::now());
        let commit = watch.state().commit.clone().unwrap();
        let limit = Duration::from_millis(200);
        let waits = watch.diff(&commit, limit, |output| io::copy(output, &mut io::sink()));
        assert_eq!(waits, None);

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
