//! Options of contexts: set, told, out of range, of the wrong size, too late, and what they do.

use std::time::Duration;

use serverlink::{
    Context, Error, Message, OptionAccess, OptionInfo, OptionTime, Socket, SocketType,
    context_options,
};

use crate::{
    harness::{await_peers, bound, context, errno, eventually, expect, socket},
    option_table::samples,
};

/// The builder, with an option set if it is to be.
fn built(info: &OptionInfo, value: &[u8]) -> serverlink::Result<Context> {
    Context::builder().set_option(info.id, value)?.build()
}

/// Values that would take a machine of their own, or a right that not everyone has.
fn is_too_much(info: &OptionInfo, value: &[u8]) -> bool {
    match info.constant {
        "ZMQ_IO_THREADS" => value == 256i32.to_ne_bytes(),
        "ZMQ_THREAD_SCHED_POLICY" => ![0i32, -1].iter().any(|known| value == known.to_ne_bytes()),
        "ZMQ_THREAD_AFFINITY_CPU_ADD" => value != [0; 4],
        _ => false,
    }
}

#[test]
fn options_tell_their_default_and_what_they_are_set_to() {
    let all = context_options();
    let settable = |info: &&OptionInfo| info.systems.here && info.access != OptionAccess::Get;
    for info in all.iter().filter(|info| info.access != OptionAccess::Set) {
        assert_eq!(Some(context().option(info.id).unwrap()), info.default_value());
    }
    for info in all.iter().filter(settable) {
        // Nothing to be taken back.
        if info.constant == "ZMQ_THREAD_AFFINITY_CPU_REMOVE" {
            continue;
        }
        for value in samples(info.form).0.iter().filter(|value| !is_too_much(info, value)) {
            let context = built(info, value).expect(info.constant);
            if info.access == OptionAccess::SetAndGet {
                let told = crate::option_table::told(info.form, value);
                assert_eq!(context.option(info.id).unwrap(), told, "{}", info.constant);
            }
            if info.time == OptionTime::Start {
                let late = context.set_option(info.id, value).unwrap_err();
                assert!(late.to_string().contains("before"), "{}: {late}", info.constant);
                assert_eq!(late.errno_name(), "EINVAL");
            } else {
                context.set_option(info.id, value).expect(info.constant);
            }
        }
    }
}

#[test]
fn values_out_of_range_or_of_the_wrong_size_are_refused() {
    let settable = |info: &OptionInfo| info.systems.here && info.access != OptionAccess::Get;
    for info in context_options().into_iter().filter(settable) {
        for value in samples(info.form).1 {
            match built(&info, &value) {
                Err(Error::InvalidOption { option, .. }) => assert_eq!(option, info.name),
                other => panic!("{} = {value:?}: {other:?}", info.constant),
            }
        }
    }
}

#[test]
fn what_cannot_be_set_or_told_or_is_not_there_says_so() {
    let context = context();
    for id in [6, 200] {
        assert_eq!(errno(context.set_option(id, &[0; 4])), "EINVAL");
    }
    for id in [7, 8, 200] {
        assert_eq!(errno(context.option(id)), "EINVAL");
    }
    assert!(matches!(context.option(200), Err(Error::UnknownOption { id: 200 })));
    // What is not on this system is refused, but for what is so anyway.
    for info in context_options().iter().filter(|info| !info.systems.here) {
        let result = built(info, &1i32.to_ne_bytes());
        assert!(result.is_err(), "{}", info.constant);
    }
}

#[test]
fn builders_and_contexts_say_the_same() {
    let context = Context::builder()
        .io_threads(2)
        .max_sockets(7)
        .thread_name_prefix(Some("mine"))
        .max_told_message_size(99)
        .zero_copy_receive(false)
        .ipv6(true)
        .blocky(false)
        .build()
        .unwrap();
    let int = |value: i32| value.to_ne_bytes().to_vec();
    for (id, value) in [(1, 2), (2, 7), (5, 99), (10, 0), (42, 1), (70, 0)] {
        assert_eq!(context.option(id).unwrap(), int(value), "{id}");
    }
    assert_eq!((context.io_threads(), context.max_sockets()), (2, 7));
    assert_eq!(context.thread_name_prefix().as_deref(), Some("mine"));
    assert!(context.ipv6() && !context.blocky() && !context.zero_copy_receive());
    assert_eq!(errno(Context::builder().max_told_message_size(-1).build()), "EINVAL");
}

#[test]
fn sockets_begin_as_the_context_has_it() {
    let context = Context::builder().ipv6(true).blocky(false).build().unwrap();
    let socket = context.socket(SocketType::Pair).unwrap();
    assert_eq!((socket.ipv6(), socket.linger()), (true, Some(Duration::ZERO)));
    context.set_option(42, &0i32.to_ne_bytes()).unwrap();
    context.set_option(70, &1i32.to_ne_bytes()).unwrap();
    let later = context.socket(SocketType::Pair).unwrap();
    assert_eq!((later.ipv6(), later.linger()), (false, None));
    assert_eq!((socket.ipv6(), socket.linger()), (true, Some(Duration::ZERO)));
}

