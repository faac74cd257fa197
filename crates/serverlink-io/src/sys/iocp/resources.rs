//! What an entry owns.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use super::{
    kernel::{Accepting, Handle, Kernel, Nature, Socket, System},
    shared::Registration,
};
use crate::{Handler, errors::only_probes};

/// What an entry holds until it is retired and nothing uses it any more.
///
/// The fields are dropped in this order: the socket is closed first, and an entry that its port no
/// longer lists is gone entirely.
pub(super) struct Resources {
    descriptor: Descriptor,
    accepting: OnceLock<Accepting>,
    pub(super) handler: Arc<dyn Handler>,
    _registration: Registration,
}

/// Whose socket it is.
pub(super) enum Descriptor {
    /// Ours, and on our port.
    Owned(Socket),
    /// Somebody else's, to be probed only.
    Watched(Handle),
}

impl Descriptor {
    pub(super) fn nature(&self) -> Nature {
        match self {
            Self::Owned(socket) => Kernel::nature(socket),
            Self::Watched(_) => Nature::Socket,
        }
    }
}

impl Resources {
    pub(super) fn new(
        descriptor: Descriptor,
        handler: Arc<dyn Handler>,
        registration: Registration,
    ) -> Self {
        Self { descriptor, accepting: OnceLock::new(), handler, _registration: registration }
    }

    pub(super) fn handle(&self) -> Handle {
        match &self.descriptor {
            Descriptor::Owned(socket) => Kernel::handle(socket),
            Descriptor::Watched(handle) => *handle,
        }
    }

    pub(super) fn nature(&self) -> Nature {
        self.descriptor.nature()
    }

    /// The socket, if it is ours.
    pub(super) fn socket(&self) -> io::Result<&Socket> {
        match &self.descriptor {
            Descriptor::Owned(socket) => Ok(socket),
            Descriptor::Watched(_) => Err(only_probes()),
        }
    }

    /// What accepting on it takes, found out once.
    pub(super) fn accepting(&self, kernel: &Kernel) -> io::Result<Accepting> {
        if let Some(accepting) = self.accepting.get() {
            return Ok(*accepting);
        }
        let accepting = kernel.accepting(self.socket()?)?;
        Ok(*self.accepting.get_or_init(|| accepting))
    }
}
