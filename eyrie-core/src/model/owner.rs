//! Who has a thing that a project or the operators may have.

use serde::{Deserialize, Serialize};

use crate::id::ProjectId;

/// Who has a secret or a datasource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The operators.
    Operators,
    /// A project.
    Project(ProjectId),
}

impl Owner {
    /// The owner of something that names its project, if it has one.
    #[must_use]
    pub const fn of(project: Option<ProjectId>) -> Self {
        match project {
            Some(project) => Self::Project(project),
            None => Self::Operators,
        }
    }

    /// The project, if one it is.
    #[must_use]
    pub const fn project(self) -> Option<ProjectId> {
        match self {
            Self::Operators => None,
            Self::Project(project) => Some(project),
        }
    }
}
