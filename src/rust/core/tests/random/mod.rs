//! Ledgers with every kind of event, at random.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fitledger_core::Error;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, Append, FileStore, LedgerFile, Memory, Session};
use fitledger_core::views::fold::Folded;
use fitledger_core::views::runs::{ALL_PARTS, Runs};

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }
}

const KEYS: [&str; 7] = ["lambda", "model", "é", "a b", "$$cost", "", "x\\\"y"];
const VALUES: [&str; 22] = [
    "0.1",
    "5",
    "-0.0",
    "1e-7",
    "1.5e+300",
    "true",
    "false",
    "null",
    "\"ridge\"",
    "\"\"",
    "\"}\\\",\"",
    "\"中文\"",
    "\"a, b\"",
    "\"\\n\"",
    "2147483647",
    "-2147483647",
    r#"{"$na":"double"}"#,
    r#"{"$na":"date"}"#,
    r#"{"$double":"Inf"}"#,
    r#"{"$list":[1.0]}"#,
    "[1,2,3]",
    r#"{"$code":"y ~ x"}"#,
];
const NUMBERS: [&str; 8] = [
    "0.25",
    "7",
    "-1e-9",
    r#"{"$na":"double"}"#,
    r#"{"$double":"-Inf"}"#,
    r#"{"step":[1,2],"value":[0.5,0.4]}"#,
    // Reported before anything else of the ledger, and after.
    r#"{"step":[1,2],"value":[0.5,0.3],"time":[1794999999.5,1794999999.0]}"#,
    r#"{"step":[3],"value":[0.2],"time":[1795000099.5]}"#,
];

