//! Fields of a patch. What is missing stays as it is. Null takes off what need not be there, and is refused for everything else.

use serde::{Deserialize, Deserializer};

/// Reads a field that is there. A field of type `Option<T>` refuses null; one of type `Option<Option<T>>` takes it for "none".
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, from_value, json};

    use crate::{
        id::ScopeId,
        model::{ClusterPatch, DatasourcePatch, DeploymentPatch, GroupPatch, ProjectPatch, SchedulePatch, ScopePatch},
    };

    #[test]
    fn missing_null_and_given_are_three_things() {
        let read = |patch: Value| from_value::<DeploymentPatch>(patch).unwrap().scope_id;
        let id = ScopeId::new();
        assert_eq!((read(json!({})), read(json!({ "scope_id": null }))), (None, Some(None)));
        assert_eq!(read(json!({ "scope_id": id })), Some(Some(id)));
    }

    #[test]
    fn null_is_refused_where_something_must_be() {
        for field in ["name", "settings", "redeploy_on_commit", "redeploy_on_digest"] {
            assert!(from_value::<DeploymentPatch>(json!({ field: null })).is_err(), "{field}");
        }
        for field in ["name", "settings"] {
            let patch = json!({ field: null });
            assert!(from_value::<ProjectPatch>(patch.clone()).is_err() && from_value::<GroupPatch>(patch.clone()).is_err(), "{field}");
            assert!(from_value::<ScopePatch>(patch).is_err(), "{field}");
        }
        let nameless = json!({ "name": null });
        assert!(from_value::<DatasourcePatch>(nameless.clone()).is_err() && from_value::<ClusterPatch>(nameless).is_err());
        let without = from_value::<ClusterPatch>(json!({ "api_endpoint": null, "credentials_secret_id": null })).unwrap();
        assert_eq!((without.api_endpoint, without.credentials_secret_id), (Some(None), Some(None)));
        for field in ["cron", "time_zone", "kind", "missed", "enabled"] {
            assert!(from_value::<SchedulePatch>(json!({ field: null })).is_err(), "{field}");
        }
    }
}
