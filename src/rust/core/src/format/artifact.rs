//! What a row says of an artifact.

use crate::format::digest::Digest;
use crate::format::json::Json;
use crate::format::object::Object;

const SHA256: &str = "sha256";
const SIZE: &str = "size";
pub const FILE: &str = "file";
const STORED: &str = "stored";
const DATA: &str = "data";
const FOLDER: &str = "folder";
const POINTERS: &str = "pointers";
const OUTCOME: &str = "outcome";
const PREVIEW: &str = "preview";
const TEXT: &str = "text";
const CUT: &str = "cut";

/// An artifact as a row names it. Keys that this version doesn't know stay in the row alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArtifactEntry {
    /// The hash of the bytes, in hex as the row has it.
    pub sha256: Option<String>,
    /// In bytes.
    pub size: Option<u64>,
    /// The path that the user gave; of stored bytes the name under which they are given back.
    pub file: Option<String>,
    /// The bytes are kept beside the ledger.
    pub stored: bool,
    /// The hash of the values, of an R object that may be another run's data.
    pub data: Option<String>,
    /// The bytes are the archive of a folder.
    pub folder: bool,
    /// The object held pointers to what lives outside R, which don't come back with its bytes.
    pub pointers: bool,
    /// The columns that the object, a model, predicts and doesn't predict from, as far as its formula says so.
    pub outcome: Vec<String>,
}

impl ArtifactEntry {
    pub fn read(json: Json) -> ArtifactEntry {
        let mut entry = ArtifactEntry::default();
        for (key, value) in json.into_object().unwrap_or_default() {
            match (key.as_str(), value) {
                (SHA256, Json::Str(hex)) => entry.sha256 = Some(hex),
                (SIZE, Json::Int(size)) => entry.size = u64::try_from(size).ok(),
                (FILE, Json::Str(file)) => entry.file = Some(file),
                (STORED, Json::Bool(stored)) => entry.stored = stored,
                (DATA, Json::Str(hash)) => entry.data = Some(hash),
                (FOLDER, Json::Bool(folder)) => entry.folder = folder,
                (POINTERS, Json::Bool(pointers)) => entry.pointers = pointers,
                (OUTCOME, Json::Array(names)) => {
                    let name = |json: Json| json.as_str().map(str::to_owned);
                    entry.outcome = names.into_iter().filter_map(name).collect();
                }
                _ => {}
            }
        }
        entry
    }

    /// Stored bytes that nobody has named yet.
    pub fn of_bytes(digest: Digest, size: u64) -> ArtifactEntry {
        ArtifactEntry {
            sha256: Some(digest.to_string()),
            size: Some(size),
            ..ArtifactEntry::default()
        }
    }

    pub fn json(&self) -> Json {
        let text = |text: &Option<String>| text.clone().map(Json::Str);
        let flag = |flag: bool| flag.then_some(Json::Bool(true));
        let texts = |texts: &[String]| {
            let json = || Json::Array(texts.iter().cloned().map(Json::Str).collect());
            (!texts.is_empty()).then(json)
        };
        let pairs = [
            (SHA256, text(&self.sha256)),
            (SIZE, self.size.map(|size| Json::Int(size as i64))),
            (FILE, text(&self.file)),
            (STORED, Some(Json::Bool(self.stored))),
            (DATA, text(&self.data)),
            (FOLDER, flag(self.folder)),
            (POINTERS, flag(self.pointers)),
            (OUTCOME, texts(&self.outcome)),
        ];
        let pairs = pairs.into_iter();
        Json::Object(
            pairs
                .filter_map(|(key, json)| Some((key.to_owned(), json?)))
                .collect(),
        )
    }

    /// The bytes alone, as what isn't an artifact of the user's names them.
    pub fn bytes_object(&self) -> Object {
        let object = match &self.sha256 {
            Some(hex) => Object::new().text(SHA256, hex),
            None => Object::new(),
        };
        match self.size {
            Some(size) => object.int(SIZE, size as i64),
            None => object,
        }
    }

