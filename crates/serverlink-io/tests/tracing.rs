//! What the engine tells `tracing`, on every backend.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serverlink_io::{Direction, Event, Handle, Handler, Port, PortOptions, backends};
use socket2::{Domain, Socket, Type};
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::with_default,
};

/// Keeps the engine's events, each as a line.
#[derive(Default, Clone)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "serverlink_io"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        assert_eq!(*event.metadata().level(), Level::DEBUG);
        let mut line = Line::default();
        event.record(&mut line);
        let line = line.message + &line.fields;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}:"),
            // Numbers that differ from run to run.
            "descriptor" => self.fields += " descriptor",
            name => self.fields += &format!(" {name}={value:?}"),
        }
    }
}

#[derive(Default)]
struct Inbox(Mutex<Vec<Event>>);

impl Handler for Inbox {
    fn complete(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl Inbox {
    fn next(&self, port: &Port) -> Event {
        loop {
            if let Some(event) = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop() {
                return event;
            }
            port.turn(Some(Duration::from_secs(60))).expect("it turns");
        }
    }
}

/// One end of a connection, and its other end on the port.
fn connected(port: &Port, inbox: &Arc<Inbox>) -> (Handle, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback listens");
    let far = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (near, _) = listener.accept().expect("one is there");
    (port.register(near.into(), inbox.clone()).expect("it registers"), far)
}

#[test]
fn what_happens_is_told() {
    backends().iter().filter(|name| **name != "uring").for_each(|name| tell(name));
}

/// By itself, as a kernel may not have it.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod uring {
    #[test]
    fn what_happens_is_told() {
        super::tell("uring");
    }
}

fn tell(backend: &str) {
    let lines = Lines::default();
    with_default(lines.clone(), || follow(backend, &lines));
}

fn follow(backend: &str, lines: &Lines) {
    let mut options = PortOptions::default();
    options.backend = Some((*backend).to_owned());
    let port = Port::new(&options).expect("the backend starts");
    assert_eq!(lines.take(), [format!("port opened: backend={backend:?}")]);

    let inbox = Arc::new(Inbox::default());
    let (handle, _far) = connected(&port, &inbox);
    assert_eq!(lines.take(), ["registered: descriptor"]);

    handle.receive(None).expect("nothing is pending");
    handle.cancel(Direction::Inward);
    assert!(matches!(inbox.next(&port), Event::Received(Err(_))));
    // A cancellation is no failure.
    assert_eq!(lines.take(), ["cancelling: direction=Inward"]);

    handle.retire();
    handle.retire();
    assert_eq!(lines.take(), ["retired: descriptor"]);

    // Nobody listens there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    let vacant: SocketAddr = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback listens");
        listener.local_addr().expect("it is bound")
    };
    let handle = port.register(socket, inbox.clone()).expect("it registers");
    handle.connect(&vacant.into()).expect("it begins");
    let Event::Connected(Err(error)) = inbox.next(&port) else { panic!("nobody listens there") };
    let code = error.raw_os_error().expect("the system's");
    let told = lines.take();
    let [_registered, line] = &told[..] else { panic!("{told:?}") };
    let start = format!("operation failed: descriptor operation=Connect code={code} class=Close");
    assert!(line.starts_with(&start), "{line}");

    port.stop();
    assert_eq!(lines.take(), [format!("port stopped: backend={backend:?}")]);
}
