//! Name resolution that hands out only addresses the guard lets through.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::{Guard, Refusal};

/// Resolves with the system's resolver, then drops every answer the guard refuses. The connection is made to one of
/// the addresses returned here, so a name that answers differently a moment later gains nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardedResolver {
    guard: Guard,
}

impl GuardedResolver {
    pub(crate) const fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard;
        Box::pin(async move {
            // Port 0 is replaced by the URL's own port when connecting.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = vet(guard, found)?;
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be connected to; a refusal when there were some and none may.
fn vet(guard: Guard, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
    let mut vetted = Vec::new();
    let mut refused = None;
    for address in found {
        match guard.check_address(address.ip()) {
            Ok(()) => vetted.push(address),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match refused {
        Some(refusal) if vetted.is_empty() => Err(refusal),
        _ => Ok(vetted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressKind;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_vetted_answers_are_handed_out() {
        let mixed = addresses(&["10.0.0.1:0", "8.8.8.8:0", "[::1]:0", "[2606:4700::1]:0"]);
        let kept = vet(Guard::Strict, mixed.into_iter());
        assert_eq!(kept, Ok(addresses(&["8.8.8.8:0", "[2606:4700::1]:0"])));
    }

    #[test]
    fn a_name_with_answers_but_no_vetted_one_is_refused() {
        let inner = addresses(&["10.0.0.1:0"]);
        let refusal = Refusal::Address { kind: AddressKind::Private };
        assert_eq!(vet(Guard::Loopback, inner.into_iter()), Err(refusal));
        assert_eq!(vet(Guard::Strict, std::iter::empty()), Ok(Vec::new()));
    }
}
