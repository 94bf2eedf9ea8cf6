//! What the page of a ledger shows, as JSON: everything once, and then what is new.
//!
//! The page only lays out columns. What the events add up to is worked out here, by the same folds
//! that answer every other question, so that the page can't say anything else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use crate::bulk::{BulkFold, Parts};
use crate::columns::{self, Tag};
use crate::error::Result;
use crate::follow::{Fold, Follow};
use crate::json::{self, Json, Malformed};
use crate::ledger::{self, Ledger};
use crate::objects::Objects;
use crate::preview;
use crate::record::Row;
use crate::registry::{self, Registry};
use crate::runs::{Batch, Run, Runs, Session, Status};
use crate::series;
use crate::table::{self, Type};
use crate::time::{self, Timestamp};
use crate::value::{self, Kind, Value};
use crate::verify;

/// The version of the JSON.
const FORMAT: i64 = 1;

/// So many points of series are shown at most, those of the newest runs.
const MOST_POINTS: usize = 1_000_000;

/// Everything that the page shows, as of one row.
#[derive(Debug, Default)]
pub struct View {
    ledger: String,
    runs: Runs,
    registry: Registry,
    /// The names of the metrics that are series.
    series: Vec<String>,
    series_places: HashMap<String, u32>,
    /// In the order of the rows.
    points: Vec<Point>,
    notes: BTreeMap<usize, Vec<(Timestamp, String)>>,
    void_reasons: HashMap<usize, String>,
    /// What rows speak of, in their order: those that came after the view was made.
    news: Vec<(u64, News)>,
}

#[derive(Debug)]
struct Point {
    seq: u64,
    run: u32,
    series: u32,
    step: i64,
    /// `None` is NA.
    value: Option<f64>,
    at: f64,
}

#[derive(Debug)]
enum News {
    Run(usize),
    /// The entry of an artifact.
    Artifact(Json),
    Session(String),
    Registry,
}

impl View {
    fn tell(&mut self, row: &Row<'_>, news: News) {
        self.news.push((row.seq.0, news));
    }

    /// Takes over what a row says of a run and [`Runs`] doesn't keep.
    fn take(&mut self, row: &Row<'_>, run: usize) -> std::result::Result<(), Malformed> {
        self.tell(row, News::Run(run));
        if memchr::memmem::find(row.body, b"\"\"step\"\":[").is_some() {
            for (key, json) in row.metrics.pairs()? {
                let series = self.series_place(value::unescape_key(&key));
                series::each_point(&json, row.time, |step, value, at| {
                    let value = match value {
                        Value::Double(x) => Some(x),
                        Value::Int(x) => Some(f64::from(x)),
                        _ => None,
                    };
                    self.points.push(Point {
                        seq: row.seq.0,
                        run: run as u32,
                        series,
                        step,
                        value,
                        at,
                    });
                });
            }
        }
        for (_, entry) in row.artifacts.pairs()? {
            self.tell(row, News::Artifact(entry));
        }
        let text = |key| -> std::result::Result<Option<String>, Malformed> {
            let context = Json::Object(row.context.pairs()?);
            Ok(context.get(key).and_then(Json::as_str).map(str::to_owned))
        };
        match row.event {
            "note" => {
                let note = text("text")?.map(|text| (row.time, text));
                self.notes.entry(run).or_default().extend(note);
            }
            "void" => {
                self.void_reasons.remove(&run);
                let reason = text("reason")?.map(|text| (run, text));
                self.void_reasons.extend(reason);
            }
            _ => {}
        }
        Ok(())
    }

    fn series_place(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.series_places.get(name) {
            return place;
        }
        let place = self.series.len() as u32;
        self.series.push(name.to_owned());
        self.series_places.insert(name.to_owned(), place);
        place
    }

    /// By blocks, where every row allows it.
    fn by_blocks(ledger: &Ledger) -> Option<Follow<View>> {
        let bytes = ledger.whole()?;
        let view = Parts::of(bytes)?.fold()?;
        let whole = &bytes[..memchr::memrchr(b'\n', bytes)?];
        let start = memchr::memrchr(b'\n', whole)? + 1;
        let last = Row::parse(&whole[start..]).ok()?;
        Some(Follow::at(view, ledger.place_after(&last)))
    }
}

