//! `/{actor}/properties/{name}[/{key}...]`: one plain property, or a part of it.

use actingweb_actor::{Change, Stored, StoredProperty};
use actingweb_hooks::{Invocation, Op};
use actingweb_protocol::nested;
use actingweb_protocol::permission::{Operation, Subtree, WriteMode};
use actingweb_web::conditional::{check_preconditions, is_conditional, tagged};
use actingweb_web::{Problem, Reply, Verb, json, no_content, text};
use http::StatusCode;
use serde_json::Value;

use crate::Request;
use crate::hooks::Guard;

pub(crate) async fn value(request: Request<'_>, stored: Option<Stored>) -> Reply {
    let invocation = request.incoming.invocation(&request.admission);
    match request.incoming.verb {
        Verb::Get => request.get(&invocation, stored).await,
        Verb::Put if request.incoming.payload.bytes.is_empty() => request.delete(&invocation, stored).await,
        Verb::Put => request.put(&invocation, stored).await,
        Verb::Delete => request.delete(&invocation, stored).await,
        _ => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
    }
}

impl Request<'_> {
    pub(crate) const fn guard<'a>(&'a self, invocation: &'a Invocation) -> Guard<'a> {
        Guard { state: self.state, incoming: self.incoming, access: &self.admission.access, invocation }
    }

    /// The value: a string as bare text unless the client asks for JSON, anything else as JSON.
    async fn get(&self, invocation: &Invocation, stored: Option<Stored>) -> Reply {
        let Some(Stored::Value(property)) = stored else { return Err(self.missing()) };
        let StoredProperty { name, value, version, .. } = property;
        let guard = self.guard(invocation);
        let value = guard.read(&name, &self.path.below, value).await?.ok_or_else(|| self.missing())?;
        let response = match nested::get(&value, &self.path.below).ok_or_else(|| self.missing())? {
            Value::String(bare) if !self.incoming.accepts_json() => text(bare),
            value => json(StatusCode::OK, value),
        };
        Ok(tagged(self.incoming, &version, response))
    }

    /// Sets the value, or merges a value into what is there at a path below the property.
    async fn put(&self, invocation: &Invocation, stored: Option<Stored>) -> Reply {
        let (name, below) = (&self.path.name, self.path.below.as_slice());
        let new = self.incoming.payload.json_or_text()?;
        if new.is_null() {
            return Err(Problem::bad_request(format!("property `{}` cannot be null: delete it instead", self.path)));
        }
        let guard = self.guard(invocation);
        let conditional = is_conditional(self.incoming);
        let access = &self.admission.access;
        let how = if below.is_empty() { WriteMode::Replace } else { WriteMode::Merge };
        access.check_writable(&self.path, held(stored.as_ref()), &new, how)?;
        check_preconditions(self.incoming, stored.as_ref().map(Stored::version))?;
        let unconditional = !conditional && access.subtree(name.as_str(), Operation::Write) == Subtree::All;
        if below.is_empty() && unconditional {
            let value = guard.write(Op::Put, name, below, new).await?;
            self.admission.actor.write_property(name, &value, stored.as_ref()).await?;
            return Ok(no_content());
        }
        let mut attempt = 0;
        let merge = |current: Option<Value>| {
            attempt += 1;
            let lost = conditional && attempt > 1;
            let allowed = access.check_writable(&self.path, current.as_ref(), &new, how);
            let merged = if below.is_empty() { Ok(new.clone()) } else { nested::put(current, below, new.clone()) };
            async move {
                allowed?;
                if lost {
                    return Err(changed_meanwhile());
                }
                let merged = merged.map_err(|error| Problem::conflict(format!("property `{}`: {error}", self.path)))?;
                Ok(Change::Put(guard.write(Op::Put, name, below, merged).await?))
            }
        };
        self.admission.actor.decide_property(&self.path, stored, merge).await??;
        Ok(no_content())
    }

    /// Deletes the property, which need not exist; below a property there must be something to delete.
    async fn delete(&self, invocation: &Invocation, stored: Option<Stored>) -> Reply {
        let (name, below) = (&self.path.name, self.path.below.as_slice());
        let access = &self.admission.access;
        access.check_deletable(&self.path, held(stored.as_ref()))?;
        check_preconditions(self.incoming, stored.as_ref().map(Stored::version))?;
        if stored.is_none() {
            return if below.is_empty() { Ok(no_content()) } else { Err(self.missing()) };
        }
        let guard = self.guard(invocation);
        let conditional = is_conditional(self.incoming);
        let mut attempt = 0;
        let remove = |current: Option<Value>| {
            attempt += 1;
            let lost = conditional && attempt > 1;
            let allowed = access.check_deletable(&self.path, current.as_ref());
            async move {
                allowed?;
                if lost {
                    return Err(changed_meanwhile());
                }
                let Some(before) = current else {
                    return if below.is_empty() { Ok(Change::Keep) } else { Err(self.missing()) };
                };
                let mut rest = before.clone();
                if !below.is_empty() && !nested::remove(&mut rest, below) {
                    return Err(self.missing());
                }
                guard.write(Op::Delete, name, below, before).await?;
                Ok(if below.is_empty() { Change::Delete } else { Change::Put(rest) })
            }
        };
        self.admission.actor.decide_property(&self.path, stored, remove).await??;
        Ok(no_content())
    }

    fn missing(&self) -> Problem {
        Problem::not_found(format!("there is no property `{}`", self.path))
    }
}

/// The plain value that is there.
fn held(stored: Option<&Stored>) -> Option<&Value> {
    match stored {
        Some(Stored::Value(property)) => Some(&property.value),
        _ => None,
    }
}

fn changed_meanwhile() -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "it was changed while this request was under way: read it again")
}
