//! Options that libzmq has and this library has not, and why.

use super::{
    OptionAccess, OptionForm, OptionInfo, OptionOwners, OptionSystems, OptionTime, OptionUnit,
};

/// Makes the rows.
macro_rules! unsupported {
    ($($reason:literal: $($constant:ident = $id:literal since $since:literal),+;)+) => {
        pub(super) const ROWS: &[OptionInfo] = &[$($(
            OptionInfo {
                name: stringify!($constant),
                constant: stringify!($constant),
                id: $id,
                form: OptionForm::int(OptionUnit::One, 0),
                owners: OptionOwners::Sockets,
                time: OptionTime::Never,
                access: OptionAccess::SetAndGet,
                since: $since,
                systems: OptionSystems { names: "none", here: false },
                summary: "",
                unsupported: Some($reason),
                default: || None,
            },
        )+)+];
    };
}

unsupported! {
    "there is no PGM transport":
        ZMQ_RATE = 8 since "2.0", ZMQ_RECOVERY_IVL = 9 since "2.0",
        ZMQ_MULTICAST_MAXTPDU = 84 since "4.2";
    "there is no VMCI transport":
        ZMQ_VMCI_BUFFER_SIZE = 85 since "4.2", ZMQ_VMCI_BUFFER_MIN_SIZE = 86 since "4.2",
        ZMQ_VMCI_BUFFER_MAX_SIZE = 87 since "4.2", ZMQ_VMCI_CONNECT_TIMEOUT = 88 since "4.2";
    "there is no GSSAPI mechanism":
        ZMQ_GSSAPI_SERVER = 62 since "4.1", ZMQ_GSSAPI_PRINCIPAL = 63 since "4.1",
        ZMQ_GSSAPI_SERVICE_PRINCIPAL = 64 since "4.1", ZMQ_GSSAPI_PLAINTEXT = 65 since "4.1",
        ZMQ_GSSAPI_PRINCIPAL_NAMETYPE = 90 since "4.3",
        ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE = 91 since "4.3";
    "there is no NORM transport":
        ZMQ_NORM_MODE = 117 since "4.3.5", ZMQ_NORM_UNICAST_NACK = 118 since "4.3.5",
        ZMQ_NORM_BUFFER_SIZE = 119 since "4.3.5", ZMQ_NORM_SEGMENT_SIZE = 120 since "4.3.5",
        ZMQ_NORM_BLOCK_SIZE = 121 since "4.3.5", ZMQ_NORM_NUM_PARITY = 122 since "4.3.5",
        ZMQ_NORM_NUM_AUTOPARITY = 123 since "4.3.5", ZMQ_NORM_PUSH = 124 since "4.3.5";
}
