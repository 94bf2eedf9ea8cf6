//! R's values as the ledger's: what each becomes, and what is refused.

use std::borrow::Cow;
use std::ffi::CString;
use std::path::PathBuf;

use extendr_api::Robj;
use extendr_ffi::{R_IsNA, R_NaInt, SEXPTYPE};
use fitledger_core::format::json::{Json, MAX_DEPTH, MAX_INT};
use fitledger_core::format::object::Object;
use fitledger_core::format::row::MAX_ROW_BYTES;
use fitledger_core::format::time;
use fitledger_core::format::value::{Kind, Value};
use fitledger_core::platform::memory;

use crate::guard::Failure;
use crate::r::{R, Text};

/// A value that can't be recorded: where it stands, what it is, and what would do instead.
fn refuse(arg_path: &str, what: impl Into<String>, instead: impl Into<String>) -> Failure {
    Failure {
        class: "value",
        message: format!("`{arg_path}` can't be recorded: {}.", what.into()),
        hint: instead.into(),
        ..Failure::default()
    }
}

/// Whether a row has room for a value.
pub fn check_fits(value: &Value, arg_path: &str) -> Result<(), Failure> {
    /// For what a row says beside it.
    const REST: usize = 4096;
    let pair = Object::new().named(arg_path, value);
    let quotes = pair.pairs().iter().filter(|&&byte| byte == b'"').count();
    match pair.pairs().len() + quotes + REST > MAX_ROW_BYTES {
        true => Err(too_long(arg_path)),
        false => Ok(()),
    }
}

fn too_long(arg_path: &str) -> Failure {
    refuse(
        arg_path,
        "it is longer than a row may be, which is 16 MiB",
        "Store it as an artifact.",
    )
}

/// How many elements a vector has, or a list and what is in it so many levels deep. Once there are more than `most`, it ends.
/// A list that R has in memory once is counted in each place where it stands.
fn count_elements(x: R, levels: usize, most: usize) -> usize {
    let mut count = x.len();
    if x.ty() == SEXPTYPE::VECSXP && levels > 0 {
        for i in 0..x.len() {
            if count > most {
                break;
            }
            count += count_elements(x.element(i), levels - 1, most - count);
        }
    }
    count
}

/// Looks, before anything is made of the elements of a vector or a list, whether a row could have room for them, and memory
/// for what they become, which is many times as much.
fn check_count(x: R, arg_path: &str) -> Result<(), Failure> {
    /// A digit and a comma.
    const LEAST_BYTES: usize = 2;
    /// Of a value with its name.
    const MOST_BYTES: usize = 256;
    /// Fewer have room in what each look asks for beyond its own bytes, and a row of a few is written often.
    const MANY: usize = 1 << 6;
    const MOST: usize = MAX_ROW_BYTES / LEAST_BYTES;
    let count = count_elements(x, MAX_DEPTH, MOST);
    if count > MOST {
        return Err(too_long(arg_path));
    }
    if count >= MANY {
        memory::ensure(MOST_BYTES * count);
    }
    Ok(())
}

/// A path as the user gave it.
pub fn path(file: &Robj) -> Result<PathBuf, Failure> {
    R::of(file).path().ok_or_else(|| Failure::argument("file"))
}

/// The name and value of each parameter (or tag): of a named list, a named vector or a data frame
/// with one row.
pub fn pairs(x: R, what: &str) -> Result<Vec<(String, Value)>, Failure> {
    named(x, what, Atomic::of)?
        .into_iter()
        .map(|(name, arg_path, item)| Ok((name, item.value(&arg_path)?)))
        .collect()
}

/// The name and number of each metric.
pub fn metrics(x: R, what: &str) -> Result<Vec<(String, Value)>, Failure> {
    named(x, what, Atomic::of_numbers)?
        .into_iter()
        .map(|(name, arg_path, item)| Ok((name, item.metric(&arg_path)?)))
        .collect()
}

/// An object whose keys are a user's names.
pub fn object(pairs: &[(String, Value)]) -> Object {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (name.as_str(), value)).collect()
}

/// An object of the format's own, in which whole numbers are integers.
pub fn own_json(pairs: R) -> Result<Json, Failure> {
    if pairs.len() == 0 {
        return Ok(Json::Object(Vec::new()));
    }
    let mut text = Vec::new();
    value(pairs, "context", 0)?.write(&mut text);
    let json = Json::parse(&text).map_err(|_| Failure::argument("context"))?;
    Ok(untyped(json))
}

