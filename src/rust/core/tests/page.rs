//! Invariant: what a page is told piece by piece adds up to what it is told at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::ledger::{self, Append, FileStore, Memory, Session};
use fitledger_core::page::{About, Extent, Page, Since, write_embedded};
use fitledger_core::views::compare::compare;
use fitledger_core::views::runs::Runs;
use serde_json::Value;

use wait::wait_until;

mod wait;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fitledger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("runs.csv")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An event of a run: name, id, parameters, metrics, context.
type Told<'a> = (&'static str, &'a str, &'a str, &'a str, &'a str);

fn append(path: &Path, memory: &mut Memory, events: &[Told<'_>]) {
    let mut seed = 0;
    let mut how = Append {
        session: Session {
            version: 1,
            context: &Object::new().text("user", "ann"),
            lockfile: None,
            code: &[],
        },
        sync: false,
        now: Timestamp::from_micros(1_795_000_000_000_000).unwrap(),
        random: &mut |bytes| {
            for byte in bytes {
                seed = (seed + 7) % 251;
                *byte = seed as u8;
            }
        },
        since: Instant::now(),
        give_up: &mut || false,
    };
    let events = events.iter().map(|(name, id, params, metrics, context)| {
        let event = Event {
            run_id: RunId::new(id),
            params: Object::from_text(params.as_bytes()).unwrap(),
            metrics: Object::from_text(metrics.as_bytes()).unwrap(),
            artifacts: match *name {
                "register" => Object::from_text(br#"{"m":{"sha256":"ab","size":1}}"#).unwrap(),
                _ => Object::new(),
            },
            context: Object::from_text(context.as_bytes()).unwrap(),
            ..Event::new(EventKind::parse(name))
        };
        (
            Timestamp::from_micros(1_795_000_000_123_456).unwrap(),
            event,
        )
    });
    ledger::append(|| FileStore::open(path), path, memory, &mut how, events).unwrap();
}

fn about(objects: &Objects) -> About<'_> {
    About {
        file: "runs.csv",
        written: Timestamp::from_micros(0).unwrap(),
        version: "0",
        integrity: None,
        objects,
        plain: false,
        remarks: &[],
    }
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("the page is JSON")
}

fn everything(page: &Page, objects: &Objects) -> Value {
    let mut json = Vec::new();
    page.write(&about(objects), &mut json);
    parse(&json)
}

fn mark(json: &Value) -> String {
    json["mark"].as_str().unwrap().to_owned()
}

/// What a list with something for each run has for one.
fn item<'a>(list: &'a Value, items: &str, run: usize) -> Option<&'a Value> {
    let numbers = |key| {
        let numbers = list.get(key)?.as_array()?.iter();
        Some(numbers.map(|number| number.as_u64().unwrap() as usize))
    };
    let index = match (numbers("at"), numbers("times")) {
        (Some(mut at), _) => at.position(|row| row == run)?,
        (_, Some(times)) => {
            let mut ends = times.scan(0, |end, length| {
                *end += length;
                Some(*end)
            });
            ends.position(|end| run < end)?
        }
        _ => run,
    };
    Some(&list[items][index])
}

/// The value of a run in a column of the whole, with its type unless it is missing.
fn cell(column: &Value, run: usize) -> Value {
    let value = match column.get("codes") {
        None => item(column, "values", run).cloned().unwrap_or(Value::Null),
        Some(_) => match item(column, "codes", run).map_or(-1, |code| code.as_i64().unwrap()) {
            -1 => Value::Null,
            -2 => serde_json::json!({"redacted": true}),
            -3 => Value::from("NA"),
            -4 => Value::from("NULL"),
            code => column["levels"][code as usize].clone(),
        },
    };
    match value.get("v") {
        Some(value) => value.clone(),
        None => value,
    }
}

/// What a run has of what many have in common.
fn level(levels: &Value, run: usize) -> Option<&Value> {
    let code = item(levels, "codes", run)?.as_i64()?;
    levels["levels"].get(usize::try_from(code).ok()?)
}

