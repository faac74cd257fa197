//! How a connection ends.

use std::{
    io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serverlink_io::Direction;

use super::{Connection, End, Input, Phase, Receiving};
use crate::MonitorEventKind;

/// How long a peer that has got everything may take to close its side.
pub(super) const PARTING: Duration = Duration::from_secs(1);

impl Connection {
    /// The stream is lost.
    pub(super) fn lose(&self, input: &mut Input, error: &io::Error) {
        if input.is_proxied() {
            return self.end(input, End::NotConnected);
        }
        if !input.protocol.is_ready() {
            self.origin.tell(self, MonitorEventKind::HandshakeFailed(error.into()));
        }
        self.end(input, End::Lost);
    }

    /// The socket wants no more of this connection than that its messages arrive.
    pub(super) fn close_when_drained(&self, input: &mut Input) {
        let Some(over) = self.closing().as_ref().map(|closing| closing.is_over(Instant::now()))
        else {
            return;
        };
        if let Some(pipe) = self.pipe.get()
            && let Some(owner) = pipe.owner()
        {
            owner.hand_over(pipe);
        }
        let drained = self.outbox.close();
        match input.phase {
            Phase::Ended => {
                self.closing().take();
            }
            Phase::Connecting(_) if over || drained => self.end(input, End::Closed),
            Phase::Open if over || (drained && !input.protocol.is_ready()) => {
                self.end(input, End::Closed);
            }
            // Nobody wants what is left to be read.
            Phase::Open if input.mute.is_some() => self.end(input, End::Lost),
            Phase::Open if drained && input.protocol.say_goodbye() => self.write_control(input),
            Phase::Open if drained => {
                // Closing with bytes unread would reset the stream, and the peer might lose what
                // we sent: say that no more comes and wait for it to close.
                let done = self.handle.get().is_none_or(|handle| handle.shutdown_send().is_err());
                if done {
                    self.end(input, End::Closed);
                } else {
                    self.part(input, End::Closed);
                }
            }
            _ => {}
        }
        self.set_timer(input);
    }

    /// Waits for the peer to close its side, which then is the end.
    pub(super) fn part(&self, input: &mut Input, end: End) {
        input.phase = Phase::Parting(Instant::now() + PARTING, end);
        self.receive(input);
        self.set_timer(input);
    }

    pub(super) fn end(&self, input: &mut Input, end: End) {
        if matches!(input.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        input.phase = Phase::Ending(end);
        if input.mute.is_some() {
            self.conclude(input, self.sent.load(Ordering::Acquire));
        } else if self.outbox.break_off() {
            // How much of it the kernel took decides where the next connection begins.
            if let Some(handle) = self.handle.get() {
                handle.cancel(Direction::Outward);
            }
        } else {
            self.conclude(input, 0);
        }
    }

    /// A write has failed, of which so many bytes were sent: no other begins, and the socket sends to this
    /// peer no more. What that had sent is read to its end, which tells that the stream is lost; if that
    /// is not so, the peer is told the end of ours, and the connection ends when nothing comes for a while.
    pub(super) fn write_failed(&self, input: &mut Input, sent: usize) {
        if input.phase != Phase::Open {
            return self.conclude(input, sent);
        }
        self.sent.store(sent, Ordering::Release);
        input.mute = Some(Instant::now() + PARTING);
        if let Some(handle) = self.handle.get() {
            let _ = handle.shutdown_send();
        }
        if let Some(me) = self.me.upgrade() {
            self.origin.muted(&me);
        }
        if input.receiving == Receiving::Paused {
            if !input.protocol.has_input() {
                // If nothing is left but the end, nobody need make room for it.
                self.receive(input);
            } else if self.origin.is_hasty() {
                return self.end(input, End::Lost);
            }
        }
        self.close_when_drained(input);
        self.set_timer(input);
    }

    /// Nothing is pending any more; of the last batch, if it is not written, `sent` bytes are.
    pub(super) fn conclude(&self, input: &mut Input, sent: usize) {
        let end = match input.phase {
            Phase::Ended => return,
            Phase::Ending(end) | Phase::Parting(_, end) => end,
            Phase::Connecting(_) => End::NotConnected,
            Phase::Open => End::Lost,
        };
        let end = if end == End::Lost && self.pipe.get().is_none() { End::Unshaken } else { end };
        input.phase = Phase::Ended;
        input.interlude = None;
        self.set_timer(input);
        if matches!(end, End::Unshaken | End::Rejected | End::Lost) {
            self.origin.tell(self, MonitorEventKind::Disconnected);
        }
        if let Some(handle) = self.handle.get() {
            handle.retire();
        }
        self.outbox.detach(input.protocol.resumes().then_some(sent));
        // One that the socket did not take has none, or one that nobody reads.
        if let Some(pipe) = self.pipe.get() {
            for message in self.origin.departure().into_iter().chain(input.protocol.last_message())
            {
                if let Some(inlet) = self.inlet(&mut input.inlet)
                    && inlet.push_urgent(message)
                    && let Some(owner) = pipe.owner()
                {
                    owner.pipe_readable(pipe);
                }
            }
            // For the next connection.
            input.inlet.take().into_iter().for_each(|inlet| pipe.give_inlet(inlet));
        }
        let for_good = self.closing().as_ref().is_some_and(|closing| closing.for_good);
        let end = if for_good && end == End::Lost { End::Closed } else { end };
        if let Some(me) = self.me.upgrade() {
            self.origin.ended(&me, end);
        }
        self.closing().take();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::CONCLUDE, *};
    use crate::{Context, SocketType};

    /// It would go on for as long as the peer says something, and be one-way.
    #[test]
    fn a_peer_that_can_be_sent_nothing_more_is_told_so() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let context = Context::new().unwrap();
        let router = context.socket(SocketType::Router).unwrap();
        let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
        let dealer = context.socket(SocketType::Dealer).unwrap();
        dealer.set_linger(Some(Duration::ZERO)).unwrap();
        let monitor = dealer.monitor();
        dealer.connect(&endpoint).unwrap();
        dealer.send("first").unwrap();
        router.recv().unwrap();
        // As if a write had failed, and nothing else were wrong.
        router.inner.only_outbox().connection().unwrap().post(CONCLUDE);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            dealer.send("more").unwrap();
            let event = monitor.recv_timeout(PARTING / 10);
            if event.is_ok_and(|event| event.kind == MonitorEventKind::Disconnected) {
                return;
            }
        }
        panic!("it goes on");
    }
}
