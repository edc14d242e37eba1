//! The action that runs a service's script.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    deployment_type::service::{ServicesRoot, context_file::ContextFile, output::ScriptOutput},
    engine::{Action, ActionContext, ActionError, Output, Reclaimed},
    name::{ServiceName, StepName},
    process::{Exit, HeldProcess, Orphan, ProcessIdentity, ProcessSpec, RunAs, RunningProcess, end_orphan},
};

/// How scripts are run.
#[derive(Debug, Clone)]
pub struct ScriptOptions {
    /// The user that scripts run as; none: the server's own. Needs a server that may change its user.
    pub run_as: Option<RunAs>,
    /// `PATH` of scripts.
    pub path: OsString,
    /// `HOME` of scripts.
    pub home: OsString,
    /// `LANG` of scripts.
    pub lang: OsString,
    /// Where context files are written. Must be a folder that the scripts' user can enter.
    pub context_folder: PathBuf,
    /// How long a script has between TERM and KILL. Keep it below the engine's own grace.
    pub term_grace: Duration,
}

impl Default for ScriptOptions {
    fn default() -> Self {
        let inherit = |key, fallback: &str| std::env::var_os(key).unwrap_or_else(|| fallback.into());
        Self {
            run_as: None,
            path: inherit("PATH", "/usr/local/bin:/usr/bin:/bin"),
            home: inherit("HOME", "/"),
            lang: inherit("LANG", "C.UTF-8"),
            context_folder: std::env::temp_dir(),
            term_grace: Duration::from_secs(5),
        }
    }
}

/// Runs a script in a process group of its own and records what it reports.
#[derive(Debug)]
pub struct ScriptAction {
    root: Arc<ServicesRoot>,
    options: ScriptOptions,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    service: ServiceName,
    script: String,
    config: Value,
    expected: Vec<StepName>,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    branch: Option<Value>,
    #[serde(default)]
    image: Option<Value>,
}

/// What a takeover needs.
#[derive(Debug, Serialize, Deserialize)]
struct Handle {
    process: ProcessIdentity,
    machine: Option<String>,
    host: String,
    context_file: PathBuf,
}

impl ScriptAction {
    /// Runs scripts below `root`.
    #[must_use]
    pub fn new(root: Arc<ServicesRoot>, options: ScriptOptions) -> Self {
        Self { root, options }
    }

    async fn context_file(&self, cx: &ActionContext, parameters: &Parameters) -> Result<ContextFile, ActionError> {
        let mut content = json!({
            "run_id": cx.run().id,
            "service": parameters.service,
            "deploy_script": format!("{}/{}", parameters.service, parameters.script),
            "kind": cx.run().kind,
            "attempt": cx.attempt(),
            "idempotency_key": cx.idempotency_key(),
            "origin": cx.run().origin,
            "context": *cx.run().context,
            "config": parameters.config,
            "settings": parameters.settings,
            "path_for_deploy": self.options.path.to_string_lossy(),
        });
        for (name, source) in [("branch", &parameters.branch), ("image", &parameters.image)] {
            if let (Some(source), Some(fields)) = (source, content.as_object_mut()) {
                fields.insert(name.to_owned(), source.clone());
            }
        }
        if let (Some(access), Some(fields)) = (cx.access().await?, content.as_object_mut()) {
            fields.insert("access_token".to_owned(), access.token.into());
            fields.insert("steps_url".to_owned(), format!("{}/api/v1/steps", access.base_url).into());
            fields.insert("deployment_finish_url".to_owned(), format!("{}/api/v1/runs/finish", access.base_url).into());
        }
        Ok(ContextFile::create(&self.options.context_folder, &content, self.options.run_as)?)
    }

    fn spec(&self, program: PathBuf, service: &ServiceName, context: &ContextFile) -> ProcessSpec {
        let file = context.path().as_os_str().to_owned();
        let options = &self.options;
        let env = [
            ("PATH", options.path.clone()),
            ("HOME", options.home.clone()),
            ("LANG", options.lang.clone()),
            ("EYRIE_CONFIG_FILE", file.clone()),
            ("DEPLOY_CONFIG_FILE", file.clone()),
        ];
        ProcessSpec {
            program,
            args: vec!["--config".into(), file],
            env: env.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            cwd: self.root.folder(service),
            user: options.run_as,
        }
    }

