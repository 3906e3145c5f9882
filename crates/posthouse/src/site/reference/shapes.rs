//! The shapes of requests and answers: their fields in words, and an example of each.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{list, rich, text};

/// Shapes inside shapes in an example.
const DEPTH: usize = 5;

/// A named shape.
#[derive(Serialize)]
pub struct Shape {
    pub name: String,
    text: String,
    pub fields: Vec<Field>,
    /// Of a list of words, each.
    words: Vec<String>,
}

/// A field of a shape, or a parameter of an operation.
#[derive(Serialize)]
pub struct Field {
    name: String,
    /// Where a parameter stands: `path`, `query` or `header`.
    place: Option<String>,
    kind: String,
    /// The shape that it holds.
    pub shape: Option<String>,
    required: bool,
    text: String,
    example: Option<String>,
}

/// All shapes of an API.
pub struct Shapes<'a> {
    all: Option<&'a Map<String, Value>>,
}

impl Field {
    fn of((name, schema): (&str, &Value), required: bool) -> Self {
        let example = Some(&schema["example"]).filter(|example| !example.is_null());
        Self {
            name: name.to_owned(),
            place: None,
            kind: Shapes::kind_of(schema),
            shape: Shapes::name_of(schema),
            required,
            text: rich(text(schema, "description")),
            example: example.map(|example| {
                example
                    .as_str()
                    .map_or_else(|| example.to_string(), str::to_owned)
            }),
        }
    }

    pub(super) fn of_parameter(parameter: &Value) -> Self {
        let own = Self::of(
            (text(parameter, "name"), &parameter["schema"]),
            parameter["required"] == true,
        );
        let example = &parameter["example"];
        Self {
            place: Some(text(parameter, "in").to_owned()),
            text: rich(text(parameter, "description")),
            example: example.as_str().map(str::to_owned).or(own.example.clone()),
            ..own
        }
    }
}

impl<'a> Shapes<'a> {
    pub(super) fn of(api: &'a Value) -> Self {
        Self {
            all: api["components"]["schemas"].as_object(),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        self.all?.get(name)
    }

    /// The name of the shape that a schema holds, in a list or beside nothing as well.
    pub(super) fn name_of(schema: &Value) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return reference.rsplit('/').next().map(str::to_owned);
        }
        if schema["items"].is_object() {
            return Self::name_of(&schema["items"]);
        }
        ["oneOf", "anyOf", "allOf"]
            .into_iter()
            .flat_map(|which| list(schema, which))
            .find_map(Self::name_of)
    }

    fn kind_of(schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            return name.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let either: Vec<String> = ["oneOf", "anyOf", "allOf"]
            .into_iter()
            .flat_map(|which| list(schema, which))
            .map(Self::kind_of)
            .collect();
        if !either.is_empty() {
            return either.join(" or ");
        }
        let words = list(schema, "enum");
        if !words.is_empty() {
            let words: Vec<String> = words
                .iter()
                .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
                .collect();
            return words.join(" | ");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => return "any value".to_owned(),
        };
        let kinds: Vec<String> = types
            .into_iter()
            .map(|kind| match (kind, schema["format"].as_str()) {
                ("array", _) => format!("list of {}", Self::kind_of(&schema["items"])),
                ("string", Some(format)) => format!("string ({format})"),
                (kind, _) => kind.to_owned(),
            })
            .collect();
        kinds.join(" or ")
    }

    /// These shapes and all that stand in them, by their names.
    pub(super) fn with_all_inside(&self, named: BTreeSet<&str>) -> Vec<Shape> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut waiting: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let mut shapes = Vec::new();
        while let Some(name) = waiting.pop() {
            let Some(schema) = self.find(&name) else { continue };
            if !known.insert(name.clone()) {
                continue;
            }
            let fields = self.fields(schema);
            waiting.extend(fields.iter().filter_map(|field| field.shape.clone()));
            shapes.push(Shape {
                text: rich(text(schema, "description")),
                words: list(schema, "enum")
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                name,
                fields,
            });
        }
        shapes.sort_by(|a, b| a.name.cmp(&b.name));
        shapes
    }

    /// The fields of a shape, those of shapes that it takes in included.
    fn fields(&self, schema: &Value) -> Vec<Field> {
        let required: Vec<&str> = list(schema, "required")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let own = schema["properties"].as_object().into_iter().flatten();
        let mut fields: Vec<Field> = own
            .map(|(name, one)| Field::of((name, one), required.contains(&name.as_str())))
            .collect();
        for part in ["allOf", "oneOf"]
            .into_iter()
            .flat_map(|which| list(schema, which))
        {
            let inside = part["$ref"]
                .as_str()
                .and_then(|name| self.find(name.rsplit('/').next()?));
            fields.extend(self.fields(inside.unwrap_or(part)));
        }
        // What must be there first.
        fields.sort_by_key(|field| !field.required);
        fields
    }

    /// What somebody could send: what has to be there, and what has an example.
    pub(super) fn example(&self, schema: &Value) -> Value {
        self.example_of(schema, DEPTH)
    }

    fn example_of(&self, schema: &Value, left: usize) -> Value {
        if !schema["example"].is_null() {
            return schema["example"].clone();
        }
        let Some(left) = left.checked_sub(1) else {
            return Value::Null;
        };
        if let Some(name) = schema["$ref"].as_str() {
            let inside = name.rsplit('/').next().and_then(|name| self.find(name));
            return inside.map_or(Value::Null, |inside| self.example_of(inside, left));
        }
        if let Some(first) = list(schema, "enum").first() {
            return first.clone();
        }
        let mut fields = Map::new();
        for part in list(schema, "allOf") {
            if let Value::Object(inside) = self.example_of(part, left) {
                fields.extend(inside);
            }
        }
        let either = ["oneOf", "anyOf"]
            .into_iter()
            .flat_map(|which| list(schema, which));
        if let Some(one) = either.into_iter().find(|one| one["type"] != "null") {
            return self.example_of(one, left);
        }
        let required: Vec<&str> = list(schema, "required")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for (name, one) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || !one["example"].is_null() {
                fields.insert(name.clone(), self.example_of(one, left));
            }
        }
        if !fields.is_empty() {
            return Value::Object(fields);
        }
        let kind = match &schema["type"] {
            Value::Array(many) => many.first().and_then(Value::as_str),
            one => one.as_str(),
        };
        match (kind, schema["format"].as_str()) {
            (Some("array"), _) => json!([self.example_of(&schema["items"], left)]),
            (Some("boolean"), _) => json!(true),
            (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
            (Some("string"), Some("date-time")) => json!("2027-01-31T09:00:00+01:00"),
            (Some("string"), Some("password")) => json!("correct horse battery staple"),
            (Some("string"), _) => json!("text"),
            (Some("object"), _) => json!({}),
            _ => Value::Null,
        }
    }
}
