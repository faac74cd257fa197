//! Ends a wait for descriptors.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
};

/// A connection of the process with itself that ends the wait.
#[derive(Debug)]
pub(super) struct Waker {
    receiver: UnixStream,
    sender: UnixStream,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        Ok(Self { receiver, sender })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    pub(super) fn wake(&self) {
        // If it is full, it wakes already.
        let _ = (&self.sender).write(&[1]);
    }

    pub(super) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.receiver).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}