/// What the kernel says of the thread of a name: the line that begins with `field`.
#[cfg(target_os = "linux")]
fn thread(name: &str, file: &str, field: &str) -> Option<String> {
    std::fs::read_dir("/proc/self/task").unwrap().find_map(|task| {
        let task = task.unwrap().path();
        let its_name = std::fs::read_to_string(task.join("comm")).ok()?;
        if its_name.trim() != name {
            return None;
        }
        let text = std::fs::read_to_string(task.join(file)).ok()?;
        text.lines().find(|line| line.starts_with(field)).map(str::to_owned)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn threads_have_the_name_and_the_processors_they_are_given() {
    let add = 0i32.to_ne_bytes();
    let context = Context::builder()
        .io_threads(2)
        .thread_name_prefix(Some("named"))
        .set_option(7, &add)
        .unwrap()
        .build()
        .unwrap();
    for name in ["named/io-0", "named/io-1"] {
        let line = thread(name, "status", "Cpus_allowed_list").expect(name);
        assert_eq!(line.split_whitespace().last(), Some("0"));
    }
    assert_eq!(context.thread_affinity(), [0]);
    // Taken back before it holds; and what was not added cannot be.
    let builder = Context::builder().thread_affinity(&[0]).set_option(8, &add).unwrap();
    assert_eq!(errno(builder.clone().set_option(8, &add).map(drop)), "EINVAL");
    let builder = builder.thread_name_prefix(Some("free"));
    let context = builder.build().unwrap();
    assert!(context.thread_affinity().is_empty());
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    assert_eq!(thread("free/io-0", "status", "Cpus_allowed_list"), Some(own));
    // There is no such processor.
    let none = Context::builder().thread_affinity(&[1023]).build();
    assert_eq!(errno(none), "EIO");
}

#[cfg(target_os = "linux")]
#[test]
fn threads_are_scheduled_as_the_options_say() {
    // SCHED_BATCH, which everyone may have.
    let context = Context::builder()
        .thread_name_prefix(Some("batch"))
        .thread_policy(Some(3))
        .build()
        .unwrap();
    let stat = thread("batch/io-0", "stat", "").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    assert_eq!(after_name.split_whitespace().nth(38), Some("3"), "the policy is field 41, proc(5)");
    drop(context);
    // SCHED_FIFO, which takes a right.
    let fifo = Context::builder()
        .thread_name_prefix(Some("fifo"))
        .thread_policy(Some(1))
        .thread_priority(Some(5))
        .build();
    match fifo {
        Ok(_context) => {
            let stat = thread("fifo/io-0", "stat", "").unwrap();
            let after_name = stat.rsplit(')').next().unwrap();
            let fields: Vec<_> = after_name.split_whitespace().collect();
            assert_eq!((fields[37], fields[38]), ("5", "1"));
        }
        Err(error) => assert_eq!(error.errno_name(), "EIO"),
    }
    // There is no such policy.
    assert_eq!(errno(Context::builder().thread_policy(Some(99)).build()), "EIO");
}

/// How many of two long frames that are sent together share their memory with others.
fn shared(pull: &Socket, push: &Socket) -> usize {
    let body: Vec<u8> = (0..15_000).map(|n| n as u8).collect();
    let message: Message = [body.clone(), body].into_iter().collect();
    push.send(message.clone()).unwrap();
    let received = pull.recv().unwrap();
    assert_eq!(received, message);
    received.iter().filter(|frame| frame.is_shared()).count()
}

#[test]
fn long_frames_stay_where_they_were_received_unless_they_shall_be_copied() {
    // What comes by a WebSocket is unpacked, and stays where it is put then.
    let streams = crate::harness::STREAMS.into_iter();
    for endpoint in streams.filter(|endpoint| !endpoint.starts_with("ws")) {
        let context = context();
        let (push, endpoint) = bound(&context, SocketType::Push, endpoint);
        // It holds for sockets that are opened later, whenever they connect.
        let before = socket(&context, SocketType::Pull);
        context.set_option(10, &0i32.to_ne_bytes()).unwrap();
        assert!(!context.zero_copy_receive());
        let after = socket(&context, SocketType::Pull);
        after.connect(&endpoint).unwrap();
        for _ in 0..100 {
            assert_eq!(shared(&after, &push), 0);
        }
        after.disconnect(&endpoint).unwrap();
        await_peers(&push, 0);
        before.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        // They may come in two batches.
        eventually("for both at once", || shared(&before, &push) == 2);
    }
}

#[test]
fn messages_may_be_longer_than_programs_in_c_are_told() {
    let context = Context::builder().max_told_message_size(10).build().unwrap();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = crate::harness::connected(&context, SocketType::Push, &endpoint);
    push.send(vec![7; 11]).unwrap();
    expect(&pull, vec![7; 11]);
    assert_eq!(context.max_told_message_size(), 10);
}

/// `ZMQ_SOCKET_LIMIT` and `ZMQ_MSG_T_SIZE`.
#[test]
fn what_is_only_told_is_as_in_libzmq() {
    let context = Context::builder().max_sockets(7).build().unwrap();
    for (name, id, value) in [("socket_limit", 3, 65_535i32), ("message_size", 6, 64)] {
        assert_eq!(context.option(id).unwrap(), value.to_ne_bytes(), "{name}");
    }
}

#[test]
fn whether_contexts_wait_for_what_is_not_sent_is_as_they_have_it() {
    let elsewhere = context();
    let endpoint = crate::harness::vacant(&elsewhere);
    for blocky in [false, true] {
        let context = Context::builder().blocky(blocky).build().unwrap();
        let push = context.socket(SocketType::Push).unwrap();
        push.connect(&endpoint).unwrap();
        push.send("owed").unwrap();
        drop(push);
        let patience = Duration::from_millis(if blocky { 50 } else { 30_000 });
        let ended = context.terminate_timeout(patience).is_ok();
        if !ended {
            let (pull, _) = bound(&elsewhere, SocketType::Pull, &endpoint);
            expect(&pull, "owed");
            context.terminate();
        }
        assert_eq!(ended, !blocky);
    }
}

#[test]
fn contexts_open_sockets_to_ipv6() {
    if !crate::endpoints::ipv6() {
        return;
    }
    let context = Context::builder().ipv6(true).build().unwrap();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://*:*");
    let port = endpoint.rsplit_once(':').unwrap().1;
    let push =
        crate::harness::connected(&context, SocketType::Push, &format!("tcp://[::1]:{port}"));
    push.send("six").unwrap();
    expect(&pull, "six");
}

#[cfg(target_os = "linux")]
#[test]
fn so_many_threads_serve_connections() {
    for count in [1, 3] {
        let prefix = format!("count{count}");
        let _context =
            Context::builder().io_threads(count).thread_name_prefix(Some(&prefix)).build().unwrap();
        for number in 0..=count {
            let there = thread(&format!("{prefix}/io-{number}"), "comm", "").is_some();
            assert_eq!(there, number < count, "{number} of {count}");
        }
    }
}

/// How long a thread has run, in nanoseconds (proc(5)); none where the kernel does not count.
#[cfg(target_os = "linux")]
fn run_time(name: &str) -> Option<u64> {
    let line = thread(name, "schedstat", "")?;
    line.split(' ').next()?.parse().ok()
}

/// A context of two I/O threads, and their names; none where the kernel does not count.
#[cfg(target_os = "linux")]
fn two_threads(prefix: &str) -> Option<(Context, [String; 2])> {
    let context =
        Context::builder().io_threads(2).thread_name_prefix(Some(prefix)).build().unwrap();
    let names = [0, 1].map(|number| format!("{prefix}/io-{number}"));
    if run_time(&names[0]).is_none() {
        println!("skipped: no schedstat");
        return None;
    }
    Some((context, names))
}

/// Messages from one to the other have one of the threads work, and not the other.
#[cfg(target_os = "linux")]
#[track_caller]
fn expect_service(number: usize, names: &[String; 2], push: &Socket, pull: &Socket) {
    let times = || [0, 1].map(|number| run_time(&names[number]).unwrap());
    let before = times();
    for _ in 0..2000 {
        push.send("served").unwrap();
        expect(pull, "served");
    }
    let after = times();
    let took = [0, 1].map(|number| after[number] - before[number]);
    assert!(took[number] > 10 * took[1 - number], "{took:?} by {number}");
}

#[cfg(target_os = "linux")]
#[test]
fn io_threads_serve_whom_their_affinity_names() {
    let Some((context, names)) = two_threads("serves") else { return };
    let mut links = Vec::new();
    for (number, affinity) in [(0, 0b01), (1, 0b10), (0, 0b01)] {
        let [pull, push] = [SocketType::Pull, SocketType::Push].map(|socket_type| {
            let socket = socket(&context, socket_type);
            socket.set_affinity(affinity).unwrap();
            socket
        });
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        await_peers(&push, 1);
        await_peers(&pull, 1);
        expect_service(number, &names, &push, &pull);
        // Lest its end be some work meanwhile.
        links.push([pull, push]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_affinity_holds_for_what_is_bound_and_connected_later() {
    let Some((context, names)) = two_threads("later") else { return };
    let [pull, push] = [SocketType::Pull, SocketType::Push].map(|kind| socket(&context, kind));
    let endpoints = [0b01, 0b10].map(|affinity| {
        pull.set_affinity(affinity).unwrap();
        pull.bind("tcp://127.0.0.1:*").unwrap()
    });
    push.set_affinity(0b01).unwrap();
    push.connect(&endpoints[0]).unwrap();
    push.set_affinity(0b10).unwrap();
    await_peers(&push, 1);
    await_peers(&pull, 1);
    expect_service(0, &names, &push, &pull);
    push.disconnect(&endpoints[0]).unwrap();
    await_peers(&pull, 0);
    push.connect(&endpoints[1]).unwrap();
    await_peers(&push, 1);
    await_peers(&pull, 1);
    expect_service(1, &names, &push, &pull);
}
