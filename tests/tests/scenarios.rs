//! What people do with one database on several devices, most of it while they do not hear each
//! other: after a sync all hold the same, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use tempfile::TempDir;
use weald::transport::memory::MemoryNetwork;
use weald::{
    Database, DatabaseId, DatabaseSettings, Instance, Level, PeerSync, Table, Ticket, Transaction,
    User, Value, WriteError,
};

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

/// One device: an instance in a directory, its user, and the shared database.
struct Peer {
    name: String,
    folder: TempDir,
    open: Option<(Instance, User, Database)>,
}

impl Peer {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), folder: tempfile::tempdir().unwrap(), open: None }
    }

    fn first_open(&self) -> (Instance, User) {
        let instance = Instance::open(self.folder.path()).unwrap();
        let user = instance.create_user(&self.name, None).unwrap();
        (instance, user)
    }

    fn database(&self) -> &Database {
        &self.open.as_ref().unwrap().2
    }

    /// Ends the instance and opens it again: what it hears and says ends with it.
    fn go_offline(&mut self, id: &DatabaseId) {
        if let Some((instance, user, database)) = self.open.take() {
            instance.close();
            drop((database, user, instance));
        }
        let instance = Instance::open(self.folder.path()).unwrap();
        let user = instance.login_user(&self.name, None).unwrap();
        let database = user.open_database(id).unwrap();
        self.open = Some((instance, user, database));
    }

    async fn go_online(&self, network: &MemoryNetwork) -> PeerSync {
        let sync = self.open.as_ref().unwrap().0.enable_sync().unwrap();
        sync.register_transport("wires", network.transport(&self.name));
        within("serving", sync.accept_connections()).await.unwrap();
        sync
    }

    fn write<T>(&self, run: impl FnOnce(&mut Transaction) -> Result<T, WriteError>) -> T {
        self.database().write(|tx| Ok(run(tx)?)).unwrap().value
    }

    fn put(&self, key: &str, row: &Value) {
        self.write(|tx| tx.table::<Value>("rows")?.put(key, row));
    }

    fn edit(&self, key: &str, field: &str, value: &str) {
        self.write(|tx| tx.table::<Value>("rows")?.edit(key, field, value));
    }

    fn delete(&self, key: &str) {
        self.write(|tx| tx.table::<Value>("rows")?.delete(key));
    }

    fn table(&self) -> Table<Value> {
        self.database().table("rows").unwrap()
    }

    fn row(&self, key: &str) -> Option<Value> {
        self.table().get(key).unwrap()
    }

    fn doc(&self) -> Value {
        self.database().doc("doc").unwrap().value().unwrap()
    }
}

/// Devices that share a database, the first of which the others dial.
struct Circle {
    network: MemoryNetwork,
    peers: Vec<Peer>,
    id: DatabaseId,
}

impl Circle {
    /// Makes devices that hold what `seed` writes on the first of them, and hear nobody now.
    async fn new(count: usize, seed: impl FnOnce(&Peer)) -> Self {
        let network = MemoryNetwork::new();
        let mut peers: Vec<Peer> =
            (0..count).map(|place| Peer::new(&format!("peer-{place}"))).collect();
        let (instance, user) = peers[0].first_open();
        let settings = DatabaseSettings::named("Shared").grant_anyone(Level::Write(10));
        let database = user.create_database(settings).unwrap();
        let id = database.id();
        peers[0].open = Some((instance, user, database));
        seed(&peers[0]);
        let server = peers[0].go_online(&network).await;
        let ticket: Ticket = server.ticket(peers[0].database());
        for peer in &mut peers[1..] {
            let (instance, user) = peer.first_open();
            let sync = instance.enable_sync().unwrap();
            sync.register_transport("wires", network.transport(&peer.name));
            let joined = within("joining", sync.join(&user, &ticket)).await.unwrap();
            peer.open = Some((instance, user, joined));
        }
        drop(server);
        let mut circle = Self { network, peers, id };
        circle.part();
        circle
    }

    /// From now on nobody hears anybody.
    fn part(&mut self) {
        let id = self.id;
        self.peers.iter_mut().for_each(|peer| peer.go_offline(&id));
    }

    /// Lets all hear each other, and returns once they hold the same.
    async fn meet(&self) {
        let mut syncs = Vec::with_capacity(self.peers.len());
        for peer in &self.peers {
            syncs.push(peer.go_online(&self.network).await);
        }
        self.settle(&syncs).await;
    }

    /// Brings everything to the first device, and from it to the others.
    async fn settle(&self, syncs: &[PeerSync]) {
        for _ in 0..2 {
            for sync in &syncs[1..] {
                let synced = sync.sync_with_peer("memory:peer-0", Some(self.id));
                within("syncing", synced).await.unwrap();
            }
        }
        let first = self.peers[0].database();
        for peer in &self.peers {
            let other = peer.database();
            assert_eq!(other.tips().unwrap(), first.tips().unwrap(), "{}", peer.name);
            assert_eq!(other.state_digest().unwrap(), first.state_digest().unwrap());
            assert_eq!(other.entry_count().unwrap(), first.entry_count().unwrap());
        }
    }

