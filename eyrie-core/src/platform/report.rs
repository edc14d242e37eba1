//! Reports that a run's script makes from outside the process, with the token of its run.

use crate::{
    access::Permission,
    engine::redacted_report,
    error::{Error, ErrorKind, Invalid, Result},
    model::{ReportedState, Run},
    name::StepName,
    platform::Acting,
    store::{Change, Command, StepReport},
};

impl Acting {
    /// Reports a step of the run that the principal's token belongs to. With a `report_id`, a repeat is harmless.
    ///
    /// # Errors
    /// `Denied` for whoever has no run token; `IllegalTransition` when the run takes no reports now.
    pub async fn report_step(&self, name: StepName, state: ReportedState, message: String, report_id: Option<String>) -> Result<()> {
        if report_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 200) {
            return Err(Invalid::new("report_id", "must be 1 to 200 characters long").into());
        }
        let run = self.own_run().await?;
        let redactor = self.eyrie.redactor_of(&run).await?;
        let report = StepReport { parent: None, report_id, name, state, message };
        self.eyrie.0.engine.command(Command::unfenced(run.id, Change::Report(redacted_report(&redactor, report)))).await?;
        Ok(())
    }

    /// Says that the script has finished. The run ends with the script's exit code, which beats this; so nothing changes.
    ///
    /// # Errors
    /// `Denied` for whoever has no run token.
    pub async fn finish_own_run(&self) -> Result<()> {
        self.own_run().await.map(drop)
    }

    async fn own_run(&self) -> Result<Run> {
        let Some(id) = self.principal.bound_run() else {
            let denied = Permission::RunReport.denied();
            return Err(Error::new(ErrorKind::Denied, "report step", denied.to_string()));
        };
        self.run_for(id, Permission::RunReport).await
    }
}
