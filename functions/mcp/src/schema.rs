//! What AI clients see of a schema that came of a Rust type.

use serde_json::Value;

/// Formats that are named after Rust's types of numbers. `int32` and `int64` are known elsewhere, too.
const RUST_FORMATS: [&str; 10] =
    ["int", "int8", "int16", "int128", "uint", "uint8", "uint16", "uint32", "uint64", "uint128"];

/// Members of a schema that hold values rather than schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// Members of a schema that hold schemas by names, which are anybody's choice: none of them means anything here.
const BY_NAME: [&str; 4] = ["$defs", "dependentSchemas", "patternProperties", "properties"];

/// The schema without formats such as `uint16`: no standard has them, so that clients complain or refuse the tool. The
/// bounds of the numbers stand beside them.
pub(crate) fn portable(mut schema: Value) -> Value {
    strip(&mut schema);
    schema
}

fn strip(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("format").and_then(Value::as_str).is_some_and(|format| RUST_FORMATS.contains(&format)) {
                members.shift_remove("format");
            }
            for (name, inner) in members.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str())) {
                match inner {
                    Value::Object(named) if BY_NAME.contains(&name.as_str()) => named.values_mut().for_each(strip),
                    inner => strip(inner),
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_are_those_of_standards() {
        let number = |format: &str| json!({ "type": "integer", "format": format, "minimum": 0 });
        let plain = json!({ "type": "integer", "minimum": 0 });
        let text = json!({ "type": "string", "format": "uri", "default": { "format": "uint16" } });
        let named = json!({ "type": "string", "description": "A member of this name." });
        let given = json!({ "properties": {
            "a": number("uint16"), "b": number("uint"), "c": number("int64"), "d": [number("int8")], "e": text,
            "format": named,
        } });
        let wanted = json!({ "properties": {
            "a": plain, "b": plain, "c": number("int64"), "d": [plain], "e": text, "format": named,
        } });
        assert_eq!(portable(given), wanted);
    }

    #[test]
    fn members_may_be_called_like_words_of_schemas() {
        let names = ["default", "examples", "enum", "const", "format", "properties", "$defs"];
        let all = |schema: Value| names.iter().map(|name| ((*name).to_owned(), schema.clone())).collect::<Value>();
        let plain = json!({ "type": "integer" });
        let number = json!({ "type": "integer", "format": "uint16" });
        for place in ["properties", "patternProperties", "$defs", "dependentSchemas"] {
            let nested = json!({ "items": { place: all(number.clone()) } });
            assert_eq!(portable(nested), json!({ "items": { place: all(plain.clone()) } }), "{place}");
        }
        // Of a member that is called `format` this is the name of the format, not its schema.
        let named = json!({ "properties": { "format": "uint16" } });
        assert_eq!(portable(named.clone()), named);
        // And values are what they are, however deep.
        let value = json!({ "properties": { "a": { "default": { "properties": { "b": number } } } } });
        assert_eq!(portable(value.clone()), value);
    }
}
