//! Who the peer is, for a ZAP handler to judge.

use std::time::Instant;

use serverlink_zmtp::{self as zmtp, Credentials, Refusal};

use super::{Connection, End, Input, Interlude, Phase};
use crate::{
    MonitorEventKind, MonitorFault,
    options::Unjudged,
    socket::refusal_of,
    transport::zap::{Answer, Applicant, Inquiry, Unanswerable},
};

/// `EFAULT`, which libzmq tells where there is no handler.
const FAULT: i32 = 14;

/// What comes of asking.
pub(super) enum Asked {
    /// The answer will come.
    Inquiry(Inquiry),
    /// There is nobody to ask, and need not be.
    Admitted,
    /// There is nobody to ask.
    Nobody,
}

impl Connection {
    /// Asks whoever judges peers. The answer is [told](Self::answered).
    pub(super) fn ask(&self, credentials: &Credentials) -> Asked {
        let Some(address) = self.peer_name() else {
            self.tell_unjudged("the address of the peer is not known any more");
            return Asked::Nobody;
        };
        let options = self.origin.options();
        let applicant = Applicant { address: &address, credentials };
        match Inquiry::ask(self.origin.runtime(), self.me.clone(), options, &applicant) {
            Ok(inquiry) => Asked::Inquiry(inquiry),
            Err(Unanswerable::Nobody) if options.unjudged() == Unjudged::Admitted => {
                Asked::Admitted
            }
            Err(Unanswerable::Nobody | Unanswerable::Unfit) => {
                self.tell_unjudged("no ZAP handler, a REP or ROUTER, is bound");
                Asked::Nobody
            }
        }
    }

    /// The peer is judged, or never will be.
    pub(super) fn judge(&self, input: &mut Input) {
        let Some(Interlude::Inquiry(inquiry)) = input.interlude.as_deref() else { return };
        if input.phase != Phase::Open {
            return;
        }
        match inquiry.answer() {
            Answer::None => return,
            Answer::Admitted(admission) => {
                input.interlude = Some(Box::new(Interlude::Admission(admission)));
                input.protocol.admit();
            }
            Answer::Refused(refusal) => {
                input.interlude = None;
                input.protocol.refuse(refusal);
            }
            Answer::Gone => {
                self.tell_unjudged("the ZAP handler has gone without an answer");
                self.end(input, End::Lost);
                return;
            }
            Answer::Broken(breach) => {
                let (code, reason) = (breach.code(), breach.reason().to_owned());
                self.origin.tell(self, MonitorEventKind::HandshakeFailedProtocol { code, reason });
                self.end(input, End::Lost);
                return;
            }
        }
        self.pump(input, Instant::now());
    }

    fn tell_unjudged(&self, reason: &str) {
        let fault = MonitorFault { code: Some(FAULT), reason: reason.to_owned() };
        self.origin.tell(self, MonitorEventKind::HandshakeFailed(fault));
    }

    /// Ends the connection because of an error of the protocol, of which the peer may have been told.
    pub(super) fn fail(&self, input: &mut Input, error: &zmtp::Error) {
        match error {
            zmtp::Error::Refused { reason }
                if self.pipe.get().is_none()
                    && matches!(
                        refusal_of(reason),
                        Some(Refusal::Credentials | Refusal::Internal)
                    ) =>
            {
                self.end(input, End::Rejected);
            }
            // What it has sent meanwhile is not read: closing would reset the stream, and it might not get
            // to know what it was told.
            _ if input.protocol.is_web()
                || matches!(
                    error,
                    zmtp::Error::Denied(Refusal::Credentials | Refusal::Internal)
                ) =>
            {
                if self.outbox.is_silent()
                    && let Some(handle) = self.handle.get()
                {
                    let _ = handle.shutdown_send();
                }
                self.part(input, End::Lost);
            }
            _ => self.end(input, End::Lost),
        }
    }
}
