//! Deploying services over HTTP against the release portal on SQLite, beside the older server's numbers.
//!
//! `cargo bench -p eyrie-benches --bench services`. Builds the portal if need be. The last line on stdout is JSON.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use eyrie_benches::{
    percentiles::{percentile_ms, round},
    process::{cpu_time, memory_kib},
    raw_sqlite,
};
use eyrie_store_sea::SeaStore;
use futures_util::future::try_join_all;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ONE_BY_ONE: usize = 100;
const AT_ONCE: usize = 50;
const ROUNDS: usize = 5;
const STEPS: usize = 1000;
const LINES: usize = 100_000;

const NAME: &str = "bench";
const PASSWORD: &str = "a password of the benchmark";

const ONE_STEP: &str = "#!/bin/sh\n\
    echo '{\"name\": \"Deploy\", \"state\": \"running\"}'\n\
    echo '{\"name\": \"Deploy\", \"state\": \"success\"}'\n";

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(bench())
}

async fn bench() -> Result<()> {
    let portal = build_portal()?;
    let folder = tempfile::tempdir_in(std::env::var_os("EYRIE_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into))?;
    let services = folder.path().join("services");
    write_services(&services)?;
    let url = format!("sqlite:{}/bench.db", folder.path().display());
    add_operator(&portal, &url, &services)?;
    let store = SeaStore::open(&url).await?;
    let synchronous = store.synchronous().await?;
    store.close().await;
    drop(store);
    println!("store: sqlite, journal_mode WAL, synchronous {synchronous} (the default, read back)");
    let raw = raw_sqlite::measure(folder.path(), synchronous, 1.0)?;
    println!("raw limit before: {:.0} commits/s of one row ({:.3} ms each)", raw.single_commits_per_s, 1000.0 / raw.single_commits_per_s);

    // Ends when it is dropped, also when something fails on the way.
    let server = Server::start(&portal, &url, &services, folder.path())?;
    let result = measure(&server, &services.join("one")).await;
    if result.is_err() {
        eprintln!("the server's last lines:\n{}", server.last_lines());
    }
    let mut line = result?;
    line["store"] = json!("sqlite");
    line["synchronous"] = json!(synchronous);
    line["raw_single_commits_per_s"] = json!(raw.single_commits_per_s.round());
    drop(server);
    println!("{line}");
    Ok(())
}

async fn measure(server: &Server, one: &Path) -> Result<Value> {
    let portal = Portal::sign_in(&server.url).await?;
    let one = one_by_one(server, &portal, one).await?;
    let fifty = at_once(server, &portal).await?;
    let (first, first_used) = thousand_steps(server, &portal).await?;
    let (second, second_used) = thousand_steps(server, &portal).await?;
    let (lines, lines_used, lines_rss) = long_log(server, &portal).await?;

    let thousand = first.max(second);
    let peak = [one.used, fifty.used, first_used, second_used, lines_used].iter().map(|used| used.peak_mib).fold(0.0, f64::max);
    println!();
    row(["", "older server", "target", "measured", "", "cpu s", "peak MiB"]);
    let met = |met: bool| if met { "met" } else { "MISSED" };
    row([
        "one service, one step",
        "1.3 s",
        "< 30 ms overhead",
        &format!("{:.1} ms overhead (p50)", one.overhead_p50),
        met(one.overhead_p50 < 30.0),
        &one.used.cpu(),
        &one.used.peak(),
    ]);
    row([
        "50 at once",
        "1.3/s, 2 to 3 refused, 8 to 19 wrong",
        "all 50 right, >= 50/s",
        &format!("{}/{} right, {:.0}/s", fifty.right, AT_ONCE * ROUNDS, fifty.per_s),
        met(fifty.right == AT_ONCE * ROUNDS && fifty.per_s >= 50.0),
        &fifty.used.cpu(),
        &fifty.used.peak(),
    ]);
    for (what, took, used) in [("1,000 steps", first, first_used), ("1,000 steps, seeded", second, second_used)] {
        row([what, "80 s", "< 0.5 s", &format!("{took:.3} s"), met(took < 0.5), &used.cpu(), &used.peak()]);
    }
    row(["100,000 lines", "2.2 s", "< 1 s", &format!("{lines:.3} s"), met(lines < 1.0), &lines_used.cpu(), &lines_used.peak()]);
    row(["memory after them", "200 MB", "< 60 MB", &format!("{:.1} MB", megabytes(lines_rss)), met(megabytes(lines_rss) < 60.0), "", ""]);
    println!();
    Ok(json!({
        "one_p50_ms": one.p50,
        "one_p99_ms": one.p99,
        "one_polled_p50_ms": one.polled_p50,
        "script_p50_ms": one.script_p50,
        "script_p99_ms": one.script_p99,
        "overhead_p50_ms": round(one.overhead_p50),
        "overhead_p99_ms": round(one.p99 - one.script_p99),
        "one_cpu_s": one.used.cpu_s,
        "one_peak_mib": one.used.peak_mib,
        "fifty_ok": fifty.right == AT_ONCE * ROUNDS,
        "fifty_right": fifty.right,
        "fifty_of": AT_ONCE * ROUNDS,
        "fifty_per_s": round(fifty.per_s),
        "fifty_worst_per_s": round(fifty.worst_per_s),
        "fifty_p50_ms": fifty.p50,
        "fifty_p99_ms": fifty.p99,
        "fifty_scripts_alone_per_s": round(fifty.scripts_per_s),
        "fifty_cpu_s": fifty.used.cpu_s,
        "fifty_peak_mib": fifty.used.peak_mib,
        "thousand_steps_s": round(thousand),
        "thousand_steps_first_s": round(first),
        "thousand_steps_seeded_s": round(second),
        "thousand_steps_cpu_s": round(first_used.cpu_s + second_used.cpu_s),
        "thousand_steps_peak_mib": first_used.peak_mib.max(second_used.peak_mib),
        "lines_s": round(lines),
        "lines_cpu_s": lines_used.cpu_s,
        "lines_peak_mib": lines_used.peak_mib,
        "memory_after_lines_mb": round(megabytes(lines_rss)),
        "peak_memory_mib": peak,
        "targets_met": {
            "overhead": one.overhead_p50 < 30.0,
            "fifty": fifty.right == AT_ONCE * ROUNDS && fifty.per_s >= 50.0,
            "thousand_steps": thousand < 0.5,
            "lines": lines < 1.0,
            "memory_after_lines": megabytes(lines_rss) < 60.0,
        },
    }))
}

fn row(cells: [&str; 7]) {
    let [what, older, target, measured, met, cpu, peak] = cells;
    println!("{what:<22} {older:<37} {target:<22} {measured:<26} {met:<7} {cpu:>6} {peak:>9}");
}

struct OneByOne {
    p50: f64,
    p99: f64,
    polled_p50: f64,
    script_p50: f64,
    script_p99: f64,
    overhead_p50: f64,
    used: Used,
}

/// One service with one step, again and again, each beside the same script without a server.
async fn one_by_one(server: &Server, portal: &Portal, folder: &Path) -> Result<OneByOne> {
    for _ in 0..5 {
        portal.deploy("one").await?;
        run_script(folder)?;
    }
    let (mut runs, mut polled, mut scripts) = (Vec::new(), Vec::new(), Vec::new());
    let meter = server.meter();
    for _ in 0..ONE_BY_ONE {
        let begun = Instant::now();
        let run = portal.deploy("one").await?;
        runs.push(begun.elapsed());
        if !portal.is_right(&run, 1).await? {
            return Err(format!("run {run} did not succeed").into());
        }
        let begun = Instant::now();
        run_script(folder)?;
        scripts.push(begun.elapsed());
    }
    let used = meter.used();
    for _ in 0..ONE_BY_ONE {
        let begun = Instant::now();
        portal.deploy_polling("one").await?;
        polled.push(begun.elapsed());
    }
    let (p50, p99) = (percentile_ms(&mut runs, 50.0), percentile_ms(&mut runs, 99.0));
    let (script_p50, script_p99) = (percentile_ms(&mut scripts, 50.0), percentile_ms(&mut scripts, 99.0));
    let polled_p50 = percentile_ms(&mut polled, 50.0);
    println!(
        "one by one: p50 {p50} ms, p99 {p99} ms (asked for its state every ms: p50 {polled_p50} ms); the script alone: p50 {script_p50} ms, p99 {script_p99} ms"
    );
    Ok(OneByOne { p50, p99, polled_p50, script_p50, script_p99, overhead_p50: p50 - script_p50, used })
}

struct AtOnce {
    right: usize,
    /// Of the median round.
    per_s: f64,
    worst_per_s: f64,
    /// The same scripts without a server.
    scripts_per_s: f64,
    p50: f64,
    p99: f64,
    used: Used,
}

/// Fifty services, all asked for at the same time.
async fn at_once(server: &Server, portal: &Portal) -> Result<AtOnce> {
    let names: Vec<String> = (0..AT_ONCE).map(|n| format!("fifty-{n:02}")).collect();
    let (mut right, mut rates, mut each) = (0, Vec::new(), Vec::new());
    let meter = server.meter();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let all = names.iter().map(|name| async move {
            let run = portal.deploy(name).await?;
            Ok::<_, Box<dyn Error>>((run, begun.elapsed()))
        });
        let ended = try_join_all(all).await?;
        rates.push(AT_ONCE as f64 / begun.elapsed().as_secs_f64());
        for (run, took) in ended {
            each.push(took);
            right += usize::from(portal.is_right(&run, 1).await?);
        }
    }
    let used = meter.used();
    let per_round: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let begun = Instant::now();
    let children: Vec<Child> = names.iter().map(|_| spawn_script(&server.services.join("one"))).collect::<Result<_>>()?;
    for child in children {
        child.wait_with_output()?;
    }
    let scripts_per_s = AT_ONCE as f64 / begun.elapsed().as_secs_f64();
    let (p50, p99) = (percentile_ms(&mut each, 50.0), percentile_ms(&mut each, 99.0));
    println!(
        "{AT_ONCE} at once, {ROUNDS} times: {} deployments/s; each p50 {p50} ms, p99 {p99} ms; the scripts alone: {scripts_per_s:.0}/s",
        per_round.join(", ")
    );
    Ok(AtOnce { right, per_s: rates[ROUNDS / 2], worst_per_s: rates[0], scripts_per_s, p50, p99, used })
}

/// One script that reports a thousand steps.
async fn thousand_steps(server: &Server, portal: &Portal) -> Result<(f64, Used)> {
    let meter = server.meter();
    let begun = Instant::now();
    let run = portal.deploy("thousand").await?;
    let took = begun.elapsed().as_secs_f64();
    let used = meter.used();
    if !portal.is_right(&run, STEPS).await? {
        return Err(format!("run {run} did not succeed with {STEPS} steps").into());
    }
    println!("{STEPS} steps: {took:.3} s, all there");
    Ok((took, used))
}

/// One script that prints very many lines. Also how much memory the server holds afterwards, in KiB.
async fn long_log(server: &Server, portal: &Portal) -> Result<(f64, Used, u64)> {
    let meter = server.meter();
    let begun = Instant::now();
    let run = portal.deploy("chatty").await?;
    let took = begun.elapsed().as_secs_f64();
    let used = meter.used();
    let resident = memory_kib(server.child.id(), "VmRSS").ok_or("the server is gone")?;
    if !portal.is_right(&run, 1).await? {
        return Err(format!("run {run} did not succeed").into());
    }
    let log = portal.log(&run).await?;
    let found = log.lines().count();
    if log != fs::read_to_string(server.services.join("chatty/lines.txt"))? {
        return Err(format!("the log of run {run} differs from what was printed: {found} lines").into());
    }
    println!("{LINES} lines: {took:.3} s; the log holds {found}, as they were printed");
    Ok((took, used, resident))
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// The portal's binary, built if it is not up to date. `EYRIE_BENCH_PORTAL` names another one to measure.
fn build_portal() -> Result<PathBuf> {
    if let Some(portal) = std::env::var_os("EYRIE_BENCH_PORTAL") {
        return Ok(portal.into());
    }
    // target/release/deps/services-…
    let own = std::env::current_exe()?;
    let release = own.ancestors().nth(2).ok_or("the benchmark is not in a target folder")?;
    let target = release.parent().ok_or("the benchmark is not in a target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--release", "-p", "eyrie-portal", "--target-dir"]).arg(target);
    if !build.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        return Err("the portal could not be built".into());
    }
    Ok(target.join("release/eyrie"))
}

