//! Who acts.

use serde::{Deserialize, Serialize};

use crate::{
    id::{RunId, TokenId, UserId},
    model::{Token, TokenBinding, TokenCapabilities, TokenKind},
    name::{Origin, UserName},
};

/// Who acts, as proved by whatever stands in front of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// The program itself, with the cause: a schedule, a subscription, recovery.
    System {
        /// Why it acts.
        cause: String,
    },
    /// The program itself, with the cause, within the rights that somebody else has at the time: a schedule of theirs.
    Deputy {
        /// Why it acts.
        cause: String,
        /// Whose rights count.
        of: Box<Principal>,
    },
    /// A person or program with access to the store itself: a command on the same machine. Counts as an operator.
    LocalOperator {
        /// The operating system's name of the account, for the audit.
        name: String,
    },
    /// A signed-in user. Rights are looked up at every use.
    User {
        /// The account.
        id: UserId,
        /// Its name, for the audit.
        name: UserName,
        /// The session token, if one was used.
        session: Option<TokenId>,
        /// From where.
        origin: Origin,
    },
    /// A service, run or discovery token. Its rights are what it is bound to, cut to its creator's current role.
    Token {
        /// The token.
        id: TokenId,
        /// What it can do.
        kind: TokenKind,
        /// What it is bound to.
        binding: TokenBinding,
        /// What it can do there, for a service token.
        capabilities: TokenCapabilities,
        /// Who made it.
        created_by: Option<UserId>,
        /// From where, as fixed when it was made.
        origin: Origin,
    },
}

impl Principal {
    /// The operator of this machine, named by the environment for the audit.
    #[must_use]
    pub fn local_operator() -> Self {
        let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok()).unwrap_or_else(|| "local".to_owned());
        Self::LocalOperator { name }
    }

    /// From where it acts.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::User { origin, .. } | Self::Token { origin, .. } => Some(origin),
            Self::System { .. } | Self::Deputy { .. } | Self::LocalOperator { .. } => None,
        }
    }

    /// The token that proved who it is, if one did.
    #[must_use]
    pub fn token_id(&self) -> Option<TokenId> {
        match self {
            Self::User { session, .. } => *session,
            Self::Token { id, .. } => Some(*id),
            Self::Deputy { of, .. } => of.token_id(),
            Self::System { .. } | Self::LocalOperator { .. } => None,
        }
    }

    /// Whose rights count: its own, but for a deputy.
    #[must_use]
    pub fn rights(&self) -> &Self {
        match self {
            Self::Deputy { of, .. } => of.rights(),
            own => own,
        }
    }

    /// The run that a run token belongs to.
    #[must_use]
    pub fn bound_run(&self) -> Option<RunId> {
        match self {
            Self::Token { binding: TokenBinding::Run(run), .. } => Some(*run),
            _ => None,
        }
    }
}

/// A token that is no session stands for itself.
impl From<Token> for Principal {
    fn from(token: Token) -> Self {
        let Token { id, kind, binding, capabilities, created_by, origin, .. } = token;
        Self::Token { id, kind, binding, capabilities, created_by, origin }
    }
}

/// A principal as it is kept beside what it did. Holds no rights.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PrincipalRef {
    /// The program itself.
    System {
        /// Why it acted.
        cause: String,
    },
    /// The program itself, within somebody's rights.
    Deputy {
        /// Why it acted.
        cause: String,
        /// Whose rights counted.
        of: Box<PrincipalRef>,
    },
    /// Somebody with access to the store.
    LocalOperator {
        /// The account on the machine.
        name: String,
    },
    /// A user.
    User {
        /// The account.
        id: UserId,
        /// Its name at the time.
        name: UserName,
    },
    /// A token other than a session.
    Token {
        /// The token.
        id: TokenId,
        /// Its kind.
        token_kind: TokenKind,
        /// Who made it.
        created_by: Option<UserId>,
    },
    /// Somebody who did not prove who they are.
    Anonymous,
}

impl PrincipalRef {
    /// The person behind it: the user, whoever made the token, whoever a deputy acted for.
    #[must_use]
    pub fn person(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Token { created_by, .. } => *created_by,
            Self::Deputy { of, .. } => of.person(),
            Self::System { .. } | Self::LocalOperator { .. } | Self::Anonymous => None,
        }
    }
}

impl From<&Principal> for PrincipalRef {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::System { cause } => Self::System { cause: cause.clone() },
            Principal::Deputy { cause, of } => Self::Deputy { cause: cause.clone(), of: Box::new(Self::from(&**of)) },
            Principal::LocalOperator { name } => Self::LocalOperator { name: name.clone() },
            Principal::User { id, name, .. } => Self::User { id: *id, name: name.clone() },
            Principal::Token { id, kind, created_by, .. } => Self::Token { id: *id, token_kind: *kind, created_by: *created_by },
        }
    }
}

impl std::fmt::Display for PrincipalRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System { cause } => write!(f, "system ({cause})"),
            Self::Deputy { cause, of } => write!(f, "system ({cause}) for {of}"),
            Self::LocalOperator { name } => write!(f, "{name} (local operator)"),
            Self::User { name, .. } => name.fmt(f),
            Self::Token { id, token_kind, .. } => write!(f, "{token_kind} token {id}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}
