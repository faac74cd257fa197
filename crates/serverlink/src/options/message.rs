//! What is told of the frames of messages by number.

use super::{
    OptionAccess::Get, OptionForm, OptionInfo, OptionOwners, OptionSystems, OptionTime::Never,
    OptionTruth, OptionUnit,
};
use crate::socket::{MORE, SHARED, SRCFD};

const PLAIN: OptionInfo = OptionInfo {
    name: "",
    constant: "",
    id: 0,
    form: OptionForm::Flag(OptionTruth::One),
    owners: OptionOwners::Messages,
    time: Never,
    access: Get,
    since: "",
    systems: OptionSystems::ALL,
    summary: "",
    unsupported: None,
    default: || None,
};

/// What [`Received::option`](crate::Received::option) tells of a message's frames, by its numbers.
pub fn message_options() -> Vec<OptionInfo> {
    vec![
        OptionInfo {
            name: "more",
            constant: "ZMQ_MORE",
            id: MORE,
            since: "3.2",
            summary: "Whether more frames of the message follow.",
            ..PLAIN
        },
        OptionInfo {
            name: "source_descriptor",
            constant: "ZMQ_SRCFD",
            id: SRCFD,
            form: OptionForm::int(OptionUnit::One, 0),
            since: "4.1",
            summary: "The descriptor that the message came by; what came within the process, or by a \
                      named pipe, has none. It may be closed by now, or belong to something else.",
            ..PLAIN
        },
        OptionInfo {
            name: "shared",
            constant: "ZMQ_SHARED",
            id: SHARED,
            since: "4.1",
            summary: "Whether the frame may share its memory with others.",
            ..PLAIN
        },
    ]
}
