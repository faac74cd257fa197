//! What `ipc://` has beside what all transports have: names in the file system, their fate, and who
//! may come.

#[cfg(target_os = "linux")]
mod abstract_names;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod stale;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) mod folder {
    use std::{
        env, fs,
        path::{Path, PathBuf},
        process,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// A directory of a test's own.
    pub(crate) struct Folder(PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("serverlink-{}-{count}", process::id()));
            // Of an earlier process of that id.
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        pub(crate) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) fn endpoint(path: &Path) -> String {
        format!("ipc://{}", path.display())
    }
}
