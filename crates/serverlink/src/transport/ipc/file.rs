//! The file of a bound Unix domain socket: made, taken over when nobody listens any more, removed.
//!
//! bind(2) makes the file, and fails if there is one of that name: of several who bind, one wins. A
//! file whose socket is gone (its process was killed) stays, and has to be removed first. Two who
//! find it at the same time must not remove what the other one has bound meanwhile, so this is done
//! under a lock on the directory, which the kernel gives back if its holder dies. The kernel knows
//! whether a file belongs to an open socket; it is asked by a datagram socket that tries to connect:
//! a socket of the other type refuses it as such, whether it listens already or not, and never hears
//! of it.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io, mem,
    path::{self, Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use socket2::{SockAddr, Socket, Type};

use super::new_socket;
use crate::{
    Error, Result,
    endpoint::{IpcEndpoint, invalid},
};

/// How long to wait for others who take a file of the same directory over.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to try a directory's name that nobody else can have by chance.
const ATTEMPTS: usize = 16;

/// The file that a socket of ours was bound to. It is removed with this value, if it is still the
/// same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute, for the working directory may change.
    path: PathBuf,
    /// `None`, if it could not be found out.
    identity: Option<Identity>,
    /// Made for it alone; removed after it.
    directory: Option<TemporaryDirectory>,
    removed: bool,
}

impl SocketFile {
    /// Binds a socket to a name in the file system.
    pub(super) fn bind(socket: &Socket, path: &str, endpoint: &str) -> Result<Self> {
        let binding = |source| Error::Io { action: format!("binding {endpoint}"), source };
        let absolute = path::absolute(path).map_err(binding)?;
        let address = SockAddr::unix(path).map_err(binding)?;
        let name = Name { path: &absolute, address: &address, endpoint };
        if !name.bind(socket)? {
            name.take_over(socket)?;
        }
        let identity = fs::symlink_metadata(&absolute).ok().as_ref().and_then(Identity::of);
        Ok(Self { path: absolute, identity, directory: None, removed: false })
    }

    /// Binds a socket to a new name; returns it, too.
    pub(super) fn temporary(socket: &Socket) -> Result<(IpcEndpoint, Self)> {
        let directory = TemporaryDirectory::new()?;
        let path = directory.0.join("socket");
        let endpoint = format!("ipc://{}", path.display());
        let IpcEndpoint::Path(path) = IpcEndpoint::parse(&endpoint, &path.to_string_lossy())?
        else {
            return Err(invalid(&endpoint, "the directory for temporary files has a strange name"));
        };
        let mut file = Self::bind(socket, &path, &endpoint)?;
        file.directory = Some(directory);
        Ok((IpcEndpoint::Path(path), file))
    }
}

impl SocketFile {
    /// Removes it, if it is still the same; an error if that fails, or if it is there no more.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.removed = true;
        let removed = self.remove_now();
        match self.directory.take() {
            Some(directory) => removed.and(directory.remove()),
            None => removed,
        }
    }

    fn remove_now(&self) -> io::Result<()> {
        let now = fs::symlink_metadata(&self.path)?;
        if self.identity.is_some() && Identity::of(&now) == self.identity {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.removed {
            // If it cannot be removed, it is the next one's to take over.
            let _ = self.remove_now();
        }
    }
}

/// A name that a socket shall have.
struct Name<'a> {
    path: &'a Path,
    address: &'a SockAddr,
    endpoint: &'a str,
}

/// What is at a name that is taken.
enum Occupant {
    /// It went at this moment.
    Nobody,
    /// A file whose socket is gone.
    Stale,
    /// A socket, or one of which nothing can be said.
    Live,
    /// No socket at all.
    Other,
}

