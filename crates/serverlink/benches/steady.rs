//! Passes messages in the steadiest manner there is, for `cargo xtask instructions` and for profilers.
//!
//! `steady WAY COUNT` sends COUNT messages, or makes as many round trips. One thread has both ends and
//! turns from one to the other, so that nothing depends on whose turn the system thinks it is.
//! `steady --list` names the ways, each with a count worth measuring. Without arguments, every way is
//! gone for a moment.

use std::{env, process::ExitCode};

use serverlink::{Context, Message, Result, Socket, SocketType};

/// What can be measured, by the names that `cargo xtask bench` has for it.
const WAYS: &[Way] = &[
    Way::new("push-pull/tcp/64B", PUSH_PULL, TCP, 64, 1000),
    Way::new("push-pull/tcp/1KiB", PUSH_PULL, TCP, 1024, 250),
    Way::new("push-pull/inproc/64B", PUSH_PULL, INPROC, 64, 1000),
    Way::new("push-pull/inproc/1KiB", PUSH_PULL, INPROC, 1024, 250),
    Way::new("dealer-router/tcp/64B", DEALER_ROUTER, TCP, 64, 1000),
    Way::new("pub-sub-1/tcp/64B", PUB_SUB, TCP, 64, 1000),
    Way::new("pub-sub-8/tcp/64B", FAN_OUT, TCP, 64, 1000),
    Way::new("router-8-dealers/tcp/64B", CROWD, TCP, 64, 250),
    Way::new("req-rep/tcp/64B", REQ_REP, TCP, 64, 1),
    Way::new("req-rep/inproc/64B", REQ_REP, INPROC, 64, 1),
];

const TCP: &str = "tcp://127.0.0.1:*";
const INPROC: &str = "inproc://steady";

const PUSH_PULL: Work = Work::Stream(SocketType::Push, SocketType::Pull);
const DEALER_ROUTER: Work = Work::Stream(SocketType::Dealer, SocketType::Router);
const PUB_SUB: Work = Work::Stream(SocketType::XPub, SocketType::Sub);
const FAN_OUT: Work = Work::FanOut(8);
const CROWD: Work = Work::Crowd(8);
const REQ_REP: Work = Work::RoundTrips(SocketType::Req, SocketType::Rep);

struct Way {
    name: &'static str,
    work: Work,
    endpoint: &'static str,
    /// Of a message, in bytes.
    size: usize,
    /// How many messages are sent before they are received: the high-water mark, so that the last of
    /// them has all of them written.
    batch: usize,
}

enum Work {
    Stream(SocketType, SocketType),
    /// From one XPUB to so many SUBs.
    FanOut(usize),
    /// From so many DEALERs in turn to one ROUTER, which sends each back.
    Crowd(usize),
    RoundTrips(SocketType, SocketType),
}

impl Way {
    const fn new(
        name: &'static str,
        work: Work,
        endpoint: &'static str,
        size: usize,
        batch: usize,
    ) -> Self {
        Self { name, work, endpoint, size, batch }
    }

    /// A count that takes a fraction of a second, and some seconds under valgrind.
    fn worth_measuring(&self) -> usize {
        match self.work {
            Work::Stream(..) => 40 * self.batch,
            Work::FanOut(_) => 32 * self.batch,
            Work::Crowd(many) => 8 * many * self.batch,
            Work::RoundTrips(..) => 8000,
        }
    }

