//! What the kernel has to have, and why there is no ring if there is none.

use std::{io, os::fd::AsRawFd};

use io_uring::{IoUring, Probe, opcode, types::Fd};
use socket2::{Domain, Socket, Type};

use super::{provided, ring::Ring};
use crate::errors::{self, Action, Call};

/// How many operations can be pushed between two entries into the kernel; more is no error.
const SUBMISSIONS: u32 = 256;
/// How many completions fit; the kernel keeps what does not.
const COMPLETIONS: u32 = 4096;

/// Makes a ring.
pub(super) fn open() -> io::Result<IoUring> {
    let ring = IoUring::builder()
        .setup_clamp()
        .setup_cqsize(COMPLETIONS)
        .setup_submit_all()
        .build(SUBMISSIONS)
        .map_err(impossible)?;
    let had = ring.params();
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(impossible)?;
    check(&[
        ("IORING_FEAT_NODROP", had.is_feature_nodrop()),
        ("IORING_FEAT_FAST_POLL", had.is_feature_fast_poll()),
        ("IORING_FEAT_EXT_ARG", had.is_feature_ext_arg()),
        ("IORING_FEAT_CQE_SKIP", had.is_feature_skip_cqe_on_success()),
        ("IORING_OP_NOP", probe.is_supported(opcode::Nop::CODE)),
        ("IORING_OP_POLL_ADD", probe.is_supported(opcode::PollAdd::CODE)),
        ("IORING_OP_ACCEPT", probe.is_supported(opcode::Accept::CODE)),
        ("IORING_OP_RECV", probe.is_supported(opcode::Recv::CODE)),
        ("IORING_OP_SENDMSG", probe.is_supported(opcode::SendMsg::CODE)),
        ("IORING_OP_ASYNC_CANCEL", probe.is_supported(opcode::AsyncCancel::CODE)),
    ])?;
    Ok(ring)
}

/// Whether a receive can stay for whatever comes (`IORING_RECV_MULTISHOT`, Linux 6.0), of which the
/// probe above says nothing. Tried before any operation and any piece is in the ring: a kernel that
/// knows it misses the piece.
pub(super) fn receives_last(ring: &Ring) -> io::Result<()> {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    far.send(b"x")?;
    let receive = opcode::RecvMulti::new(Fd(near.as_raw_fd()), provided::GROUP).build();
    // SAFETY: it refers to no memory, and the descriptor stays until its completion.
    if !unsafe { ring.push(&receive) } {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    loop {
        ring.wait(None)?;
        let Some(completion) = ring.take() else { continue };
        return match io::Error::from_raw_os_error(-completion.result) {
            error if errors::action(Call::Piece, &error) == Some(Action::Retry) => Ok(()),
            error => Err(error),
        };
    }
}

/// Names what is missing.
fn check(wanted: &[(&str, bool)]) -> io::Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "io_uring cannot be used: this kernel lacks {}, which Linux 5.19 has",
            missing.join(", ")
        ),
    ))
}

/// Why a system call that sets up the ring has failed: io_uring_setup(2), io_uring_register(2).
pub(super) fn impossible(error: io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has none, or a sandbox hides it",
        Some(libc::EPERM | libc::EACCES) => {
            "it is forbidden, by the setting kernel.io_uring_disabled or a seccomp filter"
        }
        Some(libc::ENOMEM) => {
            "there is no memory for the ring: RLIMIT_MEMLOCK or a control group limits it"
        }
        Some(libc::EMFILE | libc::ENFILE) => "there are no descriptors left",
        Some(libc::EINVAL) => "this kernel is too old: Linux 5.19 would do",
        _ => "the kernel refuses",
    };
    io::Error::new(error.kind(), format!("io_uring cannot be used: {why} ({error})"))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Port, PortOptions};

    #[test]
    fn every_refusal_has_its_reason() {
        let table = [
            (libc::ENOSYS, "has none"),
            (libc::EPERM, "kernel.io_uring_disabled"),
            (libc::EPERM, "seccomp"),
            (libc::EACCES, "forbidden"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EMFILE, "descriptors"),
            (libc::ENFILE, "descriptors"),
            (libc::EINVAL, "too old"),
            (libc::EIO, "refuses"),
        ];
        for (code, part) in table {
            let plain = io::Error::from_raw_os_error(code);
            let (kind, number) = (plain.kind(), format!("os error {code}"));
            let error = impossible(plain);
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{text}");
            for part in ["io_uring cannot be used: ", part, &number] {
                assert!(text.contains(part), "{text}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(check(&[("ONE", true), ("TWO", true)]).is_ok());
        let error = check(&[("ONE", false), ("TWO", true), ("THREE", false)]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("lacks ONE, THREE, which Linux 5.19"), "{text}");
    }

    /// A seccomp filter, as container runtimes have one.
    #[test]
    fn a_forbidden_ring_is_passed_over_for_a_reason() {
        let forbidden = thread::spawn(|| {
            forbid(libc::SYS_io_uring_setup as u32, libc::EPERM as u32);
            let mut options =
                PortOptions { backend: Some("uring".to_owned()), ..PortOptions::default() };
            let alone = Port::new(&options).map(|port| port.backend()).map_err(|e| e.to_string());
            options.backend = Some("uring,select".to_owned());
            (alone, Port::new(&options))
        });
        let (alone, other) = forbidden.join().expect("no panic");
        let reason = alone.expect_err("it is forbidden");
        assert!(reason.contains("seccomp"), "{reason}");
        let other = other.expect("the other starts");
        assert_eq!(other.backend(), "select");
        assert_eq!(other.passed_over(), [format!("uring: {reason}")]);
    }

    /// Has a system call fail from now on in this thread; seccomp(2).
    fn forbid(call: u32, code: u32) {
        let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
        let mut filter = [
            // The number of the call is the first field of what the filter looks at.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | code),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: the arguments are as prctl(2) wants them, and the filter is valid for the call.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    == 0
        };
        assert!(installed, "{}", io::Error::last_os_error());
    }
}