impl Fold for View {
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed> {
        let begun = self.runs.len();
        self.runs.apply(row)?;
        self.registry.apply(row)?;
        let own = |key| -> std::result::Result<String, Malformed> {
            let context = Json::Object(row.context.pairs()?);
            let text = context.get(key).and_then(Json::as_str);
            Ok(text.unwrap_or_default().to_owned())
        };
        match row.event {
            "ledger" => self.ledger = own("id")?,
            "session" => self.tell(row, News::Session(own("id")?)),
            "register" | "promote" | "refuse" => self.tell(row, News::Registry),
            "run" | "start" if self.runs.len() == begun => {}
            "run" | "start" | "resume" | "log" | "end" | "note" | "void" | "reveal" => {
                if let Some(run) = self.runs.get(row.run_id).map(|run| run.place) {
                    self.take(row, run)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.runs.size() + self.registry.size() + size_of::<Point>() * self.points.len()
    }

    fn read(path: &Path) -> Result<Follow<View>> {
        let ledger = ledger::read(path)?;
        let follow = match View::by_blocks(&ledger) {
            Some(follow) => follow,
            None => {
                let mut follow = Follow::default();
                follow.take(&ledger)?;
                follow
            }
        };
        let place = follow.place().copied();
        let mut view: View = follow.into_view();
        view.news.clear();
        Ok(place.map_or_else(Follow::default, |place| Follow::at(view, place)))
    }
}

impl BulkFold for View {
    fn add(&mut self, batch: &Batch, places: std::ops::Range<usize>) -> Option<()> {
        self.runs.add(batch, places.clone())?;
        self.registry.add(batch, places)
    }
}

/// What is said beside the record.
pub struct About<'a> {
    /// The name of the ledger's file.
    pub file: &'a str,
    pub written: Timestamp,
    /// Of the program.
    pub version: &'a str,
    pub integrity: Option<&'a verify::Report>,
    pub objects: &'a Objects,
    /// Whether the runs were in a plain CSV, which is no ledger.
    pub plain: bool,
    /// What readers of the page should know.
    pub remarks: &'a [String],
}

/// A view that is kept up to date, and that knows what it told whom.
#[derive(Default)]
pub struct Page {
    follow: Follow<View>,
    /// How often it began anew, because the file was another one.
    begun: u64,
    /// Sessions whose processes are gone; none comes back.
    gone: HashSet<String>,
    /// The running runs of such sessions.
    lost: HashSet<usize>,
}

/// What has changed since a mark.
pub enum Since {
    Nothing,
    Patch,
    /// Only everything will do.
    Everything,
}

/// Up to where a reader has got.
#[derive(Clone, Copy, PartialEq)]
struct Mark {
    begun: u64,
    seq: u64,
    /// Runs get lost without a row that says so.
    lost: usize,
}

impl Mark {
    fn parse(text: &str) -> Option<Mark> {
        let mut numbers = text.splitn(3, '.').map(|number| number.parse().ok());
        Some(Mark {
            begun: numbers.next()??,
            seq: numbers.next()??,
            lost: numbers.next()?? as usize,
        })
    }
}

impl Page {
    pub fn read(path: &Path) -> Result<Page> {
        let mut page = Page::default();
        page.catch_up(path)?;
        Ok(page)
    }

    /// Takes over what is new; everything, where the file is another one by now.
    pub fn catch_up(&mut self, path: &Path) -> Result<()> {
        let place = self.follow.place();
        let news = place.map(|place| ledger::read_since(path, Some(place)));
        match news.transpose()? {
            Some(news) if !news.is_whole() => self.follow.take(&news)?,
            _ => {
                let began = place.is_some();
                self.follow = View::read(path)?;
                // A ledger without rows isn't another one each time that it is read.
                self.begun += u64::from(began || self.follow.place().is_some());
            }
        }
        self.look_for_lost_runs();
        Ok(())
    }

    fn look_for_lost_runs(&mut self) {
        let mut there: HashSet<&str> = HashSet::new();
        self.lost.clear();
        let runs = &self.follow.view().runs;
        for run in runs.iter().filter(|run| run.status() == Status::Running) {
            let session = run.session().id.as_str();
            if there.contains(session) {
                continue;
            }
            if self.gone.contains(session) || run.is_lost() {
                self.gone.insert(session.to_owned());
                self.lost.insert(run.place);
            } else {
                there.insert(session);
            }
        }
    }

    fn view(&self) -> &View {
        self.follow.view()
    }

    fn seq(&self) -> u64 {
        self.follow.place().map_or(0, |place| place.head.seq.0)
    }

    fn mark(&self) -> Mark {
        Mark {
            begun: self.begun,
            seq: self.seq(),
            lost: self.lost.len(),
        }
    }

    /// Writes everything.
    pub fn write(&self, about: &About<'_>, out: &mut Vec<u8>) {
        let view = self.view();
        let hidden = Hidden::of(view.runs.iter());
        let mut omitted = about.remarks.to_vec();
        let sessions = Sessions::of(&view.runs);
        object(out, |o| {
            o.int("format", FORMAT);
            o.text("file", about.file);
            match about.plain || view.ledger.is_empty() {
                true => o.null("ledger"),
                false => o.text("ledger", &view.ledger),
            }
            o.int("seq", self.seq() as i64);
            o.text("mark", &mark_text(self.mark()));
            o.int("written", milliseconds(about.written));
            o.text("version", about.version);
            match about.integrity {
                Some(report) => write_integrity(report, o.key("integrity")),
                None => o.null("integrity"),
            }
            json::write_array(&sessions.list, o.key("sessions"), |session, out| {
                write_session(session, out);
            });
            object(o.key("runs"), |o| {
                write_runs(view, &sessions, &hidden, &self.lost, o);
            });
            let points = view.newest_points(&mut omitted);
            view.write_points(points, &hidden, o.key("series"));
            let artifacts = view.runs.iter().rev().flat_map(Run::artifacts);
            let entries = artifacts.map(|(_, entry)| entry);
            preview::write(entries, about.objects, &mut omitted, o.key("previews"));
            write_models(view, o.key("models"));
            write_changes(&view.registry, o.key("stages"));
            write_texts(&omitted, o.key("omitted"));
        });
    }

    /// Writes what has changed since a mark that was given out, if anything.
    pub fn write_since(&self, mark: &str, about: &About<'_>, out: &mut Vec<u8>) -> Since {
        let view = self.view();
        let now = self.mark();
        let known = match Mark::parse(mark) {
            Some(known) if known.begun == now.begun && known.seq <= now.seq => known,
            _ => return Since::Everything,
        };
        if known == now {
            return Since::Nothing;
        }
        let first = view.news.partition_point(|(seq, _)| *seq <= known.seq);
        let news = || view.news[first..].iter().map(|(_, news)| news);
        let mut runs: BTreeSet<usize> = news()
            .filter_map(|news| match news {
                News::Run(place) => Some(*place),
                _ => None,
            })
            .collect();
        if known.lost != now.lost {
            runs.extend(&self.lost);
        }
        let told: HashSet<&str> = news()
            .filter_map(|news| match news {
                News::Session(id) => Some(id.as_str()),
                _ => None,
            })
            .collect();
        let sessions: BTreeMap<&str, &Session> = runs
            .iter()
            .map(|&place| view.runs.at(place).session())
            .filter(|session| told.contains(session.id.as_str()))
            .map(|session| (session.id.as_str(), session))
            .collect();
        let hidden = Hidden::of(runs.iter().map(|&place| view.runs.at(place)));
        let first_point = view.points.partition_point(|point| point.seq <= known.seq);
        let points = view.points[first_point..].iter().collect();
        let entries = news().filter_map(|news| match news {
            News::Artifact(entry) => Some(entry),
            _ => None,
        });
        object(out, |o| {
            o.int("format", FORMAT);
            o.int("seq", now.seq as i64);
            o.text("mark", &mark_text(now));
            object(o.key("patch"), |o| {
                let sessions: Vec<&Session> = sessions.into_values().collect();
                json::write_array(&sessions, o.key("sessions"), |session, out| {
                    write_session(session, out);
                });
                object(o.key("runs"), |o| {
                    for &place in &runs {
                        let is_lost = self.lost.contains(&place);
                        write_run(view, view.runs.at(place), is_lost, &hidden, o.place(place));
                    }
                });
                view.write_points(points, &hidden, o.key("series"));
                let mut omitted = Vec::new();
                preview::write(entries, about.objects, &mut omitted, o.key("previews"));
                if !omitted.is_empty() {
                    write_texts(&omitted, o.key("omitted"));
                }
                if news().any(|news| matches!(news, News::Registry)) {
                    write_models(view, o.key("models"));
                    write_changes(&view.registry, o.key("stages"));
                }
            });
        });
        Since::Patch
    }
}

fn mark_text(mark: Mark) -> String {
    format!("{}.{}.{}", mark.begun, mark.seq, mark.lost)
}

/// Writes JSON so that it can stand in a script element of a page.
pub fn write_embedded(json: &[u8], mut out: impl Write) -> io::Result<()> {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'<', 0xe2, rest) {
        out.write_all(&rest[..at])?;
        // JavaScript once took U+2028 and U+2029 for ends of lines.
        let (escape, length): (&[u8], usize) = match &rest[at..] {
            [b'<', ..] => (b"\\u003c", 1),
            [_, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [_, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            other => (&other[..1], 1),
        };
        out.write_all(escape)?;
        rest = &rest[at + length..];
    }
    out.write_all(rest)
}

// ---- Objects ---------------------------------------------------------------

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    write(&mut Object { out, empty: true });
    out.push(b'}');
}

impl Object<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json::write_str(key, self.out);
        self.out.push(b':');
        self.out
    }

