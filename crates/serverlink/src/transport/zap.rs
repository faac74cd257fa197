//! The ZeroMQ authentication protocol (RFC 27): whoever is bound to `inproc://zeromq.zap.01` says who
//! is let in.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use serverlink_zmtp::{Credentials, Refusal};

use super::Connection;
use crate::{
    Error, Message, SocketType,
    context::Runtime,
    options::Options,
    pattern,
    socket::{Patience, SocketInner},
};

/// The name at which requests are answered.
const HANDLER: &str = "zeromq.zap.01";
const VERSION: &str = "1.0";
/// Every request has a link of its own, and is the only one on it.
const REQUEST_ID: &str = "1";

/// One request, whose answer is waited for.
#[derive(Debug)]
pub(crate) struct Inquiry {
    socket: Arc<SocketInner>,
    runtime: Arc<Runtime>,
}

/// Who has been let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    /// `User-Id`, then the metadata.
    pub(crate) properties: Vec<(String, Bytes)>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    None,
    /// Nothing, and nothing will be: the handler has gone.
    Gone,
    Admitted(Admission),
    Refused(Refusal),
    /// Something that breaks the protocol.
    Broken(Breach),
}

/// How an answer breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    Delimiter,
    Frames,
    RequestId,
    Version,
    StatusCode,
    Metadata,
}

impl Breach {
    /// The number libzmq has for it, one of `ZMQ_PROTOCOL_ERROR_ZAP_…`.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Delimiter => 0x2000_0000,
            Self::Frames => 0x2000_0001,
            Self::RequestId => 0x2000_0002,
            Self::Version => 0x2000_0003,
            Self::StatusCode => 0x2000_0004,
            Self::Metadata => 0x2000_0005,
        }
    }

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Delimiter => "the ZAP handler's answer does not begin with an empty frame",
            Self::Frames => "the ZAP handler's answer does not have seven frames",
            Self::RequestId => "the ZAP handler answered another request",
            Self::Version => "the ZAP handler answered in another version than 1.0",
            Self::StatusCode => "the ZAP handler's status code is none of 200, 300, 400 and 500",
            Self::Metadata => "the metadata in the ZAP handler's answer is malformed",
        }
    }
}

/// Nobody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// No handler is bound.
    Nobody,
    /// A socket is bound that cannot answer.
    Unfit,
}

/// What is known of a peer that asks to be let in.
#[derive(Debug)]
pub(crate) struct Applicant<'a> {
    pub(crate) address: &'a str,
    pub(crate) credentials: &'a Credentials,
}

impl Inquiry {
    /// Asks on behalf of a connection, which is told when there is an answer.
    pub(crate) fn ask(
        runtime: &Arc<Runtime>,
        connection: Weak<Connection>,
        options: &Options,
        applicant: &Applicant<'_>,
    ) -> Result<Self, Unanswerable> {
        match runtime.inproc.bound_type(HANDLER) {
            None => return Err(Unanswerable::Nobody),
            Some(SocketType::Rep | SocketType::Router) => {}
            Some(_) => return Err(Unanswerable::Unfit),
        }
        let socket =
            SocketInner::with_pattern(SocketType::Dealer, pattern::inquiring(connection), None);
        let inquiry = Self { socket, runtime: runtime.clone() };
        let linked = runtime.inproc.connect(HANDLER, &inquiry.socket, &Arc::default());
        let link = linked.map_err(|_| Unanswerable::Nobody)?;
        if runtime.inproc.forget_pipe(&link) {
            // It was unbound meanwhile.
            return Err(Unanswerable::Nobody);
        }
        let mut request = request(options, applicant);
        inquiry.socket.send(&mut request, Patience::None).map_err(|_| Unanswerable::Nobody)?;
        Ok(inquiry)
    }

    /// What was answered by now.
    pub(crate) fn answer(&self) -> Answer {
        let mut message = Message::new();
        match self.socket.receive(&mut message, Patience::None) {
            Ok(()) => read(&message),
            Err(Error::WouldBlock) => Answer::None,
            Err(_) => Answer::Gone,
        }
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.socket.close(&self.runtime);
    }
}

/// The frames of a request (RFC 27, "Request and Reply Frames"). Whose identity the sixth is, the
/// text leaves open; as in libzmq, it is our own.
fn request(options: &Options, applicant: &Applicant<'_>) -> Message {
    let domain = options.zap_domain.clone().unwrap_or_default();
    let mut request: Message =
        ["", VERSION, REQUEST_ID, &domain, applicant.address].into_iter().collect();
    request.push_back(options.routing_id.clone());
    match applicant.credentials {
        Credentials::Plain(login) => {
            request.push_back("PLAIN");
            request.push_back(login.username.clone());
            request.push_back(login.password.clone());
        }
        Credentials::Curve(key) => {
            request.push_back("CURVE");
            request.push_back(key.as_bytes().to_vec());
        }
        _ => request.push_back("NULL"),
    }
    request
}