    fn each(&self, check: impl Fn(&Peer)) {
        self.peers.iter().for_each(check);
    }
}

fn row(title: &str, state: &str) -> Value {
    Value::from([("title", title), ("state", state)])
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edits_of_one_document_offline_both_stay_and_a_clash_is_told() {
    let circle = Circle::new(2, |first| {
        first.write(|tx| tx.doc("doc")?.set(["title"], "draft"));
    })
    .await;
    let [a, b] = circle.peers.as_slice() else { panic!() };
    a.write(|tx| {
        let mut doc = tx.doc("doc")?;
        doc.set(["author", "name"], "alice")?;
        doc.set(["title"], "by alice")
    });
    b.write(|tx| {
        let mut doc = tx.doc("doc")?;
        doc.set(["author", "mail"], "bob@example.org")?;
        doc.set(["title"], "by bob")
    });
    circle.meet().await;
    circle.each(|peer| {
        let doc = peer.doc();
        let author = doc.get("author").unwrap();
        assert_eq!(author, &Value::from([("mail", "bob@example.org"), ("name", "alice")]));
        let title = doc.get("title").unwrap().as_text().unwrap();
        let conflicts = peer.database().doc("doc").unwrap().conflicts(["title"]).unwrap();
        assert_eq!(conflicts.len(), 1, "the other title is not lost");
        assert!(["by alice", "by bob"].contains(&title));
    });
    assert_eq!(a.doc(), b.doc());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_edited_and_deleted_offline_is_so_everywhere() {
    let circle = Circle::new(2, |first| {
        first.put("edited", &row("old", "open"));
        first.put("deleted", &row("gone", "open"));
        first.put("untouched", &row("same", "open"));
    })
    .await;
    let away = &circle.peers[1];
    away.put("created", &row("new", "open"));
    away.edit("created", "state", "done");
    away.edit("edited", "title", "new title");
    away.delete("deleted");
    away.put("short-lived", &row("x", "open"));
    away.delete("short-lived");
    circle.meet().await;
    circle.each(|peer| {
        assert_eq!(peer.row("created"), Some(row("new", "done")));
        assert_eq!(peer.row("edited"), Some(row("new title", "open")));
        assert_eq!(peer.row("untouched"), Some(row("same", "open")));
        assert_eq!(peer.table().count().unwrap(), 3);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_different_fields_by_three_peers_are_all_kept() {
    let circle = Circle::new(3, |first| first.put("row", &row("old", "open"))).await;
    for (peer, field) in circle.peers.iter().zip(["title", "state", "colour"]) {
        peer.edit("row", field, &peer.name);
    }
    circle.meet().await;
    let merged = Value::from([("title", "peer-0"), ("state", "peer-1"), ("colour", "peer-2")]);
    circle.each(|peer| {
        assert_eq!(peer.row("row"), Some(merged.clone()));
        assert!(peer.table().conflicts("row").unwrap().is_empty());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn five_peers_with_ten_rapid_edits_each_end_equal() {
    const EDITS: usize = 10;
    let circle = Circle::new(5, |first| first.put("row", &row("old", "open"))).await;
    let mut syncs = Vec::new();
    for peer in &circle.peers {
        syncs.push(peer.go_online(&circle.network).await);
    }
    // All at once, on threads of their own, while entries come in from the others.
    std::thread::scope(|scope| {
        for peer in &circle.peers {
            scope.spawn(|| {
                for edit in 0..EDITS {
                    let text = format!("{} {edit}", peer.name);
                    peer.write(|tx| {
                        tx.table::<Value>("rows")?.edit("row", "title", &text)?;
                        tx.doc("doc")?.set([peer.name.as_str(), "last"], &text)?;
                        tx.log::<String>("log")?.push(&text)
                    });
                }
            });
        }
    });
    circle.settle(&syncs).await;
    let expected = circle.peers[0].row("row");
    circle.each(|peer| {
        assert_eq!(peer.row("row"), expected);
        let items = peer.database().log::<String>("log").unwrap().tail(1_000).unwrap();
        assert_eq!(items.len(), circle.peers.len() * EDITS);
        for writer in &circle.peers {
            let doc = peer.doc();
            let last = doc.get(&writer.name).and_then(|own| own.get("last")).unwrap();
            assert_eq!(last.as_text(), Some(format!("{} {}", writer.name, EDITS - 1).as_str()));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_here_and_updated_there_lives_on_whole() {
    let circle = Circle::new(2, |first| {
        first.put("row", &row("old", "open"));
        first.put("both", &row("old", "open"));
    })
    .await;
    let [a, b] = circle.peers.as_slice() else { panic!() };
    a.delete("row");
    b.edit("row", "state", "done");
    a.delete("both");
    b.delete("both");
    assert_eq!(a.row("row"), None);
    circle.meet().await;
    circle.each(|peer| {
        assert_eq!(peer.row("row"), Some(row("old", "done")));
        assert_eq!(peer.row("both"), None, "nobody has touched it since");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_put_after_a_delete_stays() {
    let mut circle = Circle::new(3, |first| first.put("row", &row("old", "open"))).await;
    // Deleted and put again on one device, deleted on another that saw the old row alone.
    circle.peers[1].delete("row");
    circle.peers[1].put("row", &row("new", "open"));
    circle.peers[2].delete("row");
    circle.meet().await;
    circle.each(|peer| assert_eq!(peer.row("row"), Some(row("new", "open"))));
    // Deleted by all, then put by one who has heard of it.
    circle.part();
    circle.peers[0].delete("row");
    circle.meet().await;
    circle.each(|peer| assert_eq!(peer.row("row"), None));
    circle.part();
    circle.peers[2].put("row", &row("again", "open"));
    circle.meet().await;
    circle.each(|peer| assert_eq!(peer.row("row"), Some(row("again", "open"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_conflicting_rows_in_one_sync_are_told_alike_and_can_be_settled() {
    const ROWS: usize = 50;
    let key = |place: usize| format!("row-{place:02}");
    let mut circle = Circle::new(2, |first| {
        (0..ROWS).for_each(|place| first.put(&key(place), &row("old", "open")));
    })
    .await;
    for peer in &circle.peers {
        (0..ROWS).for_each(|place| peer.edit(&key(place), "title", &peer.name));
    }
    circle.meet().await;
    for place in 0..ROWS {
        let winner = circle.peers[0].row(&key(place)).unwrap();
        circle.each(|peer| {
            assert_eq!(peer.row(&key(place)).unwrap(), winner);
            let conflicts = peer.table().conflicts(key(place).as_str()).unwrap();
            assert_eq!(conflicts.len(), 1, "of the title alone");
            assert_eq!(conflicts[0].losers.len(), 1);
        });
    }
    // The next write to a row settles it, everywhere.
    circle.part();
    (0..ROWS).for_each(|place| circle.peers[1].edit(&key(place), "title", "settled"));
    circle.meet().await;
    circle.each(|peer| {
        for place in 0..ROWS {
            assert_eq!(peer.row(&key(place)), Some(row("settled", "open")));
            assert!(peer.table().conflicts(key(place).as_str()).unwrap().is_empty());
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_edited_at_both_ends_at_once_keeps_all_of_it_in_order() {
    const EDITS: usize = 10;
    let circle = Circle::new(2, |first| {
        first.write(|tx| tx.doc("doc")?.set(["list"], &vec!["first", "middle", "last"]));
    })
    .await;
    let [a, b] = circle.peers.as_slice() else { panic!() };
    for edit in 0..EDITS {
        a.write(|tx| tx.doc("doc")?.list(["list"])?.insert(0, &format!("before {edit}")));
        b.write(|tx| tx.doc("doc")?.list(["list"])?.push(&format!("after {edit}")));
    }
    // One end is taken away while the other device adds beside it.
    a.write(|tx| {
        let mut doc = tx.doc("doc")?;
        let mut list = doc.list(["list"])?;
        let end = list.len()? - 1;
        list.remove(end)
    });
    circle.meet().await;
    let before = (0..EDITS).rev().map(|edit| format!("before {edit}"));
    let kept = ["first", "middle"].map(str::to_owned);
    let after = (0..EDITS).map(|edit| format!("after {edit}"));
    let expected: Vec<String> = before.chain(kept).chain(after).collect();
    circle.each(|peer| {
        let list = peer.database().doc("doc").unwrap().list(["list"]).unwrap();
        assert_eq!(list.read::<String>().unwrap(), expected);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_has_brought_is_not_synced_again_and_goes_on_to_a_third() {
    const ROWS: usize = 200;
    let mut circle = Circle::new(1, |first| {
        (0..ROWS).for_each(|place| first.put(&format!("row-{place}"), &row("old", "open")));
    })
    .await;
    let mut archive = Vec::new();
    circle.peers[0].database().export_archive(&mut archive).unwrap();
    circle.peers[0].edit("row-0", "title", "after the archive");
    let carried = Peer::new("peer-1");
    let (instance, user) = carried.first_open();
    let imported = user.import_archive(archive.as_slice()).unwrap().database;
    circle.peers.push(Peer { open: Some((instance, user, imported)), ..carried });
    circle.peers[1].edit("row-1", "title", "on the other device");

    let before = circle.peers[1].database().parcels(0, usize::MAX).unwrap();
    circle.meet().await;
    let after = circle.peers[1].database().parcels(0, usize::MAX).unwrap();
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after[..before.len()], before, "what was here is as it was");

    // A third joins the one that had the archive.
    let (network, second) = (circle.network.clone(), &circle.peers[1]);
    let ticket = second.go_online(&network).await.ticket(second.database());
    let third = Peer::new("peer-2");
    let (there, carol) = third.first_open();
    let sync = there.enable_sync().unwrap();
    sync.register_transport("wires", network.transport("peer-2"));
    let joined = within("joining", sync.join(&carol, &ticket)).await.unwrap();
    assert_eq!(joined.state_digest().unwrap(), second.database().state_digest().unwrap());
}