    fn place(&mut self, place: usize) -> &mut Vec<u8> {
        self.key(&place.to_string())
    }

    fn int(&mut self, key: &str, value: i64) {
        json::write_int(value, self.key(key));
    }

    fn text(&mut self, key: &str, value: &str) {
        json::write_str(value, self.key(key));
    }

    fn json(&mut self, key: &str, value: Option<&Json>) {
        match value {
            Some(json) => json.write(self.key(key)),
            None => self.null(key),
        }
    }

    fn null(&mut self, key: &str) {
        self.key(key).extend_from_slice(b"null");
    }
}

fn write_list<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn write_texts(texts: &[impl AsRef<str>], out: &mut Vec<u8>) {
    json::write_array(texts, out, |text, out| json::write_str(text.as_ref(), out));
}

fn write_usize(x: usize, out: &mut Vec<u8>) {
    json::write_int(x as i64, out);
}

fn milliseconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1000)
}

// ---- Values ----------------------------------------------------------------

/// A number in the fewest digits, or in words where JSON has none.
fn write_number(x: f64, out: &mut Vec<u8>) {
    match x {
        f64::INFINITY => out.extend_from_slice(b"\"Inf\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Inf\""),
        x if x.is_nan() => out.extend_from_slice(b"\"NaN\""),
        x => {
            json::write_double(x, out);
            if out.ends_with(b".0") && x != 0.0 {
                out.truncate(out.len() - 2);
            }
        }
    }
}

