//! JSON in the one encoding that the ledger knows: the same value gives the same bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::platform::memory;

/// Objects and arrays may stand this deep inside one another.
pub const MAX_DEPTH: usize = 32;

/// The largest integer that every reader of JSON keeps: a double holds all up to it.
pub const MAX_INT: i64 = 1 << 53;

/// A JSON value; objects keep the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why bytes are not the one encoding of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Json {
    /// Reads any JSON text that the ledger can hold, canonical or not.
    pub fn parse(bytes: &[u8]) -> Result<Json, Malformed> {
        serde_json::from_slice(bytes).map_err(|e| Malformed(e.to_string()))
    }

    /// Reads an object and insists on the one encoding: keys unique, depth bounded, and the
    /// same bytes when written again.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Json, Malformed> {
        let json = Json::parse(bytes)?;
        match &json {
            Json::Object(pairs) if !pairs.is_empty() => {}
            _ => return Err(Malformed("not a JSON object with a key".into())),
        }
        if json.depth() > MAX_DEPTH {
            return Err(Malformed(format!("nested deeper than {MAX_DEPTH}")));
        }
        if let Some(key) = json.repeated_key() {
            return Err(Malformed(format!("the key {key:?} stands twice")));
        }
        let mut again = Vec::new();
        memory::reserve(&mut again, bytes.len());
        json.write(&mut again);
        if again != bytes {
            return Err(Malformed("not in the ledger's one encoding".into()));
        }
        Ok(json)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(x) => write_bool(*x, out),
            Json::Int(x) => write_int(*x, out),
            Json::Double(x) => write_double(*x, out),
            Json::Str(x) => write_str(x, out),
            Json::Array(items) => write_array(items, out, |item, out| item.write(out)),
            Json::Object(pairs) => write_object(
                pairs.iter().map(|(key, value)| (key.as_str(), value)),
                out,
                |value, out| value.write(out),
            ),
        }
    }

    /// The value as JSON text.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).expect("only UTF-8 was written")
    }

    /// The value as JSON text on several lines, for people. It isn't the one encoding.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("every value has a JSON form")
    }

    /// The value of a key of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(pairs) => pairs.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value that keys of objects within one another lead to.
    pub fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |json, key| json.get(key))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::Str(x) => Some(x),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Json::Int(x) => Some(*x),
            _ => None,
        }
    }

    pub fn into_array(self) -> Option<Vec<Json>> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn into_object(self) -> Option<Vec<(String, Json)>> {
        match self {
            Json::Object(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let within: usize = match self {
            Json::Str(text) => text.len(),
            Json::Array(items) => items.iter().map(Json::size).sum(),
            Json::Object(pairs) => {
                let pair = |(key, value): &(String, Json)| 32 + key.len() + value.size();
                pairs.iter().map(pair).sum()
            }
            _ => 0,
        };
        size_of::<Json>() + within
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(x) => Some(*x),
            _ => None,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Json::Array(items) => 1 + items.iter().map(Json::depth).max().unwrap_or(0),
            Json::Object(pairs) => 1 + pairs.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn repeated_key(&self) -> Option<&str> {
        match self {
            Json::Array(items) => items.iter().find_map(Json::repeated_key),
            Json::Object(pairs) => {
                if pairs.len() > 1000 {
                    memory::ensure(4 * pairs.len() * size_of::<&str>());
                }
                let mut seen = std::collections::HashSet::with_capacity(pairs.len());
                pairs
                    .iter()
                    .find(|(key, _)| !seen.insert(key.as_str()))
                    .map(|(key, _)| key.as_str())
                    .or_else(|| pairs.iter().find_map(|(_, value)| value.repeated_key()))
            }
            _ => None,
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(x) => serializer.serialize_bool(*x),
            Json::Int(x) => serializer.serialize_i64(*x),
            Json::Double(x) => serializer.serialize_f64(*x),
            Json::Str(x) => serializer.serialize_str(x),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

pub fn write_bool(x: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if x { b"true" } else { b"false" });
}

/// Most of what a page or a row says are small numbers, for which `write!` takes several times as long.
pub fn write_int(x: i64, out: &mut Vec<u8>) {
    const MAX_DIGITS: usize = 19;
    let mut digits = [0; MAX_DIGITS];
    let mut first = MAX_DIGITS;
    let mut rest = x.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if x < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[first..]);
}

/// Writes a finite double in the fewest digits that read back to the same bits.
///
/// ryu switches to an exponent exactly where the format does; only the sign is missing.
pub fn write_double(x: f64, out: &mut Vec<u8>) {
    debug_assert!(x.is_finite());
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(x);
    // Smaller numbers have no positive exponent.
    let large = x.abs() >= 1e16;
    match large.then(|| text.split_once('e')).flatten() {
        Some((digits, exponent)) => {
            out.extend_from_slice(digits.as_bytes());
            out.extend_from_slice(b"e+");
            out.extend_from_slice(exponent.as_bytes());
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
}

/// Whether bytes are what [`write_double`] writes of a finite double.
pub fn is_double(x: f64, bytes: &[u8]) -> bool {
    if is_shortest(x, bytes) {
        return true;
    }
    if x.abs() < 1e16 {
        return ryu::Buffer::new().format_finite(x).as_bytes() == bytes;
    }
    let mut written = Vec::new();
    write_double(x, &mut written);
    written == bytes
}

/// Whether bytes are a decimal fraction, as short as can be for a double and of that length the closest to it, which is what
/// [`write_double`] writes. A large ledger is full of them, and whole numbers tell it faster than the double is written. Where
/// it says no, that has to be done: a double that is whole, small, large or a power of two is left to it.
fn is_shortest(x: f64, bytes: &[u8]) -> bool {
    /// So many bytes hold 19 digits, as many as 64 bits do.
    const MOST_BYTES: usize = 20;
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    /// Those of ten.
    const POWERS: [u64; MOST_BYTES] = {
        let mut powers = [1; MOST_BYTES];
        let mut i = 1;
        while i < MOST_BYTES {
            powers[i] = 10 * powers[i - 1];
            i += 1;
        }
        powers
    };
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_signed = digits.len() < bytes.len();
    // Of these none is written with an exponent, and what is computed below takes less than 128 bits.
    if !(1e-5..1e15).contains(&x.abs())
        || x.is_sign_negative() != is_signed
        || digits.len() > MOST_BYTES
    {
        return false;
    }
    let (mut written, mut point) = (0_u64, None);
    for (i, byte) in digits.iter().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => written = 10 * written + u64::from(digit),
            _ if *byte == b'.' && point.is_none() => point = Some(i),
            _ => return false,
        }
    }
    let Some(whole) = point else {
        return false;
    };
    let decimals = digits.len() - whole - 1;
    if whole == 0 || decimals == 0 || whole > 1 && digits[0] == b'0' {
        return false;
    }
    // The double is `mantissa / 2^shift`. A power of two is nearer to the double below it than to the one above.
    let fraction = x.to_bits() & ((1 << FRACTION_BITS) - 1);
    let exponent = (x.abs().to_bits() >> FRACTION_BITS) as u32;
    let shift = 1023 + FRACTION_BITS - exponent;
    if fraction == 0 || u64::BITS - written.leading_zeros() + shift >= u128::BITS - 2 {
        return false;
    }
    // All in units of `1 / (2^(shift + 1) 10^decimals)`, in which half of the way to the next double is `half`.
    let half = u128::from(POWERS[decimals]);
    let double = u128::from(2 * (fraction | 1 << FRACTION_BITS)) * half;
    let unit = 1_u128 << (shift + 1);
    let off = double.abs_diff(u128::from(written) << (shift + 1));
    let shorter = u128::from(written / 10 * 10) << (shift + 1);
    off < half
        && off < unit / 2
        && double.abs_diff(shorter) > half
        && double.abs_diff(shorter + 10 * unit) > half
}

pub fn write_str(x: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut plain = 0;
    for (i, &byte) in x.as_bytes().iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                &[b'\\', b'u', b'0', b'0', high, low]
            }
            _ => continue,
        };
        out.extend_from_slice(&x.as_bytes()[plain..i]);
        out.extend_from_slice(escape);
        plain = i + 1;
    }
    out.extend_from_slice(&x.as_bytes()[plain..]);
    out.push(b'"');
}

