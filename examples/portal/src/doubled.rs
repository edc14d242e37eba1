//! Finds a key that stands twice in an object of a JSON text. Readers differ in which of two they believe, so neither is.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The path of the first key that stands twice. What is no JSON has none.
pub(crate) fn doubled_key(json: &[u8]) -> Option<String> {
    let found = RefCell::new(None);
    let walk = Walk { path: String::new(), found: &found };
    drop(walk.deserialize(&mut serde_json::Deserializer::from_slice(json)));
    found.into_inner()
}

struct Walk<'a> {
    path: String,
    found: &'a RefCell<Option<String>>,
}

impl Walk<'_> {
    fn below(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, found: self.found }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let below = self.below(&key);
            if !seen.insert(key) {
                self.found.replace(Some(below.path));
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(below)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut place = 0;
        while items.next_element_seed(self.below(&place.to_string()))?.is_some() {
            place += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_stands_twice_is_named() {
        for (json, path) in [
            (r#"{"a": 1, "a": 2}"#, Some("a")),
            (r#"{"a": {"b": [{"c": 1}, {"c": 1, "d": null, "c": true}]}}"#, Some("a.b.1.c")),
            (r#"{"a": 1, "\u0061": 2.5}"#, Some("a")),
            (r#"{"a": {"a": {"a": "a"}}, "b": [{"a": 1}, {"a": -1}]}"#, None),
            (r#"{"a": 1, "a""#, Some("a")),
            (r#"{"a": "#, None),
            ("[]", None),
        ] {
            assert_eq!(doubled_key(json.as_bytes()).as_deref(), path, "{json}");
        }
    }
}
