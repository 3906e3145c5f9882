//! JSON values that are counted while they are read: a few octets of text can stand for hundreds in memory.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// What an object weighs beside its values: the smallest takes as much memory as so many of them.
const OBJECT: usize = 20;
/// What the variables of one message may weigh together.
const MOST_DATA: usize = 20_000;

/// What takes the place of the variables of a message.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Data(Map<String, Value>);

impl Data {
    pub fn map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut room = Room::of(MOST_DATA, "data");
        match Counted(&mut room).deserialize(deserializer)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(de::Error::custom(
                "data is an object with the values by their names",
            )),
        }
    }
}

/// Values that may still come.
struct Room {
    left: usize,
    most: usize,
    of: &'static str,
}

impl Room {
    fn of(most: usize, of: &'static str) -> Self {
        Self { left: most, most, of }
    }

    fn take<E: de::Error>(&mut self, many: usize) -> Result<(), E> {
        match self.left.checked_sub(many) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(E::custom(format!(
                "{} holds too much: at most {} values, where an object counts as {OBJECT} more",
                self.of, self.most
            ))),
        }
    }
}

/// Reads up to `items` values of a list, all of them weighing up to `most` together; of what is over, only that it is there.
pub fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
    (items, most): (usize, usize),
    of: &'static str,
) -> Result<Vec<Value>, D::Error> {
    struct Items(usize, Room);

    impl<'de> Visitor<'de> for Items {
        type Value = Vec<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<Value>, A::Error> {
            let mut values = Vec::new();
            while values.len() <= self.0 {
                let Some(value) = list.next_element_seed(Counted(&mut self.1))? else {
                    return Ok(values);
                };
                values.push(value);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(values)
        }
    }

    deserializer.deserialize_seq(Items(items, Room::of(most, of)))
}

struct Counted<'a>(&'a mut Room);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Counted<'_> {
    fn one<E: de::Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.0.take(1)?;
        Ok(value.into())
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.one(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.one(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.one(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.one(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.one(value)
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.one(value)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.one(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.0.take(1)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Counted(self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.0.take(1 + OBJECT)?;
        let mut values = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            values.insert(name, fields.next_value_seed(Counted(self.0))?);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Result<Data, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"a":null,"b":[true,-1,2,1.5,"x",{"c":"\u00e9"}]}"#;
        let read = data(text).unwrap();
        assert_eq!(
            Value::Object(read.map().clone()),
            serde_json::from_str::<Value>(text).unwrap()
        );
        assert!(data("[1]").unwrap_err().starts_with("data is an object"));
    }

    #[test]
    fn more_values_than_a_message_needs_are_refused_before_they_fill_the_memory() {
        let zeros = |many: usize| format!(r#"{{"a":[0{}]}}"#, ",0".repeat(many - 1));
        assert!(data(&zeros(MOST_DATA - OBJECT - 2)).is_ok());
        assert!(data(&zeros(MOST_DATA)).unwrap_err().contains("holds too much"));
        let objects = format!(r#"{{"a":[{}{{}}]}}"#, "{},".repeat(MOST_DATA / OBJECT));
        assert!(data(&objects).unwrap_err().contains("holds too much"));
    }

    #[test]
    fn of_a_list_that_is_too_long_one_more_than_it_may_have_is_kept() {
        let read = |text: &str, most| {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            list(&mut deserializer, (2, most), "a list")
        };
        assert_eq!(read("[1,2]", 10).unwrap().len(), 2);
        assert_eq!(read("[1,2,3,4,5]", 10).unwrap().len(), 3);
        assert!(read("[[1,2,3],[4,5]]", 5).is_err());
    }
}
