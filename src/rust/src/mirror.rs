//! Mirrors of ledgers that are kept in a database.

use extendr_api::prelude::*;
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
    guard(|| {
        let path = path(&file)?;
        let rows = R::of(&rows);
        if rows.ty() != extendr_ffi::SEXPTYPE::RAWSXP {
            return Err(Failure::argument("rows"));
        }
        let end = mirror::extend(&path, rows.bytes(), &mut r::patience(&path))?;
        append_request::looked_through(&path, end);
        Ok(list!(
            seq = end.head.seq.0 as f64,
            hash = end.head.hash.to_string()
        )
        .into())
    })
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

/// What was drafted last on top of a mirror stands in the database.
///
/// @noRd
#[extendr]
fn native_appended(file: Robj) -> Robj {
    guard(|| {
        append_request::appended(&path(&file)?);
        Ok(Robj::from(()))
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

/// Bytes in hexadecimal digits.
///
/// @noRd
#[extendr]
fn native_hex(bytes: Robj) -> Robj {
    guard(|| {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = R::of(&bytes).bytes();
        memory::ensure(2 * bytes.len());
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits: Vec<u8> = digits.map(|digit| DIGITS[usize::from(digit)]).collect();
        Ok(Robj::from(String::from_utf8(digits).expect("digits")))
    })
}

extendr_module! {
    mod mirror;
    fn native_hex;
    fn native_mirror_head;
    fn native_mirror_extend;
    fn native_mirror_hash;
    fn native_appended;
    fn native_stored;
    fn native_new_ledger;
}
