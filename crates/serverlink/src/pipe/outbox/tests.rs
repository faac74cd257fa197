//! What waits for a peer, and how it is written.

use super::{super::staging::SHARE_FROM, *};
use crate::{Context, Message, Socket, SocketType};

/// Two sockets, the outbox of the first, which is idle, and its connection.
fn pair() -> ([Socket; 2], Arc<Outbox>, Arc<Connection>) {
    let context = Context::new().unwrap();
    let pull = context.socket(SocketType::Pull).unwrap();
    let push = context.socket(SocketType::Push).unwrap();
    // So that a test that fails ends.
    push.set_linger(Some(Duration::ZERO)).unwrap();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    // Taken only from a peer that is there.
    push.send("first").unwrap();
    pull.recv().unwrap();
    let outbox = push.inner.only_outbox();
    while !outbox.is_drained() {
        std::thread::yield_now();
    }
    let connection = outbox.connection().unwrap();
    ([push, pull], outbox, connection)
}

impl Outbox {
    /// What waits, segment by segment; it waits no more.
    pub(crate) fn take_waiting(&self) -> Vec<Bytes> {
        let mut batch = VecDeque::new();
        self.state().staging.take(usize::MAX, &mut batch);
        batch.into_iter().map(|segment| segment.bytes).collect()
    }
}

fn push(outbox: &Outbox, among_many: bool) -> Flush {
    let message = Message::from("message");
    outbox.push(Outgoing::Message(&message), among_many).unwrap().0
}

#[test]
fn the_engine_is_given_long_bodies_themselves() {
    let ([_push, pull], outbox, connection) = pair();
    let mut message = Message::from("before");
    message.push_back(vec![7; SHARE_FROM]);
    message.push_back("between");
    message.push_back(vec![8; 1 << 20]);
    let flush = outbox.push(Outgoing::Message(&message), false).unwrap().0;
    let Flush::Direct(_, buffers) = flush else { panic!("{flush:?}") };
    let given = [&message[1], &message[3]].map(|body| {
        let own = |buffer: &&Bytes| buffer.as_ptr() == body.as_ptr();
        buffers.iter().find(own).map(Bytes::len)
    });
    connection.send(buffers);
    assert_eq!(pull.recv().unwrap(), message);
    assert_eq!(given, [Some(SHARE_FROM), Some(1 << 20)]);
}

#[test]
fn what_many_get_is_left_to_the_thread_that_looks_after_streams() {
    let ([_push, pull], outbox, connection) = pair();
    let Flush::Stream(_, wait) = push(&outbox, true) else { panic!("no stream") };
    assert_eq!(wait, Duration::ZERO);
    assert!(matches!(push(&outbox, true), Flush::No), "the look finds that too");
    connection.look_after_stream(wait);
    (0..2).for_each(|_| assert_eq!(pull.recv().unwrap()[0], "message"));
}

#[test]
fn who_is_told_late_that_the_stream_is_there_does_not_change_the_form() {
    let ([push, pull], outbox, _connection) = pair();
    outbox.set_form(Some(Box::new(Form::old())));
    push.send("as before").unwrap();
    assert_eq!(pull.recv().unwrap()[0], "as before");
}

/// A sender that was kept from sending for a moment need not write message by message again.
#[test]
fn a_stream_that_has_ended_goes_on_with_the_next_message_that_follows_closely() {
    let ([_push, pull], outbox, connection) = pair();
    for round in 0..3 {
        let mut sent = 1;
        loop {
            outbox.pacer.wrote_last();
            match push(&outbox, false) {
                Flush::Direct(connection, buffers) => connection.send(buffers),
                Flush::Stream(..) => break,
                Flush::No => panic!("nobody writes"),
            }
            sent += 1;
        }
        assert!(if round == 0 { sent > 1 } else { sent == 1 }, "{sent} in round {round}");
        let collected = &mut Staging::new();
        assert_eq!(outbox.look(&connection, false, collected).0, Look::Write(COLLECTING));
        connection.schedule_flush();
        (0..sent).for_each(|_| assert_eq!(pull.recv().unwrap()[0], "message"));
        while !outbox.is_drained() {
            std::thread::yield_now();
        }
        assert_eq!(outbox.look(&connection, false, collected).0, Look::Over);
    }
}

/// The messages of a batch, one after the other.
fn sent(buffers: &[Bytes]) -> Vec<u8> {
    buffers.concat()
}

#[test]
fn one_alone_is_put_back_as_a_whole_before_what_came_later() {
    let ([_push, pull], outbox, connection) = pair();
    let mut message = Message::from("envelope");
    message.push_back("body");
    let flush = outbox.push(Outgoing::Message(&message), false).unwrap().0;
    let Flush::Direct(_, buffers) = flush else { panic!("{flush:?}") };
    assert_eq!(sent(&buffers), b"\x01\x08envelope\x00\x04body");
    assert!(matches!(push(&outbox, false), Flush::No), "a write is in flight");
    // The connection took a part of it and is lost.
    drop(buffers);
    outbox.detach(Some(5));
    assert_eq!(outbox.take_waiting().concat(), b"\x01\x08envelope\x00\x04body\x00\x07message");
    drop((connection, pull));
}

#[test]
fn what_waits_is_not_overtaken_by_one_that_would_be_alone() {
    let ([_push, _pull], outbox, connection) = pair();
    outbox.state().ready = false;
    let long = Message::from(vec![b'l'; 1000]);
    assert!(matches!(outbox.push(Outgoing::Message(&long), false).unwrap().0, Flush::No));
    outbox.state().ready = true;
    let flush = outbox.push(Outgoing::Message(&Message::from("short")), false).unwrap().0;
    let Flush::Direct(_, buffers) = flush else { panic!("{flush:?}") };
    assert!(sent(&buffers).ends_with(b"l\x00\x05short"));
    connection.send(buffers);
}

#[test]
fn those_alone_lie_next_to_each_other_whomever_they_are_for() {
    let pairs = [pair(), pair()];
    let [one, other] = pairs.each_ref().map(|(_, outbox, _)| match push(outbox, false) {
        Flush::Direct(_, buffers) => buffers,
        flush => panic!("{flush:?}"),
    });
    assert_eq!(one[0].as_ptr().wrapping_add(one[0].len()), other[0].as_ptr());
    for ((_, _, connection), buffers) in pairs.iter().zip([one, other]) {
        connection.send(buffers);
    }
}
