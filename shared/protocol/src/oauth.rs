//! The rules of OAuth 2.1 that need neither storage nor a clock of their own: what tokens look like and when they are
//! good, code challenges, redirect URIs and audiences.

mod pkce;
mod redirect;
mod resource;
mod rotation;
mod token;

pub use pkce::{CodeChallenge, PkceError, check_verifier, same};
pub use redirect::{MAX_REDIRECT_URI_BYTES, RedirectError, RedirectUri};
pub use resource::{Audience, ResourceError};
pub use rotation::{GRACE, Judgement, judge_access, judge_refresh};
pub use token::{ClientKey, ClientKeyError, GrantId, TOKEN_PREFIX, Token, TokenError, TokenKind};
