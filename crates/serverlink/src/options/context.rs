//! The table of the options of contexts.

use super::{
    OptionAccess::{Get, Set, SetAndGet},
    OptionForm, OptionInfo,
    OptionOwners::Context as Contexts,
    OptionSystems,
    OptionTime::{LaterSockets, Never, Start},
    OptionTruth, OptionUnit,
    value::{Keeps, Value, int},
};
use crate::{Context, ContextBuilder, Error, Result};

/// The row of an option whose value is a field of [`ContextOptions`].
struct Row {
    info: OptionInfo,
    get: fn(&ContextOptions) -> Vec<u8>,
    /// False refuses the value.
    set: fn(&mut ContextOptions, &[u8]) -> bool,
    /// Whether the value that was given in Rust is one of those it takes.
    fits: fn(&ContextOptions) -> bool,
}

/// Makes everything of rows like those of the sockets' table, whose setters belong to the builder.
macro_rules! context_options {
    ($(
        $(#[doc = $line:literal])+
        $constant:ident = $id:literal, since $since:literal, $time:ident, $access:ident, $form:expr,
            $systems:ident:
            $name:ident($given:ty): $kept:ty = $default:expr;
    )+) => {
        /// What a context is set to.
        #[derive(Debug, Clone)]
        pub(crate) struct ContextOptions {
            $(
                $(#[doc = $line])+
                pub(crate) $name: $kept,
            )+
        }

        impl Default for ContextOptions {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        const ROWS: &[Row] = &[$(
            Row {
                info: OptionInfo {
                    name: stringify!($name),
                    constant: stringify!($constant),
                    id: $id,
                    form: $form,
                    owners: Contexts,
                    time: $time,
                    access: $access,
                    since: $since,
                    systems: OptionSystems::$systems,
                    summary: concat!($($line, "\n"),+),
                    unsupported: None,
                    default: || Some(ContextOptions::default().$name.encode(&$form)),
                },
                get: |options| options.$name.encode(&$form),
                set: |options, bytes| match options.$name.changed(bytes, &$form) {
                    Some(value) => {
                        options.$name = value;
                        true
                    }
                    None => false,
                },
                fits: |options| options.$name.fits(&$form),
            },
        )+];

        /// # Options
        ///
        /// [`build`](Self::build) checks their values. `docs/options.md` shows all options in one table.
        impl ContextBuilder {
            $(
                $(#[doc = $line])+
                ///
                #[doc = concat!(
                    "If not set: `", stringify!($default), "`. This is `", stringify!($constant), "`."
                )]
                pub fn $name(mut self, value: $given) -> Self {
                    self.options.$name = <$kept>::keep(value);
                    self
                }
            )+
        }

        /// # Options
        impl Context {
            $(
                #[doc = concat!(
                    "What [`", stringify!($name), "`](ContextBuilder::", stringify!($name),
                    ") is set to."
                )]
                #[must_use]
                pub fn $name(&self) -> $kept {
                    self.shared.runtime.options().$name.clone()
                }
            )+
        }
    };
}

const FLAG: OptionForm = OptionForm::Flag(OptionTruth::Positive);
const NUMBER: OptionForm = OptionForm::int(OptionUnit::One, 0);
const PROCESSOR: OptionForm = NUMBER.up_to(1023);

