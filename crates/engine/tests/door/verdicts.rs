//! What the door says of entries that it does not store, and what they leave behind: nothing.

use weald_auth::{Level, Operation};
use weald_dag::{EntryId, Fault, Fields, Parcel, Refusal, Section, Time, Verdict, Verified};
use weald_engine::{CommitError, Founding};

use crate::site::{NOW, Site, anyone, creator, key, made, rows_in, said, setting, sign};

#[test]
fn a_stranger_is_refused_and_so_is_what_descends_from_it() {
    let (mut a, mut b) = (Site::new(), Site::new());
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let refused = a.push(id, 7, "no");
    assert!(matches!(refused, Err(CommitError::NotPermitted { .. })), "{refused:?}");
    b.ingest(id, a.all(id), NOW);
    let fields = |parent: EntryId, time: u64, payload: &[u8]| Fields {
        parents: vec![parent],
        time: Time::from_millis(time),
        author: key(7).public(),
        seq: 0,
        sections: vec![Section::of("chat", payload)],
        nonce: None,
    };
    let one =
        Verified::sign(fields(id.root(), NOW + 5, b"x"), vec![b"x".to_vec()], &key(7)).unwrap();
    let two = Verified::sign(fields(one.entry().id(), NOW + 6, b"y"), vec![b"y".to_vec()], &key(1))
        .unwrap();
    let verdicts = b.ingest(id, vec![one.into_parcel(), two.into_parcel()], NOW).verdicts;
    assert!(matches!(verdicts[0].1, Verdict::Refused(Refusal::Authority { .. })));
    assert!(matches!(verdicts[1].1, Verdict::Refused(Refusal::Descends { .. })));
    assert_eq!(b.all(id).len(), 1);
}

#[test]
fn a_void_section_adds_nothing_and_is_reported() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let payload = b"not a section".to_vec();
    let fields = Fields {
        parents: vec![id.root()],
        time: Time::from_millis(NOW + 5),
        author: key(1).public(),
        seq: 1,
        sections: vec![Section::of("chat", &payload)],
        nonce: None,
    };
    let before = a.digest(id);
    let parcel = Verified::sign(fields, vec![payload], &key(1)).unwrap().into_parcel();
    let ingested = a.ingest(id, vec![parcel], NOW);
    assert_eq!(ingested.folded[0].voids[0].store, "chat");
    assert_eq!(a.digest(id), before);
    a.assert_sound(id);
}

#[test]
fn an_entry_without_its_payload_is_the_fault_of_who_sent_it() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let settings = made(&[id.root()], 5, 1, "_settings", &setting("name"));
    let chat = made(&[settings.entry.id()], 6, 2, "chat", &said("hello"));
    let mut bare = [settings.clone(), chat.clone()];
    bare.iter_mut().for_each(|parcel| parcel.payloads = vec![None]);
    let mut b = Site::new();
    b.ingest(id, a.all(id), NOW);
    for (_, verdict) in b.ingest(id, bare.to_vec(), NOW).verdicts {
        assert!(matches!(verdict, Verdict::Fault(Fault::Withheld { .. })), "{verdict:?}");
    }
    let verdicts = b.ingest(id, vec![settings.clone(), chat.clone()], NOW).verdicts;
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Stored(_))));
    a.ingest(id, vec![settings, chat], NOW);
    assert_eq!((a.digest(id), a.tips(id)), (b.digest(id), b.tips(id)));
}

#[test]
fn settings_of_a_newer_build_are_kept_out_and_not_refused() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let mut version = setting("a");
    version[1] = 2;
    let mut kind = setting("b");
    kind[4] = 23;
    for (after, payload) in [(5, version), (6, kind)] {
        let newer = made(&[id.root()], after, 1, "_settings", &payload);
        let child = made(&[newer.entry.id()], 9, 1, "chat", &said("hello"));
        for _ in 0..2 {
            let verdicts = a.ingest(id, vec![newer.clone(), child.clone()], NOW).verdicts;
            assert!(matches!(verdicts[0].1, Verdict::NewerVersion { .. }), "{verdicts:?}");
            assert_eq!(verdicts[1].1, Verdict::Missing(vec![newer.entry.id()]));
        }
    }
}

#[test]
fn an_entry_from_the_future_waits_and_a_key_in_two_places_is_noticed() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let fields = |time, seq| Fields {
        parents: vec![id.root()],
        time: Time::from_millis(time),
        author: key(1).public(),
        seq,
        sections: Vec::new(),
        nonce: None,
    };
    let late =
        Verified::sign(fields(NOW + 3_600_000, 1), Vec::new(), &key(1)).unwrap().into_parcel();
    let held_back = a.ingest(id, vec![late.clone()], NOW);
    assert!(matches!(held_back.verdicts[0].1, Verdict::HeldBack { .. }));
    let stored = a.ingest(id, vec![late], NOW + 3_600_000);
    assert!(matches!(stored.verdicts[0].1, Verdict::Stored(_)));
    assert!(!stored.folded[0].author_forked);
    let again = Verified::sign(fields(NOW + 1, 1), Vec::new(), &key(1)).unwrap().into_parcel();
    assert!(a.ingest(id, vec![again], NOW + 3_600_000).folded[0].author_forked);
}

