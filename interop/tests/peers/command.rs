//! The command talks to libzmq in all its roles, and carries a file of 100 MB line by line, from and
//! to pyzmq.

use std::{fs::File, process::Stdio};

use serverlink_interop::{Process, command::Serverlink, each_role, lines, python};

const BYTES: usize = 100_000_000;

each_role!(Serverlink::native());

#[test]
fn pulls_a_file_that_pyzmq_pushes() {
    let folder = tempfile::tempdir().unwrap();
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let count = lines::write(&sent, BYTES).to_string();
    let pull = Serverlink::native().start(
        &["pull", "--bind=tcp://127.0.0.1:*", "--count", &count, "--timeout=40s"],
        Stdio::null(),
        File::create(&received).unwrap().into(),
    );
    let mut push =
        Process::start(python::script("lines.py").args(["push", pull.endpoint()]).arg(&sent));
    pull.finish();
    lines::assert_same(&sent, &received);
    assert!(push.wait().success());
}

#[test]
fn pushes_a_file_that_pyzmq_pulls() {
    let folder = tempfile::tempdir().unwrap();
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let count = lines::write(&sent, BYTES).to_string();
    let mut pull = Process::start(
        python::script("lines.py").args(["pull", "tcp://127.0.0.1:*"]).arg(&received).arg(count),
    );
    let endpoint = pull.line();
    let push = Serverlink::native().start(
        &["push", "--connect", &endpoint, "--timeout=40s"],
        File::open(&sent).unwrap().into(),
        Stdio::null(),
    );
    push.finish();
    assert!(pull.wait().success());
    lines::assert_same(&sent, &received);
}
