//! The calls on the model.

use std::{
    ffi::c_void,
    io, slice,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{SockAddr, socklen_t};

use super::{
    Addresses, Called, Handle, Model, Open, Overlapped, PENDING, Poll, Socket, Vector, Work,
    socket::address,
};
use crate::{
    Event,
    lock::lock,
    sys::{
        RawDescriptor,
        iocp::kernel::{Nature, System},
    },
};

/// No packet came in time.
const TIMEOUT: u32 = 258;

/// A completion port.
pub(in crate::sys::iocp) struct Kernel(Arc<Model>);

/// One entry of its queue.
#[derive(Debug, Clone)]
pub(in crate::sys::iocp) struct Packet {
    key: usize,
    overlapped: *mut Overlapped,
    bytes: u32,
}

// SAFETY: a plain result; what it names is touched only by the turn that dequeued it.
unsafe impl Send for Packet {}

impl Packet {
    pub(super) fn new(key: usize, overlapped: *mut Overlapped, bytes: u32) -> Self {
        Self { key, overlapped, bytes }
    }
}

impl Default for Packet {
    fn default() -> Self {
        Self::new(0, std::ptr::null_mut(), 0)
    }
}

/// What accepting takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::sys::iocp) struct Accepting(Nature);

/// What connecting takes.
#[derive(Debug, Clone)]
pub(in crate::sys::iocp) struct Connecting;

/// A handle on the port that is no socket.
pub(in crate::sys::iocp) struct Device {
    model: Arc<Model>,
    handle: Handle,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.model.close(self.handle);
    }
}

impl Kernel {
    pub(super) fn model(&self) -> &Arc<Model> {
        &self.0
    }

    pub(super) fn socket(&self, nature: Nature) -> Socket {
        Socket::new(&self.0, nature)
    }

    /// Mostly works.
    fn works(&self, handle: Handle) -> io::Result<()> {
        if self.0.choose(16) != 15 {
            return Ok(());
        }
        let code = self.0.code();
        self.0.open(handle, "a call", |open| open.codes.push(code));
        Err(io::Error::from_raw_os_error(code.cast_signed()))
    }

    /// # Safety
    ///
    /// There are `count` vectors.
    unsafe fn vectors(vectors: *const Vector, count: u32) -> Vec<Vector> {
        // SAFETY: the caller's promise.
        unsafe { slice::from_raw_parts(vectors, count as usize) }.to_vec()
    }
}

impl System for Kernel {
    type Accepting = Accepting;
    type Addresses = Addresses;
    type Connecting = Connecting;
    type Device = Device;
    type Overlapped = Overlapped;
    type Packet = Packet;
    type Socket = Socket;
    type Vector = Vector;

    fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Model::new())))
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn post(&self, key: usize) -> io::Result<()> {
        self.0.interlude();
        let mut state = lock(&self.0.state);
        if state.failing_posts > 0 {
            state.failing_posts -= 1;
            state.failed_posts += 1;
            return Err(io::Error::from_raw_os_error(8));
        }
        state.packets.push_back(Packet::new(key, std::ptr::null_mut(), 0));
        Ok(())
    }

    fn dequeue(&self, into: &mut [Packet], milliseconds: u32) -> Result<usize, u32> {
        let forever = milliseconds == u32::MAX;
        self.0.interlude();
        if let Some(code) = lock(&self.0.state).failing_dequeue.take() {
            return Err(code);
        }
        loop {
            let mut state = lock(&self.0.state);
            if !state.packets.is_empty() {
                break;
            }
            if milliseconds == 0 {
                return Err(TIMEOUT);
            }
            drop(state);
            let busy = self.0.schedule().is_some_and(|schedule| schedule.sleeping(forever));
            state = lock(&self.0.state);
            if !busy && state.packets.is_empty() {
                assert!(!forever, "asleep for ever");
                state.waited += Duration::from_millis(milliseconds.into());
                return Err(TIMEOUT);
            }
        }
        // Mostly all.
        let most = if self.0.choose(4) == 3 { 1 + self.0.choose(4) } else { into.len() };
        let mut state = lock(&self.0.state);
        let count = state.packets.len().min(most).min(into.len());
        for (place, packet) in into.iter_mut().zip(state.packets.drain(..count).collect::<Vec<_>>())
        {
            state.operations.retain(|_, operation| {
                !(operation.queued && operation.overlapped == packet.overlapped)
            });
            *place = packet;
        }
        drop(state);
        self.0.interlude();
        Ok(count)
    }

    fn looks_for_each_packet() -> bool {
        true
    }

    fn read(packet: &Packet) -> (usize, *mut Overlapped, u32) {
        (packet.key, packet.overlapped, packet.bytes)
    }

    fn associate(&self, socket: &Socket) -> io::Result<()> {
        self.0.open(socket.handle, "CreateIoCompletionPort", |open| open.associated = true);
        Ok(())
    }

    fn skip_on_success(&self, socket: &Socket) -> bool {
        let skips = self.0.choose(3) != 2;
        self.0.open(socket.handle, "a call", |open| open.skips = skips);
        skips
    }

    fn handle(socket: &Socket) -> Handle {
        socket.handle
    }

    fn foreign(descriptor: RawDescriptor) -> Handle {
        Handle::try_from(descriptor).expect("not negative")
    }

    fn take_over(_: socket2::Socket) -> Socket {
        unreachable!("tests give the backend the model's own sockets")
    }

    fn nature(socket: &Socket) -> Nature {
        socket.nature
    }

    fn hand_over(socket: Socket, peer: SockAddr) -> Event {
        Event::Accepted(Ok((socket.hand_over(), peer)))
    }

    unsafe fn succeeded(overlapped: *const Overlapped) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*overlapped).status == 0 }
    }

    unsafe fn result(
        &self,
        handle: Handle,
        overlapped: *mut Overlapped,
        _: bool,
    ) -> Result<u32, u32> {
        self.0.open(handle, "WSAGetOverlappedResult", |_| {});
        self.0.interlude();
        // SAFETY: the caller's promise.
        let ended = unsafe { &*overlapped };
        match ended.status {
            PENDING => {
                self.0.violation("asked how an operation ended that has not");
                Err(996)
            }
            0 => Ok(ended.bytes),
            code => Err(code),
        }
    }

    unsafe fn cancel(&self, handle: Handle, overlapped: *const Overlapped) {
        self.0.cancel(handle, overlapped);
    }

    fn vector(start: *mut u8, length: u32) -> Vector {
        Vector { start, length }
    }

    unsafe fn receive(
        &self,
        _: Nature,
        socket: Handle,
        vectors: *const Vector,
        count: u32,
        overlapped: *mut Overlapped,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            let vectors = Self::vectors(vectors, count);
            self.0.issue(socket, Work::Receive(vectors), overlapped)
        }
    }

    unsafe fn send(
        &self,
        nature: Nature,
        socket: Handle,
        vectors: *const Vector,
        count: u32,
        overlapped: *mut Overlapped,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            let vectors = Self::vectors(vectors, count);
            if nature == Nature::Pipe && vectors.len() != 1 {
                self.0.violation("a pipe was given several buffers at once");
            }
            self.0.issue(socket, Work::Send(vectors), overlapped)
        }
    }

    fn accepting(&self, listener: &Socket) -> io::Result<Accepting> {
        self.works(listener.handle).map(|()| Accepting(listener.nature))
    }

    fn unconnected(&self, _: &Socket, accepting: Accepting) -> io::Result<Socket> {
        if self.0.choose(16) == 15 {
            return Err(io::Error::from_raw_os_error(10_024));
        }
        let socket = self.socket(accepting.0);
        if accepting.0 == Nature::Pipe {
            self.associate(&socket)?;
            lock(&self.0.state).instances.insert(socket.handle);
        }
        Ok(socket)
    }

    fn accept_on(listener: Handle, socket: &Socket) -> Handle {
        match socket.nature {
            Nature::Socket => listener,
            Nature::Pipe => socket.handle,
        }
    }

    fn addresses() -> Addresses {
        Addresses(0)
    }

    unsafe fn accept(
        &self,
        listener: Handle,
        accepting: Accepting,
        socket: Handle,
        addresses: *mut Addresses,
        overlapped: *mut Overlapped,
    ) -> Called {
        self.0.open(socket, "AcceptEx", |_| {});
        let on = match accepting.0 {
            Nature::Socket => listener,
            Nature::Pipe => socket,
        };
        let work = Work::Accept { listener, socket, addresses };
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.issue(on, work, overlapped) }
    }

    unsafe fn accepted(
        &self,
        listener: &Socket,
        _: Accepting,
        socket: &Socket,
        addresses: *mut Addresses,
    ) -> io::Result<SockAddr> {
        self.0.open(listener.handle, "SO_UPDATE_ACCEPT_CONTEXT", |_| {});
        self.0.open(socket.handle, "SO_UPDATE_ACCEPT_CONTEXT", |_| {});
        self.0.interlude();
        self.works(listener.handle)?;
        // SAFETY: the caller's promise.
        Ok(address(unsafe { (*addresses).0 }))
    }

    fn connecting(&self, socket: &Socket, _: &SockAddr) -> io::Result<Connecting> {
        self.works(socket.handle).map(|()| Connecting)
    }

    unsafe fn connect(
        &self,
        socket: Handle,
        _: Connecting,
        address: *const c_void,
        length: socklen_t,
        overlapped: *mut Overlapped,
    ) -> Called {
        // SAFETY: the caller's promise: the address can be read.
        let bytes = unsafe { slice::from_raw_parts(address.cast::<u8>(), length as usize) };
        assert!(bytes.iter().any(|byte| *byte != 0), "an address was given");
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.issue(socket, Work::Connect, overlapped) }
    }

    fn connect_on(&self, socket: &Socket) -> io::Result<Handle> {
        Ok(socket.handle)
    }

    fn connected(&self, socket: &Socket) -> io::Result<bool> {
        self.0.open(socket.handle, "SO_UPDATE_CONNECT_CONTEXT", |_| {});
        self.0.interlude();
        self.works(socket.handle)?;
        Ok(socket.nature == Nature::Socket || !self.0.waited_in_vain())
    }

    fn device(&self) -> io::Result<Device> {
        let handle = self.0.enter(Open { associated: true, ..Open::default() });
        Ok(Device { model: Arc::clone(&self.0), handle })
    }

    fn device_handle(device: &Device) -> Handle {
        device.handle
    }

    fn base(&self, socket: Handle) -> io::Result<Handle> {
        self.works(socket)?;
        Ok(socket)
    }

    unsafe fn poll(&self, device: Handle, poll: *mut Poll, overlapped: *mut Overlapped) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.issue(device, Work::Poll(poll), overlapped) }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if !state.operations.is_empty() {
            state.violations.push("the port was closed under an operation".to_owned());
        }
        state.closed = true;
    }
}
