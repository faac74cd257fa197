//! What `ipc://` has beside what all transports have: names in the file system, their fate, and who
//! may come.

#[cfg(windows)]
mod windows {
    use serverlink::SocketType;
    use socket2::{Domain, Socket, Type};

    use crate::harness::{connected, context, errno, expect, socket};

    #[test]
    fn it_works_where_windows_has_it_and_is_refused_elsewhere() {
        let context = context();
        let pull = socket(&context, SocketType::Pull);
        if Socket::new(Domain::UNIX, Type::STREAM, None).is_ok() {
            let endpoint = pull.bind("ipc://*").unwrap();
            connected(&context, SocketType::Push, &endpoint).send("hello").unwrap();
            let push = connected(&context, SocketType::Push, &endpoint);
            push.send("hello").unwrap();
            expect(&pull, "hello");
        } else {
            assert_eq!(errno(pull.bind("ipc://*")), "EPROTONOSUPPORT");
            assert_eq!(errno(pull.bind("ipc://name")), "EPROTONOSUPPORT");
            assert_eq!(errno(pull.connect("ipc://name")), "EPROTONOSUPPORT");
        }
        for refused in [
            pull.set_ipc_filter_uid(&[1]),
            pull.set_ipc_filter_gid(&[1]),
            pull.set_ipc_filter_pid(&[1]),
        ] {
            assert_eq!(errno(refused), "EINVAL");
        }
    }
}

#[cfg(target_os = "linux")]
mod abstract_names;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod stale;

#[cfg(unix)]
mod folder {
    use std::{
        env, fs,
        path::{Path, PathBuf},
        process,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// A directory of a test's own.
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("serverlink-{}-{count}", process::id()));
            // Of an earlier process of that id.
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(super) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        pub(super) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    pub(super) fn endpoint(path: &Path) -> String {
        format!("ipc://{}", path.display())
    }
}
