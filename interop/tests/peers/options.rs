//! Options: libzmq takes and refuses the same values, and has the same defaults.
//!
//! Driven by the table of options. Where libzmq differs, it is said here why.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    process::Stdio,
};

use serverlink::{Context, OptionAccess, OptionForm, OptionInfo, SocketType, socket_options};
use serverlink_interop::python;

/// Options that libzmq has in builds with its draft API or with TLS only, which this one is not.
const ELSEWHERE: &[&str] = &[
    "ZMQ_IN_BATCH_SIZE",
    "ZMQ_OUT_BATCH_SIZE",
    "ZMQ_BUSY_POLL",
    "ZMQ_DISCONNECT_MSG",
    "ZMQ_HELLO_MSG",
    "ZMQ_HICCUP_MSG",
    "ZMQ_PRIORITY",
    "ZMQ_ROUTER_NOTIFY",
    "ZMQ_WSS_CERT_PEM",
    "ZMQ_WSS_HOSTNAME",
    "ZMQ_WSS_KEY_PEM",
    "ZMQ_WSS_TRUST_PEM",
    "ZMQ_WSS_TRUST_SYSTEM",
    "ZMQ_XSUB_VERBOSE_UNSUBSCRIBE",
];

/// Options that libzmq takes on sockets of more types, where they do nothing or what they are not
/// described for: its REP is a ROUTER within, its PUB an XPUB, and all are told how to match.
const ON_OTHER_SOCKETS: &[&str] = &[
    "ZMQ_CONFLATE",
    "ZMQ_CONNECT_ROUTING_ID",
    "ZMQ_INVERT_MATCHING",
    "ZMQ_PROBE_ROUTER",
    "ZMQ_ROUTER_HANDOVER",
    "ZMQ_ROUTER_MANDATORY",
    "ZMQ_ROUTER_RAW",
    "ZMQ_XPUB_MANUAL",
    "ZMQ_XPUB_MANUAL_LAST_VALUE",
    "ZMQ_XPUB_VERBOSE",
    "ZMQ_XPUB_VERBOSER",
];

/// Values on which we differ, and why.
const DIFFERENCES: &[(&str, &[i64], &str)] = &[
    ("ZMQ_HEARTBEAT_TIMEOUT", &[-1], "what it has by default may be set again"),
    ("ZMQ_HEARTBEAT_TTL", &[-1, -2], "the manual has it from 0; libzmq rounds it before it looks"),
    ("ZMQ_MAXMSGSIZE", &[-2], "only -1 means no limit in the manual"),
    ("ZMQ_RECONNECT_STOP", &[-2, -1, 8, I32_MAX], "these have bits without a meaning"),
    ("ZMQ_TCP_KEEPALIVE_CNT", &[0, 128, I32_MAX], "no system takes them: libzmq aborts later"),
    ("ZMQ_TCP_KEEPALIVE_IDLE", &[0, 32_768, I32_MAX], "no system takes them: libzmq aborts later"),
    ("ZMQ_TCP_KEEPALIVE_INTVL", &[0, 32_768, I32_MAX], "no system takes them: libzmq aborts later"),
    ("ZMQ_TOS", &[256, I32_MAX], "it is a byte"),
];

const I32_MAX: i64 = i32::MAX as i64;

/// Defaults in which we differ, and why.
const DEFAULTS: &[(&str, &[SocketType], &str)] = &[
    (
        "ZMQ_LINGER",
        &[SocketType::Sub, SocketType::XSub],
        "what an XSUB has sent is owed as anything else is",
    ),
    (
        "ZMQ_EVENTS",
        &[SocketType::Stream],
        "one that has no peers cannot send; libzmq says it can, and then refuses",
    ),
];

/// What to ask libzmq.
struct Question {
    socket_type: SocketType,
    info: OptionInfo,
    /// None gets.
    value: Option<Vec<u8>>,
}

fn type_number(socket_type: SocketType) -> usize {
    SocketType::ALL.iter().position(|other| *other == socket_type).unwrap()
}

fn is_number(form: OptionForm) -> bool {
    matches!(form, OptionForm::Flag(_) | OptionForm::Number { .. })
}

fn number(bytes: &[u8]) -> i64 {
    match bytes.try_into() {
        Ok(long) => i64::from_ne_bytes(long),
        Err(_) => i32::from_ne_bytes(bytes.try_into().unwrap()).into(),
    }
}

/// Bytes in hexadecimal.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Question {
    fn line(&self) -> String {
        let (socket_type, id) = (type_number(self.socket_type), self.info.id);
        match &self.value {
            None => {
                let room = self.info.default_value().map_or(4, |value| match self.info.form {
                    OptionForm::Number { .. } | OptionForm::Flag(_) | OptionForm::Mask => {
                        value.len()
                    }
                    OptionForm::Key => 32,
                    _ => 256,
                });
                format!("{socket_type} get {id} {room}\n")
            }
            Some(value) => format!("{socket_type} set {id} {}\n", hexadecimal(value)),
        }
    }

    /// What we answer to the same.
    fn ours(&self, context: &Context) -> String {
        let socket = context.socket(self.socket_type).unwrap();
        let answer = match &self.value {
            None => socket.option(self.info.id).map(|value| hexadecimal(&value)),
            Some(value) => socket.set_option(self.info.id, value).map(|()| "ok".to_owned()),
        };
        answer.unwrap_or_else(|error| {
            assert_eq!(error.errno_name(), "EINVAL", "{error}");
            "error 22".to_owned()
        })
    }
}