context_options! {
    /// How many threads serve connections, from 1 to 256. With one, threads that wait in
    /// [`recv`](crate::Socket::recv) serve connections themselves meanwhile; with several, they sleep.
    ZMQ_IO_THREADS = 1, since "3.0", Start, SetAndGet, OptionForm::int(OptionUnit::One, 1).up_to(256), ALL:
        io_threads(usize): usize = 1;

    /// How many sockets may be open at the same time, from 1.
    ZMQ_MAX_SOCKETS = 2, since "3.2", Start, SetAndGet, OptionForm::int(OptionUnit::One, 1), ALL:
        max_sockets(usize): usize = 1023;

    /// The priority of the I/O threads, where their [policy](Self::thread_policy) has one; `None`: as
    /// the system has it.
    ZMQ_THREAD_PRIORITY = 3, since "4.1", Start, Set,
        OptionForm::int(OptionUnit::One, 0).or_none(&[-1]), LINUX:
        thread_priority(Option<i32>): Option<i32> = None;

    /// The policy by which the system schedules the I/O threads, by the number it has for it; `None`:
    /// as it has it.
    ZMQ_THREAD_SCHED_POLICY = 4, since "4.1", Start, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).or_none(&[-1]), LINUX:
        thread_policy(Option<i32>): Option<i32> = None;

    /// The largest message, in bytes, that programs in C are told the size of. As in libzmq, none is
    /// refused for it: see [`set_max_message_size`](crate::Socket::set_max_message_size) for that.
    ZMQ_MAX_MSGSZ = 5, since "4.1", LaterSockets, SetAndGet,
        OptionForm::int(OptionUnit::Bytes, 0).up_to(i32::MAX as i64), ALL:
        max_told_message_size(i32): i32 = i32::MAX;

    /// The processors on which the I/O threads may run, by their numbers from 0; none: all of them.
    ZMQ_THREAD_AFFINITY_CPU_ADD = 7, since "4.3", Start, Set, PROCESSOR, LINUX:
        thread_affinity(&[u32]): Vec<u32> = Vec::new();

    /// What the names of the I/O threads begin with, for whoever looks at them from without. Systems
    /// show the first 15 bytes or so of a name.
    ZMQ_THREAD_NAME_PREFIX = 9, since "4.3", Start, SetAndGet, OptionForm::Text { most: 16 }, ALL:
        thread_name_prefix(Option<&str>): Option<String> = None;

    /// Whether long frames stay in the memory they were received to, instead of being copied: a frame
    /// that is kept then keeps up to 128 times its size.
    ZMQ_ZERO_COPY_RECV = 10, since "4.3", LaterSockets, SetAndGet, FLAG, ALL:
        zero_copy_receive(bool): bool = true;

    /// Whether sockets have the [IPv6 option](crate::Socket::set_ipv6) on when they are opened.
    ZMQ_IPV6 = 42, since "4.2", LaterSockets, SetAndGet, FLAG, ALL:
        ipv6(bool): bool = false;

    /// Whether closed sockets go on sending what they have to send for ever; otherwise their
    /// [linger](crate::Socket::set_linger) time is zero when they are opened.
    ZMQ_BLOCKY = 70, since "4.2", LaterSockets, SetAndGet, FLAG, ALL:
        blocky(bool): bool = true;
}

const PLAIN: OptionInfo = OptionInfo {
    name: "",
    constant: "",
    id: 0,
    form: NUMBER,
    owners: Contexts,
    time: Never,
    access: Get,
    since: "4.1",
    systems: OptionSystems::ALL,
    summary: "",
    unsupported: None,
    default: || None,
};

const SOCKET_LIMIT: OptionInfo = OptionInfo {
    name: "socket_limit",
    constant: "ZMQ_SOCKET_LIMIT",
    id: 3,
    summary: "How many sockets may at most be open at the same time: 65535, as in libzmq, though \
              there is no limit here.",
    default: || Some(65_535i32.to_ne_bytes().to_vec()),
    ..PLAIN
};

const MESSAGE_SIZE: OptionInfo = OptionInfo {
    name: "message_size",
    constant: "ZMQ_MSG_T_SIZE",
    id: 6,
    since: "4.2",
    summary: "The size of `zmq_msg_t` in C.",
    default: || Some(64i32.to_ne_bytes().to_vec()),
    ..PLAIN
};

const AFFINITY_REMOVE: OptionInfo = OptionInfo {
    name: "thread_affinity_remove",
    constant: "ZMQ_THREAD_AFFINITY_CPU_REMOVE",
    id: 8,
    form: PROCESSOR,
    time: Start,
    access: Set,
    since: "4.3",
    systems: OptionSystems::LINUX,
    summary: "Takes a processor back that was added before.",
    ..PLAIN
};

