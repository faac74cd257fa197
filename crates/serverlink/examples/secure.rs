//! A server that encrypts, and lets in whom it knows: CURVE, and a ZAP handler that judges clients by
//! their keys.
//!
//! ```sh
//! cargo run -p serverlink --example secure
//! ```

use std::{thread, time::Duration};

use serverlink::{
    Context, CurveKeyPair, CurvePublicKey, Error, Message, MonitorEventKind, Result, Socket,
    SocketType, curve_keypair,
};

fn main() -> Result<()> {
    let [server_keys, alice, mallory] = [curve_keypair()?, curve_keypair()?, curve_keypair()?];
    let context = Context::new()?;

    // Bound before anybody connects: without it, the server's key would be enough.
    let handler = context.socket(SocketType::Rep)?;
    handler.bind("inproc://zeromq.zap.01")?;
    let known = alice.public;
    let judge = thread::spawn(move || judge(&handler, known));

    let server = context.socket(SocketType::Pull)?;
    server.set_receive_timeout(Some(Duration::from_secs(10)))?;
    server.set_zap_domain(Some("example"))?;
    server.set_curve_server(true)?;
    server.set_curve_secret_key(server_keys.secret)?;
    let endpoint = server.bind("tcp://127.0.0.1:*")?;

    let client = client_with(&context, server_keys.public, &alice)?;
    client.connect(&endpoint)?;
    client.send("a secret")?;
    let received = server.recv_with_peer()?;
    let user = String::from_utf8_lossy(received.property("User-Id").unwrap_or_default());
    println!("from {user}: {}", received.message[0].as_str().unwrap_or("?"));

    let stranger = client_with(&context, server_keys.public, &mallory)?;
    let monitor = stranger.monitor();
    stranger.connect(&endpoint)?;
    let refused = monitor.events().find_map(|event| match event.kind {
        MonitorEventKind::HandshakeFailedAuthentication { status } => Some(status),
        _ => None,
    });
    println!("a stranger was refused, with the status {}", refused.unwrap_or_default());

    drop((client, stranger, server));
    context.terminate();
    judge.join().unwrap_or(Ok(()))
}

fn client_with(context: &Context, server: CurvePublicKey, own: &CurveKeyPair) -> Result<Socket> {
    let client = context.socket(SocketType::Push)?;
    client.set_linger(Some(Duration::ZERO))?;
    client.set_curve_server_key(server)?;
    client.set_curve_public_key(own.public)?;
    client.set_curve_secret_key(own.secret.clone())?;
    Ok(client)
}

/// Answers requests (RFC 27) until the context ends: its frames are the version, a number, the domain,
/// the client's address, the server's routing id, the mechanism, and here the client's key.
fn judge(handler: &Socket, known: CurvePublicKey) -> Result<()> {
    loop {
        let request = match handler.recv() {
            Err(Error::Terminated) => return Ok(()),
            request => request?,
        };
        let key = request.frame(6).map(|frame| &frame[..]);
        let (status, user) = match key == Some(known.as_bytes()) {
            true => ("200", "alice"),
            false => ("400", ""),
        };
        let number = request[1].to_vec();
        let mut reply = Message::from("1.0");
        reply.push_back(number);
        [status, "", user, ""].into_iter().for_each(|frame| reply.push_back(frame));
        handler.send(reply)?;
    }
}
