//! Short ways into a JSON resource.
//!
//! In: a `serde_json::Value`. Out: texts, lists, codings. Never here: what they mean.

use super::clock::Written;
use serde_json::Value;

pub fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    at(value, path).as_str()
}

/// `a.b.c`, objects only; `Null` where there is nothing.
pub fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, part| &value[part])
}

pub fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

pub fn written(value: &Value, path: &str) -> Option<Written> {
    text(value, path).and_then(Written::read)
}

/// The codings of a CodeableConcept.
pub fn codings(concept: &Value) -> impl Iterator<Item = (&str, &str)> {
    list(concept, "coding").iter().map(|coding| (text(coding, "system").unwrap_or(""), text(coding, "code").unwrap_or("")))
}

pub fn kind(resource: &Value) -> &str {
    text(resource, "resourceType").expect("a resource has a type")
}

pub fn id(resource: &Value) -> &str {
    text(resource, "id").expect("a resource has an id")
}

/// Calls `f` with every Coding anywhere in `value`.
pub fn each_coding<'v>(value: &'v Value, f: &mut dyn FnMut(&'v str, &'v str)) {
    match value {
        Value::Object(fields) => {
            if let (Some(system), Some(code)) = (fields.get("system").and_then(Value::as_str), fields.get("code").and_then(Value::as_str)) {
                f(system, code);
            }
            fields.values().for_each(|field| each_coding(field, f));
        }
        Value::Array(items) => items.iter().for_each(|item| each_coding(item, f)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
