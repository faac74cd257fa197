//! What is compared, as data.

use std::time::Duration;

use crate::{
    Result,
    echo::{self, Loop},
    sockets,
};

/// Those who do one and the same thing.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
    /// The first is compared with each of the others.
    pub(crate) contenders: Vec<Contender>,
}

/// One of them.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Measures for the second time, after the first.
    pub(crate) measure: Box<dyn Fn(Duration, Duration) -> Result<f64>>,
}

fn contender(
    name: &'static str,
    measure: impl Fn(Duration, Duration) -> Result<f64> + 'static,
) -> Contender {
    Contender { name, measure: Box::new(measure) }
}

/// Everything that is compared.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [1, 100] {
        let loops = serverlink_io::backends()
            .iter()
            .map(|name| (*name, Loop::Port(name)))
            .chain([("mio", Loop::Mio)]);
        rows.push(Row {
            name: format!("engine: round trip of 64 bytes, {connections} at a time"),
            unit: "us",
            more_is_better: false,
            contenders: loops
                .map(|(name, of)| {
                    contender(name, move |warm_up, window| {
                        echo::round_trip(of, connections, warm_up, window)
                    })
                })
                .collect(),
        });
    }
    let transports = [("inproc", "inproc://bench"), ("tcp", "tcp://127.0.0.1:*")];
    rows.push(Row {
        name: "sockets: round trip of 64 bytes, REQ and REP".to_owned(),
        unit: "us",
        more_is_better: false,
        contenders: transports
            .map(|(name, endpoint)| {
                contender(name, move |warm_up, window| {
                    sockets::round_trip(endpoint, warm_up, window)
                })
            })
            .into(),
    });
    for size in [64, 1024] {
        rows.push(Row {
            name: format!("sockets: stream of {size} bytes, PUSH to PULL"),
            unit: "msg/s",
            more_is_better: true,
            contenders: transports
                .map(|(name, endpoint)| {
                    contender(name, move |warm_up, window| {
                        sockets::stream(endpoint, size, warm_up, window)
                    })
                })
                .into(),
        });
    }
    rows
}
