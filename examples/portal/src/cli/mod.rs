//! The command line: arguments, and one file for each thing that it does.

mod audit;
mod backend;
mod decide;
mod demo;
mod deploy;
mod keyring;
mod local;
mod manage;
mod member;
mod progress;
mod queue;
mod remote;
mod schedule;
mod serve;
mod site;
mod token;

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use eyrie_core::Timestamp;
use eyrie_portal::{Decision, StepDecision};
use tracing_subscriber::EnvFilter;

/// What went wrong, for the person at the terminal.
type CliResult<T = ExitCode> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Deploys services by durable steps: a server, and commands against its store file or over HTTP.
#[derive(Debug, Parser)]
#[command(name = "eyrie", version, about)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
struct Place {
    /// The store: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/DATABASE`.
    #[arg(long, global = true, env = "EYRIE_STORE", default_value = "sqlite:eyrie.db")]
    store: String,
    /// The services directory: one folder a service, each with a config.json.
    #[arg(long, global = true, env = "EYRIE_SERVICES", default_value = "services")]
    services: PathBuf,
    /// The keyring, a file that secrets are sealed by; beside the store's file if missing. It is made when nothing is sealed yet.
    #[arg(long, global = true, env = "EYRIE_KEYRING")]
    keyring: Option<PathBuf>,
    /// Talk to a running server at this URL instead of opening the store. The token is read from EYRIE_TOKEN.
    #[arg(long, global = true, env = "EYRIE_SERVER")]
    server: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(ServeArguments),
    /// Show everything: a new store, the example services, a first deploy, the portal.
    Demo(DemoArguments),
    /// Deploy a service.
    Deploy(DeployArguments),
    /// List runs, newest first.
    Runs {
        /// Only of this service.
        service: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Say where a run stands and why it waits, or list the runs of a service that have not ended.
    Queue(QueueArguments),
    /// Print a run's log.
    Logs {
        /// The run.
        run: String,
        /// Go on until the run ends.
        #[arg(long)]
        follow: bool,
    },
    /// Cancel a run and wait until everything has stopped.
    Cancel {
        /// The run.
        run: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a parked run go on, or continue a failed one: what succeeded stays.
    Resume(RunArguments),
    /// Try one failed step of a failed run again, with what depends on it, and nothing else.
    RetryStep(StepArguments),
    /// Try every undo of a run that failed, or was cancelled, again.
    RetryUndo(RunArguments),
    /// Have a step whose undo failed count as undone, and undo the others.
    SkipUndo(StepArguments),
    /// Start a run with the plan, kind and context of another one.
    Rerun(RerunArguments),
    /// Approve of a step that a run waits for.
    Approve(StepArguments),
    /// Reject a step that a run waits for: the run fails.
    Reject(StepArguments),
    /// Run services at recurring times.
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
    /// Manage roles in projects, groups and deployments.
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Say whether somebody may do something, and which grant decides; exits with 1 when not.
    Explain(member::ExplainArguments),
    /// Take over what is in the services directory.
    Sync,
    /// Manage accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Look after the keys that secrets are sealed by.
    #[command(subcommand)]
    Keyring(keyring::KeyringCommand),
    /// Read who did what.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Manage tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
}

#[derive(Debug, Clone, Args)]
struct ServeArguments {
    /// Where to listen.
    #[arg(long, env = "EYRIE_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The URL under which scripts and people reach this server.
    #[arg(long, env = "EYRIE_PUBLIC_URL")]
    public_url: Option<String>,
    /// The user that scripts run as, `UID:GID`. Needs a server that is started as root.
    #[arg(long, env = "EYRIE_RUN_AS")]
    run_as: Option<String>,
    /// How many runs at the same time.
    #[arg(long, default_value_t = 64)]
    max_runs: usize,
    /// How many MiB of a run's log are kept: of a longer one the beginning and the end.
    #[arg(long, default_value_t = 64)]
    max_log: u64,
    /// How many seconds running scripts have to end when the server is stopped.
    #[arg(long, default_value_t = 10)]
    shutdown_grace: u64,
}

#[derive(Debug, Clone, Args)]
struct DemoArguments {
    /// Where to keep the demo's files; a temporary folder if missing.
    folder: Option<PathBuf>,
    /// Stop after the first deploy.
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Clone, Args)]
struct DeployArguments {
    /// The service's name.
    service: String,
    /// Show the run until it ends, and exit with 1 when it did not succeed.
    #[arg(long)]
    follow: bool,
    /// Pass `KEY=VALUE` to the script, in its context file under `context.env`.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// When it may begin, at the earliest (RFC 3339, for instance 2026-12-24T22:00:00+01:00); until then it keeps nobody from their turn.
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// A key against starting the same deploy twice.
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[group(id = "whose", args = ["service", "run"], required = true, multiple = false)]
struct QueueArguments {
    /// The service whose queue to list.
    service: Option<String>,
    /// The run to look for.
    #[arg(long)]
    run: Option<String>,
    /// How many to list.
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Clone, Args)]
struct RunArguments {
    /// The run.
    run: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Show the run until it ends, and exit with 1 when it did not succeed, or what was to be undone was not.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Clone, Args)]
