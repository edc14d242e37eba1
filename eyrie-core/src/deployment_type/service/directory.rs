//! The services directory: one folder a service, each with a `config.json`; and the one root that every script must be in.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    deployment_type::service::ServiceConfig,
    error::{Error, ErrorKind, Invalid, Result},
    name::ServiceName,
};

/// The largest `config.json`, in bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

/// The operator's folder of services. Whatever is executed is, after symlinks, inside it.
#[derive(Debug, Clone)]
pub struct ServicesRoot(PathBuf);

/// A service found in the directory.
#[derive(Debug)]
pub struct FoundService {
    /// The folder's name.
    pub folder: String,
    /// The name and config, or what is wrong with them.
    pub service: Result<(ServiceName, Value)>,
}

impl ServicesRoot {
    /// The folder at `path`.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unusable = |why: &str| Error::new(ErrorKind::NotFound, "open services", format!("services root {}: {why}", path.display()));
        let real = path.canonicalize().map_err(|error| unusable("cannot be opened").with_source(error))?;
        if real.is_dir() { Ok(Self(real)) } else { Err(unusable("is not a folder")) }
    }

    /// The folder, absolute and without symlinks.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All services, in the order of their names. Folders without a `config.json`, and hidden ones, are passed over.
    ///
    /// # Errors
    /// When the folder cannot be listed. What is wrong with one service is said in its place.
    pub fn scan(&self) -> Result<Vec<FoundService>> {
        let unreadable = |error| {
            let message = format!("services root {}: cannot be listed", self.0.display());
            Error::new(ErrorKind::Unavailable, "scan services", message).with_source(error)
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let folder = entry.file_name().to_string_lossy().into_owned();
            let config = entry.path().join("config.json");
            if folder.starts_with('.') || !config.exists() {
                continue;
            }
            let service = read_config(&folder, &config);
            found.push(FoundService { folder, service });
        }
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(found)
    }

    /// The real path of a service's script.
    ///
    /// # Errors
    /// [`Invalid`] when it is missing, outside the root after symlinks, no file or not executable.
    pub fn resolve_script(&self, service: &ServiceName, script: &str) -> Result<PathBuf, Invalid> {
        let path = self.inside("deploy_script", &self.0.join(service.as_str()).join(script), script)?;
        let metadata = path.metadata().map_err(|error| Invalid::new("deploy_script", format!("{script:?} cannot be read: {error}")))?;
        if !metadata.is_file() {
            return Err(Invalid::new("deploy_script", format!("{script:?} is not a file")));
        }
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 == 0 {
            return Err(Invalid::new("deploy_script", format!("{script:?} is not executable (chmod +x)")));
        }
        Ok(path)
    }

    /// The real path of a playbook: relative to the service's folder, else to the services root, else to the folder around it.
    ///
    /// # Errors
    /// [`Invalid`] when there is none there, or it lies outside the folder around the services root.
    pub fn resolve_playbook(&self, service: &ServiceName, playbook: &str) -> Result<PathBuf, Invalid> {
        let project = self.0.parent().unwrap_or(&self.0);
        let folders = [self.0.join(service.as_str()), self.0.clone(), project.to_path_buf()];
        let Some(found) = folders.iter().find_map(|folder| folder.join(playbook).canonicalize().ok()) else {
            return Err(Invalid::new(
                "ansible_playbook",
                format!("there is no {playbook:?} in the service's folder, the services root or the folder around it"),
            ));
        };
        if found.starts_with(project) {
            Ok(found)
        } else {
            Err(Invalid::new("ansible_playbook", format!("{playbook:?} lies outside the folder around the services root")))
        }
    }

    /// A service's folder.
    #[must_use]
    pub fn folder(&self, service: &ServiceName) -> PathBuf {
        self.0.join(service.as_str())
    }

    fn inside(&self, field: &'static str, path: &Path, named: &str) -> Result<PathBuf, Invalid> {
        let real = path.canonicalize().map_err(|error| Invalid::new(field, format!("{named:?} cannot be found: {error}")))?;
        if real.starts_with(&self.0) { Ok(real) } else { Err(Invalid::new(field, format!("{named:?} lies outside the services root"))) }
    }
}

fn read_config(folder: &str, path: &Path) -> Result<(ServiceName, Value)> {
    let file = format!("{folder}/config.json");
    let name = ServiceName::new(folder)?;
    let size = path.metadata().map(|metadata| metadata.len()).unwrap_or(0);
    if size > MAX_CONFIG {
        return Err(Invalid::new(file, format!("is {size} bytes; at most {MAX_CONFIG} are accepted")).into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| Invalid::new(file.clone(), format!("cannot be read: {error}")))?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| Invalid::new(file.clone(), format!("line {}, column {}: {error}", error.line(), error.column())))?;
    ServiceConfig::parse(&config).map_err(|invalid| {
        let line = line_of(&text, invalid.field());
        Invalid::new(format!("{file}: {}", invalid.field()), format!("line {line}: {}", invalid.reason()))
    })?;
    Ok((name, config))
}

/// The line on which the last key of the field's path first stands; 1 where it stands nowhere.
fn line_of(text: &str, field: &str) -> usize {
    let key = field.rsplit('.').next().unwrap_or(field);
    let key = key.split('[').next().unwrap_or(key);
    let quoted = format!("\"{key}\"");
    text.lines().position(|line| line.contains(&quoted)).map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn script(path: &Path, mode: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn scripts_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root_path = dir.path().join("services");
        script(&root_path.join("a/deploy.sh"), 0o755);
        script(&root_path.join("a/plain.sh"), 0o644);
        script(&dir.path().join("outside.sh"), 0o755);
        symlink(dir.path().join("outside.sh"), root_path.join("a/link.sh")).unwrap();
        let root = ServicesRoot::open(&root_path).unwrap();
        let service = ServiceName::new("a").unwrap();
        assert!(root.resolve_script(&service, "deploy.sh").is_ok());
        let absolute = dir.path().join("outside.sh");
        for bad in ["../../outside.sh", "link.sh", absolute.to_str().unwrap(), "missing.sh", "plain.sh", "."] {
            let refused = root.resolve_script(&service, bad).unwrap_err();
            assert_eq!(refused.field(), "deploy_script", "{bad}: {refused}");
        }
    }

    #[test]
    fn a_malformed_config_names_file_line_and_field() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, text) in
            [("bad-json", "{\n  \"a\": 1,\n  nope\n}"), ("bad-field", "{\n  \"description\": \"x\",\n  \"deploy_script\": 5\n}")]
        {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("config.json"), text).unwrap();
        }
        let found = ServicesRoot::open(dir.path()).unwrap().scan().unwrap();
        let said: Vec<_> = found.iter().map(|found| found.service.as_ref().unwrap_err().to_string()).collect();
        assert!(said[0].contains("bad-field/config.json: deploy_script") && said[0].contains("line 3"), "{said:?}");
        assert!(said[1].contains("bad-json/config.json") && said[1].contains("line 3"), "{said:?}");
    }
}
