//! Mirrors of ledgers that are kept in a database.

use std::path::Path;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::id::{self, Seq};
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger;
use fitledger_core::ledger::mirror;
use fitledger_core::platform::memory;
use fitledger_core::views::stored;

use crate::append_request::{self, Entropy};
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::r::{self, R};
use crate::to_r;

/// The last row of a mirror: `list(seq, hash)`; `NULL` where there is none.
///
/// @noRd
#[extendr]
fn native_mirror_head(file: Robj) -> Robj {
    guard(|| {
        let head = mirror::head(&path(&file)?)?;
        Ok(head.map_or(Robj::from(()), |head| {
            list!(seq = head.seq.0 as f64, hash = head.hash.to_string()).into()
        }))
    })
}

/// Appends rows that came from the database, raw, each with its line feed; `list(seq, hash)` of the last one.
///
/// @noRd
#[extendr]
fn native_mirror_extend(file: Robj, rows: Robj) -> Robj {
    guard(|| extend(&path(&file)?, R::of(&rows)))
}

fn extend(path: &Path, rows: R) -> Result<Robj, Failure> {
    if rows.ty() != SEXPTYPE::RAWSXP {
        return Err(Failure::argument("rows"));
    }
    let end = mirror::extend(path, rows.bytes(), &mut r::patience(path))?;
    append_request::looked_through(path, end);
    Ok(list!(
        seq = end.head.seq.0 as f64,
        hash = end.head.hash.to_string()
    )
    .into())
}

/// The hash of a row of a mirror; `NULL` where it isn't there.
///
/// @noRd
#[extendr]
fn native_mirror_hash(file: Robj, seq: Robj) -> Robj {
    guard(|| {
        let seq = R::of(&seq).doubles().first().map(|seq| Seq(*seq as u64));
        let seq = seq.ok_or_else(|| Failure::argument("seq"))?;
        let hash = mirror::hash_at(&path(&file)?, seq)?;
        Ok(hash.map_or(Robj::from(()), Robj::from))
    })
}

/// What was drafted last on top of a mirror stands in the database: as it was drafted, if those are the `rows`, which then are
/// appended as by `native_mirror_extend()`; else `NULL`.
///
/// @noRd
#[extendr]
fn native_appended(file: Robj, rows: Robj) -> Robj {
    guard(|| {
        let file = path(&file)?;
        append_request::appended(&file);
        match rows.is_null() {
            true => Ok(Robj::from(())),
            false => extend(&file, R::of(&rows)),
        }
    })
}

/// The hashes of all stored bytes that a ledger names.
///
/// @noRd
#[extendr]
fn native_stored(file: Robj) -> Robj {
    guard(|| {
        let digests = stored::of_ledger(&ledger::read(&path(&file)?)?)?;
        let digests: Vec<String> = digests.iter().map(Digest::to_string).collect();
        Ok(to_r::strings(
            digests.iter().map(|digest| Some(digest.as_str())),
        ))
    })
}

/// What a ledger begins with: `list(id, time)`.
///
/// @noRd
#[extendr]
fn native_new_ledger() -> Robj {
    guard(|| {
        let mut entropy = Entropy::new();
        let id = id::ledger_id(&mut |bytes| entropy.fill(bytes));
        Ok(list!(
            id = id,
            time = String::from_utf8_lossy(&Timestamp::now().text()).into_owned()
        )
        .into())
    })
}

/// The arguments of a call in SQL, each as a literal: whole numbers, `TRUE` or `FALSE`, `NULL`, bytes, a text, or a list of
/// texts, which is an array. Written so that it doesn't matter what the server makes of backslashes.
///
/// @noRd
#[extendr]
fn native_sql(arguments: Robj) -> Robj {
    guard(|| {
        let arguments = R::of(&arguments);
        let mut sql = String::new();
        for i in 0..arguments.len() {
            if i > 0 {
                sql.push_str(", ");
            }
            push_literal(&mut sql, arguments.element(i))?;
        }
        Ok(Robj::from(sql))
    })
}

fn push_literal(sql: &mut String, x: R) -> Result<(), Failure> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match x.ty() {
        SEXPTYPE::NILSXP => sql.push_str("NULL"),
        SEXPTYPE::RAWSXP => {
            memory::ensure(2 * x.len());
            sql.reserve(2 * x.len());
            sql.push_str("E'\\\\x");
            for byte in x.bytes() {
                sql.push(char::from(DIGITS[usize::from(byte >> 4)]));
                sql.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            sql.push_str("'::bytea");
        }
        SEXPTYPE::LGLSXP => sql.push_str(if x.is_true() { "true" } else { "false" }),
        SEXPTYPE::INTSXP if x.len() == 1 => sql.push_str(&x.integers()[0].to_string()),
        SEXPTYPE::REALSXP if x.len() == 1 => sql.push_str(&format!("{:.0}", x.doubles()[0])),
        SEXPTYPE::VECSXP => {
            sql.push_str("ARRAY[");
            for i in 0..x.len() {
                if i > 0 {
                    sql.push(',');
                }
                push_literal(sql, x.element(i))?;
            }
            sql.push_str("]::text[]");
        }
        _ => {
            let text = x.borrowed_string();
            let text = text.ok_or_else(|| Failure::argument("arguments"))?;
            memory::ensure(2 * text.len());
            sql.reserve(text.len() + 3);
            sql.push_str("E'");
            for part in text.split_inclusive(['\'', '\\']) {
                sql.push_str(part);
                // Either is doubled.
                if let Some(last) = part
                    .chars()
                    .next_back()
                    .filter(|last| "'\\".contains(*last))
                {
                    sql.push(last);
                }
            }
            sql.push('\'');
        }
    }
    Ok(())
}

extendr_module! {
    mod mirror;
    fn native_sql;
    fn native_mirror_head;
    fn native_mirror_extend;
    fn native_mirror_hash;
    fn native_appended;
    fn native_stored;
    fn native_new_ledger;
}
