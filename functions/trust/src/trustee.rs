//! `/{actor}/trust/trustee`: who manages the actor for its creator.

use actingweb_web::{Problem, Reply, Verb, no_content};

use crate::Request;
use crate::fields::Fields;

impl Request<'_> {
    pub(crate) async fn trustee(&self) -> Reply {
        if self.incoming.verb == Verb::Delete {
            self.actor().remove_trustee().await?;
            return Ok(no_content());
        }
        let fields = Fields::of(self.incoming)?;
        let (root, creator) = (fields.text("trustee_root")?, fields.text("creator")?);
        if creator.is_some() && self.caller().is_peer() {
            // It would lock the creator out: its name is what it signs in with.
            return Err(Problem::forbidden("only the creator and the trustee may say who the creator is"));
        }
        self.actor().set_trustee(root, creator.as_deref()).await?;
        Ok(no_content())
    }
}
