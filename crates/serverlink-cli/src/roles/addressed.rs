//! PEER, STREAM and DGRAM: every message is for somebody, and from somebody.

use std::time::{Duration, Instant};

use serverlink::{Error, Frame, Result, Socket, SocketType};

use super::{duplex, receive, reply, send::Recipients};
use crate::{
    args::{AddressedArgs, DgramArgs},
    exit,
    failure::Failure,
    output::{Kind, Style},
    session,
};

/// Connects to one of them, and tells what to call it, within a time, if that is limited. The number
/// is its place among all.
type Meet<Name> = fn(&Socket, &str, usize, Option<Duration>) -> Result<Name>;

/// How often to look whether a peer is there that nothing is told of.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn peer(args: AddressedArgs) -> u8 {
    let meet: Meet<u32> = |socket, endpoint, _, _| socket.connect_peer(endpoint);
    let timeout = args.both.common.run.timeout;
    let met = move |socket: &Socket, endpoints: &[String]| {
        all(socket, endpoints, timeout, meet).map(Recipients::Numbers)
    };
    run(SocketType::Peer, Kind::Messages, args, "name one with --connect", |_| Ok(()), met)
}

pub(super) fn stream(args: AddressedArgs) -> u8 {
    let meet: Meet<Frame> = |socket, endpoint, place, timeout| {
        let name = format!("peer {place}");
        socket.set_connect_routing_id(&name)?;
        let monitor = socket.monitor();
        socket.connect(endpoint)?;
        // What is sent to a stream that is not there yet is refused.
        let start = Instant::now();
        let there = |socket: &Socket| {
            socket.peers().iter().filter(|peer| !peer.is_bound && peer.is_connected).count()
        };
        while there(socket) < place {
            if timeout.is_some_and(|timeout| start.elapsed() > timeout) {
                return Err(Error::WouldBlock);
            }
            let _ = monitor.recv_timeout(LOOK);
        }
        Ok(Frame::from(name))
    };
    let timeout = args.both.common.run.timeout;
    let met = move |socket: &Socket, endpoints: &[String]| {
        all(socket, endpoints, timeout, meet).map(Recipients::Names)
    };
    // An empty frame, sent back, would end the connection that it tells of.
    let prepare = |socket: &Socket| socket.set_stream_notify(false);
    run(SocketType::Stream, Kind::Routed, args, "name one with --connect", prepare, met)
}

pub(super) fn dgram(args: DgramArgs) -> u8 {
    let DgramArgs { addressed, to } = args;
    let named = move |_: &Socket, endpoints: &[String]| {
        if !endpoints.is_empty() {
            return Err(misused("a DGRAM socket is bound, and connects to nobody", ADDRESS));
        }
        Ok(Recipients::Names(to.iter().map(|address| Frame::from(address.to_string())).collect()))
    };
    run(SocketType::Dgram, Kind::Routed, addressed, ADDRESS, |_| Ok(()), named)
}

/// What a DGRAM wants instead of a connection.
const ADDRESS: &str = "name who gets the input with --to";

fn all<Name>(
    socket: &Socket,
    endpoints: &[String],
    timeout: Option<Duration>,
    meet: Meet<Name>,
) -> Result<Vec<Name>, Failure> {
    let met = endpoints.iter().enumerate().map(|(place, endpoint)| {
        meet(socket, endpoint, place + 1, timeout)
            .map_err(Failure::while_doing(&format!("cannot connect to {endpoint}")))
    });
    met.collect()
}

/// Opens a socket that `find` connects, and tells whom the input is for.
fn run(
    socket_type: SocketType,
    kind: Kind,
    args: AddressedArgs,
    advice: &'static str,
    prepare: fn(&Socket) -> Result<()>,
    find: impl FnOnce(&Socket, &[String]) -> Result<Recipients, Failure> + Send + 'static,
) -> u8 {
    let AddressedArgs { both, echo } = args;
    let mut common = both.common.clone();
    let style = Style::new(kind, &common.run, &common.framing, both.output.raw);
    let endpoints = std::mem::take(&mut common.socket.endpoints.connect);
    common.socket.ipv6 |= endpoints.iter().any(|endpoint| endpoint.contains('['));
    session::run(socket_type, &common, style, prepare, move |session, socket| {
        let recipients = find(socket, &endpoints)?;
        let nobody = match &recipients {
            Recipients::OfThePattern => false,
            Recipients::Numbers(numbers) => numbers.is_empty(),
            Recipients::Names(names) => names.is_empty(),
        };
        let input = &both.input;
        let has_input =
            !input.messages.is_empty() || !input.file.is_empty() || input.size.is_some();
        match (echo, nobody) {
            (true, _) => reply::echo(session, socket),
            (false, true) if has_input || both.send_only => {
                Err(misused("there is nobody to send to", advice))
            }
            (false, true) => receive::all(session, socket),
            (false, false) => duplex::exchange(session, socket, both, recipients),
        }
    })
}

fn misused(what: &str, advice: &str) -> Failure {
    Failure::new(exit::USAGE, what, advice)
}
