//! Accounts.

use serde::Deserialize;

use crate::{
    access::Permission,
    error::Result,
    id::UserId,
    model::{Principal, User},
    name::UserName,
    platform::{Acting, Eyrie},
    store::{NewUserRule, Page, PageRequest},
};

/// What a new account needs.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: UserName,
    /// The password; none: the account cannot sign in with one.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether it is an operator.
    #[serde(default)]
    pub operator: bool,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).field("operator", &self.operator).finish_non_exhaustive()
    }
}

impl Eyrie {
    /// Makes the first account, an operator, while there is none at all. Whoever calls this has made sure that the request comes
    /// from somebody with access to the server itself.
    ///
    /// # Errors
    /// `Conflict` once there is any account.
    pub async fn create_first_operator(&self, name: UserName, password: String) -> Result<User> {
        let setup = self.acting_as(Principal::System { cause: "setup".to_owned() });
        setup.add_user(NewUser { name, password: Some(password), operator: true }, NewUserRule::NobodyYet).await
    }

    /// Whether there is any account yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(!self.store().users(PageRequest::first(1)?).await?.items.is_empty())
    }
}

impl Acting {
    /// Makes an account.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `Invalid` for a password that is too short.
    pub async fn create_user(&self, new: NewUser) -> Result<User> {
        self.require_everywhere(Permission::UserManage, &format!("user {}", new.name)).await?;
        self.add_user(new, NewUserRule::NameIsFree).await
    }

    async fn add_user(&self, new: NewUser, rule: NewUserRule) -> Result<User> {
        let password_hash = match new.password {
            Some(password) => Some(self.eyrie.0.passwords.hash(password).await?),
            None => None,
        };
        let user = User {
            id: UserId::new(),
            name: new.name,
            password_hash,
            operator: new.operator,
            disabled: false,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::UserManage.as_str(), format!("user {}", user.id), None);
        self.store().create_user(&user, rule, &audit).await?;
        Ok(user)
    }

    /// The account of that id: an operator's, or one's own.
    ///
    /// # Errors
    /// `Denied` for anybody else.
    pub async fn user(&self, id: UserId) -> Result<User> {
        if !self.is_user(id) {
            self.require_everywhere(Permission::UserManage, &format!("user {id}")).await?;
        }
        self.store().user(id).await
    }

    /// The account of that name.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn user_by_name(&self, name: &UserName) -> Result<User> {
        self.require_everywhere(Permission::UserManage, &format!("user {name}")).await?;
        self.store().user_by_name(name).await
    }

    /// All accounts in the order of their making.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn users(&self, page: PageRequest) -> Result<Page<User>> {
        self.require_everywhere(Permission::UserManage, "users").await?;
        self.store().users(page).await
    }

    /// Sets a password: an operator anybody's, a user its own. Ends the user's sessions.
    ///
    /// # Errors
    /// `Invalid` for a password that is too short.
    pub async fn set_password(&self, id: UserId, password: String) -> Result<User> {
        if !self.is_user(id) {
            self.require_everywhere(Permission::UserManage, &format!("user {id}")).await?;
        }
        let mut user = self.store().user(id).await?;
        user.password_hash = Some(self.eyrie.0.passwords.hash(password).await?);
        self.replace_user(user, "password").await
    }

    /// Disables or enables an account. Disabling ends its sessions.
    ///
    /// # Errors
    /// `Denied` for whoever is no operator.
    pub async fn set_user_disabled(&self, id: UserId, disabled: bool) -> Result<User> {
        self.require_everywhere(Permission::UserManage, &format!("user {id}")).await?;
        let mut user = self.store().user(id).await?;
        user.disabled = disabled;
        self.replace_user(user, if disabled { "disabled" } else { "enabled" }).await
    }

    async fn replace_user(&self, mut user: User, what: &str) -> Result<User> {
        let audit = self.allowed_because(Permission::UserManage.as_str(), format!("user {}", user.id), None, what.to_owned());
        self.store().update_user(&user, true, &audit).await?;
        user.version += 1;
        Ok(user)
    }

    pub(super) fn is_user(&self, id: UserId) -> bool {
        matches!(&self.principal, Principal::User { id: own, .. } if *own == id)
    }
}
