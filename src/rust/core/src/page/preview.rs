//! What can be shown of stored artifacts: images, texts, tables, the names in a folder. The bytes
//! are verified first. R objects aren't unpacked, since a page must not trust a ledger so far: of these the row may say
//! what they looked like when they were stored.

use std::collections::HashSet;
use std::error::Error as _;
use std::io::{Cursor, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::format::artifact::{self, ArtifactEntry};
use crate::format::json;
use crate::ledger::folder::{self, Content};
use crate::ledger::objects::Objects;
use crate::page::cells::{object, write_texts};
use crate::page::view::Previews;
use crate::platform::memory::{self, OutOfMemory};

/// Of a text so much is shown.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Of a table so many rows.
const MAX_ROWS: usize = 100;
/// Larger images and larger files of other sorts aren't looked at.
const MAX_IMAGE_BYTES: usize = 1 << 20;
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
    recorded: &Previews,
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
            let preview = of(entry, recorded.get(sha256), objects);
            memory::reserve(out, preview.size());
            preview.write(out);
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

fn of(entry: &ArtifactEntry, recorded: Option<&artifact::Preview>, objects: &Objects) -> Preview {
    let none = |why: &str| Preview::None(why.to_owned());
    let file = entry.file.as_deref().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = extension.to_ascii_lowercase();
    if extension == "rds" {
        return match recorded {
            Some(artifact::Preview::Text { text, cut }) => Preview::Text {
                text: text.clone(),
                cut: *cut,
            },
            Some(artifact::Preview::Image(stored)) => picture(stored, objects),
            None => none("It is an R object."),
        };
    }
    if entry.size.is_none_or(|size| size > MAX_FILE_BYTES) {
        return none("It is too large to be shown here.");
    }
    // The bytes, and what is made of them.
    if memory::look(4 * entry.size.unwrap_or_default() as usize) == Err(OutOfMemory) {
        return none("There is not enough memory to look at it.");
    }
    let Some(digest) = entry.digest() else {
        return none("It is named by no hash.");
    };
    match objects.read(&digest, entry.size, &mut |_| false) {
        Ok(archive) if entry.folder => match folder::list(&mut Cursor::new(archive)) {
            Ok(entries) => files(&entries),
            Err(why) => none(&format!("The folder can't be unpacked: {why}.")),
        },
        Ok(bytes) => look(bytes, &extension),
        Err(Error::Artifact { damage, .. }) => none(&format!("Its bytes {}.", damage.text())),
        // The error names the path, which isn't for those who get the page.
        Err(e) => match e.source() {
            Some(cause) => none(&format!("Its bytes can't be read: {cause}.")),
            None => none("Its bytes can't be read."),
        },
    }
}

/// The picture that was made of an R object.
fn picture(stored: &ArtifactEntry, objects: &Objects) -> Preview {
    let is_small = |size: &u64| *size <= MAX_IMAGE_BYTES as u64;
    let known = stored.digest().zip(stored.size.filter(is_small));
    let bytes = known.and_then(|(digest, size)| {
        let bytes = objects.read(&digest, Some(size), &mut |_| false);
        bytes.ok()
    });
    match bytes.and_then(|bytes| Some((image(&bytes)?, bytes))) {
        Some((kind, bytes)) => Preview::Image(kind, bytes),
        None => Preview::None("It is an R object, and the picture of it can't be shown.".into()),
    }
}

fn look(bytes: Vec<u8>, extension: &str) -> Preview {
    if let Some(kind) = image(&bytes) {
        return match bytes.len() > MAX_IMAGE_BYTES {
            true => Preview::None("The image is too large to be shown here.".into()),
            false => Preview::Image(kind, bytes),
        };
    }
    let start = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    let cut = bytes.len() > start.len();
    let Some(text) = text(start, cut) else {
        return Preview::None("It is neither an image nor a text.".into());
    };
    let table = match extension {
        "csv" => table(bytes.as_slice()),
        _ => None,
    };
    table.unwrap_or_else(|| Preview::Text {
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

/// The files of a folder.
fn files(entries: &[folder::Entry]) -> Preview {
    let files = || {
        entries.iter().filter_map(|entry| match entry.content {
            Content::File { size, .. } => Some((&entry.name, size)),
            Content::Folder => None,
        })
    };
    let row = |(name, size): (&String, u64)| vec![name.clone(), size.to_string()];
    Preview::Table {
        names: vec!["name".into(), "size".into()],
        rows: files().take(MAX_ROWS).map(row).collect(),
        of: files().count(),
    }
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
    /// About how many bytes it takes on the page.
    fn size(&self) -> usize {
        const LITTLE_BYTES: usize = 1 << 10;
        match self {
            Preview::Image(_, bytes) => LITTLE_BYTES + 2 * bytes.len(),
            // Escapes take six bytes for one.
            Preview::Text { .. } => LITTLE_BYTES + 6 * MAX_TEXT_BYTES,
            // The names of files may be long.
            Preview::Table { .. } => LITTLE_BYTES + 24 * MAX_TEXT_BYTES,
            Preview::None(_) => LITTLE_BYTES,
        }
    }

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
