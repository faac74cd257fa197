//! Options of `wss://` endpoints.

use std::path::PathBuf;

use clap::Args;

/// Whom the ends of TLS show themselves as, and whom they trust.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS (for wss://)")]
pub(crate) struct TlsArgs {
    /// File with the certificate to bind with, in PEM, and those that lead to one that clients trust
    #[arg(long, value_name = "PATH", requires = "wss_key_file")]
    pub(crate) wss_cert_file: Option<PathBuf>,
    /// File with the private key of that certificate, in PEM
    #[arg(long, value_name = "PATH", requires = "wss_cert_file")]
    pub(crate) wss_key_file: Option<PathBuf>,
    /// File with the certificates, in PEM, of those that are trusted to say who a server is
    #[arg(long, value_name = "PATH")]
    pub(crate) wss_trust_file: Option<PathBuf>,
    /// Trust those that the system trusts
    #[arg(long)]
    pub(crate) wss_trust_system: bool,
    /// Name that the certificate of a server has to be for [default: the host in the endpoint]
    #[arg(long, value_name = "NAME")]
    pub(crate) wss_hostname: Option<String>,
}
