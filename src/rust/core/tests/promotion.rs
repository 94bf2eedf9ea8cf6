//! Invariant: what a decision lets through is what the fold takes over, and what it refuses leaves no row.

#[allow(dead_code, reason = "the random ledgers are not needed")]
mod random;

use std::path::PathBuf;

use fitledger_core::Error;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::Json;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, FileStore, LedgerFile, Memory};
use fitledger_core::views::fold::Folded;
use fitledger_core::views::live::check_new_artifacts;
use fitledger_core::views::promotion::{Expect, Move, Promoted, Promotion, Registration, State};
use fitledger_core::views::registry::{Kind, Registry};
use fitledger_core::views::runs::Runs;
use random::{Dice, with_append};

/// A ledger and what it adds up to.
struct World {
    path: PathBuf,
    memory: Memory,
    runs: Folded<Runs>,
    registry: Folded<Registry>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

const STORED: &str = r#"{"sha256":"ab","size":3,"file":"m.rds","stored":true,"data":"fl1:x"}"#;

impl World {
    fn new(name: &str) -> World {
        let path = random::path(name);
        let _ = std::fs::remove_file(&path);
        World {
            path,
            memory: Memory::default(),
            runs: Folded::default(),
            registry: Folded::default(),
        }
    }

    /// So many runs `r1`, `r2` …, each with a stored artifact `m`, which is a version of `price`.
    fn with_versions(name: &str, count: usize) -> World {
        let mut world = World::new(name);
        for i in 1..=count {
            world.run(&format!("r{i}"));
            world.register("price", &format!("r{i}")).unwrap();
        }
        world
    }

    fn append(&mut self, event: Event) {
        let now = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
        let events = [(
            Timestamp::from_micros(1_795_000_000_000_001).unwrap(),
            event,
        )];
        let open = || FileStore::open(&self.path);
        let (path, memory) = (&self.path, &mut self.memory);
        let written = with_append(&Object::new(), now, &mut |bytes| bytes.fill(7), |how| {
            ledger::append(open, path, memory, how, events)
        });
        written.unwrap();
        let file = LedgerFile::open(&self.path).unwrap();
        self.runs.catch_up(&file).unwrap();
        self.registry.catch_up(&file).unwrap();
    }

    fn say(&mut self, kind: EventKind<'static>, run: &str, artifacts: &str, context: &str) {
        let object = |text: &str| Object::from_text(text.as_bytes()).unwrap();
        self.append(Event {
            run_id: RunId::new(run),
            artifacts: object(artifacts),
            context: object(context),
            ..Event::new(kind)
        });
    }

    fn run(&mut self, id: &str) {
        self.say(EventKind::Run, id, &format!("{{\"m\":{STORED}}}"), "");
    }

    fn state(&self) -> State<'_> {
        State {
            path: &self.path,
            runs: self.runs.view(),
            registry: self.registry.view(),
        }
    }

    fn register(&mut self, model: &str, run_id: &str) -> Result<i64, Error> {
        self.register_with(model, run_id, None)
    }

    fn register_with(
        &mut self,
        model: &str,
        run_id: &str,
        signature: Option<&str>,
    ) -> Result<i64, Error> {
        let signature = signature.map(|text| Json::parse(text.as_bytes()).unwrap());
        let decided = self.state().register(&Registration {
            model,
            run_id,
            artifact: "m",
            signature: signature.as_ref(),
            verified: Some("ab"),
        })?;
        let version = decided.version;
        self.append(decided.event);
        Ok(version)
    }

    fn look(&self, stage: &str, to: Move, expect: Expect) -> Result<Promoted, Error> {
        self.state().promote(&Promotion {
            model: "price",
            stage,
            to,
            expect,
            figures: &Object::new().named("rmse", &Value::Double(1.5)),
            context: &Object::new().text("why", "better"),
        })
    }

    /// Decides and appends; the version.
    fn decide(&mut self, to: Move, expect: Expect) -> Result<i64, Error> {
        let decided = self.look("production", to, expect)?;
        if let Some(event) = decided.event {
            self.append(event);
        }
        Ok(decided.version)
    }

    fn promote(&mut self, version: i64) -> Result<i64, Error> {
        self.decide(Move::Promote(version), Expect::Anything)
    }

    fn roll_back(&mut self) -> Result<i64, Error> {
        self.decide(Move::Rollback, Expect::Anything)
    }

    fn current(&self) -> Option<i64> {
        let model = self.registry.view().model("price");
        model.and_then(|model| model.current("production"))
    }

