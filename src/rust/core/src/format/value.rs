//! Typed values of parameters and their JSON form.
//!
//! JSON has no dates, no typed missing values and no infinite numbers; a value that it lacks is an
//! object of one key that starts with `$`, and a user's key that starts so gets a second `$`.

use std::borrow::Cow;
use std::fmt;

use crate::format::json::{self, Json};
use crate::format::time;

/// The type of a missing value or of a vector without elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Logical,
    Integer,
    Double,
    Character,
    Date,
    Datetime,
    Difftime,
    Integer64,
}

pub(crate) const KINDS: [(Kind, &str); 8] = [
    (Kind::Logical, "logical"),
    (Kind::Integer, "integer"),
    (Kind::Double, "double"),
    (Kind::Character, "character"),
    (Kind::Date, "date"),
    (Kind::Datetime, "datetime"),
    (Kind::Difftime, "difftime"),
    (Kind::Integer64, "integer64"),
];

impl Kind {
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .expect("every kind has a name")
            .1
    }

    fn parse(name: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|(_, text)| *text == name)
            .map(|(kind, _)| *kind)
    }
}

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i32),
    /// Any double but NA, which is [`Value::Na`].
    Double(f64),
    Str(String),
    Na(Kind),
    Integer64(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Seconds since 1970-01-01T00:00:00Z.
    Datetime(f64),
    /// Seconds.
    Difftime(f64),
    /// The text of a formula, call, symbol or function.
    Code(String),
    Redacted,
    Empty(Kind),
    Vector(Vec<Value>),
    NamedVector(Vec<(String, Value)>),
    List(Vec<Value>),
    NamedList(Vec<(String, Value)>),
    /// The JSON text of a value that a later version wrote.
    Unknown(String),
}

impl Value {
    /// Writes the one JSON form of the value.
    ///
    /// Days and instants whose year isn't within 0 to 9999 have no form; whoever makes the value
    /// refuses them with [`time::day_text`] and [`time::instant_text`].
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(x) => json::write_bool(*x, out),
            Value::Int(x) => json::write_int(i64::from(*x), out),
            Value::Double(x) => write_any_double(*x, out),
            Value::Str(x) => json::write_str(x, out),
            Value::Na(kind) => tag("$na", out, |out| json::write_str(kind.name(), out)),
            Value::Integer64(x) => tag("$integer64", out, |out| {
                json::write_str(&x.to_string(), out)
            }),
            Value::Date(x) => tag("$date", out, |out| {
                json::write_str(&time::day_text(*x).unwrap_or_default(), out)
            }),
            Value::Datetime(x) => tag("$datetime", out, |out| {
                json::write_str(&time::instant_text(*x).unwrap_or_default(), out)
            }),
            Value::Difftime(x) => tag("$difftime", out, |out| write_any_double(*x, out)),
            Value::Code(x) => tag("$code", out, |out| json::write_str(x, out)),
            Value::Redacted => tag("$redacted", out, |out| json::write_bool(true, out)),
            Value::Empty(kind) => tag("$empty", out, |out| json::write_str(kind.name(), out)),
            Value::Vector(items) => json::write_array(items, out, Value::write),
            Value::NamedVector(pairs) => tag("$vector", out, |out| write_pairs(pairs, out)),
            Value::List(items) => tag("$list", out, |out| {
                json::write_array(items, out, Value::write)
            }),
            Value::NamedList(pairs) => {
                out.push(b'{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_key(key, out);
                    value.write(out);
                }
                out.push(b'}');
            }
            Value::Unknown(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    pub fn from_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(x) => Value::Bool(*x),
            Json::Int(x) => i32::try_from(*x).map_or(Value::Double(*x as f64), Value::Int),
            Json::Double(x) => Value::Double(*x),
            Json::Str(x) => Value::Str(x.clone()),
            Json::Array(items) => {
                let items: Vec<Value> = items.iter().map(Value::from_json).collect();
                let kind = items.first().and_then(Value::kind);
                if kind.is_some() && items.iter().all(|item| item.kind() == kind) {
                    Value::Vector(items)
                } else {
                    Value::List(items)
                }
            }
            Json::Object(pairs) => match pairs.as_slice() {
                [(key, value)] if is_tag(key) => {
                    from_tag(key, value).unwrap_or_else(|| Value::Unknown(json.text()))
                }
                pairs if pairs.iter().any(|(key, _)| is_tag(key)) => Value::Unknown(json.text()),
                pairs => Value::NamedList(
                    pairs
                        .iter()
                        .map(|(key, value)| (unescape_key(key).to_owned(), Value::from_json(value)))
                        .collect(),
                ),
            },
        }
    }

    /// The type of a single atomic value.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Value::Bool(_) => Kind::Logical,
            Value::Int(_) => Kind::Integer,
            Value::Double(_) => Kind::Double,
            Value::Str(_) => Kind::Character,
            Value::Na(kind) => *kind,
            Value::Integer64(_) => Kind::Integer64,
            Value::Date(_) => Kind::Date,
            Value::Datetime(_) => Kind::Datetime,
            Value::Difftime(_) => Kind::Difftime,
            _ => return None,
        })
    }

    /// How deep the JSON form nests.
    pub fn depth(&self) -> usize {
        let deepest =
            |values: &mut dyn Iterator<Item = &Value>| values.map(Value::depth).max().unwrap_or(0);
        match self {
            Value::Vector(items) => 1 + deepest(&mut items.iter()),
            Value::List(items) => 2 + deepest(&mut items.iter()),
            Value::NamedList(pairs) => 1 + deepest(&mut pairs.iter().map(|(_, v)| v)),
            Value::NamedVector(pairs) => 2 + deepest(&mut pairs.iter().map(|(_, v)| v)),
            Value::Difftime(x) if !x.is_finite() => 2,
            Value::Double(x) if x.is_finite() => 0,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Str(_) => 0,
            _ => 1,
        }
    }
}

