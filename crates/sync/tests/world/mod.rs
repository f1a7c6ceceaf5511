//! A small world for tests: nodes with graphs in memory, and links that carry frames one by one.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use weald_dag::limits::PARENTS_MAX;
use weald_dag::{
    Admission, DatabaseId, Durability, EntryId, Fields, Graph, Head, Ladder, Local, MemoryStore,
    Number, Overlay, Parcel, PublicKey, Randomness, Refusal, SecretKey, Section, Snapshot,
    Standing, Store, StoreError, Time, Verdict, Verified, admit, append, discard, index, restand,
    verify,
};
use weald_sync::{
    BatchId, CloseReason, Event, ListedDatabase, LocalDatabase, Output, Reads, Role, Session,
    SessionOptions, limits,
};

pub const WALL: u64 = 1_800_000_000_000;

struct Held {
    number: u32,
    complete: bool,
    next: u64,
    needed: u64,
    /// The greatest generation of what is needed.
    generation: u64,
    ladder: Ladder,
    tips: BTreeSet<Number>,
    refused: BTreeSet<EntryId>,
}

impl Held {
    fn place(
        &mut self,
        rows: &Overlay,
        parents: &[Number],
        generation: u64,
        id: EntryId,
    ) -> Number {
        self.count(rows, generation, id);
        let number = Number(self.next);
        self.next += 1;
        for parent in parents {
            self.tips.remove(parent);
        }
        self.tips.insert(number);
        number
    }

    fn count(&mut self, rows: &Overlay, generation: u64, id: EntryId) {
        self.needed += 1;
        self.generation = self.generation.max(generation);
        self.ladder.add(rows, generation, &id).unwrap();
    }

    fn head(&mut self, rows: &mut Overlay, clock: Time) -> Head {
        let (tips, needed, generation) =
            (self.tips.iter().copied().collect(), self.needed, self.generation);
        let open = self.ladder.save(rows, generation);
        Head { tips, clock, needed, generation, open }
    }
}

/// An instance without authority: whoever is listed may read everything.
pub struct Node {
    pub device: SecretKey,
    store: MemoryStore,
    databases: BTreeMap<DatabaseId, Held>,
    /// Who may read what is here; `None` lets anyone.
    pub readers: Option<Vec<PublicKey>>,
    /// Who could read it once, and the entries that show that they may not any more.
    pub revoked: BTreeMap<PublicKey, Vec<EntryId>>,
    /// The keys that this node proves beside its device key.
    pub keys: Vec<SecretKey>,
    /// Entries that this node would hide and does not keep.
    pub hides: BTreeSet<EntryId>,
    /// Entries that this node refuses for good.
    pub refuses: BTreeSet<EntryId>,
    pub wall: u64,
    pub duplicates: usize,
}

impl Reads for Node {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
        let held = self.databases.get(id);
        Ok(held.map(|held| LocalDatabase { number: held.number, complete: held.complete }))
    }

    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
        let allowed = self.readers.as_ref().is_none_or(|may| keys.iter().any(|k| may.contains(k)));
        Ok(self.databases.contains_key(id) && allowed)
    }

    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
        let complete = self.databases.iter().filter(|(_, held)| held.complete).map(|(id, _)| *id);
        let known = |id: &DatabaseId| {
            self.may_read(id, keys).unwrap() || self.taken_from(id, keys).unwrap().is_some()
        };
        Ok(complete.filter(known).collect())
    }

    fn taken_from(
        &self,
        _: &DatabaseId,
        keys: &[PublicKey],
    ) -> Result<Option<Vec<EntryId>>, StoreError> {
        Ok(keys.iter().find_map(|key| self.revoked.get(key).cloned()))
    }

    fn keys_for(&self, _: &DatabaseId, _: &PublicKey) -> Result<Vec<SecretKey>, StoreError> {
        Ok(self.keys.clone())
    }

    fn listed(
        &self,
        keys: &[PublicKey],
        after: Option<DatabaseId>,
        limit: usize,
    ) -> Result<Vec<ListedDatabase>, StoreError> {
        let behind = self.databases.iter().filter(|(id, held)| held.complete && Some(**id) > after);
        let readable = behind.filter(|(id, _)| self.may_read(id, keys).unwrap()).take(limit);
        let listed = |(id, held): (&DatabaseId, &Held)| {
            let name = format!("database {}", held.number);
            ListedDatabase { id: *id, name, entries: held.next }
        };
        Ok(readable.map(listed).collect())
    }
}

