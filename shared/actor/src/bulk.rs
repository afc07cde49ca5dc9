//! Several properties written at once: plain values, new lists, and items of lists. All of it happens, or none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actingweb_protocol::permission::{Access, Operation, Subtree, WriteMode};
use actingweb_protocol::subscription::{Change, PROPERTIES, Scope};
use actingweb_protocol::{Name, PropertyPath};
use actingweb_store::{
    Decision, Home, LOG_ITEMS, ListChange, ListItem, ListRecord, MAX_CHANGE_BYTES, MAX_TRANSACTION_ITEMS, Stored, Write,
};
use serde_json::{Map, Value};

use crate::lists::list_of;
use crate::{Actor, ActorError, ListError, limits, operations};

/// One property of a bulk write.
#[derive(Clone, Debug, PartialEq)]
pub enum BulkWrite {
    /// Set a plain value.
    Value(Value),
    /// Create a list, or change the texts of one that exists.
    List {
        /// What it holds.
        description: Option<String>,
        /// How it is used.
        explanation: Option<String>,
    },
    /// Change items of a list that exists.
    Items(BulkItems),
}

/// Items changed at once. All positions refer to the list as it was before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BulkItems {
    /// Values by position; one past the end appends, and so on.
    pub sets: BTreeMap<u64, Value>,
    /// Positions deleted; those beyond the end count for nothing, and a position that is also set stays.
    pub deletes: BTreeSet<u64>,
}

impl Actor {
    /// Writes several properties, all or none, as far as `access` lets plain values be written: that depends on what
    /// they replace. `seen` is what was read under their names. Gives the number of items deleted, by list.
    ///
    /// # Errors
    /// [`ListError`] for lists, [`ActorError::Conflict`] for a plain value where a list is, limits; storage errors.
    pub async fn write_all(
        &self,
        access: &Access,
        writes: &[(Name, BulkWrite)],
        seen: HashMap<Name, Stored>,
    ) -> Result<HashMap<Name, usize>, ListError> {
        let values = writes.iter().flat_map(|(name, write)| match write {
            BulkWrite::Value(value) => vec![(name, value)],
            BulkWrite::Items(items) => items.sets.values().map(|value| (name, value)).collect(),
            BulkWrite::List { .. } => Vec::new(),
        });
        let texts = writes.iter().filter_map(|(_, write)| match write {
            BulkWrite::List { description, explanation } => Some([description, explanation]),
            _ => None,
        });
        limits::check_values(values, limits::check_texts(texts.flatten())?)?;
        if writes.is_empty() {
            return Ok(HashMap::new());
        }
        let decide = |mut seen: HashMap<Name, Stored>| async move {
            let mut decision = Decision::default();
            let mut deleted = HashMap::new();
            let mut owned = 0;
            for (name, write) in writes {
                let stored = seen.remove(name);
                decision.writes.push(match write {
                    BulkWrite::Value(_) if matches!(stored, Some(Stored::List(_))) => {
                        return Err(ActorError::is_list(name).into());
                    }
                    BulkWrite::Value(value) => {
                        owned += self.store().owned_writes(name, stored.as_ref(), value);
                        permitted(access, name, stored, value)?
                    }
                    BulkWrite::List { description, explanation } => {
                        let (write, told) = self.create(name, stored, description.clone(), explanation.clone())?;
                        decision.changes.push(told);
                        write
                    }
                    BulkWrite::Items(items) => {
                        let (change, told) = self.change_items(list_of(name, stored)?, items).await?;
                        decision.changes.extend(told);
                        deleted.insert(name.clone(), change.deletes.len());
                        Write::ChangeList(change)
                    }
                });
            }
            decision.changes.extend(told_of_values(writes));
            let size = owned + decision.writes.iter().map(Write::size).sum::<usize>();
            let most = MAX_TRANSACTION_ITEMS - LOG_ITEMS;
            if size > most {
                let reason = format!("this would write {size} items at once; at most {most} are: send it in parts");
                return Err(ActorError::Invalid(reason).into());
            }
            Ok((decision, deleted))
        };
        let done = self.store().change_at(self.place(), &Home::Properties, seen, decide).await;
        done.map_err(ActorError::from)?
    }