    fn without_effect(&self) -> usize {
        self.registry.view().without_effect.len() + self.runs.view().run_ids.without_effect.len()
    }
}

/// Class and text of what was refused.
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (&'static str, String) {
    let e = outcome.unwrap_err();
    (e.class(), e.to_string())
}

#[test]
fn a_registration_makes_the_next_version_of_a_stored_artifact() {
    let mut world = World::with_versions("decide-register", 2);
    assert_eq!(world.register("price", "r1").unwrap(), 3);
    assert_eq!(world.register("other", "r1").unwrap(), 1);
    let model = world.registry.view().model("price").unwrap();
    let version = model.version(3).unwrap();
    assert_eq!(
        (version.run_id.as_str(), version.artifact.as_str()),
        ("r1", "m")
    );
    assert_eq!(
        version.entry.json().text(),
        r#"{"sha256":"ab","size":3,"file":"m.rds","stored":true}"#
    );
}

#[test]
fn what_cannot_be_registered_is_refused() {
    let mut world = World::with_versions("decide-unfit", 1);
    for (id, status) in [("failed", "failed"), ("interrupted", "interrupted")] {
        world.say(EventKind::Start, id, &format!("{{\"m\":{STORED}}}"), "");
        world.say(
            EventKind::End,
            id,
            "",
            &format!("{{\"status\":\"{status}\"}}"),
        );
    }
    world.run("void");
    world.say(EventKind::Void, "void", "", "{\"reason\":\"unit\"}");
    world.say(
        EventKind::Run,
        "path",
        "{\"m\":{\"sha256\":\"ab\",\"size\":3,\"file\":\"m.rds\",\"stored\":false}}",
        "",
    );
    world.say(
        EventKind::Run,
        "pointers",
        "{\"m\":{\"sha256\":\"ab\",\"size\":3,\"file\":\"m.rds\",\"stored\":true,\"pointers\":true}}",
        "",
    );
    world.say(EventKind::Run, "bare", "", "");
    let cases = [
        ("price", "none", "unknown", "There is no run `none`."),
        ("price", "bare", "unknown", "There is no artifact `m`."),
        (
            "price",
            "path",
            "argument",
            "The artifact `m` was recorded by its path and isn't stored.",
        ),
        (
            "price",
            "pointers",
            "argument",
            "The artifact `m` can't come back as it was: it held external pointers.",
        ),
        (
            "price",
            "failed",
            "conflict",
            "The run `failed` has failed.",
        ),
        (
            "price",
            "interrupted",
            "conflict",
            "The run `interrupted` was interrupted.",
        ),
        (
            "price",
            "void",
            "conflict",
            "The run `void` was declared void.",
        ),
        (
            "a@b",
            "r1",
            "argument",
            "`name` must be text of up to 200 characters without `@` and `/`, not \"a@b\".",
        ),
    ];
    for (model, run, class, text) in cases {
        assert_eq!(
            refused(world.register(model, run)),
            (class, text.to_owned())
        );
    }
    // The bytes that were verified are another version's.
    world.say(EventKind::Start, "live", &format!("{{\"m\":{STORED}}}"), "");
    world.say(
        EventKind::Log,
        "live",
        "{\"m\":{\"sha256\":\"cd\",\"size\":3,\"file\":\"m.rds\",\"stored\":true}}",
        "",
    );
    let outcome = world.register("price", "live");
    assert_eq!(
        refused(outcome),
        ("conflict", "The artifact `m` was logged anew.".to_owned())
    );
}

