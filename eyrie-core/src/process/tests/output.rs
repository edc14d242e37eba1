//! What a process writes, and when that is over.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use super::super::procfs::Stat;
use super::super::{Exit, HeldProcess, MAX_LINE, Stream};
use super::{HANG, Script, all_output, eventually, read_pid, run, texts, until_line};

#[tokio::test]
async fn output_arguments_environment_and_directory_arrive() {
    let script = Script::new(r#"echo "$1|$2|$A|${HOME-unset}"; pwd; echo oops >&2; printf last"#);
    let mut spec = script.spec();
    spec.args.extend(["$(x) 'y'\n".into(), "".into()]);
    spec.env.push(("A".into(), " a=b ".into()));
    spec.program = "script".into();
    let mut process = HeldProcess::spawn(&spec).unwrap().release().await.unwrap();
    let output = all_output(&mut process).await;
    let cwd = script.dir.path().canonicalize().unwrap();
    assert_eq!(texts(&output, Stream::Stdout), ["$(x) 'y'", "|| a=b |unset", cwd.to_str().unwrap(), "last"]);
    assert_eq!(texts(&output, Stream::Stderr), ["oops"]);
    assert!(output.iter().all(|line| line.complete));
    assert!(!format!("{spec:?}").contains("a=b"));
}

#[tokio::test]
async fn a_daemon_holding_the_output_does_not_hang_the_end() {
    let script = Script::new(
        "setsid sh -c 'echo $$ > daemon.new; mv daemon.new daemon; exec sleep 600' &\n\
         while ! [ -e daemon ]; do sleep 0.01; done\necho done",
    );
    let mut process = script.start().await;
    let output = all_output(&mut process).await;
    assert_eq!(texts(&output, Stream::Stdout), ["done"]);
    assert_eq!(process.exited().await, Exit::Code(0));
    let daemon = Pid::from_raw(read_pid(&script.path("daemon")).unwrap()).unwrap();
    // It left the group, so it lives; end it here.
    kill_process(daemon, Signal::KILL).unwrap();
}

#[tokio::test]
async fn output_written_before_the_end_is_not_lost_to_a_slow_reader() {
    let script = Script::new(
        "setsid sh -c 'echo $$ > daemon.new; mv daemon.new daemon; exec sleep 600' &\n\
         while ! [ -e daemon ]; do sleep 0.01; done\n\
         head -c 60000 /dev/zero | tr '\\0' x; echo; echo end",
    );
    let mut process = script.start().await;
    let identity = process.identity().clone();
    eventually(|| Stat::read(identity.pid).unwrap().is_none_or(|stat| stat.state == b'Z')).await;
    assert_eq!(process.try_exit(), Some(Exit::Code(0)));
    // The time for draining passes without the runtime seeing any readiness.
    std::thread::sleep(Duration::from_millis(400));
    let output = all_output(&mut process).await;
    let daemon = Pid::from_raw(read_pid(&script.path("daemon")).unwrap()).unwrap();
    kill_process(daemon, Signal::KILL).unwrap();
    assert_eq!(output.len(), 2);
    assert_eq!(output[0].text.len(), 60_000);
    assert_eq!(output[1].text, "end");
}

#[tokio::test]
async fn a_script_that_closes_its_output_goes_on() {
    let script = Script::new("echo first\nexec >&- 2>&-\nwhile ! [ -e go ]; do sleep 0.01; done\necho > went\nexit 4");
    let mut process = script.start().await;
    until_line(&mut process, "first").await;
    let pending = timeout(Duration::from_millis(300), process.next_output()).await;
    assert!(pending.is_err(), "output ended before the process did");
    assert_eq!(process.try_exit(), None);
    std::fs::write(script.path("go"), "").unwrap();
    assert_eq!(all_output(&mut process).await, []);
    assert!(script.path("went").exists());
    assert_eq!(process.exited().await, Exit::Code(4));
}

#[tokio::test]
async fn a_huge_line_comes_in_bounded_pieces() {
    const SIZE: usize = 50_000_000;
    let script = Script::new("head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; echo next");
    let mut process = script.start().await;
    let (mut size, mut complete, mut last) = (0, Vec::new(), String::new());
    while let Some(batch) = timeout(HANG, process.next_output()).await.unwrap() {
        assert!(batch.iter().map(|line| line.text.len()).sum::<usize>() < 4 * MAX_LINE);
        for line in batch {
            assert!(line.text.len() <= MAX_LINE);
            if complete.is_empty() {
                size += line.text.len();
            }
            if line.complete {
                complete.push(line.text.len());
                last = line.text;
            }
        }
    }
    assert_eq!((size, complete.len(), last.as_str()), (SIZE, 2, "next"));
}

#[tokio::test]
async fn odd_bytes_are_kept_as_text() {
    let (output, _) = run(r"printf 'a\377b\r\nnul\000x\n\n\303\251'").await;
    assert_eq!(texts(&output, Stream::Stdout), ["a\u{fffd}b", "nul\0x", "", "é"]);
}

#[tokio::test]
async fn many_lines_arrive_in_order_and_in_batches() {
    let script = Script::new("i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done");
    let mut process = script.start().await;
    let (mut next, mut batches) = (0, 0);
    while let Some(batch) = timeout(HANG, process.next_output()).await.unwrap() {
        batches += 1;
        for line in batch {
            assert_eq!(line.text, format!("line {next}"));
            next += 1;
        }
    }
    assert_eq!(next, 100_000);
    assert!(batches < 20_000, "{batches}");
}

#[tokio::test]
async fn waiting_for_output_can_be_cancelled_anywhere() {
    let script = Script::new("i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.001; done");
    let mut process = script.start().await;
    let mut lines = Vec::new();
    loop {
        match timeout(Duration::from_micros(700), process.next_output()).await {
            Ok(Some(batch)) => lines.extend(batch),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    let expected: Vec<_> = (0..300).map(|n: i32| n.to_string()).collect();
    assert_eq!(texts(&lines, Stream::Stdout), expected);
}
