//! What can be made to happen to a plan, each with a name by which it can be tried alone.

use std::{fmt, str::FromStr};

use crate::{error::Invalid, name::StepName, testing::Fault};

/// One thing that is made to happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Case {
    /// Nothing: everything goes well.
    Well,
    /// A step fails for good, and its body is not executed.
    FailInstead(StepName),
    /// A step fails for good after its body has succeeded.
    FailAfter(StepName),
    /// The process dies after a step's body has succeeded, before that is recorded: the body is executed again.
    Double(StepName),
    /// The run is undone, and the process dies after the undo of a step has succeeded, before that is recorded.
    DoubleUndo(StepName),
    /// A fault at the n-th call to the store.
    Store(u64, Fault),
    /// The run is undone, with a fault at the n-th call to the store.
    UndoStore(u64, Fault),
}

impl Case {
    /// Whether the process may die, or lose its lease, in this case, so that a run may have to be set aside for an operator.
    pub(super) fn is_crash(&self) -> bool {
        matches!(self, Self::Double(_) | Self::DoubleUndo(_) | Self::Store(..) | Self::UndoStore(..))
    }

    /// The fault at the n-th call to the store, if there is one.
    pub(super) fn store_fault(&self) -> Option<(u64, Fault)> {
        match self {
            Self::Store(call, fault) | Self::UndoStore(call, fault) => Some((*call, *fault)),
            _ => None,
        }
    }
}

/// The word for a fault.
const FAULTS: [(Fault, &str); 4] =
    [(Fault::Refused, "refused"), (Fault::Unanswered, "unanswered"), (Fault::Dead, "dead"), (Fault::DeadAfterwards, "dead-afterwards")];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |fault: &Fault| FAULTS.iter().find(|(known, _)| known == fault).map_or("", |(_, word)| word);
        match self {
            Self::Well => f.write_str("well"),
            Self::FailInstead(step) => write!(f, "fail-instead:{step}"),
            Self::FailAfter(step) => write!(f, "fail-after:{step}"),
            Self::Double(step) => write!(f, "double:{step}"),
            Self::DoubleUndo(step) => write!(f, "double-undo:{step}"),
            Self::Store(call, fault) => write!(f, "store:{call}:{}", word(fault)),
            Self::UndoStore(call, fault) => write!(f, "undo-store:{call}:{}", word(fault)),
        }
    }
}

impl FromStr for Case {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unknown = || Invalid::new("case", "must be one that a failure has named, for instance double:STEP or store:17:refused");
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let fault = || {
            let (call, word) = rest.split_once(':').ok_or_else(unknown)?;
            let fault = FAULTS.iter().find(|(_, known)| *known == word).ok_or_else(unknown)?.0;
            Ok((call.parse().map_err(|_| unknown())?, fault))
        };
        Ok(match kind {
            "well" => Self::Well,
            "fail-instead" => Self::FailInstead(StepName::new(rest)?),
            "fail-after" => Self::FailAfter(StepName::new(rest)?),
            "double" => Self::Double(StepName::new(rest)?),
            "double-undo" => Self::DoubleUndo(StepName::new(rest)?),
            "store" => fault().map(|(call, fault)| Self::Store(call, fault))?,
            "undo-store" => fault().map(|(call, fault)| Self::UndoStore(call, fault))?,
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_found_by_its_name() {
        for name in
            ["well", "fail-instead:copy", "fail-after:a: b", "double:copy", "double-undo:copy", "store:3:dead", "undo-store:17:refused"]
        {
            assert_eq!(name.parse::<Case>().unwrap().to_string(), name);
        }
        for name in ["", "double", "store:3", "store:x:dead", "store:3:odd", "other:copy"] {
            assert_eq!(name.parse::<Case>().unwrap_err().field(), if name == "double" { "step" } else { "case" }, "{name}");
        }
    }
}