/// A value whose type is known from elsewhere.
fn write_bare(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Na(_) => out.extend_from_slice(b"null"),
        Value::Redacted => out.extend_from_slice(b"{\"redacted\":true}"),
        Value::Bool(x) => json::write_bool(*x, out),
        Value::Int(x) => json::write_int(i64::from(*x), out),
        Value::Double(x) | Value::Difftime(x) => write_number(*x, out),
        Value::Datetime(x) => write_number(1000.0 * x, out),
        Value::Date(x) => json::write_str(&time::day_text(*x).unwrap_or_default(), out),
        other => json::write_str(&other.to_string(), out),
    }
}

/// A value with its type.
fn write_cell(value: &Value, out: &mut Vec<u8>) {
    let name = match value {
        Value::Null | Value::Na(_) | Value::Redacted => return write_bare(value, out),
        Value::Code(_) => "code",
        Value::Empty(_) => "empty",
        Value::Vector(_) | Value::NamedVector(_) => "vector",
        Value::List(_) | Value::NamedList(_) => "list",
        value => value.kind().map_or("unknown", Kind::name),
    };
    object(out, |o| {
        o.text("t", name);
        write_bare(value, o.key("v"));
    });
}

fn write_cells<'a>(cells: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut Vec<u8>) {
    json::write_object(cells, out, write_cell);
}

