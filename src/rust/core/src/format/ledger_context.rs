//! What the context of the first row says: the format, and the ledger's id.

use crate::format::json::Json;
use crate::format::json::Malformed;
use crate::format::object::Object;
use crate::format::row::Cell;

const FORMAT: &str = "format";
const ID: &str = "id";

/// The context of a ledger's first row.
#[derive(Debug, Default, PartialEq)]
pub struct LedgerContext {
    pub format: Option<i64>,
    pub id: Option<String>,
}

impl LedgerContext {
    pub fn read(context: Cell<'_>) -> Result<LedgerContext, Malformed> {
        let mut read = LedgerContext::default();
        for (key, value) in context.pairs()? {
            match (key.as_str(), value) {
                (FORMAT, Json::Int(format)) => read.format = Some(format),
                (ID, Json::Str(id)) => read.id = Some(id),
                _ => {}
            }
        }
        Ok(read)
    }

    pub fn object(format: i64, id: &str) -> Object {
        Object::new().int(FORMAT, format).text(ID, id)
    }
}
