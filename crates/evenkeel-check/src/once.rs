//! One probe, run to its end on the calling thread: for people who want to see the conversation. The same
//! transports as the engine's; no health, no schedule.

use crate::dialogue::End;
use crate::dialogue::transcript::Line;
use crate::engine::Spec;
use crate::sys::{self, WRITABLE};
use crate::transport::parting::Parting;
use crate::transport::record::Record;
use crate::transport::sockets::Sockets;
use crate::transport::stream::Talk;
use crate::transport::{Clock, Plan};
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Timing};
use evenkeel_core::evidence::{Evidence, Reason, Verdict};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// What one probe found, and what was said.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// What was found.
    pub evidence: Evidence,
    /// What was said, without TLS; of more than 192 KiB the beginning.
    pub lines: Vec<Line>,
    /// What came when nothing more was heard; `Open` if the verdict was there before.
    pub end: End,
    /// Which of the bytes heard decided; the sample of the evidence is the beginning of them.
    pub decided: Range<usize>,
    /// Our end of the connection, if there was one over IP.
    pub local: Option<SocketAddr>,
}

impl Conversation {
    /// All that we sent.
    pub fn sent(&self) -> Vec<u8> {
        self.lines
            .iter()
            .filter_map(|line| if let Line::Sent(bytes) = line { Some(&bytes[..]) } else { None })
            .collect::<Vec<_>>()
            .concat()
    }

    /// All that we heard.
    pub fn heard(&self) -> Vec<u8> {
        self.lines
            .iter()
            .filter_map(|line| if let Line::Heard(bytes) = line { Some(&bytes[..]) } else { None })
            .collect::<Vec<_>>()
            .concat()
    }
}

/// Asks once. Blocks for `timing.timeout` at most, and a moment to say goodbye (300 ms at most).
pub fn probe_once(spec: &Arc<Spec>, address: &Address, timing: &Timing) -> Conversation {
    if let Address::Name(name, _) = address {
        return no_conversation(Evidence::plain(
            Verdict::Fail(Reason::local(format!("{name} has no address"))),
            Span::ZERO,
        ));
    }
    let plan = Arc::new(Plan::new(spec.clone()));
    let mut sockets = Sockets::new(None);
    let mut talk = match Talk::begin(&plan, address, timing, &mut sockets, true) {
        Ok(talk) => talk,
        Err(evidence) => return no_conversation(*evidence),
    };
    let mut scratch = vec![0; crate::dialogue::HEARD_MAX];
    let evidence = run(&mut talk, &mut scratch);
    let record = talk.take_record();
    let parting = talk.leave(evidence.verdict.passed(), sys::now(), &mut sockets);
    part(parting, &mut scratch, &mut sockets);
    let Record { lines, end, decided, local, .. } = record;
    Conversation { evidence, lines, end, decided, local }
}

fn run(talk: &mut Talk, scratch: &mut [u8]) -> Evidence {
    loop {
        let began = sys::now();
        let patience = talk.deadline().since(began);
        let Ok(events) = sys::wait_for(talk.fd(), talk.wants_write(), patience) else { continue };
        if events == 0 && talk.deadline() <= began {
            return talk.expire(began);
        }
        let clock = Clock { now: sys::now(), doubt: true };
        // Nothing reports an edge here: whoever waits for an answer is always free to speak.
        if let Some(evidence) =
            talk.ready(events | if talk.wants_write() { 0 } else { WRITABLE }, clock, scratch)
        {
            return evidence;
        }
    }
}

fn part(mut parting: Option<Parting>, scratch: &mut [u8], sockets: &mut Sockets) {
    while let Some(mut this) = parting.take() {
        let now = sys::now();
        let events = sys::wait_for(this.fd(), false, this.until().since(now)).unwrap_or(0);
        if this.ready(events, scratch) {
            return;
        }
        let now = sys::now();
        parting = if this.until() <= now { this.expire(now, sockets) } else { Some(this) };
    }
}

fn no_conversation(evidence: Evidence) -> Conversation {
    Conversation { evidence, lines: Vec::new(), end: End::Open, decided: 0..0, local: None }
}