/// Reads an answer; its faults are found in the order in which libzmq does.
fn read(message: &Message) -> Answer {
    let frame = |number| message.frame(number).map_or(&[][..], |frame| &frame[..]);
    if message.len() != 7 {
        return Answer::Broken(Breach::Frames);
    }
    if !frame(0).is_empty() {
        return Answer::Broken(Breach::Delimiter);
    }
    if frame(1) != VERSION.as_bytes() {
        return Answer::Broken(Breach::Version);
    }
    if frame(2) != REQUEST_ID.as_bytes() {
        return Answer::Broken(Breach::RequestId);
    }
    let refusal = match frame(3) {
        b"200" => None,
        b"300" => Some(Refusal::Temporary),
        b"400" => Some(Refusal::Credentials),
        b"500" => Some(Refusal::Internal),
        _ => return Answer::Broken(Breach::StatusCode),
    };
    let Some(metadata) = properties(frame(6)) else { return Answer::Broken(Breach::Metadata) };
    if let Some(refusal) = refusal {
        return Answer::Refused(refusal);
    }
    let user = ("User-Id".to_owned(), Bytes::copy_from_slice(frame(5)));
    Answer::Admitted(Admission { properties: [user].into_iter().chain(metadata).collect() })
}

/// Properties in the form that ZMTP has for them; none if it is not that.
fn properties(mut data: &[u8]) -> Option<Vec<(String, Bytes)>> {
    let mut properties = Vec::new();
    while let Some((&len, rest)) = data.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(len))?;
        let (value_len, rest) = rest.split_first_chunk()?;
        let value_len = usize::try_from(u32::from_be_bytes(*value_len)).ok()?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        if name.is_empty() {
            return None;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        properties.push((name, Bytes::copy_from_slice(value)));
        data = rest;
    }
    Some(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Answer {
        let frames = ["", "1.0", "1", "200", "OK", "alice", "\x01A\0\0\0\x02bc"];
        let mut frames = frames.map(|frame| frame.as_bytes().to_vec()).to_vec();
        change(&mut frames);
        read(&frames.into_iter().collect())
    }

    #[test]
    fn an_answer_tells_the_user_and_metadata() {
        let properties = [("User-Id", "alice"), ("A", "bc")]
            .map(|(name, value)| (name.to_owned(), value.into()));
        let admission = Admission { properties: properties.into() };
        assert_eq!(answer(|_| {}), Answer::Admitted(admission));
    }

    #[test]
    fn status_codes_are_those_of_the_rfc() {
        for (code, expected) in [
            ("300", Answer::Refused(Refusal::Temporary)),
            ("400", Answer::Refused(Refusal::Credentials)),
            ("500", Answer::Refused(Refusal::Internal)),
            ("100", Answer::Broken(Breach::StatusCode)),
            ("201", Answer::Broken(Breach::StatusCode)),
            ("2000", Answer::Broken(Breach::StatusCode)),
            ("", Answer::Broken(Breach::StatusCode)),
        ] {
            assert_eq!(answer(|frames| frames[3] = code.into()), expected, "{code}");
        }
    }

    #[test]
    fn whatever_breaks_the_protocol_has_the_number_of_libzmq() {
        let broken = |change: &dyn Fn(&mut Vec<Vec<u8>>)| match answer(change) {
            Answer::Broken(breach) => breach.code(),
            other => panic!("{other:?}"),
        };
        assert_eq!(broken(&|frames| frames[0] = b"x".to_vec()), 0x2000_0000);
        assert_eq!(broken(&|frames| drop(frames.pop())), 0x2000_0001);
        assert_eq!(broken(&|frames| frames.push(Vec::new())), 0x2000_0001);
        assert_eq!(broken(&|frames| frames[2] = b"2".to_vec()), 0x2000_0002);
        assert_eq!(broken(&|frames| frames[1] = b"1.1".to_vec()), 0x2000_0003);
        assert_eq!(broken(&|frames| frames[3] = b"abc".to_vec()), 0x2000_0004);
        for metadata in ["\x01", "\x01A\0\0\0\x03bc", "\0\0\0\0\0", "\x01A\0\0"] {
            assert_eq!(broken(&|frames| frames[6] = metadata.into()), 0x2000_0005, "{metadata:?}");
        }
    }
}
