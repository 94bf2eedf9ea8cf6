//! Invariant: with an index or without one, whatever became of it, the answers are the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use fitledger_core::error::Error;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, FileStore, Memory};
use fitledger_core::views::best::{Wanted, best_runs};
use fitledger_core::views::compare::compare;
use fitledger_core::views::export;
use fitledger_core::views::fold::Fold;
use fitledger_core::views::index_cache::IndexCache;
use fitledger_core::views::runs::{ALL_PARTS, Part, Run, Runs};
use fitledger_core::views::table;

use random::{Dice, generic, open, path, words, write};
use wait::wait_until;

mod random;
mod wait;

fn cache(name: &str) -> IndexCache {
    let folder = path(name).with_extension("cache");
    drop(fs::remove_dir_all(&folder));
    IndexCache {
        folder,
        min_ledger_bytes: 0,
        max_bytes: 1 << 30,
    }
}

fn indexes(cache: &IndexCache) -> Vec<PathBuf> {
    let entries = fs::read_dir(&cache.folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// What the runs are by way of the index; an error if a part of it turned out damaged.
fn ask(cache: &IndexCache, path: &Path) -> Result<String, Error> {
    words(cache.read(&open(path)).unwrap().view())
}

fn truth(path: &Path) -> String {
    words(generic(path).unwrap().view()).unwrap()
}

type Question = fn(&Runs) -> Result<String, Error>;

/// Questions that need a part of an index each.
const QUESTIONS: [Question; 8] = [
    words,
    |runs| {
        let wanted = Wanted {
            maximize: true,
            n: 3,
            ..Wanted::default()
        };
        let mut answers = String::new();
        for metric in runs.metrics.iter() {
            let rows = best_runs(runs, metric, &wanted)?;
            answers += &table(runs, &rows)?;
        }
        Ok(answers)
    },
    |runs| table(runs, &table::all_rows(runs, false)?),
    |runs| {
        let rows = table::all_rows(runs, false)?;
        runs.load(&rows, &[])?;
        let columns = export::columns(runs, &rows, None)?;
        let mut csv = Vec::new();
        export::write_csv(runs, &rows, &columns, &mut csv).unwrap();
        Ok(String::from_utf8(csv).unwrap())
    },
    |runs| {
        of_some(runs, &[Part::Values], |run| {
            format!("{:?}{:?}", run.params(), run.metrics())
        })
    },
    |runs| {
        of_some(runs, &[Part::Sessions], |run| {
            let sessions = (run.session(), run.last_session());
            format!("{sessions:?}{}{:?}", run.is_lost(), run.unfit())
        })
    },
    |runs| {
        let hidden = runs.with_sealed()?.map(|run| format!("{:?}", run.hidden()));
        let hidden: String = hidden.collect();
        let extras = of_some(runs, &[Part::Extras], |run| {
            let names = (run.name(), run.experiment(), run.parent().map(Run::id));
            let said = (
                run.notes(),
                run.void_reason(),
                run.condition(),
                run.stream(),
            );
            let kept = (run.artifacts(), run.tags(), run.data(), run.seed());
            format!("{names:?}{said:?}{kept:?}")
        })?;
        Ok(hidden + &extras)
    },
    |runs| {
        let rows: Vec<usize> = (0..runs.len()).step_by(50).collect();
        runs.load(&rows, &ALL_PARTS)?;
        let chosen: Vec<Run<'_>> = rows.iter().map(|&row| runs.at(row)).collect();
        Ok(format!("{:?}", compare(&chosen)))
    },
];

fn table(runs: &Runs, rows: &[usize]) -> Result<String, Error> {
    let mut answer = String::new();
    for column in table::columns(runs, false, rows, |_| true)? {
        let values: Vec<_> = rows.iter().map(|&row| column.values.get(row)).collect();
        answer += &format!("{}{:?}{values:?}", column.name, column.ty);
    }
    Ok(answer)
}

fn of_some(runs: &Runs, parts: &[Part], say: fn(Run<'_>) -> String) -> Result<String, Error> {
    let mut answer = String::new();
    for row in (0..runs.len()).step_by(17) {
        runs.load(&[row], &[])?;
        let id = runs.at(row).id().to_owned();
        let run = runs.get_with(&id, parts)?.expect("its id is known");
        answer += &format!("{id}{:?}{:?}{}", run.began(), run.ended(), say(run));
    }
    Ok(answer)
}

#[test]
fn an_index_changes_no_answer() {
    for seed in 0..40 {
        let path = path(&format!("cache-{seed}"));
        drop(fs::remove_file(&path));
        let cache = cache(&format!("cache-{seed}"));
        let mut dice = Dice(seed);
        for _ in 0..4 {
            write(&path, &mut dice, [2, 5, 40, 1000][seed as usize % 4]);
            // First from the ledger or from what is old, then from the index alone.
            assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
            assert_eq!(indexes(&cache).len(), 1);
            assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
        }
        // A view from an index follows the ledger as any other does.
        let mut folded = cache.read(&open(&path)).unwrap();
        write(&path, &mut dice, 2);
        folded.catch_up(&open(&path)).unwrap();
        assert_eq!(words(folded.view()).unwrap(), truth(&path));
        fs::remove_file(&path).unwrap();
        fs::remove_dir_all(&cache.folder).unwrap();
    }
}

#[test]
fn each_question_loads_what_it_reads() {
    let path = path("cache-questions");
    drop(fs::remove_file(&path));
    let cache = cache("cache-questions");
    write(&path, &mut Dice(4), 5);
    ask(&cache, &path).unwrap();
    let truth = generic(&path).unwrap();
    for question in QUESTIONS {
        let folded = cache.read(&open(&path)).unwrap();
        assert_eq!(
            question(folded.view()).unwrap(),
            question(truth.view()).unwrap()
        );
    }
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}

#[test]
fn names_that_few_runs_have_take_little() {
    // Runs of which each has names of its own: what they take, in memory and in an index.
    let taken = |count: usize| {
        let name = format!("cache-own-names-{count}");
        let (path, cache) = (path(&name), cache(&name));
        drop(fs::remove_file(&path));
        let events = (0..count).map(|run| {
            let own = |i: usize| format!("\"own {run} {i}\":{i}");
            let own: Vec<String> = (0..4).map(own).collect();
            let values = Object::of_pairs(own.join(",").into_bytes());
            let event = Event {
                run_id: RunId::new(&format!("run-{run}")),
                params: values.clone(),
                metrics: values,
                ..Event::new(EventKind::Run)
            };
            (
                Timestamp::from_micros(1_795_000_000_000_000).unwrap(),
                event,
            )
        });
        let open_store = || FileStore::open(&path);
        let mut random = |bytes: &mut [u8]| bytes.fill(1);
        let now = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
        let written = random::with_append(&Object::new(), now, &mut random, |how| {
            ledger::append(open_store, &path, &mut Memory::default(), how, events)
        });
        written.unwrap();
        let by_rows = generic(&path).unwrap();
        let at_once = cache.read(&open(&path)).unwrap();
        let index = indexes(&cache).remove(0);
        let taken = [
            by_rows.view().size(),
            at_once.view().size(),
            fs::metadata(index).unwrap().len() as usize,
        ];
        fs::remove_file(&path).unwrap();
        fs::remove_dir_all(&cache.folder).unwrap();
        taken
    };
    for (few, many) in taken(500).into_iter().zip(taken(2000)) {
        assert!(many < 6 * few, "{many} is more than four times {few}");
    }
}

#[test]
fn an_index_that_turns_out_damaged_when_rows_are_added_is_not_used() {
    let path = path("cache-added");
    drop(fs::remove_file(&path));
    let cache = cache("cache-added");
    let mut dice = Dice(6);
    for _ in 0..30 {
        write(&path, &mut dice, 3);
        assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
        let index = indexes(&cache).remove(0);
        let mut bytes = fs::read(&index).unwrap();
        let at = dice.roll(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.roll(8);
        fs::write(&index, &bytes).unwrap();
        write(&path, &mut dice, 3);
        match ask(&cache, &path) {
            Ok(answer) => assert_eq!(answer, truth(&path)),
            Err(e) => assert_eq!(e.class(), "damaged_index"),
        }
        fs::remove_file(&path).unwrap();
        fs::remove_dir_all(&cache.folder).unwrap();
    }
}

#[test]
fn a_damaged_index_is_no_answer() {
    let (ours, other) = (path("cache-damage"), path("cache-other"));
    drop(fs::remove_file(&ours));
    drop(fs::remove_file(&other));
    let cache = cache("cache-damage");
    let mut dice = Dice(5);
    write(&other, &mut dice, 5);
    ask(&cache, &other).unwrap();
    let of_other = fs::read(&indexes(&cache)[0]).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
    write(&ours, &mut dice, 5);
    ask(&cache, &ours).unwrap();
    let index = indexes(&cache).remove(0);
    let whole = fs::read(&index).unwrap();
    let truth = generic(&ours).unwrap();
    let expected = QUESTIONS.map(|question| question(truth.view()).unwrap());
    let mut damaged = 0;
    for round in 0..600 {
        let mut bytes = whole.clone();
        let at = dice.roll(bytes.len() as u64) as usize;
        match round % 5 {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_slice(b"more"),
            3 => bytes[at..].fill(0),
            _ => bytes = of_other.clone(),
        }
        fs::write(&index, &bytes).unwrap();
        let which = dice.roll(QUESTIONS.len() as u64) as usize;
        let (question, expected) = (QUESTIONS[which], &expected[which]);
        match question(cache.read(&open(&ours)).unwrap().view()) {
            Ok(answer) => assert_eq!(answer, *expected),
            Err(e) => {
                assert!(matches!(&e, Error::DamagedIndex { path } if *path == index));
                damaged += 1;
                // Whoever asks again without it has the answer.
                fs::remove_file(&index).unwrap();
                let again = question(cache.read(&open(&ours)).unwrap().view());
                assert_eq!(again.unwrap(), *expected);
            }
        }
    }
    assert!(damaged > 10);
    fs::remove_file(&ours).unwrap();
    fs::remove_file(&other).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}

#[test]
fn a_ledger_that_did_not_only_grow_is_read_anew() {
    let path = path("cache-rewritten");
    let cache = cache("cache-rewritten");
    let mut dice = Dice(3);
    let mut versions = Vec::new();
    for _ in 0..3 {
        drop(fs::remove_file(&path));
        write(&path, &mut dice, 5);
        versions.push(fs::read(&path).unwrap());
    }
    let mut longer = versions[0].clone();
    longer.truncate(longer.len() / 2);
    versions.push(longer);
    // One byte of a value is another, which changes no length and no hash.
    let mut edited = versions[0].clone();
    let digit = edited.windows(4).rposition(|four| four == b"0.25").unwrap();
    edited[digit + 3] = b'6';
    versions.push(edited);
    for _ in 0..60 {
        let version = &versions[dice.roll(versions.len() as u64) as usize];
        fs::write(&path, version).unwrap();
        assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
    }
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}

#[test]
fn many_read_while_the_ledger_grows() {
    let path = path("cache-many");
    drop(fs::remove_file(&path));
    let cache = cache("cache-many");
    write(&path, &mut Dice(1), 5);
    thread::scope(|scope| {
        for reader in 0..4 {
            let (cache, path) = (&cache, &path);
            scope.spawn(move || {
                let mut runs = 0;
                for round in 0..60 {
                    let now = match (reader + round) % 5 {
                        0 => {
                            indexes(cache)
                                .iter()
                                .for_each(|index| drop(fs::remove_file(index)));
                            continue;
                        }
                        _ => cache.read(&open(path)).unwrap(),
                    };
                    assert!(now.view().len() >= runs);
                    runs = now.view().len();
                }
            });
        }
        for round in 0..20 {
            write(&path, &mut Dice(round + 2), 5);
        }
    });
    assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}

/// The clock of the file system ticks slowly: until what is written is younger than what was there.
fn tick() {
    let path = path("cache-tick");
    let written = || {
        fs::write(&path, "").unwrap();
        fs::metadata(&path).unwrap().modified().unwrap()
    };
    let before = written();
    wait_until("the file system's clock to tick", || written() > before);
    fs::remove_file(&path).unwrap();
}

#[test]
fn the_folder_is_bounded_and_private() {
    let mut cache = cache("cache-bound");
    let mut known: Vec<PathBuf> = Vec::new();
    let mut next = |cache: &IndexCache, i: u64| {
        let path = path(&format!("cache-bound-{i}"));
        drop(fs::remove_file(&path));
        write(&path, &mut Dice(i), 40);
        ask(cache, &path).unwrap();
        tick();
        let mut all = indexes(cache);
        all.retain(|index| !known.contains(index));
        known.extend_from_slice(&all);
        (path, all.remove(0))
    };
    let size = |cache: &IndexCache| -> u64 {
        let sizes = indexes(cache)
            .into_iter()
            .map(|index| fs::metadata(index).unwrap().len());
        sizes.sum()
    };
    let (first, index_of_first) = next(&cache, 0);
    let (second, index_of_second) = next(&cache, 1);
    let (third, _) = next(&cache, 2);
    ask(&cache, &first).unwrap();
    tick();
    cache.max_bytes = size(&cache);
    let (fourth, index_of_fourth) = next(&cache, 3);
    assert!(size(&cache) <= cache.max_bytes);
    assert!(index_of_first.exists() && index_of_fourth.exists() && !index_of_second.exists());
    #[cfg(unix)]
    for (path, mode) in [(&cache.folder, 0o700), (&index_of_first, 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            mode
        );
    }
    for path in [first, second, third, fourth] {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(&cache.folder).unwrap();
}

#[test]
fn nobody_elses_files_are_touched() {
    let (path, mut cache) = (path("cache-others"), cache("cache-others"));
    drop(fs::remove_file(&path));
    write(&path, &mut Dice(9), 5);
    fs::create_dir_all(&cache.folder).unwrap();
    let hex = "0123456789abcdef";
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    let file = |name: &str| {
        let path = cache.folder.join(name);
        fs::write(&path, [0; 2000]).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(long_ago).unwrap();
        path
    };
    let others = ["notes.index", "mydata.tmp", hex, "a.b.tmp"].map(&file);
    let left_over = file(&format!("{hex}{hex}.{hex}.tmp"));
    ask(&cache, &path).unwrap();
    assert!(others.iter().all(|other| other.exists()));
    assert!(!left_over.exists());

    // What doesn't fit isn't kept, and doesn't cost others their place.
    let before = indexes(&cache);
    cache.max_bytes = 100;
    let another = path.with_extension("other");
    drop(fs::remove_file(&another));
    write(&another, &mut Dice(11), 5);
    assert_eq!(ask(&cache, &another).unwrap(), truth(&another));
    assert_eq!(indexes(&cache), before);
    fs::remove_file(&path).unwrap();
    fs::remove_file(&another).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}

#[test]
fn without_a_folder_the_ledger_is_read() {
    let (path, mut cache) = (path("cache-none"), cache("cache-none"));
    drop(fs::remove_file(&path));
    write(&path, &mut Dice(9), 5);
    cache.folder = path.join("below a file");
    assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
    cache.folder = path.with_extension("cache");
    cache.min_ledger_bytes = fs::metadata(&path).unwrap().len() + 1;
    assert_eq!(ask(&cache, &path).unwrap(), truth(&path));
    assert!(indexes(&cache).is_empty());
    fs::remove_file(&path).unwrap();
}

/// A ledger, and an index of it from when it said something else: the length, the hashes and the
/// time are the same.
#[cfg(unix)]
fn forged(name: &str) -> (PathBuf, IndexCache, String, String) {
    let (path, cache) = (path(name), cache(name));
    drop(fs::remove_file(&path));
    write(&path, &mut Dice(3), 5);
    let whole = fs::read(&path).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let rewrite = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
    };
    // A value that counts: of a finished run.
    let text = String::from_utf8(whole.clone()).unwrap();
    let is_run = |line: &&str| line.contains(",run,") && line.contains("0.25");
    let line = text.lines().rfind(is_run).unwrap();
    let digit = text.find(line).unwrap() + line.find("0.25").unwrap();
    let mut edited = whole.clone();
    edited[digit + 3] = b'6';
    rewrite(&edited);
    let told = ask(&cache, &path).unwrap();
    rewrite(&whole);
    let expected = truth(&path);
    assert_ne!(told, expected);
    (path, cache, told, expected)
}

/// Believed where it is ours alone, and only there.
#[test]
#[cfg(unix)]
fn an_index_that_others_may_have_written_is_not_believed() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let (path, cache, told, expected) = forged("cache-planted");
    let index = indexes(&cache).remove(0);
    let forgery = fs::read(&index).unwrap();
    let elsewhere = path.with_extension("elsewhere");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::write(&elsewhere, &forgery).unwrap();
    mode(&elsewhere, 0o600);
    let put = |bytes: &[u8]| {
        drop(fs::remove_file(&index));
        fs::write(&index, bytes).unwrap();
        mode(&index, 0o600);
    };
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| {
        use std::os::unix::fs::MetadataExt;
        it.uid() == 0
    });

    put(&forgery);
    assert_eq!(ask(&cache, &path).unwrap(), told, "ours alone");

    for shared in [0o620, 0o602, 0o666] {
        put(&forgery);
        mode(&index, shared);
        assert_eq!(ask(&cache, &path).unwrap(), expected, "{shared:o}");
    }
    put(b"");
    fs::remove_file(&index).unwrap();
    symlink(&elsewhere, &index).unwrap();
    assert_eq!(ask(&cache, &path).unwrap(), expected, "a link");
    assert!(!fs::symlink_metadata(&index).unwrap().is_symlink());
    assert_eq!(fs::read(&elsewhere).unwrap(), forgery);

    fs::remove_file(&index).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&index).status();
    assert!(made.unwrap().success());
    assert_eq!(ask(&cache, &path).unwrap(), expected, "a FIFO");

    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    assert_eq!(ask(&cache, &path).unwrap(), expected, "a folder");
    fs::remove_dir(&index).unwrap();

    if is_root {
        put(&forgery);
        chown(&index, Some(65534), None).unwrap();
        assert_eq!(ask(&cache, &path).unwrap(), expected, "another's");
    }

    for shared in [0o770, 0o707, 0o1777] {
        put(&forgery);
        mode(&cache.folder, shared);
        assert!(cache.is_shared());
        assert_eq!(ask(&cache, &path).unwrap(), expected, "{shared:o}");
        assert_eq!(fs::read(&index).unwrap(), forgery, "nothing is written");
        mode(&cache.folder, 0o700);
    }
    if is_root {
        put(&forgery);
        chown(&cache.folder, Some(65534), None).unwrap();
        assert_eq!(ask(&cache, &path).unwrap(), expected, "another's folder");
        chown(&cache.folder, Some(0), None).unwrap();
    }
    // A link that the user has made to a folder of theirs is theirs.
    put(&forgery);
    let real = path.with_extension("real");
    drop(fs::remove_dir_all(&real));
    fs::rename(&cache.folder, &real).unwrap();
    symlink(&real, &cache.folder).unwrap();
    assert_eq!(ask(&cache, &path).unwrap(), told, "a link of ours");

    for file in [&path, &elsewhere, &cache.folder] {
        fs::remove_file(file).unwrap();
    }
    fs::remove_dir_all(&real).unwrap();
}

/// An index may say anything of its blocks, under a digest that is right.
#[test]
fn blocks_that_are_not_in_the_file_are_no_blocks() {
    let (path, cache) = (path("cache-sizes"), cache("cache-sizes"));
    drop(fs::remove_file(&path));
    write(&path, &mut Dice(7), 5);
    let expected = truth(&path);
    ask(&cache, &path).unwrap();
    let index = indexes(&cache).remove(0);
    let whole = fs::read(&index).unwrap();
    let trailer = whole.len() - (8 + 32 + 24);
    let number = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
    let start = number(trailer);
    // Where the directory has a place, a size, and the digest of what is there.
    let names_a_block = |&entry: &usize| {
        let (at, size) = (number(entry), number(entry + 8));
        at.checked_add(size).is_some_and(|end| end <= start) && {
            let block = &whole[at as usize..(at + size) as usize];
            Digest::of(&[block]).bytes()[..] == whole[entry + 16..entry + 48]
        }
    };
    let entries: Vec<usize> = (start as usize..=trailer - 48)
        .filter(names_a_block)
        .collect();
    assert!(entries.len() > 20);
    for entry in entries {
        for (offset, was) in [(0, number(entry)), (8, number(entry + 8))] {
            for odd in [start + 1, 1 << 40, 1 << 62, u64::MAX - was, u64::MAX] {
                let mut bytes = whole.clone();
                bytes[entry + offset..][..8].copy_from_slice(&odd.to_le_bytes());
                let digest = Digest::of(&[&bytes[start as usize..trailer]]);
                bytes[trailer + 8..trailer + 40].copy_from_slice(digest.bytes());
                fs::write(&index, &bytes).unwrap();
                assert_eq!(ask(&cache, &path).unwrap(), expected, "{entry}: {odd}");
            }
        }
    }
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
}
