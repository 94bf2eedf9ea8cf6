//! What a row says of a data set that a run used.

use crate::format::json::Json;
use crate::format::value::{escape_key, unescape_key};

const HASH: &str = "hash";
const SIZE: &str = "size";
const FILE: &str = "file";
const ROWS: &str = "rows";
const COLS: &str = "cols";
const TYPE: &str = "type";
const COLUMNS: &str = "columns";

/// A version of a data set. Keys that this version of ours doesn't know stay in the row alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataVersion {
    /// Of a file's bytes, of an R value, or a label that the user gave.
    pub hash: Option<String>,
    /// Of a file, in bytes.
    pub size: Option<i64>,
    pub file: Option<String>,
    pub rows: Option<i64>,
    pub cols: Option<i64>,
    /// Of what is no data frame.
    pub ty: Option<String>,
    /// Name and type of each column.
    pub columns: Vec<(String, String)>,
}

impl DataVersion {
    pub fn read(json: Json) -> DataVersion {
        let mut version = DataVersion::default();
        for (key, value) in json.into_object().unwrap_or_default() {
            match (key.as_str(), value) {
                (HASH, Json::Str(hash)) => version.hash = Some(hash),
                (SIZE, Json::Int(size)) => version.size = Some(size),
                (FILE, Json::Str(file)) => version.file = Some(file),
                (ROWS, Json::Int(rows)) => version.rows = Some(rows),
                (COLS, Json::Int(cols)) => version.cols = Some(cols),
                (TYPE, Json::Str(ty)) => version.ty = Some(ty),
                (COLUMNS, Json::Object(columns)) => {
                    let column = |(name, ty): (String, Json)| match ty {
                        Json::Str(ty) => Some((unescape_key(&name).to_owned(), ty)),
                        _ => None,
                    };
                    version.columns = columns.into_iter().filter_map(column).collect();
                }
                _ => {}
            }
        }
        version
    }

    pub fn json(&self) -> Json {
        let text = |text: &Option<String>| text.clone().map(Json::Str);
        let columns = self.columns.iter();
        let columns: Vec<(String, Json)> = columns
            .map(|(name, ty)| (escape_key(name).into_owned(), Json::Str(ty.clone())))
            .collect();
        let pairs = [
            (HASH, text(&self.hash)),
            (SIZE, self.size.map(Json::Int)),
            (FILE, text(&self.file)),
            (ROWS, self.rows.map(Json::Int)),
            (COLS, self.cols.map(Json::Int)),
            (TYPE, text(&self.ty)),
            (
                COLUMNS,
                (!columns.is_empty()).then_some(Json::Object(columns)),
            ),
        ];
        let pairs = pairs.into_iter();
        Json::Object(
            pairs
                .filter_map(|(key, json)| Some((key.to_owned(), json?)))
                .collect(),
        )
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let texts = [&self.hash, &self.file, &self.ty].into_iter().flatten();
        let columns = self
            .columns
            .iter()
            .map(|(name, ty)| 48 + name.len() + ty.len());
        size_of::<DataVersion>() + texts.map(String::len).chain(columns).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_back() {
        for text in [
            r#"{"hash":"fl1:x","rows":3,"cols":2,"columns":{"y":"double","$$x":"factor"}}"#,
            r#"{"hash":"fl1:x","rows":3,"cols":2,"type":"double"}"#,
            r#"{"hash":"sha256:x","size":12,"file":"a.csv"}"#,
            r#"{"hash":"a label"}"#,
        ] {
            let version = DataVersion::read(Json::parse(text.as_bytes()).unwrap());
            assert_eq!(version.json().text(), text);
        }
        let columns = br#"{"columns":{"$$x":"factor","y":1}}"#;
        let version = DataVersion::read(Json::parse(columns).unwrap());
        assert_eq!(version.columns, [("$x".to_owned(), "factor".to_owned())]);
    }
}
