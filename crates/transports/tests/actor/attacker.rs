//! A peer that means harm: it proves a key of its own and then says what it likes.

use std::sync::Arc;
use std::time::Duration;

use weald_sync::{Event, Output, Role, Session, SessionOptions, Twist};
use weald_transports::{Address, Link, LinkReceiver, LinkSender, MemoryNetwork, Transport};

use crate::site::{Site, within};

/// One link of a peer that means harm.
pub(crate) struct Attacker {
    pub(crate) site: Arc<Site>,
    pub(crate) session: Session,
    sender: Box<dyn LinkSender>,
    receiver: Box<dyn LinkReceiver>,
    /// How many bytes the other side has taken.
    pub(crate) taken: usize,
}

impl Attacker {
    /// Opens a link and says hello.
    pub(crate) async fn dial(
        network: &MemoryNetwork,
        site: &Arc<Site>,
        to: &Address,
        seed: u8,
    ) -> Option<Self> {
        let link: Link = network.transport("attacker").dial(to).await.ok()?;
        let options = SessionOptions {
            role: Role::Dialler,
            device: weald_dag::SecretKey::clone(&site.key),
            name: "attacker".to_owned(),
            expected_peer: None,
            channel_binding: None,
            seed: [seed; 32],
            plain: false,
            health_every: None,
        };
        let session = Session::new(options, 0);
        let (sender, receiver) = link.split();
        let mut attacker = Self { site: Arc::clone(site), session, sender, receiver, taken: 0 };
        attacker.flush().await.then_some(attacker)
    }

    /// Opens a link and proves a key on it; `None` where the other side does not let it come so far.
    pub(crate) async fn prove(
        network: &MemoryNetwork,
        site: &Arc<Site>,
        to: &Address,
        seed: u8,
    ) -> Option<Self> {
        let mut attacker = Self::dial(network, site, to, seed).await?;
        while attacker.session.peer().is_none() {
            if !attacker.turn().await {
                return None;
            }
        }
        Some(attacker)
    }

    pub(crate) fn twist(&mut self, twist: Twist) {
        self.session.twist(twist);
    }

    /// Sends what the session has to say; returns whether the link still takes it.
    pub(crate) async fn flush(&mut self) -> bool {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(frame) => {
                    if !self.raw(frame).await {
                        return false;
                    }
                }
                Output::Close(_) => return false,
                Output::Ingest { .. } | Output::Event(Event::Progress { .. }) => {}
                Output::Event(_) => {}
            }
        }
        true
    }

    /// Sends bytes as they are; returns whether the link still takes them.
    pub(crate) async fn raw(&mut self, frame: Vec<u8>) -> bool {
        let bytes = frame.len();
        let sent = within("sending", self.sender.send(frame.into())).await;
        self.taken += if sent.is_ok() { bytes } else { 0 };
        sent.is_ok()
    }

    /// Sends bytes unless the other side takes none for a while; returns whether it took them.
    pub(crate) async fn raw_soon(&mut self, frame: Vec<u8>) -> bool {
        let bytes = frame.len();
        let sent = self.sender.send(frame.into());
        let sent = tokio::time::timeout(Duration::from_millis(500), sent).await;
        let taken = matches!(sent, Ok(Ok(())));
        self.taken += if taken { bytes } else { 0 };
        taken
    }

    /// Takes one frame and answers it; returns whether the link is still open.
    pub(crate) async fn turn(&mut self) -> bool {
        match within("hearing", self.receiver.recv()).await {
            Ok(Some(frame)) => {
                let site = Arc::clone(&self.site);
                self.session.handle_frame(0, &frame, &*site);
                self.flush().await
            }
            _ => false,
        }
    }

    /// Reads until the other side has closed the link.
    pub(crate) async fn until_closed(&mut self) {
        let closed = async { while let Ok(Some(_)) = self.receiver.recv().await {} };
        within("being sent away", closed).await;
    }
}
