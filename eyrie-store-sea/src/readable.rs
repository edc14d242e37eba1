//! What a member's overrides leave to be seen, as conditions of the statement that lists: nothing is read to be thrown away.

use eyrie_core::{id::UserId, model::Grant};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::SelectStatement};

use crate::entity::{deployment, deployment_override, group_override};

/// The same conditions as [`deployments_readable`] on the column `deployment_id`, for a statement in whose text it stands; `?5` is the user.
macro_rules! readable_by_fifth {
    () => {
        " AND (deployment_id IN (SELECT o.deployment_id FROM deployment_overrides o WHERE o.user_id = ?5 AND o.role <> 'none') \
            OR (deployment_id NOT IN (SELECT o.deployment_id FROM deployment_overrides o WHERE o.user_id = ?5 AND o.role = 'none') \
            AND deployment_id NOT IN (SELECT d.id FROM deployments d WHERE d.group_id IN \
                (SELECT g.group_id FROM group_overrides g WHERE g.user_id = ?5 AND g.role = 'none'))))"
    };
}
pub(crate) use readable_by_fifth;

/// Of deployments, by a column that names them: all but those that are hidden by an override of their own, or by one of their group
/// without one of their own that says otherwise.
pub(crate) fn deployments_readable(column: impl ColumnTrait, reader: UserId) -> Condition {
    let in_hidden_groups = deployment::Entity::find()
        .select_only()
        .column(deployment::Column::Id)
        .filter(deployment::Column::GroupId.in_subquery(hidden_groups(reader)))
        .into_query();
    Condition::any()
        .add(column.in_subquery(own(reader, false)))
        .add(Condition::all().add(column.not_in_subquery(own(reader, true))).add(column.not_in_subquery(in_hidden_groups)))
}

/// Of groups, by a column that names them: all but those that are hidden by an override.
pub(crate) fn groups_readable(column: impl ColumnTrait, reader: UserId) -> Condition {
    Condition::all().add(column.not_in_subquery(hidden_groups(reader)))
}

fn hidden_groups(reader: UserId) -> SelectStatement {
    group_override::Entity::find()
        .select_only()
        .column(group_override::Column::GroupId)
        .filter(group_override::Column::UserId.eq(reader.uuid()))
        .filter(group_override::Column::Role.eq(Grant::None.as_str()))
        .into_query()
}

/// The deployments with an override of their own that hides them, or that does not.
fn own(reader: UserId, hides: bool) -> SelectStatement {
    let role = deployment_override::Column::Role;
    let none = Grant::None.as_str();
    deployment_override::Entity::find()
        .select_only()
        .column(deployment_override::Column::DeploymentId)
        .filter(deployment_override::Column::UserId.eq(reader.uuid()))
        .filter(if hides { role.eq(none) } else { role.ne(none) })
        .into_query()
}
