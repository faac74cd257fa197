//! TLS 1.3 (RFC 8446), for `wss://`, by rustls.

use std::{
    fmt,
    io::{self, BufRead, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::{Error, Result, endpoint::invalid, options::Options};

/// How much is encrypted at once: the most that a record takes (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// What a server is known by.
#[derive(Debug, Clone)]
pub(crate) struct Server(Arc<ServerConfig>);

impl Server {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let cert_pem = required("wss_cert_pem", options.wss_cert_pem.as_deref())?;
        let key_pem = required("wss_key_pem", options.wss_key_pem.as_deref())?;
        let chain = certificates("wss_cert_pem", cert_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| unfit("wss_key_pem", &error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| unfit("wss_key_pem", &error))?;
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn begin(&self) -> io::Result<Tls> {
        ServerConnection::new(self.0.clone()).map(Tls::of).map_err(io::Error::other)
    }
}

/// Whom a client trusts, and whom it wants to reach.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<ClientConfig>, ServerName<'static>);

impl Client {
    /// One that wants to reach `host`, of this endpoint, or whom the options name.
    pub(crate) fn new(endpoint: &str, host: &str, options: &Options) -> Result<Self> {
        let set = options.wss_hostname.as_deref();
        let name = set.unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| match set {
            Some(_) => unfit("wss_hostname", &format!("{name:?}: {error}")),
            None => invalid(endpoint, &format!("no certificate can be for {name:?}: {error}")),
        })?;
        let mut roots = RootCertStore::empty();
        if let Some(pem) = options.wss_trust_pem.as_deref() {
            for certificate in certificates("wss_trust_pem", pem)? {
                roots.add(certificate).map_err(|error| unfit("wss_trust_pem", &error))?;
            }
        }
        if options.wss_trust_system {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                let reason =
                    format!("this system has none that can be read: {}", errors.join("; "));
                return Err(unfit("wss_trust_system", &reason));
            }
        }
        if roots.is_empty() {
            let reason = "nobody is trusted: set it, or wss_trust_system";
            return Err(unfit("wss_trust_pem", &reason));
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unfit("wss_trust_pem", &error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config), name))
    }

    pub(crate) fn begin(&self) -> io::Result<Tls> {
        let Self(config, name) = self;
        let connection = ClientConnection::new(config.clone(), name.clone());
        connection.map(Tls::of).map_err(io::Error::other)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn required<'a>(option: &'static str, value: Option<&'a str>) -> Result<&'a str> {
    value.ok_or_else(|| unfit(option, &"to bind to wss:// it has to be set"))
}

fn certificates(option: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err(unfit(option, &"there is no certificate in it")),
        Ok(all) => Ok(all),
        Err(error) => Err(unfit(option, &error)),
    }
}

fn unfit(option: &'static str, reason: &dyn fmt::Display) -> Error {
    Error::InvalidOption { option, reason: reason.to_string() }
}

/// One end of an encrypted stream. Who receives and who sends share it.
pub(crate) struct Tls(Mutex<Session>);

struct Session {
    connection: Connection,
    /// We have nothing more to say.
    closes: bool,
}

/// Which plain bytes lie where in what was encrypted: the ends of the records, there and here.
#[derive(Debug, Default)]
pub(crate) struct Records(Vec<(usize, usize)>);

impl Records {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many of the plain bytes are in the records of which all is in the first `sent` bytes.
    pub(crate) fn plain(&self, sent: usize) -> usize {
        let whole = self.0.partition_point(|(encrypted, _)| *encrypted <= sent);
        whole.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// Not the keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    fn of(connection: impl Into<Connection>) -> Self {
        let mut connection = connection.into();
        // What is written is bounded elsewhere.
        connection.set_buffer_limit(None);
        Self(Mutex::new(Session { connection, closes: false }))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what lies in these bytes. There may be something before an error, too; that the peer has
    /// ended the stream is one.
    pub(crate) fn receive(&self, mut bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let connection = &mut self.session().connection;
        while !bytes.is_empty() {
            connection.read_tls(&mut bytes)?;
            let processed = connection.process_new_packets();
            // Until there is nothing more now, or never.
            while let Ok(plain @ [_, ..]) = connection.reader().fill_buf() {
                let len = plain.len();
                out.extend_from_slice(plain);
                connection.reader().consume(len);
            }
            if processed.map_err(io::Error::other)?.peer_has_closed() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Whether it has something to say by itself: a part of the handshake, an alert.
    pub(crate) fn has_output(&self) -> bool {
        let session = self.session();
        session.closes || session.connection.wants_write()
    }

    /// Has the end of the stream told behind what is [sent](Self::send) next.
    pub(crate) fn close(&self) {
        self.session().closes = true;
    }

    /// Encrypts what is to be written next, and appends it, with what it has to say by itself.
    pub(crate) fn send(&self, plain: &[Bytes], out: &mut Vec<Bytes>, records: &mut Records) {
        let session = &mut *self.session();
        let (mut encrypted, mut read) = (Vec::new(), 0);
        for piece in plain.iter().flat_map(|bytes| bytes.chunks(RECORD)) {
            // Neither into a buffer without a limit nor out of it can anything fail.
            let _ = session.connection.writer().write_all(piece);
            while session.connection.wants_write() {
                let _ = session.connection.write_tls(&mut encrypted);
            }
            read += piece.len();
            records.0.push((encrypted.len(), read));
        }
        if session.closes {
            session.closes = false;
            session.connection.send_close_notify();
        }
        while session.connection.wants_write() {
            let _ = session.connection.write_tls(&mut encrypted);
        }
        if !encrypted.is_empty() {
            out.push(encrypted.into());
        }
    }
}
