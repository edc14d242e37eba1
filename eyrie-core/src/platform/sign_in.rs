//! Proving who one is: by password, and by token.

use std::{net::IpAddr, time::Duration};

use subtle::ConstantTimeEq;

use crate::{
    access::{Permission, TokenSecret},
    error::{Error, ErrorKind, Result, TooMany, known},
    id::{RunId, UserId},
    model::{AuditEntry, Principal, PrincipalRef, SignInAttempt, Token, TokenBinding, TokenKind, User, Verdict},
    name::{DisplayName, Origin, RequestId, UserName},
    platform::{Acting, Eyrie, token::Issue},
};

/// What the audit calls it.
const BEGIN_SESSION: &str = "session.begin";
/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Where a sign-in comes from.
#[derive(Debug, Clone)]
pub struct SignInFrom {
    /// What is signed in to, or from: kept with the session.
    pub origin: Origin,
    /// The address of whoever asks, where it is known: failures count by it, too.
    pub address: Option<IpAddr>,
    /// The request's id, for the audit.
    pub request: Option<RequestId>,
}

impl SignInFrom {
    /// From there, with nothing else known.
    #[must_use]
    pub const fn new(origin: Origin) -> Self {
        Self { origin, address: None, request: None }
    }
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, "sign in", message)
}

impl Eyrie {
    /// Signs a user in by password, and answers with the session's secret, once. A wrong name and a wrong password read and take
    /// the same, and so does what cannot be a name. After some failures of a name, or of the address that the attempts come from, each
    /// further one has to wait, half a minute at most; a restart forgives nothing.
    ///
    /// # Errors
    /// `Unauthenticated`; `LimitExceeded` when it [has to wait](Error::retry_after), and when too many sign in at the same time.
    pub async fn sign_in(&self, name: &str, password: String, from: SignInFrom) -> Result<(TokenSecret, Token)> {
        let SignInFrom { origin, address, request } = from;
        let user = match UserName::new(name) {
            Ok(name) => known(self.store().user_by_name(&name).await)?.filter(|user| !user.disabled),
            Err(_) => None,
        };
        let attempt = SignInAttempt::new(name, address, self.now());
        if let Some(wait) = self.store().begin_sign_in(&attempt).await? {
            self.note_failed_sign_in(user.as_ref(), origin, request, "too many failures").await;
            return Err(TooMany { retry_after: Duration::from_secs(wait.as_secs() + 1) }.into());
        }
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        let fits = self.0.passwords.verify(password, stored).await?;
        match user {
            Some(user) if fits => {
                self.store().forgive_sign_in(&attempt).await?;
                let acting =
                    self.acting_as(Principal::User { id: user.id, name: user.name.clone(), session: None, origin: origin.clone() });
                let acting = Acting { request, ..acting };
                acting.new_session(&user, origin, SESSION).await
            }
            user => {
                self.note_failed_sign_in(user.as_ref(), origin, request, "the password is wrong").await;
                Err(unauthenticated("the name or the password is wrong"))
            }
        }
    }

    /// What was tried stands nowhere: people type passwords where the name belongs.
    async fn note_failed_sign_in(&self, user: Option<&User>, origin: Origin, request_id: Option<RequestId>, why: &str) {
        let (resource, why) = match user {
            Some(user) => (format!("user {}", user.id), why),
            None => ("user".to_owned(), "there is no such account, or it is disabled"),
        };
        let system = self.acting_as(Principal::System { cause: "sign in".to_owned() });
        let entry = system.entry(BEGIN_SESSION, resource, None, Verdict::Refused, why.to_owned());
        system.keep_refusal(&AuditEntry { principal: PrincipalRef::Anonymous, origin: Some(origin), request_id, ..entry }).await;
    }

    /// Who a token's secret stands for.
    ///
    /// # Errors
    /// `Unauthenticated` for anything but a valid token; a run's token is valid until its run has ended.
    pub async fn authenticate(&self, secret: &str) -> Result<Principal> {
        let invalid = || unauthenticated("the token is not valid");
        let secret = TokenSecret::parse(secret).ok_or_else(invalid)?;
        let hash = secret.hash();
        let token = known(self.store().token_by_hash(&hash).await)?.ok_or_else(invalid)?;
        if !bool::from(token.secret_hash.ct_eq(&hash)) || !token.is_valid_at(self.now()) {
            return Err(invalid());
        }
        self.note_use(&token).await;
        match token.binding {
            TokenBinding::User(id) => {
                let user = self.store().user(id).await?;
                if user.disabled {
                    return Err(invalid());
                }
                Ok(Principal::User { id, name: user.name, session: Some(token.id), origin: token.origin })
            }
            TokenBinding::Run(run) if self.has_ended(run).await? => Err(invalid()),
            _ => Ok(token.into()),
        }
    }

    /// Whether the run has ended; one that is no longer kept has.
    async fn has_ended(&self, run: RunId) -> Result<bool> {
        Ok(known(self.store().run(run).await)?.is_none_or(|run| run.state.is_terminal()))
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
        let issue = Issue {
            kind: TokenKind::Session,
            name: DisplayName::new(format!("session of {}", user.name))?,
            binding: TokenBinding::User(user.id),
            project_id: None,
            created_by: Some(user.id),
            origin,
            life,
        };
        let (secret, token) = issue.at(self.now())?;
        let audit = self.allowed(BEGIN_SESSION, format!("token {}", token.id), None);
        self.store().create_token(&token, &audit).await?;
        Ok((secret, token))
    }
}
