//! ZMTP over a WebSocket, over TLS if at all.

use std::{io, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp as zmtp;

use crate::{pipe::Form, transport::Tls};

/// What is spoken on a stream that is a WebSocket.
#[derive(Debug)]
pub(crate) struct Web {
    zmtp: zmtp::WebConnection,
    tls: Option<Arc<Tls>>,
    /// What is wrong with TLS, or that it is at its end, behind all that came.
    lost: Option<io::Error>,
}

impl Web {
    pub(crate) fn new(zmtp: zmtp::WebConnection, tls: Option<Arc<Tls>>) -> Self {
        Self { zmtp, tls, lost: None }
    }

    /// The form of what is sent until the handshake is over, if it has one.
    pub(super) fn first_form(&self) -> Option<Box<Form>> {
        self.tls.as_ref().map(|tls| Box::new(Form::secure(tls.clone())))
    }

    /// The form of what is sent from then on.
    pub(super) fn form(&mut self) -> Option<Box<Form>> {
        let framer = self.zmtp.take_framer()?;
        let sealer = self.zmtp.inner().take_sealer();
        Some(Box::new(Form::web(framer, sealer, self.tls.clone())))
    }

    pub(super) fn feed(&mut self, data: Bytes, now: Instant) {
        let Some(tls) = &self.tls else {
            self.zmtp.feed(data, now);
            return;
        };
        let mut plain = BytesMut::with_capacity(data.len());
        self.lost = tls.receive(&data, &mut plain).err();
        self.zmtp.feed(plain.freeze(), now);
    }

    /// What has ended TLS, behind everything that came by it.
    pub(super) fn take_lost(&mut self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Has the end of TLS told behind what is sent next.
    pub(super) fn close_tls(&mut self) {
        if let Some(tls) = &self.tls {
            tls.close();
        }
    }

    pub(super) fn zmtp(&mut self) -> &mut zmtp::Connection {
        self.zmtp.inner()
    }

    pub(super) fn peek(&self) -> &zmtp::Connection {
        self.zmtp.peek()
    }

    /// What has ended the WebSocket, behind all events.
    pub(super) fn fault(&self) -> Option<&zmtp::Error> {
        self.zmtp.fault()
    }

    pub(super) fn has_output(&self) -> bool {
        self.zmtp.has_output() || self.tls.as_ref().is_some_and(|tls| tls.has_output())
    }

    /// What is to be sent. Of TLS's own, which the form adds, that is nothing, which is to be sent
    /// nevertheless.
    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        let own = || self.tls.as_ref().is_some_and(|tls| tls.has_output()).then(Bytes::new);
        self.zmtp.take_output().or_else(own)
    }

    /// Has the end told behind everything else. False if that was done before.
    pub(super) fn say_goodbye(&mut self) -> bool {
        let says = self.zmtp.say_goodbye();
        if says && let Some(tls) = &self.tls {
            tls.close();
        }
        says
    }
}
