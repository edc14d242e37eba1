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

    /// The action of that name.
    #[must_use]
    pub fn get(&self, name: &ActionName) -> Option<Arc<dyn Action>> {
        self.0.get(name).cloned()
    }

    /// Refuses a plan that names an action which is not registered here.
    ///
    /// # Errors
    /// [`Invalid`] names the step and the action.
    pub fn check(&self, plan: &Plan) -> Result<(), Invalid> {
        match plan.steps().iter().find(|step| !self.0.contains_key(&step.action)) {
            None => Ok(()),
            Some(step) => {
                let known: Vec<_> = self.0.keys().map(ActionName::as_str).collect();
                Err(Invalid::new(
                    format!("plan.steps.{}.action", step.name),
                    format!("there is no action {:?}; known are: {}", step.action.as_str(), known.join(", ")),
                ))
            }
        }
    }
}
