//! Driving, waking, posting and stopping.

use std::{
    io::{Read, Write},
    net::TcpStream,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serverlink_io::{Event, Interest, Sending, Turn};

use crate::rig::{Call, Inbox, LIMIT, Rig, scaled};

pub(crate) fn wake_from_another_thread_ends_the_turn(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..scaled(1_000) {
        let port = rig.port.clone();
        let waker = thread::spawn(move || port.wake());
        // Would go on for ever.
        assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Delivered(0));
        waker.join().expect("no panic");
    }
}

pub(crate) fn a_wake_before_the_turn_is_kept(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..3 {
        rig.port.wake();
        assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Delivered(0));
    }
}

pub(crate) fn a_burst_of_wakes_is_one(backend: &str) {
    let rig = Rig::new(backend);
    let wakers = [(); 4].map(|()| {
        let port = rig.port.clone();
        thread::spawn(move || (0..1_000).for_each(|_| port.wake()))
    });
    for waker in wakers {
        waker.join().expect("no panic");
    }
    let inbox = Inbox::new();
    rig.port.set_timer(Instant::now() + Duration::from_millis(100), inbox.clone(), 0);
    let mut turns = 0;
    rig.until("the timer", || {
        turns += 1;
        inbox.take()
    });
    // The wakes, the timer that was nearest, the timer's end; one to spare.
    assert!(turns <= 5, "{turns} turns");
}

pub(crate) fn packets_arrive_in_order(backend: &str) {
    let rig = Rig::new(backend);
    let count = scaled(10_000) as u64;
    let inboxes = [(); 3].map(|()| Inbox::new());
    let driver = rig.spawn();
    let posters = inboxes.each_ref().map(|inbox| {
        let (port, inbox) = (rig.port.clone(), inbox.clone());
        thread::spawn(move || (0..count).for_each(|tag| port.post(inbox.clone(), tag)))
    });
    for inbox in &inboxes {
        for expected in 0..count {
            match inbox.wait() {
                Event::Posted { tag } => assert_eq!(tag, expected),
                other => panic!("a packet expected, not {other:?}"),
            }
        }
    }
    for poster in posters {
        poster.join().expect("no panic");
    }
    drop(driver);
    assert!(inboxes.iter().all(|inbox| inbox.is_empty()));
}

pub(crate) fn a_second_driver_is_busy(backend: &str) {
    let rig = Rig::new(backend);
    let (entered, inside) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let hold = move |_: Event| {
        entered.send(()).expect("somebody waits");
        released.recv_timeout(LIMIT).expect("somebody releases");
    };
    // A receiver is not shared between threads, a handler is.
    let hold = std::sync::Mutex::new(hold);
    rig.port.post(Arc::new(Call(move |event| hold.lock().expect("no panic")(event))), 0);
    let port = rig.port.clone();
    let first = thread::spawn(move || port.turn(None));
    inside.recv_timeout(LIMIT).expect("the first drives");
    assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Busy);
    // Nothing of this needs the driver.
    rig.port.wake();
    rig.port.post(Inbox::new(), 0);
    release.send(()).expect("the first waits");
    let turn = first.join().expect("no panic").expect("it turns");
    assert!(matches!(turn, Turn::Delivered(1 | 2)), "{turn:?}");
    assert!(matches!(rig.port.turn(Some(Duration::ZERO)), Ok(Turn::Delivered(_))));
}

pub(crate) fn run_takes_over_when_the_driver_leaves(backend: &str) {
    let rig = Rig::new(backend);
    let (turned, inbox) = (Inbox::new(), Inbox::new());
    let driver = std::sync::Mutex::new(None);
    let driver = Arc::new(driver);
    let start = {
        let (port, driver) = (rig.port.clone(), driver.clone());
        move |_: Event| {
            let runner = port.clone();
            let (starting, started) = mpsc::channel();
            *driver.lock().expect("no panic") = Some(thread::spawn(move || {
                starting.send(()).expect("somebody waits");
                runner.run()
            }));
            started.recv_timeout(LIMIT).expect("it starts");
        }
    };
    rig.port.post(Arc::new(Call(start)), 0);
    rig.port.post(turned.clone(), 0);
    rig.next(&turned);
    // From here on only the other thread drives.
    for tag in 0..100 {
        rig.port.post(inbox.clone(), tag);
        assert!(matches!(inbox.wait(), Event::Posted { .. }));
    }
    rig.port.stop();
    let runner = driver.lock().expect("no panic").take().expect("it was started");
    runner.join().expect("no panic").expect("no error");
}

pub(crate) fn run_within_a_handler_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (tell, told) = mpsc::channel();
    let port = rig.port.clone();
    rig.port.post(
        Arc::new(Call(move |_| {
            assert_eq!(port.turn(None).expect("it turns"), Turn::Busy);
            let error = port.run().expect_err("it would wait for itself");
            tell.send(error.kind()).expect("somebody waits");
        })),
        0,
    );
    let kind = rig.until("the refusal", || told.try_recv().ok());
    assert_eq!(kind, std::io::ErrorKind::Deadlock);
}

pub(crate) fn stop_wakes_a_blocked_run(backend: &str) {
    for _ in 0..scaled(100) {
        let rig = Rig::new(backend);
        let runners = [(); 2].map(|()| {
            let port = rig.port.clone();
            thread::spawn(move || port.run())
        });
        let inbox = Inbox::new();
        rig.port.post(inbox.clone(), 0);
        inbox.wait();
        rig.port.stop();
        for runner in runners {
            runner.join().expect("no panic").expect("no error");
        }
        assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Stopped);
        rig.port.run().expect("it has been stopped");
        assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Stopped);
    }
}

