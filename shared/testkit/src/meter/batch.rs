//! Batches of which part comes back unprocessed.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::rng::Rng;

/// A batch cut in two: what the engine gets to see, and what the client gets back.
pub(super) struct Split {
    /// The request without the withheld entries.
    pub(super) forward: Bytes,
    /// The withheld entries by table, in the shape of `UnprocessedKeys` / `UnprocessedItems`.
    pub(super) withheld: Map<String, Value>,
}

/// Withholds at least one entry of a `BatchGetItem` or `BatchWriteItem` and forwards at least one.
///
/// `None` when there are fewer than two entries, or the request is malformed and the engine should say so.
pub(super) fn split(request: &[u8], rng: &mut Rng) -> Option<Split> {
    let mut request: Value = serde_json::from_slice(request).ok()?;
    let tables = request.get_mut("RequestItems")?.as_object_mut()?;
    let total: usize = tables.values_mut().filter_map(entries).map(|entries| entries.len()).sum();
    if total < 2 {
        return None;
    }
    let withhold = rng.below(total);
    let forward = (withhold + 1 + rng.below(total - 1)) % total;
    let mut number = 0;
    let mut withheld = Map::new();
    for (table, asked) in tables.iter_mut() {
        // The other members of the request, such as a projection, belong to either half.
        let mut back = asked.clone();
        let (Some(kept), Some(returned)) = (entries(asked), entries(&mut back)) else {
            return None;
        };
        let all = std::mem::take(kept);
        returned.clear();
        for entry in all {
            let chosen = number == withhold || (number != forward && rng.chance(0.5));
            number += 1;
            if chosen { &mut *returned } else { &mut *kept }.push(entry);
        }
        if !returned.is_empty() {
            withheld.insert(table.clone(), back);
        }
    }
    tables.retain(|_, asked| entries(asked).is_some_and(|entries| !entries.is_empty()));
    Some(Split { forward: serde_json::to_vec(&request).ok()?.into(), withheld })
}

/// The engine's reply to the forwarded part with the withheld entries added. `None` when it is not such a reply.
pub(super) fn merge(operation: &str, reply: &[u8], withheld: Map<String, Value>) -> Option<Bytes> {
    let mut reply: Value = serde_json::from_slice(reply).ok()?;
    let member = if operation == "BatchGetItem" { "UnprocessedKeys" } else { "UnprocessedItems" };
    let unprocessed =
        reply.as_object_mut()?.entry(member).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    for (table, mut back) in withheld {
        if let (Some(already), Some(more)) = (unprocessed.get_mut(&table).and_then(entries), entries(&mut back)) {
            already.append(more);
        } else {
            unprocessed.insert(table, back);
        }
    }
    Some(serde_json::to_vec(&reply).ok()?.into())
}

/// The entries of one table: the array itself in a write, its `Keys` in a read.
fn entries(asked: &mut Value) -> Option<&mut Vec<Value>> {
    match asked {
        Value::Array(writes) => Some(writes),
        Value::Object(read) => read.get_mut("Keys")?.as_array_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(asked: &Value) -> Vec<Value> {
        asked.as_object().unwrap().values().flat_map(|table| table["Keys"].as_array().unwrap().clone()).collect()
    }

    #[test]
    fn a_split_loses_and_doubles_nothing() {
        let request = json!({ "RequestItems": {
            "a": { "Keys": [1, 2], "ConsistentRead": true },
            "b": { "Keys": [3] },
        }});
        for seed in 0..50 {
            let Split { forward, withheld } = split(request.to_string().as_bytes(), &mut Rng::new(seed)).unwrap();
            let forward: Value = serde_json::from_slice(&forward).unwrap();
            let (seen, back) = (keys(&forward["RequestItems"]), keys(&Value::Object(withheld.clone())));
            assert!(!seen.is_empty() && !back.is_empty());
            let mut all = [seen, back].concat();
            all.sort_by_key(Value::as_i64);
            assert_eq!(all, [json!(1), json!(2), json!(3)]);
            if let Some(table) = withheld.get("a") {
                assert_eq!(table["ConsistentRead"], true);
            }
        }
    }

    #[test]
    fn a_single_entry_is_not_split() {
        let request = json!({ "RequestItems": { "a": [{ "DeleteRequest": {} }] } });
        assert!(split(request.to_string().as_bytes(), &mut Rng::new(1)).is_none());
        assert!(split(b"{", &mut Rng::new(1)).is_none());
    }

    #[test]
    fn what_the_engine_left_over_stays() {
        let reply = json!({ "UnprocessedItems": { "a": [1] } }).to_string();
        let withheld = json!({ "a": [2], "b": [3] });
        let merged = merge("BatchWriteItem", reply.as_bytes(), withheld.as_object().unwrap().clone()).unwrap();
        let merged: Value = serde_json::from_slice(&merged).unwrap();
        assert_eq!(merged["UnprocessedItems"], json!({ "a": [1, 2], "b": [3] }));
    }
}
