//! Looking at descriptors without a port.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serverlink_io::{Condition, Descriptor, look_at};

fn asked(readable: bool, writable: bool) -> Condition {
    let mut condition = Condition::default();
    (condition.readable, condition.writable) = (readable, writable);
    condition
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn what_is_the_case_is_told_again_and_again() {
    let (near, mut far) = pair();
    let (idle, _other) = pair();
    let mut list =
        [Descriptor::new(&near, asked(true, false)), Descriptor::new(&idle, asked(true, false))];
    assert_eq!(look_at(&mut list, Some(Duration::ZERO)).unwrap(), 0);
    far.write_all(b"x").unwrap();
    for timeout in [None, Some(Duration::from_secs(30)), Some(Duration::ZERO)] {
        assert_eq!(look_at(&mut list, timeout).unwrap(), 1);
        assert_eq!(list[0].found(), asked(true, false));
        assert_eq!(list[1].found(), Condition::default());
    }
    let mut both = [Descriptor::new(&near, asked(true, true))];
    assert_eq!(look_at(&mut both, None).unwrap(), 1);
    assert_eq!(both[0].found(), asked(true, true));
}

#[test]
fn the_end_of_a_stream_can_be_read() {
    let (near, far) = pair();
    far.shutdown(Shutdown::Write).unwrap();
    let mut list = [Descriptor::new(&near, asked(true, false))];
    assert_eq!(look_at(&mut list, None).unwrap(), 1);
    assert_eq!(list[0].found(), asked(true, false));
}

#[test]
fn it_waits_as_long_as_it_is_told() {
    let (near, _far) = pair();
    let mut list = [Descriptor::new(&near, asked(true, false))];
    for wait in [Duration::from_micros(300), Duration::from_millis(60)] {
        let start = Instant::now();
        assert_eq!(look_at(&mut list, Some(wait)).unwrap(), 0);
        assert!(start.elapsed() >= wait, "{:?}", start.elapsed());
    }
}

#[test]
fn what_comes_ends_the_wait() {
    let (near, mut far) = pair();
    let waiter = thread::spawn(move || {
        let mut list = [Descriptor::new(&near, asked(true, false))];
        look_at(&mut list, None).unwrap()
    });
    far.write_all(b"x").unwrap();
    assert_eq!(waiter.join().unwrap(), 1);
}

#[cfg(unix)]
mod signals {
    use std::{
        io::ErrorKind,
        ptr,
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
    };

    use serverlink_io::{SignalMask, look_at_with_signals};

    use super::*;

    static CAUGHT: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn catch(_: libc::c_int) {
        CAUGHT.fetch_add(1, Ordering::SeqCst);
    }

    /// Has `SIGUSR1` counted, and blocked in this thread; returns a mask that does not block it.
    fn block() -> SignalMask {
        let handler: extern "C" fn(libc::c_int) = catch;
        // SAFETY: the action is filled in; the handler only counts.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as libc::sighandler_t;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()), 0);
        }
        let open = SignalMask::current();
        assert!(!open.blocks(libc::SIGUSR1));
        let mut blocked = open;
        blocked.block(libc::SIGUSR1).unwrap();
        blocked.apply();
        open
    }

    /// One test, for a process has one handler.
    #[test]
    fn a_signal_ends_a_wait_whenever_it_comes() {
        let (near, mut far) = pair();
        let (tell, told) = mpsc::channel();
        let waiter = thread::spawn(move || {
            let open = block();
            let mut list = [Descriptor::new(&near, asked(true, false))];
            // It came before the wait.
            // SAFETY: takes nothing.
            unsafe { libc::raise(libc::SIGUSR1) };
            assert_eq!(CAUGHT.load(Ordering::SeqCst), 0, "it is blocked");
            let error = look_at_with_signals(&mut list, None, &open).unwrap_err();
            assert_eq!((error.kind(), CAUGHT.load(Ordering::SeqCst)), (ErrorKind::Interrupted, 1));
            assert!(SignalMask::current().blocks(libc::SIGUSR1), "it is blocked again");
            // A wait that is not for it is not ended by it.
            // SAFETY: as above.
            unsafe { libc::raise(libc::SIGUSR1) };
            assert_eq!(look_at(&mut list, Some(Duration::from_millis(20))).unwrap(), 0);
            let closed = SignalMask::current();
            let wait = Some(Duration::from_millis(20));
            assert_eq!(look_at_with_signals(&mut list, wait, &closed).unwrap(), 0);
            assert_eq!(CAUGHT.load(Ordering::SeqCst), 1);
            assert!(look_at_with_signals(&mut list, None, &open).is_err());
            assert_eq!(CAUGHT.load(Ordering::SeqCst), 2);
            // It comes before or during the wait.
            // SAFETY: takes nothing.
            tell.send(unsafe { libc::pthread_self() } as usize).unwrap();
            let error = look_at_with_signals(&mut list, None, &open).unwrap_err();
            assert_eq!((error.kind(), CAUGHT.load(Ordering::SeqCst)), (ErrorKind::Interrupted, 3));
            tell.send(0).unwrap();
            assert_eq!(look_at_with_signals(&mut list, None, &open).unwrap(), 1);
        });
        let thread = told.recv().unwrap();
        // SAFETY: the thread waits for it, so it is there.
        unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) };
        told.recv().unwrap();
        far.write_all(b"x").unwrap();
        waiter.join().unwrap();
    }
}