    fn go(&self, count: usize) -> Result<()> {
        let body = vec![7; self.size];
        match self.work {
            Work::Stream(from, to) => {
                let [from, to] = self.link(from, to)?;
                for _ in 0..count.div_ceil(self.batch) {
                    for _ in 0..self.batch {
                        from.send(&body[..])?;
                    }
                    for _ in 0..self.batch {
                        self.check(&to.recv()?);
                    }
                }
            }
            Work::FanOut(many) => {
                let context = Context::new()?;
                let from = self.socket(&context, SocketType::XPub)?;
                from.set_xpub_nodrop(true)?;
                from.set_xpub_verbose(true)?;
                let to = self.several(&context, SocketType::Sub, many)?;
                for to in &to {
                    to.subscribe("")?;
                    from.connect(&to.bind(self.endpoint)?)?;
                    // The subscription is there.
                    from.recv()?;
                }
                for _ in 0..count.div_ceil(self.batch) {
                    for _ in 0..self.batch {
                        from.send(&body[..])?;
                    }
                    for to in &to {
                        for _ in 0..self.batch {
                            self.check(&to.recv()?);
                        }
                    }
                }
            }
            Work::Crowd(many) => {
                let context = Context::new()?;
                let router = self.socket(&context, SocketType::Router)?;
                let endpoint = router.bind(self.endpoint)?;
                let dealers = self.several(&context, SocketType::Dealer, many)?;
                for dealer in &dealers {
                    dealer.connect(&endpoint)?;
                }
                for _ in 0..count.div_ceil(many * self.batch) {
                    for dealer in &dealers {
                        for _ in 0..self.batch {
                            dealer.send(&body[..])?;
                        }
                    }
                    for _ in 0..many * self.batch {
                        router.send(router.recv()?)?;
                    }
                    for dealer in &dealers {
                        for _ in 0..self.batch {
                            self.check(&dealer.recv()?);
                        }
                    }
                }
            }
            Work::RoundTrips(client, server) => {
                let [client, server] = self.link(client, server)?;
                for _ in 0..count {
                    client.send(&body[..])?;
                    server.send(server.recv()?)?;
                    self.check(&client.recv()?);
                }
            }
        }
        Ok(())
    }

    /// Two sockets of one context, the second of which is bound.
    fn link(&self, connects: SocketType, binds: SocketType) -> Result<[Socket; 2]> {
        let context = Context::new()?;
        let connecting = self.socket(&context, connects)?;
        let bound = self.socket(&context, binds)?;
        if binds == SocketType::Sub {
            bound.subscribe("")?;
            connecting.set_xpub_nodrop(true)?;
        }
        connecting.connect(&bound.bind(self.endpoint)?)?;
        if connects == SocketType::XPub {
            // The subscription is there.
            connecting.recv()?;
        }
        Ok([connecting, bound])
    }

    fn socket(&self, context: &Context, socket_type: SocketType) -> Result<Socket> {
        let socket = context.socket(socket_type)?;
        socket.set_send_high_water_mark(self.batch)?;
        socket.set_receive_high_water_mark(self.batch)?;
        socket.set_linger(None)?;
        if self.has_room_in_the_kernel() {
            socket.set_receive_buffer(Some(1 << 20))?;
            socket.set_send_buffer(Some(1 << 20))?;
        }
        Ok(socket)
    }

    /// Whether the kernel has room for all of a batch from the first one on, and does not make it as it
    /// finds time: what of a batch is there when it is looked for would vary.
    fn has_room_in_the_kernel(&self) -> bool {
        matches!(self.work, Work::FanOut(_) | Work::Crowd(_))
    }

    fn several(&self, context: &Context, kind: SocketType, many: usize) -> Result<Vec<Socket>> {
        (0..many).map(|_| self.socket(context, kind)).collect()
    }

    fn check(&self, message: &Message) {
        assert_eq!(message[message.len() - 1].len(), self.size);
    }
}

fn main() -> ExitCode {
    // `cargo bench` says what it does.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let gone = match &arguments[..] {
        [] => WAYS.iter().try_for_each(|way| way.go(way.batch)),
        [list] if list == "--list" => {
            for way in WAYS {
                println!("{} {}", way.name, way.worth_measuring());
            }
            Ok(())
        }
        [name, count] => {
            let way = WAYS.iter().find(|way| way.name == name);
            let (Some(way), Ok(count)) = (way, count.parse()) else { return usage() };
            way.go(count)
        }
        _ => return usage(),
    };
    match gone {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let names: Vec<_> = WAYS.iter().map(|way| way.name).collect();
    eprintln!("usage: steady [WAY COUNT | --list]\nWAY is one of {}", names.join(", "));
    ExitCode::from(2)
}
