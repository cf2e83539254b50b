//! Schemas that every client can read: flat, without `$ref`, one type per property.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::tools::Object;

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Object {
    generate::<T>(SchemaSettings::draft2020_12())
}

/// The schema of a tool's reply.
pub(crate) fn output<T: JsonSchema>() -> Object {
    generate::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Object {
    let settings = settings.with(|s| s.inline_subschemas = true);
    match settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
    {
        Value::Object(schema) => schema,
        _ => Object::new(),
    }
}
