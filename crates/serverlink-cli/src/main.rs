//! The `serverlink` command: talk to any ZeroMQ peer from the shell.
//!
//! Top-down: [`args`] is the command line, [`roles`] has one room for each family of sockets,
//! [`proxy`] passes on what arrives at one socket to another, and [`demo`] is for the demonstration;
//! [`session`] opens a socket, with the mechanism of [`security`] and the [`tls`],
//! supervises its role and ends the process, with a code of [`exit`].
#![forbid(unsafe_code)]

mod args;
mod console;
mod demo;
mod exit;
mod failure;
mod input;
mod interrupt;
mod keygen;
mod output;
mod proxy;
mod roles;
mod security;
mod session;
mod tls;
mod traffic;
mod values;

use std::{
    io::{self, Write as _},
    process,
};

use clap::Parser as _;

use args::{Cli, Command};
use console::Console;
use serverlink::Context;

fn main() {
    let code = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command),
        Err(answer) => usage(&answer),
    };
    // Threads that wait for input are not waited for.
    process::exit(i32::from(code));
}

fn dispatch(command: Command) -> u8 {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Backends { json } => backends(json),
        role => roles::run(role),
    }
}

/// Help and version, which were asked for, or what is wrong with the command line.
fn usage(answer: &clap::Error) -> u8 {
    let text = answer.render().to_string();
    if answer.use_stderr() {
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let _ = write!(io::stderr(), "serverlink: {text}");
        exit::USAGE
    } else {
        write_out(&text)
    }
}

fn backends(json: bool) -> u8 {
    let console = Console { json, quiet: false };
    let starts = |name: &&str| match Context::builder().backend(*name).build() {
        Ok(_) => true,
        Err(error) => {
            console.passed_over(&format!("{name}: {error}"));
            false
        }
    };
    let backends: Vec<&str> = serverlink::backends().iter().copied().filter(starts).collect();
    write_out(&if json {
        format!("{}\n", serde_json::json!(backends))
    } else {
        backends.iter().map(|name| format!("{name}\n")).collect()
    })
}

fn write_out(text: &str) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OUTPUT_CLOSED,
        Err(_) => exit::FAILED,
    }
}