impl Node {
    pub fn new(seed: u8) -> Self {
        Self {
            device: SecretKey::from_seed(&[seed; 32]),
            store: MemoryStore::new(),
            databases: BTreeMap::new(),
            readers: None,
            revoked: BTreeMap::new(),
            keys: Vec::new(),
            hides: BTreeSet::new(),
            refuses: BTreeSet::new(),
            wall: WALL,
            duplicates: 0,
        }
    }

    /// Makes a node that holds these entries of a database, which must be closed under parents.
    pub fn with(seed: u8, database: DatabaseId, parcels: &[Parcel]) -> Self {
        let mut node = Self::new(seed);
        for (_, verdict) in node.ingest(database, parcels.to_vec()) {
            assert!(matches!(verdict, Verdict::Stored(_)), "{verdict:?}");
        }
        node.complete(database);
        node
    }

    pub fn complete(&mut self, database: DatabaseId) {
        if let Some(held) = self.databases.get_mut(&database) {
            held.complete = true;
        }
    }

    pub fn is_complete(&self, database: DatabaseId) -> bool {
        self.databases.get(&database).is_some_and(|held| held.complete)
    }

    pub fn count(&self, database: DatabaseId) -> u64 {
        self.databases.get(&database).map_or(0, |held| held.next)
    }

    pub fn ids(&self, database: DatabaseId) -> BTreeSet<EntryId> {
        let Some(held) = self.databases.get(&database) else { return BTreeSet::new() };
        let rows = self.store.snapshot().unwrap();
        let graph = Graph::new(&*rows, held.number);
        (0..held.next).map(|n| graph.entry(Number(n)).unwrap().id()).collect()
    }

    pub fn ingest(
        &mut self,
        database: DatabaseId,
        parcels: Vec<Parcel>,
    ) -> Vec<(EntryId, Verdict)> {
        let ids: Vec<EntryId> = parcels.iter().map(|parcel| parcel.entry.id()).collect();
        let verified = verify(parcels, [5; 32]);
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let mut last = None;
        let verdicts = ids.into_iter().zip(verified).map(|(id, verified)| {
            let verdict = match verified {
                Ok(verified) => self.judge(database, verified, &mut rows, &mut last),
                Err(fault) => Verdict::Fault(fault),
            };
            self.duplicates += usize::from(matches!(verdict, Verdict::Duplicate(_)));
            (id, verdict)
        });
        let verdicts = verdicts.collect();
        if let Some((mut local, parcel)) = last {
            let held = self.databases.get_mut(&database).unwrap();
            local.head = Some(held.head(&mut rows, parcel.entry.time()));
            append(&mut rows, held.number, Number(held.next - 1), &local, &parcel);
        }
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
        verdicts
    }

    fn judge(
        &mut self,
        database: DatabaseId,
        verified: Verified,
        rows: &mut Overlay,
        last: &mut Option<(Local, Parcel)>,
    ) -> Verdict {
        let number = u32::try_from(self.databases.len()).unwrap() + 1;
        let root = verified.entry().roots() == Some(database);
        if !root && !self.databases.contains_key(&database) {
            return Verdict::Missing(verified.entry().parents().to_vec());
        }
        let held = self.databases.entry(database).or_insert_with(|| Held {
            number,
            complete: false,
            next: 0,
            needed: 0,
            generation: 0,
            ladder: Ladder::new(number, &Head::default()),
            tips: BTreeSet::new(),
            refused: BTreeSet::new(),
        });
        let entry = verified.entry();
        let refused = entry.parents().iter().find(|id| held.refused.contains(id));
        if let Some(ancestor) = refused.copied() {
            held.refused.insert(entry.id());
            return Verdict::Refused(Refusal::Descends { ancestor });
        }
        if self.refuses.contains(&entry.id()) {
            held.refused.insert(entry.id());
            return Verdict::Refused(Refusal::Authority { reason: "this test says so".into() });
        }
        let admission = {
            let graph = Graph::new(&*rows, held.number);
            admit(&mut |id| graph.known(id), database, entry, self.wall).unwrap()
        };
        let place = match admission {
            Admission::Admitted(place) => place,
            Admission::Duplicate(number) => return Verdict::Duplicate(number),
            Admission::MissingParents(missing) => return Verdict::Missing(missing),
            Admission::HeldBack { time } => return Verdict::HeldBack { time },
            Admission::Refused(refusal) => return Verdict::Refused(refusal.into()),
        };
        if self.hides.contains(&verified.entry().id()) {
            return Verdict::Unwanted;
        }
        let parents: Vec<Number> = place.parents.iter().map(|parent| parent.number).collect();
        let generation = place.generation;
        let number = held.place(rows, &parents, generation, entry.id());
        let local =
            Local { standing: Standing::Visible, generation, epoch: 0, parents, head: None };
        index(rows, held.number, &entry.id(), number);
        append(rows, held.number, number, &local, verified.parcel());
        *last = Some((local, verified.into_parcel()));
        Verdict::Stored(number)
    }