    /// The change of a list, and what is told of it.
    async fn change_items(
        &self,
        mut list: ListRecord,
        items: &BulkItems,
    ) -> Result<(ListChange, Vec<Change>), ListError> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        // Appending needs to know no item that is there.
        let touches = |index: &u64| *index < list.length;
        let reads = items.sets.keys().any(touches) || items.deletes.iter().any(touches);
        let known = if reads { self.items_of(&list).await? } else { Vec::new() };
        let place = |index: &u64| usize::try_from(*index).ok().and_then(|index| known.get(index));
        let mut puts = Vec::new();
        let before = if reads { count(known.len()) } else { list.length };
        let mut end = before;
        let (mut told, mut new) = (Vec::new(), Vec::new());
        for (index, value) in &items.sets {
            let rank = match place(index) {
                Some(item) => {
                    told.push(operations::updated(&list.name, before, Some(*index), value, None));
                    item.rank.clone()
                }
                None if *index > end => {
                    return Err(ListError::OutOfRange { name: list.name, index: *index, length: end });
                }
                None => {
                    end += 1;
                    // After the last item there is always room.
                    let Some(rank) = self.rank_between(list.last.as_ref(), None)? else { continue };
                    list.last = Some(rank.clone());
                    new.push(value.clone());
                    rank
                }
            };
            puts.push(ListItem { rank, value: value.clone() });
        }
        match new.as_slice() {
            [] => {}
            [item] => told.push(operations::appended(&list.name, end, item)),
            _ => told.push(operations::extended(&list.name, end, new)),
        }
        let gone = items.deletes.iter().filter(|index| !items.sets.contains_key(index));
        let gone: Vec<_> = gone.filter_map(|index| Some((*index, place(index)?.rank.clone()))).collect();
        list.length = end.saturating_sub(count(gone.len()));
        // From the end, so that no position moves that is still to be named.
        told.extend(gone.iter().rev().map(|(index, _)| {
            end = end.saturating_sub(1);
            operations::removed(&list.name, end, *index)
        }));
        let deletes = gone.into_iter().map(|(_, rank)| rank).collect();
        Ok((ListChange { list, puts, deletes }, told))
    }
}

/// What is told of plain values written at once: one change of the target, or as many as it takes for each to fit an
/// item; of a single value, a change of that property.
fn told_of_values(writes: &[(Name, BulkWrite)]) -> Vec<Change> {
    let mut parts: Vec<(usize, Map<String, Value>)> = Vec::new();
    for (name, write) in writes {
        let BulkWrite::Value(value) = write else { continue };
        let size = name.as_str().len() + value.to_string().len();
        match parts.last_mut() {
            Some((sum, part)) if *sum + size <= MAX_CHANGE_BYTES => {
                *sum += size;
                part.insert(name.to_string(), value.clone());
            }
            _ => parts.push((size, Map::from_iter([(name.to_string(), value.clone())]))),
        }
    }
    let told = parts.into_iter().map(|(_, mut part)| match (part.len(), part.keys().next().cloned()) {
        (1, Some(name)) => {
            let value = part.remove(&name).unwrap_or_default();
            Change::property(name, value)
        }
        _ => Change::of(Scope::target(PROPERTIES), Value::Object(part)),
    });
    told.collect()
}

/// A write that replaces nothing the caller may not write; what is there must then still be what was looked at.
fn permitted(access: &Access, name: &Name, stored: Option<Stored>, value: &Value) -> Result<Write, ListError> {
    if access.subtree(name.as_str(), Operation::Write) == Subtree::All {
        return Ok(Write::PutValue(name.clone(), value.clone()));
    }
    let (old, version) = match stored {
        Some(Stored::Value(property)) => (Some(property.value), Some(property.version)),
        _ => (None, None),
    };
    let path = PropertyPath { name: name.clone(), below: Vec::new() };
    access.check_writable(&path, old.as_ref(), value, WriteMode::Replace).map_err(ListError::Denied)?;
    Ok(Write::ReplaceValue(name.clone(), value.clone(), version))
}
