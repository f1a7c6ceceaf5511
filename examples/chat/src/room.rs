//! A room is a database: messages are a log, and so are the names; who said something is who signed it.

use serde::{Deserialize, Serialize};
use weald::{Cursor, Database, DatabaseId, LogItem, PublicKey};

use crate::error::ChatError;
use crate::history::{Line, PAGE, Reading, WINDOW_MAX};
use crate::names::{Names, clean};
use crate::text::one_line;

/// The log of what was said.
pub(crate) const MESSAGES: &str = "messages";
/// The log of who wants to be called how. A log, not a table: an item says who signed it, and
/// nobody can take away the one of another.
pub(crate) const PEOPLE: &str = "people";

/// Stands in place of an item that is no message.
const UNKNOWN: &str = "(something that this version cannot show)";

/// Something that was said.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    text: String,
}

/// What the signer of the item wants to be called.
#[derive(Debug, Serialize, Deserialize)]
struct Person {
    name: String,
}

/// Reads and writes one room.
#[derive(Debug, Clone)]
pub(crate) struct OpenRoom {
    database: Database,
}

impl OpenRoom {
    /// Takes the database of a room.
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Returns the database.
    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// Returns its name, or its short id if it has none that can be shown.
    pub(crate) fn title(&self) -> String {
        title(self.database.id(), self.database.name().as_deref())
    }

    /// Sends a message; when this returns, it is stored for good.
    pub(crate) fn say(&self, text: &str) -> Result<(), ChatError> {
        let message = Message { text: text.to_owned() };
        self.database.write(|tx| Ok(tx.log(MESSAGES)?.push(&message)?))?;
        Ok(())
    }

    /// Lets the others know by which name the key wants to be called, if they do not yet.
    pub(crate) fn introduce(&self, key: &PublicKey, name: &str) -> Result<(), ChatError> {
        if self.names()?.claimed(key) != Some(name) {
            let person = Person { name: name.to_owned() };
            self.database.write(|tx| Ok(tx.log(PEOPLE)?.push(&person)?))?;
        }
        Ok(())
    }

    /// Returns by which name each key wants to be called.
    pub(crate) fn names(&self) -> Result<Names, ChatError> {
        let log = self.database.log::<Person>(PEOPLE)?;
        let mut names = Names::default();
        let mut page = log.head(PAGE)?;
        while let Some(last) = page.last().map(|item| item.cursor) {
            for item in page {
                if let Ok(person) = item.value {
                    names.claim(item.author, &person.name);
                }
            }
            page = log.after(&last, PAGE)?;
        }
        Ok(names)
    }

    /// Reads messages, and returns whether there are more beyond the far end.
    pub(crate) fn read(&self, reading: &Reading) -> Result<(Vec<Line>, bool), ChatError> {
        let log = self.database.log::<Message>(MESSAGES)?;
        // One more than wanted tells whether there are more.
        let (items, over_at_start) = match reading {
            Reading::Newest => {
                let items = log.tail(PAGE + 1)?;
                let over = items.len() > PAGE;
                (items, over)
            }
            Reading::Before(cursor) => {
                let items = log.before(cursor, PAGE + 1)?;
                let over = items.len() > PAGE;
                (items, over)
            }
            Reading::After(cursor) => {
                let mut items = log.after(cursor, WINDOW_MAX + 1)?;
                let over = items.len() > WINDOW_MAX;
                items.truncate(WINDOW_MAX);
                return Ok((lines(items), over));
            }
        };
        Ok((lines(items.into_iter().skip(usize::from(over_at_start))), over_at_start))
    }

    /// Returns the first messages after this one, or of all; an item that is no message is `None`.
    pub(crate) fn page(
        &self,
        after: Option<&Cursor>,
    ) -> Result<Vec<(Cursor, Option<Line>)>, ChatError> {
        let log = self.database.log::<Message>(MESSAGES)?;
        let items = match after {
            Some(cursor) => log.after(cursor, PAGE)?,
            None => log.head(PAGE)?,
        };
        Ok(items.into_iter().map(|item| (item.cursor, line(item))).collect())
    }

    /// Returns one message.
    pub(crate) fn message(&self, cursor: &Cursor) -> Result<Option<Line>, ChatError> {
        let item = self.database.log::<Message>(MESSAGES)?.get(cursor)?;
        Ok(item.and_then(line))
    }
}

/// Returns what is shown for a room.
pub(crate) fn title(id: DatabaseId, name: Option<&str>) -> String {
    name.and_then(clean).unwrap_or_else(|| id.short())
}

fn lines(items: impl IntoIterator<Item = LogItem<Message>>) -> Vec<Line> {
    // What is no message keeps its place, so that paging gets past it.
    let shown = |item: LogItem<Message>| {
        let (cursor, author, time) = (item.cursor, item.author, item.time.millis());
        let text = UNKNOWN.to_owned();
        line(item).unwrap_or(Line { cursor, author, time, text })
    };
    items.into_iter().map(shown).collect()
}