/// Metrics that nobody is to see yet, with the runs that hide them.
struct Hidden(HashMap<String, HashSet<usize>>);

impl Hidden {
    fn of<'a>(runs: impl Iterator<Item = Run<'a>>) -> Hidden {
        let mut hidden: HashMap<String, HashSet<usize>> = HashMap::new();
        for run in runs {
            for (name, _) in run.hidden() {
                hidden.entry(name.clone()).or_default().insert(run.place);
            }
        }
        Hidden(hidden)
    }

    fn has(&self, metric: &str, run: usize) -> bool {
        let runs = self.0.get(metric);
        runs.is_some_and(|runs| runs.contains(&run))
    }
}

/// The column of some runs, of `n` in all; a value that the column doesn't show is null.
fn write_column(name: &str, column: &columns::Column, rows: &[usize], n: usize, out: &mut Vec<u8>) {
    let ty = table::Column::of(String::new(), column, rows).ty;
    let is_there = |&row: &usize| !matches!(column.tag(row), Tag::Absent | Tag::Null | Tag::Na);
    let there: Vec<usize> = rows.iter().copied().filter(is_there).collect();
    object(out, |o| {
        o.text("name", name);
        let ty_name = match ty {
            Type::Mixed => "mixed",
            Type::Atomic(kind) => kind.name(),
        };
        o.text("type", ty_name);
        let places: Box<dyn Iterator<Item = Option<usize>>> = if there.len() * 4 < n {
            json::write_array(&there, o.key("at"), |&place, out| write_usize(place, out));
            Box::new(there.iter().copied().map(Some))
        } else {
            let mut there = there.iter().copied().peekable();
            Box::new((0..n).map(move |place| there.next_if_eq(&place)))
        };
        match ty {
            Type::Atomic(Kind::Character) => write_codes(column, places, o),
            _ => write_list(places, o.key("values"), |place, out| {
                let value = place.and_then(|place| column.get(place));
                match value.unwrap_or(Value::Null) {
                    value if ty == Type::Mixed => write_cell(&value, out),
                    value => write_bare(&value, out),
                }
            }),
        }
    });
}

/// Texts, each once, and which of them each run has.
fn write_codes(
    column: &columns::Column,
    places: impl Iterator<Item = Option<usize>>,
    o: &mut Object<'_>,
) {
    const MISSING: i64 = -1;
    const REDACTED: i64 = -2;
    let mut levels: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, i64> = HashMap::new();
    let mut code_of = |text| {
        *known.entry(text).or_insert_with(|| {
            levels.push(text);
            levels.len() as i64 - 1
        })
    };
    let mut of_text: Vec<Option<i64>> = vec![None; column.texts().len()];
    let mut codes = Vec::new();
    write_list(places, &mut codes, |place, out| {
        let code = match place.map(|place| (place, column.tag(place))) {
            Some((place, Tag::Text)) => {
                let known = &mut of_text[column.bits(place) as usize];
                *known.get_or_insert_with(|| code_of(column.text(place).unwrap_or_default()))
            }
            Some((_, Tag::Redacted)) => REDACTED,
            Some((place, _)) => match column.other(place) {
                Some(Value::Code(text)) => code_of(text),
                _ => MISSING,
            },
            None => MISSING,
        };
        json::write_int(code, out);
    });
    write_texts(&levels, o.key("levels"));
    o.key("codes").extend_from_slice(&codes);
}

