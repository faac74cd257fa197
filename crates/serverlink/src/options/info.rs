//! The rows of the table.

use super::OptionForm;
use crate::{Error, Result, SocketType};

/// What there is to know of an option: a row of the table from which its setter, its getter, its C
/// number and its documentation are made.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name; with `set_` before it, that of its setter.
    pub name: &'static str,
    /// The name of its number in libzmq's C API.
    pub constant: &'static str,
    /// Its number there.
    pub id: i32,
    /// The values it takes.
    pub form: OptionForm,
    /// Whose option it is.
    pub owners: OptionOwners,
    /// From when on a value holds.
    pub time: OptionTime,
    /// What can be done with it by its number.
    pub access: OptionAccess,
    /// The version of libzmq that had it first.
    pub since: &'static str,
    /// The systems that have it, and whether this is one of them.
    pub systems: OptionSystems,
    /// What it does.
    pub summary: &'static str,
    /// If it is not supported: why.
    pub unsupported: Option<&'static str>,
    pub(super) default: fn() -> Option<Vec<u8>>,
}

/// Who has an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionOwners {
    /// The context.
    Context,
    /// The frames of messages.
    Messages,
    /// Sockets of all types.
    Sockets,
    /// Sockets of these types.
    SocketsOf(&'static [SocketType]),
}

/// From when on an option's value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionTime {
    /// It is set at any time, and holds at once.
    AtOnce,
    /// It is set at any time, and holds for what is bound or connected later.
    Later,
    /// It is set at any time, and holds for what is bound or connected next, and no longer.
    Next,
    /// It is set before the context is made, or before its first socket is.
    Start,
    /// It is set at any time, and holds for sockets opened later.
    LaterSockets,
    /// It is never set.
    Never,
}

/// What can be done with an option by its number, as in libzmq. What was set is told by its getter
/// in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionAccess {
    /// It can be set and told.
    SetAndGet,
    /// It can only be set.
    Set,
    /// It can only be told.
    Get,
}

/// Which systems have an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionSystems {
    /// Their names.
    pub names: &'static str,
    /// Whether this is one of them.
    pub here: bool,
}

impl OptionSystems {
    pub(super) const ALL: Self = Self { names: "all", here: true };
    pub(super) const UNIX: Self = Self { names: "Unix", here: cfg!(unix) };
    pub(super) const LINUX: Self =
        Self { names: "Linux", here: cfg!(any(target_os = "linux", target_os = "android")) };
    pub(super) const NOT_OPENBSD: Self =
        Self { names: "all but OpenBSD", here: cfg!(not(target_os = "openbsd")) };
    pub(super) const PROCESS_IDS: Self = Self {
        names: "Linux and macOS",
        here: cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    };
}

impl OptionInfo {
    /// The value it has if none is set, as the C API would tell it; none if there is no such.
    #[must_use]
    pub fn default_value(&self) -> Option<Vec<u8>> {
        (self.default)()
    }

    /// Whether sockets of a type have it.
    #[must_use]
    pub fn is_of(&self, socket_type: SocketType) -> bool {
        match self.owners {
            OptionOwners::Context | OptionOwners::Messages => false,
            OptionOwners::Sockets => true,
            OptionOwners::SocketsOf(types) => types.contains(&socket_type),
        }
    }

    /// Says why a socket of this type, or this system, does not have it.
    pub(super) fn check(&self, socket_type: SocketType) -> Result<()> {
        if let Some(reason) = self.unsupported {
            return Err(Error::UnsupportedOption { option: self.constant, reason });
        }
        if self.is_of(socket_type) {
            return Ok(());
        }
        let OptionOwners::SocketsOf(types) = self.owners else { return Ok(()) };
        let owners: Vec<_> = types.iter().map(|owner| owner.as_str()).collect();
        Err(self.refusal(format!(
            "a {socket_type} socket has no such option; it is for {}",
            owners.join(", ")
        )))
    }

    /// The answer to a value that is not one of those it takes.
    pub(super) fn out_of_range(&self) -> Error {
        self.refusal(format!("it takes {}", self.form))
    }

    pub(super) fn not_here(&self) -> Error {
        Error::UnsupportedOption { option: self.constant, reason: "this system does not have it" }
    }

    pub(super) fn refusal(&self, reason: String) -> Error {
        Error::InvalidOption { option: self.name, reason }
    }
}
