//! `docs/options.md` is the table of options.

use std::{env, fmt::Write, fs, path::Path};

use serverlink::{
    OptionAccess, OptionForm, OptionInfo, OptionOwners, OptionTime, context_options,
    message_options, socket_options,
};

use crate::option_effects::{OF_CONTEXTS, OF_MESSAGES, OF_SOCKETS, shown_by};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/options.md");
/// Set it to have the page written anew.
const WRITE: &str = "SERVERLINK_WRITE_PAGES";

const HEAD: &str = "\
# Options

Made from the table in `crates/serverlink/src/options/`, and checked by a test: change the table, and
have the page written anew with

```sh
SERVERLINK_WRITE_PAGES=1 cargo nextest run -p serverlink option_page
```

Every option has a setter and a getter in Rust, `Socket::set_NAME` and `Socket::NAME`, that take and
give Rust's own types: durations, numbers, `bool`, bytes. Besides, `Socket::set_option` and
`Socket::option` take and give the values of libzmq's C API by the numbers it has for options. The
values and defaults below are those of the C API; *set* and *get* tell what libzmq, and so these two,
can do with an option.

*from* tells from when on a value holds: at once, for what is bound or connected *later*, or for what
is bound or connected *next* and no longer.

*shown by* names the tests that show what an option does, or, of one that is only told, what it tells:
they are in `crates/serverlink/tests/sockets`, those of `src` in `crates/serverlink`.
";

const MESSAGES: &str = "
## Messages

`Socket::recv_with_peer` receives a message together with what is known of the peer it came from, as
of the connection it came by; `Received::option` tells these of each of its frames. `recv` pays nothing
for it: whom a message came from is known from whose turn it was and from how many messages each
connection brought, and only looked up when asked for.

| id | libzmq's name | name | values | since | what it tells | shown by |
|---|---|---|---|---|---|---|
";

const PROPERTIES: &str = "
`Received::property` tells the properties, which `Socket::peers` has, too. Case does not matter.

| property | what it tells |
|---|---|
| `Socket-Type` | the peer's type |
| `Identity`, `Routing-Id` | the name it calls itself by, if it is of a type that tells it; libzmq knows the second in its manual only |
| `Peer-Address` | its IP address over `tcp://`; over `ipc://`, `localhost`, and `:user:group:process` by their ids if it was accepted on a system that tells |
| `Resource`, `X-…` and others | what else the peer told: its option `ZMQ_METADATA` |
| `User-Id` | whom the ZAP handler that let the peer in took it for; nothing where no handler was asked, and never what the peer itself tells under this name |
| others that a ZAP handler told | its metadata; these go before what the peer told |

Within the process libzmq tells no properties; here it is all but the address.

In C, `zmq_msg_recv` and `zmq_recvmsg` will receive in this way, and keep what is known of the peer in
the `zmq_msg_t` of each frame, which has room for a pointer to it; `zmq_msg_copy` and `zmq_msg_move`
take it along, and `zmq_msg_close` lets go of it. `zmq_msg_get` is `Received::option`. `zmq_msg_gets`
is `Received::property`, whose value it copies behind the message once, with a zero byte at its end, so
that the string lives as long as the message. `zmq_recv` receives without.
";

fn text(value: &[u8], form: OptionForm) -> String {
    match form {
        _ if value.is_empty() => "none".to_owned(),
        OptionForm::Flag(_) | OptionForm::Number { .. } => match value.len() {
            4 => i32::from_ne_bytes(value.try_into().unwrap()).to_string(),
            _ => i64::from_ne_bytes(value.try_into().unwrap()).to_string(),
        },
        OptionForm::Mask => u64::from_ne_bytes(value.try_into().unwrap()).to_string(),
        OptionForm::Text { .. } if value == b"\0" => "none".to_owned(),
        OptionForm::Key if value == [0; 32] => "none".to_owned(),
        _ => value.escape_ascii().to_string(),
    }
}

