//! The TLS of a socket, as the command line asks for it.

use std::{fs, path::Path};

use serverlink::{Result, Socket};

use crate::{
    args::{EndpointArgs, TlsArgs},
    exit,
    failure::Failure,
};

/// The arguments, with all files read.
pub(crate) struct Tls {
    identity: Option<[String; 2]>,
    trusted: Option<String>,
    trusts_system: bool,
    hostname: Option<String>,
}

impl Tls {
    /// Reads what the arguments name, for these endpoints.
    pub(crate) fn new(args: &TlsArgs, endpoints: &EndpointArgs) -> Result<Self, Failure> {
        let is_of_use =
            |endpoints: &[String]| endpoints.iter().any(|text| text.starts_with("wss:"));
        let connects = args.wss_trust_file.is_some() || args.wss_trust_system;
        for (is_given, what, whose) in [
            (args.wss_cert_file.is_some(), "--bind", &endpoints.bind),
            (connects || args.wss_hostname.is_some(), "--connect", &endpoints.connect),
        ] {
            if is_given && !is_of_use(whose) {
                return Err(Failure::new(
                    exit::USAGE,
                    format!("a certificate or a name is given, but no {what} wss://HOST:PORT"),
                    "leave out the options of TLS that begin with --wss, or use such an endpoint",
                ));
            }
        }
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
        };
        let identity = match (&args.wss_cert_file, &args.wss_key_file) {
            (Some(certificate), Some(key)) => Some([read(certificate)?, read(key)?]),
            _ => None,
        };
        Ok(Self {
            identity,
            trusted: args.wss_trust_file.as_deref().map(read).transpose()?,
            trusts_system: args.wss_trust_system,
            hostname: args.wss_hostname.clone(),
        })
    }

    /// Sets the socket up, before it is bound or connected.
    pub(crate) fn apply(&self, socket: &Socket) -> Result<()> {
        if let Some([certificate, key]) = &self.identity {
            socket.set_wss_cert_pem(Some(certificate))?;
            socket.set_wss_key_pem(Some(key))?;
        }
        socket.set_wss_trust_pem(self.trusted.as_deref())?;
        socket.set_wss_trust_system(self.trusts_system)?;
        socket.set_wss_hostname(self.hostname.as_deref())
    }
}