#[test]
fn what_a_model_predicts_is_no_column_of_its_signature() {
    let mut world = World::new("decide-outcome");
    let stored = STORED.replace('}', r#","outcome":["$y","time"]}"#);
    world.say(EventKind::Run, "r", &format!("{{\"m\":{stored}}}"), "");
    let number = r#"{"type":"double"}"#;
    let given = format!(r#"{{"columns":{{"x":{number},"$$y":{number},"time":{number}}}}}"#);
    world.register_with("m", "r", Some(&given)).unwrap();
    let version = world
        .registry
        .view()
        .model("m")
        .unwrap()
        .version(1)
        .unwrap();
    let expected = format!(r#"{{"columns":{{"x":{number}}}}}"#);
    assert_eq!(version.signature.as_ref().unwrap().text(), expected);
    assert!(version.entry.outcome.is_empty());
    // A signature of no known form stays as it is.
    world.register_with("m", "r", Some("[1]")).unwrap();
}

#[test]
fn a_run_has_one_artifact_of_a_name() {
    let mut world = World::new("decide-artifacts");
    world.say(EventKind::Start, "r", &format!("{{\"$$m\":{STORED}}}"), "");
    let runs = world.runs.view();
    let new = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        check_new_artifacts(runs, "r", &names)
    };
    new(&[]).unwrap();
    new(&["m", "$$m"]).unwrap();
    let outcome = refused(new(&["m", "$m"]));
    let text = "The run `r` has an artifact `$m` already.";
    assert_eq!(outcome, ("argument", text.to_owned()));
    assert_eq!(refused(check_new_artifacts(runs, "none", &[])).0, "unknown");
}

#[test]
fn a_stage_as_people_write_it_is_hinted_at() {
    let mut world = World::with_versions("decide-stage", 1);
    let hint = |stage: &str| {
        let outcome = world.look(stage, Move::Promote(1), Expect::Anything);
        let rollback = world.look(stage, Move::Rollback, Expect::Anything);
        let (e, other) = (outcome.unwrap_err(), rollback.unwrap_err());
        assert_eq!((e.class(), e.hint()), ("argument", other.hint()));
        e.hint().to_owned()
    };
    for (stage, near) in [
        ("Production", "production"),
        ("PROD", "prod"),
        (" In  Review ", "in_review"),
    ] {
        assert_eq!(hint(stage), format!("Did you mean `{near}`?"));
    }
    for stage in ["", "1st", "pr\u{f6}d", "a.b", "@"] {
        assert_eq!(hint(stage), "");
    }
    world.promote(1).unwrap();
}

#[test]
fn a_promotion_compares_before_it_swaps() {
    let mut world = World::with_versions("decide-expect", 3);
    let to = |version| Move::Promote(version);
    let outcome = world.look("production", to(2), Expect::Version(Some(1)));
    assert_eq!(
        refused(outcome),
        (
            "conflict",
            "`production` of `price` points to no version, not to version 1.".to_owned()
        )
    );
    assert_eq!(world.decide(to(1), Expect::Version(None)).unwrap(), 1);
    for expect in [None, Some(2)] {
        let outcome = refused(world.look("production", to(2), Expect::Version(expect)));
        assert_eq!(outcome.0, "conflict");
        assert!(
            outcome.1.contains("points to version 1, not to"),
            "{}",
            outcome.1
        );
    }
    assert_eq!(world.decide(to(2), Expect::Version(Some(1))).unwrap(), 2);
    // Two that looked at the same moment: the first one moves the stage.
    let looked = world.look("production", to(3), Expect::Anything).unwrap();
    world.promote(1).unwrap();
    let outcome = world.decide(to(3), Expect::Version(looked.current));
    assert_eq!(refused(outcome).0, "conflict");
    assert_eq!(world.current(), Some(1));
    assert_eq!(world.without_effect(), 0);
}

#[test]
fn there_is_nothing_to_do_where_the_stage_points_already() {
    let mut world = World::with_versions("decide-nothing", 2);
    world.promote(1).unwrap();
    let again = world
        .look("production", Move::Promote(1), Expect::Version(Some(1)))
        .unwrap();
    assert_eq!((again.version, again.current), (1, Some(1)));
    assert!(again.event.is_none());
    // Also if nobody could promote it any more.
    world.say(EventKind::Void, "r1", "", "{\"reason\":\"unit\"}");
    assert!(
        world
            .look("production", Move::Promote(1), Expect::Anything)
            .unwrap()
            .event
            .is_none()
    );
    let elsewhere = world.look("staging", Move::Promote(1), Expect::Anything);
    assert_eq!(
        refused(elsewhere),
        (
            "conflict",
            "The run `r1` of `price/1` was declared void.".to_owned()
        )
    );
}

#[test]
fn what_is_not_there_is_said_to_be_unknown() {
    let mut world = World::with_versions("decide-unknown", 3);
    for version in [0, 4, -1, i64::MAX] {
        let outcome = world.look("production", Move::Promote(version), Expect::Anything);
        let Err(Error::Unknown {
            what: "version",
            name,
            hint,
            ..
        }) = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(name, version.to_string());
        assert_eq!(hint, "`price` has the versions 1 to 3.");
    }
    let outcome = world.look("Production", Move::Promote(1), Expect::Anything);
    assert_eq!(refused(outcome).0, "argument");
    let outcome = world.look("production", Move::Rollback, Expect::Anything);
    assert_eq!(
        refused(outcome),
        ("unknown", "There is no stage `production`.".to_owned())
    );
    world.promote(2).unwrap();
    let registry = world.registry.view();
    for (text, version) in [("price@production", 2), ("price/3", 3)] {
        assert_eq!(registry.resolve(text).unwrap().1, version);
    }
    for (text, class) in [
        ("price", "argument"),
        ("pric", "unknown"),
        ("pric/1", "unknown"),
        ("price/4", "unknown"),
        ("price/0", "unknown"),
        ("price/01", "unknown"),
        ("price/+1", "unknown"),
        ("price/", "unknown"),
        ("price/1/2", "unknown"),
        ("price@", "unknown"),
        ("price@staging", "unknown"),
        ("", "unknown"),
        ("price/99999999999999999999", "unknown"),
    ] {
        assert_eq!(registry.resolve(text).unwrap_err().class(), class, "{text}");
    }
}

#[test]
fn a_rollback_never_returns_to_what_was_rolled_back_from() {
    let mut world = World::with_versions("decide-rollback", 4);
    for version in [1, 2] {
        world.promote(version).unwrap();
    }
    assert_eq!(world.roll_back().unwrap(), 1);
    world.promote(3).unwrap();
    assert_eq!(world.roll_back().unwrap(), 1);
    world.promote(2).unwrap();
    world.promote(4).unwrap();
    assert_eq!(world.roll_back().unwrap(), 1);
    let none = world.look("production", Move::Rollback, Expect::Anything);
    assert_eq!(
        refused(none),
        (
            "conflict",
            "There is no version that `production` of `price` could be rolled back to.".to_owned()
        )
    );
    let moved = world.look("production", Move::Rollback, Expect::Version(Some(4)));
    assert!(refused(moved).1.contains("points to version 1"));
}

#[test]
fn a_rollback_passes_by_versions_whose_run_is_unfit() {
    let mut world = World::with_versions("decide-passes", 3);
    for version in [1, 2, 3] {
        world.promote(version).unwrap();
    }
    world.say(EventKind::Void, "r2", "", "{\"reason\":\"unit\"}");
    assert_eq!(world.roll_back().unwrap(), 1);
}

#[test]
fn a_refusal_is_on_record_and_moves_nothing() {
    let mut world = World::with_versions("decide-refuse", 3);
    world.promote(1).unwrap();
    // Whatever has happened while the gate looked: the stage moved, the run is void.
    world.promote(3).unwrap();
    world.say(EventKind::Void, "r2", "", "{\"reason\":\"unit\"}");
    world
        .decide(Move::Refuse(2), Expect::Version(Some(1)))
        .unwrap();
    assert_eq!(world.current(), Some(3));
    let model = world.registry.view().model("price").unwrap();
    let change = model.history.last().unwrap();
    assert_eq!(
        (change.kind, change.version, change.previous),
        (Kind::Refusal, 2, Some(1))
    );
    assert_eq!(change.context.why(), Some("better"));
    assert_eq!(change.figures, [("rmse".to_owned(), Json::Double(1.5))]);
    assert_eq!(world.without_effect(), 0);
}

#[test]
fn whatever_is_let_through_takes_effect() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut world = World::with_versions(&format!("decide-random-{seed}"), 3);
        let (mut rolled_back, mut moves) = (Vec::new(), 0);
        for _ in 0..60 {
            let before = world.current();
            let version = dice.roll(6) as i64;
            let expect = match dice.roll(3) {
                0 => Expect::Version(before),
                1 => Expect::Version(Some(dice.roll(4) as i64)),
                _ => Expect::Anything,
            };
            let to = match dice.roll(6) {
                0 | 1 => Move::Rollback,
                2 => Move::Refuse(version),
                _ => Move::Promote(version),
            };
            match dice.roll(15) {
                0 => world.say(EventKind::Void, "r2", "", "{\"reason\":\"unit\"}"),
                1 => world.say(EventKind::Void, "r2", "", "{\"void\":false}"),
                2 => drop(world.register("price", "r1")),
                _ => {}
            }
            let outcome = world.decide(to, expect);
            let stays = outcome.is_err() || matches!(to, Move::Refuse(_));
            let after = outcome.as_ref().ok().copied();
            assert_eq!(
                world.current(),
                if stays { before } else { after },
                "{to:?}"
            );
            if let (Move::Rollback, Some(version)) = (to, after) {
                assert!(
                    !rolled_back.contains(&version),
                    "{version} of {rolled_back:?}"
                );
                rolled_back.extend(before);
            }
            moves += usize::from(!stays);
        }
        assert_eq!(world.without_effect(), 0);
        assert!(moves > 0);
    }
}
