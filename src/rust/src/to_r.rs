//! The ledger's values as R's.

use extendr_api::prelude::*;
use extendr_ffi::{
    INTEGER, LOGICAL, R_NaInt, R_NaReal, R_NaString, RAW, REAL, Rf_allocVector, Rf_mkCharLenCE,
    Rf_protect, Rf_unprotect, SET_STRING_ELT, SEXP, SEXPTYPE, STRING_ELT, cetype_t,
};
use fitledger_core::columnar::cells::Tag;
use fitledger_core::columnar::columns;
use fitledger_core::format::plain;
use fitledger_core::format::value::{Kind, Value};
use fitledger_core::platform::memory;
use fitledger_core::views::table::{Column, Type};

use crate::r::base_call;

unsafe extern "C" {
    fn R_gc();
}

/// A new vector, which nothing protects.
///
/// R's own error would jump over all that Rust has to give back. So there is a look first whether there is
/// room; where there is none, a second one after R has collected its garbage.
unsafe fn allocate(ty: SEXPTYPE, length: usize) -> SEXP {
    /// A look at less costs more than it takes.
    const MANY: usize = 1 << 12;
    let element = match ty {
        SEXPTYPE::RAWSXP => 1,
        SEXPTYPE::LGLSXP | SEXPTYPE::INTSXP => 4,
        _ => 8,
    };
    let bytes = element * length;
    unsafe {
        if length >= MANY && memory::look(bytes).is_err() {
            R_gc();
            memory::ensure(bytes);
        }
        Rf_allocVector(ty, length as _)
    }
}

/// A raw vector.
pub fn bytes(bytes: &[u8]) -> Robj {
    // SAFETY: the vector has as many elements as there are bytes.
    unsafe {
        let vector = Rf_protect(allocate(SEXPTYPE::RAWSXP, bytes.len()));
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), RAW(vector), bytes.len());
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// How many bytes the vectors of some columns take.
pub fn size(columns: &[Column<'_>]) -> usize {
    let element = |column: &Column<'_>| match column.ty {
        Type::Atomic(Kind::Logical | Kind::Integer) => 4,
        _ => 8,
    };
    let sizes = columns
        .iter()
        .map(|column| element(column) * column.rows.len());
    sizes.sum()
}

/// A column as a vector; a run without the value has NA.
pub fn column(column: &Column<'_>) -> Robj {
    let (values, rows) = (column.values, column.rows);
    let cells = rows.iter().map(|&row| (values.tag(row), values.bits(row)));
    // SAFETY: constants of R's.
    let (na_int, na_real) = unsafe { (R_NaInt, R_NaReal) };
    match column.ty {
        Type::Atomic(Kind::Logical) => integers(
            SEXPTYPE::LGLSXP,
            cells.map(|(tag, bits)| {
                if tag == Tag::Bool {
                    bits as i32
                } else {
                    na_int
                }
            }),
        ),
        Type::Atomic(Kind::Integer) => integers(
            SEXPTYPE::INTSXP,
            cells.map(|(tag, bits)| if tag == Tag::Int { bits as i32 } else { na_int }),
        ),
        Type::Atomic(Kind::Double) => doubles(cells.map(|(tag, bits)| match tag {
            Tag::Double => f64::from_bits(bits),
            Tag::Int => f64::from(bits as i32),
            _ => na_real,
        })),
        Type::Atomic(Kind::Character) => labels(values, rows),
        Type::Atomic(kind) => {
            let cells: Vec<Option<Value>> = rows.iter().map(|&row| values.get(row)).collect();
            vector(kind, &cells.iter().map(Option::as_ref).collect::<Vec<_>>())
        }
        Type::Mixed => {
            let cells = rows.iter().map(|&row| match values.get(row) {
                None | Some(Value::Null) => Robj::from(NA_LOGICAL),
                Some(value) => self::value(&value),
            });
            List::from_values(cells.collect::<Vec<Robj>>()).into()
        }
    }
}

