//! The hash of a data set: one encoding for what its values are, whatever holds them.
//!
//! A *value* is a letter for its type, the number of its elements (8 bytes), the elements, its
//! attributes, and `;`. Everything is little-endian. The elements of a list are values themselves.
//! An *attribute* is a letter and a value. Which letters and which bytes, is said at the methods.
//! The hash is the SHA-256 of the value, under the name `fl1`.

use crate::format::digest::{Digest, Hasher};

/// The name of the encoding, before the colon and the hash.
pub const ENCODING: &str = "fl1";

/// The bits that stand for every NA and for every other NaN: R's own NA, and the quiet NaN.
const NA_BITS: u64 = 0x7ff0_0000_0000_07a2;
const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;
/// R's NA is a NaN whose lower half is this.
const NA_LOW: u32 = 1954;
/// The length of a missing text.
const NA_TEXT: u32 = u32::MAX;
/// R's NA among integers and logicals.
const NA_INT: i32 = i32::MIN;

const BLOCK: usize = 1 << 16;

/// The type of a value, and its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    Null = b'0',
    Logical = b'l',
    Integer = b'i',
    Double = b'd',
    Integer64 = b'I',
    Complex = b'c',
    Character = b's',
    Raw = b'r',
    List = b'v',
}

/// What belongs to a value beside its elements, and its letter. They stand in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Attribute {
    /// Of the elements, or of the columns.
    Names = b'N',
    /// Of a factor.
    Levels = b'F',
    Dim = b'D',
    Dimnames = b'M',
    /// As text; absent where they only count the rows.
    RowNames = b'R',
    TimeZone = b'Z',
    /// Of a time difference.
    Units = b'U',
    /// Of a vector of an S4 class, beside what is covered above: a list in the order of their names.
    Slots = b'S',
}

/// Hashes a data set while it is walked through.
pub struct DataHasher {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Default for DataHasher {
    fn default() -> Self {
        DataHasher {
            hasher: Hasher::default(),
            buffer: Vec::with_capacity(2 * BLOCK),
        }
    }
}

impl DataHasher {
    pub fn begin(&mut self, ty: Type, length: usize) {
        self.push(&[ty as u8]);
        self.push(&(length as u64).to_le_bytes());
    }

    /// What follows is the value of an attribute.
    pub fn attribute(&mut self, attribute: Attribute) {
        self.push(&[attribute as u8]);
    }

    pub fn end(&mut self) {
        self.push(b";");
    }

    /// One byte each: 0, 1, or 2 for NA.
    pub fn logicals(&mut self, elements: &[i32]) {
        self.blocks(elements, |x| match x {
            NA_INT => [2],
            0 => [0],
            _ => [1],
        });
    }

    /// Four bytes each; NA is the smallest integer.
    pub fn integers(&mut self, elements: &[i32]) {
        self.blocks(elements, i32::to_le_bytes);
    }

    /// Eight bytes each, as IEEE 754 has them. All NAs are one, all other NaNs are one, and -0 is 0.
    pub fn doubles(&mut self, elements: &[f64]) {
        self.blocks(elements, encode_double);
    }

    /// Two doubles each, from the real and the imaginary parts in turn. Where one part is NA, both
    /// are: R's `as.complex(NA)` has NA for its imaginary part before R 4.4, and 0 since.
    pub fn complex(&mut self, parts: &[f64]) {
        for part in parts.chunks_exact(2) {
            match part.iter().any(|&x| is_na(x)) {
                true => self.doubles(&[f64::from_bits(NA_BITS); 2]),
                false => self.doubles(part),
            }
        }
    }

    /// Eight bytes each; NA is the smallest integer. R keeps them in the bits of doubles.
    pub fn integers64(&mut self, elements: &[f64]) {
        self.blocks(elements, |x| x.to_bits().to_le_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            self.push(block);
        }
    }

    /// Four bytes for the length, and UTF-8; a missing text has the largest length and no bytes.
    pub fn text(&mut self, text: Option<&str>) {
        let length = text.map_or(NA_TEXT, |text| text.len() as u32);
        self.push(&length.to_le_bytes());
        self.raw(text.unwrap_or_default().as_bytes());
    }

