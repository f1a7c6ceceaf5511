//! A room on one instance, keys that an attacker holds, and entries made by hand.

use weald::{
    Database, DatabaseSettings, EntryId, Instance, Level, Parcel, PublicKey, Signature, Time, User,
    Verdict,
};
use weald_auth::{Operation, encode_operations};
use weald_dag::{Fields, SecretKey, Section, Verified};

/// A key that an attacker may hold, too.
pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// May write.
pub(crate) const WRITER: u8 = 20;
/// An administrator, weaker than the creator.
pub(crate) const ADMIN: u8 = 21;
/// Holds nothing.
pub(crate) const STRANGER: u8 = 22;

pub(crate) struct Scene {
    pub(crate) instance: Instance,
    pub(crate) alice: User,
    pub(crate) room: Database,
}

/// What must be as before after an attack.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    tips: Vec<EntryId>,
    entries: u64,
    digest: [u8; 32],
    members: Vec<weald::Member>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let instance = Instance::in_memory().unwrap();
        let alice = instance.create_user("alice", None).unwrap();
        let settings = DatabaseSettings::named("Room")
            .grant(key(WRITER).public(), Level::Write(10), Some("writer"))
            .grant(key(ADMIN).public(), Level::Admin(5), Some("admin"));
        let room = alice.create_database(settings).unwrap();
        let scene = Self { instance, alice, room };
        scene.say("hello");
        scene
    }

    pub(crate) fn say(&self, text: &str) {
        self.room.write(|tx| Ok(tx.log("chat")?.push(&text.to_owned())?)).unwrap();
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let items = self.room.log::<String>("chat").unwrap().tail(100).unwrap();
        items.into_iter().map(|item| item.value.unwrap()).collect()
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            tips: self.room.tips().unwrap(),
            entries: self.room.entry_count().unwrap(),
            digest: self.room.state_digest().unwrap(),
            members: self.room.settings().members().unwrap(),
        }
    }

    /// Sends parcels as a peer would; one verdict for each.
    pub(crate) fn send(&self, parcels: Vec<Parcel>) -> Vec<Verdict> {
        let from = key(99).public();
        let verdicts = self.instance.ingest(from, self.room.id(), parcels).unwrap();
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    pub(crate) fn send_one(&self, parcel: Parcel) -> Verdict {
        self.send(vec![parcel]).pop().unwrap()
    }

    /// The entries after the first ones, as they are stored.
    pub(crate) fn parcels(&self) -> Vec<Parcel> {
        self.room.parcels(0, usize::MAX).unwrap()
    }

    /// The payload of something said in the chat.
    pub(crate) fn speech(&self) -> Vec<u8> {
        let said = self.parcels().pop().unwrap();
        said.payloads[0].clone().unwrap()
    }

    /// A time after that of every entry that is here, `step` later.
    pub(crate) fn later(&self, step: u64) -> Time {
        let latest = self.parcels().iter().map(|parcel| parcel.entry.time().raw()).max();
        Time::from_raw(latest.unwrap() + 1 + step)
    }

    /// The fields of an entry on top of all, with one section.
    pub(crate) fn fields(&self, author: PublicKey, store: &str, payload: &[u8]) -> Fields {
        Fields {
            parents: self.room.tips().unwrap(),
            time: self.later(0),
            author,
            seq: 1,
            sections: vec![Section::of(store, payload)],
            nonce: None,
        }
    }

    /// An entry on top of all, well made and signed by its author.
    pub(crate) fn entry(&self, author: u8, store: &str, payload: &[u8]) -> Parcel {
        let fields = self.fields(key(author).public(), store, payload);
        Verified::sign(fields, vec![payload.to_vec()], &key(author)).unwrap().into_parcel()
    }

    /// An entry on top of all that changes the settings.
    pub(crate) fn settings(&self, author: u8, operations: &[Operation]) -> Parcel {
        self.entry(author, "_settings", &encode_operations(operations).unwrap())
    }
}

pub(crate) fn unsigned(mut parcel: Parcel) -> Parcel {
    parcel.signature = Signature::from_bytes([0; 64]);
    parcel
}