pub fn write_array<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

pub fn write_object<'a, T>(
    pairs: impl Iterator<Item = (&'a str, T)>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'{');
    for (i, (key, value)) in pairs.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_str(key, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

/// R's strings end at a NUL, so no text with one is let in.
fn without_nul<E: serde::de::Error>(text: String) -> Result<String, E> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(E::custom("a text with U+0000"));
    }
    Ok(text)
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, x: bool) -> Result<Json, E> {
        Ok(Json::Bool(x))
    }

    fn visit_i64<E>(self, x: i64) -> Result<Json, E> {
        Ok(Json::Int(x))
    }

    fn visit_u64<E: serde::de::Error>(self, x: u64) -> Result<Json, E> {
        i64::try_from(x)
            .map(Json::Int)
            .map_err(|_| E::custom("an integer beyond 2^63"))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Json, E> {
        Ok(Json::Double(x))
    }

    fn visit_str<E: serde::de::Error>(self, x: &str) -> Result<Json, E> {
        self.visit_string(x.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, x: String) -> Result<Json, E> {
        without_nul(x).map(Json::Str)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            memory::reserve(&mut items, 1);
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            memory::reserve(&mut pairs, 1);
            pairs.push((without_nul(key)?, value));
        }
        Ok(Json::Object(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(x: f64) -> String {
        let mut out = Vec::new();
        write_double(x, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_switch_to_an_exponent_where_the_format_says() {
        assert_eq!(double(0.0), "0.0");
        assert_eq!(double(-0.0), "-0.0");
        assert_eq!(double(1e-5), "0.00001");
        assert_eq!(double(9.9e-6), "9.9e-6");
        assert_eq!(double(9007199254740993.0), "9007199254740992.0");
        assert_eq!(double(9.999999999999998e15), "9999999999999998.0");
        assert_eq!(double(1e16), "1e+16");
        assert_eq!(double(-1.5e300), "-1.5e+300");
        assert_eq!(double(5e-324), "5e-324");
    }

    #[test]
    fn doubles_of_all_bit_patterns_read_back() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1);
            let x = f64::from_bits(bits ^ (bits >> 29));
            if x.is_finite() {
                let Ok(Json::Double(y)) = Json::parse(double(x).as_bytes()) else {
                    panic!("{x:?} did not read back as a double");
                };
                assert_eq!(x.to_bits(), y.to_bits(), "{x:?}");
            }
        }
    }

    #[test]
    fn only_what_is_written_of_a_double_is_taken_for_it() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut roll = || {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1);
            bits ^ (bits >> 29)
        };
        let (mut told, mut of) = (0, 0);
        for round in 0..40_000 {
            // All magnitudes that have no exponent, and their edges; few digits, many, and any double.
            let x = match round % 4 {
                0 => f64::from_bits(roll()),
                1 => (roll() % 100_000) as f64 / 1e4,
                2 => {
                    10_f64.powi((roll() % 24) as i32 - 7)
                        * (1.0 + (roll() % 9) as f64 * f64::EPSILON)
                }
                _ => (roll() % (1 << 53)) as f64 / 2_f64.powi((roll() % 75) as i32),
            };
            if !x.is_finite() {
                continue;
            }
            let written = double(x);
            assert!(is_double(x, written.as_bytes()), "{written}");
            if round % 4 == 3 && (1e-3..1e15).contains(&x) && x.fract() != 0.0 {
                told += u32::from(is_shortest(x, written.as_bytes()));
                of += 1;
            }
            let mut others = vec![
                format!("{written}0"),
                format!("0{written}"),
                format!("-{written}"),
                format!("+{written}"),
                written.trim_start_matches('-').to_owned(),
                written.replace('.', ""),
                written[..written.len() - 1].to_owned(),
                format!("{x:e}"),
                format!("{x}"),
            ];
            others.extend((14..20).map(|digits| format!("{x:.digits$}")));
            // Other ways to write it, and its neighbours.
            for (i, _) in written.char_indices() {
                for digit in ['0', '4', '5', '9'] {
                    others.push(format!("{}{digit}{}", &written[..i], &written[i + 1..]));
                }
                others.push(format!("{}{}{}", &written[..i], roll() % 10, &written[i..]));
            }
            for other in others {
                assert_eq!(
                    is_double(x, other.as_bytes()),
                    other == written,
                    "{x:?} as {other}"
                );
            }
        }
        assert!(
            told > of * 9 / 10,
            "{told} of {of} are told without writing them"
        );
    }

    #[test]
    fn texts_use_exactly_the_escapes_of_the_format() {
        let mut out = Vec::new();
        write_str("\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é☃", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}é☃\""
        );
    }

    #[test]
    fn canonical_means_one_encoding() {
        let ok = |text: &str| Json::parse_canonical(text.as_bytes()).is_ok();
        assert!(ok(r#"{"a":1,"b":[1.0,{"c":null}]}"#));
        for bad in [
            r#"{}"#,
            r#"[1]"#,
            r#"{"a": 1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":-0}"#,
            r#"{"a":1.00}"#,
            r#"{"a":1e22}"#,
            r#"{"a":1E+22}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1}x"#,
            r#"{"a":99999999999999999999}"#,
        ] {
            assert!(!ok(bad), "{bad}");
        }
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(ok(&deep(MAX_DEPTH - 1)));
        assert!(!ok(&deep(MAX_DEPTH)));
    }
}
