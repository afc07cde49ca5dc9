//! What clients carry along for us between two requests, sealed: nothing of it is stored here.

use crate::actors::Parts;
use crate::{ActorError, Actors};

impl Actors {
    /// Seals a text for whoever asks next. `place` says what it is about and for whom: it opens nowhere else.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for more than 64 GB.
    pub fn seal_carried(&self, place: &str, text: &str) -> Result<String, ActorError> {
        let Parts { keys, entropy, .. } = self.parts();
        let sealed = keys.seal(&carried(place), text, &*entropy);
        sealed.map_err(|_| ActorError::Invalid("this is too much to be carried along".to_owned()))
    }

    /// The text that was sealed for this place; `None` for anything else.
    #[must_use]
    pub fn open_carried(&self, place: &str, sealed: &str) -> Option<String> {
        self.parts().keys.open(&carried(place), sealed).ok()
    }
}

/// Apart from the places of what is stored.
fn carried(place: &str) -> String {
    format!("carried/{place}")
}
