//! Instructions a message.

use std::env;
use std::process::Command;

use super::Suite;
use crate::needs;

pub(super) const SUITE: Suite = Suite {
    name: "instructions",
    about: "how many instructions a message takes, against the tracked figures",
    needs: &[&needs::VALGRIND],
    run: |recorder| match env::current_exe() {
        Ok(program) => {
            let mut command = Command::new(program);
            command.arg("instructions");
            recorder.check("counts", command);
        }
        Err(error) => recorder.fail(&format!("cannot find this program: {error}")),
    },
};
