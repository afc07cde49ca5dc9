//! What AI clients see of a schema that came of a Rust type.

use serde_json::Value;

/// Formats that are named after Rust's types of numbers. `int32` and `int64` are known elsewhere, too.
const RUST_FORMATS: [&str; 10] =
    ["int", "int8", "int16", "int128", "uint", "uint8", "uint16", "uint32", "uint64", "uint128"];

/// Members of a schema that hold values rather than schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

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
            members.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str())).for_each(|(_, inner)| strip(inner));
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
}
