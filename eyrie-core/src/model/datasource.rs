//! External data stores: where backups go, and where data lives.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{DatasourceId, ProjectId, SecretId},
    model::{Endpoint, Owner, endpoint::is_host, patch::given},
    name::{DisplayName, Slug},
    word_enum::word_enum,
};

word_enum! {
    /// What a datasource is.
    pub enum DataType("data_type") {
        /// A bucket behind an interface like S3's.
        S3Like = "s3like",
        /// A PostgreSQL database.
        Postgres = "postgres",
        /// A MySQL database.
        Mysql = "mysql",
        /// A folder of a file system.
        Filesystem = "filesystem",
    }
}

word_enum! {
    /// What a datasource is for.
    pub enum DatasourceUsage("usage") {
        /// Backups are written there.
        RemoteBackup = "remote_backup",
        /// The data of a deployment lives there.
        PrimaryDatabase = "primary_database",
        /// A copy of it that is read only.
        ReadReplica = "read_replica",
        /// Files of a deployment live there.
        FileStorage = "file_storage",
    }
}

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// The server.
    pub endpoint: Endpoint,
    /// The bucket: 3 to 63 characters of a-z, 0-9, `-` and `.`.
    pub bucket: String,
    /// The region, where the server asks for one.
    #[serde(default)]
    pub region: Option<String>,
    /// What keys begin with: a path without `..`.
    #[serde(default)]
    pub path: Option<String>,
}

/// Where a database is. Who signs in, and how, is kept as a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The server's name or address.
    pub host: String,
    /// The server's port; that of its kind if missing.
    #[serde(default)]
    pub port: Option<u16>,
    /// The database.
    pub database: String,
}

/// Where a folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// An absolute path without `..`.
    pub path: String,
}

/// What a datasource is, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "data_type", content = "config", rename_all = "lowercase")]
pub enum DatasourceConfig {
    /// A bucket behind an interface like S3's.
    S3Like(BucketConfig),
    /// A PostgreSQL database.
    Postgres(DatabaseConfig),
    /// A MySQL database.
    Mysql(DatabaseConfig),
    /// A folder of a file system.
    Filesystem(FolderConfig),
}

impl DatasourceConfig {
    /// Reads the config of a datasource of that type.
    ///
    /// # Errors
    /// [`Invalid`] names the field, under `config`, and nothing of what it holds.
    pub fn parse(data_type: DataType, config: &Value) -> Result<Self, Invalid> {
        Ok(match data_type {
            DataType::S3Like => Self::S3Like(bucket(read(config)?)?),
            DataType::Postgres => Self::Postgres(database(read(config)?)?),
            DataType::Mysql => Self::Mysql(database(read(config)?)?),
            DataType::Filesystem => Self::Filesystem(folder(read(config)?)?),
        })
    }

    /// What it is.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::S3Like(_) => DataType::S3Like,
            Self::Postgres(_) => DataType::Postgres,
            Self::Mysql(_) => DataType::Mysql,
            Self::Filesystem(_) => DataType::Filesystem,
        }
    }

    /// The config without its type, as [`parse`](Self::parse) takes it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let written = match self {
            Self::S3Like(config) => serde_json::to_value(config),
            Self::Postgres(config) | Self::Mysql(config) => serde_json::to_value(config),
            Self::Filesystem(config) => serde_json::to_value(config),
        };
        written.unwrap_or_default()
    }
}

fn read<T: DeserializeOwned>(config: &Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let told = error.into_inner().to_string();
        let is_about_a_name = told.starts_with("missing field") || told.starts_with("unknown field");
        let named = told.split('`').nth(1).filter(|_| is_about_a_name).unwrap_or_default();
        let mut field = "config".to_owned();
        let path = path.trim_matches('.');
        let parts = if path.ends_with(named) && !path.is_empty() { [path, ""] } else { [path, named] };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            field.push('.');
            field.push_str(part);
        }
        // What the reader says of a wrong type shows the value, which may be a password in the wrong place.
        let reason = match told.strip_prefix("endpoint: ") {
            Some(reason) => reason.to_owned(),
            None if is_about_a_name => told,
            None => "is of the wrong type, or beyond what it can be".to_owned(),
        };
        Invalid::new(field, reason)
    })
}

fn refused<T>(field: &'static str, reason: &str) -> Result<T, Invalid> {
    Err(Invalid::new(field, reason))
}

fn bucket(config: BucketConfig) -> Result<BucketConfig, Invalid> {
    let name = config.bucket.as_bytes();
    let is_plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = (3..=63).contains(&name.len())
        && name.iter().all(|b| is_plain(b) || *b == b'-' || *b == b'.')
        && name.first().is_some_and(is_plain)
        && name.last().is_some_and(is_plain)
        && !config.bucket.contains("..");
    if !good {
        return refused("config.bucket", "must be 3 to 63 characters of a-z, 0-9, '-' and '.', with a letter or digit at both ends");
    }
    if config.region.as_ref().is_some_and(|region| !is_word(region)) {
        return refused("config.region", "must be 1 to 63 letters, digits, '-' and '_'");
    }
    if config.path.as_ref().is_some_and(|path| path.starts_with('/') || !is_path(path)) {
        return refused("config.path", "must be a relative path of at most 1000 characters without '.', '..' and control characters");
    }
    Ok(config)
}

