//! What waits to go out, in order: messages for the link, parcels for the writer, events.
//!
//! Invariant: outputs leave in the order in which they were asked for, but that controls share a message
//! across the events between them; a close is the last; what waits for the link is counted in bytes.

use std::collections::VecDeque;

use weald_dag::{DatabaseId, Parcel};

use crate::close::CloseReason;
use crate::frame::Framer;
use crate::limits::OUTBOX_MAX_BYTES;
use crate::message::{Control, put_control, start_controls, with_batch};
use crate::output::{BatchId, Event, Output};

/// Controls that follow each other share a message up to this length.
const CONTROLS_BYTES: usize = 64 << 10;

/// What a peer that lies puts in place of a message.
#[cfg(feature = "testing")]
pub type Twist = Box<dyn FnMut(Vec<u8>) -> Vec<Vec<u8>> + Send>;

enum Queued {
    /// Controls that follow each other, as one message.
    Controls(Vec<u8>),
    Message(Vec<u8>),
    Frame(Vec<u8>),
    Other(Output),
}

/// What waits to go out.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    /// How many have left the queue.
    left: usize,
    /// The place of the controls after which nothing but events has been put in, counted from the first
    /// that ever was.
    open: Option<usize>,
    /// How many bytes of messages wait.
    bytes: usize,
    /// How many bytes of messages were ever put in, with what a frame adds to each.
    said: u64,
    /// How many bytes a frame adds to a message.
    pub(crate) frame_cost: usize,
    /// Frames of the message that is going out.
    frames: VecDeque<Vec<u8>>,
    #[cfg(feature = "testing")]
    pub(crate) twist: Option<Twist>,
}

impl Outbox {
    pub(crate) fn control(&mut self, control: Control) {
        if let Some(message) = self.open_message()
            && message.len() < CONTROLS_BYTES
        {
            let before = message.len();
            put_control(message, &control);
            let length = message.len().saturating_sub(before);
            self.bytes += length;
            self.said += length as u64;
            return;
        }
        let mut message = start_controls();
        put_control(&mut message, &control);
        self.bytes += message.len();
        self.said += (message.len() + self.frame_cost) as u64;
        self.put(Queued::Controls(message));
    }

    /// Returns where in the queue the controls are that may be added to.
    fn open(&self) -> Option<usize> {
        self.open.and_then(|place| place.checked_sub(self.left))
    }

    /// Returns the message of controls that is the last thing to be sent.
    fn open_message(&mut self) -> Option<&mut Vec<u8>> {
        let place = self.open()?;
        match self.queue.get_mut(place) {
            Some(Queued::Controls(message)) => Some(message),
            _ => None,
        }
    }

    /// Puts in what is no event: nothing is added to the controls before it.
    fn put(&mut self, queued: Queued) {
        self.open = matches!(queued, Queued::Controls(_)).then(|| self.left + self.queue.len());
        self.queue.push_back(queued);
    }

    /// Puts in a batch of entries, which shares a message with the controls right before it.
    pub(crate) fn batch(&mut self, batch: &[u8]) {
        let before = match self.open().and_then(|place| self.queue.remove(place)) {
            Some(Queued::Controls(controls)) => Some(controls),
            // There is nothing else at that place.
            _ => None,
        };
        let (already, begins) = (before.as_ref().map_or(0, Vec::len), before.is_none());
        let message = with_batch(before, batch);
        let length = message.len().saturating_sub(already);
        self.bytes += length;
        self.said += (length + if begins { self.frame_cost } else { 0 }) as u64;
        self.put(Queued::Message(message));
    }

    /// Returns how many bytes were ever put in, with what frames add to them.
    pub(crate) const fn said(&self) -> u64 {
        self.said
    }

    pub(crate) fn frame(&mut self, frame: Vec<u8>) {
        self.put(Queued::Frame(frame));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Queued::Other(Output::Event(event)));
    }

    pub(crate) fn ingest(
        &mut self,
        batch: BatchId,
        database: DatabaseId,
        parcels: Vec<Parcel>,
        bootstrap: bool,
    ) {
        let ingest = Output::Ingest { batch, database, parcels, bootstrap };
        self.put(Queued::Other(ingest));
    }

    /// Checks that the peer, which asks, also reads what it is answered.
    pub(crate) const fn check(&self) -> Result<(), CloseReason> {
        let (waiting, limit) = (self.bytes, OUTBOX_MAX_BYTES);
        if waiting > limit { Err(CloseReason::NotRead { waiting, limit }) } else { Ok(()) }
    }

    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.put(Queued::Other(Output::Close(reason)));
    }

    /// Drops all that was to be sent; events and parcels stay.
    pub(crate) fn cut(&mut self) {
        self.frames.clear();
        self.open = None;
        self.bytes = 0;
        self.queue.retain(|queued| matches!(queued, Queued::Other(_)));
    }

    /// Turns all messages into frames now, because the keys are about to go.
    pub(crate) fn seal(&mut self, framer: &mut Framer) {
        let mut sealed = VecDeque::new();
        while let Some(output) = self.poll(Some(framer)) {
            sealed.push_back(match output {
                Output::Send(frame) => Queued::Frame(frame),
                other => Queued::Other(other),
            });
        }
        self.queue = sealed;
        self.open = None;
    }

    /// Takes the next output; `framer` is there once the handshake is finished.
    pub(crate) fn poll(&mut self, mut framer: Option<&mut Framer>) -> Option<Output> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(Output::Send(frame));
            }
            let next = self.queue.pop_front()?;
            self.left += 1;
            let message = match next {
                Queued::Other(output) => return Some(output),
                Queued::Frame(frame) => return Some(Output::Send(frame)),
                Queued::Message(message) | Queued::Controls(message) => message,
            };
            self.bytes = self.bytes.saturating_sub(message.len());
            if let Some(framer) = &mut framer {
                let twisted = self.twisted(message);
                self.frames = twisted.iter().flat_map(|message| framer.frames(message)).collect();
            }
        }
    }

    #[cfg(feature = "testing")]
    fn twisted(&mut self, message: Vec<u8>) -> Vec<Vec<u8>> {
        match &mut self.twist {
            Some(twist) => twist(message),
            None => vec![message],
        }
    }

    #[cfg(not(feature = "testing"))]
    fn twisted(&self, message: Vec<u8>) -> [Vec<u8>; 1] {
        [message]
    }
}
