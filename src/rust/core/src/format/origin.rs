//! What a row that came from elsewhere says of where it came from.

use crate::format::digest::Digest;
use crate::format::json::Json;
use crate::format::object::Object;
use crate::format::run_context::ORIGIN;

const LEDGER: &str = "ledger";
const SEQ: &str = "seq";
const HASH: &str = "hash";
const BY: &str = "by";
const FILE: &str = "file";
const MLFLOW: &str = "mlflow";

/// A row of another ledger, or of this one before it was repaired. Copies of copies keep it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerOrigin {
    /// The ledger's id; none where that was lost.
    pub ledger: Option<String>,
    pub seq: i64,
    pub hash: Digest,
}

impl LedgerOrigin {
    /// None, if a row came from elsewhere: from a plain CSV, say.
    pub fn read(origin: &Json) -> Option<LedgerOrigin> {
        Some(LedgerOrigin {
            ledger: origin.get(LEDGER)?.as_str().map(str::to_owned),
            seq: origin.get(SEQ)?.as_int()?,
            hash: Digest::from_hex(origin.get(HASH)?.as_str()?.as_bytes())?,
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