/// Name and bare value of everything that a run has, from the whole and from a patch.
fn values_of_whole(whole: &Value, kind: &str, run: usize) -> BTreeMap<String, Value> {
    let columns = whole["runs"]["columns"].as_array().unwrap().iter();
    let cells = columns
        .filter(|column| column["kind"] == kind)
        .map(|column| {
            let name = column["name"].as_str().unwrap().to_owned();
            (name, cell(column, run))
        });
    cells.filter(|(_, value)| !value.is_null()).collect()
}

fn values_of_patch(run: &Value, kind: &str) -> BTreeMap<String, Value> {
    let pairs = run[kind].as_object().unwrap().iter();
    let bare = |value: &Value| match (value.get("v"), value.get("na")) {
        (Some(value), _) => value.clone(),
        (_, Some(_)) => Value::from("NA"),
        _ => value.clone(),
    };
    pairs
        .map(|(name, value)| (name.clone(), bare(value)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// Edges with the nodes that they name in place of these nodes' numbers.
fn edges(edges: &Value, nodes: &Value) -> Value {
    let node = |number: &Value| match number.as_u64() {
        Some(number) => nodes[number as usize].clone(),
        None => Value::Null,
    };
    let edges = edges.as_array().unwrap().iter();
    edges
        .map(|edge| serde_json::json!([node(&edge[0]), edge[1], node(&edge[2])]))
        .collect()
}

const EVENTS: [Told<'static>; 16] = [
    (
        "run",
        "a",
        r#"{"x":1,"model":"ridge"}"#,
        r#"{"rmse":0.1}"#,
        r#"{"tags":{"by":"ann"}}"#,
    ),
    ("start", "b", r#"{"x":"</script>"}"#, "", r#"{"seed":7}"#),
    (
        "log",
        "b",
        "",
        r#"{"loss":{"step":[1,2],"value":[0.9,{"$double":"NaN"}],"time":[1.5,2.5]}}"#,
        "",
    ),
    (
        "start",
        "c",
        r#"{"x":[1,2],"key":{"$redacted":true}}"#,
        r#"{"rmse":{"$double":"-Inf"}}"#,
        r#"{"sealed":{"test":0.987654321}}"#,
    ),
    ("note", "a", "", "", r#"{"text":"looks odd"}"#),
    (
        "log",
        "b",
        "",
        r#"{"loss":{"step":[3],"value":[{"$na":"double"}]}}"#,
        "",
    ),
    ("register", "a", "", "", r#"{"model":"m","version":1}"#),
    (
        "promote",
        "a",
        "",
        r#"{"rmse":0.1}"#,
        r#"{"model":"m","version":1,"stage":"production","previous":null,"why":"best"}"#,
    ),
    ("void", "a", "", "", r#"{"reason":"leak"}"#),
    (
        "end",
        "b",
        "",
        r#"{"rmse":0.30000000000000004}"#,
        r#"{"status":"failed"}"#,
    ),
    ("run", "a", r#"{"x":99}"#, "", ""),
    ("void", "a", "", "", r#"{"void":false,"reason":"no leak"}"#),
    (
        "start",
        "d",
        r#"{"model":{"$na":"character"}}"#,
        r#"{"test":0.5}"#,
        "",
    ),
    (
        "log",
        "c",
        "",
        r#"{"test":{"step":[1],"value":[0.123456789]}}"#,
        "",
    ),
    ("reveal", "c", "", "", r#"{"why":"done"}"#),
    ("log", "d", r#"{"x":2.0}"#, "", ""),
];

#[test]
fn patches_add_up_to_the_whole() {
    let folder = Folder::new("page-patches");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let mut memory = Memory::default();
    append(&path, &mut memory, &EVENTS[..1]);
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let mut since = mark(&everything(&page, &objects));
    let mut runs: BTreeMap<usize, (Value, Value)> = BTreeMap::new();
    let mut heads = Value::Null;
    let mut points: BTreeMap<(usize, String), Vec<Value>> = BTreeMap::new();
    let mut last = Value::Null;
    for event in &EVENTS[1..] {
        append(&path, &mut memory, std::slice::from_ref(event));
        page.catch_up(&path).unwrap();
        let mut json = Vec::new();
        assert!(matches!(
            page.write_since(&since, &about(&objects), &mut json),
            Since::Patch
        ));
        let told = parse(&json);
        since = mark(&told);
        assert!(matches!(
            page.write_since(&since, &about(&objects), &mut Vec::new()),
            Since::Nothing
        ));
        for (row, run) in told["patch"]["runs"].as_object().unwrap() {
            let nodes = told["patch"]["nodes"].clone();
            runs.insert(row.parse().unwrap(), (run.clone(), nodes));
        }
        if let Some(columns) = told["patch"].get("columns") {
            heads = columns.clone();
        }
        for (row, metrics) in told["patch"]["series"].as_object().unwrap() {
            for (metric, curve) in metrics.as_object().unwrap() {
                let curve = curve["value"].as_array().unwrap().clone();
                let known = points.entry((row.parse().unwrap(), metric.clone()));
                known.or_default().extend(curve);
            }
        }
        if let Some(models) = told["patch"].get("models") {
            last = serde_json::json!([models, told["patch"]["stages"]]);
        }
    }
    let whole = everything(&page, &objects);
    assert_eq!(
        everything(&Page::read(&path, Extent::default()).unwrap(), &objects),
        whole
    );
    assert_eq!(whole["runs"]["n"], 4);
    for (row, (run, nodes)) in &runs {
        for kind in ["parameter", "metric", "tag", "seed", "detail"] {
            assert_eq!(
                values_of_whole(&whole, kind, *row),
                values_of_patch(run, kind),
                "{kind} of run {row}"
            );
        }
        for key in ["notes", "sealed", "ended", "void_reason"] {
            let of_whole = whole["runs"][key].get(row.to_string());
            assert_eq!(of_whole, run.get(key), "{key} of run {row}");
        }
        let facts = level(&whole["runs"]["facts"], *row);
        assert_eq!(facts.unwrap_or(&serde_json::json!([])), &run["facts"]);
        let lineage = level(&whole["runs"]["lineage"], *row).unwrap();
        assert_eq!(
            edges(&lineage["edges"], &whole["nodes"]),
            edges(&run["lineage"]["edges"], nodes)
        );
        for key in ["label", "problem"] {
            assert_eq!(lineage[key], run["lineage"][key]);
        }
    }
    for (head, column) in heads
        .as_array()
        .unwrap()
        .iter()
        .zip(whole["runs"]["columns"].as_array().unwrap())
    {
        for key in ["kind", "name", "label", "type"] {
            assert_eq!(head[key], column[key], "{head}");
        }
    }
    assert_eq!(
        points[&(1, "loss".into())],
        whole["series"]["1"]["loss"]["value"]
            .as_array()
            .unwrap()
            .clone()
    );
    assert_eq!(last, serde_json::json!([whole["models"], whole["stages"]]));
    assert_eq!(whole["models"][0]["stages"][0], "production");
    assert_eq!(
        values_of_whole(&whole, "metric", 1)["rmse"],
        0.30000000000000004
    );
}

#[test]
fn a_hidden_metric_never_leaves() {
    let folder = Folder::new("page-hidden");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let mut memory = Memory::default();
    append(&path, &mut memory, &EVENTS[..3]);
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let since = mark(&everything(&page, &objects));
    append(&path, &mut memory, &EVENTS[3..14]);
    page.catch_up(&path).unwrap();
    let texts = |page: &Page| {
        let (mut whole, mut patch) = (Vec::new(), Vec::new());
        page.write(&about(&objects), &mut whole);
        page.write_since(&since, &about(&objects), &mut patch);
        [whole, patch].map(|json| String::from_utf8(json).unwrap())
    };
    for text in texts(&page) {
        assert!(
            !text.contains("0.987654321") && !text.contains("0.123456789"),
            "{text}"
        );
        assert!(text.contains(r#"["test"]"#), "{text}");
    }
    append(&path, &mut memory, &EVENTS[14..]);
    page.catch_up(&path).unwrap();
    for text in texts(&page) {
        assert!(
            text.contains("0.987654321") && text.contains("0.123456789"),
            "{text}"
        );
    }
}

#[test]
fn another_file_means_to_begin_anew() {
    let folder = Folder::new("page-anew");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    append(&path, &mut Memory::default(), &EVENTS[..3]);
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let since = mark(&everything(&page, &objects));
    std::fs::remove_file(&path).unwrap();
    assert!(page.catch_up(&path).is_err());
    append(&path, &mut Memory::default(), &EVENTS[3..10]);
    page.catch_up(&path).unwrap();
    for mark in [
        since.as_str(),
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "99.1.0",
        "2.999.0",
        "-1.0.0",
    ] {
        let told = page.write_since(mark, &about(&objects), &mut Vec::new());
        assert!(matches!(told, Since::Everything), "{mark}");
    }
}

#[test]
fn an_edit_in_place_means_to_begin_anew() {
    let folder = Folder::new("page-edit");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let run = ("run", "a", r#"{"k":1.5}"#, "", "");
    append(&path, &mut Memory::default(), &[run]);
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let since = mark(&everything(&page, &objects));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(3).rposition(|three| three == b"1.5").unwrap();
    bytes[at] = b'2';
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    wait_until("the file system's clock to tick", || {
        std::fs::write(&path, &bytes).unwrap();
        modified() > before
    });
    page.catch_up(&path).unwrap();
    let told = page.write_since(&since, &about(&objects), &mut Vec::new());
    assert!(matches!(told, Since::Everything));
    let whole = everything(&page, &objects);
    assert_eq!(values_of_whole(&whole, "parameter", 0)["k"], 2.5);
}

#[test]
fn a_session_is_told_when_it_begins() {
    let folder = Folder::new("page-session");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    append(&path, &mut Memory::default(), &[("run", "a", "", "", "")]);
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let since = mark(&everything(&page, &objects));
    let mut another = Memory::default();
    let note = ("note", "a", "", "", r#"{"text":"good"}"#);
    append(&path, &mut another, &[note]);
    page.catch_up(&path).unwrap();
    let mut patch = Vec::new();
    page.write_since(&since, &about(&objects), &mut patch);
    let sessions = parse(&patch)["patch"]["sessions"].clone();
    append(&path, &mut another, &[("run", "b", "", "", "")]);
    page.catch_up(&path).unwrap();
    let whole = everything(&page, &objects);
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    let of_b = level(&whole["runs"]["session"], 1).unwrap().as_u64();
    assert_eq!(
        sessions[0]["id"],
        whole["sessions"][of_b.unwrap() as usize]["id"]
    );
}

#[test]
fn an_interrupted_run_of_two_sessions_rests_on_both() {
    let folder = Folder::new("page-two-sessions");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let run = ("run", "b", r#"{"k":1}"#, "", "");
    let start = ("start", "a", r#"{"k":1}"#, "", "");
    append(&path, &mut Memory::default(), &[run, start]);
    let end = ("end", "a", "", "", r#"{"status":"interrupted"}"#);
    let resumed = [("resume", "a", "", "", ""), end];
    append(&path, &mut Memory::default(), &resumed);

    let runs = Runs::fold(&ledger::read(&path).unwrap()).unwrap();
    let run = runs.get("a").unwrap().unwrap();
    let sessions: Vec<&str> = run.sessions().iter().map(|s| s.id.as_str()).collect();
    assert_eq!(sessions.len(), 2);
    assert_eq!(run.last_session().id, sessions[1]);
    let fields = compare(&[runs.get("b").unwrap().unwrap(), run]);
    let differing: Vec<_> = fields.iter().filter(|field| field.differs()).collect();
    assert_eq!(differing.len(), 1);
    assert_eq!(
        (differing[0].kind, &*differing[0].cells),
        ("session", &[None, Some("2".to_owned())][..])
    );
    assert_eq!(fields[0].kind, "parameter");

    let whole = everything(&Page::read(&path, Extent::default()).unwrap(), &objects);
    let lineage = level(&whole["runs"]["lineage"], 1).unwrap();
    assert_eq!(lineage["problem"], "the run was interrupted");
    let edges = edges(&lineage["edges"], &whole["nodes"]);
    let ran_in = edges.as_array().unwrap().iter();
    let ran_in: Vec<_> = ran_in.filter(|edge| edge[1] == "ran in").collect();
    assert_eq!(ran_in.len(), 2);
    assert!(
        ran_in
            .iter()
            .zip(&sessions)
            .all(|(edge, id)| edge[2][1] == **id)
    );
    let shown = level(&whole["runs"]["session"], 1)
        .unwrap()
        .as_u64()
        .unwrap();
    assert_eq!(whole["sessions"][shown as usize]["id"], sessions[1]);
}

/// So much of a ledger: these runs.
fn only(ids: &[&str]) -> Extent {
    Extent {
        runs: Some(ids.iter().map(|id| (*id).to_owned()).collect()),
        without_context: false,
    }
}

#[test]
fn of_some_runs_the_page_holds_nothing_of_the_others() {
    let folder = Folder::new("some-runs");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let mut memory = Memory::default();
    append(
        &path,
        &mut memory,
        &[
            ("run", "a", r#"{"x":1}"#, r#"{"m":1}"#, ""),
            ("run", "b", r#"{"secret":2}"#, r#"{"m":2}"#, ""),
            ("start", "c", r#"{"x":3}"#, "", r#"{"parent":"b"}"#),
            (
                "log",
                "c",
                "",
                r#"{"loss":{"$steps":[1,2],"$values":[0.5,0.25]}}"#,
                "",
            ),
            ("register", "b", "", "", r#"{"model":"m","version":1}"#),
        ],
    );
    let mut page = Page::read(&path, only(&["a", "c"])).unwrap();
    let whole = everything(&page, &objects);
    assert_eq!(whole["runs"]["id"], serde_json::json!(["a", "c"]));
    assert!(!whole.to_string().contains("secret"));
    assert_eq!(whole["models"][0]["run"], Value::Null);
    assert_eq!(whole["models"][0]["run_id"], "b");

    // What begins only now is news; what was passed over, or isn't shown any more, means to begin anew.
    let told = |page: &Page, mark: &str| {
        let mut json = Vec::new();
        let since = page.write_since(mark, &about(&objects), &mut json);
        (since, json)
    };
    let known = mark(&whole);
    assert!(matches!(told(&page, &known).0, Since::Nothing));
    append(&path, &mut memory, &[("run", "d", r#"{"x":4}"#, "", "")]);
    page.show(only(&["a", "c", "d"]));
    page.catch_up(&path).unwrap();
    let (since, json) = told(&page, &known);
    assert!(matches!(since, Since::Patch));
    assert_eq!(parse(&json)["patch"]["runs"]["2"]["id"], "d");
    let known = mark(&parse(&json));
    for ids in [&["a", "b", "c", "d"][..], &["c", "d"], &[]] {
        page.show(only(ids));
        page.catch_up(&path).unwrap();
        assert!(
            matches!(told(&page, &known).0, Since::Everything),
            "{ids:?}"
        );
        let whole = everything(&page, &objects);
        assert_eq!(whole["runs"]["id"], serde_json::json!(ids));
        let fresh = everything(&Page::read(&path, only(ids)).unwrap(), &objects);
        assert_eq!(whole["runs"], fresh["runs"]);
    }
    page.show(Extent::default());
    page.catch_up(&path).unwrap();
    assert_eq!(everything(&page, &objects)["runs"]["n"], 4);
}

#[test]
fn without_context_nothing_of_people_and_machines_is_there() {
    let folder = Folder::new("without-context");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let bare = Extent {
        without_context: true,
        ..Extent::default()
    };
    append(
        &path,
        &mut Memory::default(),
        &[
            (
                "start",
                "a",
                r#"{"x":1}"#,
                "",
                r#"{"call":{"function":"f","code":"f(\"/home/ann\")"},"origin":{"file":"/home/ann/x.csv"},"data":{"d":{"hash":"sha256:ab","file":"/home/ann/d.csv"},"w":{"hash":"sha256:cd","file":"C:\\Users\\ann\\w.csv"}}}"#,
            ),
            (
                "end",
                "a",
                "",
                "",
                r#"{"status":"failed","condition":{"message":"no /home/ann"}}"#,
            ),
            ("run", "b", r#"{"x":2}"#, r#"{"m":1}"#, ""),
            ("register", "b", "", "", r#"{"model":"m","version":1}"#),
            (
                "promote",
                "b",
                "",
                "",
                r#"{"model":"m","version":1,"stage":"prod"}"#,
            ),
        ],
    );
    let all = everything(&Page::read(&path, Extent::default()).unwrap(), &objects);
    let mut page = Page::read(&path, bare).unwrap();
    let whole = everything(&page, &objects);
    let text = whole.to_string();
    assert!(all.to_string().contains("ann"));
    assert!(!text.contains("ann"), "{text}");
    for kept in ["d.csv", "w.csv", "sha256:ab", "prod"] {
        assert!(text.contains(kept), "{kept}");
    }
    assert_eq!(whole["runs"]["id"], all["runs"]["id"]);
    page.show(Extent::default());
    page.catch_up(&path).unwrap();
    assert_eq!(everything(&page, &objects)["sessions"], all["sessions"]);
}

#[test]
fn a_ledger_without_rows_is_no_news() {
    let folder = Folder::new("page-empty");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let header = fitledger_core::format::row::HEADER;
    std::fs::write(&path, format!("{header}\n")).unwrap();
    let mut page = Page::read(&path, Extent::default()).unwrap();
    let since = mark(&everything(&page, &objects));
    page.catch_up(&path).unwrap();
    let told = page.write_since(&since, &about(&objects), &mut Vec::new());
    assert!(matches!(told, Since::Nothing));
    append(&path, &mut Memory::default(), &EVENTS[..1]);
    page.catch_up(&path).unwrap();
    let told = page.write_since(&since, &about(&objects), &mut Vec::new());
    assert!(matches!(told, Since::Everything));
}

#[test]
fn of_very_many_points_those_of_the_newest_runs_are_shown() {
    let folder = Folder::new("page-points");
    let (path, objects) = (folder.ledger(), Objects::beside(&folder.ledger()));
    let steps: Vec<String> = (1..=400_000).map(|step| step.to_string()).collect();
    let values = vec!["0.5"; steps.len()].join(",");
    let curve = format!(
        r#"{{"loss":{{"step":[{}],"value":[{values}]}}}}"#,
        steps.join(",")
    );
    let mut memory = Memory::default();
    for id in ["oldest", "older", "newest"] {
        append(&path, &mut memory, &[("run", id, "", &curve, "")]);
    }
    let whole = everything(&Page::read(&path, Extent::default()).unwrap(), &objects);
    let shown: Vec<&String> = whole["series"].as_object().unwrap().keys().collect();
    assert_eq!(shown, ["1", "2"]);
    let said = whole["omitted"][0].as_str().unwrap();
    assert!(said.starts_with("Series of 1 of 3 runs"), "{said}");
}

#[test]
fn a_script_element_can_hold_it() {
    let text = "a</script>\u{2028}\u{2029}\u{2014}é<!--";
    let mut out = Vec::new();
    write_embedded(
        format!("{text:?}")
            .replace("\\u{2028}", "\u{2028}")
            .replace("\\u{2029}", "\u{2029}")
            .as_bytes(),
        &mut out,
    )
    .unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains(['<', '\u{2028}', '\u{2029}']), "{out}");
    assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
}