    async fn supervise(
        &self,
        cx: &ActionContext,
        process: &mut RunningProcess,
        output: &mut ScriptOutput<'_>,
    ) -> Result<Exit, ActionError> {
        let mut stopped = None;
        loop {
            tokio::select! {
                biased;
                () = cx.cancelled(), if stopped.is_none() => stopped = Some(process.stop(self.options.term_grace).await),
                batch = process.next_output() => match batch {
                    Some(lines) => output.take(lines).await?,
                    None => break,
                },
                () = tokio::time::sleep(Duration::from_millis(200)) => output.flush().await,
            }
        }
        if process.dropped_output() > 0 {
            cx.log(format!("eyrie: {} pieces of output were dropped while the script was being stopped\n", process.dropped_output())).await;
        }
        let exit = match stopped {
            Some(exit) => exit,
            None => process.exited().await,
        };
        output.finish().await?;
        match stopped {
            Some(exit) => Err(ActionError::new(format!("stopped; the script ended with {exit}"))),
            None => Ok(exit),
        }
    }
}

#[async_trait]
impl Action for ScriptAction {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let parameters: Parameters = cx.parse_parameters()?;
        let program = self.root.resolve_script(&parameters.service, &parameters.script)?;
        // On its way while the script is being prepared; durable before it begins.
        let expected = cx.expect(parameters.expected.clone());
        let context = self.context_file(&cx, &parameters).await?;
        let held = HeldProcess::spawn(&self.spec(program, &parameters.service, &context))
            .map_err(|error| ActionError::permanent(crate::error::report(&error)))?;
        let handle =
            Handle { process: held.identity().clone(), machine: machine_id(), host: host_name(), context_file: context.path().to_owned() };
        // Durable before the script begins: whoever takes the run over can find and end it.
        let kept = cx.keep_handle(serde_json::to_value(&handle).map_err(|error| ActionError::permanent(error.to_string()))?);
        tokio::try_join!(expected, kept)?;
        let mut process = held.release().await.map_err(|error| ActionError::new(crate::error::report(&error)))?;
        tracing::info!(pid = process.identity().pid, service = %parameters.service, "script started");
        let mut output = ScriptOutput::new(&cx);
        let exit = self.supervise(&cx, &mut process, &mut output).await?;
        if !exit.success() {
            let last = output.failed().last().map(|step| format!("; failed: {step}")).unwrap_or_default();
            return Err(ActionError::new(format!("the script ended with {exit}{last}")));
        }
        // Steps may also have been reported over HTTP, with the token of the run.
        let recorded = cx.failed_reports().await?.into_iter().map(|step| step.to_string());
        let failed: Vec<_> = if output.failed().is_empty() { recorded.collect() } else { output.failed().to_vec() };
        match failed.first() {
            None => Ok(Some(json!({ "exit_code": 0 }))),
            Some(first) => Err(ActionError::new(format!("the script ended well, but reported {} failed: {first}", steps(failed.len())))),
        }
    }

    async fn reclaim(&self, handle: &Value) -> Reclaimed {
        let handle: Handle = match serde_json::from_value(handle.clone()) {
            Ok(handle) => handle,
            Err(error) => return Reclaimed::Unknown(format!("its handle cannot be read: {error}")),
        };
        if handle.machine != machine_id() {
            return Reclaimed::Unknown(format!("process group {} on host {}", handle.process.pid, handle.host));
        }
        match end_orphan(&handle.process, self.options.term_grace).await {
            Ok(Orphan::Gone | Orphan::OtherBoot) => {}
            Ok(Orphan::Killed) => tracing::warn!(pid = handle.process.pid, "a script whose worker had died was ended"),
            Ok(Orphan::Survived { pids }) => return Reclaimed::Unknown(format!("processes {pids:?} on this host cannot be killed")),
            Err(error) => return Reclaimed::Unknown(crate::error::report(&error)),
        }
        ContextFile::remove_left_over(&handle.context_file);
        Reclaimed::Dead
    }
}

fn steps(count: usize) -> String {
    if count == 1 { "1 step".to_owned() } else { format!("{count} steps") }
}

fn machine_id() -> Option<String> {
    let read = std::fs::read_to_string("/etc/machine-id").ok();
    read.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}
