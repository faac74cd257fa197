//! A peer that speaks ZMTP 2.0 or 1.0, over nothing but a TCP stream.

use crate::{Frames, raw::RawPeer};

/// How a peer speaks that is older than ZMTP 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// ZMTP 2.0, as ZeroMQ 3.
    Revision1,
    /// ZMTP 1.0 of a peer that knows of versions.
    Revision0,
    /// ZMTP 1.0 of a peer that does not, as ZeroMQ 2.
    Unversioned,
}

/// A peer of such a version, and what it has heard.
#[derive(Debug)]
pub struct OlderPeer {
    raw: RawPeer,
    older: Older,
    heard: Vec<u8>,
}

impl Older {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Revision1, Self::Revision0, Self::Unversioned];

    /// Everything up to the message that is the routing id.
    #[must_use]
    pub fn greeting(self, socket_type: u8) -> Vec<u8> {
        let revision = match self {
            Self::Unversioned => return Vec::new(),
            Self::Revision0 => 0,
            Self::Revision1 => 1,
        };
        // With the padding that RFC 15 has.
        [&b"\xff\0\0\0\0\0\0\0\0\x7f"[..], &[revision, socket_type]].concat()
    }

    /// A frame.
    #[must_use]
    pub fn frame(self, more: bool, body: &[u8]) -> Vec<u8> {
        if self == Self::Revision1 {
            return crate::raw::frame(u8::from(more), body);
        }
        let len = body.len() as u64 + 1;
        let length = match u8::try_from(len) {
            Ok(len @ ..=254) => vec![len],
            _ => [&[255][..], &len.to_be_bytes()].concat(),
        };
        [&length[..], &[u8::from(more)], body].concat()
    }

    /// The handshake of a peer of the type that has this number, with this routing id.
    #[must_use]
    pub fn handshake(self, socket_type: u8, routing_id: &[u8]) -> Vec<u8> {
        [self.greeting(socket_type), self.frame(false, routing_id)].concat()
    }

    /// Does the whole handshake, taking the other side at its word; returns its routing id, too.
    #[track_caller]
    #[must_use]
    pub fn shake_hands(
        self,
        raw: RawPeer,
        socket_type: u8,
        routing_id: &[u8],
    ) -> (OlderPeer, Vec<u8>) {
        let mut peer = OlderPeer { raw, older: self, heard: Vec::new() };
        let signature = peer.read(10);
        assert_eq!((signature[0], signature[9]), (0xff, 0x7f));
        peer.raw.write(&self.handshake(socket_type, routing_id));
        let theirs = if self == Self::Unversioned {
            let len = u64::from_be_bytes(signature[1..9].try_into().unwrap());
            peer.read(len as usize - 1)
        } else {
            assert_eq!(peer.read(2)[0], 3);
            peer.frame().1
        };
        (peer, theirs)
    }
}

impl OlderPeer {
    fn read(&mut self, len: usize) -> Vec<u8> {
        let bytes = self.raw.take(len);
        self.heard.extend(&bytes);
        bytes
    }

    fn frame(&mut self) -> (bool, Vec<u8>) {
        let first = self.read(1)[0];
        let long = |peer: &mut Self| u64::from_be_bytes(peer.read(8).try_into().unwrap());
        let (flags, len) = if self.older == Older::Revision1 {
            let len = if first & 2 == 0 { self.read(1)[0].into() } else { long(self) };
            (first & !2, len)
        } else {
            let len = if first == 255 { long(self) } else { first.into() };
            (self.read(1)[0], len - 1)
        };
        assert!(flags <= 1, "{flags:#x}");
        (flags == 1, self.read(len as usize))
    }

    /// Reads the next message.
    #[track_caller]
    #[must_use]
    pub fn recv(&mut self) -> Frames {
        let mut frames = Vec::new();
        loop {
            let (more, body) = self.frame();
            frames.push(body);
            if !more {
                return frames;
            }
        }
    }

    /// Reads the next message and compares it.
    #[track_caller]
    pub fn expect<T: AsRef<[u8]>>(&mut self, frames: impl AsRef<[T]>) {
        let message = self.recv();
        assert!(message.iter().eq(frames.as_ref().iter().map(AsRef::as_ref)), "{message:?}");
    }

    /// Writes a message.
    #[track_caller]
    pub fn send<T: AsRef<[u8]>>(&mut self, frames: impl AsRef<[T]>) {
        let frames = frames.as_ref();
        for (index, frame) in frames.iter().enumerate() {
            let bytes = self.older.frame(index + 1 < frames.len(), frame.as_ref());
            self.raw.write(&bytes);
        }
    }

    /// Reads so many bytes of what comes next, whatever they are.
    #[track_caller]
    pub fn skip(&mut self, len: usize) {
        let _ = self.read(len);
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) {
        self.raw.finish();
    }

    /// Reads until the other side closes the stream; returns all that it has ever sent.
    #[track_caller]
    #[must_use]
    pub fn all_heard(mut self) -> Vec<u8> {
        self.heard.extend(self.raw.rest());
        self.heard
    }
}