/// The options of contexts, by their numbers. Two have the same number: one is set, the other told.
pub fn context_options() -> Vec<OptionInfo> {
    let mut all: Vec<_> = ROWS.iter().map(|row| row.info).collect();
    all.extend([SOCKET_LIMIT, MESSAGE_SIZE, AFFINITY_REMOVE]);
    all.sort_by_key(|info| info.id);
    all
}

impl ContextOptions {
    /// Says which value is not one of those its option takes, if any.
    pub(crate) fn check(&self) -> Result<()> {
        let defaults = Self::default();
        for row in ROWS {
            if !(row.fits)(self) {
                return Err(row.info.out_of_range());
            }
            if !row.info.systems.here && (row.get)(self) != (row.get)(&defaults) {
                return Err(row.info.not_here());
            }
        }
        Ok(())
    }

    fn set(&mut self, id: i32, value: &[u8], started: bool) -> Result<()> {
        let all = context_options();
        let known = all.iter().find(|info| info.id == id && info.access != Get);
        let Some(info) = known else {
            return Err(match all.iter().find(|info| info.id == id) {
                Some(told) => told.refusal("it can only be told, not set".to_owned()),
                None => Error::UnknownOption { id },
            });
        };
        if started && info.time == Start {
            return Err(info.refusal("it must be set before the context is made".to_owned()));
        }
        let mut changed = self.clone();
        let taken = match ROWS.iter().find(|row| row.info.id == id) {
            Some(row) => (row.set)(&mut changed, value),
            None => changed.remove_processor(value),
        };
        if !taken {
            return Err(info.out_of_range());
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// False if it was not there.
    fn remove_processor(&mut self, value: &[u8]) -> bool {
        let before = self.thread_affinity.len();
        let processor = int(value).and_then(|processor| u32::try_from(processor).ok());
        self.thread_affinity.retain(|&other| Some(other) != processor);
        self.thread_affinity.len() < before
    }

    fn get(&self, id: i32) -> Result<Vec<u8>> {
        for told in [SOCKET_LIMIT, MESSAGE_SIZE] {
            if told.id == id {
                return Ok(told.default_value().unwrap_or_default());
            }
        }
        if id == AFFINITY_REMOVE.id {
            return Err(AFFINITY_REMOVE.refusal("it can only be set".to_owned()));
        }
        let row = ROWS.iter().find(|row| row.info.id == id).ok_or(Error::UnknownOption { id })?;
        if row.info.access == Set {
            return Err(row.info.refusal("it can only be set".to_owned()));
        }
        Ok((row.get)(self))
    }
}

impl ContextBuilder {
    /// Sets an option by its number in libzmq's C API, to a value as that API writes it:
    /// [`context_options`](crate::context_options) tells both.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOption`]; [`Error::UnsupportedOption`]; [`Error::InvalidOption`] for a value out
    /// of range or of the wrong size, and for an option that can only be told.
    pub fn set_option(mut self, id: i32, value: &[u8]) -> Result<Self> {
        self.options.set(id, value, false)?;
        Ok(self)
    }
}

impl Context {
    /// Sets an option by its number in libzmq's C API, to a value as that API writes it. It holds for
    /// sockets opened later; see [`ContextBuilder::set_option`] for those that must be set before.
    ///
    /// # Errors
    ///
    /// Those of [`ContextBuilder::set_option`], and [`Error::InvalidOption`] for an option that must be
    /// set before the context is made.
    pub fn set_option(&self, id: i32, value: &[u8]) -> Result<()> {
        self.shared.runtime.options().set(id, value, true)
    }

    /// What an option is set to, by its number in libzmq's C API and as that API writes it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOption`]; [`Error::InvalidOption`] for one that libzmq does not tell.
    pub fn option(&self, id: i32) -> Result<Vec<u8>> {
        self.shared.runtime.options().get(id)
    }
}