fn row(info: &OptionInfo, shown: &str) -> String {
    let access = match info.access {
        OptionAccess::SetAndGet => "set, get",
        OptionAccess::Set => "set",
        _ => "get",
    };
    let time = match info.time {
        OptionTime::AtOnce => "at once",
        OptionTime::Later => "later",
        OptionTime::Next => "next",
        OptionTime::Start => "before the start",
        OptionTime::LaterSockets => "any time, for later sockets",
        _ => "",
    };
    let owners = match info.owners {
        OptionOwners::SocketsOf(types) => {
            types.iter().map(|owner| owner.as_str()).collect::<Vec<_>>().join(", ")
        }
        OptionOwners::Context => "context".to_owned(),
        _ => "all".to_owned(),
    };
    let default = info.default_value().map_or(String::new(), |value| text(&value, info.form));
    // Links to methods lead nowhere from here.
    let mut summary = info.summary.split_whitespace().collect::<Vec<_>>().join(" ");
    let link = |summary: &str| ["](Self::", "](crate::"].iter().find_map(|it| summary.find(it));
    while let Some(link) = link(&summary) {
        let end = summary[link..].find(')').expect("a link ends") + link;
        summary.replace_range(link..=end, "");
        let start = summary[..link].rfind('[').expect("a link begins");
        summary.remove(start);
    }
    format!(
        "| {} | `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} | {shown} |",
        info.id,
        info.constant,
        info.name,
        access,
        info.form,
        default,
        owners,
        time,
        info.since,
        info.systems.names,
        summary
    )
}

fn page() -> String {
    let options = socket_options();
    let (here, missing): (Vec<_>, Vec<_>) =
        options.into_iter().partition(|info| info.unsupported.is_none());
    let mut page = HEAD.to_owned();
    page.push_str(
        "\n## Sockets\n\n\
         | id | libzmq's name | name | can be | values | default | sockets | from | since | systems | what it does | shown by |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for info in &here {
        writeln!(page, "{}", row(info, &shown_by(OF_SOCKETS, info.constant))).unwrap();
    }
    page.push_str(
        "\n## Contexts\n\n\
         The builder has a method of each name; `ContextBuilder::set_option`, `Context::set_option` and \
         `Context::option` take the\nnumbers. Two options have the same one: one is set, the other \
         told. Those that must be set before the\nstart are refused later; libzmq takes them at any \
         time, and heeds them until the context opens its first\nsocket.\n\n\
         | id | libzmq's name | name | can be | values | default | must be set | since | systems | what it does | shown by |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for info in &context_options() {
        let shown = shown_by(OF_CONTEXTS, info.constant);
        writeln!(page, "{}", row(info, &shown).replace(" | context |", " |")).unwrap();
    }
    page.push_str(MESSAGES);
    for info in &message_options() {
        let summary = info.summary.split_whitespace().collect::<Vec<_>>().join(" ");
        let OptionInfo { id, constant, name, form, since, .. } = info;
        let shown = shown_by(OF_MESSAGES, constant);
        writeln!(page, "| {id} | `{constant}` | {name} | {form} | {since} | {summary} | {shown} |")
            .unwrap();
    }
    page.push_str(PROPERTIES);
    page.push_str(
        "\n## Not supported\n\nThese answer `Error::UnsupportedOption`, which says why.\n\n\
         | id | libzmq's name | why |\n|---|---|---|\n",
    );
    for info in &missing {
        let why = info.unsupported.unwrap();
        writeln!(page, "| {} | `{}` | {why} |", info.id, info.constant).unwrap();
    }
    page
}

#[test]
fn the_page_is_the_table() {
    let wanted = page();
    if env::var_os(WRITE).is_some() {
        fs::write(Path::new(PAGE), &wanted).unwrap();
    }
    let found = fs::read_to_string(PAGE).unwrap_or_default().replace("\r\n", "\n");
    for (at, (found, wanted)) in found.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(found, wanted, "line {} of {PAGE}: write it anew with {WRITE}=1", at + 1);
    }
    assert_eq!(found, wanted, "{PAGE}: write it anew with {WRITE}=1");
}