/// A service: its script, and the steps that it expects at first.
fn write_service(folder: &Path, steps: &[&str], script: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let steps: Vec<Value> = steps.iter().map(|name| json!({ "name": name })).collect();
    fs::write(folder.join("config.json"), json!({ "description": "Of the benchmark.", "running": false, "steps": steps }).to_string())?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(folder.join("deploy.sh"))?;
    file.write_all(script.as_bytes())?;
    Ok(())
}

fn write_services(services: &Path) -> Result<()> {
    write_service(&services.join("one"), &["Deploy"], ONE_STEP)?;
    for n in 0..AT_ONCE {
        write_service(&services.join(format!("fifty-{n:02}")), &["Deploy"], ONE_STEP)?;
    }
    let thousand = services.join("thousand");
    write_service(&thousand, &[], "#!/bin/sh\nexec cat steps.jsonl\n")?;
    let steps: String =
        (0..STEPS).map(|n| format!("{{\"name\": \"Step {n:04}\", \"state\": \"success\", \"message\": \"done\"}}\n")).collect();
    fs::write(thousand.join("steps.jsonl"), steps)?;
    let chatty = services.join("chatty");
    write_service(&chatty, &["Print lines"], "#!/bin/sh\ncat lines.txt\necho '{\"name\": \"Print lines\", \"state\": \"success\"}'\n")?;
    let lines: String = (1..=LINES).map(|n| format!("line {n:07} of {LINES}: all is well\n")).collect();
    fs::write(chatty.join("lines.txt"), lines)?;
    Ok(())
}

