//! Names without files, which Linux has.

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    path::Path,
    process,
};

use serverlink::SocketType;

use crate::harness::{
    await_peers, bind_again, connected, context, errno, number, number_in, socket,
};

#[test]
fn an_abstract_name_needs_no_file() {
    let context = context();
    let name = format!("ipc://@serverlink/{}", process::id());
    let pull = socket(&context, SocketType::Pull);
    let push = connected(&context, SocketType::Push, &name);
    for n in 0..3 {
        push.send(number(n)).unwrap();
        assert_eq!(bind_again(&pull, &name), name);
        assert_eq!(number_in(&pull.recv().unwrap()), n);
        assert_eq!(errno(socket(&context, SocketType::Pull).bind(&name)), "EADDRINUSE");
        assert!(!Path::new(&name["ipc://".len()..]).exists());
        pull.unbind(&name).unwrap();
        await_peers(&push, 0);
    }
    // The name has no zero at its end: others find it.
    bind_again(&pull, &name);
    let address = format!("serverlink/{}", process::id());
    let address = SocketAddr::from_abstract_name(address).unwrap();
    UnixStream::connect_addr(&address).unwrap();
}
