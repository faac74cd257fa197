//! Setting and getting options, by name and by number.

use std::sync::Arc;

use super::{
    OptionAccess, OptionInfo, Options, special,
    table::{self, Row},
    unsupported,
    value::Value,
};
use crate::{Error, Result, Socket};

/// The options of sockets, by their numbers.
pub fn socket_options() -> Vec<OptionInfo> {
    let mut all: Vec<_> = table::ROWS.iter().map(|row| row.info).collect();
    all.extend(special::ROWS.iter().map(|row| row.info));
    all.extend_from_slice(unsupported::ROWS);
    all.sort_by_key(|info| info.id);
    all
}

fn row(id: i32) -> Result<&'static Row> {
    table::ROWS.iter().find(|row| row.info.id == id).ok_or(Error::UnknownOption { id })
}

impl Socket {
    /// Sets an option by its number in libzmq's C API, to a value as that API writes it:
    /// [`socket_options`](crate::socket_options) tells both.
    ///
    /// It does what the setter of that name does, and takes what libzmq's `zmq_setsockopt` takes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use serverlink::{Context, SocketType};
    ///
    /// let socket = Context::new()?.socket(SocketType::Pull)?;
    /// socket.set_option(17, &250i32.to_ne_bytes())?; // ZMQ_LINGER
    /// assert_eq!(socket.linger(), Some(Duration::from_millis(250)));
    /// assert_eq!(socket.option(17)?, 250i32.to_ne_bytes());
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOption`], [`Error::UnsupportedOption`], [`Error::InvalidOption`] for a value
    /// out of range or of the wrong size, on a socket without this option, and for one that can only
    /// be told; [`Error::Terminated`].
    pub fn set_option(&self, id: i32, value: &[u8]) -> Result<()> {
        if let Some(row) = special::row(id) {
            row.info.check(self.socket_type())?;
            let set = row.set.ok_or_else(|| only_told(&row.info))?;
            return set(self, value);
        }
        let info = self.info(id)?;
        let row = row(id)?;
        let mut core = self.inner.core();
        core.check()?;
        if !info.systems.here && !is_default(row, value) {
            return Err(info.not_here());
        }
        if !(row.set)(Arc::make_mut(&mut core.peers.options), value) {
            return Err(info.out_of_range());
        }
        self.inner.option_set(core, id);
        Ok(())
    }

    /// What an option is set to, by its number in libzmq's C API and as that API writes it; see
    /// [`set_option`](Self::set_option).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOption`], [`Error::UnsupportedOption`], [`Error::InvalidOption`] on a socket
    /// without this option, and for one that libzmq does not tell; [`Error::Terminated`].
    pub fn option(&self, id: i32) -> Result<Vec<u8>> {
        if let Some(row) = special::row(id) {
            row.info.check(self.socket_type())?;
            let get = row.get.ok_or_else(|| only_set(&row.info))?;
            self.inner.core().check()?;
            return get(self);
        }
        let info = self.info(id)?;
        if info.access == OptionAccess::Set {
            return Err(only_set(&info));
        }
        let core = self.inner.core();
        core.check()?;
        Ok((row(id)?.get)(&core.peers.options))
    }

    /// What the table says of an option that this socket has.
    fn info(&self, id: i32) -> Result<OptionInfo> {
        let info = unsupported::ROWS.iter().find(|info| info.id == id);
        let info = info.map_or_else(|| row(id).map(|row| row.info), |info| Ok(*info))?;
        info.check(self.socket_type())?;
        Ok(info)
    }

    pub(super) fn set_field<V: Value>(
        &self,
        id: i32,
        value: V,
        field: impl FnOnce(&mut Options) -> &mut V,
    ) -> Result<()> {
        let row = row(id)?;
        row.info.check(self.socket_type())?;
        if !value.fits(&row.info.form) {
            return Err(row.info.out_of_range());
        }
        if !row.info.systems.here && Some(value.encode(&row.info.form)) != row.info.default_value()
        {
            return Err(row.info.not_here());
        }
        let mut core = self.inner.core();
        core.check()?;
        *field(Arc::make_mut(&mut core.peers.options)) = value;
        self.inner.option_set(core, id);
        Ok(())
    }

    pub(super) fn field<V>(&self, field: impl FnOnce(&Options) -> V) -> V {
        field(&self.inner.core().peers.options)
    }
}

/// Whether a value is the one that an option has by itself.
fn is_default(row: &Row, value: &[u8]) -> bool {
    let mut options = Options::default();
    (row.set)(&mut options, value) && Some((row.get)(&options)) == row.info.default_value()
}

fn only_told(info: &OptionInfo) -> Error {
    info.refusal("it can only be told, not set".to_owned())
}

fn only_set(info: &OptionInfo) -> Error {
    info.refusal("it can only be set; libzmq does not tell it by its number either".to_owned())
}
