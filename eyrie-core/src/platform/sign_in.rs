//! Proving who one is: by password, and by token.

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::{
    access::{Permission, TokenSecret},
    clock::later,
    error::{Error, ErrorKind, Result},
    id::{RunId, TokenId, UserId},
    model::{Principal, Token, TokenBinding, TokenKind, User},
    name::{DisplayName, Origin, UserName},
    platform::{Acting, Eyrie},
};

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(12 * 3600);

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, "sign in", message)
}

impl Eyrie {
    /// Signs a user in by password, and answers with the session's secret, once. A wrong name and a wrong password read and take
    /// the same.
    ///
    /// # Errors
    /// `Unauthenticated`; `LimitExceeded` when too many sign in at the same time.
    pub async fn sign_in(&self, name: &UserName, password: String, origin: Origin) -> Result<(TokenSecret, Token)> {
        let user = match self.store().user_by_name(name).await {
            Ok(user) => Some(user).filter(|user| !user.disabled),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        let fits = self.0.passwords.verify(password, stored).await?;
        match user {
            Some(user) if fits => {
                let acting =
                    self.acting_as(Principal::User { id: user.id, name: user.name.clone(), session: None, origin: origin.clone() });
                acting.new_session(&user, origin, SESSION).await
            }
            _ => Err(unauthenticated("the name or the password is wrong")),
        }
    }

    /// Who a token's secret stands for.
    ///
    /// # Errors
    /// `Unauthenticated` for anything but a valid token; a run's token is valid until its run has ended.
    pub async fn authenticate(&self, secret: &str) -> Result<Principal> {
        let invalid = || unauthenticated("the token is not valid");
        let secret = TokenSecret::parse(secret).ok_or_else(invalid)?;
        let hash = secret.hash();
        let token = match self.store().token_by_hash(&hash).await {
            Ok(token) => token,
            Err(error) if error.is_not_found() => return Err(invalid()),
            Err(error) => return Err(error),
        };
        if !bool::from(token.secret_hash.ct_eq(&hash)) || !token.is_valid_at(self.now()) {
            return Err(invalid());
        }
        match token.binding {
            TokenBinding::User(id) => {
                let user = self.store().user(id).await?;
                if user.disabled {
                    return Err(invalid());
                }
                Ok(Principal::User { id, name: user.name, session: Some(token.id), origin: token.origin })
            }
            TokenBinding::Run(run) if self.has_ended(run).await? => Err(invalid()),
            _ => {
                let Token { id, kind, binding, created_by, origin, .. } = token;
                Ok(Principal::Token { id, kind, binding, created_by, origin })
            }
        }
    }

    /// Whether the run has ended; one that is no longer kept has.
    async fn has_ended(&self, run: RunId) -> Result<bool> {
        match self.store().run(run).await {
            Ok(run) => Ok(run.state.is_terminal()),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Acting {
    /// A session for a user without its password: for whoever has access to the server itself.
    ///
    /// # Errors
    /// `Denied` for anybody but the local operator.
    pub async fn open_session(&self, user: UserId, life: Duration) -> Result<(TokenSecret, Token)> {
        if !matches!(self.principal, Principal::LocalOperator { .. }) {
            return Err(Permission::UserManage.denied().into());
        }
        let user = self.store().user(user).await?;
        self.new_session(&user, Origin::new("local")?, life).await
    }

    /// Ends the session that the principal came with.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn sign_out(&self) -> Result<()> {
        match &self.principal {
            Principal::User { session: Some(session), .. } => {
                let audit = self.allowed("session.end", format!("token {session}"), None);
                self.store().revoke_token(*session, &audit).await
            }
            _ => Ok(()),
        }
    }

    async fn new_session(&self, user: &User, origin: Origin, life: Duration) -> Result<(TokenSecret, Token)> {
        let secret = TokenSecret::generate(TokenKind::Session)?;
        let now = self.now();
        let token = Token {
            id: TokenId::new(),
            kind: TokenKind::Session,
            name: DisplayName::new(format!("session of {}", user.name))?,
            secret_hash: secret.hash(),
            created_by: Some(user.id),
            binding: TokenBinding::User(user.id),
            origin,
            created_at: now,
            expires_at: later(now, life),
            revoked_at: None,
        };
        let audit = self.allowed("session.begin", format!("token {}", token.id), None);
        self.store().create_token(&token, &audit).await?;
        Ok((secret, token))
    }
}