fn object(dice: &mut Dice, values: &[&'static str]) -> Object {
    let mut pairs: Vec<String> = Vec::new();
    let start = dice.roll(KEYS.len() as u64) as usize;
    for i in 0..dice.roll(4) as usize {
        let key = KEYS[(start + i) % KEYS.len()];
        pairs.push(format!("\"{key}\":{}", dice.pick(values)));
    }
    // Names that few runs have.
    if dice.roll(25) == 0 {
        let key = dice.roll(6);
        pairs.push(format!("\"rare {key}\":{}", dice.pick(values)));
    }
    Object::of_pairs(pairs.join(",").into_bytes())
}

/// An append of a session that has but this context.
pub fn with_append<T>(
    context: &Object,
    now: Timestamp,
    random: &mut dyn FnMut(&mut [u8]),
    write: impl FnOnce(&mut Append<'_>) -> T,
) -> T {
    write(&mut Append {
        session: Session {
            version: 1,
            context,
            lockfile: None,
            code: &[],
        },
        sync: false,
        now,
        random,
        since: Instant::now(),
        give_up: &mut || false,
    })
}

/// A ledger in which now and then something unusual happens.
pub fn write(path: &Path, dice: &mut Dice, unusual: u64) {
    let mut memory = Memory::default();
    let mut ids: Vec<String> = Vec::new();
    for batch in 0..30 {
        let mut events = Vec::new();
        for _ in 0..=dice.roll(20) {
            let old = !ids.is_empty() && dice.roll(unusual) == 0;
            let id = match old {
                true => ids[dice.roll(ids.len() as u64) as usize].clone(),
                false => format!("run-{}-{}", ids.len(), dice.roll(1000)),
            };
            let name = match (old, dice.roll(unusual)) {
                (true, _) => dice.roll(11),
                (false, 0) => 1,
                (false, _) => 0,
            };
            let names = [
                "run", "start", "log", "end", "void", "reveal", "resume", "note", "later",
                "register", "promote",
            ];
            let name = names[name as usize];
            if !old {
                ids.push(id.clone());
            }
            let parent = dice.roll(ids.len() as u64);
            let child = format!(
                r#"{{"name":"n","parent":"{}","stream":"AQAAAA=="}}"#,
                ids[parent as usize]
            );
            let mut context = match dice.roll(8 + unusual) {
                3 => r#"{"name":"né","experiment":"e","seed":3}"#,
                4 => r#"{"experiment":"e \"x\"","seed":3}"#,
                5 => r#"{"seed":3,"name":"late"}"#,
                6 => child.as_str(),
                7 => r#"{"experiment":"e"}"#,
                0 => r#"{"tags":{"by":"ann"}}"#,
                1 => r#"{"sealed":{"test":0.5}}"#,
                2 => r#"{"seed":42,"data":{"d":{"hash":"fl1:x","rows":3}}}"#,
                8..10 => r#"{"seed":7}"#,
                _ => "{}",
            };
            let of_model = match dice.roll(4) {
                0 => r#"{"model":"m","version":2,"stage":"s","previous":1}"#,
                1 => r#"{"model":"m","version":1,"stage":"s","previous":2,"undoes":9}"#,
                _ => r#"{"model":"m","version":1,"stage":"s","previous":null}"#,
            };
            match name {
                "void" if dice.roll(2) == 0 => context = r#"{"void":false}"#,
                "void" => context = r#"{"reason":"why not"}"#,
                "note" => context = r#"{"text":"a note"}"#,
                "end" if dice.roll(2) == 0 => {
                    context = r#"{"status":"failed","condition":{"message":"no","class":["error"],"calls":"f()"}}"#;
                }
                "register" | "promote" => context = of_model,
                _ => {}
            }
            let time = Timestamp::from_micros(1_795_000_000_000_000 + dice.roll(5_000_000) as i64)
                .unwrap();
            let artifact = Object::from_text(br#"{"m":{"sha256":"x","size":3}}"#).unwrap();
            let event = Event {
                run_id: RunId::new(&id),
                params: object(dice, &VALUES),
                metrics: object(dice, &NUMBERS),
                artifacts: match dice.roll(3 * unusual) {
                    _ if name == "register" => artifact.clone(),
                    0 => artifact.clone(),
                    _ => Object::new(),
                },
                context: Object::from_text(context.as_bytes()).unwrap(),
                ..Event::new(EventKind::parse(name))
            };
            events.push((time, event));
        }
        let context = Object::new().text("user", &format!("u{}", batch / 7));
        let now = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
        let mut random = |bytes: &mut [u8]| bytes.fill_with(|| dice.roll(256) as u8);
        let open = || FileStore::open(path);
        let written = with_append(&context, now, &mut random, |how| {
            how.session.version = batch / 7;
            ledger::append(open, path, &mut memory, how, events)
        });
        written.unwrap();
    }
}

/// All that runs have, in words.
pub fn words(runs: &Runs) -> Result<String, Error> {
    runs.load(&(0..runs.len()).collect::<Vec<_>>(), &ALL_PARTS)?;
    let mut out = String::new();
    for column in runs.params.iter().chain(runs.metrics.iter()) {
        writeln!(out, "column {}", column.name).unwrap();
    }
    for run in runs.iter() {
        write!(
            out,
            "{} {:?} {:?} {:?} ",
            run.id(),
            run.began(),
            run.ended(),
            run.status()
        )
        .unwrap();
        write!(
            out,
            "{} {:?} {:?} {:?} ",
            run.is_void(),
            run.params(),
            run.metrics(),
            run.seed()
        )
        .unwrap();
        write!(
            out,
            "{:?} {:?} {:?} {:?} ",
            run.tags(),
            run.artifacts(),
            run.data(),
            run.origin()
        )
        .unwrap();
        writeln!(
            out,
            "{} {:?} {:?} {:?}",
            run.looks(),
            run.sealed(),
            run.sessions(),
            (run.session(), run.last_session())
        )
        .unwrap();
        let names = (
            run.name(),
            run.experiment(),
            run.parent().map(|run| run.row),
        );
        let said = (
            run.notes(),
            run.void_reason(),
            run.condition(),
            run.stream(),
        );
        writeln!(out, "{names:?} {said:?} {:?}", runs.children(run.row)?).unwrap();
        assert_eq!(runs.get(run.id())?.map(|found| found.row), Some(run.row));
    }
    let orphans: Vec<_> = runs.run_ids.orphans().collect();
    writeln!(out, "{:?} {orphans:?}", runs.run_ids.without_effect).unwrap();
    Ok(out)
}

/// The runs as the events make them, one by one.
pub fn generic(path: &Path) -> Result<Folded<Runs>, Error> {
    let mut folded = Folded::default();
    folded.take(&ledger::read(path)?)?;
    Ok(folded)
}

/// A ledger that is there.
pub fn open(path: &Path) -> LedgerFile {
    LedgerFile::open(path).unwrap()
}

/// A path for a test's ledger.
pub fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fitledger-{name}-{}.csv", std::process::id()))
}