    /// A whole value: texts without attributes.
    pub fn text_value<'a>(&mut self, texts: impl ExactSizeIterator<Item = Option<&'a str>>) {
        self.begin(Type::Character, texts.len());
        for text in texts {
            self.text(text);
        }
        self.end();
    }

    pub fn finish(mut self) -> Digest {
        self.hasher.update(&self.buffer);
        self.hasher.finish()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn blocks<T: Copy, const N: usize>(&mut self, elements: &[T], encode: impl Fn(T) -> [u8; N]) {
        for block in elements.chunks(BLOCK / N) {
            let encoded = block.iter().flat_map(|&x| encode(x));
            self.buffer.extend(encoded);
            self.push(&[]);
        }
    }
}

fn is_na(x: f64) -> bool {
    x.is_nan() && x.to_bits() as u32 == NA_LOW
}

fn encode_double(x: f64) -> [u8; 8] {
    let bits = match x {
        0.0 => 0,
        x if is_na(x) => NA_BITS,
        x if x.is_nan() => NAN_BITS,
        x => x.to_bits(),
    };
    bits.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(fill: impl FnOnce(&mut DataHasher)) -> String {
        let mut hasher = DataHasher::default();
        fill(&mut hasher);
        hasher.finish().to_string()
    }

    #[test]
    fn the_encoding_is_what_it_says() {
        let found = hash(|data| {
            data.begin(Type::List, 2);
            data.begin(Type::Double, 2);
            data.doubles(&[1.5, -0.0]);
            data.end();
            data.begin(Type::Character, 2);
            data.text(Some("é"));
            data.text(None);
            data.end();
            data.attribute(Attribute::Names);
            data.text_value([Some("x"), Some("y")].into_iter());
            data.end();
        });
        let bytes: Vec<u8> = [
            &b"v\x02\0\0\0\0\0\0\0"[..],
            b"d\x02\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\0;",
            b"s\x02\0\0\0\0\0\0\0",
            b"\x02\0\0\0\xc3\xa9\xff\xff\xff\xff;",
            b"N",
            b"s\x02\0\0\0\0\0\0\0\x01\0\0\0x\x01\0\0\0y;",
            b";",
        ]
        .concat();
        assert_eq!(found, Digest::of(&[&bytes]).to_string());
    }

    #[test]
    fn values_that_are_one_to_r_are_one_here() {
        let of = |x: f64| hash(|data| data.doubles(&[x]));
        let na = f64::from_bits(NA_BITS);
        assert_eq!(of(0.0), of(-0.0));
        assert_eq!(of(na), of(f64::from_bits(NA_BITS | 1 << 51)));
        assert_eq!(of(f64::NAN), of(-f64::NAN));
        assert_ne!(of(f64::NAN), of(na));
        let pair = |re: f64, im: f64| hash(|data| data.complex(&[re, im]));
        assert_eq!(pair(na, na), pair(na, 0.0));
        assert_eq!(pair(na, na), pair(0.0, na));
        assert_eq!(pair(1.0, -0.0), hash(|data| data.doubles(&[1.0, 0.0])));
        assert_ne!(pair(f64::NAN, 0.0), pair(na, na));
        // The bits of an integer64 are no double's.
        let long = |x: i64| hash(|data| data.integers64(&[f64::from_bits(x as u64)]));
        assert_ne!(long(0), long(i64::MIN));
        assert_ne!(long(-1), long(-2));
    }

    #[test]
    fn blocks_make_no_difference() {
        let many: Vec<f64> = (0..100_000).map(f64::from).collect();
        let whole = hash(|data| data.doubles(&many));
        let pieces = hash(|data| many.chunks(777).for_each(|piece| data.doubles(piece)));
        assert_eq!(whole, pieces);
        let bytes: Vec<u8> = many.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(whole, Digest::of(&[&bytes]).to_string());
    }
}
