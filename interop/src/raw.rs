//! A peer that is nothing but a TCP stream and a script of what to write to it.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::PATIENCE;

/// The flag of a frame that others of the same message follow.
pub const MORE: u8 = 1;
/// The flag of a frame whose length takes eight bytes.
pub const LONG: u8 = 2;
/// The flag of a command.
pub const COMMAND: u8 = 4;

/// The signature that begins every stream, with the length that ZMTP 1 would read in it.
const SIGNATURE: [u8; 10] = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];

/// A stream to or from a socket of ServerLink.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// [`MORE`], [`LONG`] and [`COMMAND`].
    pub flags: u8,
    /// What is after the length.
    pub body: Vec<u8>,
}

impl RawPeer {
    /// Connects to an endpoint, and says nothing.
    #[track_caller]
    #[must_use]
    pub fn connect(endpoint: &str) -> Self {
        Self::new(TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap())
    }

    /// Waits for ServerLink to connect, and says nothing.
    #[track_caller]
    #[must_use]
    pub fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Does the whole handshake, as a socket of type `socket_type` that speaks ZMTP 3.`minor`.
    #[track_caller]
    #[must_use]
    pub fn shake_hands(mut self, minor: u8, socket_type: &str) -> Self {
        self.write(&greeting(minor));
        self.read(&mut [0; 64]);
        self.write(&ready(socket_type));
        let answer = self.frame();
        assert!(answer.is_command("READY"), "{answer:?}");
        self
    }

    /// Writes bytes.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes bytes to a stream that the other side may have closed; false if it has.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) {
        self.stream.read_exact(buffer).unwrap();
    }

    /// Reads the next frame.
    #[track_caller]
    #[must_use]
    pub fn frame(&mut self) -> RawFrame {
        let mut flags = [0];
        self.read(&mut flags);
        let mut length = [0; 8];
        if flags[0] & LONG == 0 {
            self.read(&mut length[7..]);
        } else {
            self.read(&mut length);
        }
        let mut body = vec![0; u64::from_be_bytes(length) as usize];
        self.read(&mut body);
        RawFrame { flags: flags[0], body }
    }

    /// Reads so many bytes.
    #[track_caller]
    pub fn skip(&mut self, len: usize) {
        let _ = self.take(len);
    }

    /// Reads so many bytes and returns them.
    #[track_caller]
    #[must_use]
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read(&mut bytes);
        bytes
    }

    /// Reads until the other side closes the stream, and returns what came before.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("the stream is still open: {error}"),
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

impl RawFrame {
    /// Whether it is the command of that name.
    #[must_use]
    pub fn is_command(&self, name: &str) -> bool {
        self.flags & COMMAND != 0 && self.body.starts_with(&short_string(name))
    }
}

/// The greeting of a peer that speaks ZMTP 3.`minor` with the NULL mechanism.
#[must_use]
pub fn greeting(minor: u8) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..10].copy_from_slice(&SIGNATURE);
    bytes[10] = 3;
    bytes[11] = minor;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// A READY command.
#[must_use]
pub fn ready(socket_type: &str) -> Vec<u8> {
    let mut properties = short_string("Socket-Type");
    properties.extend((socket_type.len() as u32).to_be_bytes());
    properties.extend(socket_type.as_bytes());
    command("READY", &properties)
}

/// A command.
#[must_use]
pub fn command(name: &str, data: &[u8]) -> Vec<u8> {
    frame(COMMAND, &[&short_string(name), data].concat())
}

/// A frame; long only if it must be.
#[must_use]
pub fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[flags, len], body].concat(),
        Err(_) => [&announced(flags, body.len() as u64), body].concat(),
    }
}

/// The header of a long frame, of which the body is still to come, if ever.
#[must_use]
pub fn announced(flags: u8, len: u64) -> Vec<u8> {
    [&[flags | LONG][..], &len.to_be_bytes()].concat()
}

fn short_string(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}