/// Values around the ends of what an option takes, and others.
fn values(form: OptionForm) -> Vec<Vec<u8>> {
    let texts = |lengths: &[usize]| lengths.iter().map(|length| vec![b'a'; *length]).collect();
    match form {
        OptionForm::Number { wide, least, most, none, .. } => {
            let longest = if wide { i64::MAX } else { i32::MAX.into() };
            let mut numbers = BTreeSet::from([-2, -1, 0, 1, 2, least - 1, least, longest]);
            numbers.extend(none);
            numbers.extend(most.into_iter().flat_map(|most| [most, most.saturating_add(1)]));
            numbers
                .into_iter()
                .filter(|number| *number <= longest)
                .map(|number| {
                    if wide {
                        number.to_ne_bytes().to_vec()
                    } else {
                        (number as i32).to_ne_bytes().to_vec()
                    }
                })
                .collect()
        }
        OptionForm::Flag(_) => {
            [i32::MIN, -1, 0, 1, 2, i32::MAX].map(|int| int.to_ne_bytes().to_vec()).into()
        }
        OptionForm::Bytes { .. } | OptionForm::Name { .. } => texts(&[0, 1, 4, 255, 256, 1000]),
        OptionForm::Text { .. } => texts(&[1, 4, 16, 17, 255, 256]),
        OptionForm::Property => ["X-a:b", "X-name:value", "X-name", "X-name:", ":v", "name:value"]
            .map(|text| text.as_bytes().to_vec())
            .into(),
        OptionForm::Key => texts(&[0, 31, 32, 33, 40]),
        OptionForm::Mask => texts(&[0, 4, 7, 8, 9]),
        OptionForm::Ids => texts(&[1, 3, 4, 8]),
        OptionForm::Networks => {
            ["127.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/33", "10.0.0.0/"]
                .map(|text| text.as_bytes().to_vec())
                .into()
        }
        _ => Vec::new(),
    }
}

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for info in socket_options().into_iter().filter(|info| info.unsupported.is_none()) {
        // Later ones are in no ordinary libzmq.
        for socket_type in SocketType::ALL.into_iter().take_while(|&one| one <= SocketType::Stream)
        {
            let values = if info.access == OptionAccess::Get { vec![] } else { values(info.form) };
            // What there is no default of is different for each socket.
            let gets = info.access != OptionAccess::Set
                && (info.default_value().is_some()
                    || !info.is_of(socket_type)
                    || info.constant == "ZMQ_EVENTS");
            let values = gets.then_some(None).into_iter().chain(values.into_iter().map(Some));
            questions.extend(values.map(|value| Question { socket_type, info, value }));
        }
    }
    questions
}

/// libzmq's answers, and its version.
fn ask(questions: &[Question]) -> (String, Vec<String>) {
    let mut child =
        python::script("options.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = questions.iter().map(Question::line).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    let mut lines = output.lines().map(str::to_owned);
    (lines.next().expect("a version"), lines.collect())
}

#[test]
fn libzmq_takes_the_same_values_and_has_the_same_defaults() {
    let questions = questions();
    let (version, theirs) = ask(&questions);
    assert_eq!(theirs.len(), questions.len());
    let context = Context::builder().max_sockets(usize::MAX).build().unwrap();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (question, theirs) in questions.iter().zip(theirs) {
        let Question { socket_type, info, value } = question;
        let constant = info.constant;
        let ours = question.ours(&context);
        let is_draft = ELSEWHERE.contains(&constant);
        if is_draft {
            assert_eq!(theirs, "error 22", "{constant} is in this build: it is no draft");
            continue;
        }
        if ours == theirs {
            continue;
        }
        let differs_by_default = value.is_none()
            && DEFAULTS
                .iter()
                .any(|(name, types, _)| *name == constant && types.contains(socket_type));
        let is_other = !info.is_of(*socket_type) && ON_OTHER_SOCKETS.contains(&constant);
        let differs = value.as_ref().filter(|_| is_number(info.form)).is_some_and(|value| {
            DIFFERENCES
                .iter()
                .any(|(name, values, _)| *name == constant && values.contains(&number(value)))
        });
        if is_other || differs || differs_by_default {
            seen.insert(constant);
        } else {
            let line = question.line();
            wrong.push(format!("{constant} of {socket_type}: {ours} here, {theirs} there: {line}"));
        }
    }
    assert!(wrong.is_empty(), "libzmq {version} differs:\n{}", wrong.concat());
    let listed = DIFFERENCES.iter().map(|(name, ..)| name);
    let listed = listed.chain(DEFAULTS.iter().map(|(name, ..)| name)).chain(ON_OTHER_SOCKETS);
    let stale: Vec<_> = listed.filter(|name| !seen.contains(**name)).collect();
    assert!(stale.is_empty(), "libzmq {version} does not differ in {stale:?}");
}

/// libzmq and we tell a descriptor in the same form: a number of the system's, the same each time.
#[cfg(unix)]
#[test]
fn both_tell_a_descriptor_as_an_int() {
    let info = socket_options().into_iter().find(|info| info.constant == "ZMQ_FD").unwrap();
    let types = SocketType::ALL.into_iter().take_while(|&one| one <= SocketType::Stream);
    let questions: Vec<_> =
        types.map(|socket_type| Question { socket_type, info, value: None }).collect();
    let context = Context::new().unwrap();
    for (question, theirs) in questions.iter().zip(ask(&questions).1) {
        for (library, answer) in [("ours", question.ours(&context)), ("libzmq", theirs)] {
            assert_eq!(answer.len(), 8, "{library}, {}: {answer}", question.socket_type);
            let bytes = (0..4).map(|at| u8::from_str_radix(&answer[2 * at..2 * at + 2], 16));
            let bytes: Result<Vec<_>, _> = bytes.collect();
            assert!(number(&bytes.unwrap()) > 2, "{library}: {answer}");
        }
    }
}
