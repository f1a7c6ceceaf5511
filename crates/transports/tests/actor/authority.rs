//! Who may do what, over real links: each scenario of taking away, between sites that were apart.

use std::sync::Arc;

use weald_auth::{Level, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::{
    DatabaseId, EntryId, Fields, Parcel, PublicKey, SecretKey, Section, Verdict, Verified,
};
use weald_transports::{ActorHandle, Host as _};

use crate::site::{Site, within};
use crate::wires::Wires;

fn grant(key: PublicKey, level: Level) -> Operation {
    Operation::Grant { subject: Subject::Key(key), level, name: None, expires: None }
}

fn limit(key: PublicKey, to: Option<Level>) -> Operation {
    Operation::Limit { subject: Subject::Key(key), to }
}

fn settings(operation: Operation) -> Vec<(String, Vec<u8>)> {
    vec![(SETTINGS_STORE.to_owned(), encode_operations(&[operation]).unwrap())]
}

fn message(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut draft = LogDraft::new();
    draft.append(&mut MemoryView::new(), &Value::from(text)).unwrap();
    vec![("chat".to_owned(), draft.encode())]
}

/// Makes an entry on top of others, as no honest device would.
fn craft(key: &SecretKey, parents: &[Parcel], sections: Vec<(String, Vec<u8>)>) -> Verified {
    let mut ids: Vec<EntryId> = parents.iter().map(|parent| parent.entry.id()).collect();
    ids.sort_unstable();
    let time = parents.iter().map(|parent| parent.entry.time().next().unwrap()).max().unwrap();
    let of = |(store, payload): &(String, Vec<u8>)| Section::of(store, payload);
    let fields = Fields {
        parents: ids,
        time,
        author: key.public(),
        seq: 0,
        sections: sections.iter().map(of).collect(),
        nonce: None,
    };
    let payloads = sections.into_iter().map(|(_, payload)| payload).collect();
    Verified::sign(fields, payloads, key).unwrap()
}

/// Sites that share a database.
struct Circle {
    wires: Wires,
    room: DatabaseId,
    sites: Vec<Arc<Site>>,
}

impl Circle {
    /// Founds a database at the first of the sites, in which each has a level; all come to hold it.
    async fn new(wires: Wires, levels: &[Option<Level>]) -> Self {
        let sites: Vec<Arc<Site>> = (1..=levels.len() as u8).map(Site::new).collect();
        let held = sites.iter().zip(levels);
        let grants = held.filter_map(|(site, level)| Some(grant(site.public(), (*level)?)));
        let room = sites[0].found_with(grants.collect());
        let circle = Self { wires, room, sites };
        let all: Vec<usize> = (0..levels.len()).filter(|site| levels[*site].is_some()).collect();
        circle.meet(&all, &all).await;
        circle
    }

    fn key(&self, site: usize) -> PublicKey {
        self.sites[site].public()
    }

    fn change(&self, site: usize, operation: Operation) -> EntryId {
        self.try_change(site, operation).unwrap()
    }

    fn try_change(&self, site: usize, operation: Operation) -> Result<EntryId, String> {
        self.sites[site].commit(self.room, &self.sites[site].key, settings(operation))
    }

    fn say(&self, site: usize, text: &str) -> Result<EntryId, String> {
        self.sites[site].commit(self.room, &self.sites[site].key, message(text))
    }

    fn parcel(&self, site: usize, id: EntryId) -> Parcel {
        self.sites[site].parcel(self.room, id)
    }

    /// Has a site take what somebody made by hand.
    async fn take(&self, site: usize, crafted: Verified) -> Verdict {
        let (site, from) = (&self.sites[site], crafted.entry().author());
        let verdicts = site.ingest(from, self.room, vec![crafted]).await.unwrap();
        verdicts.into_iter().next().unwrap().1
    }

    /// Links all of these with each other until those of them that `agree` hold the same; then nobody
    /// hears anybody any more.
    async fn meet(&self, all: &[usize], agree: &[usize]) {
        let actors = self.link(all).await;
        let first = &self.sites[agree[0]];
        for site in agree {
            let site = &self.sites[*site];
            let equal = async {
                // Either may be the one that changes last.
                while !self.are_equal(first, site) {
                    tokio::task::yield_now().await;
                }
            };
            within("meeting", equal).await;
        }
        drop(actors);
    }

    fn are_equal(&self, one: &Site, other: &Site) -> bool {
        let held = one.holds(self.room) && other.holds(self.room);
        held && one.tips(self.room) == other.tips(self.room)
            && one.digest(self.room) == other.digest(self.room)
    }

    async fn link(&self, all: &[usize]) -> Vec<ActorHandle> {
        let (mut actors, mut addresses) = (Vec::new(), Vec::new());
        for site in all {
            let actor = self.sites[*site].start();
            addresses.push(self.wires.serve(&actor, &format!("site {site}")).await);
            actors.push(actor);
        }
        for (site, actor) in actors.iter().enumerate() {
            for address in &addresses[..site] {
                // Whom it was taken from is refused.
                let synced = actor.sync_with(vec![address.clone()], None, Some(self.room));
                let _ = within("syncing", synced).await;
            }
        }
        actors
    }

    fn level(&self, at: usize, of: usize) -> Option<Level> {
        self.sites[at].level(self.room, &self.key(of))
    }

    /// Returns whether a site shows an entry; what it does not hold it does not show.
    fn shows(&self, at: usize, entry: EntryId) -> bool {
        self.sites[at].shows(self.room, entry) == Some(true)
    }
}

const ADMIN: Option<Level> = Some(Level::Admin(1));
const CREATOR: Option<Level> = Some(Level::Admin(0));
const WRITE: Option<Level> = Some(Level::Write(10));
const READ: Option<Level> = Some(Level::Read);

#[tokio::test(flavor = "multi_thread")]
async fn p49_read_write_and_admin_are_enforced_at_every_door() {
    for wires in Wires::all() {
        let circle = Circle::new(wires, &[CREATOR, ADMIN, WRITE, READ]).await;
        let by_writer = circle.say(2, "a writer writes").unwrap();
        assert!(circle.say(3, "a reader writes").is_err());
        assert!(circle.try_change(2, grant(circle.key(2), Level::Admin(9))).is_err());
        assert!(circle.try_change(1, grant(circle.key(1), Level::Admin(0))).is_err());
        let parents = [circle.parcel(2, by_writer)];
        let crafted = [
            craft(&circle.sites[3].key, &parents, message("a reader writes")),
            craft(&circle.sites[2].key, &parents, settings(grant(circle.key(3), Level::Read))),
            craft(&SecretKey::from_seed(&[99; 32]), &parents, message("a stranger writes")),
        ];
        for crafted in crafted {
            let verdict = circle.take(2, crafted).await;
            assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
        }
        circle.meet(&[0, 1, 2, 3], &[0, 1, 2, 3]).await;
        assert!(circle.shows(3, by_writer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_admins_who_revoke_each_other_the_stronger_stays_and_the_other_learns_it() {
    for wires in Wires::all() {
        let circle = Circle::new(wires, &[CREATOR, ADMIN, ADMIN, READ]).await;
        let by_first = circle.change(1, limit(circle.key(2), None));
        let by_second = circle.change(2, limit(circle.key(1), None));
        // The reader hears the weaker one first: it outranks nobody.
        circle.meet(&[3, 2], &[3, 2]).await;
        assert_eq!(circle.level(3, 1), ADMIN);
        circle.meet(&[3, 1], &[3, 1]).await;
        circle.meet(&[0, 1, 2, 3], &[0, 1, 3]).await;
        for at in [0, 1, 3] {
            assert_eq!((circle.level(at, 1), circle.level(at, 2)), (ADMIN, None), "{at}");
            assert!(circle.shows(at, by_first) && !circle.shows(at, by_second));
        }
        let why = circle.say(2, "still here?").unwrap_err();
        assert!(why.contains(&circle.key(2).short()), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_for_revoked_is_heard_out_by_one_who_has_not_heard_all() {
    for wires in Wires::all() {
        let circle = Circle::new(wires, &[CREATOR, ADMIN, ADMIN, READ]).await;
        circle.change(1, limit(circle.key(2), None));
        circle.meet(&[1, 3], &[1, 3]).await;
        circle.say(2, "beside both").unwrap();
        circle.change(0, limit(circle.key(1), None));
        circle.meet(&[0, 2], &[0, 2]).await;
        assert_eq!((circle.level(3, 2), circle.level(2, 2)), (None, ADMIN));
        circle.meet(&[2, 3], &[2, 3]).await;
        assert_eq!((circle.level(3, 1), circle.level(3, 2)), (None, ADMIN));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_admins_grants_of_before_stay_and_those_beside_fall() {
    let levels = [CREATOR, ADMIN, READ, READ];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    circle.change(1, grant(circle.key(2), Level::Write(5)));
    circle.meet(&[0, 1], &[0, 1]).await;
    circle.change(1, grant(circle.key(3), Level::Write(5)));
    circle.meet(&[1, 3], &[1, 3]).await;
    let beside = circle.say(3, "by a grant that falls").unwrap();
    circle.change(0, limit(circle.key(1), None));
    circle.meet(&[0, 1, 2, 3], &[0, 2, 3]).await;
    for at in [0, 2, 3] {
        assert_eq!(circle.level(at, 2), Some(Level::Write(5)));
        assert_eq!(circle.level(at, 3), READ);
        assert!(!circle.shows(at, beside));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p50_a_revoked_writer_gains_nothing_by_old_parents_and_a_colluding_reader() {
    for wires in Wires::all() {
        let circle = Circle::new(wires, &[CREATOR, WRITE, READ, READ]).await;
        let honest = circle.say(1, "before").unwrap();
        circle.meet(&[0, 1, 2, 3], &[0, 1, 2, 3]).await;
        circle.change(0, limit(circle.key(1), None));
        circle.meet(&[0, 3], &[0, 3]).await;
        // The reader that has not heard of it takes what the writer signs on old parents.
        let backdated = craft(&circle.sites[1].key, &[circle.parcel(2, honest)], message("old"));
        let id = backdated.entry().id();
        assert!(matches!(circle.take(2, backdated).await, Verdict::Stored(_)));
        assert!(circle.shows(2, id));
        circle.meet(&[2, 3], &[2, 3]).await;
        circle.meet(&[0, 1, 2, 3], &[0, 2, 3]).await;
        for at in [0, 2, 3] {
            assert!(circle.shows(at, honest) && !circle.shows(at, id), "{at}");
        }
        assert!(circle.say(1, "after").is_err(), "it was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_who_is_demoted_to_writer_keeps_writing() {
    let levels = [CREATOR, ADMIN, READ];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    let beside = circle.say(1, "beside it").unwrap();
    circle.change(0, limit(circle.key(1), Some(Level::Write(4))));
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    assert_eq!(circle.level(1, 1), Some(Level::Write(4)));
    let after = circle.say(1, "after it").unwrap();
    assert!(circle.try_change(1, grant(circle.key(2), Level::Write(9))).is_err());
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    assert!(circle.shows(2, beside) && circle.shows(2, after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weaker_admin_neither_limits_the_creator_nor_gives_back_what_it_took() {
    let levels = [CREATOR, ADMIN, WRITE];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    let last = circle.say(1, "the last").unwrap();
    let parents = [circle.parcel(1, last)];
    let usurps = settings(limit(circle.key(0), None));
    let verdict = circle.take(1, craft(&circle.sites[1].key, &parents, usurps)).await;
    assert!(matches!(verdict, Verdict::Stored(_)), "{verdict:?}");
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    assert_eq!(circle.level(2, 0), CREATOR);
    circle.change(0, limit(circle.key(2), None));
    circle.meet(&[0, 1], &[0, 1]).await;
    circle.change(1, grant(circle.key(2), Level::Write(10)));
    circle.meet(&[0, 1, 2], &[0, 1]).await;
    assert_eq!((circle.level(0, 2), circle.level(1, 2)), (None, None));
    circle.change(0, grant(circle.key(2), Level::Write(10)));
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    assert_eq!(circle.level(2, 2), WRITE, "only somebody as strong lifts it");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uses_of_an_invite_for_one_the_same_counts_everywhere() {
    let levels = [CREATOR, READ, READ, None, None];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    let invite = Arc::new(SecretKey::from_seed(&[50; 32]));
    let (key, gives) = (invite.public(), Level::Write(10));
    circle.change(0, Operation::Invite { key, gives, uses: 1, expires: None });
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    for (at, newcomer) in [(1, 3), (2, 4)] {
        let sections = settings(grant(circle.key(newcomer), gives));
        circle.sites[at].commit(circle.room, &invite, sections).unwrap();
    }
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    let levels = |at| [circle.level(at, 3), circle.level(at, 4)];
    assert_eq!(levels(0).iter().flatten().count(), 1);
    assert_eq!((levels(1), levels(2)), (levels(0), levels(0)));
    let winner = if levels(0)[0].is_some() { 3 } else { 4 };
    circle.meet(&[0, 3, 4], &[0, winner]).await;
    assert!(!circle.sites[7 - winner].holds(circle.room));

    // An invite that is taken back lets nobody in, neither after it nor beside it.
    let another = Arc::new(SecretKey::from_seed(&[51; 32]));
    let key = another.public();
    let made = circle.change(0, Operation::Invite { key, gives, uses: 9, expires: None });
    circle.change(0, limit(key, None));
    let sections = settings(grant(circle.key(7 - winner), gives));
    assert!(circle.sites[0].commit(circle.room, &another, sections.clone()).is_err());
    let backdated = craft(&another, &[circle.parcel(0, made)], sections);
    assert!(matches!(circle.take(0, backdated).await, Verdict::Stored(_)));
    circle.meet(&[0, 1, winner], &[0, 1, winner]).await;
    assert_eq!(circle.level(1, 7 - winner), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_that_is_withdrawn_shuts_out_whoever_had_nothing_else() {
    let sites: Vec<Arc<Site>> = (1..=3).map(Site::new).collect();
    let anyone =
        |level| Operation::Grant { subject: Subject::Anyone, level, name: None, expires: None };
    let room = sites[0].found_with(vec![
        grant(sites[0].public(), Level::Admin(0)),
        grant(sites[1].public(), Level::Write(5)),
        anyone(Level::Write(10)),
    ]);
    let circle = Circle { wires: Wires::Memory(Default::default()), room, sites };
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    let before = circle.say(2, "before").unwrap();
    circle.meet(&[0, 1, 2], &[0, 1, 2]).await;
    circle.change(0, Operation::Limit { subject: Subject::Anyone, to: None });
    let beside = circle.say(2, "beside").unwrap();
    circle.meet(&[0, 1, 2], &[0, 1]).await;
    let after = circle.say(1, "for members").unwrap();
    circle.meet(&[0, 1, 2], &[0, 1]).await;
    for at in [0, 1] {
        assert!(circle.shows(at, before) && !circle.shows(at, beside));
        assert_eq!(circle.level(at, 2), None);
    }
    assert_eq!(circle.sites[2].shows(room, after), None, "it was sent on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_loses_a_device_takes_its_key_back_and_goes_on() {
    let levels = [CREATOR, ADMIN, READ, None];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    // The second is the user; the fourth is its phone.
    circle.change(1, grant(circle.key(3), Level::Admin(1)));
    circle.meet(&[0, 1, 2, 3], &[0, 1, 2, 3]).await;
    let lost = circle.change(1, limit(circle.key(3), None));
    let by_thief = circle.change(3, limit(circle.key(1), None));
    let spam = circle.say(3, "by the thief").unwrap();
    circle.meet(&[0, 1, 2, 3], &[0, 1, 2]).await;
    for at in [0, 1, 2] {
        assert_eq!((circle.level(at, 1), circle.level(at, 3)), (ADMIN, None));
        assert!(circle.shows(at, lost) && !circle.shows(at, by_thief) && !circle.shows(at, spam));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recovery_key_wins_against_a_stolen_key_of_the_creator() {
    // The first stands for the recovery key, the second for the creator.
    let levels = [CREATOR, CREATOR, ADMIN, READ];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    let thief = circle.change(1, limit(circle.key(2), None));
    let last = circle.parcel(1, thief);
    let usurps = settings(limit(circle.key(0), None));
    circle.take(1, craft(&circle.sites[1].key, &[last], usurps)).await;
    circle.meet(&[1, 3], &[1, 3]).await;
    assert_eq!((circle.level(3, 0), circle.level(3, 2)), (CREATOR, None));
    circle.change(0, limit(circle.key(1), None));
    circle.meet(&[0, 1, 2, 3], &[0, 2, 3]).await;
    for at in [0, 2, 3] {
        let levels = [0, 1, 2].map(|of| circle.level(at, of));
        assert_eq!(levels, [CREATOR, None, ADMIN], "{at}");
        assert!(!circle.shows(at, thief));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_last_two_admins_leave_at_once_only_the_recovery_key_helps() {
    let levels = [CREATOR, ADMIN, ADMIN, READ];
    let circle = Circle::new(Wires::Memory(Default::default()), &levels).await;
    // The first is the recovery key, which nobody uses.
    circle.change(1, limit(circle.key(1), Some(Level::Read)));
    circle.change(2, limit(circle.key(2), Some(Level::Read)));
    circle.meet(&[1, 2, 3], &[1, 2, 3]).await;
    for at in 1..4 {
        assert_eq!((circle.level(at, 1), circle.level(at, 2)), (READ, READ));
        assert!(circle.try_change(at, grant(circle.key(3), Level::Read)).is_err());
    }
    circle.meet(&[0, 3], &[0, 3]).await;
    circle.change(0, grant(circle.key(1), Level::Admin(1)));
    circle.meet(&[0, 1, 2, 3], &[0, 1, 2, 3]).await;
    circle.change(1, grant(circle.key(3), Level::Write(9)));
}
