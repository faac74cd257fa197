//! The process that makes one measurement: how it is started, and what it does.

use std::{
    env,
    io::{self, Read, Write as _},
    panic,
    process::{self, Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle, Scope},
    time::Duration,
};

use crate::{
    arguments::{Arguments, Connect, Hidden, Measure},
    case::{Case, Workload},
    engine,
    failure::{Failure, Result},
    floor::Floor,
    implementation::Implementation,
    measurement::{Figures, Plan},
    peer::{Library, libzmq::Libzmq, rzmq::Rzmq, serverlink::ServerLink, zeromq::Zeromq},
    workload::{self, idle},
};

/// A measurement that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes one measurement in a process of its own.
pub(crate) fn measure(case: &Case, peer: Implementation, arguments: &Arguments) -> Result<Figures> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("measure").arg(case.to_string()).arg(peer.name());
    command.args(["--cores", arguments.cores.name()]);
    if arguments.smoke {
        command.arg("--smoke");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (ended, end) = mpsc::channel();
    let outputs = [reader(child.stdout.take(), &ended), reader(child.stderr.take(), &ended)];
    // Both outputs end with the process.
    if outputs.iter().any(|_| end.recv_timeout(PATIENCE).is_err()) {
        stop(&mut child);
        return Err(Failure::new(format!(
            "nothing came of it within {PATIENCE:?}; it was stopped"
        )));
    }
    let status = child.wait()?;
    let [output, errors] = outputs.map(|output| output.join().unwrap_or_default());
    if status.success() {
        return serde_json::from_str(&output).map_err(Failure::doing("reading its result"));
    }
    let errors = errors.trim();
    Err(Failure::new(match errors.strip_prefix("error: ").unwrap_or(errors) {
        "" => format!("it ended with {status}"),
        errors => errors.to_owned(),
    }))
}

/// Reads an output to its end on a thread, and tells so.
fn reader(
    output: Option<impl Read + Send + 'static>,
    ended: &mpsc::Sender<()>,
) -> JoinHandle<String> {
    let ended = ended.clone();
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut output) = output {
            // What was read until then is shown.
            let _ = output.read_to_end(&mut text);
        }
        let _ = ended.send(());
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn stop(child: &mut Child) {
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// Does what the program runs itself for.
pub(crate) fn run(hidden: &Hidden) -> Result<ExitCode> {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        report(information);
        process::exit(101);
    }));
    match hidden {
        Hidden::Measure(measure) => {
            let figures = figures(measure)?;
            let mut stdout = io::stdout().lock();
            serde_json::to_writer(&mut stdout, &figures)?;
            writeln!(stdout)?;
        }
        Hidden::Connect(connect) => with_library(connect.peer, Connecting(connect))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn figures(measure: &Measure) -> Result<Figures> {
    let case = Case::named(&measure.case)
        .ok_or_else(|| Failure::new(format!("there is nothing called {:?}", measure.case)))?;
    let mut plan = if measure.smoke { Plan::SMOKE } else { Plan::FULL };
    if let Some(window) = measure.window {
        plan.window = Duration::from_millis(window);
    }
    plan.cores = measure.cores;
    plan.cores.place_process()?;
    if let Workload::Engine(task) = case.workload {
        return engine::measure(&case, task, &plan, measure.peer);
    }
    let figures = with_library(measure.peer, Measuring(&case, &plan, measure.peer));
    case.transport.clean_up();
    figures
}

/// Something to do with a library.
trait Errand {
    type Outcome;

    fn run<L: Library>(self) -> Result<Self::Outcome>;
}

fn with_library<E: Errand>(peer: Implementation, errand: E) -> Result<E::Outcome> {
    match peer {
        Implementation::Serverlink => errand.run::<ServerLink>(),
        Implementation::Libzmq => errand.run::<Libzmq>(),
        Implementation::Zeromq => errand.run::<Zeromq>(),
        Implementation::Rzmq => errand.run::<Rzmq>(),
        Implementation::Floor => errand.run::<Floor>(),
        Implementation::Mio
        | Implementation::Tokio
        | Implementation::Polling
        | Implementation::Compio => Err(Failure::new("it has no ZeroMQ sockets")),
    }
}

struct Measuring<'a>(&'a Case, &'a Plan, Implementation);

impl Errand for Measuring<'_> {
    type Outcome = Figures;

    fn run<L: Library>(self) -> Result<Figures> {
        workload::measure::<L>(self.0, self.1, self.2)
    }
}

struct Connecting<'a>(&'a Connect);

impl Errand for Connecting<'_> {
    type Outcome = ();

    fn run<L: Library>(self) -> Result<()> {
        idle::connect::<L>(self.0)
    }
}

/// The result of what must succeed: if it does not, this says so and ends the process at once, since
/// other threads may wait for this one for ever.
pub(crate) fn insist<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        process::exit(1);
    })
}

/// Starts a thread; the result waits for what it comes to. If it fails, the process ends: others
/// may wait for it for ever.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> impl FnOnce() -> T + 'scope {
    let thread = scope.spawn(|| insist(work()));
    || insist(thread.join().map_err(|_| Failure::new("a thread panicked")))
}
