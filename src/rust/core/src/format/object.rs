//! JSON objects that are built to be written, pair by pair.

use crate::format::json::{self, Json};
use crate::format::value::{Value, unescape_key, write_key};

/// A JSON object in the one encoding. Whoever adds a key sees to it that it isn't there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// The pairs as they are written, without the braces around them.
    pairs: Vec<u8>,
}

impl Object {
    pub fn new() -> Object {
        Object::default()
    }

    pub fn with_capacity(bytes: usize) -> Object {
        Object {
            pairs: Vec::with_capacity(bytes),
        }
    }

    /// The object of which this is the text, whatever is between the braces; `None` without braces.
    /// No text at all is an object without pairs, as a cell is.
    pub fn from_text(text: &[u8]) -> Option<Object> {
        let pairs = match text {
            [] => text,
            _ => text.strip_prefix(b"{")?.strip_suffix(b"}")?,
        };
        Some(Object {
            pairs: pairs.to_vec(),
        })
    }

    /// The object of which these are the pairs, as [`Object::pairs`] gave them.
    pub fn of_pairs(pairs: Vec<u8>) -> Object {
        Object { pairs }
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn text(mut self, key: &str, value: &str) -> Object {
        json::write_str(value, self.key(key));
        self
    }

    pub fn int(mut self, key: &str, value: i64) -> Object {
        json::write_int(value, self.key(key));
        self
    }

    pub fn bool(mut self, key: &str, value: bool) -> Object {
        json::write_bool(value, self.key(key));
        self
    }

    pub fn null(mut self, key: &str) -> Object {
        self.key(key).extend_from_slice(b"null");
        self
    }

    pub fn json(mut self, key: &str, value: &Json) -> Object {
        value.write(self.key(key));
        self
    }

    pub fn value(mut self, key: &str, value: &Value) -> Object {
        value.write(self.key(key));
        self
    }

    pub fn object(mut self, key: &str, value: &Object) -> Object {
        value.write(self.key(key));
        self
    }

    /// An array, whose items are written so.
    pub fn array<T>(
        mut self,
        key: &str,
        items: &[T],
        write: impl FnMut(&T, &mut Vec<u8>),
    ) -> Object {
        json::write_array(items, self.key(key), write);
        self
    }

    /// A value under a name of the user's.
    pub fn named(mut self, name: &str, value: &Value) -> Object {
        value.write(self.name(name));
        self
    }

    /// An object under a name of the user's.
    pub fn named_object(mut self, name: &str, value: &Object) -> Object {
        value.write(self.name(name));
        self
    }

    /// A value under a key that stands already written in bytes, its colon included.
    pub fn add_written(&mut self, key: &[u8], value: &Value) {
        self.comma();
        self.pairs.extend_from_slice(key);
        value.write(&mut self.pairs);
    }

    /// All pairs of another one.
    pub fn extend(mut self, other: &Object) -> Object {
        if !other.is_empty() {
            self.comma();
            self.pairs.extend_from_slice(&other.pairs);
        }
        self
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.pairs);
        out.push(b'}');
    }

    /// What stands between the braces.
    pub fn pairs(&self) -> &[u8] {
        &self.pairs
    }

    /// The names of the user's under which there is something.
    pub fn names(&self) -> Vec<String> {
        let mut text = Vec::new();
        self.write(&mut text);
        let pairs = Json::parse(&text).ok().and_then(Json::into_object);
        let pairs = pairs.unwrap_or_default().into_iter();
        pairs
            .map(|(key, _)| unescape_key(&key).to_owned())
            .collect()
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.comma();
        json::write_str(key, &mut self.pairs);
        self.pairs.push(b':');
        &mut self.pairs
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        write_key(name, &mut self.pairs);
        &mut self.pairs
    }

    fn comma(&mut self) {
        if !self.is_empty() {
            self.pairs.push(b',');
        }
    }
}

/// The object of a JSON value; one without pairs, if it is no object.
impl From<&Json> for Object {
    fn from(json: &Json) -> Object {
        match json {
            Json::Object(pairs) => pairs.iter().fold(Object::new(), |object, (key, value)| {
                object.json(key, value)
            }),
            _ => Object::new(),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a Value)> for Object {
    /// The values under names of the user's.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a Value)>>(values: T) -> Object {
        values
            .into_iter()
            .fold(Object::new(), |object, (name, value)| {
                object.named(name, value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(object: &Object) -> String {
        let mut out = Vec::new();
        object.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pairs_are_in_the_order_in_which_they_came() {
        let inner = Object::new().bool("yes", true).null("none");
        let object = Object::new()
            .text("a", "\"")
            .int("b", -1)
            .object("c", &inner)
            .extend(&Object::new())
            .extend(&Object::from_text(br#"{"d":[1]}"#).unwrap())
            .named("$e", &Value::Double(1.0))
            .array("f", &[1, 2], |x, out| json::write_int(*x, out));
        let expected =
            r#"{"a":"\"","b":-1,"c":{"yes":true,"none":null},"d":[1],"$$e":1.0,"f":[1,2]}"#;
        assert_eq!(text(&object), expected);
        let json = Json::parse_canonical(expected.as_bytes()).unwrap();
        assert_eq!(Object::from(&json), object);
    }

    #[test]
    fn no_pairs_are_no_pairs() {
        for none in [
            Object::from_text(b""),
            Object::from_text(b"{}"),
            Some(Object::from(&Json::Null)),
        ] {
            assert_eq!(none, Some(Object::new()));
        }
        assert_eq!(text(&Object::new().extend(&Object::new())), "{}");
        assert_eq!(Object::from_text(b"[]"), None);
    }
}
