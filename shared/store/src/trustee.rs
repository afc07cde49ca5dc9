//! Who manages an actor for its creator.

use actingweb_protocol::Creator;

use crate::item::{Item, text};
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{ActorRecord, Store, StoreError, item, keys};

/// What is to change about an actor's trustee; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrusteeChange {
    /// The trustee's URL root; `Some(None)` takes it away.
    pub root: Option<Option<String>>,
    /// Who the actor's creator is.
    pub creator: Option<Creator>,
}

/// How a change of the trustee ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrusteeOutcome {
    /// It is as was asked for.
    Changed,
    /// The actor changed meanwhile, or is gone: nothing was written.
    Stale,
    /// This creator has an actor already, and may have only one: nothing was written.
    CreatorTaken,
}

impl Store {
    /// Changes an actor that is still as it was seen; its row among its creator's actors moves along.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_trustee(
        &self,
        seen: &ActorRecord,
        change: TrusteeChange,
    ) -> Result<TrusteeOutcome, StoreError> {
        let creator = change.creator.map_or_else(|| seen.creator.clone(), |creator| creator.as_str().to_owned());
        let root = change.root.unwrap_or_else(|| seen.trustee_root.clone());
        let mut values = Item::from([(":creator".to_owned(), text(&creator))]);
        let expression = match root.filter(|root| !root.is_empty()) {
            Some(root) => {
                values.insert(":root".to_owned(), text(root));
                "SET creator = :creator, trustee_root = :root"
            }
            None => "SET creator = :creator REMOVE trustee_root",
        };
        let unchanged =
            Condition::new("attribute_not_exists(deleted_at) AND creator = :seen", [(":seen", text(&seen.creator))]);
        let actor = item::key(&keys::actor(&seen.id), keys::ACTOR);
        let mut writes = vec![self.update_part(actor, expression, values, Some(unchanged))?];
        if creator != seen.creator {
            let mut lookup = item::new(&keys::creator_lookup(&creator), &seen.lookup);
            lookup.insert("actor".to_owned(), text(seen.id.as_str()));
            writes.push(self.put_part(lookup, Some(Condition::absent()))?);
            let old = item::key(&keys::creator_lookup(&seen.creator), &seen.lookup);
            writes.push(self.delete_part(old, None)?);
        }
        let Err(Cancelled(reasons)) = self.unguarded().transact(writes).await? else {
            return Ok(TrusteeOutcome::Changed);
        };
        match reasons.iter().position(|(code, _)| code == "ConditionalCheckFailed") {
            Some(0) => Ok(TrusteeOutcome::Stale),
            Some(1) => Ok(TrusteeOutcome::CreatorTaken),
            _ => Err(refused("TransactWriteItems", reasons)),
        }
    }
}