/// The script as the server starts it, without the server.
fn spawn_script(folder: &Path) -> Result<Child> {
    let mut script = Command::new(folder.join("deploy.sh"));
    script.args(["--config", "/dev/null"]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(script.spawn()?)
}

fn run_script(folder: &Path) -> Result<()> {
    let output = spawn_script(folder)?.wait_with_output()?;
    if output.status.success() { Ok(()) } else { Err("the script failed".into()) }
}

/// The command, as it is without anything in the environment.
fn eyrie(portal: &Path, url: &str, services: &Path) -> Command {
    let mut command = Command::new(portal);
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_str().is_some_and(|key| key.starts_with("EYRIE_"))) {
        command.env_remove(key);
    }
    command.args(["--store", url, "--services"]).arg(services);
    command
}

fn add_operator(portal: &Path, url: &str, services: &Path) -> Result<()> {
    let mut child =
        eyrie(portal, url, services).args(["user", "add", "--operator", NAME]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{PASSWORD}")?;
    }
    if child.wait()?.success() { Ok(()) } else { Err("the operator could not be added".into()) }
}

/// A running server. Dropping it ends it.
struct Server {
    child: Child,
    url: String,
    services: PathBuf,
    said: PathBuf,
}

impl Server {
    fn start(portal: &Path, store: &str, services: &Path, folder: &Path) -> Result<Self> {
        let said = folder.join("server.log");
        let mut command = eyrie(portal, store, services);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&said)?);
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        let mut server = Self { child, url: String::new(), services: services.to_owned(), said };
        let (sender, receiver) = mpsc::channel();
        // Reads on until the server ends, so that it never finds its output closed.
        std::thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(std::io::Result::ok) {
                if let Some(url) = line.strip_prefix("listening on ") {
                    drop(sender.send(url.to_owned()));
                }
            }
        });
        match receiver.recv_timeout(Duration::from_secs(30)) {
            Ok(url) => server.url = url,
            Err(_) => return Err(format!("the server did not start:\n{}", server.last_lines()).into()),
        }
        Ok(server)
    }

    fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.said).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Measures from now on. The kernel forgets the peak so far, where it allows that.
    fn meter(&self) -> Meter {
        let pid = self.child.id();
        drop(fs::write(format!("/proc/{pid}/clear_refs"), "5"));
        Meter { pid, cpu: cpu_time(pid).unwrap_or_default() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && matches!(self.child.try_wait(), Ok(None))
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("the server did not end within 10 s and is killed");
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

struct Meter {
    pid: u32,
    cpu: Duration,
}

impl Meter {
    fn used(&self) -> Used {
        let cpu = cpu_time(self.pid).unwrap_or_default().saturating_sub(self.cpu);
        let peak = memory_kib(self.pid, "VmHWM").unwrap_or_default();
        Used { cpu_s: round(cpu.as_secs_f64()), peak_mib: round(peak as f64 / 1024.0) }
    }
}

/// What the server used meanwhile. Its scripts are not counted.
#[derive(Debug, Clone, Copy)]
struct Used {
    cpu_s: f64,
    peak_mib: f64,
}

impl Used {
    fn cpu(self) -> String {
        format!("{:.2}", self.cpu_s)
    }

    fn peak(self) -> String {
        format!("{:.1}", self.peak_mib)
    }
}

/// The portal as a client sees it.
struct Portal {
    client: Client,
    url: String,
    token: String,
}

impl Portal {
    async fn sign_in(url: &str) -> Result<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build()?;
        let url = format!("{url}/api/v1");
        let answer =
            client.post(format!("{url}/sessions")).json(&json!({ "name": NAME, "password": PASSWORD })).send().await?.error_for_status()?;
        let session: Value = answer.json().await?;
        let token = session["token"].as_str().ok_or("a session without a token")?.to_owned();
        Ok(Self { client, url, token })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}/{path}", self.url)).bearer_auth(&self.token)
    }

    async fn start(&self, service: &str) -> Result<String> {
        let request = self.client.post(format!("{}/services/{service}/runs", self.url)).bearer_auth(&self.token).json(&json!({}));
        let answer = request.send().await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(format!("{service} was refused: {} {}", answer.status(), answer.text().await?).into());
        }
        let run: Value = answer.json().await?;
        Ok(run["id"].as_str().ok_or("a run without an id")?.to_owned())
    }

    /// Deploys the service and follows its events until the last one, whatever it says.
    async fn deploy(&self, service: &str) -> Result<String> {
        let run = self.start(service).await?;
        let mut events = self.get(&format!("runs/{run}/events")).send().await?.error_for_status()?;
        while events.chunk().await?.is_some() {}
        Ok(run)
    }

    /// Deploys the service and asks for its state every millisecond.
    async fn deploy_polling(&self, service: &str) -> Result<()> {
        let run = self.start(service).await?;
        loop {
            match self.run(&run).await?["state"].as_str() {
                Some("succeeded") => return Ok(()),
                Some("queued" | "running") => tokio::time::sleep(Duration::from_millis(1)).await,
                state => return Err(format!("run {run} is {state:?}").into()),
            }
        }
    }

    async fn run(&self, run: &str) -> Result<Value> {
        Ok(self.get(&format!("runs/{run}")).send().await?.error_for_status()?.json().await?)
    }

    /// Whether the run succeeded, with so many reported steps, and all of its steps did. Does not count the place that is held for
    /// the steps of a service of which none are known.
    async fn is_right(&self, run: &str, reported: usize) -> Result<bool> {
        let run = self.run(run).await?;
        let steps = run["steps"].as_array().ok_or("a run without steps")?;
        let steps: Vec<&Value> = steps.iter().filter(|step| step["name"] != "Unknown step" || step["state"] != "skipped").collect();
        let succeeded = steps.iter().filter(|step| step["state"] == "succeeded").count();
        let found = steps.iter().filter(|step| !step["parent"].is_null()).count();
        let right = run["state"] == "succeeded" && succeeded == steps.len() && found == reported;
        if !right {
            println!(
                "run {}: {} ({}), {found} reported steps; {succeeded} of {} steps succeeded",
                run["id"],
                run["state"],
                run["message"],
                steps.len()
            );
        }
        Ok(right)
    }

    async fn log(&self, run: &str) -> Result<String> {
        let (mut log, mut offset) = (String::new(), 0);
        loop {
            let answer = self.get(&format!("runs/{run}/log?offset={offset}")).send().await?.error_for_status()?;
            let end = answer.headers().get("eyrie-log-end").and_then(|end| end.to_str().ok()?.parse::<u64>().ok());
            let text = answer.text().await?;
            if text.is_empty() {
                return Ok(log);
            }
            log.push_str(&text);
            offset = end.ok_or("a log without its end")?;
        }
    }
}
