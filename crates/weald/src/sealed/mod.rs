//! Encrypted stores: what is written to a sealed store leaves the instance sealed, to its own disk as
//! to its peers, and is read by those alone who have its key.
//!
//! Invariant: without its key a store is locked, which is an error that says so; never empty.

mod error;
mod known;
mod records;
mod rest;
mod sealing;
mod store;
mod vault;

pub use error::SealedError;
pub(crate) use records::KEYS;
pub use records::Keying;
pub(crate) use rest::SealedRows;
pub(crate) use sealing::{concerns, refresh, seal, share};
pub(crate) use store::fold_anew;
pub use store::{PasswordStore, SealedStore, Sealing};
pub(crate) use vault::Vault;

#[cfg(test)]
mod tests {
    use weald_engine::rest_key;

    use super::Sealing;
    use crate::instance::Instance;
    use crate::settings::DatabaseSettings;

    #[test]
    fn after_a_change_of_the_password_nothing_rests_under_a_key_that_the_old_one_opens() {
        let instance = Instance::in_memory().unwrap();
        let user = instance.create_user("alice", None).unwrap();
        let database = user.create_database(DatabaseSettings::named("Safe")).unwrap();
        database.seal_store("tags", "set", Sealing::Password("old")).unwrap();
        let add = |tag: &str| {
            database.write(|tx| Ok(tx.set("tags")?.add(&tag.to_owned())?)).unwrap();
        };
        let rest = || {
            let (core, number) = (database.core(), database.number());
            let resting = rest_key(&core.rows().unwrap(), number, "tags").unwrap();
            let used = core.vault.rows(number, "tags").map(|cipher| *cipher.epoch().as_bytes());
            assert_eq!(resting, used);
            resting.unwrap()
        };
        add("before");
        let before = rest();
        database.change_store_password("tags", "old", "new").unwrap();
        let after = rest();
        assert_ne!(before, after);
        add("after");
        database.lock("tags").unwrap();
        database.unlock("tags", "new").unwrap();
        assert_eq!(rest(), after);
        assert_eq!(database.set::<String>("tags").unwrap().len().unwrap(), 2);
        assert!(instance.verify().unwrap().is_sound());
    }
}