/// The value as somebody would read it, in R's words.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Bool(true) => f.write_str("TRUE"),
            Value::Bool(false) => f.write_str("FALSE"),
            Value::Int(x) => write!(f, "{x}"),
            Value::Integer64(x) => write!(f, "{x}"),
            Value::Double(x) => write_number(*x, f),
            Value::Str(x) | Value::Code(x) | Value::Unknown(x) => f.write_str(x),
            Value::Na(_) => f.write_str("NA"),
            Value::Date(x) => f.write_str(&time::day_text(*x).unwrap_or_default()),
            Value::Datetime(x) => f.write_str(&time::instant_text(*x).unwrap_or_default()),
            Value::Difftime(x) => {
                write_number(*x, f)?;
                f.write_str(" secs")
            }
            Value::Redacted => f.write_str("<redacted>"),
            Value::Empty(kind) => write!(f, "{}(0)", kind.name()),
            Value::Vector(items) => write_items(items.iter().map(|item| ("", item)), f),
            Value::NamedVector(pairs) => {
                write_items(pairs.iter().map(|(name, item)| (name.as_str(), item)), f)
            }
            Value::List(items) => {
                f.write_str("list(")?;
                write_items(items.iter().map(|item| ("", item)), f)?;
                f.write_str(")")
            }
            Value::NamedList(pairs) => {
                f.write_str("list(")?;
                write_items(pairs.iter().map(|(name, item)| (name.as_str(), item)), f)?;
                f.write_str(")")
            }
        }
    }
}

fn write_number(x: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match x {
        f64::INFINITY => f.write_str("Inf"),
        f64::NEG_INFINITY => f.write_str("-Inf"),
        x if x.is_nan() => f.write_str("NaN"),
        x => {
            let mut text = Vec::new();
            json::write_double(x, &mut text);
            let text = std::str::from_utf8(&text).expect("digits are ASCII");
            f.write_str(text.strip_suffix(".0").unwrap_or(text))
        }
    }
}

fn write_items<'a>(
    items: impl Iterator<Item = (&'a str, &'a Value)>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (i, (name, item)) in items.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        if !name.is_empty() {
            write!(f, "{name} = ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Writes a key of a user's and its colon.
pub fn write_key(key: &str, out: &mut Vec<u8>) {
    json::write_str(&escape_key(key), out);
    out.push(b':');
}

/// The key of an object for a user's key.
pub fn escape_key(key: &str) -> Cow<'_, str> {
    if is_escaped_or_tag(key) {
        Cow::Owned(format!("${key}"))
    } else {
        Cow::Borrowed(key)
    }
}

/// The user's key behind a key of an object.
pub fn unescape_key(key: &str) -> &str {
    if key.starts_with("$$") {
        &key[1..]
    } else {
        key
    }
}

fn is_escaped_or_tag(key: &str) -> bool {
    key.starts_with('$')
}

fn is_tag(key: &str) -> bool {
    key.starts_with('$') && !key.starts_with("$$")
}

fn tag(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'{');
    json::write_str(name, out);
    out.push(b':');
    write(out);
    out.push(b'}');
}

fn write_pairs(pairs: &[(String, Value)], out: &mut Vec<u8>) {
    json::write_object(
        pairs.iter().map(|(k, v)| (k.as_str(), v)),
        out,
        Value::write,
    );
}