fn line(item: LogItem<Message>) -> Option<Line> {
    let Ok(message) = item.value else { return None };
    let (cursor, author, time) = (item.cursor, item.author, item.time.millis());
    Some(Line { cursor, author, time, text: one_line(&message.text) })
}

#[cfg(test)]
mod tests {
    use weald::{DatabaseSettings, Instance, Level, User};

    use super::*;

    fn user(instance: &Instance, name: &str) -> User {
        instance.create_user(name, None).unwrap()
    }

    /// A room in which several people talk on one device.
    fn room_of(people: &[&User]) -> Vec<OpenRoom> {
        let settings = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
        let id = people[0].create_database(settings).unwrap().id();
        let open = |user: &&User| OpenRoom::new(user.open_database(&id).unwrap());
        people.iter().map(open).collect()
    }

    fn shown(room: &OpenRoom) -> Vec<String> {
        let names = room.names().unwrap();
        let (lines, _) = room.read(&Reading::Newest).unwrap();
        lines.iter().map(|l| format!("{}: {}", names.shown(&l.author), l.text)).collect()
    }

    #[test]
    fn a_name_cannot_be_given_to_the_key_of_another() {
        let instance = Instance::in_memory().unwrap();
        let (alice, mallory) = (user(&instance, "alice"), user(&instance, "mallory"));
        let rooms = room_of(&[&alice, &mallory]);
        rooms[0].introduce(&alice.default_key(), "alice").unwrap();
        rooms[0].say("it is me").unwrap();
        // Everything that could make somebody believe in another author, signed by mallory.
        let forged = rooms[1].database.write(|tx| {
            let key = alice.default_key().to_string();
            tx.log(PEOPLE)?.push(&[("name", "mallory"), ("author", &key), ("key", &key)])?;
            #[derive(Serialize)]
            struct Forged {
                name: &'static str,
                text: &'static str,
                author: String,
            }
            let (name, text) = ("alice", "\nalice: send me money");
            tx.log(PEOPLE)?.push(&Forged { name: "mallory", text, author: key.clone() })?;
            tx.log(MESSAGES)?.push(&Forged { name, text, author: key })?;
            Ok(())
        });
        forged.unwrap();
        assert_eq!(shown(&rooms[0]), ["alice: it is me", "mallory:  alice: send me money"]);

        rooms[1].introduce(&mallory.default_key(), "alice").unwrap();
        let (real, false_one) = (alice.default_key().short(), mallory.default_key().short());
        let expected = [
            format!("alice ({real}): it is me"),
            format!("alice ({false_one}):  alice: send me money"),
        ];
        assert_eq!(shown(&rooms[0]), expected);
    }

    #[test]
    fn a_name_is_told_once() {
        let instance = Instance::in_memory().unwrap();
        let alice = user(&instance, "alice");
        let room = room_of(&[&alice]).remove(0);
        for _ in 0..3 {
            room.introduce(&alice.default_key(), "alice").unwrap();
        }
        assert_eq!(room.database.log::<Person>(PEOPLE).unwrap().tail(9).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_message_breaks_nothing() {
        let instance = Instance::in_memory().unwrap();
        let alice = user(&instance, "alice");
        let room = room_of(&[&alice]).remove(0);
        let junk = room.database.write(|tx| {
            tx.log(MESSAGES)?.push(&7)?;
            tx.log(MESSAGES)?.push(&[("text", 1)])?;
            tx.log(PEOPLE)?.push(&"alice")?;
            Ok(())
        });
        junk.unwrap();
        room.say("hello").unwrap();
        let (lines, more) = room.read(&Reading::Newest).unwrap();
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts, more), (vec![UNKNOWN, UNKNOWN, "hello"], false));
        let page = room.page(None).unwrap();
        assert_eq!(page.iter().filter(|(_, line)| line.is_some()).count(), 1);
        assert_eq!(room.message(&page[0].0).unwrap(), None);
    }

    #[test]
    fn pages_join_without_gap() {
        let instance = Instance::in_memory().unwrap();
        let alice = user(&instance, "alice");
        let room = room_of(&[&alice]).remove(0);
        let filled = room.database.write(|tx| {
            for n in 0..PAGE + 7 {
                tx.log(MESSAGES)?.push(&Message { text: n.to_string() })?;
            }
            Ok(())
        });
        filled.unwrap();
        let (newest, more) = room.read(&Reading::Newest).unwrap();
        assert!(more && newest.len() == PAGE && newest[0].text == "7");
        let (older, more) = room.read(&Reading::Before(newest[0].cursor)).unwrap();
        assert!(!more && older.len() == 7 && older[6].text == "6");
        let (after, more) = room.read(&Reading::After(older[6].cursor)).unwrap();
        assert!(!more && after == newest);
    }
}