    /// Stores an entry without checking its signature, as a liar would.
    pub fn store_unverified(&mut self, database: DatabaseId, parcel: Parcel) {
        let parents = parcel.entry.parents().to_vec();
        self.store_below(database, parcel, &parents);
    }

    /// Stores an entry without any check, and as if it had these parents.
    pub fn store_below(&mut self, database: DatabaseId, parcel: Parcel, parents: &[EntryId]) {
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let held = self.databases.get_mut(&database).unwrap();
        let graph = Graph::new(&rows, held.number);
        let parents = graph.numbers(parents).unwrap();
        let generation = graph.local(parents[0]).unwrap().generation + 1;
        let number = held.place(&rows, &parents, generation, parcel.entry.id());
        let head = Some(held.head(&mut rows, parcel.entry.time()));
        let local = Local { standing: Standing::Visible, generation, epoch: 0, parents, head };
        index(&mut rows, held.number, &parcel.entry.id(), number);
        append(&mut rows, held.number, number, &local, &parcel);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    /// Hides an entry that is not the newest and that nobody needs.
    pub fn hide(&mut self, database: DatabaseId, parcel: &Parcel) {
        self.restand(database, parcel, Standing::Hidden);
        self.forget_tips(database, std::slice::from_ref(parcel));
    }

    /// Shows an entry that was hidden, as a tip.
    pub fn show(&mut self, database: DatabaseId, parcel: &Parcel) {
        let shown = self.restand(database, parcel, Standing::Visible);
        self.databases.get_mut(&database).unwrap().tips.insert(shown);
        self.forget_tips(database, &[]);
    }

    fn restand(&mut self, database: DatabaseId, parcel: &Parcel, standing: Standing) -> Number {
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let number = self.databases[&database].number;
        let entry = Graph::new(&rows, number).number(&parcel.entry.id()).unwrap().unwrap();
        let before = Graph::new(&rows, number).local(entry).unwrap();
        restand(&mut rows, number, entry, standing).unwrap();
        let held = self.databases.get_mut(&database).unwrap();
        match (before.standing.is_needed(), standing.is_needed()) {
            (true, false) => {
                held.needed -= 1;
                held.ladder.take(&rows, before.generation, &parcel.entry.id()).unwrap();
                let graph = Graph::new(&rows, number);
                let all = graph.numbers_from(Number(0)).unwrap();
                let needed = all.into_iter().map(|number| graph.local(number).unwrap());
                let needed = needed.filter(|local| local.standing.is_needed());
                held.generation = needed.map(|local| local.generation).max().unwrap();
                held.ladder.lower(&rows, held.generation).unwrap();
            }
            (false, true) => held.count(&rows, before.generation, parcel.entry.id()),
            _ => {}
        }
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
        entry
    }

    /// Drops an entry that is hidden; its number stays a gap.
    pub fn lose(&mut self, database: DatabaseId, parcel: &Parcel) {
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let number = self.databases[&database].number;
        let lost = Graph::new(&rows, number).number(&parcel.entry.id()).unwrap().unwrap();
        discard(&mut rows, number, lost, parcel);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    /// Returns whether an entry is stored.
    pub fn holds(&self, database: DatabaseId, parcel: &Parcel) -> bool {
        let rows = self.store.snapshot().unwrap();
        let graph = Graph::new(&*rows, self.databases[&database].number);
        graph.number(&parcel.entry.id()).unwrap().is_some()
    }

    /// Takes entries from the tips, without anything after them.
    pub fn forget_tips(&mut self, database: DatabaseId, parcels: &[Parcel]) {
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let held = self.databases.get_mut(&database).unwrap();
        let graph = Graph::new(&rows, held.number);
        let ids: Vec<EntryId> = parcels.iter().map(|parcel| parcel.entry.id()).collect();
        for number in graph.numbers(&ids).unwrap() {
            held.tips.remove(&number);
        }
        let mut last = graph.stored(Number(held.next - 1)).unwrap();
        last.local.head = Some(held.head(&mut rows, last.parcel.entry.time()));
        append(&mut rows, held.number, last.number, &last.local, &last.parcel);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    /// Commits an entry on top of all tips; returns its number and parcel.
    pub fn commit(&mut self, database: DatabaseId, text: &str) -> (Number, Parcel) {
        let held = &self.databases[&database];
        let rows = self.store.snapshot().unwrap();
        let graph = Graph::new(&*rows, held.number);
        let tips: Vec<Parcel> = held
            .tips
            .iter()
            .take(PARENTS_MAX)
            .map(|tip| graph.stored(*tip).unwrap().parcel)
            .collect();
        let seed = [self.device.public().as_bytes().as_slice(), text.as_bytes()].concat();
        let parents: Vec<&Parcel> = tips.iter().collect();
        let parcel = child(&self.device, &parents, seed);
        let verdicts = self.ingest(database, vec![parcel.clone()]);
        let Verdict::Stored(number) = verdicts[0].1 else { panic!("{verdicts:?}") };
        (number, parcel)
    }
}

/// Makes an entry after `parents`, the root of a database where there are none.
pub fn child(key: &SecretKey, parents: &[&Parcel], payload: Vec<u8>) -> Parcel {
    let after = parents.iter().map(|parent| parent.entry.time()).max();
    let time = after.map_or(Time::from_millis(WALL - 1_000_000), |time| time.next().unwrap());
    child_at(key, parents, payload, time)
}

pub fn child_at(key: &SecretKey, parents: &[&Parcel], payload: Vec<u8>, time: Time) -> Parcel {
    let mut ids: Vec<EntryId> = parents.iter().map(|parent| parent.entry.id()).collect();
    ids.sort_unstable();
    let fields = Fields {
        nonce: ids.is_empty().then_some([7; 16]),
        parents: ids,
        time,
        author: key.public(),
        seq: 0,
        sections: vec![Section::of("log", &payload)],
    };
    Verified::sign(fields, vec![payload], key).unwrap().into_parcel()
}

/// A random graph: `width` says how far back parents may lie, `forks` how rarely branches merge.
pub fn random_graph(seed: u64, size: usize, width: usize, merge_one_in: usize) -> Vec<Parcel> {
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut randomness = Randomness::from_seed(seed_bytes);
    let mut draw = |below: usize| {
        usize::try_from(u64::from_le_bytes(randomness.bytes()) % below as u64).unwrap()
    };
    let key = SecretKey::from_seed(&[200; 32]);
    let mut parcels = vec![child(&key, &[], b"root".to_vec())];
    while parcels.len() < size {
        let newest = parcels.len();
        let back = |far: usize| newest - 1 - far.min(newest - 1);
        let mut chosen = BTreeSet::from([back(draw(width))]);
        if draw(merge_one_in) == 0 {
            chosen.insert(back(draw(width)));
            chosen.insert(back(draw(width)));
        }
        let parents: Vec<&Parcel> = chosen.into_iter().map(|at| &parcels[at]).collect();
        let payload = format!("entry {newest} of {seed}").into_bytes();
        parcels.push(child(&key, &parents, payload));
    }
    parcels
}

pub fn chain(size: usize) -> Vec<Parcel> {
    random_graph(1, size, 1, usize::MAX)
}

pub fn database_of(parcels: &[Parcel]) -> DatabaseId {
    parcels[0].entry.roots().unwrap()
}

/// Returns those entries that `keep` picks, and all their ancestors.
pub fn closed(parcels: &[Parcel], keep: impl Fn(usize) -> bool) -> Vec<Parcel> {
    let mut wanted: BTreeSet<EntryId> = BTreeSet::from([parcels[0].entry.id()]);
    for (at, parcel) in parcels.iter().enumerate().rev() {
        if keep(at) || wanted.contains(&parcel.entry.id()) {
            wanted.insert(parcel.entry.id());
            wanted.extend(parcel.entry.parents());
        }
    }
    parcels.iter().filter(|parcel| wanted.contains(&parcel.entry.id())).cloned().collect()
}

/// One end of a link.
pub struct End {
    pub node: usize,
    pub session: Session,
    /// Frames that are on their way to this end.
    pub inbox: VecDeque<Vec<u8>>,
    pub events: Vec<Event>,
    pub closed: Option<CloseReason>,
    pub bytes_received: usize,
    pub frames_received: usize,
}

/// What waits for verdicts at one end.
pub struct Waiting {
    link: usize,
    side: usize,
    batch: BatchId,
    database: DatabaseId,
    parcels: Vec<Parcel>,
}

/// What is put in place of a frame that one side of a link sends.
pub type Twist = Box<dyn FnMut(usize, Vec<u8>) -> Vec<u8>>;

pub struct World {
    /// Somebody on the path who changes frames.
    pub twist: Option<Twist>,
    /// Whether parcels wait until [`World::answer`].
    pub slow: bool,
    pub waiting: VecDeque<Waiting>,
    pub nodes: Vec<Node>,
    pub links: Vec<[End; 2]>,
    pub now: u64,
    seeds: u8,
    steps: usize,
}

pub fn options(role: Role, device: &SecretKey, seed: u8) -> SessionOptions {
    SessionOptions {
        role,
        device: device.clone(),
        name: format!("node {seed}"),
        expected_peer: None,
        channel_binding: None,
        seed: [seed; 32],
        plain: false,
        health_every: None,
    }
}

impl World {
    pub fn new(nodes: Vec<Node>) -> Self {
        let waiting = VecDeque::new();
        Self {
            twist: None,
            slow: false,
            waiting,
            nodes,
            links: vec![],
            now: 1_000,
            seeds: 0,
            steps: 0,
        }
    }

    /// Links node `a`, which dials, with node `b`; returns the link's index.
    pub fn link(&mut self, a: usize, b: usize) -> usize {
        self.link_with(a, b, |_, _| {})
    }

    pub fn link_with(
        &mut self,
        a: usize,
        b: usize,
        change: impl FnOnce(&mut SessionOptions, &mut SessionOptions),
    ) -> usize {
        self.seeds = self.seeds.wrapping_add(2);
        let mut dialler = options(Role::Dialler, &self.nodes[a].device, self.seeds);
        let mut responder =
            options(Role::Responder, &self.nodes[b].device, self.seeds.wrapping_add(1));
        change(&mut dialler, &mut responder);
        let end = |node, options| End {
            node,
            session: Session::new(options, self.now),
            inbox: VecDeque::new(),
            events: vec![],
            closed: None,
            bytes_received: 0,
            frames_received: 0,
        };
        let ends = [end(a, dialler), end(b, responder)];
        self.links.push(ends);
        self.links.len() - 1
    }

    pub fn relate(&mut self, link: usize, side: usize, database: DatabaseId) {
        let end = &mut self.links[link][side];
        end.session.relate(self.now, database, &self.nodes[end.node]);
    }

    pub fn commit(&mut self, node: usize, database: DatabaseId, text: &str) -> EntryId {
        let (number, parcel) = self.nodes[node].commit(database, text);
        self.committed(node, database, &[number], None);
        parcel.entry.id()
    }

    /// Tells the sessions of a node that something was committed there.
    pub fn committed_at(&mut self, node: usize, database: DatabaseId) {
        let last = Number(self.nodes[node].count(database) - 1);
        self.committed(node, database, &[last], None);
    }

    /// Tells the sessions of a node that entries of somebody else have come there.
    pub fn relayed_at(&mut self, node: usize, database: DatabaseId) {
        let last = Number(self.nodes[node].count(database) - 1);
        self.committed(node, database, &[last], Some((usize::MAX, 0)));
    }

    fn committed(
        &mut self,
        node: usize,
        database: DatabaseId,
        numbers: &[Number],
        origin: Option<(usize, usize)>,
    ) {
        let Self { nodes, links, now, .. } = self;
        for (at, ends) in links.iter_mut().enumerate() {
            for (side, end) in ends.iter_mut().enumerate() {
                if end.node == node && origin != Some((at, side)) {
                    let relayed = origin.is_some();
                    end.session.handle_committed(*now, database, numbers, relayed, &nodes[node]);
                }
            }
        }
    }

    /// Ingests what has waited longest; returns whether anything waited.
    pub fn answer(&mut self) -> bool {
        let Some(Waiting { link, side, batch, database, parcels }) = self.waiting.pop_front()
        else {
            return false;
        };
        let node = self.links[link][side].node;
        let verdicts = self.nodes[node].ingest(database, parcels);
        let stored = verdicts.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Stored(number) => Some(*number),
            _ => None,
        });
        let stored: Vec<Number> = stored.collect();
        let (now, reads) = (self.now, &self.nodes[node]);
        self.links[link][side].session.handle_ingested(now, batch, verdicts, reads);
        self.committed(node, database, &stored, Some((link, side)));
        true
    }

    /// Cuts a link: what was on its way is lost, and what waited for verdicts has no answer.
    pub fn cut(&mut self, link: usize) {
        for end in &mut self.links[link] {
            end.session.handle_link_closed(self.now);
            end.inbox.clear();
        }
        self.waiting.retain(|waiting| waiting.link != link);
    }

    /// Takes all outputs of one end.
    pub fn drain(&mut self, link: usize, side: usize) {
        while let Some(output) = self.links[link][side].session.poll() {
            let node = self.links[link][side].node;
            match output {
                Output::Send(frame) => {
                    let frame = match &mut self.twist {
                        Some(twist) => twist(side, frame),
                        None => frame,
                    };
                    self.links[link][1 - side].inbox.push_back(frame);
                }
                Output::Ingest { batch, database, parcels, .. } => {
                    self.waiting.push_back(Waiting { link, side, batch, database, parcels });
                    if !self.slow {
                        self.answer();
                    }
                }
                Output::Event(event) => {
                    if let Event::Settled { database, complete: true, .. } = &event {
                        self.nodes[node].complete(*database);
                    }
                    self.links[link][side].events.push(event);
                }
                Output::Close(reason) => self.links[link][side].closed = Some(reason),
            }
        }
    }

    /// Delivers one frame, where there is one.
    pub fn step(&mut self, link: usize, side: usize) -> bool {
        self.drain(link, 0);
        self.drain(link, 1);
        let end = &mut self.links[link][side];
        let Some(frame) = end.inbox.pop_front() else { return false };
        end.bytes_received += frame.len();
        end.frames_received += 1;
        end.session.handle_frame(self.now, &frame, &self.nodes[end.node]);
        self.drain(link, side);
        true
    }

    /// Delivers frames until none is on its way and nothing more is to be announced.
    pub fn run(&mut self) {
        self.deliver();
        while self.announce() {
            self.deliver();
        }
    }

    /// Lets time pass until the next announcement of what was relayed, if one is to come.
    pub fn announce(&mut self) -> bool {
        let ends = self.links.iter().flatten();
        let due = ends.filter_map(|end| end.session.deadline()).min();
        let Some(due) = due.filter(|due| *due <= self.now + limits::RELAY_MAX_MS) else {
            return false;
        };
        self.now = self.now.max(due);
        let Self { nodes, links, now, .. } = self;
        for end in links.iter_mut().flatten() {
            if end.session.deadline().is_some_and(|due| due <= *now) {
                end.session.handle_deadline(*now, &nodes[end.node]);
            }
        }
        true
    }

    /// Delivers frames until none is on its way.
    pub fn deliver(&mut self) {
        loop {
            let mut moved = false;
            for link in 0..self.links.len() {
                moved |= self.step(link, 0);
                moved |= self.step(link, 1);
            }
            moved |= self.answer();
            self.steps += 1;
            assert!(self.steps < 1_000_000, "it does not come to rest");
            if !moved {
                return;
            }
        }
    }

    /// Relates a database at the dialler and delivers all.
    pub fn sync(&mut self, link: usize, database: DatabaseId) {
        self.relate(link, 0, database);
        self.run();
    }

    pub fn assert_equal(&self, database: DatabaseId) {
        let first = self.nodes[0].ids(database);
        for (at, node) in self.nodes.iter().enumerate() {
            assert_eq!(node.ids(database).len(), first.len(), "node {at}");
            assert!(node.ids(database) == first, "node {at} holds others");
        }
        for end in self.links.iter().flatten() {
            assert!(end.closed.is_none(), "{:?}", end.closed);
        }
    }

    /// Returns the round trips of the last settled round at one end.
    pub fn settled(&self, link: usize, side: usize) -> Option<(u32, bool)> {
        self.links[link][side].events.iter().rev().find_map(|event| match event {
            Event::Settled { round_trips, complete, .. } => Some((*round_trips, *complete)),
            _ => None,
        })
    }
}
