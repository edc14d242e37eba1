//! Which actions this program knows.

use std::{collections::BTreeMap, sync::Arc};

use crate::{engine::Action, error::Invalid, model::Plan, name::ActionName, store::Capabilities};

/// Actions by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    actions: BTreeMap<ActionName, Arc<dyn Action>>,
    /// What the store of the engine that they are registered with can do.
    capabilities: Capabilities,
}

impl Registry {
    /// Registers an action under a stable name.
    ///
    /// # Errors
    /// [`Invalid`] when the name is not acceptable or taken.
    pub fn register(&mut self, name: impl Into<String>, action: impl Action) -> Result<(), Invalid> {
        let name = ActionName::new(name)?;
        if self.actions.contains_key(&name) {
            return Err(Invalid::new("action", format!("{name} is registered already")));
        }
        self.actions.insert(name, Arc::new(action));
        Ok(())
    }

    /// Puts something else in the place of every action.
    #[cfg(feature = "testing")]
    pub(crate) fn map(&mut self, replace: impl Fn(Arc<dyn Action>) -> Arc<dyn Action>) {
        for action in self.actions.values_mut() {
            *action = replace(Arc::clone(action));
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn get(&self, name: &ActionName) -> Option<Arc<dyn Action>> {
        self.actions.get(name).cloned()
    }

    /// The same actions, over a store that can do that.
    pub(super) fn over(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }

    /// Whether transactional actions can be executed.
    pub(super) fn takes_statements(&self) -> bool {
        self.capabilities.statements
    }

    /// Refuses a plan that names an action which is not registered here, for a step or for its undo, or which is transactional over
    /// a store that carries out no statements.
    ///
    /// # Errors
    /// [`Invalid`] names the step and the action.
    pub fn check(&self, plan: &Plan) -> Result<(), Invalid> {
        let named = plan.steps().iter().flat_map(|step| {
            let undo = step.undo.as_ref().and_then(|undo| undo.action.as_ref()).map(|action| (step, "undo.action", action));
            let own = step.approval.is_none().then_some((step, "action", &step.action));
            own.into_iter().chain(undo)
        });
        for (step, field, action) in named {
            let refused = |reason| Err(Invalid::new(format!("plan.steps.{}.{field}", step.name), reason));
            match self.actions.get(action) {
                Some(found) if found.is_transactional() && !self.takes_statements() => {
                    let name = action.as_str();
                    return refused(format!("the action {name:?} is transactional, and this program's store carries out no statements"));
                }
                Some(_) => {}
                None => {
                    let known: Vec<_> = self.actions.keys().map(ActionName::as_str).collect();
                    return refused(format!("there is no action {:?}; known are: {}", action.as_str(), known.join(", ")));
                }
            }
        }
        Ok(())
    }
}