    /// The hash of the bytes, if it is one.
    pub fn digest(&self) -> Option<Digest> {
        Digest::from_hex(self.sha256.as_deref()?.as_bytes())
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let texts = [&self.sha256, &self.file, &self.data].into_iter().flatten();
        let texts = texts.chain(&self.outcome);
        size_of::<ArtifactEntry>() + texts.map(String::len).sum::<usize>()
    }
}

/// What an R object looks like, as R showed it when it was stored. It isn't a part of the entry as readers keep it: it
/// may take more than all the rest, and only who shows the artifact needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// The beginning of what it prints.
    Text { text: String, cut: bool },
    /// A picture, stored as artifacts are.
    Image(ArtifactEntry),
}

/// Of the text of a preview so much is read. Our writer keeps to less.
const MAX_PREVIEW_BYTES: usize = 8 << 10;

impl Preview {
    /// The preview in the entry of an artifact.
    pub fn of(entry: &Json) -> Option<Preview> {
        let preview = entry.get(PREVIEW)?;
        if let Some(text) = preview.get(TEXT) {
            let text = text.as_str()?;
            let mut end = text.len().min(MAX_PREVIEW_BYTES);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let cut = preview.get(CUT) == Some(&Json::Bool(true));
            return Some(Preview::Text {
                text: text[..end].to_owned(),
                cut: cut || end < text.len(),
            });
        }
        let stored = ArtifactEntry::read(preview.clone());
        stored.stored.then_some(Preview::Image(stored))
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        match self {
            Preview::Text { text, .. } => size_of::<Preview>() + text.len(),
            Preview::Image(entry) => size_of::<Preview>() + entry.memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(json: &str) -> Option<Preview> {
        let entry = format!(r#"{{"sha256":"ab","preview":{json}}}"#);
        Preview::of(&Json::parse(entry.as_bytes()).unwrap())
    }

    #[test]
    fn a_preview_is_a_text_or_stored_bytes() {
        let text = |text: &str, cut| {
            Some(Preview::Text {
                text: text.to_owned(),
                cut,
            })
        };
        assert_eq!(preview(r#"{"text":"a\nb"}"#), text("a\nb", false));
        assert_eq!(preview(r#"{"text":"a","cut":true}"#), text("a", true));
        let long = preview(&format!(r#"{{"text":"{}"}}"#, "\u{fc}".repeat(1 << 20)));
        assert_eq!(long, text(&"\u{fc}".repeat(MAX_PREVIEW_BYTES / 2), true));
        let image = preview(r#"{"sha256":"cd","size":9,"file":"preview.png","stored":true}"#);
        let Some(Preview::Image(image)) = image else {
            panic!("it is an image")
        };
        assert_eq!(image.sha256.as_deref(), Some("cd"));
        for odd in ["1", "[]", r#"{"text":1}"#, r#"{"sha256":"cd"}"#, "null"] {
            assert_eq!(preview(odd), None, "{odd}");
        }
        assert_eq!(Preview::of(&Json::Null), None);
    }

    #[test]
    fn an_entry_reads_back() {
        let text = concat!(
            r#"{"sha256":"ab","size":3,"file":"m.rds","stored":true,"data":"fl1:x","folder":true,"#,
            r#""pointers":true,"outcome":["y","time"]}"#
        );
        let entry = ArtifactEntry::read(Json::parse(text.as_bytes()).unwrap());
        assert_eq!(entry.json().text(), text);
        assert_eq!(entry.digest(), None);
        let odd =
            br#"{"sha256":1,"size":-3,"file":null,"stored":"yes","outcome":[1],"later":true}"#;
        let odd = ArtifactEntry::read(Json::parse(odd).unwrap());
        assert_eq!(odd, ArtifactEntry::default());
        assert_eq!(ArtifactEntry::read(Json::Null), odd);
    }
}