impl Name<'_> {
    /// False if there is something of that name.
    fn bind(&self, socket: &Socket) -> Result<bool> {
        match socket.bind(self.address) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
            Err(error) => Err(self.cannot("binding", error)),
        }
    }

    /// Binds where something is that may be stale.
    fn take_over(&self, socket: &Socket) -> Result<()> {
        let _alone = self.path.parent().and_then(alone_in);
        // Each time somebody else was quicker, who does not know the lock.
        for _ in 0..ATTEMPTS {
            match self.occupant()? {
                Occupant::Nobody => {}
                Occupant::Stale => match fs::remove_file(self.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(self.cannot("removing the stale socket file of", error));
                    }
                    _ => {}
                },
                Occupant::Live => break,
                Occupant::Other => {
                    return Err(invalid(
                        self.endpoint,
                        "there is a file of that name which is not a socket; it is not touched",
                    ));
                }
            }
            if self.bind(socket)? {
                return Ok(());
            }
        }
        Err(Error::AddressInUse { endpoint: self.endpoint.to_owned() })
    }

    fn occupant(&self) -> Result<Occupant> {
        match fs::symlink_metadata(self.path) {
            Ok(metadata) if is_socket(&metadata) => {}
            Ok(_) => return Ok(Occupant::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nobody),
            Err(error) => return Err(self.cannot("looking at", error)),
        }
        // Windows has no datagrams here; a listener there sees a connection come and go.
        let probe = if cfg!(windows) { Type::STREAM } else { Type::DGRAM };
        let probe = new_socket(probe).map_err(Error::io("making a Unix domain socket"))?;
        Ok(match probe.connect(self.address).map_err(|error| error.kind()) {
            Err(io::ErrorKind::ConnectionRefused) => Occupant::Stale,
            Err(io::ErrorKind::NotFound) => Occupant::Nobody,
            Ok(()) | Err(_) => Occupant::Live,
        })
    }

    fn cannot(&self, action: &str, source: io::Error) -> Error {
        let directory = self.path.parent().unwrap_or(self.path);
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !directory.is_dir() => {
                let reason = format!("there is no directory {}", directory.display());
                invalid(self.endpoint, &reason)
            }
            _ => Error::Io { action: format!("{action} {}", self.endpoint), source },
        }
    }
}

/// Locks a directory, flock(2), so that nobody else takes over a file in it; without the lock, if
/// it cannot be had, those who do so at the very same moment may disturb each other.
fn alone_in(directory: &Path) -> Option<File> {
    let file = File::open(directory).ok()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            // It is held for moments. Who holds it for longer is not one of ours, and so the wait
            // must end; but one that the kernel wakes, flock(2) without `LOCK_NB`, has no limit.
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return None,
        }
    }
}

/// A directory that only this user can use.
#[derive(Debug)]
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        let mut attempts = 0..ATTEMPTS;
        loop {
            let path = parent.join(format!("serverlink-{:012x}", fastrand::u64(..1 << 48)));
            match make_directory(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && attempts.next().is_some() => {}
                Err(error) => {
                    return Err(Error::Io {
                        action: format!("making a directory in {}", parent.display()),
                        source: error,
                    });
                }
            }
        }
    }
}

impl TemporaryDirectory {
    fn remove(mut self) -> io::Result<()> {
        fs::remove_dir(mem::take(&mut self.0))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // Somebody may have put something in.
            let _ = fs::remove_dir(&self.0);
        }
    }
}

#[cfg(unix)]
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().mode(0o700).create(path)
}

/// The user's directory for temporary files is the user's alone.
#[cfg(windows)]
fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// What tells one file from another of the same name: the device and the number, which none has
/// twice as long as the socket is open.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

#[cfg(unix)]
impl Identity {
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        Some(Self(metadata.dev(), metadata.ino()))
    }
}

#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;

    metadata.file_type().is_socket()
}

/// What tells one file from another of the same name: when it was made.
#[cfg(windows)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64);

#[cfg(windows)]
impl Identity {
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::windows::fs::MetadataExt;

        is_socket(metadata).then(|| Self(metadata.creation_time()))
    }
}

/// A socket is a reparse point that is not a link.
#[cfg(windows)]
fn is_socket(metadata: &Metadata) -> bool {
    use std::os::windows::fs::MetadataExt;

    /// `FILE_ATTRIBUTE_REPARSE_POINT`.
    const REPARSE_POINT: u32 = 0x400;
    !metadata.is_symlink() && metadata.file_attributes() & REPARSE_POINT != 0
}
