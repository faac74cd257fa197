//! `ZMQ_XPUB_VERBOSE` and `ZMQ_XPUB_VERBOSER`: each takes back what the other has set.

use serverlink::{Socket, SocketType};

use crate::harness::{await_peers, connected, context, expect, expect_nothing, socket};

/// What an XPUB hears of a second subscription to a topic, and of the first of two cancellations.
fn hears(prepare: impl FnOnce(&Socket)) -> (bool, bool) {
    let context = context();
    let xpub = socket(&context, SocketType::XPub);
    prepare(&xpub);
    xpub.bind("inproc://verbosity").unwrap();
    let subscribers =
        [(), ()].map(|()| connected(&context, SocketType::XSub, "inproc://verbosity"));
    await_peers(&xpub, 2);
    subscribers.iter().for_each(|subscriber| subscriber.send("\u{1}topic").unwrap());
    expect(&xpub, "\u{1}topic");
    let more = xpub.try_recv().is_ok();
    subscribers.iter().for_each(|subscriber| subscriber.send("\0topic").unwrap());
    expect(&xpub, "\0topic");
    let end = xpub.try_recv().is_ok();
    expect_nothing(&xpub);
    (more, end)
}

#[test]
fn the_one_set_last_counts() {
    let verbose = |on| move |xpub: &Socket| xpub.set_xpub_verbose(on).unwrap();
    let verboser = |on| move |xpub: &Socket| xpub.set_xpub_verboser(on).unwrap();
    assert_eq!(hears(|_| {}), (false, false));
    assert_eq!(hears(verbose(true)), (true, false));
    assert_eq!(hears(verboser(true)), (true, true));
    for (first, second, expected) in [
        (true, true, [(true, true), (true, false)]),
        (true, false, [(false, false), (false, false)]),
        (false, true, [(true, true), (true, false)]),
        (false, false, [(false, false), (false, false)]),
    ] {
        let one = hears(|xpub| {
            verbose(first)(xpub);
            verboser(second)(xpub);
        });
        let other = hears(|xpub| {
            verboser(first)(xpub);
            verbose(second)(xpub);
        });
        assert_eq!([one, other], expected, "{first} {second}");
    }
}

#[test]
fn the_getters_tell_what_holds() {
    let context = context();
    let xpub = socket(&context, SocketType::XPub);
    let state = || (xpub.xpub_verbose(), xpub.xpub_verboser());
    xpub.set_xpub_verboser(true).unwrap();
    assert_eq!(state(), (true, true));
    xpub.set_xpub_verbose(true).unwrap();
    assert_eq!(state(), (true, false));
    xpub.set_xpub_verboser(false).unwrap();
    assert_eq!(state(), (false, false));
    // By number, too.
    xpub.set_option(78, &1_i32.to_ne_bytes()).unwrap();
    assert_eq!(state(), (true, true));
    xpub.set_option(40, &0_i32.to_ne_bytes()).unwrap();
    assert_eq!(state(), (false, false));
}
