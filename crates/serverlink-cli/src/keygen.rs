//! `serverlink keygen`: a pair of keys for CURVE.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serverlink::{CurveKeyPair, curve_keypair};

use crate::{args::KeygenArgs, console::Console, failure::Failure, write_out};

/// Makes one, and writes or prints it; returns the exit code.
pub(crate) fn run(args: &KeygenArgs) -> u8 {
    match make(args) {
        Ok(text) => write_out(&text),
        Err(failure) => {
            Console { json: args.json, quiet: false }.failure(&failure);
            failure.code
        }
    }
}

/// What to print.
fn make(args: &KeygenArgs) -> Result<String, Failure> {
    let CurveKeyPair { public, secret } =
        curve_keypair().map_err(Failure::while_doing("no keys can be made"))?;
    let Some(path) = &args.path else {
        let (public, secret) = (public.to_string(), secret.to_z85());
        return Ok(if args.json {
            format!("{}\n", serde_json::json!({ "public": public, "secret": secret }))
        } else {
            format!("public {public}\nsecret {secret}\n")
        });
    };
    let beside = public_path(path);
    write(path, &secret.to_z85(), true)?;
    if let Err(failure) = write(&beside, &public.to_string(), false) {
        // It is of this moment, and nobody knows its other half.
        let _ = fs::remove_file(path);
        return Err(failure);
    }
    Ok(if args.json {
        format!("{}\n", serde_json::json!({ "public": public.to_string() }))
    } else {
        format!("public {public}\n")
    })
}

fn public_path(secret: &Path) -> PathBuf {
    let mut name = OsString::from(secret);
    name.push(".pub");
    name.into()
}

/// Writes a key to a file that is not there yet.
fn write(path: &Path, key: &str, is_secret: bool) -> Result<(), Failure> {
    create(path, is_secret)
        .and_then(|mut file| writeln!(file, "{key}"))
        .map_err(|error| Failure::file("write", path, &error))
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "there it has the folder's permissions"))]
fn create(path: &Path, is_secret: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}
