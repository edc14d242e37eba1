//! From the grants on a path to what a user is there, and which grant decided it. Pure: the most specific grant wins.

use crate::{access::Standing, model::Grants, word_enum::word_enum};

word_enum! {
    /// What decided what a principal is at a place.
    pub enum DecidedBy("decided_by") {
        /// Whoever has access to the store itself, or the program, counts as an operator.
        LocalOperator = "local_operator",
        /// The account is disabled, or is not there.
        Disabled = "disabled",
        /// The account is an operator's: admin everywhere.
        Operator = "operator",
        /// The owner of a project is admin in all of it, whatever overrides say.
        Owner = "owner",
        /// The override at the deployment.
        DeploymentOverride = "deployment_override",
        /// The override at the group.
        GroupOverride = "group_override",
        /// The role in the project.
        ProjectRole = "project_role",
        /// The account has no role in the project.
        NoRole = "no_role",
        /// What the token is bound to.
        TokenBinding = "token_binding",
        /// What a token of its kind can do.
        TokenCapability = "token_capability",
    }
}

/// What a principal is at a place, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What it is.
    pub standing: Standing,
    /// The grant that decided.
    pub by: DecidedBy,
}

impl Decision {
    /// What the grants make of their user.
    #[must_use]
    pub const fn of(grants: &Grants) -> Self {
        let (standing, by) = match *grants {
            Grants { disabled: true, .. } => (Standing::Outsider, DecidedBy::Disabled),
            Grants { operator: true, .. } => (Standing::Operator, DecidedBy::Operator),
            Grants { owner: true, .. } => (Standing::Member(crate::model::Role::Admin), DecidedBy::Owner),
            // An override without a membership counts for nothing.
            Grants { member: None, .. } => (Standing::Outsider, DecidedBy::NoRole),
            Grants { deployment: Some(grant), .. } => (Standing::granted(grant), DecidedBy::DeploymentOverride),
            Grants { group: Some(grant), .. } => (Standing::granted(grant), DecidedBy::GroupOverride),
            Grants { member: Some(role), .. } => (Standing::Member(role), DecidedBy::ProjectRole),
        };
        Self { standing, by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{AccessLevel, Permission},
        model::{Grant, Role},
    };

    const OVERRIDES: [Option<Grant>; 5] = [None, Some(Grant::None), Some(Grant::User), Some(Grant::Developer), Some(Grant::Admin)];

    /// The accounts whose roles do not matter, and then every role with every override that there can be at the level.
    fn everybody(level: AccessLevel) -> Vec<(String, Grants)> {
        let nobody = Grants::default();
        let mut all = vec![
            ("disabled operator".to_owned(), Grants { disabled: true, operator: true, ..nobody }),
            ("disabled owner".to_owned(), Grants { disabled: true, owner: true, ..nobody }),
            ("disabled admin".to_owned(), Grants { disabled: true, member: Some(Role::Admin), ..nobody }),
        ];
        let groups = if level == AccessLevel::Project { &OVERRIDES[..1] } else { &OVERRIDES };
        let deployments = if level == AccessLevel::Deployment { &OVERRIDES } else { &OVERRIDES[..1] };
        let roles = [None, Some(Role::User), Some(Role::Developer), Some(Role::Admin)];
        let accounts = [("", nobody), ("operator, ", Grants { operator: true, ..nobody }), ("owner, ", Grants { owner: true, ..nobody })];
        for (name, account) in accounts {
            for member in roles {
                for group in groups {
                    for deployment in deployments {
                        let word = |grant: &Option<Grant>| grant.map_or("absent", Grant::as_str);
                        let role = member.map_or("no role", Role::as_str);
                        let mut said = format!("{name}{role}");
                        if level != AccessLevel::Project {
                            said.push_str(&format!(", group {}", word(group)));
                        }
                        if level == AccessLevel::Deployment {
                            said.push_str(&format!(", deployment {}", word(deployment)));
                        }
                        all.push((said, Grants { member, group: *group, deployment: *deployment, ..account }));
                    }
                }
            }
        }
        all
    }

    /// One block for each thing that somebody can be, and for each way to become it; then what may be done by whoever is that.
    fn table() -> String {
        let mut text =
            String::from("Who is what at which level, by which grant, and what is then allowed, refused (403) or missing (404).\n");
        for level in AccessLevel::ALL {
            let mut blocks: Vec<(Decision, Vec<String>)> = Vec::new();
            for (name, grants) in everybody(*level) {
                let decision = Decision::of(&grants);
                match blocks.iter_mut().find(|(known, _)| *known == decision) {
                    Some((_, names)) => names.push(name),
                    None => blocks.push((decision, vec![name])),
                }
            }
            for (decision, names) in blocks {
                text.push_str(&format!("\n== {level}: {} by {}\n", decision.standing, decision.by));
                let reads = Permission::ProjectRead.allows(decision.standing);
                let mut allowed = Vec::new();
                let mut others = Vec::new();
                for permission in Permission::ALL.iter().filter(|permission| permission.levels().contains(level)) {
                    if permission.allows(decision.standing) { &mut allowed } else { &mut others }.push(permission.as_str());
                }
                let words = |words: Vec<&str>| if words.is_empty() { "-".to_owned() } else { words.join(" ") };
                text.push_str(&format!("allowed: {}\n", words(allowed)));
                text.push_str(&format!("{}: {}\n", if reads { "refused" } else { "missing" }, words(others)));
                for name in names {
                    text.push_str(&format!("  {name}\n"));
                }
            }
        }
        text
    }

    #[test]
    fn the_decisions_are_the_golden_table() {
        let table = table();
        if std::env::var_os("EYRIE_WRITE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/decisions.txt");
            std::fs::write(path, &table).unwrap_or_else(|error| unreachable!("{path}: {error}"));
            return;
        }
        assert_eq!(table, include_str!("decisions.txt"), "EYRIE_WRITE_GOLDEN=1 writes it anew");
    }

    /// The rule said another way, over every combination of grants.
    #[test]
    fn the_most_specific_grant_wins() {
        for (name, grants) in everybody(AccessLevel::Deployment) {
            let said = [grants.deployment, grants.group].into_iter().flatten().next();
            let role = match (grants.member, said) {
                _ if grants.disabled => None,
                _ if grants.operator || grants.owner => Some(Role::Admin),
                (None, _) => None,
                (Some(_), Some(grant)) => grant.role(),
                (role, None) => role,
            };
            assert_eq!(Decision::of(&grants).standing.role(), role, "{name}");
        }
    }
}
