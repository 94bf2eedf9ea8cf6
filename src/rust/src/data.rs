//! Hashing R's data sets.

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::error::Error;
use fitledger_core::format::data_hash::{Attribute, DataHasher, ENCODING, Type};
use fitledger_core::format::json::MAX_DEPTH;

use crate::guard::{Failure, guard};
use crate::r::{self, R, Text};

/// So many elements are hashed before R is asked whether to go on.
const PIECE: usize = 1 << 23;

/// The hash of a data set, with the name of its encoding.
///
/// @noRd
#[extendr]
fn native_hash_data(x: Robj) -> Robj {
    guard(|| {
        let mut walk = Walk {
            hasher: DataHasher::default(),
            path: Vec::new(),
        };
        walk.value(R::of(&x))?;
        Ok(Robj::from(format!("{ENCODING}:{}", walk.hasher.finish())))
    })
}

struct Walk {
    hasher: DataHasher,
    /// Where in the data set we are: the list and the position of its element, on each level.
    path: Vec<(R, usize)>,
}

impl Walk {
    fn value(&mut self, x: R) -> Result<(), Failure> {
        let classes = x.classes();
        let is = |name: &str| classes.iter().any(|class| class == name);
        let ty = match x.ty() {
            SEXPTYPE::NILSXP => Type::Null,
            SEXPTYPE::LGLSXP => Type::Logical,
            SEXPTYPE::INTSXP => Type::Integer,
            SEXPTYPE::REALSXP if is("integer64") => Type::Integer64,
            SEXPTYPE::REALSXP => Type::Double,
            SEXPTYPE::CPLXSXP => Type::Complex,
            SEXPTYPE::STRSXP => Type::Character,
            SEXPTYPE::RAWSXP => Type::Raw,
            SEXPTYPE::VECSXP if is("POSIXlt") => {
                let what = "a date-time in its parts";
                return Err(self.refuse(what, "Convert it with `as.POSIXct()`."));
            }
            SEXPTYPE::VECSXP => Type::List,
            _ => {
                let hint = "Vectors, factors, matrices, data frames and lists of them have a hash.";
                return Err(self.refuse("not data", hint));
            }
        };
        self.hasher.begin(ty, x.len());
        self.elements(x, ty)?;
        self.attributes(x, &is)?;
        self.hasher.end();
        Ok(())
    }

    fn elements(&mut self, x: R, ty: Type) -> Result<(), Failure> {
        let out = &mut self.hasher;
        match ty {
            Type::Null => Ok(()),
            Type::Logical => pieces(x.logicals(), |piece| out.logicals(piece)),
            Type::Integer => pieces(x.integers(), |piece| out.integers(piece)),
            Type::Double => pieces(x.doubles(), |piece| out.doubles(piece)),
            Type::Integer64 => pieces(x.doubles(), |piece| out.integers64(piece)),
            Type::Complex => pieces(x.complex_parts(), |piece| out.complex(piece)),
            Type::Raw => pieces(x.bytes(), |piece| out.raw(piece)),
            Type::Character => self.texts(x),
            Type::List => (0..x.len()).try_for_each(|i| self.part(x, i)),
        }
    }

    fn part(&mut self, list: R, i: usize) -> Result<(), Failure> {
        if self.path.len() == MAX_DEPTH {
            return Err(self.refuse("nested too deep", "Hash its parts."));
        }
        self.path.push((list, i));
        self.value(list.element(i))?;
        self.path.pop();
        Ok(())
    }

    fn texts(&mut self, x: R) -> Result<(), Failure> {
        for i in 0..x.len() {
            match x.borrowed_text(i) {
                Text::Na => self.hasher.text(None),
                Text::Is(text) => self.hasher.text(Some(&text)),
                Text::Invalid => {
                    let what = format!("not valid text at {}", i + 1);
                    let hint = "Convert it with `iconv()` or `enc2utf8()`.";
                    return Err(self.refuse(&what, hint));
                }
            }
            if (i + 1) % PIECE == 0 {
                go_on()?;
            }
        }
        Ok(())
    }

