//! What a body is given to do its work with: as the plan says it, with the secrets that it names opened.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::{
    engine::{ActionContext, ActionError},
    error::report,
    secret::{SecretRef, SecretUse, find_refs, resolve},
};

/// The parameters of a step. `Debug` shows what the plan says.
#[derive(Clone)]
pub(super) struct Parameters {
    planned: Value,
    opened: Option<Value>,
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.planned.fmt(f)
    }
}

impl Parameters {
    pub(super) fn planned(planned: Value) -> Self {
        Self { planned, opened: None }
    }

    pub(super) fn value(&self) -> &Value {
        self.opened.as_ref().unwrap_or(&self.planned)
    }

    /// The values of secrets that the plan names.
    fn secrets(&self) -> Vec<SecretRef> {
        let mut found = Vec::new();
        find_refs(&self.planned, &mut found);
        let pinned = found.into_iter().filter_map(|found| match found {
            SecretUse::Pinned(of) => Some(of),
            SecretUse::Newest(_) => None,
        });
        pinned.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl ActionContext {
    /// The same, with the secrets that the parameters name opened. From here on they are taken out of what is written down of the run.
    pub(super) async fn with_secrets(mut self) -> Result<Self, ActionError> {
        let named = self.parameters.secrets();
        if named.is_empty() {
            return Ok(self);
        }
        let Some(host) = &self.host else {
            return Err(ActionError::permanent("the step names a secret, and nothing in this program opens secrets"));
        };
        let opened = host.secrets(&self.run, &named).await.map_err(|error| {
            let message = format!("a secret could not be opened: {}", report(&error));
            if error.is_retryable() { ActionError::new(message) } else { ActionError::permanent(message) }
        })?;
        self.redactor.learn(&opened);
        let value_of = |of: SecretRef| opened.get(named.iter().position(|one| *one == of)?).cloned();
        self.parameters.opened = Some(resolve(&self.parameters.planned, &value_of));
        Ok(self)
    }
}