#[test]
fn refused_entries_leave_no_authority_epochs() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let settings: Vec<Parcel> =
        (0..6).map(|n| made(&[id.root()], 5 + n, 1, "_settings", &setting("k"))).collect();
    let tips: Vec<EntryId> = settings.iter().map(|parcel| parcel.entry.id()).collect();
    a.ingest(id, settings, NOW);
    let strangers = (1..1_u32 << 6).map(|mask| {
        let parents: Vec<EntryId> =
            (0..6).filter(|bit| mask >> bit & 1 == 1).map(|bit| tips[bit as usize]).collect();
        made(&parents, 100, 7, "chat", &said("no"))
    });
    for (_, verdict) in a.ingest(id, strangers.collect(), NOW).verdicts {
        assert!(matches!(verdict, Verdict::Refused(Refusal::Authority { .. })));
    }
    a.push(id, 1, "x").unwrap();
    let (number, epochs) = (a.number(id), 2);
    assert_eq!(rows_in(&a, "epochs", number), epochs, "after the root, and after all six");
    a.assert_sound(id);
}

#[test]
fn of_too_many_refusals_the_oldest_is_forgotten_and_a_chain_is_refused_at_once() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let first = made(&[id.root()], 4, 7, "chat", &said("no"));
    let strangers: Vec<Parcel> =
        (0..4096).map(|n| made(&[id.root()], 5 + n, 7, "chat", &said("no"))).collect();
    let last = strangers[4095].entry.id();
    a.ingest(id, vec![first.clone()], NOW);
    a.ingest(id, strangers, NOW);
    let child = made(&[last], 9_000, 1, "chat", &said("x"));
    let grandchild = made(&[child.entry.id()], 9_001, 1, "chat", &said("y"));
    let verdicts = a.ingest(id, vec![child, grandchild], NOW).verdicts;
    for (_, verdict) in verdicts {
        assert!(matches!(verdict, Verdict::Refused(Refusal::Descends { .. })), "{verdict:?}");
    }
    let orphan = made(&[first.entry.id()], 9_000, 1, "chat", &said("x"));
    let verdicts = a.ingest(id, vec![orphan], NOW).verdicts;
    assert_eq!(verdicts[0].1, Verdict::Missing(vec![first.entry.id()]));
}

#[test]
fn what_does_not_found_a_database_leaves_no_trace() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let mut fails = |nonce: u8, operations: Vec<Operation>, sign: &weald_engine::Sign<'_>| {
        let mut rows = a.rows();
        let founding = Founding { key: key(1), nonce: [nonce; 16], operations, system: false };
        let error = a.engine.found(&mut rows, founding, NOW, sign).unwrap_err();
        assert!(rows.batch().is_empty(), "{error}");
        error
    };
    assert!(matches!(fails(3, vec![creator()], &sign), CommitError::AlreadyHeld));
    assert!(matches!(fails(4, vec![], &sign), CommitError::NoAdministrator));
    let open = anyone(Level::Write(1));
    assert!(matches!(fails(4, vec![open], &sign), CommitError::NoAdministrator));
    let everybody = vec![creator(), anyone(Level::Admin(0))];
    assert!(matches!(fails(4, everybody, &sign), CommitError::NotPermitted { .. }));
    assert!(matches!(fails(4, vec![creator()], &|_| Vec::new()), CommitError::Store(_)));
    assert_eq!(a.all(id).len(), 1);
    a.push(id, 1, "still there").unwrap();

    // From elsewhere: a root that cannot be used, and one of another database.
    let mut b = Site::new();
    let fields = Fields {
        parents: Vec::new(),
        time: Time::from_millis(NOW),
        author: key(1).public(),
        seq: 0,
        sections: vec![Section::of("_settings", b"junk")],
        nonce: Some([1; 16]),
    };
    let root = Verified::sign(fields, vec![b"junk".to_vec()], &key(1)).unwrap().into_parcel();
    let verdicts = b.ingest(root.entry.id().into(), vec![root.clone()], NOW).verdicts;
    assert!(matches!(verdicts[0].1, Verdict::Refused(Refusal::Settings { .. })));
    let verdicts = b.ingest(id, vec![root], NOW).verdicts;
    assert_eq!(verdicts[0].1, Verdict::Refused(weald_dag::GraphRefusal::ForeignRoot.into()));
    assert!(weald_engine::all_held(&*b.store.snapshot().unwrap()).unwrap().is_empty());
}
