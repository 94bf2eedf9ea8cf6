//! Plain CSVs of runs for R: see `R/plain.R`.

use std::io::{self, Read};
use std::path::Path;

use extendr_api::prelude::*;
use fitledger_core::format::plain::{self, Malformed, Time};
use fitledger_core::platform::{memory, sys};

use crate::from_r::path;
use crate::guard::{Failure, Field, guard};
use crate::r::R;
use crate::to_r;

/// The columns of a plain CSV under their names, the second one's times as seconds since the epoch; of those which are
/// local, as if the clock had shown UTC. `lines` are those on which rows begin.
///
/// @noRd
#[extendr]
fn native_read_plain(file: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let bytes = read(&path).map_err(|e| Failure::io("read", &path, &e))?;
        let malformed = |malformed| of_line(&path, malformed);
        let table = plain::parse(&bytes).map_err(malformed)?;
        let names = table.names().map(Some).collect::<Vec<_>>();
        let times = table.times(1).map_err(malformed)?;
        let columns = (0..names.len()).map(|column| match column {
            // Ids are text, whatever they look like.
            0 => {
                let ids = (0..table.rows()).map(|row| table.text(row, 0));
                to_r::strings(ids)
            }
            1 => to_r::doubles(times.iter().map(|time| match time {
                Time::Utc(seconds) | Time::Local(seconds) => *seconds,
            })),
            _ => to_r::plain_column(&table.column(column)),
        });
        let is_local = times.iter().map(|time| matches!(time, Time::Local(_)));
        Ok(list!(
            columns = List::from_values(columns.collect::<Vec<Robj>>()),
            names = to_r::strings(names.into_iter()),
            is_local = is_local.collect::<Vec<bool>>(),
            lines = to_r::doubles((0..table.rows()).map(|row| table.line(row) as f64))
        )
        .into())
    })
}

/// Times as people write them, as seconds since the epoch; without a zone they are UTC. NA where one can't be read.
///
/// @noRd
#[extendr]
fn native_read_times(texts: Robj) -> Robj {
    guard(|| {
        let texts = crate::query::texts(R::of(&texts))?;
        Ok(to_r::doubles(texts.iter().map(|text| {
            match plain::time(text) {
                Some(Time::Utc(seconds) | Time::Local(seconds)) => seconds,
                None => f64::NAN,
            }
        })))
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = sys::open_regular(path, u64::MAX)?;
    let size = file.metadata()?.len();
    let mut bytes = memory::zeroed(size)?;
    let mut read = 0;
    while read < bytes.len() {
        match (&file).read(&mut bytes[read..])? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn of_line(path: &Path, malformed: Malformed) -> Failure {
    let failure = Failure {
        class: "not_a_ledger",
        message: format!(
            "'{}' is a plain CSV whose line {} {}.",
            path.display(),
            malformed.line,
            malformed.why
        ),
        hint: malformed.hint.into(),
        ..Failure::default()
    };
    failure.with("path", Field::Text(path.display().to_string()))
}

extendr_module! {
    mod plain;
    fn native_read_plain;
    fn native_read_times;
}