/// Typed values as the format's own: whole numbers are integers, and lists are arrays.
fn untyped(json: Json) -> Json {
    match json {
        Json::Double(x) if x.fract() == 0.0 && x.abs() <= MAX_INT as f64 => Json::Int(x as i64),
        Json::Object(mut pairs) if pairs.len() == 1 && pairs[0].0 == "$list" => {
            untyped(pairs.remove(0).1)
        }
        Json::Object(pairs) => Json::Object(
            pairs
                .into_iter()
                .map(|(key, value)| (key, untyped(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(untyped).collect()),
        other => other,
    }
}

/// An element of a list, or of a vector.
enum Item {
    Whole(R),
    Of(Atomic, usize),
}

impl Item {
    fn value(&self, arg_path: &str) -> Result<Value, Failure> {
        let value = match self {
            Item::Whole(x) => value(*x, arg_path, 0)?,
            Item::Of(vector, i) => vector.get(*i, arg_path)?,
        };
        if value.depth() + 1 > MAX_DEPTH {
            return Err(too_deep(arg_path));
        }
        Ok(value)
    }

    fn metric(&self, arg_path: &str) -> Result<Value, Failure> {
        match self {
            Item::Whole(x) => metric(*x, arg_path),
            Item::Of(vector, i) => vector.metric(*i, arg_path),
        }
    }
}

fn named(x: R, what: &str, vector: AsVector) -> Result<Vec<(String, String, Item)>, Failure> {
    if x.len() == 0 {
        return Ok(Vec::new());
    }
    check_count(x, what)?;
    let classes = x.classes();
    let frame = classes.iter().any(|class| class == "data.frame");
    let items: Vec<Item> = match x.ty() {
        SEXPTYPE::VECSXP if frame => (0..x.len())
            .map(|i| {
                let column = x.element(i);
                match (column.len(), column.ty()) {
                    (1, SEXPTYPE::VECSXP) => Ok(Item::Whole(column.element(0))),
                    (1, _) => Ok(Item::Whole(column)),
                    (rows, _) => Err(refuse(
                        what,
                        format!("it is a data frame of {rows} rows"),
                        "Give one row, or log each row as a run with `log_runs()`.",
                    )),
                }
            })
            .collect::<Result<_, _>>()?,
        SEXPTYPE::VECSXP if classes.is_empty() => {
            (0..x.len()).map(|i| Item::Whole(x.element(i))).collect()
        }
        SEXPTYPE::LGLSXP | SEXPTYPE::INTSXP | SEXPTYPE::REALSXP | SEXPTYPE::STRSXP => {
            let vector = vector(x, what)?;
            (0..x.len()).map(|i| Item::Of(vector.clone(), i)).collect()
        }
        _ => {
            let is = describe(x, &classes);
            return Err(refuse(
                what,
                format!("it is {is}"),
                "Give a named list or a named vector.",
            ));
        }
    };
    let names = names(x, what)?.ok_or_else(|| {
        refuse(
            what,
            "it has no names",
            format!("Name each element: `{what} = list(name = value)`."),
        )
    })?;
    if let Some(taken) = names
        .iter()
        .find(|name| *name == "run_id" || *name == "timestamp")
    {
        return Err(refuse(
            &format!("{what}${taken}"),
            format!("`{taken}` is the name of a column that every run has"),
            "Choose another name.",
        ));
    }
    let arg_paths: Vec<String> = names.iter().map(|name| arg_path(what, name)).collect();
    Ok(names
        .into_iter()
        .zip(arg_paths)
        .zip(items)
        .map(|((name, arg_path), item)| (name, arg_path, item))
        .collect())
}

/// The names of an object: all there, none twice.
fn names(x: R, what: &str) -> Result<Option<Vec<String>>, Failure> {
    let Some(names) = x.names() else {
        return Ok(None);
    };
    let mut out = Vec::with_capacity(names.len());
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    for i in 0..names.len() {
        let name = match names.text(i) {
            Text::Is(name) if !name.is_empty() => name,
            Text::Is(_) | Text::Na => {
                let element = format!("its element {} has no name", i + 1);
                return Err(refuse(what, element, "Name every element or none."));
            }
            Text::Invalid => {
                let element = format!("the name of its element {} is not valid text", i + 1);
                return Err(refuse(
                    what,
                    element,
                    "Convert it with `iconv()` or `enc2utf8()`.",
                ));
            }
        };
        if !seen.insert(name.clone()) {
            return Err(refuse(
                what,
                format!("the name `{name}` stands twice"),
                "Give each element its own name.",
            ));
        }
        out.push(name);
    }
    Ok(Some(out))
}

/// How somebody would write the way to an element.
fn arg_path(what: &str, name: &str) -> String {
    let syntactic = name.starts_with(|c: char| c.is_alphabetic() || c == '.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '.' || c == '_');
    if syntactic {
        format!("{what}${name}")
    } else {
        format!("{what}[[{name:?}]]")
    }
}

fn too_deep(arg_path: &str) -> Failure {
    let start: String = arg_path.chars().take(40).collect();
    refuse(
        &format!("{start}…"),
        format!("it nests more than {MAX_DEPTH} levels deep"),
        "Flatten it, or store it as a file.",
    )
}

/// One value of any kind that the ledger keeps.
pub fn value(x: R, at: &str, depth: usize) -> Result<Value, Failure> {
    if depth > MAX_DEPTH {
        return Err(too_deep(at));
    }
    match x.ty() {
        SEXPTYPE::NILSXP => Ok(Value::Null),
        SEXPTYPE::LANGSXP
        | SEXPTYPE::SYMSXP
        | SEXPTYPE::CLOSXP
        | SEXPTYPE::BUILTINSXP
        | SEXPTYPE::SPECIALSXP => match x.deparse() {
            Text::Is(text) => Ok(Value::Code(text)),
            _ => Err(refuse(
                at,
                "its code has no text",
                "Give its text yourself.",
            )),
        },
        SEXPTYPE::STRSXP if x.classes() == ["fitledger_code"] => {
            Ok(Value::Code(x.string().unwrap_or_default()))
        }
        SEXPTYPE::VECSXP if x.classes() == ["fitledger_redacted"] => Ok(Value::Redacted),
        SEXPTYPE::LGLSXP | SEXPTYPE::INTSXP | SEXPTYPE::REALSXP | SEXPTYPE::STRSXP => {
            check_count(x, at)?;
            let vector = Atomic::of(x, at)?;
            let cells = |at: &str| {
                (0..x.len())
                    .map(|i| vector.get(i, at))
                    .collect::<Result<Vec<Value>, _>>()
            };
            match x.len() {
                0 => Ok(Value::Empty(vector.kind)),
                // One value with a name is one value.
                1 => vector.get(0, at),
                _ => match names(x, at)? {
                    Some(names) => Ok(Value::NamedVector(
                        names.into_iter().zip(cells(at)?).collect(),
                    )),
                    None => Ok(Value::Vector(cells(at)?)),
                },
            }
        }
        SEXPTYPE::VECSXP => list(x, at, depth),
        _ => {
            let classes = x.classes();
            Err(refuse(
                at,
                format!("it is {}", describe(x, &classes)),
                instead(x, &classes),
            ))
        }
    }
}

fn list(x: R, at: &str, depth: usize) -> Result<Value, Failure> {
    let classes = x.classes();
    let strange = x.attribute_names().into_iter().find(|name| name != "names");
    if !classes.is_empty() || x.has_dim() || strange.is_some() {
        return Err(refuse(
            at,
            format!("it is {}", describe(x, &classes)),
            instead(x, &classes),
        ));
    }
    check_count(x, at)?;
    match names(x, at)? {
        Some(names) => names
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let inner = value(x.element(i), &arg_path(at, &name), depth + 1)?;
                Ok((name, inner))
            })
            .collect::<Result<_, _>>()
            .map(Value::NamedList),
        None => (0..x.len())
            .map(|i| value(x.element(i), &format!("{at}[[{}]]", i + 1), depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::List),
    }
}

/// How a vector is read: [`Atomic::of`] or [`Atomic::of_numbers`].
pub type AsVector = fn(R, &str) -> Result<Atomic, Failure>;

/// An atomic vector whose elements we know how to read.
#[derive(Clone)]
pub struct Atomic {
    x: R,
    pub kind: Kind,
    levels: Option<R>,
    /// Seconds in the unit of a difftime.
    unit: f64,
}

impl Atomic {
    /// A vector whose elements are metrics, whatever its class and its attributes. No code of the class is run.
    pub fn of_numbers(x: R, at: &str) -> Result<Atomic, Failure> {
        let classes = x.inherited_classes();
        let is = |name: &str| classes.iter().any(|class| class == name);
        let (mut levels, mut unit) = (None, 1.0);
        let kind = match x.ty() {
            SEXPTYPE::LGLSXP => Kind::Logical,
            SEXPTYPE::STRSXP => Kind::Character,
            SEXPTYPE::INTSXP if is("factor") => {
                levels = x.levels();
                Kind::Character
            }
            SEXPTYPE::REALSXP if is("integer64") => Kind::Integer64,
            SEXPTYPE::INTSXP | SEXPTYPE::REALSXP if is("Date") => Kind::Date,
            SEXPTYPE::INTSXP | SEXPTYPE::REALSXP if is("POSIXct") => Kind::Datetime,
            SEXPTYPE::INTSXP | SEXPTYPE::REALSXP if is("difftime") => {
                unit = seconds_in_unit(x, at)?;
                Kind::Difftime
            }
            // Such as a period of months, days and seconds, of which the vector itself has the seconds.
            SEXPTYPE::INTSXP | SEXPTYPE::REALSXP if x.is_s4() && has_numbers_in_slots(x) => {
                let hint = "A metric is one number: convert it with `as.numeric()`.";
                let is = describe(x, &x.classes());
                return Err(refuse(
                    at,
                    format!("it is {is}, with numbers in its slots"),
                    hint,
                ));
            }
            SEXPTYPE::INTSXP => Kind::Integer,
            SEXPTYPE::REALSXP => Kind::Double,
            _ => return Err(no_number(x, at)),
        };
        Ok(Atomic {
            x,
            kind,
            levels,
            unit,
        })
    }

    pub fn of(x: R, at: &str) -> Result<Atomic, Failure> {
        let classes = x.classes();
        let plain = |kind| {
            Ok(Atomic {
                x,
                kind,
                levels: None,
                unit: 1.0,
            })
        };
        let class = classes.first().map(String::as_str);
        let is = |name: &str| classes.iter().any(|class| class == name);
        let known = match (x.ty(), class) {
            (SEXPTYPE::INTSXP, Some("factor" | "ordered")) if is("factor") => Ok(Atomic {
                x,
                kind: Kind::Character,
                levels: x.levels(),
                unit: 1.0,
            }),
            (SEXPTYPE::INTSXP | SEXPTYPE::REALSXP, Some("Date")) => plain(Kind::Date),
            (SEXPTYPE::INTSXP | SEXPTYPE::REALSXP, Some("POSIXct")) => plain(Kind::Datetime),
            (SEXPTYPE::INTSXP | SEXPTYPE::REALSXP, Some("difftime")) => Ok(Atomic {
                x,
                kind: Kind::Difftime,
                levels: None,
                unit: seconds_in_unit(x, at)?,
            }),
            (SEXPTYPE::REALSXP, Some("integer64")) => plain(Kind::Integer64),
            (SEXPTYPE::LGLSXP, None) => plain(Kind::Logical),
            (SEXPTYPE::INTSXP, None) => plain(Kind::Integer),
            (SEXPTYPE::REALSXP, None) => plain(Kind::Double),
            (SEXPTYPE::STRSXP, None) => plain(Kind::Character),
            _ => Err(refuse(
                at,
                format!("it is {}", describe(x, &classes)),
                instead(x, &classes),
            )),
        }?;
        const KNOWN: [&str; 5] = ["names", "class", "levels", "units", "tzone"];
        if x.has_attributes() {
            if let Some(odd) = x
                .attribute_names()
                .iter()
                .find(|name| !KNOWN.contains(&name.as_str()))
            {
                let is = if odd == "dim" {
                    describe(x, &classes)
                } else {
                    format!("a vector with the attribute `{odd}`")
                };
                return Err(refuse(at, format!("it is {is}"), instead(x, &classes)));
            }
        }
        Ok(known)
    }

    /// Whether an element can be read without R, once it has passed as a value or as a metric.
    pub fn needs_r(&self, i: usize, metric: bool, at: &str) -> Result<bool, Failure> {
        let is_in_memory = self.x.is_in_memory();
        if is_in_memory && matches!(self.kind, Kind::Double | Kind::Integer) {
            return Ok(false);
        }
        if metric {
            return self.metric(i, at).map(|_| !is_in_memory);
        }
        if !is_in_memory {
            return self.get(i, at).map(|_| true);
        }
        let text = match (self.kind, self.levels) {
            (Kind::Character, None) => self.x.borrowed_text(i),
            _ => {
                self.get(i, at)?;
                return Ok(self.levels.is_some());
            }
        };
        match text {
            Text::Na | Text::Is(Cow::Borrowed(_)) => Ok(false),
            Text::Is(Cow::Owned(_)) => Ok(true),
            Text::Invalid => self.get(i, at).map(|_| true),
        }
    }

    /// An element as a value.
    pub fn get(&self, i: usize, at: &str) -> Result<Value, Failure> {
        let na = Value::Na(self.kind);
        if self.x.ty() == SEXPTYPE::STRSXP || self.levels.is_some() {
            return self.label(i, at);
        }
        if self.x.ty() == SEXPTYPE::LGLSXP {
            let x = self.x.logicals()[i];
            return Ok(if is_na(x) { na } else { Value::Bool(x != 0) });
        }
        if self.kind == Kind::Integer {
            let x = self.x.integers()[i];
            return Ok(if is_na(x) { na } else { Value::Int(x) });
        }
        if self.kind == Kind::Integer64 {
            let x = self.x.doubles()[i].to_bits() as i64;
            return Ok(if x == i64::MIN {
                na
            } else {
                Value::Integer64(x)
            });
        }
        let x = self.number(i);
        if x.is_nan() && (self.kind != Kind::Double || is_na_double(x)) {
            return Ok(na);
        }
        match self.kind {
            Kind::Date => day(x).map(Value::Date).ok_or_else(|| {
                refuse(
                    at,
                    "it is no whole day within the years 0 to 9999",
                    "Round it with `as.Date(floor(as.numeric(x)), origin = \"1970-01-01\")`, or record its text.",
                )
            }),
            Kind::Datetime if time::instant_text(x).is_none() => Err(refuse(
                at,
                "its time is finer than a nanosecond, or outside the years 0 to 9999",
                "Round it with `round(x)`, or record its text.",
            )),
            Kind::Datetime => Ok(Value::Datetime(x)),
            Kind::Difftime => Ok(Value::Difftime(x * self.unit)),
            _ => Ok(Value::Double(x)),
        }
    }

    /// An element as a metric.
    pub fn metric(&self, i: usize, at: &str) -> Result<Value, Failure> {
        let (is, hint) = match self.kind {
            Kind::Integer | Kind::Double => return self.get(i, at),
            Kind::Difftime | Kind::Logical | Kind::Integer64 => match self.get(i, at)? {
                Value::Na(_) => return Ok(Value::Na(Kind::Double)),
                Value::Difftime(seconds) => return Ok(Value::Double(seconds)),
                Value::Integer64(x) if x as f64 as i128 == i128::from(x) => {
                    return Ok(Value::Double(x as f64));
                }
                Value::Integer64(_) => (
                    "an integer64 that no double is equal to",
                    "Round it with `as.double()`, or log it as a parameter.",
                ),
                _ => (
                    "a logical value",
                    "A metric is one number: convert it with `as.numeric()`, or log it as a parameter.",
                ),
            },
            Kind::Date => ("a date", TIME_HINT),
            Kind::Datetime => ("a time", TIME_HINT),
            Kind::Character if self.x.ty() == SEXPTYPE::STRSXP => {
                ("a text", text_hint(self.x, says_number(self.x.text(i))))
            }
            Kind::Character => {
                let levels = self.levels.into_iter();
                let mut labels =
                    levels.flat_map(|levels| (0..levels.len()).map(move |i| levels.text(i)));
                ("a factor", text_hint(self.x, labels.all(says_number)))
            }
        };
        Err(refuse(at, format!("it is {is}"), hint))
    }

    fn number(&self, i: usize) -> f64 {
        if self.x.ty() == SEXPTYPE::INTSXP {
            let x = self.x.integers()[i];
            return if is_na(x) { f64::NAN } else { f64::from(x) };
        }
        self.x.doubles()[i]
    }

    fn label(&self, i: usize, at: &str) -> Result<Value, Failure> {
        let text = match self.levels {
            None => self.x.text(i),
            Some(levels) => match self.x.integers()[i] {
                code if is_na(code) => Text::Na,
                code if code >= 1 && code as usize <= levels.len() => {
                    levels.text(code as usize - 1)
                }
                _ => Text::Invalid,
            },
        };
        match text {
            Text::Na => Ok(Value::Na(Kind::Character)),
            Text::Is(text) => Ok(Value::Str(text)),
            Text::Invalid => Err(refuse(
                at,
                "it holds bytes that are not valid text",
                "Convert it with `iconv()`, or store the bytes in a file.",
            )),
        }
    }
}

/// One number, whatever its class: bare, in a matrix or an array, with a name.
pub fn metric(x: R, at: &str) -> Result<Value, Failure> {
    match x.ty() {
        SEXPTYPE::LGLSXP | SEXPTYPE::INTSXP | SEXPTYPE::REALSXP | SEXPTYPE::STRSXP
            if x.len() == 1 =>
        {
            Atomic::of_numbers(x, at)?.metric(0, at)
        }
        _ => Err(no_number(x, at)),
    }
}

/// A value that is no metric because of what it is made of, with what would be one.
fn no_number(x: R, at: &str) -> Failure {
    let classes = x.classes();
    let is = |name: &str| classes.iter().any(|class| class == name);
    let hint = match (x.ty(), x.len()) {
        _ if is("POSIXlt") => TIME_HINT,
        _ if is("data.frame") => {
            "A metric is one number: log each by its name, as in `metrics = list(rmse = x$rmse)`."
        }
        _ if is("factor") && x.len() > 0 => text_hint(x, false),
        (SEXPTYPE::STRSXP, 1..) => text_hint(x, false),
        (SEXPTYPE::VECSXP, 1..) if !classes.is_empty() => OTHER_HINT,
        (SEXPTYPE::VECSXP, 1)
            if matches!(x.element(0).ty(), SEXPTYPE::REALSXP | SEXPTYPE::INTSXP) =>
        {
            "A metric is one number: take it out of the list, with `[[1]]`."
        }
        (SEXPTYPE::VECSXP, 1..) => {
            "A metric is one number: log each by a name of its own, or the list as a parameter."
        }
        (SEXPTYPE::LGLSXP | SEXPTYPE::INTSXP | SEXPTYPE::REALSXP, 1..) => {
            "A metric is one number: summarise it, or log it as a parameter."
        }
        (SEXPTYPE::CPLXSXP, 1..) => "A metric is one number: log `Re()`, `Im()` or `Mod()` of it.",
        (ty, 0) if ty != SEXPTYPE::ENVSXP => {
            "A metric is one number: leave it out, or log `NA` for one that is missing."
        }
        _ => OTHER_HINT,
    };
    refuse(at, format!("it is {}", describe(x, &classes)), hint)
}

const OTHER_HINT: &str = "A metric is one number: log what matters of it as one.";
const TIME_HINT: &str =
    "A metric is one number: log the time since another, `x - start`, or log it as a parameter.";

/// What to do with a text, or a factor, in the place of a metric. The codes of a factor are not what its labels say.
fn text_hint(x: R, is_number: bool) -> &'static str {
    match (is_number, x.ty()) {
        (true, SEXPTYPE::STRSXP) => "A metric is one number: convert it with `as.numeric()`.",
        (true, _) => {
            "A metric is one number: convert its label with `as.numeric(as.character(x))`."
        }
        (false, _) => {
            "A metric is one number: text is a parameter or a tag, in `params` or `tags`."
        }
    }
}

/// Whether `as.numeric()` makes of a text what it says.
fn says_number(text: Text) -> bool {
    match text {
        Text::Na => true,
        Text::Is(text) => text.trim().parse::<f64>().is_ok(),
        Text::Invalid => false,
    }
}

/// The seconds in the unit of a difftime.
fn seconds_in_unit(x: R, at: &str) -> Result<f64, Failure> {
    let unit = x.named_attribute(c"units").and_then(R::string);
    match unit.as_deref() {
        Some("secs") => Ok(1.0),
        Some("mins") => Ok(60.0),
        Some("hours") => Ok(3600.0),
        Some("days") => Ok(86_400.0),
        Some("weeks") => Ok(604_800.0),
        _ => Err(refuse(
            at,
            "it is a difftime without units",
            "Give it units.",
        )),
    }
}

/// Whether an S4 object that is a vector has more numbers beside it.
fn has_numbers_in_slots(x: R) -> bool {
    x.attribute_names().into_iter().any(|name| {
        let slot = CString::new(name.as_str()).ok();
        let slot = slot.and_then(|slot| x.named_attribute(&slot));
        !["names", "dim", "dimnames"].contains(&name.as_str())
            && slot.is_some_and(|slot| {
                matches!(slot.ty(), SEXPTYPE::INTSXP | SEXPTYPE::REALSXP) && slot.len() > 0
            })
    })
}

/// A column that doesn't have a value for each row, as a matrix within a data frame.
pub fn wrong_length(column: R, at: &str, rows: usize) -> Failure {
    let is = describe(column, &column.classes());
    let what = format!("it is {is} with {} values for {rows} rows", column.len());
    refuse(
        at,
        what,
        "Give each run one value of it: each column a name of its own.",
    )
}

fn is_na(x: i32) -> bool {
    // SAFETY: a constant of R's.
    x == unsafe { R_NaInt }
}

fn is_na_double(x: f64) -> bool {
    // SAFETY: looks at the bits of its argument only.
    unsafe { R_IsNA(x) != 0 }
}

fn day(x: f64) -> Option<i32> {
    let whole = x as i32;
    (f64::from(whole) == x && time::day_text(whole).is_some()).then_some(whole)
}

/// An object in a few words.
fn describe(x: R, classes: &[String]) -> String {
    let is = |name: &str| classes.iter().any(|class| class == name);
    if is("data.frame") {
        return "a data frame".into();
    }
    if x.has_dim() {
        return "a matrix or an array".into();
    }
    if let Some(class) = classes.first() {
        return format!("an object of class <{class}>");
    }
    let vector = |kind: &str, one: &str| match x.len() {
        1 => one.to_owned(),
        length => format!("a {kind} vector of length {length}"),
    };
    match x.ty() {
        _ if x.is_s4() => "an S4 object".into(),
        SEXPTYPE::NILSXP => "NULL".into(),
        SEXPTYPE::LGLSXP => vector("logical", "a logical value"),
        SEXPTYPE::INTSXP | SEXPTYPE::REALSXP => vector("numeric", "a number"),
        SEXPTYPE::STRSXP => vector("character", "a text"),
        SEXPTYPE::CPLXSXP => vector("complex", "a complex number"),
        SEXPTYPE::RAWSXP => "raw bytes".into(),
        SEXPTYPE::VECSXP => "a list".into(),
        SEXPTYPE::ENVSXP => "an environment".into(),
        SEXPTYPE::EXTPTRSXP => "a pointer".into(),
        SEXPTYPE::EXPRSXP => "an expression".into(),
        SEXPTYPE::CLOSXP | SEXPTYPE::BUILTINSXP | SEXPTYPE::SPECIALSXP => "a function".into(),
        SEXPTYPE::LANGSXP | SEXPTYPE::SYMSXP => "code".into(),
        _ => "an object of an unusual type".into(),
    }
}

/// The conversion that would do.
fn instead(x: R, classes: &[String]) -> &'static str {
    let is = |name: &str| classes.iter().any(|class| class == name);
    if is("POSIXlt") {
        "Convert it with `as.POSIXct()`."
    } else if is("data.frame") {
        "Record what matters of it: numbers, a name, a hash. Or `as.list()` it."
    } else if is("AsIs") || is("noquote") || is("glue") || is("numeric_version") {
        "Convert it with `as.character()` or `unclass()`."
    } else if x.has_dim()
        || x.classes().is_empty()
            && matches!(
                x.ty(),
                SEXPTYPE::INTSXP | SEXPTYPE::REALSXP | SEXPTYPE::LGLSXP | SEXPTYPE::STRSXP
            )
    {
        "Drop its attributes with `as.vector()`, or record what matters of it."
    } else {
        match x.ty() {
            SEXPTYPE::CPLXSXP => "Record `Re()` and `Im()`, or `format()` it.",
            SEXPTYPE::RAWSXP => "Record its text with `rawToChar()`, or store the bytes in a file.",
            SEXPTYPE::EXPRSXP => "Record its text with `as.character()`.",
            SEXPTYPE::ENVSXP => "Record what matters in it as a named list.",
            SEXPTYPE::INTSXP | SEXPTYPE::REALSXP | SEXPTYPE::STRSXP | SEXPTYPE::LGLSXP => {
                "Convert it with `as.numeric()`, `as.character()` or `format()`."
            }
            SEXPTYPE::VECSXP => {
                "Record what matters of it, or `unclass()` it if it is plain inside."
            }
            _ => "Record what matters of it, or its text with `format()`.",
        }
    }
}
