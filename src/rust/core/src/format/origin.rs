//! What a copied row says of the row that it is a copy of.

use crate::format::digest::Digest;
use crate::format::json::Json;
use crate::format::object::Object;
use crate::format::run_context::ORIGIN;

const LEDGER: &str = "ledger";
const SEQ: &str = "seq";
const HASH: &str = "hash";
const BY: &str = "by";
const HEAD: &str = "head";

/// A row of another ledger, or of this one before it was repaired. Copies of copies keep it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerOrigin {
    /// The ledger's id; none where that was lost.
    pub ledger: Option<String>,
    pub seq: i64,
    pub hash: Digest,
    /// Of a copied promotion the hash of the last row that the ledger which it was copied from had then: so many of
    /// its promotions go together.
    pub head: Option<Digest>,
}

impl LedgerOrigin {
    /// None, if a row came from elsewhere: from a plain CSV, say.
    pub fn read(origin: &Json) -> Option<LedgerOrigin> {
        let digest = |key| Digest::from_hex(origin.get(key)?.as_str()?.as_bytes());
        Some(LedgerOrigin {
            ledger: origin.get(LEDGER)?.as_str().map(str::to_owned),
            seq: origin.get(SEQ)?.as_int()?,
            hash: digest(HASH)?,
            head: digest(HEAD),
        })
    }

    /// The origin of a copy that a session makes, of a row that had itself come from elsewhere, if it had.
    pub fn object(&self, by: &str, before: Option<&Json>) -> Object {
        let object = match &self.ledger {
            Some(id) => Object::new().text(LEDGER, id),
            None => Object::new().null(LEDGER),
        };
        let object = object
            .int(SEQ, self.seq)
            .text(HASH, &self.hash.to_string())
            .text(BY, by);
        let object = match &self.head {
            Some(head) => object.text(HEAD, &head.to_string()),
            None => object,
        };
        match before {
            Some(before) => object.json(ORIGIN, before),
            None => object,
        }
    }
}