/// Writes a double that may be infinite or not a number.
pub fn write_any_double(x: f64, out: &mut Vec<u8>) {
    if x.is_finite() {
        json::write_double(x, out);
        return;
    }
    let name = match x {
        f64::INFINITY => "Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    };
    tag("$double", out, |out| json::write_str(name, out));
}

fn any_double(json: &Json) -> Option<f64> {
    match Value::from_json(json) {
        Value::Double(x) => Some(x),
        _ => None,
    }
}

fn from_tag(key: &str, json: &Json) -> Option<Value> {
    let text = json.as_str();
    Some(match key {
        "$na" => Value::Na(Kind::parse(text?)?),
        "$double" => Value::Double(match text? {
            "Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            _ => return None,
        }),
        "$integer64" => Value::Integer64(text?.parse().ok()?),
        "$date" => Value::Date(time::parse_day(text?)?),
        "$datetime" => Value::Datetime(time::parse_instant_seconds(text?)?),
        "$difftime" => Value::Difftime(any_double(json)?),
        "$code" => Value::Code(text?.to_owned()),
        "$redacted" => Value::Redacted,
        "$empty" => Value::Empty(Kind::parse(text?)?),
        "$vector" => match json {
            Json::Object(pairs) => {
                let pairs: Vec<(String, Value)> = pairs
                    .iter()
                    .map(|(k, v)| (k.clone(), Value::from_json(v)))
                    .collect();
                let kind = pairs.first()?.1.kind()?;
                if pairs.iter().any(|(_, v)| v.kind() != Some(kind)) {
                    return None;
                }
                Value::NamedVector(pairs)
            }
            _ => return None,
        },
        "$list" => match json {
            Json::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Value {
        Value::from_json(&Json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn every_value_has_one_form_and_reads_back() {
        let s = |x: &str| Value::Str(x.into());
        let cases = [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Int(5), "5"),
            (Value::Double(5.0), "5.0"),
            (Value::Double(f64::NEG_INFINITY), r#"{"$double":"-Inf"}"#),
            (s("x"), r#""x""#),
            (Value::Na(Kind::Double), r#"{"$na":"double"}"#),
            (
                Value::Integer64(i64::MAX),
                r#"{"$integer64":"9223372036854775807"}"#,
            ),
            (Value::Date(20_780), r#"{"$date":"2026-11-23"}"#),
            (
                Value::Datetime(1795407648.25),
                r#"{"$datetime":"2026-11-23T04:20:48.25Z"}"#,
            ),
            (Value::Difftime(300.0), r#"{"$difftime":300.0}"#),
            (
                Value::Difftime(f64::INFINITY),
                r#"{"$difftime":{"$double":"Inf"}}"#,
            ),
            (Value::Code("y ~ x".into()), r#"{"$code":"y ~ x"}"#),
            (Value::Redacted, r#"{"$redacted":true}"#),
            (Value::Empty(Kind::Character), r#"{"$empty":"character"}"#),
            (
                Value::Vector(vec![Value::Int(1), Value::Na(Kind::Integer)]),
                r#"[1,{"$na":"integer"}]"#,
            ),
            (
                Value::NamedVector(vec![("$a".into(), Value::Double(1.0))]),
                r#"{"$vector":{"$a":1.0}}"#,
            ),
            (Value::List(vec![]), r#"{"$list":[]}"#),
            (Value::List(vec![Value::Double(1.0)]), r#"{"$list":[1.0]}"#),
            (
                Value::NamedList(vec![("$cost".into(), Value::Int(2)), ("$$".into(), s("y"))]),
                r#"{"$$cost":2,"$$$":"y"}"#,
            ),
            (Value::NamedList(vec![]), "{}"),
            (Value::Unknown(r#"{"$later":1}"#.into()), r#"{"$later":1}"#),
        ];
        for (value, form) in cases {
            assert_eq!(text(&value), form);
            assert_eq!(read(form), value, "{form}");
        }
    }

    #[test]
    fn what_no_writer_of_ours_writes_is_still_read() {
        assert_eq!(
            read(r#"[1,"a"]"#),
            Value::List(vec![Value::Int(1), Value::Str("a".into())])
        );
        assert_eq!(read("3000000000"), Value::Double(3e9));
        for odd in [
            r#"{"$na":"quaternion"}"#,
            r#"{"$date":"2026-02-30"}"#,
            r#"{"$vector":[]}"#,
            r#"{"$vector":{"a":1,"b":"x"}}"#,
            r#"{"$a":1,"b":2}"#,
        ] {
            assert_eq!(read(odd), Value::Unknown(odd.into()));
        }
    }

    #[test]
    fn depth_is_that_of_the_json_form() {
        let nested = Value::List(vec![Value::NamedList(vec![(
            "a".into(),
            Value::NamedVector(vec![("b".into(), Value::Double(f64::NAN))]),
        )])]);
        assert_eq!(
            text(&nested),
            r#"{"$list":[{"a":{"$vector":{"b":{"$double":"NaN"}}}}]}"#
        );
        assert_eq!(nested.depth(), 6);
    }
}
