//! Links within a context: names, and who is bound to them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    Error, Message, Result, SocketType,
    endpoint::invalid,
    options::Options,
    pipe::{Effects, Pipe, PipeEnd},
    socket::{PeerProperties, SocketInner, unwanted},
};

/// The names of a context.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bound: HashMap<String, Bound>,
    /// Connected before anyone bound the name.
    waiting: HashMap<String, Vec<Waiting>>,
}

#[derive(Debug)]
struct Bound {
    socket: Weak<SocketInner>,
    options: Arc<Options>,
}

/// A connection to a name that nobody has bound yet.
#[derive(Debug)]
struct Waiting {
    socket: Weak<SocketInner>,
    options: Arc<Options>,
    /// The connecting socket's end, and the one kept for whoever binds.
    near: Arc<Pipe>,
    far: PipeEnd,
}

impl Registry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `socket` the name, and the connections that wait for it.
    pub(crate) fn bind(
        &self,
        name: &str,
        socket: &Arc<SocketInner>,
        options: &Arc<Options>,
    ) -> Result<()> {
        let mut state = self.state();
        if state.bound.get(name).is_some_and(|bound| bound.socket.strong_count() > 0) {
            return Err(Error::AddressInUse { endpoint: format!("inproc://{name}") });
        }
        let bound = Bound { socket: Arc::downgrade(socket), options: options.clone() };
        state.bound.insert(name.to_owned(), bound);
        let waiting = state.waiting.remove(name).unwrap_or_default();
        drop(state);
        for Waiting { socket: connecting, options: theirs, near, far } in waiting {
            let Some(connecting) = connecting.upgrade() else { continue };
            if !connecting.socket_type().is_compatible_with(socket.socket_type()) {
                connecting.pipe_closed(&near);
                continue;
            }
            join(socket, options, far, &connecting, &theirs, &near);
        }
        Ok(())
    }

    /// The type of the socket that has the name, if there is one.
    pub(crate) fn bound_type(&self, name: &str) -> Option<SocketType> {
        Some(self.state().bound.get(name)?.socket.upgrade()?.socket_type())
    }

    /// Frees the name, if it is the socket's.
    pub(crate) fn unbind(&self, name: &str, socket: &SocketInner) {
        let mut state = self.state();
        if state.bound.get(name).is_some_and(|bound| std::ptr::eq(bound.socket.as_ptr(), socket)) {
            state.bound.remove(name);
        }
    }

    /// Connects `socket` to whoever has the name or will have it; returns its end.
    pub(crate) fn connect(
        &self,
        name: &str,
        socket: &Arc<SocketInner>,
        options: &Arc<Options>,
    ) -> Result<Arc<Pipe>> {
        // As in libzmq, the one that connects has it its way.
        let (mut end, far) = PipeEnd::inproc_pair([
            options.conflates_in(socket.socket_type()),
            options.conflates_out(socket.socket_type()),
        ]);
        // Nobody is there yet to be told of it.
        let effects = &mut Effects::default();
        end.set_limits(options.receive_limit(), options.send_limit(), effects);
        let near = end.pipe.clone();
        near.set_owner(Arc::downgrade(socket));
        say_hello(&mut end, options, effects);
        // Before anyone who binds the name meanwhile can find it.
        if !socket.attach_as(end, None, &options.connect_routing_id) {
            return Err(unwanted(socket.socket_type()));
        }
        let mut state = self.state();
        let bound = state
            .bound
            .get(name)
            .and_then(|bound| Some((bound.socket.upgrade()?, bound.options.clone())));
        match bound {
            Some((binder, theirs)) => {
                drop(state);
                if !socket.socket_type().is_compatible_with(binder.socket_type()) {
                    socket.pipe_closed(&near);
                    return Err(invalid(
                        &format!("inproc://{name}"),
                        &format!(
                            "a {} socket cannot talk to the {} socket that is bound there",
                            socket.socket_type(),
                            binder.socket_type()
                        ),
                    ));
                }
                join(&binder, &theirs, far, socket, options, &near);
            }
            None => {
                state.waiting.entry(name.to_owned()).or_default().push(Waiting {
                    socket: Arc::downgrade(socket),
                    options: options.clone(),
                    near: near.clone(),
                    far,
                });
            }
        }
        Ok(near)
    }

    /// Forgets the connections of a socket that still wait.
    pub(crate) fn forget(&self, socket: &SocketInner) {
        self.state().waiting.retain(|_, waiting| {
            waiting.retain(|one| !std::ptr::eq(one.socket.as_ptr(), socket));
            !waiting.is_empty()
        });
    }

    /// Forgets one connection, if it still waits: whether it did.
    pub(crate) fn forget_pipe(&self, pipe: &Arc<Pipe>) -> bool {
        let mut waited = false;
        self.state().waiting.retain(|_, waiting| {
            let count = waiting.len();
            waiting.retain(|one| !Arc::ptr_eq(&one.near, pipe));
            waited |= waiting.len() < count;
            !waiting.is_empty()
        });
        waited
    }
}

/// Sends what the peer is to receive first.
fn say_hello(end: &mut PipeEnd, options: &Options, effects: &mut Effects) {
    if !options.hello_message.is_empty() {
        // There is room: nothing has been sent before.
        let _ = end.write(&mut Message::from(options.hello_message.clone()), effects);
    }
}

/// Joins the two ends, of which the connecting one is attached already.
fn join(
    binder: &Arc<SocketInner>,
    binder_options: &Options,
    mut far: PipeEnd,
    connecting: &Arc<SocketInner>,
    connecting_options: &Options,
    near: &Arc<Pipe>,
) {
    let pipe = far.pipe.clone();
    pipe.set_owner(Arc::downgrade(binder));
    near.set_farewell(&binder_options.disconnect_message);
    let mut effects = Effects::default();
    say_hello(&mut far, binder_options, &mut effects);
    let told = [(connecting_options, connecting), (binder_options, binder)]
        .map(|(options, socket)| PeerProperties::inproc(options, socket.socket_type()));
    let [connecting_told, binder_told] = told;
    let accepted =
        binder.attach(far, Some(connecting_told)) && connecting.pipe_ready(near, binder_told);
    if accepted {
        // What was sent before there was anyone to tell.
        binder.pipe_readable(&pipe);
        effects.run();
    } else {
        connecting.pipe_closed(near);
        binder.pipe_closed(&pipe);
    }
}
