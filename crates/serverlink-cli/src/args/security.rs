//! Options of security: who the socket is, whom it talks to, and whom it admits.

use std::path::PathBuf;

use clap::Args;

/// The mechanism of the socket's connections: NULL, unless some of these are there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityArgs {
    /// Log in with this name and a password (PLAIN, not encrypted); with --plain-server, who shows
    /// them is admitted
    #[arg(long, value_name = "NAME", value_parser = plain, requires = "password")]
    #[arg(conflicts_with_all = ["role", "secret"])]
    pub(crate) plain_username: Option<String>,
    /// The password, which others on this machine may see
    #[arg(long, value_name = "PASSWORD", value_parser = plain, group = "password")]
    #[arg(requires = "plain_username")]
    pub(crate) plain_password: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "PATH", group = "password", requires = "plain_username")]
    pub(crate) plain_password_file: Option<PathBuf>,
    /// Be a server of PLAIN, which refuses all others
    #[arg(long, requires = "plain_username")]
    pub(crate) plain_server: bool,
    /// Encrypt, and talk to the server of this public key only (CURVE), see `serverlink keygen`
    #[arg(long, value_name = "KEY", group = "role", allow_hyphen_values = true)]
    pub(crate) curve_server_key: Option<String>,
    /// File with that key
    #[arg(long, value_name = "PATH", group = "role")]
    pub(crate) curve_server_key_file: Option<PathBuf>,
    /// Encrypt, as the server of CURVE: whoever knows its public key is admitted, or those of
    /// --curve-client-key only
    #[arg(long, group = "role", requires = "secret")]
    pub(crate) curve_server: bool,
    /// Admit the client of this public key, and no others but those named so, too (repeatable)
    #[arg(long, value_name = "KEY", requires = "curve_server", allow_hyphen_values = true)]
    pub(crate) curve_client_key: Vec<String>,
    /// Secret key of this socket, which others on this machine may see
    /// [default: a client makes one for this run]
    #[arg(long, value_name = "KEY", group = "secret", requires = "role")]
    #[arg(allow_hyphen_values = true)]
    pub(crate) curve_secret_key: Option<String>,
    /// File with that key
    #[arg(long, value_name = "PATH", group = "secret", requires = "role")]
    pub(crate) curve_secret_key_file: Option<PathBuf>,
    /// Public key of this socket; it need not be told, and if it is, it must go with the secret one
    #[arg(long, value_name = "KEY", requires = "secret", allow_hyphen_values = true)]
    pub(crate) curve_public_key: Option<String>,
}

/// `keygen`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeygenArgs {
    /// Write the secret key to this file, which must not be there yet and which only its owner may
    /// read, and the public key to PATH.pub; without it, both are printed
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What PLAIN sends has a length of one byte (RFC 24).
fn plain(text: &str) -> Result<String, String> {
    match text.len() {
        0..=255 => Ok(text.to_owned()),
        length => Err(format!("it has {length} bytes, and 255 is the most")),
    }
}
