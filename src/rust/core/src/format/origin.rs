//! What a row that came from elsewhere says of where it came from.

use crate::format::digest::{Digest, HEX_LEN};
use crate::format::json::Json;
use crate::format::object::Object;
use crate::format::run_context::ORIGIN;

const LEDGER: &str = "ledger";
const SEQ: &str = "seq";
const HASH: &str = "hash";
const BY: &str = "by";
const FILE: &str = "file";
const MLFLOW: &str = "mlflow";
const END: &str = "end";

/// A row of another ledger, or of this one before it was repaired. Copies of copies keep it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerOrigin {
    /// The ledger's id; none where that was lost.
    pub ledger: Option<String>,
    pub seq: i64,
    pub hash: Digest,
    /// Of a copied promotion the identity of the last one that was to be copied with it, so that who goes on with a
    /// copying that was cut short knows how far.
    pub end: Option<Digest>,
}

impl LedgerOrigin {
    /// None, if a row came from elsewhere: from a plain CSV, say.
    pub fn read(origin: &Json) -> Option<LedgerOrigin> {
        let digest = |key| Digest::from_hex(origin.get(key)?.as_str()?.as_bytes());
        Some(LedgerOrigin {
            ledger: origin.get(LEDGER)?.as_str().map(str::to_owned),
            seq: origin.get(SEQ)?.as_int()?,
            hash: digest(HASH)?,
            end: digest(END),
        })
    }

    /// The origin with which the body of a row ends that stands as a copy's does, and where that begins: before the comma
    /// between it and the rest of the context. `None` may be one all the same.
    pub fn at_end(body: &[u8]) -> Option<(usize, LedgerOrigin)> {
        // The context ends with the origin, and the cell with the context.
        let rest = body.strip_suffix(b"\"\"}}\"")?;
        let by = rest
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric());
        let rest = rest[..rest.len() - by.count()].strip_suffix(b"\"\",\"\"by\"\":\"\"")?;
        let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(HEX_LEN)?)?;
        let rest = rest.strip_suffix(b",\"\"hash\"\":\"\"")?;
        let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit());
        let (rest, seq) = rest.split_at(rest.len() - digits.count());
        let rest = rest.strip_suffix(b"\"\",\"\"seq\"\":")?;
        let ledger = rest
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_hexdigit());
        let (rest, ledger) = rest.split_at(rest.len() - ledger.count());
        let rest = rest.strip_suffix(b",\"\"origin\"\":{\"\"ledger\"\":\"\"")?;
        let origin = LedgerOrigin {
            ledger: Some(String::from_utf8(ledger.to_vec()).ok()?),
            seq: std::str::from_utf8(seq).ok()?.parse().ok()?,
            hash: Digest::from_hex(hash)?,
            end: None,
        };
        Some((rest.len(), origin))
    }

    /// The origin of a copy that a session makes, of a row that had itself come from elsewhere, if it had.
    pub fn object(&self, by: &str, before: Option<&Json>) -> Object {
        /// About as long as an origin is.
        const BYTES: usize = 256;
        let object = Object::with_capacity(BYTES);
        let object = match &self.ledger {
            Some(id) => object.text(LEDGER, id),
            None => object.null(LEDGER),
        };
        let object = object
            .int(SEQ, self.seq)
            .text(HASH, &self.hash.to_string())
            .text(BY, by);
        let object = match &self.end {
            Some(end) => object.text(END, &end.to_string()),
            None => object,
        };
        match before {
            Some(before) => object.json(ORIGIN, before),
            None => object,
        }
    }
}

/// What of an MLflow store a row was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreOrigin {
    /// How the store's folder was called.
    pub store: String,
    /// In MLflow's words: a run's id, or a model's name and version, `price/3`.
    pub of: String,
}

impl StoreOrigin {
    /// None, if a row came from elsewhere. A copy of the row has it within its own origin.
    pub fn read(origin: &Json) -> Option<StoreOrigin> {
        let origin = origin.get(ORIGIN).unwrap_or(origin);
        Some(StoreOrigin {
            store: origin.get(FILE)?.as_str()?.to_owned(),
            of: origin.get(MLFLOW)?.as_str()?.to_owned(),
        })
    }

    pub fn object(&self) -> Object {
        Object::new().text(FILE, &self.store).text(MLFLOW, &self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::row::write_quoted;

    #[test]
    fn an_origin_at_the_end_is_the_one_of_the_context() {
        let origin = LedgerOrigin {
            ledger: Some("0123456789abcdef0123456789abcdef".into()),
            seq: 12,
            hash: Digest::of(&[b"x"]),
            end: None,
        };
        let body = |context: Object| {
            let mut body = b"5,run,\"{".to_vec();
            write_quoted(context.pairs(), &mut body);
            body.extend_from_slice(b"}\"");
            body
        };
        let session = || Object::new().text("session", "0a");
        let written = origin.object("1b2c", None);
        let whole = body(session().object(ORIGIN, &written));
        let (start, found) = LedgerOrigin::at_end(&whole).unwrap();
        assert_eq!(found, origin);
        assert_eq!(whole[..start], body(session())[..start]);
        let with_end = LedgerOrigin {
            end: Some(Digest::of(&[b"y"])),
            ..origin.clone()
        };
        let none = LedgerOrigin {
            ledger: None,
            ..origin.clone()
        };
        for other in [
            session(),
            session().object(ORIGIN, &with_end.object("1b2c", None)),
            session().object(ORIGIN, &none.object("1b2c", None)),
            session().object(ORIGIN, &origin.object("1b2c", Some(&Json::Int(1)))),
            session().object(ORIGIN, &written).int("later", 1),
            // Somebody's own, which says the same.
            session().object("tags", &Object::new().int("a", 1).object(ORIGIN, &written)),
            session().text(
                "name",
                "\",\"origin\":{\"ledger\":\"ab\",\"seq\":1,\"hash\":\"x\",\"by\":\"y\"}}",
            ),
        ] {
            assert_eq!(LedgerOrigin::at_end(&body(other)), None);
        }
    }
}
