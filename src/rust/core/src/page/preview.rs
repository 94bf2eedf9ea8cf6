//! What can be shown of stored artifacts: images, texts, tables, the names in a folder. The bytes
//! are verified first. R objects aren't unpacked: a page must not trust a ledger so far.

use std::collections::HashSet;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::format::artifact::ArtifactEntry;
use crate::format::json;
use crate::ledger::objects::{Objects, Opened};
use crate::page::cells::{object, write_texts};

/// Of a text so much is shown.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Of a table so many rows.
const MAX_ROWS: usize = 100;
/// Larger images and larger files of other sorts aren't looked at.
const MAX_IMAGE_BYTES: u64 = 1 << 20;
const MAX_FILE_BYTES: u64 = 16 << 20;
/// All previews together.
const MAX_ALL_BYTES: usize = 16 << 20;

enum Preview {
    Image(&'static str, Vec<u8>),
    Text {
        text: String,
        cut: bool,
    },
    Table {
        names: Vec<String>,
        rows: Vec<Vec<String>>,
        of: usize,
    },
    None(String),
}

/// Writes the previews of artifacts by their hashes, as long as there is room. Bytes that aren't
/// stored beside the ledger are never looked at.
pub fn write<'a>(
    entries: impl Iterator<Item = &'a ArtifactEntry>,
    objects: &Objects,
    omitted: &mut Vec<String>,
    out: &mut Vec<u8>,
) {
    let mut seen = HashSet::new();
    let (mut size, mut left) = (0, 0);
    object(out, |o| {
        for entry in entries {
            let Some(sha256) = entry.sha256.as_deref() else {
                continue;
            };
            if !entry.stored || !seen.insert(sha256) {
                continue;
            }
            if size > MAX_ALL_BYTES {
                left += 1;
                continue;
            }
            let out = o.key(sha256);
            let start = out.len();
            of(entry, objects).write(out);
            size += out.len() - start;
        }
    });
    if left > 0 {
        omitted.push(format!(
            "Previews of {left} of {} artifacts: the page holds {} MB, of the newest runs, at most. \
             `artifact_path()` gives each of them.",
            seen.len(),
            MAX_ALL_BYTES >> 20
        ));
    }
}

fn of(entry: &ArtifactEntry, objects: &Objects) -> Preview {
    let none = |why: &str| Preview::None(why.to_owned());
    let file = entry.file.as_deref().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = extension.to_ascii_lowercase();
    if extension == "rds" {
        return none("It is an R object.");
    }
    if entry.size.is_none_or(|size| size > MAX_FILE_BYTES) {
        return none("It is too large to be shown here.");
    }
    let Some(digest) = entry.digest() else {
        return none("It is named by no hash.");
    };
    match objects.open(&digest, entry.size, &mut |_| false) {
        Ok(object) if entry.folder => {
            folder(object).unwrap_or_else(|e| none(&format!("Its archive can't be read: {e}.")))
        }
        Ok(object) => look(object, &extension).unwrap_or_else(|e| none(&format!("{e}."))),
        Err(Error::Artifact { damage, .. }) => none(&format!("Its bytes {}.", damage.text())),
        Err(e) => none(&e.in_full()),
    }
}

fn look(object: Opened, extension: &str) -> std::io::Result<Preview> {
    let mut file = object.file;
    let mut start = Vec::new();
    file.by_ref()
        .take(MAX_TEXT_BYTES as u64)
        .read_to_end(&mut start)?;
    if let Some(kind) = image(&start) {
        if object.size > MAX_IMAGE_BYTES {
            return Ok(Preview::None(
                "The image is too large to be shown here.".into(),
            ));
        }
        file.read_to_end(&mut start)?;
        return Ok(Preview::Image(kind, start));
    }
    let cut = object.size > start.len() as u64;
    let Some(text) = text(&start, cut) else {
        return Ok(Preview::None("It is neither an image nor a text.".into()));
    };
    if extension == "csv" {
        let rest = start[text.len()..].to_vec();
        let whole = text.as_bytes().chain(rest.as_slice()).chain(file);
        if let Some(table) = table(whole) {
            return Ok(table);
        }
    }
    Ok(Preview::Text {
        text: text.to_owned(),
        cut,
    })
}

/// The type of an image that a browser shows without running anything.
fn image(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    match () {
        () if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        () if begins(b"\xff\xd8\xff") => Some("image/jpeg"),
        () if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
        () if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        () => None,
    }
}

/// The bytes as text, if that is what they are; where they were cut, without the rest of a character.
fn text(bytes: &[u8], cut: bool) -> Option<&str> {
    if memchr::memchr(0, bytes).is_some() {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(e) if cut && e.error_len().is_none() => {
            std::str::from_utf8(&bytes[..e.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// The files of a folder, which is stored as an archive.
fn folder(object: Opened) -> std::io::Result<Preview> {
    let mut archive = tar::Archive::new(object.file);
    let mut rows = Vec::new();
    let mut of = 0;
    for entry in archive.entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        of += 1;
        if rows.len() < MAX_ROWS {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            rows.push(vec![name, entry.size().to_string()]);
        }
    }
    Ok(Preview::Table {
        names: vec!["name".into(), "size".into()],
        rows,
        of,
    })
}

/// The first rows of a table that is one: as many cells in each row as it has names.
fn table(bytes: impl Read) -> Option<Preview> {
    let mut reader = csv::Reader::from_reader(bytes);
    let texts = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let names: Vec<String> = texts(reader.headers().ok()?);
    let mut rows = Vec::new();
    let (mut of, mut length) = (0, 0);
    for record in reader.records() {
        let record = record.ok()?;
        of += 1;
        length += record.as_slice().len();
        if rows.len() < MAX_ROWS && length <= MAX_TEXT_BYTES {
            rows.push(texts(&record));
        }
    }
    Some(Preview::Table { names, rows, of })
}

impl Preview {
    fn write(&self, out: &mut Vec<u8>) {
        object(out, |o| match self {
            Preview::Image(ty, bytes) => {
                o.text("kind", "image");
                o.text("type", ty);
                o.text("base64", &STANDARD.encode(bytes));
            }
            Preview::Text { text, cut } => {
                o.text("kind", "text");
                o.text("text", text);
                json::write_bool(*cut, o.key("cut"));
            }
            Preview::Table { names, rows, of } => {
                o.text("kind", "table");
                write_texts(names, o.key("names"));
                json::write_array(rows, o.key("rows"), |row, out| write_texts(row, out));
                o.int("of", *of as i64);
            }
            Preview::None(why) => {
                o.text("kind", "none");
                o.text("why", why);
            }
        });
    }
}