// ---- Runs ------------------------------------------------------------------

/// The sessions of runs, in the order in which runs name them.
struct Sessions<'a> {
    list: Vec<&'a Session>,
    of_run: Vec<usize>,
}

impl<'a> Sessions<'a> {
    fn of(runs: &'a Runs) -> Sessions<'a> {
        let mut list: Vec<&Session> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut last = 0;
        let of_run = runs.iter().map(|run| {
            let session = run.session();
            if list.get(last).is_none_or(|known| known.id != session.id) {
                last = *places.entry(&session.id).or_insert(list.len());
                if last == list.len() {
                    list.push(session);
                }
            }
            last
        });
        let of_run = of_run.collect();
        Sessions { list, of_run }
    }
}

fn write_session(session: &Session, out: &mut Vec<u8>) {
    object(out, |o| {
        o.text("id", &session.id);
        o.json("context", session.context.as_ref());
    });
}

fn status(run: Run<'_>, is_lost: bool) -> &'static str {
    match is_lost {
        true => "lost",
        false => run.status().name(),
    }
}

/// Writes what a run has, or says that it has nothing.
type WriteMore = fn(&View, Run<'_>, &mut Vec<u8>) -> bool;

/// What few runs have.
const MORE: [(&str, WriteMore); 11] = [
    ("ended", |_, run, out| {
        let ended = run
            .ended()
            .map(|time| json::write_int(milliseconds(time), out));
        ended.is_some()
    }),
    ("sealed", |_, run, out| {
        let names = run.hidden();
        json::write_array(names, out, |(name, _), out| json::write_str(name, out));
        !names.is_empty()
    }),
    ("looks", |_, run, out| {
        json::write_int(i64::from(run.looks()), out);
        run.looks() > 0
    }),
    ("tags", |_, run, out| {
        let tags = run.tags();
        write_cells(tags.iter().map(|(name, value)| (name.as_str(), value)), out);
        !tags.is_empty()
    }),
    ("artifacts", |_, run, out| {
        write_entries(run.artifacts(), out)
    }),
    ("data", |_, run, out| write_entries(run.data(), out)),
    ("call", |_, run, out| {
        run.call().map(|call| call.write(out)).is_some()
    }),
    ("origin", |_, run, out| {
        run.origin().map(|origin| origin.write(out)).is_some()
    }),
    ("notes", |view, run, out| {
        let notes = view.notes.get(&run.place).map_or(&[][..], Vec::as_slice);
        json::write_array(notes, out, |(time, text), out| {
            object(out, |o| {
                o.int("time", milliseconds(*time));
                o.text("text", text);
            });
        });
        !notes.is_empty()
    }),
    ("void", |_, run, out| {
        json::write_bool(true, out);
        run.is_void()
    }),
    ("void_reason", |view, run, out| {
        let reason = view.void_reasons.get(&run.place);
        reason.map(|reason| json::write_str(reason, out)).is_some() && run.is_void()
    }),
];

fn write_entries(entries: &[(String, Json)], out: &mut Vec<u8>) -> bool {
    let pairs = entries.iter().map(|(name, entry)| (name.as_str(), entry));
    json::write_object(pairs, out, |entry, out| entry.write(out));
    !entries.is_empty()
}

/// All runs, column by column.
fn write_runs(
    view: &View,
    sessions: &Sessions<'_>,
    hidden: &Hidden,
    lost: &HashSet<usize>,
    o: &mut Object<'_>,
) {
    let runs = &view.runs;
    let n = runs.len();
    let all: Vec<usize> = (0..n).collect();
    o.int("n", n as i64);
    write_list(runs.iter(), o.key("id"), |run, out| {
        json::write_str(run.id(), out);
    });
    write_list(runs.iter(), o.key("began"), |run, out| {
        json::write_int(milliseconds(run.began()), out);
    });
    json::write_array(&sessions.of_run, o.key("session"), |&place, out| {
        write_usize(place, out);
    });
    object(o.key("status"), |o| {
        let unfinished = runs.iter().filter(|run| run.status() != Status::Finished);
        for run in unfinished {
            o.text(
                &run.place.to_string(),
                status(run, lost.contains(&run.place)),
            );
        }
    });
    write_list(runs.params.iter(), o.key("params"), |column, out| {
        write_column(&column.name, column, &all, n, out);
    });
    write_list(
        runs.metrics.iter(),
        o.key("metrics"),
        |column, out| match hidden.0.get(&column.name) {
            None => write_column(&column.name, column, &all, n, out),
            Some(_) => {
                let shown = |place: &usize| !hidden.has(&column.name, *place);
                let shown: Vec<usize> = all.iter().copied().filter(shown).collect();
                write_column(&column.name, column, &shown, n, out);
            }
        },
    );
    if all
        .iter()
        .any(|&place| runs.seeds.tag(place) != Tag::Absent)
    {
        write_column("seed", &runs.seeds, &all, n, o.key("seed"));
    } else {
        o.null("seed");
    }
    let mut written = Vec::new();
    for (key, write) in MORE {
        let of_runs = runs.iter().filter_map(|run| {
            written.clear();
            write(view, run, &mut written).then(|| (run.place, written.clone()))
        });
        match key {
            "void" => write_list(of_runs, o.key(key), |(place, _), out| {
                write_usize(place, out);
            }),
            _ => object(o.key(key), |o| {
                of_runs.for_each(|(place, written)| o.place(place).extend(written));
            }),
        }
    }
}

/// One run, whole.
fn write_run(view: &View, run: Run<'_>, is_lost: bool, hidden: &Hidden, out: &mut Vec<u8>) {
    let write = |cells: Vec<(String, Value)>, out: &mut Vec<u8>| {
        write_cells(
            cells.iter().map(|(name, value)| (name.as_str(), value)),
            out,
        );
    };
    object(out, |o| {
        o.text("id", run.id());
        o.int("began", milliseconds(run.began()));
        o.text("session", &run.session().id);
        o.text("status", status(run, is_lost));
        write(run.params(), o.key("params"));
        let mut metrics = run.metrics();
        metrics.retain(|(name, _)| !hidden.has(name, run.place));
        write(metrics, o.key("metrics"));
        if let Some(seed) = run.seed() {
            write_cell(&seed, o.key("seed"));
        }
        let mut written = Vec::new();
        for (key, write) in MORE {
            written.clear();
            if write(view, run, &mut written) {
                o.key(key).extend_from_slice(&written);
            }
        }
    });
}

// ---- Series ----------------------------------------------------------------

impl View {
    /// The points of the newest runs, as many as are shown.
    fn newest_points(&self, omitted: &mut Vec<String>) -> Vec<&Point> {
        if self.points.len() <= MOST_POINTS {
            return self.points.iter().collect();
        }
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for point in &self.points {
            *counts.entry(point.run).or_default() += 1;
        }
        let mut room = MOST_POINTS;
        let newest = counts.iter().rev().map_while(|(run, count)| {
            room = room.checked_sub(*count)?;
            Some(*run)
        });
        let shown: HashSet<u32> = newest.collect();
        omitted.push(format!(
            "The series of {} runs, since the page holds {MOST_POINTS} values of the newest runs \
             at most. `read_metrics()` has them all.",
            counts.len() - shown.len()
        ));
        let is_shown = |point: &&Point| shown.contains(&point.run);
        self.points.iter().filter(is_shown).collect()
    }

    fn write_points(&self, mut points: Vec<&Point>, hidden: &Hidden, out: &mut Vec<u8>) {
        points.retain(|point| {
            let metric = &self.series[point.series as usize];
            !hidden.has(metric, point.run as usize)
        });
        points.sort_by_key(|point| (point.run, point.series));
        object(out, |o| {
            for of_run in points.chunk_by(|a, b| a.run == b.run) {
                object(o.place(of_run[0].run as usize), |o| {
                    for curve in of_run.chunk_by(|a, b| a.series == b.series) {
                        let metric = &self.series[curve[0].series as usize];
                        write_curve(curve, o.key(metric));
                    }
                });
            }
        });
    }
}

fn write_curve(curve: &[&Point], out: &mut Vec<u8>) {
    object(out, |o| {
        json::write_array(curve, o.key("step"), |point, out| {
            json::write_int(point.step, out);
        });
        json::write_array(curve, o.key("value"), |point, out| match point.value {
            Some(value) => write_number(value, out),
            None => out.extend_from_slice(b"null"),
        });
        json::write_array(curve, o.key("time"), |point, out| {
            write_number((1000.0 * point.at).round(), out);
        });
    });
}

// ---- Models and integrity --------------------------------------------------

/// One object a version.
fn write_models(view: &View, out: &mut Vec<u8>) {
    let models = view.registry.models.iter();
    let versions = models.flat_map(|model| (1..).zip(&model.versions).map(move |v| (model, v)));
    write_list(versions, out, |(model, (number, version)), out| {
        object(out, |o| {
            o.text("model", &model.name);
            o.int("version", number);
            match view.runs.get(&version.run_id) {
                Some(run) => o.int("run", run.place as i64),
                None => o.null("run"),
            }
            o.text("artifact", &version.artifact);
            o.json("sha256", version.entry.get("sha256"));
            o.int("registered", milliseconds(version.registered));
            let here = model
                .stages
                .iter()
                .filter(|stage| stage.current() == number);
            write_list(here, o.key("stages"), |stage, out| {
                json::write_str(&stage.name, out);
            });
            o.json("signature", version.signature.as_ref());
        });
    });
}

/// One object a change of a stage, in the order of the rows.
fn write_changes(registry: &Registry, out: &mut Vec<u8>) {
    let models = registry.models.iter();
    let mut changes: Vec<(&str, &registry::Change)> = models
        .flat_map(|model| {
            model
                .history
                .iter()
                .map(|change| (model.name.as_str(), change))
        })
        .collect();
    changes.sort_by_key(|(_, change)| change.seq);
    json::write_array(&changes, out, |(model, change), out| {
        object(out, |o| {
            o.text("model", model);
            o.text("stage", &change.stage);
            o.int("version", change.version);
            match change.previous {
                Some(previous) => o.int("previous", previous),
                None => o.null("previous"),
            }
            o.int("time", milliseconds(change.time));
            match registry.users.get(&change.session) {
                Some(user) => o.text("who", user),
                None => o.null("who"),
            }
            let event = match change.kind {
                registry::Kind::Promotion => "promote",
                registry::Kind::Rollback => "rollback",
                registry::Kind::Refusal => "refuse",
            };
            o.text("event", event);
            o.json("why", change.context.get("why"));
            if change.figures.is_empty() {
                return o.null("figures");
            }
            let figures = change.figures.iter();
            let figures = figures.map(|(key, json)| (value::unescape_key(key), json));
            json::write_object(figures, o.key("figures"), |json, out| {
                write_cell(&Value::from_json(json), out);
            });
        });
    });
}

fn write_integrity(report: &verify::Report, out: &mut Vec<u8>) {
    object(out, |o| {
        o.text("status", report.status.name());
        o.int("rows", report.rows as i64);
        match &report.fault {
            Some(fault) => {
                o.int("row", fault.row as i64);
                o.int("byte", fault.byte as i64);
                o.text("why", &fault.why);
            }
            None => ["row", "byte", "why"]
                .into_iter()
                .for_each(|key| o.null(key)),
        }
        json::write_array(&report.problems, o.key("problems"), |problem, out| {
            object(out, |o| {
                o.int("row", problem.row as i64);
                o.text("kind", problem.kind);
                o.text("problem", &problem.what);
            });
        });
    });
}
