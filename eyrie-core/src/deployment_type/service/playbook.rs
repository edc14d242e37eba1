//! The task names of an Ansible playbook, as the steps to expect.

use std::path::Path;

use saphyr::{LoadableYamlNode, Yaml};

use crate::{error::Invalid, name::StepName};

/// The largest playbook, in bytes.
const MAX_PLAYBOOK: u64 = 1024 * 1024;

/// `Gathering Facts` (unless it is turned off) and the named tasks of the first play; nothing for a play of roles only.
///
/// # Errors
/// [`Invalid`] when the playbook cannot be read as YAML.
pub(super) fn task_names(path: &Path) -> Result<Vec<StepName>, Invalid> {
    let invalid = |why: String| Invalid::new("ansible_playbook", format!("{}: {why}", path.display()));
    let size = path.metadata().map_err(|error| invalid(error.to_string()))?.len();
    if size > MAX_PLAYBOOK {
        return Err(invalid(format!("is {size} bytes; at most {MAX_PLAYBOOK} are accepted")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    let documents = Yaml::load_from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let play = documents.first().and_then(Yaml::as_sequence).and_then(|plays| plays.first());
    let Some(play) = play else {
        return Err(invalid("is not a list of plays".to_owned()));
    };
    let Some(tasks) = play.as_mapping_get("tasks").and_then(Yaml::as_sequence) else {
        return Ok(Vec::new());
    };
    let gathers = play.as_mapping_get("gather_facts").and_then(Yaml::as_bool).unwrap_or(true);
    let named = tasks.iter().filter_map(|task| task.as_mapping_get("name")?.as_str());
    let first = gathers.then_some("Gathering Facts");
    Ok(first.into_iter().chain(named).filter_map(|name| StepName::new(name.trim()).ok()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_the_named_tasks_of_the_first_play() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("playbook.yml");
        std::fs::write(
            &path,
            "- hosts: all\n  tasks:\n    - name: One\n      ping:\n    - ping:\n    - name: \"Two: {{ x }}\"\n      ping:\n",
        )
        .unwrap();
        let names: Vec<_> = task_names(&path).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Gathering Facts", "One", "Two: {{ x }}"]);
        std::fs::write(&path, "- hosts: all\n  roles: [web]\n").unwrap();
        assert!(task_names(&path).unwrap().is_empty());
        std::fs::write(&path, "a: [").unwrap();
        assert_eq!(task_names(&path).unwrap_err().field(), "ansible_playbook");
    }
}
