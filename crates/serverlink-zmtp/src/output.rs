//! Control bytes on their way out: greeting, READY, ERROR, PING, PONG.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::command;

/// Control bytes waiting to be sent.
#[derive(Default)]
pub(crate) struct Output {
    pending: BytesMut,
}

/// Not what they are: there may be a password among them.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("pending", &self.pending.len()).finish()
    }
}

impl Output {
    /// How many bytes may wait before heartbeats are left out. A peer that sends PINGs without
    /// reading our PONGs must not make us hoard them.
    const HEARTBEAT_LIMIT: usize = 4096;

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.pending.put_slice(bytes);
    }

    pub(crate) fn command(&mut self, name: &[u8], data: &[u8]) {
        command::encode(&mut self.pending, name, data);
    }

    pub(crate) fn error(&mut self, reason: &str) {
        // The grammar allows visible characters only, which excludes the space.
        let mut data = vec![0];
        data.extend(
            reason.bytes().take(255).map(|byte| if byte.is_ascii_graphic() { byte } else { b'-' }),
        );
        data[0] = (data.len() - 1) as u8;
        self.command(command::ERROR, &data);
    }

    pub(crate) fn heartbeat(&mut self, name: &[u8], data: &[u8]) {
        if self.pending.len() < Self::HEARTBEAT_LIMIT {
            self.command(name, data);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        // Taking the buffer whole leaves nothing allocated on an idle connection.
        (!self.is_empty()).then(|| std::mem::take(&mut self.pending).freeze())
    }
}
