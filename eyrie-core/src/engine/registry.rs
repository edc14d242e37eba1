//! Which actions this program knows.

use std::{collections::BTreeMap, sync::Arc};

use crate::{engine::Action, error::Invalid, model::Plan, name::ActionName};

/// Actions by name.
#[derive(Debug, Clone, Default)]
pub struct Registry(BTreeMap<ActionName, Arc<dyn Action>>);

impl Registry {
    /// Registers an action under a stable name.
    ///
    /// # Errors
    /// [`Invalid`] when the name is not acceptable or taken.
    pub fn register(&mut self, name: impl Into<String>, action: impl Action) -> Result<(), Invalid> {
        let name = ActionName::new(name)?;
        if self.0.contains_key(&name) {
            return Err(Invalid::new("action", format!("{name} is registered already")));
        }
        self.0.insert(name, Arc::new(action));
        Ok(())
    }

    /// Puts something else in the place of every action.
    #[cfg(feature = "testing")]
    pub(crate) fn map(&mut self, replace: impl Fn(Arc<dyn Action>) -> Arc<dyn Action>) {
        for action in self.0.values_mut() {
            *action = replace(Arc::clone(action));
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn get(&self, name: &ActionName) -> Option<Arc<dyn Action>> {
        self.0.get(name).cloned()
    }

    /// Refuses a plan that names an action which is not registered here, for a step or for its undo.
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
            if !self.0.contains_key(action) {
                let known: Vec<_> = self.0.keys().map(ActionName::as_str).collect();
                return Err(Invalid::new(
                    format!("plan.steps.{}.{field}", step.name),
                    format!("there is no action {:?}; known are: {}", action.as_str(), known.join(", ")),
                ));
            }
        }
        Ok(())
    }
}