fn database(config: DatabaseConfig) -> Result<DatabaseConfig, Invalid> {
    if !is_host(&config.host) && config.host.parse::<std::net::IpAddr>().is_err() {
        return refused("config.host", "must be a host's name or address, without scheme, user and port");
    }
    if config.port == Some(0) {
        return refused("config.port", "must be 1 to 65535");
    }
    if !is_word(&config.database) {
        return refused("config.database", "must be 1 to 63 letters, digits, '-' and '_'");
    }
    Ok(config)
}

fn folder(config: FolderConfig) -> Result<FolderConfig, Invalid> {
    match config.path.strip_prefix('/') {
        Some(rest) if is_path(rest) => Ok(config),
        _ => refused("config.path", "must be an absolute path of at most 1000 characters without '.', '..' and control characters"),
    }
}

fn is_word(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_path(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.len() <= 1000 && !text.chars().any(|c| c.is_control() || c == '\\') && text.trim_end_matches('/').split('/').all(is_part)
}

/// An external data store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Datasource {
    /// The datasource's id.
    pub id: DatasourceId,
    /// The project that has it; none: the operators do.
    pub project_id: Option<ProjectId>,
    /// Unique among those of its owner.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// What it is for.
    pub usage: DatasourceUsage,
    /// What it is, and where.
    #[serde(flatten)]
    pub config: DatasourceConfig,
    /// The owner's secret that holds its credentials.
    pub credentials_secret_id: Option<SecretId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

impl Datasource {
    /// Who has it.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner::of(self.project_id)
    }
}

/// What a new datasource needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDatasource {
    /// The project that has it; missing: the operators do.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// Unique among those of its owner.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// What it is.
    pub data_type: DataType,
    /// What it is for.
    pub usage: DatasourceUsage,
    /// Where it is, as its type asks for it.
    pub config: Value,
    /// The owner's secret that holds its credentials.
    #[serde(default)]
    pub credentials_secret_id: Option<SecretId>,
}

/// What to change of a datasource; what is missing stays. Its type stays in any case.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasourcePatch {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Where it is, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub config: Option<Value>,
    /// The owner's secret that holds its credentials; null: none.
    #[serde(default, deserialize_with = "given")]
    pub credentials_secret_id: Option<Option<SecretId>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn configs_are_read_and_written_back() {
        for (data_type, config) in [
            (DataType::S3Like, json!({ "endpoint": "https://s3.example.org", "bucket": "back-ups", "region": "eu-1", "path": "a/b" })),
            (DataType::Postgres, json!({ "host": "db.example.org", "port": 5432, "database": "shop" })),
            (DataType::Mysql, json!({ "host": "fd00::1", "port": null, "database": "shop" })),
            (DataType::Filesystem, json!({ "path": "/srv/backups" })),
        ] {
            let parsed = DatasourceConfig::parse(data_type, &config).unwrap();
            assert_eq!((parsed.data_type(), parsed.to_value()), (data_type, config));
            assert_eq!(serde_json::to_value(&parsed).unwrap()["data_type"], data_type.as_str());
        }
    }

    #[test]
    fn a_bad_field_is_named_and_its_value_is_not() {
        let s3 = |field: &str, value: Value| {
            let mut config = json!({ "endpoint": "https://s3.example.org", "bucket": "back-ups" });
            config[field] = value;
            (DataType::S3Like, config)
        };
        let db = |host: &str| (DataType::Postgres, json!({ "host": host, "database": "shop" }));
        for ((data_type, config), field) in [
            (s3("endpoint", json!("https://me:hunter2@s3.example.org")), "config.endpoint"),
            (s3("endpoint", json!(7)), "config.endpoint"),
            (s3("bucket", json!("Hunter2")), "config.bucket"),
            (s3("bucket", json!({ "hunter2": 1 })), "config.bucket"),
            (s3("path", json!("../hunter2")), "config.path"),
            (s3("region", json!("hunter2 x")), "config.region"),
            (s3("secret_key", json!("hunter2")), "config.secret_key"),
            (db("postgres://me:hunter2@db"), "config.host"),
            (db("me:hunter2@db"), "config.host"),
            ((DataType::Mysql, json!({ "host": "db", "database": "a/hunter2" })), "config.database"),
            ((DataType::Mysql, json!({ "host": "db", "port": 70_000, "database": "a" })), "config.port"),
            ((DataType::Mysql, json!({ "host": "db" })), "config.database"),
            ((DataType::Filesystem, json!({ "path": "srv" })), "config.path"),
            ((DataType::Filesystem, json!({ "path": "/srv/../etc" })), "config.path"),
            ((DataType::Filesystem, json!("hunter2")), "config"),
        ] {
            let refusal = DatasourceConfig::parse(data_type, &config).unwrap_err();
            assert_eq!(refusal.field(), field, "{config}: {refusal}");
            assert!(!refusal.reason().contains("unter2"), "{refusal}");
        }
    }
}
