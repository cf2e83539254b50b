//! JSON in which an object has a key twice: parsers silently keep the last value, here the key is reported.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::Object;
use crate::error::Error;

/// A JSON value, and the first key that one of its objects has twice. Reading it costs no more than reading a
/// [`Value`]: inserting a key shows whether it was there.
pub(crate) struct Noticed {
    pub value: Value,
    pub twice: Option<String>,
}

/// The error for a key that is given twice.
pub(crate) fn given_twice(key: &str) -> Error {
    Error::invalid(format!("`{key}` is given twice in one object"))
        .hint("give it once: a list (such as `texts`) takes several items")
}

impl<'de> Deserialize<'de> for Noticed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut twice = None;
        let value = NoticingReader(&mut twice).deserialize(deserializer)?;
        Ok(Self { value, twice })
    }
}

/// Reads one value.
struct NoticingReader<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for NoticingReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoticingReader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(NoticingReader(self.0))? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(NoticingReader(self.0))?;
            match object.entry(key) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                serde_json::map::Entry::Occupied(mut entry) => {
                    self.0.get_or_insert_with(|| entry.key().clone());
                    entry.insert(value);
                }
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_by_serde_json() {
        for text in [
            "null",
            "[true, -1, 18446744073709551615, 1.5, 1e300, \"a\\u00e9\\n\", {}]",
            "{\"b\": 1, \"a\": {\"b\": [{}, null]}}",
        ] {
            let noticed: Noticed = serde_json::from_str(text).unwrap();
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(noticed.value.to_string(), value.to_string());
            assert_eq!(noticed.twice, None, "{text}");
        }
        assert!(serde_json::from_str::<Noticed>("{\"a\": }").is_err());
    }

    #[test]
    fn a_key_that_an_object_has_twice_is_noticed_at_any_depth() {
        for (text, key) in [
            ("{\"a\": 1, \"a\": 1}", "a"),
            ("{\"x\": [{\"b\": 1, \"c\": 2, \"b\": 3}]}", "b"),
        ] {
            let noticed: Noticed = serde_json::from_str(text).unwrap();
            assert_eq!(noticed.twice.as_deref(), Some(key), "{text}");
        }
    }
}