    fn attributes(&mut self, x: R, is: &dyn Fn(&str) -> bool) -> Result<(), Failure> {
        let levels = if is("factor") { x.levels() } else { None };
        for (attribute, value) in [
            (Attribute::Names, x.names()),
            (Attribute::Levels, levels),
            (Attribute::Dim, x.dim()),
            (Attribute::Dimnames, x.dimnames()),
        ] {
            if let Some(value) = value {
                self.hasher.attribute(attribute);
                self.value(value)?;
            }
        }
        let one = |name| x.named_attribute(name).and_then(|value| value.first_text());
        let zone = if is("POSIXct") { one(c"tzone") } else { None };
        let units = if is("difftime") { one(c"units") } else { None };
        let rows = if is("data.frame") { row_names(x) } else { None };
        for (attribute, texts) in [
            (Attribute::RowNames, rows),
            (Attribute::TimeZone, zone.map(|zone| vec![zone])),
            (Attribute::Units, units.map(|units| vec![units])),
        ] {
            if let Some(texts) = texts {
                self.hasher.attribute(attribute);
                self.hasher
                    .text_value(texts.iter().map(|text| Some(text.as_str())));
            }
        }
        if x.is_s4() { self.slots(x) } else { Ok(()) }
    }

    /// A period of months and seconds, say, is the vector of its seconds, with its months in a slot.
    fn slots(&mut self, x: R) -> Result<(), Failure> {
        let Some(attributes) = x.attributes() else {
            return Ok(());
        };
        let attributes = R::of(&attributes);
        let named = |i| match attributes.names().map(|names| names.text(i)) {
            Some(Text::Is(name)) => Some((name, i)),
            _ => None,
        };
        let mut slots: Vec<(String, usize)> = (0..attributes.len()).filter_map(named).collect();
        slots.retain(|&(ref name, i)| {
            !["class", "names", "dim", "dimnames"].contains(&name.as_str())
                && is_data(attributes.element(i))
        });
        if slots.is_empty() {
            return Ok(());
        }
        slots.sort();
        self.hasher.attribute(Attribute::Slots);
        self.hasher.begin(Type::List, slots.len());
        for (_, i) in &slots {
            self.part(attributes, *i)?;
        }
        self.hasher.attribute(Attribute::Names);
        self.hasher
            .text_value(slots.iter().map(|(name, _)| Some(name.as_str())));
        self.hasher.end();
        Ok(())
    }

    fn refuse(&self, what: &str, hint: &str) -> Failure {
        let step = |&(list, i): &(R, usize)| match list.names().map(|names| names.text(i)) {
            Some(Text::Is(name)) if !name.is_empty() => format!("[[{name:?}]]"),
            _ => format!("[[{}]]", i + 1),
        };
        let part: String = self.path.iter().map(step).collect();
        let subject = match part.is_empty() {
            true => "it".to_owned(),
            false => format!("its part `{part}`"),
        };
        Failure {
            class: "value",
            message: format!("The data can't be hashed: {subject} is {what}."),
            hint: hint.into(),
            ..Failure::default()
        }
    }
}

/// Whether an object is data, rather than code, or something that is only in this session.
fn is_data(x: R) -> bool {
    use SEXPTYPE::{CPLXSXP, INTSXP, LGLSXP, NILSXP, RAWSXP, REALSXP, STRSXP, VECSXP};
    [
        NILSXP, LGLSXP, INTSXP, REALSXP, CPLXSXP, STRSXP, RAWSXP, VECSXP,
    ]
    .contains(&x.ty())
}

fn pieces<T>(elements: &[T], mut hash: impl FnMut(&[T])) -> Result<(), Failure> {
    for piece in elements.chunks(PIECE) {
        hash(piece);
        if piece.len() == PIECE {
            go_on()?;
        }
    }
    Ok(())
}

fn go_on() -> Result<(), Failure> {
    match r::interrupted() {
        true => Err(Error::Interrupted.into()),
        false => Ok(()),
    }
}

/// Row names that say more than which row it is.
fn row_names(x: R) -> Option<Vec<String>> {
    let names = x.row_names()?;
    if names.ty() == SEXPTYPE::INTSXP {
        let numbers = names.integers();
        let counts = (1..).zip(numbers).all(|(row, &number)| row == number);
        return (!counts).then(|| numbers.iter().map(i32::to_string).collect());
    }
    let all: Vec<String> = (0..names.len())
        .map(|i| match names.text(i) {
            Text::Is(name) => name,
            _ => String::new(),
        })
        .collect();
    let counts = (1_usize..)
        .zip(&all)
        .all(|(row, name)| *name == row.to_string());
    (!counts).then_some(all)
}

extendr_module! {
    mod data;
    fn native_hash_data;
}
