//! In place of TLS, where the cargo feature `wss` is off: there is none.

use std::{convert::Infallible, io};

use bytes::{Bytes, BytesMut};

use crate::{Error, Result, options::Options};

/// Nobody.
#[derive(Debug, Clone)]
pub(crate) struct Server(Infallible);

impl Server {
    pub(crate) fn new(_: &Options) -> Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn begin(&self) -> io::Result<Tls> {
        match self.0 {}
    }
}

/// Nobody.
#[derive(Debug, Clone)]
pub(crate) struct Client(Infallible);

impl Client {
    pub(crate) fn new(_: &str, _: &str, _: &Options) -> Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn begin(&self) -> io::Result<Tls> {
        match self.0 {}
    }
}

fn unsupported() -> Error {
    Error::UnsupportedTransport { transport: "wss".to_owned() }
}

/// No stream.
#[derive(Debug)]
pub(crate) struct Tls(Infallible);

/// No records.
#[derive(Debug, Default)]
pub(crate) struct Records(());

impl Records {
    pub(crate) fn clear(&mut self) {}

    pub(crate) fn plain(&self, sent: usize) -> usize {
        sent
    }
}

impl Tls {
    pub(crate) fn receive(&self, _: &[u8], _: &mut BytesMut) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn has_output(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn close(&self) {
        match self.0 {}
    }

    pub(crate) fn send(&self, _: &[Bytes], _: &mut Vec<Bytes>, _: &mut Records) {
        match self.0 {}
    }
}