/// A column of a plain CSV as a vector.
pub fn plain_column(column: &plain::Column) -> Robj {
    // SAFETY: constants of R's.
    let (na_int, na_real) = unsafe { (R_NaInt, R_NaReal) };
    match column {
        plain::Column::Logical(values) => integers(
            SEXPTYPE::LGLSXP,
            values.iter().map(|value| value.map_or(na_int, i32::from)),
        ),
        plain::Column::Integer(values) => integers(
            SEXPTYPE::INTSXP,
            values.iter().map(|value| value.unwrap_or(na_int)),
        ),
        plain::Column::Double(values) => {
            doubles(values.iter().map(|value| value.unwrap_or(na_real)))
        }
        plain::Column::Text(values) => strings(values.iter().map(Option::as_deref)),
    }
}

/// A column of texts and code. R's string for a text is made once, where there may be several of it.
fn labels(values: &columns::Column, rows: &[usize]) -> Robj {
    let known = match values.texts.len() < rows.len() {
        true => strings(values.texts.iter().map(Some)),
        false => Robj::from(()),
    };
    // SAFETY: both vectors are protected, and places are within the texts.
    unsafe {
        let vector = Rf_protect(allocate(SEXPTYPE::STRSXP, rows.len()));
        for (i, &row) in rows.iter().enumerate() {
            let element = match values.tag(row) {
                Tag::Text if known.is_null() => string(values.texts.get(values.bits(row) as usize)),
                Tag::Text => STRING_ELT(known.get(), values.bits(row) as _),
                _ => match values.other(row) {
                    Some(Value::Code(text)) => string(&text),
                    _ => R_NaString,
                },
            };
            SET_STRING_ELT(vector, i as _, element);
        }
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// One of R's strings, which nothing protects.
pub unsafe fn string(text: &str) -> SEXP {
    unsafe { Rf_mkCharLenCE(text.as_ptr().cast(), text.len() as i32, cetype_t::CE_UTF8) }
}

const NA_LOGICAL: Rbool = Rbool::na_value();

/// One value, as a parameter may hold it.
pub fn value(value: &Value) -> Robj {
    match value {
        Value::Null => Robj::from(()),
        Value::Redacted => Robj::from(NA_LOGICAL),
        Value::Code(text) | Value::Unknown(text) => Robj::from(text.as_str()),
        Value::Empty(kind) => vector(*kind, &[]),
        Value::Vector(items) => {
            let kind = items.first().and_then(Value::kind).unwrap_or(Kind::Logical);
            vector(kind, &items.iter().map(Some).collect::<Vec<_>>())
        }
        Value::NamedVector(pairs) => {
            let kind = pairs
                .first()
                .and_then(|(_, value)| value.kind())
                .unwrap_or(Kind::Logical);
            let items = vector(
                kind,
                &pairs
                    .iter()
                    .map(|(_, value)| Some(value))
                    .collect::<Vec<_>>(),
            );
            with_names(items, pairs)
        }
        Value::List(items) => List::from_values(items.iter().map(self::value)).into(),
        Value::NamedList(pairs) => {
            let list = List::from_values(pairs.iter().map(|(_, value)| self::value(value)));
            with_names(list.into(), pairs)
        }
        single => vector(single.kind().unwrap_or(Kind::Logical), &[Some(single)]),
    }
}

fn with_names(mut object: Robj, pairs: &[(String, Value)]) -> Robj {
    let names = strings(pairs.iter().map(|(name, _)| Some(name.as_str())));
    object
        .set_attrib("names", names)
        .expect("as many names as elements");
    object
}

/// A character vector, in UTF-8.
pub fn strings<'a>(texts: impl ExactSizeIterator<Item = Option<&'a str>>) -> Robj {
    // SAFETY: the vector has as many elements as the iterator, and each new element is put into it
    // before the next allocation.
    unsafe {
        let vector = Rf_protect(allocate(SEXPTYPE::STRSXP, texts.len()));
        for (i, text) in texts.enumerate() {
            let element = match text {
                None => R_NaString,
                Some(text) => string(text),
            };
            SET_STRING_ELT(vector, i as _, element);
        }
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// A character vector of a few texts, each of which is R's string once.
pub fn repeated<'a>(
    texts: impl ExactSizeIterator<Item = &'a str>,
    indexes: impl ExactSizeIterator<Item = usize>,
) -> Robj {
    let known = strings(texts.map(Some));
    // SAFETY: both vectors are protected; what stands in one can stand in the other.
    unsafe {
        let vector = Rf_protect(allocate(SEXPTYPE::STRSXP, indexes.len()));
        for (i, index) in indexes.enumerate() {
            assert!(index < known.len());
            SET_STRING_ELT(vector, i as _, STRING_ELT(known.get(), index as _));
        }
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// A double vector.
pub fn doubles(numbers: impl ExactSizeIterator<Item = f64>) -> Robj {
    // SAFETY: the vector has as many elements as the iterator.
    unsafe {
        let vector = Rf_protect(allocate(SEXPTYPE::REALSXP, numbers.len()));
        let start = REAL(vector);
        for (i, number) in numbers.enumerate() {
            *start.add(i) = number;
        }
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

fn integers(ty: SEXPTYPE, numbers: impl ExactSizeIterator<Item = i32>) -> Robj {
    // SAFETY: the vector has as many elements as the iterator; logicals are integers inside.
    unsafe {
        let vector = Rf_protect(allocate(ty, numbers.len()));
        let start = if ty == SEXPTYPE::LGLSXP {
            LOGICAL(vector)
        } else {
            INTEGER(vector)
        };
        for (i, number) in numbers.enumerate() {
            *start.add(i) = number;
        }
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// Instants in UTC.
pub fn instants(seconds: impl ExactSizeIterator<Item = f64>) -> Robj {
    let mut out = doubles(seconds);
    out.set_attrib("class", ["POSIXct", "POSIXt"])
        .expect("a vector takes a class");
    out.set_attrib("tzone", "UTC")
        .expect("a vector takes a time zone");
    out
}

fn vector(kind: Kind, cells: &[Option<&Value>]) -> Robj {
    let (na_int, na_real) = unsafe { (R_NaInt, R_NaReal) };
    let real = |pick: fn(&Value) -> Option<f64>| {
        doubles(
            cells
                .iter()
                .map(move |cell| cell.and_then(pick).unwrap_or(na_real)),
        )
    };
    match kind {
        Kind::Logical => integers(
            SEXPTYPE::LGLSXP,
            cells.iter().map(|cell| match cell {
                Some(Value::Bool(x)) => i32::from(*x),
                _ => na_int,
            }),
        ),
        Kind::Integer => integers(
            SEXPTYPE::INTSXP,
            cells.iter().map(|cell| match cell {
                Some(Value::Int(x)) => *x,
                _ => na_int,
            }),
        ),
        Kind::Double => real(|value| match value {
            Value::Double(x) => Some(*x),
            Value::Int(x) => Some(f64::from(*x)),
            _ => None,
        }),
        Kind::Character => strings(cells.iter().map(|cell| match cell {
            Some(Value::Str(text) | Value::Code(text)) => Some(text.as_str()),
            _ => None,
        })),
        Kind::Date => {
            let mut out = real(|value| match value {
                Value::Date(days) => Some(f64::from(*days)),
                _ => None,
            });
            out.set_attrib("class", "Date")
                .expect("a vector takes a class");
            out
        }
        Kind::Datetime => instants(cells.iter().map(|cell| match cell {
            Some(Value::Datetime(x)) => *x,
            _ => na_real,
        })),
        Kind::Difftime => {
            let mut out = real(|value| match value {
                Value::Difftime(x) => Some(*x),
                _ => None,
            });
            out.set_attrib("class", "difftime")
                .expect("a vector takes a class");
            out.set_attrib("units", "secs")
                .expect("a vector takes units");
            out
        }
        Kind::Integer64 => integer64(cells),
    }
}

/// bit64's integers where it is installed, else their digits.
fn integer64(cells: &[Option<&Value>]) -> Robj {
    let installed = base_call(
        c"requireNamespace",
        crate::r::R::of(&Robj::from("bit64")),
        &[],
    );
    if !installed.is_some_and(|answer| crate::r::R::of(&answer).is_true()) {
        let digits: Vec<Option<String>> = cells
            .iter()
            .map(|cell| match cell {
                Some(Value::Integer64(x)) => Some(x.to_string()),
                _ => None,
            })
            .collect();
        return strings(digits.iter().map(Option::as_deref));
    }
    let mut out = doubles(cells.iter().map(|cell| match cell {
        Some(Value::Integer64(x)) => f64::from_bits(*x as u64),
        _ => f64::from_bits(i64::MIN as u64),
    }));
    out.set_attrib("class", "integer64")
        .expect("a vector takes a class");
    out
}
