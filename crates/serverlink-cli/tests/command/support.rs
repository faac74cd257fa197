//! Running the command with real pipes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

use serde_json::Value;

/// So long a test waits for what must come; given to the command as `--timeout`.
pub(crate) const PATIENCE: &str = "--timeout=30s";

/// Any free port.
pub(crate) const ANY: &str = "--bind=tcp://127.0.0.1:*";

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// What was printed, as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is text")
    }

    /// What was printed, a JSON value a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let values = self.text().lines().map(serde_json::from_str);
        values.collect::<Result<_, _>>().expect("each line is JSON")
    }

    /// The JSON lines of standard error that tell of `event`.
    pub(crate) fn told(&self, event: &str) -> Vec<Value> {
        let lines = self.stderr.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>().expect("each line is JSON");
        lines.into_iter().filter(|line| line["event"] == event).collect()
    }

    /// Asserts that all went well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// A command that runs. It is killed if the test ends before it does.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// The endpoint it is bound to, if it told one.
    pub(crate) endpoint: String,
    stderr: Option<JoinHandle<String>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts the command, whose input is to be written.
    pub(crate) fn start(args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_serverlink"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.expect("the command starts");
        Self { child, endpoint: String::new(), stderr: None, stdout: None }
    }

    /// Starts the command and waits until it has told its endpoint.
    pub(crate) fn bound(args: &[&str]) -> Self {
        Self::bound_to(args, 1).0
    }

    /// Starts the command and waits until it has told so many endpoints.
    pub(crate) fn bound_to(args: &[&str], count: usize) -> (Self, Vec<String>) {
        let mut running = Self::start(args);
        let mut stderr = BufReader::new(running.child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        let mut endpoints = Vec::new();
        while endpoints.len() < count {
            line.clear();
            stderr.read_line(&mut line).expect("standard error can be read");
            let endpoint = match serde_json::from_str::<Value>(&line) {
                Ok(bound) => bound["endpoint"].as_str().map(str::to_owned),
                Err(_) => line.trim_end().strip_prefix("bound to ").map(str::to_owned),
            };
            endpoints.push(endpoint.unwrap_or_else(|| panic!("no endpoint is told: {line}")));
        }
        running.endpoint = endpoints[0].clone();
        running.stderr = Some(thread::spawn(move || {
            stderr.read_to_string(&mut line).expect("standard error is text");
            line
        }));
        (running, endpoints)
    }

    /// The argument that connects to this one.
    pub(crate) fn connect(&self) -> String {
        format!("--connect={}", self.endpoint)
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("it is taken once")
    }

    pub(crate) fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().expect("it is taken once"))
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("it is taken once")
    }

    /// Waits for the end; nothing of what it prints is kept.
    pub(crate) fn end_code(mut self) -> Option<i32> {
        self.child.wait().expect("it can be waited for").code()
    }

    /// Keeps reading what is printed from now on.
    pub(crate) fn gather(mut self) -> Self {
        if let Some(mut stdout) = self.child.stdout.take() {
            self.stdout = Some(thread::spawn(move || {
                let mut bytes = Vec::new();
                stdout.read_to_end(&mut bytes).expect("standard output can be read");
                bytes
            }));
        }
        self
    }

    /// Ctrl-C.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let process = self.child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &process]).status();
        assert!(killed.expect("there is a kill command").success());
    }

    /// Waits for the end, with no more input.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        self.end_with_input_open()
    }

    /// Waits for the end; the input, if it was not taken, stays open.
    pub(crate) fn end_with_input_open(mut self) -> Ended {
        self = self.gather();
        let stderr = match self.stderr.take() {
            Some(reader) => reader.join().expect("the reader does not panic"),
            None => {
                let mut text = String::new();
                let mut stderr = self.child.stderr.take().expect("it is a pipe");
                stderr.read_to_string(&mut text).expect("standard error is text");
                text
            }
        };
        let stdout = self.stdout.take().map(|reader| reader.join().expect("it does not panic"));
        // `Child::wait` would close the input first.
        let input = self.child.stdin.take();
        let status = self.child.wait().expect("it can be waited for");
        drop(input);
        Ended { code: status.code(), stdout: stdout.unwrap_or_default(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command to its end with this input.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Ended {
    let mut running = Running::start(args);
    let mut stdin = running.stdin();
    let input = input.to_vec();
    // The command may end before it has read everything.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = running.end();
    writer.join().expect("the writer does not panic");
    ended
}

/// What a PULL with these arguments prints of what a PUSH with those sends.
pub(crate) fn push_to_pull(push: &[&str], input: &[u8], pull: &[&str]) -> Ended {
    let own = pull.iter().any(|arg| arg.starts_with("--timeout"));
    let patience: &[&str] = if own { &[] } else { &[PATIENCE] };
    let receiver = Running::bound(&[&["pull", ANY], patience, pull].concat()).gather();
    let connect = receiver.connect();
    run(&[&["push", &connect, PATIENCE], push].concat(), input).well();
    receiver.end()
}
