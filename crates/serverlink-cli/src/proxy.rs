//! `serverlink proxy`: passes messages on between two sockets.

use std::{
    mem::ManuallyDrop,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Proxy, ProxyHandle, Result, Socket, SocketType};

use crate::{
    args::ProxyArgs,
    console::Console,
    exit,
    failure::Failure,
    interrupt, session,
    values::{Linger, SocketValue},
};

/// How often to see whether the proxy has ended.
const TICK: Duration = Duration::from_millis(50);

/// Runs the proxy until it is told to end; returns the exit code.
pub(crate) fn run(args: &ProxyArgs) -> u8 {
    let console = Console { json: args.json, quiet: args.quiet };
    work(args, console).unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.code
    })
}

fn work(args: &ProxyArgs, console: Console) -> Result<u8, Failure> {
    let (interrupted, inbox) = mpsc::channel();
    interrupt::notify(move || interrupted.send(()).is_ok());
    // To drop it would be to wait for messages that are to be given up.
    let context = ManuallyDrop::new(session::context(args.io_backend.as_deref(), console)?);
    let open = |value: &SocketValue| open(&context, value, args.hwm, console);
    let mut builder = Proxy::builder(open(&args.frontend)?, open(&args.backend)?);
    if let Some(capture) = &args.capture {
        builder = builder.capture(open(capture)?);
    }
    if let Some(control) = &args.control {
        builder = builder.control(open(control)?);
    }
    let proxy = builder.start().map_err(Failure::while_doing("the proxy cannot start"))?;
    let code = supervise(&proxy, args, console, &inbox);
    let statistics = proxy.statistics();
    proxy.terminate().map_err(Failure::while_doing("the proxy failed"))?;
    if args.stats {
        console.proxied(&statistics);
    }
    if code == exit::OK {
        finish(&context, args.linger);
    }
    Ok(code)
}

/// Waits until the proxy ends by a command, or is to.
fn supervise(
    proxy: &ProxyHandle,
    args: &ProxyArgs,
    console: Console,
    inbox: &mpsc::Receiver<()>,
) -> u8 {
    let mut told = Instant::now();
    while !proxy.is_over() {
        match inbox.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) => return exit::INTERRUPTED,
            // Where there is no Ctrl-C.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
        if args.every.is_some_and(|every| told.elapsed() >= every) {
            told = Instant::now();
            console.proxied(&proxy.statistics());
        }
    }
    exit::OK
}

/// Waits until what has passed is sent; what is not in time is given up.
fn finish(context: &Context, linger: Linger) {
    match linger {
        Linger::Forever => context.terminate(),
        Linger::For(time) => _ = context.terminate_timeout(time),
    }
}

fn open(
    context: &Context,
    value: &SocketValue,
    hwm: Option<u32>,
    console: Console,
) -> Result<Socket, Failure> {
    let SocketValue { socket_type, bind, connect } = value;
    let opening = format!("no {socket_type} socket can be opened");
    let socket = context.socket(*socket_type).map_err(Failure::while_doing(&opening))?;
    let set = || {
        if let Some(hwm) = hwm {
            socket.set_send_high_water_mark(hwm as usize)?;
            socket.set_receive_high_water_mark(hwm as usize)?;
        }
        if bind.iter().chain(connect).any(|endpoint| endpoint.contains('[')) {
            socket.set_ipv6(true)?;
        }
        if *socket_type == SocketType::Sub {
            socket.subscribe("")?;
        }
        Ok(())
    };
    set().map_err(Failure::while_doing::<serverlink::Error>("the socket cannot be set up"))?;
    for endpoint in bind {
        let doing = format!("cannot bind to {endpoint}");
        console.bound(&socket.bind(endpoint).map_err(Failure::while_doing(&doing))?);
    }
    for endpoint in connect {
        let doing = format!("cannot connect to {endpoint}");
        socket.connect(endpoint).map_err(Failure::while_doing(&doing))?;
    }
    Ok(socket)
}