pub(crate) fn a_stopped_port_lets_go_of_packets_and_timers(backend: &str) {
    let rig = Rig::new(backend);
    let inbox = Inbox::new();
    let soon = Instant::now() + LIMIT;
    rig.port.post(inbox.clone(), 0);
    rig.port.set_timer(soon, inbox.clone(), 0);
    assert_eq!(Arc::strong_count(&inbox), 3);
    rig.port.stop();
    rig.port.post(inbox.clone(), 0);
    let timer = rig.port.set_timer(soon, inbox.clone(), 0);
    assert!(!rig.port.cancel_timer(timer));
    assert_eq!(Arc::strong_count(&inbox), 1);
    assert!(inbox.take().is_none());
}

/// Packets that post the next one, and two ends of a connection that never rest.
pub(crate) fn stop_during_work(backend: &str) {
    for _ in 0..scaled(20) {
        let rig = Rig::new(backend);
        let delivered = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            repost(&rig.port, &delivered);
        }
        let (handle, _inbox, _far) = rig.connected();
        handle.receive(None).expect("nothing is pending");
        let driver = rig.spawn();
        let start = Instant::now();
        while delivered.load(Ordering::Relaxed) < 100 {
            assert!(start.elapsed() < LIMIT);
            thread::yield_now();
        }
        // Stops and joins.
        drop(driver);
        let count = delivered.load(Ordering::Relaxed);
        assert_eq!(rig.port.turn(Some(Duration::ZERO)).expect("it turns"), Turn::Stopped);
        assert_eq!(delivered.load(Ordering::Relaxed), count);
        // What is started now has no effect, but does no harm either.
        rig.port.post(Inbox::new(), 0);
        rig.port.wake();
        let _ = handle.send(vec![Bytes::from_static(b"late")]);
        handle.retire();
    }
}

fn repost(port: &serverlink_io::Port, delivered: &Arc<AtomicUsize>) {
    let (again, counter) = (port.clone(), delivered.clone());
    port.post(
        Arc::new(Call(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            repost(&again, &counter);
        })),
        0,
    );
}

pub(crate) fn a_handler_that_panics_leaves_the_port_usable(backend: &str) {
    let rig = Rig::new(backend);
    let pairs = [(); 4].map(|()| crate::rig::pair());
    let events = Arc::new(AtomicUsize::new(0));
    let mut handles = Vec::new();
    let mut others = Vec::new();
    for (near, far) in pairs {
        let counter = events.clone();
        let handler = Arc::new(Call(move |event: Event| {
            drop(event);
            counter.fetch_add(1, Ordering::Relaxed);
            panic::resume_unwind(Box::new("on purpose"));
        }));
        let handle = rig.port.register(near.into(), handler).expect("it registers");
        handle.receive(None).expect("nothing is pending");
        handles.push(handle);
        others.push(far);
    }
    rig.settle();
    for far in &mut others {
        far.write_all(b"boo").expect("it is connected");
    }
    let start = Instant::now();
    let mut panics = 0;
    while panics < handles.len() {
        assert!(start.elapsed() < LIMIT, "{panics} events instead of {}", handles.len());
        let turn = || rig.port.turn(Some(Duration::from_secs(1)));
        match panic::catch_unwind(AssertUnwindSafe(turn)) {
            Ok(turn) => assert!(matches!(turn, Ok(Turn::Delivered(_)))),
            Err(_) => panics += 1,
        }
    }
    rig.settle();
    assert_eq!(events.load(Ordering::Relaxed), handles.len());
}

/// What the driver has begun to wait for for one thread, another one is told of.
pub(crate) fn operations_outlive_the_thread_that_drove(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..scaled(20) {
        let (handle, received, mut far) = rig.connected();
        handle.receive(None).expect("nothing is pending");
        let (listener, address) = crate::rig::listener();
        let accepted = Inbox::new();
        let listening = rig.port.register(listener.into(), accepted.clone()).expect("it registers");
        listening.accept().expect("nothing is pending");
        let (watched, mut other_end) = crate::rig::pair();
        let readable = Inbox::new();
        let watch = rig.port.watch(&watched, readable.clone()).expect("it can be watched");
        let interest = Interest { readable: true, writable: false };
        watch.probe(interest).expect("nothing is pending");
        let (near, mut slow) = crate::rig::narrow_pair();
        let sent = Inbox::new();
        let sending = rig.port.register(near, sent.clone()).expect("it registers");
        let bytes = vec![7; 1 << 20];
        assert!(matches!(sending.send(vec![Bytes::from(bytes.clone())]), Sending::Pending));

        let port = rig.port.clone();
        let driver = thread::spawn(move || {
            for _ in 0..3 {
                assert!(matches!(port.turn(Some(Duration::ZERO)), Ok(Turn::Delivered(0))));
            }
        });
        driver.join().expect("no panic");

        far.write_all(b"still").expect("it is connected");
        assert_eq!(crate::rig::received(rig.next(&received))[..], *b"still");
        let _client = TcpStream::connect(address).expect("it listens");
        assert!(matches!(rig.next(&accepted), Event::Accepted(Ok(_))));
        other_end.write_all(b"!").expect("it is connected");
        assert!(matches!(rig.next(&readable), Event::Ready(Ok(ready)) if ready == interest));
        let reader = thread::spawn(move || {
            let mut got = vec![0; 1 << 20];
            slow.read_exact(&mut got).map(|()| got)
        });
        let event = rig.next(&sent);
        assert!(matches!(event, Event::Sent { result: Ok(()), .. }), "{event:?}");
        assert!(reader.join().expect("no panic").expect("all arrives") == bytes);
    }
}