struct RerunArguments {
    /// The run.
    run: String,
    /// Show the new run until it ends, and exit with 1 when it did not succeed.
    #[arg(long)]
    follow: bool,
    /// A key against starting the same run twice.
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Args)]
struct StepArguments {
    /// The run.
    run: String,
    /// The name of the step; may be left out when there is only one to decide on.
    step: Option<String>,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Show the run until it ends, and exit with 1 when it did not succeed, or what was to be undone was not.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add an account; the password is asked for, or read from standard input.
    Add {
        /// The name to sign in with.
        name: String,
        /// Make it an operator.
        #[arg(long)]
        operator: bool,
    },
}

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_server = matches!(arguments.command, Command::Serve(_));
    let fallback = if is_server { "info" } else { "error" };
    let filter = EnvFilter::try_from_env("EYRIE_LOG").unwrap_or_else(|_| EnvFilter::new(fallback));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(run(arguments));
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => fail(&*error),
    }
}

async fn run(Arguments { place, command }: Arguments) -> CliResult {
    match command {
        Command::Serve(arguments) => serve::serve(&place, arguments).await,
        Command::Demo(arguments) => demo::demo(arguments).await,
        Command::Deploy(arguments) => deploy::deploy(&place, arguments).await,
        Command::Runs { service, limit } => manage::runs(&place, service.as_deref(), limit).await,
        Command::Queue(arguments) => queue::queue(&place, arguments).await,
        Command::Logs { run, follow } => manage::logs(&place, &run, follow).await,
        Command::Cancel { run, reason } => manage::cancel(&place, &run, &reason).await,
        Command::Resume(arguments) => decide::decide(&place, arguments, Decision::Resume).await,
        Command::RetryStep(arguments) => decide::decide_step(&place, arguments, StepDecision::Retry).await,
        Command::RetryUndo(arguments) => decide::decide(&place, arguments, Decision::RetryUndo).await,
        Command::SkipUndo(arguments) => decide::decide_step(&place, arguments, StepDecision::SkipUndo).await,
        Command::Rerun(arguments) => decide::rerun(&place, arguments).await,
        Command::Approve(arguments) => decide::decide_step(&place, arguments, StepDecision::Approve).await,
        Command::Reject(arguments) => decide::decide_step(&place, arguments, StepDecision::Reject).await,
        Command::Schedule(command) => schedule::schedule(&place, command).await,
        Command::Keyring(command) => keyring::keyring(&place, command).await,
        Command::Member(command) => member::member(&place, command).await,
        Command::Explain(arguments) => member::explain(&place, arguments).await,
        Command::Sync => manage::sync(&place).await,
        Command::User(UserCommand::Add { name, operator }) => manage::add_user(&place, &name, operator).await,
        Command::Audit(command) => audit::run(&place, command).await,
        Command::Token(command) => token::run(&place, command).await,
    }
}

#[expect(clippy::print_stderr, reason = "the command's own voice")]
fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("eyrie: {}", eyrie_core::error::report(error));
    ExitCode::from(2)
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the command's own voice")]
fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
