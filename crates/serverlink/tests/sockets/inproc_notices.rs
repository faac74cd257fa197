//! What sockets hear of peers within the process that come and go: as much as in libzmq, which tells
//! of the end of a link to the one that is bound, and of nothing else.

use serverlink::{RouterNotify, SocketType};

use crate::harness::{
    await_peers, bound, connected, context, eventually, expect, expect_nothing, frames, socket,
};

#[test]
fn a_bound_router_has_a_last_word_of_those_who_disconnect_or_close() {
    for closes in [false, true] {
        for binds_first in [false, true] {
            let context = context();
            let router = socket(&context, SocketType::Router);
            router.set_disconnect_message("gone").unwrap();
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_routing_id("peer").unwrap();
            if binds_first {
                router.bind("inproc://router").unwrap();
                dealer.connect("inproc://router").unwrap();
            } else {
                dealer.connect("inproc://router").unwrap();
                router.bind("inproc://router").unwrap();
            }
            dealer.send("body").unwrap();
            if closes {
                drop(dealer);
            } else {
                dealer.disconnect("inproc://router").unwrap();
            }
            expect(&router, frames(["peer", "body"]));
            expect(&router, frames(["peer", "gone"]));
            expect_nothing(&router);
            await_peers(&router, 0);
        }
    }
}

/// It is not held back by the high-water mark.
#[test]
fn a_last_word_comes_after_a_full_queue() {
    let context = context();
    let [router, dealer] = [SocketType::Router, SocketType::Dealer].map(|socket_type| {
        let socket = socket(&context, socket_type);
        socket.set_send_high_water_mark(1).unwrap();
        socket.set_receive_high_water_mark(1).unwrap();
        socket
    });
    router.set_disconnect_message("gone").unwrap();
    router.bind("inproc://router").unwrap();
    dealer.set_routing_id("peer").unwrap();
    dealer.connect("inproc://router").unwrap();
    let mut sent = 0;
    while dealer.try_send("body").is_ok() {
        sent += 1;
    }
    drop(dealer);
    (0..sent).for_each(|_| expect(&router, frames(["peer", "body"])));
    expect(&router, frames(["peer", "gone"]));
}

#[test]
fn the_one_that_connects_hears_nothing_of_the_end() {
    let context = context();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_hiccup_message("hiccup").unwrap();
    let router = socket(&context, SocketType::Router);
    router.set_disconnect_message("gone").unwrap();
    router.set_connect_routing_id("binder").unwrap();
    let (binder, endpoint) = bound(&context, SocketType::Dealer, "inproc://binder");
    dealer.connect(&endpoint).unwrap();
    router.connect(&endpoint).unwrap();
    await_peers(&binder, 2);
    drop(binder);
    for socket in [&dealer, &router] {
        eventually("for the end", || socket.peers().is_empty());
        expect_nothing(socket);
    }
}

#[test]
fn routers_are_not_notified_of_peers_within_the_process() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    router.set_router_notify(RouterNotify { connect: true, disconnect: true }).unwrap();
    router.bind("inproc://router").unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_routing_id("peer").unwrap();
    dealer.connect("inproc://router").unwrap();
    dealer.send("body").unwrap();
    drop(dealer);
    expect(&router, frames(["peer", "body"]));
    await_peers(&router, 0);
    expect_nothing(&router);
    drop(connected(&context, SocketType::Dealer, "inproc://router"));
    await_peers(&router, 0);
    expect_nothing(&router);
}
