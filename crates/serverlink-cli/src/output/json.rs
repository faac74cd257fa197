//! Messages as JSON: one object a line.

use std::{fmt, io};

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serverlink::Message;

use super::{Kind, subscription};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Message {
        #[serde(skip_serializing_if = "Option::is_none")]
        routing_id: Option<Body<'a>>,
        frames: Frames<'a>,
    },
    Subscribe {
        topic: Body<'a>,
    },
    Unsubscribe {
        topic: Body<'a>,
    },
}

pub(super) fn write(kind: Kind, message: &Message, out: &mut Vec<u8>) -> io::Result<()> {
    let line = match (kind, subscription(message)) {
        (Kind::Subscriptions, Some((true, topic))) => Line::Subscribe { topic: Body(topic) },
        (Kind::Subscriptions, Some((false, topic))) => Line::Unsubscribe { topic: Body(topic) },
        _ => {
            let routing_id = if kind == Kind::Routed { message.frame(0) } else { None };
            let skipped = usize::from(routing_id.is_some());
            let routing_id = routing_id.map(|id| Body(id));
            Line::Message { routing_id, frames: Frames { message, skipped } }
        }
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

/// The frames of a message as an array, without the first ones.
struct Frames<'a> {
    message: &'a Message,
    skipped: usize,
}

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.message.iter().skip(self.skipped).map(|frame| Body(frame)))
    }
}

/// Bytes: a string if they are UTF-8, and else `{"hex": "00ff"}`.
struct Body<'a>(&'a [u8]);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &format_args!("{}", Hex(self.0)))?;
        map.end()
    }
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
