use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

struct Person {
    rooms: Rooms,
    told: mpsc::Receiver<Update>,
    _directory: tempfile::TempDir,
}

async fn person(name: &str) -> Person {
    let directory = tempfile::tempdir().unwrap();
    let (rooms, told) = Rooms::open(directory.path(), name).unwrap();
    rooms.listen(Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
    rooms.follow_all().unwrap();
    Person { rooms, told, _directory: directory }
}

impl Person {
    /// Waits for an update and returns what is made of it.
    async fn hears<T>(&mut self, what: impl Fn(&Update) -> Option<T>) -> T {
        let hears = async {
            loop {
                let update = self.told.recv().await.unwrap();
                if let Some(found) = what(&update) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, hears).await.unwrap()
    }

    async fn is_in(&mut self, room: DatabaseId) {
        let is_here = |update: &Update| match update {
            Update::Room { id, here: true, .. } if *id == room => Some(()),
            _ => None,
        };
        self.hears(is_here).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p68_access_to_a_private_room_is_requested_by_itself_and_decided_by_its_code() {
    let (mut alice, mut bob) = (person("alice").await, person("bob").await);
    let room = alice.rooms.create_private("Private").unwrap();
    bob.rooms.join(alice.rooms.ticket(room).unwrap());
    let asks = |update: &Update| match update {
        Update::Notice(text) => Some(text.clone()),
        _ => None,
    };
    let notice = bob.hears(asks).await;
    let asked = alice.hears(asks).await;
    assert!(asked.contains("bob"), "{asked}");
    let pending = alice.rooms.inner.peers.requests().pending();
    let code = pending[0].short_code.clone();
    assert!(notice.contains(&code) && asked.contains(&code), "{notice}\n{asked}");
    assert!(alice.rooms.approve("000").is_err());
    alice.rooms.approve(&code.replace(' ', "")).unwrap();
    bob.is_in(room).await;
    bob.rooms.say(room, "thank you".into()).await.unwrap();
    assert_eq!(alice.rooms.requests(), ["Nobody asks to be let in."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_with_an_invite_asks_nobody_and_whoever_is_turned_down_is_told_why() {
    let (alice, mut bob) = (person("alice").await, person("bob").await);
    let mut carol = person("carol").await;
    let room = alice.rooms.create_private("Private").unwrap();
    let ticket = alice.rooms.invite(room).unwrap();
    bob.rooms.join(ticket.clone());
    bob.is_in(room).await;
    assert!(alice.rooms.inner.peers.requests().pending().is_empty());
    // The same ticket once more: the invite is used up, so access is asked for.
    carol.rooms.join(ticket);
    let asked = |update: &Update| matches!(update, Update::Notice(_)).then_some(());
    carol.hears(asked).await;
    let code = alice.rooms.inner.peers.requests().pending()[0].short_code.replace(' ', "");
    alice.rooms.reject(&code, "the room is full").unwrap();
    let lost = |update: &Update| match update {
        Update::Lost { error, .. } => Some(error.to_string()),
        _ => None,
    };
    let why = carol.hears(lost).await;
    assert!(why.contains("the room is full"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_be_an_administrator_is_let_in_as_everybody_is() {
    let (alice, bob) = (person("alice").await, person("bob").await);
    let room = alice.rooms.create_private("Private").unwrap();
    let (ticket, inner) = (alice.rooms.ticket(room).unwrap(), &bob.rooms.inner);
    let asking = inner.peers.ask(&inner.user, &ticket, Level::Admin(0));
    let asked = timeout(DEADLINE, asking).await.unwrap().unwrap();
    alice.rooms.approve(&asked.short_code().unwrap().replace(' ', "")).unwrap();
    let outcome = timeout(DEADLINE, asked.wait()).await.unwrap().unwrap();
    assert_eq!(outcome, RequestStatus::Approved);
    let settings = alice.rooms.room(room).unwrap();
    let settings = settings.database().settings();
    let key = inner.user.default_key();
    assert_eq!(settings.permission_of(&key).unwrap(), Some(EVERYBODY));
}
