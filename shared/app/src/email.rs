//! A property hook: checks what is written, hides it from everybody but the creator.

use actingweb_hooks::prelude::*;

/// Property `email`.
pub(crate) fn guard_email(access: PropertyAccess, ctx: Context) -> Result<Verdict, HookError> {
    if !ctx.caller().is_creator() {
        return Ok(Verdict::Hide);
    }
    match access.op() {
        Op::Get | Op::Delete => Ok(Verdict::Keep),
        Op::Put | Op::Post => {
            let text = access.text().ok_or_else(|| HookError::invalid("`email` must be a string"))?;
            Ok(Verdict::Replace(address(text)?.into()))
        }
    }
}

/// An address in lower case, by the rule browsers apply to `<input type=email>` (HTML standard, "valid e-mail
/// address"): stricter than RFC 5322, which allows what nobody has.
fn address(text: &str) -> Result<String, HookError> {
    let text = text.trim();
    let valid = text.len() <= 254 && text.split_once('@').is_some_and(|(user, host)| is_user(user) && is_host(host));
    if !valid {
        return Err(HookError::invalid("`email` must be an e-mail address, such as ann@example.org"));
    }
    Ok(text.to_ascii_lowercase())
}

fn is_user(user: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    (1..=64).contains(&user.len()) && user.chars().all(allowed)
}

fn is_host(host: &str) -> bool {
    host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_lower_cased() {
        assert_eq!(address(" Ann.Lee+news@Example.ORG ").unwrap(), "ann.lee+news@example.org");
        assert_eq!(address("a@localhost").unwrap(), "a@localhost");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_user = format!("{}@example.org", "a".repeat(65));
        let long_label = format!("a@{}.org", "b".repeat(64));
        for text in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "a@b@c",
            "ann @example.org",
            "ann@example..org",
            "ann@-a.org",
            "ann@a-.org",
            "ann@exa_mple.org",
            "ånn@example.org",
            "ann@example.org\nBcc: bob@example.org",
            &long_user,
            &long_label,
        ] {
            assert!(matches!(address(text), Err(HookError::Invalid(_))), "{text:?}");
        }
    }
}
